"""Logs Insights: StartQuery and its sisters as boto3 and the AWS CLI see them, `nightbell query`, facets and histograms."""

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import time
import uuid

import pytest
from support import aws, windows
from support.server import binary, environment, run
from test_archive import GROUP, SOON, archived, make_group
from test_docs import root_key

ENDED_SECONDS_MAX = 60
QUERIES_RUNNING_MAX = 30
HELD_BYTES_MAX = 64 << 20
HOUR = 3_600_000
MEBIBYTE = 1 << 20

E1 = '{"EventID":4625,"user":"ann","ip":"10.0.0.5"}'
E2 = '{"EventID":4625,"user":"bob","ip":"10.0.0.5"}'
E3 = '{"EventID":4624,"user":"ann","ip":"10.0.1.9"}'
E4 = "plain 4656 secret"


def ended(logs, query_id):
    """The results once the query has ended."""
    end = time.monotonic() + ENDED_SECONDS_MAX
    while True:
        answer = logs.get_query_results(queryId=query_id)
        if answer["status"] not in ("Scheduled", "Running"):
            return answer
        assert time.monotonic() < end, answer
        time.sleep(0.05)


def start(logs, groups, text, **more):
    now = aws.now_ms()
    asked = {"startTime": now - 24 * HOUR, "endTime": now + HOUR, "queryString": text, **more}
    groups = {"logGroupNames": [groups] if isinstance(groups, str) else groups} if groups else {}
    return logs.start_query(**groups, **asked)["queryId"]


def ask(logs, groups, text, **more):
    """The rows of a query as dictionaries without @ptr."""
    answer = ended(logs, start(logs, groups, text, **more))
    assert answer["status"] == "Complete", answer
    return [{f["field"]: f["value"] for f in row if f["field"] != "@ptr"} for row in answer["results"]]


@pytest.fixture
def four(put):
    """The four events of the vectors, a minute apart and all in the last hours."""
    start = aws.now_ms() - 4 * HOUR
    for after, message in enumerate([E1, E2, E3, E4]):
        put(message, at_ms=start + after * 60_000)
    return start


class TestVectors:
    @pytest.mark.parametrize(
        ("text", "rows"),
        [
            ("fields user | filter EventID = 4625 | sort user", [{"user": "ann"}, {"user": "bob"}]),
            (
                "stats count(*) as n by ip | sort n desc",
                [{"ip": "10.0.0.5", "n": "2"}, {"n": "1"}, {"ip": "10.0.1.9", "n": "1"}],
            ),
            ("filter @message like /4656/ | display @message", [{"@message": E4}]),
            ('filter @message like "4625" | stats count_distinct(user)', [{"count_distinct(user)": "2"}]),
            ("filter EventID in [4624, 4625] | display @message | dedup user", [{"@message": E3}, {"@message": E2}]),
            (
                'parse @message "plain * *" as id, word | filter ispresent(id) | display id, word',
                [{"id": "4656", "word": "secret"}],
            ),
            ('filter isIpv4InSubnet(ip, "10.0.0.0/24") | stats count(*)', [{"count(*)": "2"}]),
            ("fields nosuch", [{}, {}, {}, {}]),
            ("fields user | dedup user", [{}, {"user": "ann"}, {"user": "bob"}]),
        ],
    )
    def test_i01_to_i11(self, logs, group, four, text, rows):
        assert ask(logs, group, text) == rows

    def test_i08_one_row_for_each_hour_with_events(self, logs, group, put):
        hour = aws.now_ms() // HOUR * HOUR - 10 * HOUR
        put(E1, E2, at_ms=hour)
        put(E3, at_ms=hour + HOUR)
        put(E4, at_ms=hour + 3 * HOUR)
        rows = ask(logs, group, "stats count(*) as n by bin(1h)")
        assert [row["n"] for row in rows] == ["2", "1", "1"]
        assert len({row["bin(1h)"] for row in rows}) == 3

    @pytest.mark.parametrize("text", ["filter (", "dedup user | sort user", "fields a | union b", "x" * 10_001])
    def test_i10_and_i13_what_is_no_query_tells_its_place(self, logs, group, text):
        with aws.refused("MalformedQueryException") as caught:
            start(logs, group, text)
        told = caught.value.response["queryCompileError"]
        assert told["message"]
        assert 0 <= told["location"]["startCharOffset"] <= told["location"]["endCharOffset"] <= len(text)

    def test_i12_the_natural_order(self, logs, group, put):
        texts = ["2345_", "5A", "111A", "0#", "A", "a12", "3", "01", "0", "#", "!", "@"]
        put(*texts)
        rows = ask(logs, group, "fields @message | sort @message")
        assert [row["@message"] for row in rows] == "! # 0# 5A 111A 2345_ @ A a12 0 01 3".split()

    def test_windows_events_answer_by_what_they_mean(self, logs, group, put):
        now = aws.now_ms()
        put(*(windows.denied_open(user=user, at_ms=now) for user in ("alice", "alice", "bob")), at_ms=now)
        text = 'filter EventID = 4656 and Audit.Outcome = "failure" | stats count(*) as n by Audit.User | sort n desc'
        rows = ask(logs, group, text)
        assert rows == [{"Audit.User": "corp\\alice", "n": "2"}, {"Audit.User": "corp\\bob", "n": "1"}]


class TestQueries:
    def test_the_answer_has_statistics_and_pointers(self, logs, group, four):
        answer = ended(logs, start(logs, group, "filter EventID = 4625"))
        assert answer["queryLanguage"] == "CWLI"
        statistics = answer["statistics"]
        assert (statistics["recordsMatched"], statistics["recordsScanned"]) == (2, 4)
        assert statistics["bytesScanned"] == sum(map(len, [E1, E2, E3, E4]))
        assert statistics["logGroupsScanned"] == 1
        names = [[f["field"] for f in row] for row in answer["results"]]
        assert names == [["@timestamp", "@message", "@ptr"]] * 2
        assert len({row[2]["value"] for row in answer["results"]}) == 2
        answer = ended(logs, start(logs, group, "stats count(*)"))
        assert [f["field"] for f in answer["results"][0]] == ["count(*)"]

    def test_a_pointer_leads_to_its_record(self, logs, group, put):
        at = aws.now_ms()
        put('{"a":{"b":[1,"x"]},"ok":true}', at_ms=at)
        put(windows.denied_open(user="alice", at_ms=at), at_ms=at)
        answer = ended(logs, start(logs, group, "fields @ptr, @log, @logStream | sort @message"))
        records = []
        for row in answer["results"]:
            shown = {f["field"]: f["value"] for f in row}
            record = logs.get_log_record(logRecordPointer=shown["@ptr"])["logRecord"]
            assert {name: record[name] for name in shown} == shown
            assert record["@timestamp"] == str(at)
            records.append(record)
        xml, plain = records
        assert (plain["a.b.0"], plain["a.b.1"], plain["ok"]) == ("1", "x", "1")
        assert (xml["EventID"], xml["Audit.User"], xml["SubjectUserName"]) == ("4656", "corp\\alice", "alice")
        assert xml["@message"].startswith("<Event")
        with aws.refused("InvalidParameterException", "@ptr"):
            logs.get_log_record(logRecordPointer="x")
        gone = plain["@ptr"].replace(str(at), str(at - 1))
        with aws.refused("ResourceNotFoundException"):
            logs.get_log_record(logRecordPointer=gone)

    def test_two_groups_by_names_identifiers_and_arns(self, logs, group, put, server):
        other = aws.unique("/aws/fsx/other")
        logs.create_log_group(logGroupName=other)
        logs.create_log_stream(logGroupName=other, logStreamName="t")
        put(E1)
        event = {"timestamp": aws.now_ms(), "message": E2}
        logs.put_log_events(logGroupName=other, logStreamName="t", logEvents=[event])
        text = "stats count(*) as n by @log, @logStream, user"
        rows = [
            {"@log": f"123456789012:{other}", "@logStream": "t", "user": "bob", "n": "1"},
            {"@log": f"123456789012:{group}", "@logStream": "s", "user": "ann", "n": "1"},
        ]
        assert ask(logs, [group, other], text) == rows
        arn = f"arn:aws:logs:us-east-2:123456789012:log-group:{other}"
        assert ask(logs, None, text, logGroupIdentifiers=[group, arn]) == rows
        assert ask(logs, None, text, logGroupName=other) == rows[:1]
        assert ask(logs, [other, other], text) == rows[:1]
        for wrong in [
            {},
            {"logGroupName": group, "logGroupNames": [other]},
            {"logGroupNames": []},
            {"logGroupNames": [f"g{n}" for n in range(51)]},
            {"logGroupIdentifiers": [arn + ":*"]},
            {"logGroupIdentifiers": [arn.replace("us-east-2", "eu-west-1")]},
        ]:
            with aws.refused("InvalidParameterException"):
                start(logs, None, text, **wrong)
        with aws.refused("ResourceNotFoundException", "no-such-group"):
            start(logs, "no-such-group", text)

    def test_times_are_seconds_or_milliseconds_with_both_ends(self, logs, group, put):
        second = aws.now_ms() // 1000 - 100
        put(E1, at_ms=second * 1000)
        put(E2, at_ms=second * 1000 + 999)
        put(E3, at_ms=second * 1000 + 1000)
        text = "fields @timestamp | stats count(*) as n"

        def count(start, end):
            rows = ask(logs, group, text, startTime=start, endTime=end)
            return int(rows[0]["n"]) if rows else 0

        assert count(second, second) == 2
        assert count(second * 1000, second * 1000) == 1
        assert count(second * 1000 + 1, second * 1000 + 1000) == 2
        assert count(second - 10, second - 1) == 0
        with aws.refused("InvalidParameterException", "End time"):
            start(logs, group, text, startTime=second, endTime=second - 1)

    def test_limits_of_the_request_and_of_the_text(self, logs, group, put):
        put(*(f"event {n}" for n in range(30)))
        assert len(ask(logs, group, "fields @message")) == 30
        assert len(ask(logs, group, "fields @message", limit=7)) == 7
        assert len(ask(logs, group, "fields @message | limit 12", limit=7)) == 12
        for wrong in (0, 10_001):
            with aws.refused("InvalidParameterException", "limit"):
                start(logs, group, "fields @message", limit=wrong)
        with aws.refused("InvalidParameterException", "queryLanguage"):
            start(logs, group, "SELECT 1", queryLanguage="SQL")

    def test_what_was_asked_is_listed(self, logs, group, four):
        texts = [f"fields user | limit {n}" for n in range(1, 6)]
        ids = [start(logs, group, text) for text in texts]
        for query_id in ids:
            ended(logs, query_id)
        listed = logs.describe_queries(logGroupName=group)["queries"]
        assert [(q["queryId"], q["queryString"]) for q in listed] == list(zip(ids, texts))[::-1]
        assert {(q["status"], q["logGroupName"], q["queryLanguage"]) for q in listed} == {("Complete", group, "CWLI")}
        assert all(abs(q["createTime"] - aws.now_ms()) < 60_000 for q in listed)
        assert logs.describe_queries(logGroupName=group, status="Failed")["queries"] == []
        paged, token = [], {}
        while True:
            page = logs.describe_queries(logGroupName=group, maxResults=2, **token)
            paged += [q["queryId"] for q in page["queries"]]
            if "nextToken" not in page:
                break
            token = {"nextToken": page["nextToken"]}
        assert paged == ids[::-1]
        with aws.refused("InvalidParameterException", "status"):
            logs.describe_queries(status="Odd")

    def test_unknown_ids_and_ended_queries(self, logs, group, four):
        for call in (logs.get_query_results, logs.stop_query):
            with aws.refused("ResourceNotFoundException"):
                call(queryId=str(uuid.uuid4()))
        query_id = start(logs, group, "fields user")
        ended(logs, query_id)
        with aws.refused("InvalidParameterException", "Complete"):
            logs.stop_query(queryId=query_id)

    def test_another_region_sees_nothing_of_it(self, server, logs, group, four):
        query_id = start(logs, group, "fields user")
        elsewhere = aws.client(server, "logs", region="eu-west-1")
        with aws.refused("ResourceNotFoundException"):
            elsewhere.get_query_results(queryId=query_id)
        assert elsewhere.describe_queries()["queries"] == []

    def test_the_aws_cli_asks(self, server, group, four):
        now = aws.now_ms() // 1000
        times = ["--start-time", str(now - 86_400), "--end-time", str(now)]
        text = "stats count(*) as n by user | sort n desc | limit 1"
        started = aws.cli(server, "logs", "start-query", "--log-group-name", group, *times, "--query-string", text)
        end = time.monotonic() + ENDED_SECONDS_MAX
        while True:
            answer = aws.cli(server, "logs", "get-query-results", "--query-id", started["queryId"])
            if answer["status"] != "Running" or time.monotonic() > end:
                break
        assert answer["status"] == "Complete"
        assert answer["results"] == [[{"field": "user", "value": "ann"}, {"field": "n", "value": "2"}]]


class TestDefinitions:
    def test_they_are_kept_changed_listed_and_deleted(self, logs):
        name = aws.unique("audit/denied")
        text = "filter Audit.Outcome = 'failure'"
        made = logs.put_query_definition(name=name, queryString=text, logGroupNames=["/aws/fsx/windows"])
        [shown] = logs.describe_query_definitions(queryDefinitionNamePrefix=name)["queryDefinitions"]
        assert (shown["name"], shown["queryString"], shown["logGroupNames"]) == (name, text, ["/aws/fsx/windows"])
        definition = made["queryDefinitionId"]
        assert shown["queryDefinitionId"] == definition
        logs.put_query_definition(queryDefinitionId=definition, name=name + "2", queryString="fields a")
        [shown] = logs.describe_query_definitions(queryDefinitionNamePrefix=name)["queryDefinitions"]
        assert (shown["name"], shown["queryString"], shown["logGroupNames"]) == (name + "2", "fields a", [])
        assert logs.delete_query_definition(queryDefinitionId=definition)["success"]
        assert logs.describe_query_definitions(queryDefinitionNamePrefix=name)["queryDefinitions"] == []
        with aws.refused("ResourceNotFoundException"):
            logs.delete_query_definition(queryDefinitionId=definition)
        with aws.refused("ResourceNotFoundException"):
            logs.put_query_definition(queryDefinitionId=definition, name=name, queryString=text)

    def test_they_survive_a_restart(self, fresh):
        server = fresh().start()
        aws.client(server, "logs").put_query_definition(name="a", queryString="fields b")
        assert server.stop() == 0
        server.start()
        [shown] = aws.client(server, "logs").describe_query_definitions()["queryDefinitions"]
        assert shown["name"] == "a"

    @pytest.mark.parametrize(
        "wrong",
        [{"name": ""}, {"name": "x" * 256}, {"queryString": ""}, {"queryString": "x" * 10_001}, {"logGroupNames": ["a b"]}],
    )
    def test_limits(self, logs, wrong):
        with aws.refused("InvalidParameterException"):
            logs.put_query_definition(**{"name": "a", "queryString": "fields b", **wrong})


def fill(logs, group, messages):
    """Stores many messages, a mebibyte at a time."""
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    events, size = [], 0
    at = aws.now_ms()

    def flush():
        if events:
            logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)

    for message in messages:
        cost = len(message) + 26
        if size + cost > MEBIBYTE or len(events) == 10_000:
            flush()
            events, size = [], 0
        events.append({"timestamp": at, "message": message})
        size += cost
    flush()


def resident_bytes(server) -> int:
    with open(f"/proc/{server.process.pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) * 1024


class TestMany:
    # Long enough that 31 queries are asked while the first ones read.
    SLOW = "stats count_distinct(Audit.User), count(Audit.Folder), count(Audit.Channel) by EventID, Audit.Path.1"

    @pytest.fixture
    def busy(self, fresh):
        server = fresh().start()
        logs = aws.client(server, "logs", timeout=60)
        now = aws.now_ms()
        fill(logs, "big", (windows.denied_open(user=f"user{n % 500}", at_ms=now) for n in range(40_000)))
        return server, logs

    def test_the_31st_is_refused_partial_results_are_shown_and_queries_are_stopped(self, busy):
        server, logs = busy
        ids = [start(logs, "big", self.SLOW) for _ in range(QUERIES_RUNNING_MAX)]
        with aws.refused("LimitExceededException", "30"):
            start(logs, "big", self.SLOW)
        running = logs.describe_queries(status="Running")["queries"]
        assert len(running) == QUERIES_RUNNING_MAX
        end = time.monotonic() + ENDED_SECONDS_MAX
        while True:
            partial = logs.get_query_results(queryId=ids[0])
            if partial["results"] or partial["status"] != "Running" or time.monotonic() > end:
                break
            time.sleep(0.05)
        assert partial["status"] == "Running" and partial["results"], "results are shown while it runs"
        scanned = partial["statistics"]["recordsScanned"]
        assert 0 < scanned < 40_000

        # Others are served meanwhile.
        event = {"timestamp": aws.now_ms(), "message": "x"}
        logs.put_log_events(logGroupName="big", logStreamName="s", logEvents=[event])

        for query_id in ids:
            assert logs.stop_query(queryId=query_id)["success"]
        answer = logs.get_query_results(queryId=ids[0])
        assert answer["status"] == "Cancelled" and answer["results"], "what was found stays"
        with aws.refused("InvalidParameterException", "Cancelled"):
            logs.stop_query(queryId=ids[0])
        assert len(logs.describe_queries(status="Cancelled")["queries"]) == QUERIES_RUNNING_MAX
        assert ended(logs, start(logs, "big", "stats count(*) | limit 1"))["status"] == "Complete"

    def test_ctrl_c_stops_the_query_on_the_server(self, busy):
        server, logs = busy
        others = [start(logs, "big", self.SLOW) for _ in range(10)]
        command = [str(binary()), "query", "--data", str(server.data), "big", self.SLOW]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(server.folder, **root_key(server)),
        )
        end = time.monotonic() + ENDED_SECONDS_MAX
        while len(logs.describe_queries()["queries"]) == len(others):
            assert time.monotonic() < end and process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=ENDED_SECONDS_MAX)
        assert process.returncode != 0
        assert "stopped" in complaint
        newest = logs.describe_queries(maxResults=1)["queries"][0]
        assert newest["status"] == "Cancelled"
        for query_id in others:
            logs.stop_query(queryId=query_id)

    def test_a_query_past_its_memory_fails_and_says_so(self, fresh):
        server = fresh().start()
        logs = aws.client(server, "logs", timeout=60)
        fill(logs, "wide", (f"{n} " + "x" * 200_000 for n in range(450)))
        before = resident_bytes(server)
        ids = [start(logs, "wide", "stats count(*) by @message") for _ in range(3)]
        for query_id in ids:
            answer = ended(logs, query_id)
            assert answer["status"] == "Failed"
        command = run("query", "--data", str(server.data), "wide", "stats count(*) by @message", folder=server.folder, **root_key(server))
        assert command.returncode != 0
        assert str(HELD_BYTES_MAX) in command.stderr and "filter more" in command.stderr
        assert resident_bytes(server) - before < 600 * MEBIBYTE
        rows = ended(logs, start(logs, "wide", "stats count(*) as n"))["results"]
        assert rows == [[{"field": "n", "value": "450"}]]


class TestArchive:
    def test_the_answer_is_the_same_from_the_archive_and_its_columns_do(self, fresh):
        server = fresh(*SOON).start()
        logs = make_group(server)
        start_ms = aws.now_ms() - 3 * HOUR
        messages = [windows.denied_open(user=f"user{n % 7}", at_ms=start_ms + n * 60_000) for n in range(100)]
        messages += [E1, E4]
        events = [{"timestamp": start_ms + n * 60_000, "message": m} for n, m in enumerate(messages)]
        logs.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=events)
        by_columns = [
            "stats count(*) as n by Audit.User | sort n desc",
            'filter Audit.User = "corp\\user3" and EventID = 4656 | fields @timestamp, Audit.File, Audit.Reason',
            "stats count(*), count(Audit.Folder) by bin(1h)",
        ]
        by_messages = [
            "filter user = 'ann'",
            "stats count(*) as n by SubjectUserName",
            "filter @message like 'plain' | display @message, @ptr",
        ]
        before = [ended(logs, start(logs, GROUP, text)) for text in by_columns + by_messages]
        archived(server, len(messages))
        for text, seen in zip(by_columns + by_messages, before):
            answer = ended(logs, start(logs, GROUP, text))
            assert answer["results"] == seen["results"] and answer["results"], text
            assert answer["statistics"]["recordsMatched"] == seen["statistics"]["recordsMatched"], text
            assert (answer["statistics"]["bytesScanned"] == 0) == (text in by_columns), (text, answer["statistics"])
        # A pointer leads to its event wherever that lies now.
        pointer = {f["field"]: f["value"] for f in before[-1]["results"][0]}["@ptr"]
        assert logs.get_log_record(logRecordPointer=pointer)["logRecord"]["@message"] == E4


@pytest.fixture
def asks(server):
    """What `nightbell query` prints."""

    def command(*arguments, fails=False):
        done = run("query", "--data", str(server.data), *arguments, folder=server.folder, **root_key(server))
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    return command


class TestCommand:
    def test_a_table(self, asks, group, four):
        text = asks("--since", "1d", group, "stats count(*) as n by user | sort n desc")
        lines = text.splitlines()
        assert lines[0].split() == ["user", "n"]
        assert [line.split() for line in lines[1:3]] == [["ann", "2"], ["1"]] or lines[1].split() == ["ann", "2"]
        assert lines[-1].startswith("3 rows; 4 of 4 records matched")

    def test_the_last_hour_is_asked_unless_told_otherwise(self, asks, group, four):
        assert "0 rows" in asks(group, "fields user")
        assert "4 rows" in asks("--since", "1d", group, "fields user")
        assert "0 rows" in asks("--from", "2d", "--to", "1d", group, "fields user")

    def test_json_and_csv(self, asks, group, put):
        put('{"user":"a,b","note":"say \\"hi\\""}')
        answer = json.loads(asks("--json", group, "fields user, note, nosuch"))
        assert answer["status"] == "Complete"
        [row] = answer["results"]
        assert (row["user"], row["note"]) == ("a,b", 'say "hi"') and "@ptr" in row
        rows = list(csv.reader(io.StringIO(asks("--csv", group, "fields user, note, nosuch"))))
        assert rows == [["user", "note", "nosuch"], ["a,b", 'say "hi"', ""]]

    def test_hostile_events_do_not_speak_to_the_terminal(self, asks, group, put):
        put("red \x1b[31m\x07 and\nmore")
        text = asks(group, "fields @message")
        assert "\x1b" not in text and "\x07" not in text
        assert len(text.splitlines()) == 3

    def test_a_mistake_is_shown_at_its_place(self, asks, group):
        lines = asks(group, "fields user | filtre x = 1", fails=True).splitlines()
        assert lines[1].strip() == "fields user | filtre x = 1"
        assert lines[1][lines[2].index("^") :].startswith("filtre")

    def test_without_groups_all_are_asked(self, fresh):
        server = fresh().start()
        logs = aws.client(server, "logs")
        for name in ("one", "two"):
            fill(logs, name, [E1])
        done = run(
            "query", "--data", str(server.data), "stats count(*) as n by @log", folder=server.folder, **root_key(server)
        )
        assert done.returncode == 0, done.stderr
        assert "two" in done.stdout and "one" in done.stdout

    def test_a_group_that_is_not_there(self, asks):
        assert "no-such-group" in asks("no-such-group", "fields a", fails=True)

    def test_a_terminal_gets_bars_within_its_width(self, server, group, put):
        hour = aws.now_ms() // HOUR * HOUR
        for hours, count in ((5, 8), (4, 4), (1, 1)):
            put(*[E1] * count, at_ms=hour - hours * HOUR)
        text = on_terminal(server, "--since", "1d", group, "stats count(*) as n by bin(1h)", width=70)
        lines = [line.rstrip() for line in text.splitlines() if line.strip()]
        bars = [line.count("█") for line in lines]
        assert bars[:1] == [0] and bars[1] == 2 * bars[2] > 0, text
        assert lines[3] == "⋮", text
        assert all(len(line) <= 70 for line in lines), text
        wide = on_terminal(server, "--since", "1d", group, "fields @message, @message as again", width=40)
        assert "…" in wide and all(len(line) <= 40 for line in wide.splitlines()[:-1]), wide


def on_terminal(server, *arguments, width):
    """What the command prints on a terminal of this width."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    process = subprocess.Popen(
        [str(binary()), "query", "--data", str(server.data), *arguments],
        stdout=theirs,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=environment(server.folder, **root_key(server)),
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            more = os.read(ours, 65_536)
        except OSError:  # how a terminal says that nobody is left
            break
        if not more:
            break
        seen += more
    os.close(ours)
    _, complaint = process.communicate(timeout=ENDED_SECONDS_MAX)
    assert process.returncode == 0, complaint
    return seen.decode().replace("\r\n", "\n")


def own(server, path, **request):
    """Status and answer of one of Nightbell's own addresses."""
    body = json.dumps(request).encode()
    headers = aws.sign(server, "nightbell", body, {"content-type": "application/json"}, path=path)
    status, _, answer = aws.send(server, body, headers, path=path)
    return status, json.loads(answer) if status == 200 else answer.decode()


class TestConsole:
    def test_a_histogram(self, server, group, put):
        hour = aws.now_ms() // HOUR * HOUR - 10 * HOUR
        put(E1, E2, E4, at_ms=hour)
        put(E3, at_ms=hour + 2 * HOUR)
        span = {"groups": [group], "from": hour, "to": hour + 3 * HOUR - 1}
        status, answer = own(server, "/_nightbell/histogram", **span, buckets=3, wait_ms=10_000)
        assert status == 200, answer
        assert (answer["status"], answer["progress"]) == ("Complete", 1.0)
        histogram = answer["histogram"]
        assert histogram["period"] == "1h"
        assert histogram["buckets"] == [{"from": hour, "count": 3}, {"from": hour + 2 * HOUR, "count": 1}]
        status, answer = own(
            server, "/_nightbell/histogram", **span, buckets=3, pattern="{ $.user = ann }", wait_ms=10_000
        )
        assert [bucket["count"] for bucket in answer["histogram"]["buckets"]] == [1, 1]

    def test_facets(self, server, group, put):
        now = aws.now_ms()
        users = [f"user{n}" for n in range(12)] + ["alice"] * 5
        put(*(windows.denied_open(user=user, at_ms=now) for user in users), at_ms=now)
        span = {"groups": [group], "from": now - 1000, "to": now + 1000}
        status, answer = own(server, "/_nightbell/facets", **span)
        assert status == 200, answer
        while answer["status"] == "Running":
            status, answer = own(server, "/_nightbell/facets", id=answer["id"], wait_ms=10_000)
        facets = {facet["field"]: facet for facet in answer["facets"]}
        assert facets["EventID"]["values"] == [{"value": "4656", "count": 17}]
        assert facets["Audit.User"]["values"][0] == {"value": "corp\\alice", "count": 5}
        assert len(facets["Audit.User"]["values"]) == 10 and facets["Audit.User"]["more"]
        assert not facets["Audit.Outcome"]["more"]
        assert all("incomplete" not in facet for facet in answer["facets"])
        assert aws.client(server, "logs").describe_queries(logGroupName=group)["queries"] == []

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"groups": []}, "groups"),
            ({"groups": ["no-such-group"]}, "no-such-group"),
            ({"to": -1}, "from, to"),
            ({"buckets": 0}, "buckets"),
            ({"pattern": "{ $.a = "}, "pattern"),
            ({"wait_ms": 10_001}, "wait_ms"),
            ({"odd": 1}, "odd"),
        ],
    )
    def test_what_is_wrong_is_named(self, server, group, wrong, said):
        status, answer = own(server, "/_nightbell/histogram", **{"groups": [group], "from": 0, "to": 1, **wrong})
        assert status == 400 and said in answer, answer

    def test_an_id_of_nothing(self, server):
        status, answer = own(server, "/_nightbell/facets", id="x")
        assert status == 404, answer


def test_a_reset_forgets_queries(fresh):
    server = fresh("--allow-reset").start()
    logs = aws.client(server, "logs")
    fill(logs, "g", [E1])
    query_id = start(logs, "g", "fields user")
    ended(logs, query_id)
    status, _, _ = aws.send(server, b"", {}, path="/_nightbell/reset")
    assert status == 200
    assert logs.describe_queries()["queries"] == []
    with aws.refused("ResourceNotFoundException"):
        logs.get_query_results(queryId=query_id)
