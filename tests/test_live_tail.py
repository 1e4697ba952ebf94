"""Live tails: StartLiveTail through botocore's own event-stream parser, and `nightbell tail` as a person runs it."""

import contextlib
import json
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import botocore.config
import botocore.session
import pytest
from botocore.exceptions import EventStreamError
from support import aws
from support.aws import now_ms, refused, unique
from support.server import ACCESS_KEY, ACCOUNT, REGION, SECRET_KEY, binary
from support.windows import denied_open

SECONDS_MAX = 30
SESSIONS_MAX = 15
MEGABYTE = 1_048_576


def arn(group, region=REGION, account=ACCOUNT):
    return f"arn:aws:logs:{region}:{account}:log-group:{group}"


def tail_client(server):
    """A client that does not put `stream-` before the server's name, as `nightbell env` tells clients."""
    return botocore.session.Session().create_client(
        "logs",
        region_name=REGION,
        endpoint_url=server.url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=botocore.config.Config(
            inject_host_prefix=False, retries={"total_max_attempts": 1}, read_timeout=SECONDS_MAX, parameter_validation=False
        ),
    )


class Tailed:
    """A session that is read; its first message has come."""

    def __init__(self, server, *groups, **arguments):
        arguments.setdefault("logGroupIdentifiers", [arn(group) for group in groups])
        self.answer = tail_client(server).start_live_tail(**arguments)
        self.stream = self.answer["responseStream"]
        self.messages = iter(self.stream)
        self.start = next(self.messages)["sessionStart"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()

    def update(self):
        return next(self.messages)["sessionUpdate"]

    def events(self, count):
        """The next so many events, of as many updates as they need."""
        found, end = [], time.monotonic() + SECONDS_MAX
        while len(found) < count:
            assert time.monotonic() < end, found
            found += self.update()["sessionResults"]
        assert len(found) == count, found
        return found

    def texts(self, count):
        return [event["message"] for event in self.events(count)]


def sessions(server):
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        return int(re.search(r"^nightbell_live_tails (\d+)", answer.read().decode(), flags=re.MULTILINE)[1])


def until(true):
    """Waits until it is."""
    end = time.monotonic() + SECONDS_MAX
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def memory_mb(server):
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


class TestSession:
    def test_events_come_with_the_next_update(self, server, group, put):
        put("before")
        with Tailed(server, group) as tail:
            assert tail.answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/vnd.amazon.eventstream"
            assert tail.start["logGroupIdentifiers"] == [arn(group)]
            assert tail.start["requestId"] == tail.answer["ResponseMetadata"]["RequestId"]
            assert tail.start["sessionId"]
            at = now_ms()
            put("first", "second", at_ms=at)
            first, second = tail.events(2)
            assert (first["message"], second["message"]) == ("first", "second")
            assert first["logGroupIdentifier"] == arn(group)
            assert first["logStreamName"] == "s"
            assert first["timestamp"] == at
            assert at - 60_000 < first["ingestionTime"] < at + 60_000
            put("third")
            assert tail.texts(1) == ["third"]

    def test_an_update_comes_each_second_also_when_there_is_nothing(self, server, group):
        with Tailed(server, group) as tail:
            begun = time.monotonic()
            for _ in range(3):
                assert tail.update() == {"sessionMetadata": {"sampled": False}, "sessionResults": []}
            assert time.monotonic() - begun > 2.5, "three updates take three seconds"

    def test_a_pattern_chooses(self, server, group, put):
        pattern = "{ $.Audit.Outcome = failure }"
        with Tailed(server, group, logEventFilterPattern=pattern) as tail:
            assert tail.start["logEventFilterPattern"] == pattern
            event = denied_open(at_ms=now_ms())
            put("nothing", event, "else")
            put(denied_open(at_ms=now_ms(), keywords="0x8020000000000000"))
            put(event)
            assert tail.texts(2) == [event, event]

    def test_names_and_prefixes_choose_streams(self, server, logs, group, put):
        for name in ("web-1", "web-2", "db-1"):
            logs.create_log_stream(logGroupName=group, logStreamName=name)
        with (
            Tailed(server, group, logStreamNames=["web-1", "later"]) as named,
            Tailed(server, group, logStreamNamePrefixes=["web-", "later"]) as prefixed,
        ):
            assert named.start["logStreamNames"] == ["web-1", "later"]
            assert prefixed.start["logStreamNamePrefixes"] == ["web-", "later"]
            logs.create_log_stream(logGroupName=group, logStreamName="later")
            for name in ("web-1", "web-2", "db-1", "later"):
                put(name, stream=name)
            assert named.texts(2) == ["web-1", "later"]
            assert prefixed.texts(3) == ["web-1", "web-2", "later"]

    def test_several_groups(self, server, logs, group, put):
        other = unique("other")
        logs.create_log_group(logGroupName=other)
        logs.create_log_stream(logGroupName=other, logStreamName="t")
        with Tailed(server, group, other) as tail:
            put("one")
            event = {"timestamp": now_ms(), "message": "two"}
            logs.put_log_events(logGroupName=other, logStreamName="t", logEvents=[event])
            found = [(event["logGroupIdentifier"], event["message"]) for event in tail.events(2)]
            assert found == [(arn(group), "one"), (arn(other), "two")]

    def test_a_group_that_is_made_again_goes_on(self, server, logs, group, put):
        with Tailed(server, group) as tail:
            put("old")
            assert tail.texts(1) == ["old"]
            logs.delete_log_group(logGroupName=group)
            logs.create_log_group(logGroupName=group)
            logs.create_log_stream(logGroupName=group, logStreamName="s")
            put("new")
            assert tail.texts(1) == ["new"]

    def test_of_too_many_events_a_sample_is_shown(self, server, group, put):
        with Tailed(server, group) as tail:
            put(*(f"{n:05}" for n in range(4_000)))
            update = tail.update()
            while not update["sessionResults"]:
                update = tail.update()
            shown = [int(event["message"]) for event in update["sessionResults"]]
            assert update["sessionMetadata"]["sampled"] is True
            assert len(shown) == 500 and shown == sorted(set(shown))
            quarters = [sum(n // 1_000 == quarter for n in shown) for quarter in range(4)]
            assert min(quarters) > 60, "125 of each are expected"
            # The rest does not come later.
            assert tail.update() == {"sessionMetadata": {"sampled": False}, "sessionResults": []}

    def test_long_events_are_bounded_by_bytes(self, server, group, put):
        with Tailed(server, group) as tail:
            for n in range(3):
                put(f"{n}" + "\x01" * (900_000))
            seen, sampled = [], False
            until_then = time.monotonic() + SECONDS_MAX
            while not seen or not (sampled or len(seen) == 3):
                assert time.monotonic() < until_then
                update = tail.update()
                seen += [event["message"][0] for event in update["sessionResults"]]
                sampled |= update["sessionMetadata"]["sampled"]
                assert sum(len(event["message"]) for event in update["sessionResults"]) <= MEGABYTE
            put("last")
            while (update := tail.update())["sessionResults"] == []:
                pass
            assert update["sessionResults"][-1]["message"] == "last"


class TestRefusals:
    def test_what_is_asked_wrongly(self, server, logs, group):
        client = tail_client(server)
        start = client.start_live_tail
        for arguments, text in [
            ({"logGroupIdentifiers": []}, "between 1 and 10"),
            ({"logGroupIdentifiers": [arn(group)] * 11}, "between 1 and 10"),
            ({}, "logGroupIdentifiers"),
            ({"logGroupIdentifiers": [arn(group) + ":*"]}, "asterisk"),
            ({"logGroupIdentifiers": [group]}, "is not the ARN of a log group"),
            ({"logGroupIdentifiers": [f"arn:aws:logs:{REGION}:log-group:{group}"]}, "is not the ARN of a log group"),
            ({"logGroupIdentifiers": [arn("a" * 3_000)]}, "2048"),
            ({"logGroupIdentifiers": [arn(group)], "logStreamNames": ["a"], "logStreamNamePrefixes": ["b"]}, "exclusive"),
            ({"logGroupIdentifiers": [arn(group)] * 2, "logStreamNames": ["a"]}, "single log group"),
            ({"logGroupIdentifiers": [arn(group)], "logStreamNames": ["a"] * 101}, "between 1 and 100"),
            ({"logGroupIdentifiers": [arn(group)], "logStreamNamePrefixes": []}, "between 1 and 100"),
        ]:
            with refused("InvalidParameterException", text):
                start(**arguments)
        for missing in (arn(unique("missing")), arn(group, region="eu-west-1"), arn(group, account="999999999999")):
            with refused("ResourceNotFoundException", "The specified log group does not exist."):
                start(logGroupIdentifiers=[missing])

    def test_a_wrong_pattern_is_told_as_by_filter_log_events(self, server, logs, group):
        with refused("InvalidParameterException") as filtered:
            logs.filter_log_events(logGroupName=group, filterPattern="{ $.a = ")
        with refused("InvalidParameterException") as tailed:
            tail_client(server).start_live_tail(logGroupIdentifiers=[arn(group)], logEventFilterPattern="{ $.a = ")
        assert tailed.value.response["Error"]["Message"] == filtered.value.response["Error"]["Message"]

    def test_there_may_be_so_many_sessions_and_one_that_ends_makes_room(self, fresh):
        server = fresh().start()
        logs = aws.client(server, "logs")
        logs.create_log_group(logGroupName="g")
        tails = [Tailed(server, "g") for _ in range(SESSIONS_MAX)]
        assert sessions(server) == SESSIONS_MAX
        with refused("LimitExceededException", str(SESSIONS_MAX)):
            tail_client(server).start_live_tail(logGroupIdentifiers=[arn("g")])
        tails.pop().stream.close()
        until(lambda: sessions(server) < SESSIONS_MAX)
        tails.append(Tailed(server, "g"))
        for tail in tails:
            tail.stream.close()
        until(lambda: sessions(server) == 0)

    def test_a_server_that_stops_ends_its_sessions(self, fresh):
        server = fresh().start()
        logs = aws.client(server, "logs")
        logs.create_log_group(logGroupName="g")
        tail = Tailed(server, "g")
        stopped = threading.Thread(target=server.stop)
        stopped.start()
        with pytest.raises(EventStreamError, match="SessionStreamingException.*stopping"):
            for _ in tail.messages:
                pass
        stopped.join()
        assert server.process is None


def asked_raw(server, group, buffer=4_096):
    """A session asked for on a socket that nobody reads from."""
    body = json.dumps({"logGroupIdentifiers": [arn(group)]}).encode()
    headers = aws.sign(server, "logs", body, aws.logs_headers("StartLiveTail"))
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.connect((server.host, server.port))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    connection.sendall(f"POST / HTTP/1.1\r\n{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def test_clients_that_do_not_read_cost_no_memory_and_hold_nobody_up(fresh):
    server = fresh().start()
    logs = aws.client(server, "logs")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")

    def send(megabytes):
        # 500 events of 2,000 bytes are what an update holds.
        for _ in range(megabytes):
            events = [{"timestamp": now_ms(), "message": "x" * 2_000} for _ in range(500)]
            logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=events)

    send(60)
    silent = [asked_raw(server, "g") for _ in range(SESSIONS_MAX - 1)]
    until(lambda: sessions(server) == SESSIONS_MAX - 1)
    before = memory_mb(server)
    for _ in range(12):
        send(2)
        time.sleep(1)
    # Each holds an update of 1 MB; if updates waited for their clients, these were 12 MB for each.
    assert memory_mb(server) < before + 6 * SESSIONS_MAX, "memory does not grow with what is not read"
    with Tailed(server, "g") as tail:
        event = {"timestamp": now_ms(), "message": "still here"}
        logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[event])
        assert tail.texts(1) == ["still here"]
    # One that begins to read again is shown what is new; what it has missed may be left out.
    body, end = b"", time.monotonic() + SECONDS_MAX
    silent[0].settimeout(0.2)
    while b"still here" not in body:
        assert time.monotonic() < end
        event = {"timestamp": now_ms(), "message": "still here"}
        logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[event])
        with contextlib.suppress(TimeoutError):
            while piece := silent[0].recv(65_536):
                body = body[-100:] + piece
                if b"still here" in body:
                    break
            assert piece, "the connection is still there"
    for connection in silent:
        connection.close()
    until(lambda: sessions(server) == 0)


class TestRealClients:
    def test_the_aws_cli_reaches_it_with_what_nightbell_env_says(self, server, group, put):
        exports = subprocess.run(
            [str(binary()), "env", "--data", str(server.data)], env=server.env, capture_output=True, text=True, check=True
        )
        told = dict(re.findall(r"^export (\w+)='(.*)'$", exports.stdout, flags=re.MULTILINE))
        cli = subprocess.Popen(
            [str(Path(sys.executable).parent / "aws"), "logs", "start-live-tail", "--log-group-identifiers", arn(group)],
            env={**server.env, **told, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            until(lambda: cli.poll() is not None or sessions(server) > 0)
            # Its session may be another test's: what it shows is looked for until it is there.
            lines = following(cli)
            end = time.monotonic() + SECONDS_MAX
            while True:
                assert cli.poll() is None and time.monotonic() < end, cli.stderr.read()
                put("for the command line")
                try:
                    line = lines.get(timeout=2)
                except queue.Empty:
                    continue
                assert line and "for the command line" in line
                break
        finally:
            cli.kill()
            cli.wait()


def following(process):
    """The lines of a process as they come; None at their end."""
    lines = queue.Queue()

    def read():
        for line in process.stdout:
            lines.put(line.rstrip("\n"))
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


class Command:
    """`nightbell tail`, running."""

    def __init__(self, server, *arguments):
        self.process = subprocess.Popen(
            [str(binary()), "tail", "--data", str(server.data), *arguments],
            env=server.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self.lines = following(self.process)
        self.notes = queue.Queue()
        threading.Thread(target=self._notes, daemon=True).start()

    def _notes(self):
        for line in self.process.stderr:
            self.notes.put(line.rstrip("\n"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=SECONDS_MAX)

    def note(self, text):
        """Waits for a note with this text."""
        while text not in (note := self.notes.get(timeout=SECONDS_MAX)):
            pass
        return note

    def line(self):
        return self.lines.get(timeout=SECONDS_MAX)


class TestCommand:
    def test_a_windows_event_is_told_in_words(self, server, group, put):
        with Command(server, group) as tail:
            tail.note(f"following {group}")
            at = now_ms()
            put(denied_open(at_ms=at), at_ms=at)
            line = tail.line()
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at / 1000))
            assert line.startswith(f"{stamp}.{at % 1000:03}Z  s  corp\\alice was denied "), line
            assert r"\share\secret\roadmap_do_not_share.doc" in line
            tail.process.send_signal(signal.SIGINT)
            assert tail.process.wait(timeout=SECONDS_MAX) == 0

    def test_stored_events_come_first_and_none_twice(self, server, logs, group, put):
        hour = 3_600_000
        put("too old", at_ms=now_ms() - 2 * hour)
        put("b", at_ms=now_ms() - 5_000)
        put("a", at_ms=now_ms() - hour // 2)
        stop = threading.Event()
        sent = []

        def send():
            # Some of these are stored and live at the same time; all are fewer than a sample takes in a second.
            while not stop.wait(0.005):
                sent.append(f"live {len(sent)}")
                put(sent[-1])

        sending = threading.Thread(target=send)
        sending.start()
        with Command(server, group, "--since", "1h", "--json") as tail:
            try:
                shown = [json.loads(tail.line()) for _ in range(40)]
            finally:
                stop.set()
                sending.join()
            while len(shown) < len(sent) + 2:
                shown.append(json.loads(tail.line()))
            put("the end")
            assert json.loads(tail.line())["message"] == "the end"
        messages = [line["message"] for line in shown]
        assert messages[:2] == ["a", "b"]
        assert sorted(messages[2:]) == sorted(sent)
        assert {line["logGroupName"] for line in shown} == {group}

    def test_fields_filters_and_streams(self, server, logs, group, put):
        logs.create_log_stream(logGroupName=group, logStreamName="other")
        arguments = [group, "--filter", "{ $.EventID = 4656 }", "--prefix", "s", "--field", "$.EventID", "--field", "Audit.User"]
        with Command(server, *arguments) as tail:
            tail.note("following")
            put("noise")
            put(denied_open(at_ms=now_ms()), stream="other")
            put(denied_open(user="bob", at_ms=now_ms()))
            assert tail.line().endswith("  s  EventID=4656  Audit.User=corp\\bob")

    def test_nothing_of_an_event_speaks_to_the_terminal(self, server, group, put):
        with Command(server, group) as tail:
            tail.note("following")
            put("\x1b]0;owned\x07\x1b[2Jtext\u202e\r\nmore")
            line = tail.line()
            assert line.endswith("more"), line
            assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", line), line

    def test_it_goes_on_when_the_server_is_started_again(self, fresh):
        server = fresh().start()
        logs = aws.client(server, "logs")
        logs.create_log_group(logGroupName="g")
        logs.create_log_stream(logGroupName="g", logStreamName="s")

        def put(message):
            event = {"timestamp": now_ms(), "message": message}
            aws.client(server, "logs").put_log_events(logGroupName="g", logStreamName="s", logEvents=[event])

        with Command(server) as tail:
            tail.note("following g")
            for end in (server.stop, server.kill):
                put("before")
                assert tail.line().endswith("  s  before")
                # The next update would come within a second; the server may be gone by then.
                put("at the end")
                end()
                tail.note("waiting for the server")
                server.start()
                # It looks for the server every second, so it is not there yet, as a rule.
                put("meanwhile")
                put("meanwhile")
                tail.note("following g again")
                put("after")
                shown = [tail.line().rsplit("  ", 1)[1] for _ in range(4)]
                assert shown == ["at the end", "meanwhile", "meanwhile", "after"]
                put("later")
                assert tail.line().endswith("  s  later"), "nothing came twice"

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            (["no-such-group"], "there is no log group"),
            (["a", "b", "--stream", "s"], "need one GROUP"),
            ([*"abcdefghijk"], "11 groups are more than 10"),
            (["g", "--stream", "s", "--prefix", "s"], "cannot be used with"),
            (["g", "--field", "a..b"], "--field"),
            (["g", "--since", "soon"], "--since"),
        ],
    )
    def test_wrong_use_is_told(self, server, arguments, text):
        with Command(server, *arguments) as tail:
            assert tail.process.wait(timeout=SECONDS_MAX) != 0
            tail.note(text)

    def test_a_wrong_pattern_is_told(self, server, group):
        with Command(server, group, "--filter", "{ $.a = ") as tail:
            assert tail.process.wait(timeout=SECONDS_MAX) != 0
            tail.note("InvalidParameterException")
