"""CloudWatch Logs: groups, streams, PutLogEvents and reading back, through a real client over HTTP.

The numbers in the cases are those of the published behaviour: limits, messages and which side of a limit is allowed. What stands
before a case (N01, P05) is its id in docs/internals/vectors.md.
"""

import json
import time

import pytest
from support import aws
from support.aws import refused, unique

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
DAY = 24 * HOUR
NO_GROUP = "The specified log group does not exist."
NO_STREAM = "The specified log stream does not exist."
BATCH_BYTES_MAX = 1_048_576
EVENT_OVERHEAD = 26


def lines(logs, group, stream="s", **more):
    return [e["message"] for e in logs.get_log_events(logGroupName=group, logStreamName=stream, **more)["events"]]


class TestGroups:
    # N01, N02
    def test_a_group_is_made_once(self, logs):
        name = unique("/aws/fsx/windows")
        answer = logs.create_log_group(logGroupName=name)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
        with refused("ResourceAlreadyExistsException", "The specified log group already exists"):
            logs.create_log_group(logGroupName=name)

    # N03, N04, N05
    @pytest.mark.parametrize("name", ["a b", "grp:1", "a" * 513, "aws/own", "", "ä"])
    def test_names_outside_the_grammar_are_refused(self, logs, name):
        with refused(("InvalidParameterException", "ValidationException")):
            logs.create_log_group(logGroupName=name)

    @pytest.mark.parametrize("suffix", ["a-zA-Z0-9_-/.#", "x" * 400])
    def test_names_inside_the_grammar_are_taken(self, logs, suffix):
        logs.create_log_group(logGroupName=unique("g") + suffix)

    # N06, N07, N08
    def test_streams(self, logs, group):
        logs.create_log_stream(logGroupName=group, logStreamName="i-0123")
        with refused("ResourceAlreadyExistsException", "The specified log stream already exists"):
            logs.create_log_stream(logGroupName=group, logStreamName="i-0123")
        with refused("ResourceNotFoundException", NO_GROUP):
            logs.create_log_stream(logGroupName=unique("missing"), logStreamName="s")
        for name in ("a:b", "a*", ""):
            with refused(("InvalidParameterException", "ValidationException")):
                logs.create_log_stream(logGroupName=group, logStreamName=name)
        logs.delete_log_stream(logGroupName=group, logStreamName="i-0123")
        with refused("ResourceNotFoundException", NO_STREAM):
            logs.delete_log_stream(logGroupName=group, logStreamName="i-0123")

    # N09, N10, N11
    def test_retention(self, logs, group):
        with refused("InvalidParameterException"):
            logs.put_retention_policy(logGroupName=group, retentionInDays=2)
        logs.delete_retention_policy(logGroupName=group)
        logs.put_retention_policy(logGroupName=group, retentionInDays=90)
        [found] = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        assert found["retentionInDays"] == 90
        logs.delete_retention_policy(logGroupName=group)
        [found] = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        assert "retentionInDays" not in found
        with refused("ResourceNotFoundException", NO_GROUP):
            logs.put_retention_policy(logGroupName=unique("missing"), retentionInDays=90)

    # N12, N14
    def test_deleting_a_group_removes_what_is_in_it(self, logs, group, put):
        put("one")
        logs.put_metric_filter(
            logGroupName=group,
            filterName="f",
            filterPattern="",
            metricTransformations=[{"metricName": "m", "metricNamespace": group, "metricValue": "1"}],
        )
        logs.delete_log_group(logGroupName=group)
        with refused("ResourceNotFoundException", NO_GROUP):
            logs.delete_log_group(logGroupName=group)
        with refused("ResourceNotFoundException", NO_GROUP):
            put("two")
        logs.create_log_group(logGroupName=group)
        assert logs.describe_log_streams(logGroupName=group)["logStreams"] == []
        assert logs.describe_metric_filters(logGroupName=group)["metricFilters"] == []
        logs.create_log_stream(logGroupName=group, logStreamName="s")
        assert lines(logs, group) == [], "events of the deleted group came back"

    # N13
    def test_a_protected_group_stays(self, logs):
        name = unique("kept")
        logs.create_log_group(logGroupName=name, deletionProtectionEnabled=True)
        logs.create_log_stream(logGroupName=name, logStreamName="s")
        with refused("InvalidParameterException", "has deletion protection enabled"):
            logs.delete_log_group(logGroupName=name)
        [found] = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        assert found["deletionProtectionEnabled"] is True
        assert len(logs.describe_log_streams(logGroupName=name)["logStreams"]) == 1
        for identifier, protected in ((name, False), (found["logGroupArn"], True), (found["logGroupArn"], False)):
            logs.put_log_group_deletion_protection(
                logGroupIdentifier=identifier, deletionProtectionEnabled=protected
            )
            [shown] = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
            assert shown["deletionProtectionEnabled"] is protected
        logs.delete_log_group(logGroupName=name)
        with refused("ResourceNotFoundException"):
            logs.put_log_group_deletion_protection(logGroupIdentifier=name, deletionProtectionEnabled=True)

    # Q08
    def test_groups_are_described_by_name(self, logs):
        prefix = unique("/d")
        for tail in ("b", "a", "c"):
            logs.create_log_group(logGroupName=f"{prefix}/{tail}")
        found = logs.describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
        assert [g["logGroupName"] for g in found] == [f"{prefix}/{t}" for t in "abc"]
        account = "123456789012"
        assert found[0]["arn"] == f"arn:aws:logs:us-east-2:{account}:log-group:{prefix}/a:*"
        assert found[0]["logGroupArn"] == f"arn:aws:logs:us-east-2:{account}:log-group:{prefix}/a"
        assert found[0]["logGroupClass"] == "STANDARD" and found[0]["metricFilterCount"] == 0
        assert logs.describe_log_groups(logGroupNamePattern=prefix.strip("/"))["logGroups"] == found

        page = logs.describe_log_groups(logGroupNamePrefix=prefix, limit=2)
        rest = logs.describe_log_groups(logGroupNamePrefix=prefix, limit=2, nextToken=page["nextToken"])
        assert page["logGroups"] + rest["logGroups"] == found and "nextToken" not in rest
        for wrong in (0, 51):
            with refused(("InvalidParameterException", "ValidationException")):
                logs.describe_log_groups(limit=wrong)

    def test_prefix_and_pattern_exclude_each_other(self, logs):
        with refused("InvalidParameterException"):
            logs.describe_log_groups(logGroupNamePrefix="a", logGroupNamePattern="b")

    def test_a_region_is_a_site_of_its_own(self, server, logs, group):
        elsewhere = aws.client(server, "logs", region="berlin-1")
        assert elsewhere.describe_log_groups(logGroupNamePrefix=group)["logGroups"] == []
        elsewhere.create_log_group(logGroupName=group)
        [found] = elsewhere.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        assert ":berlin-1:" in found["arn"]


class TestPut:
    """Cases carry the offset of each event from now, in milliseconds."""

    @pytest.mark.parametrize(
        ("offsets", "error"),
        [
            ([0, 0], None),
            ([0, -1], "Log events in a single PutLogEvents request must be in chronological order."),
            ([-DAY, 0], None),
            ([-DAY - 1, 0], "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."),
        ],
        ids=["P01 equal", "P02 backwards", "P03 a day", "P04 over a day"],
    )
    def test_order_and_span(self, logs, group, offsets, error):
        now = aws.now_ms()
        events = [{"timestamp": now + o, "message": "m"} for o in offsets]
        if error is None:
            logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
            assert len(lines(logs, group, startFromHead=True)) == len(offsets)
        else:
            with refused("InvalidParameterException", error):
                logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
            assert lines(logs, group) == []

    @pytest.mark.parametrize(
        ("retention", "offsets", "info", "kept"),
        [
            (None, [-15 * DAY, 0], {"tooOldLogEventEndIndex": 1}, [1]),
            (None, [0, 3 * HOUR], {"tooNewLogEventStartIndex": 1}, [0]),
            (
                3,
                [-15 * DAY] * 2 + [-5 * DAY] * 2 + [0] * 2 + [3 * HOUR] * 2,
                {"tooOldLogEventEndIndex": 2, "expiredLogEventEndIndex": 4, "tooNewLogEventStartIndex": 6},
                [4, 5],
            ),
            (None, [-15 * DAY] * 3, {"tooOldLogEventEndIndex": 3}, []),
            (None, [2 * HOUR - SECOND], None, [0]),
        ],
        ids=["P05 too old", "P06 too new", "P07 all kinds", "P08 all too old", "P17 just not too new"],
    )
    def test_events_outside_the_window_are_reported_not_stored(self, logs, group, retention, offsets, info, kept):
        if retention:
            logs.put_retention_policy(logGroupName=group, retentionInDays=retention)
        now = aws.now_ms()
        events = [{"timestamp": now + o, "message": str(i)} for i, o in enumerate(offsets)]
        answer = logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
        assert answer.get("rejectedLogEventsInfo") == info
        assert lines(logs, group, startFromHead=True) == [str(i) for i in kept]

    # P09
    def test_number_of_events(self, logs, group):
        now = aws.now_ms()
        event = {"timestamp": now, "message": "x"}
        logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[event] * 10_000)
        assert len(lines(logs, group, startFromHead=True)) == 10_000
        for wrong in ([], [event] * 10_001):
            with refused(("InvalidParameterException", "ValidationException")):
                logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=wrong)

    @pytest.mark.parametrize(
        ("message", "bytes_told"),
        [
            ("a" * (BATCH_BYTES_MAX - EVENT_OVERHEAD), None),
            ("a" * (BATCH_BYTES_MAX - EVENT_OVERHEAD + 2), 1_048_578),
            ("é" * 524_276, 1_048_578),
        ],
        ids=["P10 the whole batch", "P11 two bytes more", "P12 bytes, not characters"],
    )
    def test_size_of_one_event(self, logs, put, message, bytes_told):
        if bytes_told is None:
            put(message)
        else:
            with refused(
                "InvalidParameterException", f"Log event too large: {bytes_told} bytes exceeds limit of 1048576"
            ):
                put(message)

    def test_size_of_a_batch(self, put):
        put(*["a" * (BATCH_BYTES_MAX // 2 - EVENT_OVERHEAD)] * 2)
        with refused("InvalidParameterException", "exceeds limit of 1048576"):
            put(*["a" * (BATCH_BYTES_MAX // 2 - EVENT_OVERHEAD)] * 2, "b")

    @pytest.mark.parametrize("at_ms", [-1, 2**63 - 1, 2**64, 1e300, "now", None, 1.5e12])
    def test_times_that_are_none(self, server, logs, group, at_ms):
        """They are refused, or dropped and reported; stored they are not."""
        events = [{"timestamp": at_ms, "message": "m"}]
        body = json.dumps({"logGroupName": group, "logStreamName": "s", "logEvents": events}).encode()
        headers = aws.sign(server, "logs", body, aws.logs_headers("PutLogEvents"))
        status, _, answer = aws.send(server, body, headers)
        assert status == 400 or (status == 200 and "rejectedLogEventsInfo" in json.loads(answer)), answer
        assert lines(logs, group) == []

    # P13
    def test_an_empty_message_is_refused(self, put):
        with refused(("InvalidParameterException", "ValidationException")):
            put("")

    # P14
    def test_any_sequence_token_is_taken(self, logs, group):
        event = {"timestamp": aws.now_ms(), "message": "m"}
        answer = logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[event], sequenceToken="garbage")
        assert answer["nextSequenceToken"]

    # P15
    def test_what_agents_wait_for(self, logs, group, put):
        # The agent makes group and stream when told exactly this.
        with refused("ResourceNotFoundException", NO_STREAM):
            put("m", stream="missing")
        with refused("ResourceNotFoundException", NO_GROUP):
            logs.put_log_events(
                logGroupName=unique("missing"), logStreamName="s", logEvents=[{"timestamp": 1, "message": "m"}]
            )

    # P16
    def test_the_same_batch_twice_is_stored_twice(self, logs, group, put):
        put("a", "b", at_ms=aws.now_ms())
        put("a", "b", at_ms=aws.now_ms())
        assert lines(logs, group, startFromHead=True) == ["a", "b", "a", "b"]

    def test_messages_come_back_as_they_went_in(self, logs, group, put):
        messages = ["tab\tnew\nline", "ünï¢ødé 🔔", "<a b='c'>&amp;</a>", json.dumps({"k": [1, None]}), " ", "\u0000x"]
        put(*messages)
        assert lines(logs, group, startFromHead=True) == messages

    def test_compressed_requests_are_taken(self, server, logs, group):
        import gzip

        body = gzip.compress(
            json.dumps(
                {
                    "logGroupName": group,
                    "logStreamName": "s",
                    "logEvents": [{"timestamp": aws.now_ms(), "message": "from gzip"}],
                }
            ).encode()
        )
        headers = aws.sign(server, "logs", body, {**aws.logs_headers("PutLogEvents"), "content-encoding": "gzip"})
        status, _, answer = aws.send(server, body, headers)
        assert status == 200, answer
        assert lines(logs, group) == ["from gzip"]


class TestGetLogEvents:
    # Q01
    def test_an_empty_stream_has_both_tokens(self, logs, group):
        answer = logs.get_log_events(logGroupName=group, logStreamName="s")
        assert answer["events"] == []
        assert answer["nextForwardToken"].startswith("f/") and answer["nextBackwardToken"].startswith("b/")

    # Q02
    def test_the_end_repeats_the_token(self, logs, group, put):
        put("a", "b")
        first = logs.get_log_events(logGroupName=group, logStreamName="s", startFromHead=True)
        token = first["nextForwardToken"]
        for _ in range(2):
            again = logs.get_log_events(logGroupName=group, logStreamName="s", startFromHead=True, nextToken=token)
            assert again["events"] == [] and again["nextForwardToken"] == token

    # Q03, Q04
    def test_the_end_of_a_range(self, logs, group, put):
        at = aws.now_ms()
        put("first", at_ms=at - 100)
        put("second", at_ms=at)
        assert lines(logs, group, startTime=at - 100, endTime=at) == ["first"], "the end is excluded"
        found = logs.filter_log_events(logGroupName=group, startTime=at - 100, endTime=at)["events"]
        assert [e["message"] for e in found] == ["first", "second"], "the end is included"

    def test_pages_forward_and_backward(self, logs, group, put):
        at = aws.now_ms() - MINUTE
        for i in range(7):
            put(str(i), at_ms=at + i)
        read, token = [], None
        while True:
            more = {"nextToken": token} if token else {}
            page = logs.get_log_events(logGroupName=group, logStreamName="s", limit=3, startFromHead=True, **more)
            read += [e["message"] for e in page["events"]]
            if page["nextForwardToken"] == token:
                break
            token = page["nextForwardToken"]
        assert read == list("0123456")

        newest = logs.get_log_events(logGroupName=group, logStreamName="s", limit=3)
        assert [e["message"] for e in newest["events"]] == ["4", "5", "6"]
        before = logs.get_log_events(
            logGroupName=group, logStreamName="s", limit=3, nextToken=newest["nextBackwardToken"]
        )
        assert [e["message"] for e in before["events"]] == ["1", "2", "3"]

    def test_events_carry_their_times(self, logs, group, put):
        before = aws.now_ms()
        put("m", at_ms=before - HOUR)
        [event] = logs.get_log_events(logGroupName=group, logStreamName="s")["events"]
        assert event["timestamp"] == before - HOUR
        assert before <= event["ingestionTime"] <= aws.now_ms()

    def test_wrong_requests(self, logs, group):
        with refused("ResourceNotFoundException", NO_STREAM):
            logs.get_log_events(logGroupName=group, logStreamName="missing")
        with refused("ResourceNotFoundException", NO_GROUP):
            logs.get_log_events(logGroupName=unique("missing"), logStreamName="s")
        for limit in (0, 10_001):
            with refused(("InvalidParameterException", "ValidationException")):
                logs.get_log_events(logGroupName=group, logStreamName="s", limit=limit)
        with refused("InvalidParameterException"):
            logs.get_log_events(logGroupName=group, logStreamName="s", nextToken="f/nonsense")


class TestFilterLogEvents:
    def test_streams_are_interleaved_by_time(self, logs, group, put):
        at = aws.now_ms() - MINUTE
        logs.create_log_stream(logGroupName=group, logStreamName="t")
        for i in range(6):
            put(str(i), at_ms=at + i, stream="st"[i % 2])
        answer = logs.filter_log_events(logGroupName=group)
        assert [e["message"] for e in answer["events"]] == list("012345")
        assert answer["searchedLogStreams"] == []
        ids = [e["eventId"] for e in answer["events"]]
        assert len(set(ids)) == 6 and all(i.isdigit() for i in ids)
        assert [e["eventId"] for e in logs.filter_log_events(logGroupName=group)["events"]] == ids
        only = logs.filter_log_events(logGroupName=group, logStreamNames=["t"])["events"]
        assert [e["message"] for e in only] == ["1", "3", "5"]
        only = logs.filter_log_events(logGroupName=group, logStreamNamePrefix="t")["events"]
        assert [(e["message"], e["logStreamName"]) for e in only] == [("1", "t"), ("3", "t"), ("5", "t")]

    def test_patterns(self, logs, group, put):
        put('{"EventID":4625}', "4656 secret", "4656 public", '{"EventID":4624}')
        for pattern, expected in [
            ('"4656" "secret"', ["4656 secret"]),
            ("{ $.EventID = 4625 }", ['{"EventID":4625}']),
            ("4656 -secret", ["4656 public"]),
            ("nothing", []),
        ]:
            found = logs.filter_log_events(logGroupName=group, filterPattern=pattern)["events"]
            assert [e["message"] for e in found] == expected, pattern
        with refused("InvalidParameterException", "Invalid filter pattern"):
            logs.filter_log_events(logGroupName=group, filterPattern="{ $.v == 1 }")

    def test_all_pages_hold_all(self, logs, group, put):
        at = aws.now_ms() - MINUTE
        for i in range(5):
            put(*(f"{i}.{j}" for j in range(5)), at_ms=at + i)
        read, more = [], {}
        for _ in range(40):
            page = logs.filter_log_events(logGroupName=group, limit=4, **more)
            assert len(page["events"]) <= 4
            read += [e["message"] for e in page["events"]]
            if "nextToken" not in page:
                break
            more = {"nextToken": page["nextToken"]}
        assert read == [f"{i}.{j}" for i in range(5) for j in range(5)]

    # Q05, Q06, Q07
    def test_wrong_requests(self, logs, group):
        with refused("InvalidParameterException"):
            logs.filter_log_events(logGroupName=group, logStreamNames=["s"], logStreamNamePrefix="s")
        for limit in (0, 10_001):
            with refused(("InvalidParameterException", "ValidationException")):
                logs.filter_log_events(logGroupName=group, limit=limit)
        with refused("ResourceNotFoundException"):
            logs.filter_log_events(logGroupName=group, logStreamNames=["missing"])
        with refused("ResourceNotFoundException", NO_GROUP):
            logs.filter_log_events(logGroupName=unique("missing"))
        with refused("InvalidParameterException", "The specified nextToken is invalid."):
            logs.filter_log_events(logGroupName=group, nextToken="nonsense")


class TestDescribeStreams:
    # Q09, Q10
    def test_orders(self, logs, group, put):
        at = aws.now_ms()
        for name, offset in (("a", 0), ("b", -2 * MINUTE), ("c", -MINUTE)):
            logs.create_log_stream(logGroupName=group, logStreamName=name)
            put("m", at_ms=at + offset, stream=name)
        names = [s["logStreamName"] for s in logs.describe_log_streams(logGroupName=group)["logStreams"]]
        assert names == ["a", "b", "c", "s"]
        newest = logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True, limit=3)
        assert [s["logStreamName"] for s in newest["logStreams"]] == ["a", "c", "b"]
        with refused("InvalidParameterException"):
            logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", logStreamNamePrefix="a")
        with refused("ResourceNotFoundException", NO_GROUP):
            logs.describe_log_streams(logGroupName=unique("missing"))

    def test_fields(self, logs, group, put):
        at = aws.now_ms()
        put("m", at_ms=at - MINUTE)
        put("n", at_ms=at)
        # Told of a stream a moment after its events are taken ("DescribeLogStreams": eventual consistency).
        end = time.monotonic() + 10
        while True:
            [stream] = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="s")["logStreams"]
            if stream.get("lastEventTimestamp") == at or time.monotonic() > end:
                break
            time.sleep(0.1)
        assert (stream["firstEventTimestamp"], stream["lastEventTimestamp"]) == (at - MINUTE, at)
        assert stream["lastIngestionTime"] >= at
        assert stream["arn"].endswith(f":log-group:{group}:log-stream:s")
