"""Damage that is met at work: a block of the journal, a file of the archive. It is named, the rest is found, and no client
takes an answer with a hole for a whole one."""

import json
import random
import shutil
import string
import time
import urllib.request

import pytest
from support import aws
from support.server import ACCESS_KEY, SECRET_KEY, run

GROUP = "/damage"
ARCHIVE_SECONDS_MAX = 60
KEYS = {"NIGHTBELL_ROOT_ACCESS_KEY_ID": ACCESS_KEY, "NIGHTBELL_ROOT_SECRET_ACCESS_KEY": SECRET_KEY}
EVENTS = 8


def command(server, *words, code=0):
    done = run(*words, "--data", str(server.data), folder=server.folder, **KEYS)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


def metric(server, name):
    with urllib.request.urlopen(server.url + "/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(name + " "))


def fill(server):
    """One block for each event; none lies in another's page of the disk."""
    logs, chance = aws.client(server, "logs"), random.Random(1)
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="s")
    for number in range(EVENTS):
        noise = "".join(chance.choices(string.ascii_letters, k=20_000))
        event = {"timestamp": aws.now_ms(), "message": f"event {number} {noise}"}
        logs.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=[event])


def found(server):
    """The numbers of the events that FilterLogEvents gives, and how many damaged things it says to have left out."""
    answer = aws.client(server, "logs").filter_log_events(logGroupName=GROUP)
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    return [int(event["message"].split()[1]) for event in answer["events"]], headers.get("x-nightbell-left-out")


def flip(path):
    """Damages one byte in the middle of a file."""
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


def query(server):
    """A Logs Insights query as a client of AWS makes it: how it ended, and the numbers of the events."""
    logs = aws.client(server, "logs")
    now = aws.now_ms()
    started = logs.start_query(
        logGroupName=GROUP, startTime=now - 3_600_000, endTime=now, queryString="fields @message | limit 100"
    )
    deadline = time.monotonic() + 30
    while (answer := logs.get_query_results(queryId=started["queryId"]))["status"] == "Running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    rows = [{field["field"]: field["value"] for field in row} for row in answer["results"]]
    return answer["status"], sorted(int(row["@message"].split()[1]) for row in rows)


def assert_told_incomplete(server, whole):
    """Every way to search tells what it has, and that it is not all; gives what was found."""
    numbers, left_out = found(server)
    assert left_out == "1", "the header of FilterLogEvents"
    assert len(numbers) == EVENTS - 1 and set(numbers) < set(whole)
    page = aws.client(server, "logs").get_log_events(logGroupName=GROUP, logStreamName="s", startFromHead=True)
    assert page["ResponseMetadata"]["HTTPHeaders"]["x-nightbell-left-out"] == "1"
    assert query(server) == ("Failed", numbers)
    told = command(server, "query", GROUP, "fields @message", code=1)
    assert "left out: 1" in told.stderr and "not all" in told.stderr
    assert f"{EVENTS - 1} rows" in told.stdout
    told = command(server, "export", GROUP, code=1)
    assert "left out: 1" in told.stderr
    assert len(told.stdout.splitlines()) == EVENTS - 1
    return numbers


def archived(server, events):
    deadline = time.monotonic() + ARCHIVE_SECONDS_MAX
    while True:
        verdict = json.loads(command(server, "verify", "--json").stdout)
        if verdict["events"] >= events:
            assert verdict["events"] == events
            return verdict
        assert time.monotonic() < deadline, (verdict, server.tail())
        time.sleep(0.5)


@pytest.fixture
def tables(fresh, tmp_path):
    """A stopped server whose events lie in files of the journal, not in its log: as a restore puts them there."""
    server = fresh().start()
    fill(server)
    command(server, "backup", str(tmp_path / "backup"))
    assert server.stop() == 0
    shutil.rmtree(server.data)
    command(server, "restore", str(tmp_path / "backup"))
    return server


def test_a_damaged_block_of_the_journal_is_named_and_gone_round(tables):
    server = tables
    whole = list(range(EVENTS))
    [blob] = [path for path in (server.data / "store").rglob("blobs/*") if path.stat().st_size > 50_000]
    flip(blob)
    server.start()
    numbers = assert_told_incomplete(server, whole)
    assert metric(server, "nightbell_broken_blocks_total") >= 1
    assert "a damaged block is left out of a search" in server.log.read_text()
    doctor = run("doctor", "--data", str(server.data), folder=server.folder, **KEYS)
    assert "damaged blocks" in doctor.stdout, doctor.stdout
    # What is filtered from now on is not disturbed by it, and what comes is stored.
    assert server.stop() == 0
    server.arguments += ["--archive-after", "1s"]
    server.start()
    verdict = archived(server, EVENTS - 1)
    assert verdict["sound"] and verdict["left_out"] == 1
    assert "a damaged block stays out of the archive" in server.log.read_text()
    told = command(server, "verify")
    assert "could not be read and are not in the archive: 1" in told.stdout
    # The chain has told of it for good; searches are whole again as far as there is anything to read.
    assert found(server) == (numbers, None)
    assert query(server) == ("Complete", numbers)


def test_a_damaged_file_of_the_archive_is_told_by_every_search(fresh):
    server = fresh("--archive-after", "1s").start()
    fill(server)
    archived(server, EVENTS)
    assert found(server) == (list(range(EVENTS)), None)
    assert query(server) == ("Complete", list(range(EVENTS)))
    files = sorted((server.data / "archive").rglob("*.parquet"))
    sizes = {path: len(path.read_bytes()) for path in files}
    largest = max(sizes, key=sizes.get)
    flip(largest)
    numbers, left_out = found(server)
    assert left_out == "1" and len(numbers) < EVENTS
    assert query(server) == ("Failed", numbers)
    told = command(server, "query", GROUP, "fields @message", code=1)
    assert "left out: 1" in told.stderr and "`nightbell verify`" in told.stderr
    command(server, "export", GROUP, code=1)
    assert str(largest.relative_to(server.data / "archive")) in command(server, "verify", code=1).stdout


def test_groups_come_before_the_query(fresh):
    server = fresh().start()
    fill(server)
    told = command(server, "query", "stats count(*) by @logStream", GROUP, code=1)
    assert "log groups come first" in told.stderr
