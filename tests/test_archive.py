"""The archive as others see it: read by DuckDB and pyarrow, proved by `nightbell verify`, exported, and in a bucket that
comes and goes."""

import json
import re
import time
import xml.etree.ElementTree
from pathlib import Path

import duckdb
import pyarrow.parquet
import pytest
from support import aws, windows
from support.bucket import BUCKET, KEY, SECRET, BucketServer
from support.hook import authority
from support.server import ACCESS_KEY, REPOSITORY, SECRET_KEY, run

GROUP = "/aws/fsx/windows"
# The archiver looks every ten seconds.
ARCHIVE_SECONDS_MAX = 60
SOON = ["--archive-after", "1s"]


def command(server, *words, code=0, **env):
    """One command about the server's data folder; its output."""
    keys = {"NIGHTBELL_ROOT_ACCESS_KEY_ID": ACCESS_KEY, "NIGHTBELL_ROOT_SECRET_ACCESS_KEY": SECRET_KEY}
    done = run(*words, "--data", str(server.data), folder=server.folder, **keys, **env)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done.stdout


def verdict(server, *words, code=0, **env):
    return json.loads(command(server, "verify", "--json", *words, code=code, **env))


def put(server, messages, start, group=GROUP):
    """Stores messages a second apart."""
    logs = aws.client(server, "logs")
    events = [{"timestamp": start + 1000 * at, "message": message} for at, message in enumerate(messages)]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)


def make_group(server, name=GROUP):
    logs = aws.client(server, "logs")
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    return logs


def archived(server, events):
    """Waits until the archive holds so many events; the files."""
    deadline = time.monotonic() + ARCHIVE_SECONDS_MAX
    while True:
        found = verdict(server)
        assert found["sound"], found
        if found["events"] >= events:
            assert found["events"] == events
            return sorted((server.data / "archive").glob("group=*/date=*/hour=*/*.parquet"))
        assert time.monotonic() < deadline, (found, server.tail())
        time.sleep(0.5)


def found(server, pattern="", group=GROUP):
    """The messages that FilterLogEvents gives."""
    pages = aws.client(server, "logs").get_paginator("filter_log_events")
    more = {"filterPattern": pattern} if pattern else {}
    return [event["message"] for page in pages.paginate(logGroupName=group, **more) for event in page["events"]]


def messages(start):
    """Events of two users over two hours, and one line that is no event."""
    return [
        *(windows.denied_open(user="alice", at_ms=start + 1000 * at) for at in range(40)),
        *(windows.failed_logon(machine="SRV1", at_ms=start + 1000 * at) for at in range(20)),
        "a line of text & more",
    ]


@pytest.fixture
def filled(fresh):
    """A server whose archive holds events of two hours, and nothing in the journal that is not in the archive."""
    server = fresh(*SOON).start()
    make_group(server)
    start = aws.now_ms() - 2 * 3_600_000
    put(server, messages(start), start)
    put(server, messages(start + 3_600_000), start + 3_600_000)
    return server, archived(server, 122)


def shown_queries():
    """The queries of the book, in their order."""
    text = (REPOSITORY / "docs" / "book" / "guide" / "sql.md").read_text()
    return re.findall(r"```sql\n(.*?)```", text, flags=re.DOTALL)


def test_other_tools_read_the_files_unaided(filled):
    server, files = filled
    assert len(files) >= 2
    tables = [pyarrow.parquet.ParquetFile(path).read() for path in files]
    assert sorted(text for table in tables for text in table["message"].to_pylist()) == sorted(found(server))
    users = {user for table in tables for user in table["user"].to_pylist()}
    assert r"corp\alice" in users

    database = duckdb.connect()
    database.execute(f"SET file_search_path = '{server.data}'")
    answers = [database.execute(query).fetchall() for query in shown_queries()]
    counted = {event_id: events for _, event_id, events in answers[1]}
    assert counted[4656] == 80 and counted[4625] == 40 and counted[None] == 2
    assert sum(counted.values()) == len(found(server)) == 122
    [(user, _, folder, denied, *_)] = answers[2]
    assert (user, denied) == (r"corp\alice", len(found(server, "{ $.Audit.Outcome = failure && $.EventID = 4656 }")))
    assert folder, answers[2]
    assert sum(events for _, _, events, _ in answers[3]) == 80
    assert sum(events for _, events in answers[4]) == 40


def test_a_flipped_byte_a_missing_and_a_foreign_file_are_named(filled):
    server, files = filled
    head = command(server, "verify", "--print-head").strip()
    assert re.fullmatch(r"[0-9a-f]{64}", head)
    sound = command(server, "verify", "--head", head, "--deep")
    assert sound.startswith("sound: ") and f"head {head}" in sound

    path = files[-1]
    name = str(path.relative_to(server.data / "archive"))
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    bad = verdict(server, code=1)
    [wrong] = bad["findings"]
    assert (wrong["path"], wrong["trouble"], wrong["block"]) == (name, "changed", bad["first_bad_block"])
    document = server.data / "archive" / "chain" / f"{wrong['block']:020}.json"
    assert name in document.read_text()
    told = command(server, "verify", code=1)
    assert f"NOT SOUND, first bad block {wrong['block']}" in told and name in told

    path.unlink()
    assert [(w["path"], w["trouble"]) for w in verdict(server, code=1)["findings"]] == [(name, "removed")]
    path.write_bytes(whole)
    foreign = path.with_name("00000000000000000000.parquet")
    foreign = foreign if not foreign.exists() else path.with_name("note.txt")
    foreign.write_bytes(whole)
    [wrong] = verdict(server, code=1)["findings"]
    assert (wrong["path"], wrong["trouble"]) == (str(foreign.relative_to(server.data / "archive")), "inserted")
    foreign.unlink()
    assert verdict(server)["sound"]

    # Without the server, and of a copy without anything else, it is the same.
    assert server.stop() == 0
    assert verdict(server, "--deep") == verdict(server, "--deep", "--copy", str(server.data / "archive"))
    document.write_text(document.read_text().replace('"rows": ', '"rows": 1', 1))
    assert verdict(server, code=1)["first_bad_block"] == wrong_block(document)


def wrong_block(document: Path) -> int:
    return int(document.stem)


def test_a_chain_made_anew_is_not_the_one_that_was_noted(filled, fresh):
    server, _ = filled
    bad = verdict(server, "--head", "ab" * 32, code=1)
    assert "no block has the hash" in bad["findings"][0]["detail"]
    assert "head:" in run("verify", "--head", "ab", "--data", str(server.data), folder=server.folder).stderr


def test_deleting_a_group_and_retention_leave_stubs_and_a_sound_chain(fresh):
    server = fresh(*SOON).start()
    logs = make_group(server)
    start = aws.now_ms() - 2 * 3_600_000
    put(server, ["secret " + str(at) for at in range(5)], start)
    archived(server, 5)
    head = command(server, "verify", "--print-head").strip()
    logs.delete_log_group(logGroupName=GROUP)
    deadline = time.monotonic() + ARCHIVE_SECONDS_MAX
    while verdict(server)["events"] > 0:
        assert time.monotonic() < deadline, server.tail()
        time.sleep(0.5)
    after = verdict(server, "--head", head)
    assert after["sound"] and after["blocks"] >= 2
    chain = sorted((server.data / "archive" / "chain").glob("*.json"))
    removed = json.loads(chain[-1].read_text())["step"]["removed"]
    assert removed["reason"] == "deleted-group" and removed["files"][0]["rows"] == 5
    assert "secret" not in chain[-1].read_text()


def test_the_head_is_told_to_a_topic_once_a_day(fresh, own_mailbox):
    from test_sns import subscribed

    server = fresh(*SOON, smtp=own_mailbox.url).start()
    topic, address, _ = subscribed(aws.client(server, "sns"), own_mailbox)
    make_group(server)
    put(server, ["one"], aws.now_ms())
    archived(server, 1)
    assert server.stop() == 0
    server.arguments += ["--archive-head-topic", topic]
    server.start()
    [mail] = own_mailbox.wait(address, subject="Archive head of")
    head = re.search(r"verify --head ([0-9a-f]{64})\s", mail.text)[1]
    assert verdict(server, "--head", head)["sound"]
    assert server.stop() == 0
    server.start()
    own_mailbox.stays(address, 1, 2, subject="Archive head of")


def test_exports_hold_every_event_once(filled, tmp_path):
    server, _ = filled
    # One that is not in the archive yet, and the newest.
    put(server, ["the last"], aws.now_ms())
    expected = found(server)
    assert len(expected) == 123

    lines = [json.loads(line) for line in command(server, "export", GROUP).splitlines()]
    assert [line["message"] for line in lines] == expected
    assert lines == sorted(lines, key=lambda line: line["time"])
    assert {line["group"] for line in lines} == {GROUP} and {line["stream"] for line in lines} == {"s"}

    table = tmp_path / "all.parquet"
    command(server, "export", GROUP, "--format", "parquet", "--out", str(table))
    read = pyarrow.parquet.read_table(table)
    assert read["message"].to_pylist() == expected
    assert read["user"].to_pylist().count(r"corp\alice") == 80
    assert not table.with_name("all.parquet.part").exists()

    document = tmp_path / "all.xml"
    command(server, "export", GROUP, "--format", "xml", "--out", str(document))
    root = xml.etree.ElementTree.parse(document).getroot()
    assert (root.tag, len(root)) == ("Events", 120), "three are no XML"

    pattern = "{ $.EventID = 4625 }"
    chosen = command(server, "export", GROUP, "--filter", pattern, "--from", "90m").splitlines()
    assert [json.loads(line)["message"] for line in chosen] == found(server, pattern)[20:]

    command(server, "export", "nowhere", code=1)
    command(server, "export", GROUP, "--format", "parquet", code=1)
    command(server, "export", GROUP, "--filter", "{ $.a", code=1)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    server = BucketServer(tmp_path_factory.mktemp("bucket"))
    yield server
    server.close()


def test_an_archive_in_a_bucket_comes_and_goes(fresh, bucket, tmp_path):
    key = tmp_path / "key"
    key.write_text(f"{KEY}\n{SECRET}\n")
    place = ["--archive", f"s3://{BUCKET}/site/one", "--archive-endpoint", bucket.url, "--archive-key-file", str(key)]
    server = fresh(*SOON, *place).start()
    logs = make_group(server)
    start = aws.now_ms() - 3_600_000
    put(server, messages(start), start)

    # Killed at any moment of a step, it neither loses nor doubles.
    count = len(messages(0))
    for seconds in (10.05, 0.3, 10.2):
        time.sleep(seconds)
        server.kill()
        server.start()
        put(server, ["more"], aws.now_ms())
        count += 1
        assert len(found(server)) == count
    archived(server, count)
    assert not (server.data / "archive").exists()
    objects = bucket.objects()
    assert all(name.startswith("site/one/") for name in objects)
    assert any(name.startswith("site/one/chain/") for name in objects)
    assert any(name.endswith(".parquet") and "%2F" in name for name in objects)
    assert len(found(server, "{ $.EventID = 4656 }")) == 40

    # Away: events are taken and told as ever, and wait.
    bucket.pause()
    put(server, ["while away"], aws.now_ms())
    assert server.stop() == 0, "a stop does not wait for the bucket"
    bucket.resume()
    bucket.pause()
    server.start()
    logs = aws.client(server, "logs")
    logs.put_log_events(
        logGroupName=GROUP, logStreamName="s", logEvents=[{"timestamp": aws.now_ms(), "message": "still away"}]
    )
    bucket.resume()
    count += 2
    archived(server, count)
    assert sorted(found(server))[-1] == "while away" and len(found(server)) == count

    # Without the server, by the settings alone; and as a copy.
    assert server.stop() == 0
    config = tmp_path / "nightbell.toml"
    config.write_text(
        f'archive = "s3://{BUCKET}/site/one"\narchive_endpoint = "{bucket.url}"\narchive_key_file = "{key}"\n'
    )
    alone = verdict(server, "--deep", "--config", str(config))
    assert alone["sound"] and alone["events"] == count
    environment = {
        "NIGHTBELL_ARCHIVE_ENDPOINT": bucket.url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    assert verdict(server, "--deep", "--copy", f"s3://{BUCKET}/site/one", **environment) == alone
    [name] = [name for name in bucket.objects() if name.endswith(".parquet")][:1]
    body = bucket.client().get_object(Bucket=BUCKET, Key=name)["Body"].read()
    bucket.client().put_object(Bucket=BUCKET, Key=name, Body=body[:50] + b"\0" + body[51:])
    bad = verdict(server, "--config", str(config), code=1)
    assert [f"site/one/{wrong['path']}" for wrong in bad["findings"]] == [name]
    log = server.log.read_text()
    assert SECRET not in log and KEY not in log


def test_a_bucket_behind_tls_is_believed_by_the_named_authority_alone(fresh, tmp_path):
    server = BucketServer(tmp_path, authority(tmp_path))
    try:
        key = tmp_path / "key"
        key.write_text(f"{KEY}\n{SECRET}\n")
        place = ["--archive", f"s3://{BUCKET}/site", "--archive-endpoint", server.url, "--archive-key-file", str(key)]
        nightbell = fresh(*SOON, *place).start()
        make_group(nightbell)
        put(nightbell, ["kept"], aws.now_ms())
        deadline = time.monotonic() + ARCHIVE_SECONDS_MAX
        while "certificate" not in nightbell.log.read_text().lower():
            assert time.monotonic() < deadline, nightbell.tail()
            time.sleep(0.2)
        assert server.objects() == [] and found(nightbell) == ["kept"], "what cannot be archived waits"
        assert nightbell.stop() == 0
        nightbell.arguments += ["--archive-ca-file", str(server.ca)]
        nightbell.start()
        deadline = time.monotonic() + ARCHIVE_SECONDS_MAX
        while not any(name.endswith(".parquet") for name in server.objects()):
            assert time.monotonic() < deadline, nightbell.tail()
            time.sleep(0.2)
        assert any(name.startswith("site/chain/") for name in server.objects())
        assert found(nightbell) == ["kept"]
    finally:
        server.close()


def test_retention_takes_events_out_of_answers_at_once_and_off_the_disk_soon(fresh, bucket, tmp_path):
    """Days that have gone by, by events of past days; in a folder, and in a bucket."""
    day = 86_400_000
    key = tmp_path / "key"
    key.write_text(f"{KEY}\n{SECRET}\n")
    place = ["--archive", f"s3://{BUCKET}/days", "--archive-endpoint", bucket.url, "--archive-key-file", str(key)]
    in_folder, in_bucket = fresh(*SOON).start(), fresh(*SOON, *place).start()
    objects = {
        in_folder: lambda: {
            str(path.relative_to(in_folder.data / "archive"))
            for path in (in_folder.data / "archive").rglob("*")
            if path.suffix in (".parquet", ".summary")
        },
        in_bucket: lambda: {
            name.removeprefix("days/")
            for name in bucket.objects()
            if name.startswith("days/") and name.endswith((".parquet", ".summary"))
        },
    }
    now = aws.now_ms()
    for server in objects:
        make_group(server)
        make_group(server, "/kept")
        for days, message in [(6, "six"), (2, "two"), (0, "today")]:
            put(server, [f"{message} days"], now - days * day)
            put(server, [f"{message} days"], now - days * day, "/kept")
    for server, listed in objects.items():
        deadline = time.monotonic() + ARCHIVE_SECONDS_MAX
        while verdict(server)["events"] < 6:
            assert time.monotonic() < deadline, server.tail()
            time.sleep(0.5)
        assert len(listed()) == 12

    def expires(days, left, files):
        heads = {}
        for server in objects:
            heads[server] = command(server, "verify", "--print-head").strip()
            aws.client(server, "logs").put_retention_policy(logGroupName=GROUP, retentionInDays=days)
            assert found(server) == left, "at once"
        for server, listed in objects.items():
            deadline = time.monotonic() + 3 * ARCHIVE_SECONDS_MAX
            while len(listed()) > files:
                assert time.monotonic() < deadline, (listed(), server.tail())
                time.sleep(0.5)
            after = verdict(server, "--head", heads[server], "--deep")
            assert after["sound"] and after["events"] == files // 2
            assert found(server) == left and len(found(server, group="/kept")) == 3

    expires(3, ["two days", "today days"], 10)
    expires(1, ["today days"], 8)
    chain = (in_folder.data / "archive" / "chain").glob("*.json")
    steps = [json.loads(path.read_text())["step"] for path in sorted(chain)]
    removed = [step["removed"] for step in steps if "removed" in step]
    assert [(step["reason"], len(step["files"])) for step in removed] == [("retention", 1), ("retention", 1)]
    # A longer time brings nothing back, and the start finds all in order.
    for server in objects:
        aws.client(server, "logs").put_retention_policy(logGroupName=GROUP, retentionInDays=30)
        assert found(server) == ["today days"]
        server.kill()
        server.start()
        assert found(server) == ["today days"] and verdict(server)["sound"]
