"""A backup restored beside an archive that outlived the data folder and has gone on since: in a bucket, and in a folder.

What was archived after the backup is found again, once; what the store alone knew is lost."""

import json
import shutil
import time

import pytest
from support import aws
from support.bucket import BUCKET, KEY, SECRET, BucketServer
from support.server import ACCESS_KEY, SECRET_KEY, run

GROUP, LATER_GROUP = "/aws/fsx/windows", "/later"
ARCHIVE_SECONDS_MAX = 60
SOON = ["--archive-after", "1s"]
KEYS = {"NIGHTBELL_ROOT_ACCESS_KEY_ID": ACCESS_KEY, "NIGHTBELL_ROOT_SECRET_ACCESS_KEY": SECRET_KEY}


def command(server, *words):
    return run(*words, "--data", str(server.data), folder=server.folder, **KEYS)


def verdict(server):
    done = command(server, "verify", "--json", "--deep")
    assert done.returncode == 0, (done.stdout, done.stderr, server.tail())
    return json.loads(done.stdout)


def make(server, group, stream="s"):
    logs = aws.client(server, "logs")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)


def put(server, messages, group=GROUP, stream="s"):
    events = [{"timestamp": aws.now_ms(), "message": message} for message in messages]
    aws.client(server, "logs").put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def found(server, group=GROUP):
    pages = aws.client(server, "logs").get_paginator("filter_log_events")
    return [event["message"] for page in pages.paginate(logGroupName=group) for event in page["events"]]


def archived(server, events):
    deadline = time.monotonic() + ARCHIVE_SECONDS_MAX
    while (held := verdict(server)["events"]) < events:
        assert time.monotonic() < deadline, (held, server.tail())
        time.sleep(0.5)
    assert held == events


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    server = BucketServer(tmp_path_factory.mktemp("bucket"))
    yield server
    server.close()


@pytest.fixture(params=["bucket", "folder"])
def place(request, tmp_path):
    """The settings of an archive that does not lie in the data folder."""
    if request.param == "folder":
        return ["--archive", str(tmp_path / "archive")]
    key = tmp_path / "key"
    key.write_text(f"{KEY}\n{SECRET}\n")
    bucket = request.getfixturevalue("bucket")
    prefix = tmp_path.name.replace("_", "-").strip("-")
    return ["--archive", f"s3://{BUCKET}/{prefix}", "--archive-endpoint", bucket.url, "--archive-key-file", str(key)]


def begin(fresh, place, tmp_path):
    """A server with events in the archive, a backup of it, and events that were archived afterwards."""
    server = fresh(*SOON, *place).start()
    make(server, GROUP)
    put(server, ["before 1", "before 2"])
    archived(server, 2)
    put(server, ["in the journal"])
    backup = tmp_path / "backup"
    done = command(server, "backup", str(backup))
    assert done.returncode == 0, done.stderr
    archived(server, 3)
    for number in range(3):
        put(server, [f"after {number}"])
    make(server, LATER_GROUP, "new")
    put(server, ["of a later group"], LATER_GROUP, "new")
    logs = aws.client(server, "logs")
    logs.create_log_stream(logGroupName=GROUP, logStreamName="later")
    put(server, ["of a later stream"], GROUP, "later")
    archived(server, 8)
    return server, backup


ARCHIVED = {"before 1", "before 2", "in the journal", "after 0", "after 1", "after 2", "of a later stream"}


def lose_and_restore(server, backup):
    server.kill()
    shutil.rmtree(server.data)
    done = run("restore", str(backup), "--data", str(server.data), folder=server.folder)
    assert done.returncode == 0, done.stderr


def test_what_was_archived_since_the_backup_is_found_once_and_all_goes_on(fresh, place, tmp_path):
    server, backup = begin(fresh, place, tmp_path)
    put(server, ["never archived"])
    lose_and_restore(server, backup)
    server.start()
    assert "the archive is adopted" in server.log.read_text()

    def whole():
        assert sorted(found(server)) == sorted(ARCHIVED | more)
        assert found(server, LATER_GROUP) == ["of a later group"]
        events = aws.client(server, "logs").get_log_events(logGroupName=GROUP, logStreamName="later", startFromHead=True)
        assert [event["message"] for event in events["events"]] == ["of a later stream"]

    more = set()
    whole()
    # What comes now is counted, found, archived and kept over a restart as ever.
    logs, cloudwatch = aws.client(server, "logs"), aws.client(server, "cloudwatch")
    logs.put_metric_filter(
        logGroupName=GROUP, filterName="f", filterPattern="",
        metricTransformations=[{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}],
    )  # fmt: skip
    more = {"now 1", "now 2"}
    put(server, sorted(more))
    whole()
    deadline = time.monotonic() + 20
    while True:
        now = aws.now_ms() / 1000
        data = cloudwatch.get_metric_statistics(
            Namespace="n", MetricName="m", StartTime=now - 600, EndTime=now + 60, Period=60, Statistics=["Sum"]
        )["Datapoints"]
        if data and sum(point["Sum"] for point in data) >= 2:
            break
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert sum(point["Sum"] for point in data) == 2, "archived events are not counted again"
    archived(server, 10)
    whole()
    server.kill()
    server.start()
    whole()
    assert server.log.read_text().count("the archive is adopted") == 1
    # A backup of the restored store is one as any other.
    done = command(server, "backup", str(backup))
    assert done.returncode == 0, done.stderr
    lose_and_restore(server, backup)
    server.start()
    whole()
    assert verdict(server)["events"] == 10


def test_a_restored_store_does_not_start_without_its_archive(fresh, bucket, tmp_path):
    key = tmp_path / "key"
    key.write_text(f"{KEY}\n{SECRET}\n")
    here = ["--archive", f"s3://{BUCKET}/away", "--archive-key-file", str(key), "--archive-endpoint"]
    server, backup = begin(fresh, [*here, bucket.url], tmp_path)
    lose_and_restore(server, backup)
    words = ["serve", "--data", str(server.data), "--listen", "127.0.0.1:0", *here, "http://127.0.0.1:9"]
    refused = run(*words, folder=server.folder)
    assert refused.returncode != 0 and "must be reached once after a restore" in refused.stderr
    server.start()
    assert sorted(found(server)) == sorted(ARCHIVED)


def test_the_archive_of_another_store_is_refused(fresh, place, tmp_path):
    server, _ = begin(fresh, place, tmp_path)
    assert server.stop() == 0
    # One that has archived nothing yet, and one with a chain of its own.
    new = fresh(*SOON)
    words = ["serve", "--listen", "127.0.0.1:0", *place, "--data"]
    refused = run(*words, str(new.data), folder=new.folder)
    assert refused.returncode != 0 and "belongs to another store" in refused.stderr
    other = fresh(*SOON).start()
    make(other, GROUP)
    put(other, ["mine"])
    archived(other, 1)
    assert other.stop() == 0
    refused = run(*words, str(other.data), folder=other.folder)
    assert refused.returncode != 0 and "does not follow the one before" in refused.stderr
    server.start()
    assert sorted(found(server)) == sorted(ARCHIVED)


def test_an_older_copy_that_took_events_apart_from_its_archive_is_told_and_loses_none(fresh, bucket, tmp_path):
    """A copy of the data folder knows of no restore: the bucket was away at its first start, then it comes back."""
    key = tmp_path / "key"
    key.write_text(f"{KEY}\n{SECRET}\n")
    here = ["--archive", f"s3://{BUCKET}/copy", "--archive-key-file", str(key), "--archive-endpoint"]
    server = fresh(*SOON, *here, bucket.url).start()
    make(server, GROUP)
    put(server, ["before"])
    archived(server, 1)
    assert server.stop() == 0
    pristine = tmp_path / "copy"
    shutil.copytree(server.data, pristine)
    server.start()
    for number in range(4):
        put(server, [f"after {number}"])
    archived(server, 5)
    assert server.stop() == 0
    shutil.rmtree(server.data)
    shutil.copytree(pristine, server.data)
    server.arguments = [*SOON, *here, "http://127.0.0.1:9"]
    server.start()
    for number in range(5):
        put(server, [f"apart {number}"])
    server.arguments = [*SOON, *here, bucket.url]
    assert server.stop() == 0
    server.start()
    assert "restore the backup again" in server.log.read_text()
    # It goes on by itself, and what came in can be had.
    put(server, ["apart 5"])
    assert sorted(found(server)) == ["apart 0", "apart 1", "apart 2", "apart 3", "apart 4", "apart 5", "before"]
    exported = command(server, "export", GROUP).stdout.splitlines()
    assert [json.loads(line)["message"] for line in exported][-1] == "apart 5"
    # The copy again, with the bucket in reach, is adopted.
    assert server.stop() == 0
    shutil.rmtree(server.data)
    shutil.copytree(pristine, server.data)
    server.start()
    assert sorted(found(server)) == ["after 0", "after 1", "after 2", "after 3", "before"]
