"""Metric filters through a real client: the operations, their refusals, and what ends up in the metric."""

import datetime
import time

import pytest
from support import aws, windows
from support.aws import refused, unique

VISIBLE_SECONDS_MAX = 10
ACCESS = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html?a=1 HTTP/1.0" 404 1534'
ACCESS_OK = '127.0.0.4 - amy [10/Oct/2000:13:25:15 -0700] "GET /ok HTTP/1.0" 200 100'


def minute(at_ms):
    return datetime.datetime.fromtimestamp(at_ms // 60_000 * 60, datetime.UTC)


@pytest.fixture
def put_filter(logs, group):
    """Puts a filter of the group that counts into a namespace named like the group."""

    def put(pattern, name="f", more=None, **transformation):
        transformation = {"metricName": "m", "metricNamespace": group, "metricValue": "1", **transformation}
        logs.put_metric_filter(
            logGroupName=group,
            filterName=name,
            filterPattern=pattern,
            metricTransformations=[transformation],
            **(more or {}),
        )

    return put


@pytest.fixture
def statistics(cloudwatch, group):
    """The metric's minutes around a moment, once `samples` are there (or after a while what there is)."""

    def read(at_ms, samples=1, seconds=VISIBLE_SECONDS_MAX, name="m", **dimensions):
        end = time.monotonic() + seconds
        while True:
            points = cloudwatch.get_metric_statistics(
                Namespace=group,
                MetricName=name,
                Dimensions=[{"Name": k, "Value": v} for k, v in dimensions.items()],
                StartTime=minute(at_ms - 600_000),
                EndTime=minute(at_ms + 600_000),
                Period=60,
                Statistics=["SampleCount", "Sum", "Minimum", "Maximum", "Average"],
            )["Datapoints"]
            if (samples and sum(p["SampleCount"] for p in points) >= samples) or time.monotonic() > end:
                return {p["Timestamp"]: (p["SampleCount"], p["Sum"], p["Minimum"], p["Maximum"]) for p in points}
            time.sleep(0.1)

    return read


class TestTry:
    """TestMetricFilter."""

    def test_columns_are_extracted(self, logs):
        answer = logs.test_metric_filter(
            filterPattern="[ip, id, user, ts, request, status = 4*, bytes]", logEventMessages=[ACCESS, ACCESS_OK]
        )
        assert answer["matches"] == [
            {
                "eventNumber": 1,
                "eventMessage": ACCESS,
                "extractedValues": {
                    "$ip": "127.0.0.1",
                    "$id": "-",
                    "$user": "frank",
                    "$ts": "10/Oct/2000:13:25:15 -0700",
                    "$request": "GET /index.html?a=1 HTTP/1.0",
                    "$status": "404",
                    "$bytes": "1534",
                },
            }
        ]

    @pytest.mark.parametrize(
        ("pattern", "messages", "expected"),
        [
            ("", ["a", "b"], [1, 2]),
            ("ERROR", ["TERROR", "error", "x ERROR"], [1, 3]),
            ('"4656" "secret"', ["4656 public", r"146560 \secret", "secret"], [2]),
            ("?ERROR ?WARN", ["ERROR", "INFO", "WARN"], [1, 3]),
            ("%^ERR[A-Z]+$%", ["ERROR", "xERROR", "ERR0"], [1]),
            ('{ $.a = 1 && $.b = "x*" }', ['{"a":1,"b":"xy"}', '{"a":1,"b":"y"}', "{"], [1]),
            ("[w1 = ERROR, w2]", ["ERROR request failed", "ERROR"], [1]),
            ("{ $.EventID = 4656 }", [windows.denied_open(), "<EventID>4656</EventID>"], [1]),
            ('{ $.Audit.User = "corp\\alice" }', [windows.denied_open(), windows.denied_open("bob")], [1]),
        ],
    )
    def test_matches(self, logs, pattern, messages, expected):
        answer = logs.test_metric_filter(filterPattern=pattern, logEventMessages=messages)
        assert [m["eventNumber"] for m in answer["matches"]] == expected
        assert [m["eventMessage"] for m in answer["matches"]] == [messages[n - 1] for n in expected]

    @pytest.mark.parametrize(
        ("pattern", "text"),
        [
            ("ERR*", "Invalid character(s) in term '*'"),
            ('"ERROR', "Invalid character(s) in term '\"ERROR'"),
            ("%^(ERROR|WARN)%", "Invalid character(s) in term '%^('"),
            ("%hello!%", "Invalid character(s) in term '%hello!'"),
            ("%[abc%", "Failed to compile regular expression."),
            ("{ $.v EXISTS }", "Invalid metric filter pattern"),
            ("{ $.v == 1 }", "Invalid metric filter pattern"),
            ("{ $.v IS NOT NULL }", "Invalid character(s) in term 'NOT'"),
            ("{ !($.v = 1) }", "Invalid character(s) in term '!('"),
            ('{ "v": [1] }', "Invalid character(s) in term ':'"),
            ('{ $.v > "Alpha" }', "Invalid character(s) in term '\"Alpha\"'"),
            (
                "{ $.items[*].* = 1 }",
                "Your filter pattern has a JSON path selector that exceeds the maximum of 1 wildcard allowed per json selector.",
            ),
            ("{ $..value = 1 }", "Invalid character(s) in term '$..'"),
            ("{ $.arr[-1] = 1 }", "Invalid character(s) in term '[-'"),
            (
                "{ $.a[*] = 1 && $.b[*] = 1 && $.c[*] = 1 && $.d[*] = 1 }",
                "Your input has exceeded the maximum of 3 JSON wildcard selectors allowed per filter pattern.",
            ),
            (
                "{ $.a = %a% && $.b = %b% && $.c = %c% }",
                "Your input has exceeded the maximum of 2 regular expressions per filter pattern.",
            ),
            ("[w1 = SPACE, w2]", "Invalid metric filter pattern"),
            ("[..., status, ...]", "Duplicate field '...'"),
            ("[word, word]", "Duplicate field 'word'"),
        ],
    )
    def test_wrong_patterns_are_refused_in_the_known_words(self, logs, pattern, text):
        with refused("InvalidParameterException", text):
            logs.test_metric_filter(filterPattern=pattern, logEventMessages=["m"])

    def test_wrong_requests(self, logs):
        for messages in ([], [""], ["m"] * 51):
            with refused(("InvalidParameterException", "ValidationException")):
                logs.test_metric_filter(filterPattern="x", logEventMessages=messages)
        with refused(("InvalidParameterException", "ValidationException")):
            logs.test_metric_filter(filterPattern="x" * 1025, logEventMessages=["m"])


class TestOperations:
    def test_put_describe_replace_delete(self, logs, group, put_filter):
        put_filter('"4656"', name="b", defaultValue=0.0, unit="Count")
        put_filter("{ $.a = 1 }", name="a", dimensions={"User": "$.user"})
        found = logs.describe_metric_filters(logGroupName=group)["metricFilters"]
        assert [f["filterName"] for f in found] == ["a", "b"]
        first = found[1]
        assert first["filterPattern"] == '"4656"' and first["logGroupName"] == group
        assert first["metricTransformations"] == [
            {
                "metricName": "m",
                "metricNamespace": group,
                "metricValue": "1",
                "defaultValue": 0.0,
                "unit": "Count",
            }
        ]
        assert found[0]["metricTransformations"][0]["dimensions"] == {"User": "$.user"}

        put_filter('"4663"', name="b")
        [replaced] = logs.describe_metric_filters(logGroupName=group, filterNamePrefix="b")["metricFilters"]
        assert replaced["filterPattern"] == '"4663"' and replaced["creationTime"] == first["creationTime"]
        with refused("InvalidParameterException"):
            put_filter("{", name="b")
        [kept] = logs.describe_metric_filters(logGroupName=group, filterNamePrefix="b")["metricFilters"]
        assert kept == replaced, "a wrong replacement leaves the old filter"

        by_metric = logs.describe_metric_filters(metricName="m", metricNamespace=group)["metricFilters"]
        assert [f["filterName"] for f in by_metric] == ["a", "b"]
        page = logs.describe_metric_filters(logGroupName=group, limit=1)
        rest = logs.describe_metric_filters(logGroupName=group, limit=1, nextToken=page["nextToken"])
        assert [f["filterName"] for f in page["metricFilters"] + rest["metricFilters"]] == ["a", "b"]

        logs.delete_metric_filter(logGroupName=group, filterName="a")
        with refused("ResourceNotFoundException"):
            logs.delete_metric_filter(logGroupName=group, filterName="a")
        assert len(logs.describe_metric_filters(logGroupName=group)["metricFilters"]) == 1

    @pytest.mark.parametrize(
        ("pattern", "transformation", "text"),
        [
            ("x", {"metricValue": "not-a-number"}, "metric value not-a-number must be a valid number"),
            ("{ $.v = * }", {"metricValue": "$.v[*]"}, "must be a valid number"),
            (
                "{ $.v = 1 }",
                {"dimensions": {"D": "literal"}},
                "Invalid metric transformation: dimension value must be valid selector",
            ),
            (
                "{ $.v = 1 }",
                {"dimensions": {k: f"$.{k}" for k in "abcd"}},
                "Number of dimensions exceeds the maximum number of dimensions supported per metric filter",
            ),
            (
                "{ $.v = 1 }",
                {"dimensions": {"D": "$.d"}, "defaultValue": 0.0},
                "Invalid metric transformation: dimensions and default value are mutually exclusive properties",
            ),
            ("x", {"metricName": "a:b"}, ""),
            ("x", {"metricName": "a*"}, ""),
            ("x", {"metricName": "a$"}, ""),
            ("x", {"metricNamespace": "n" * 256}, ""),
            ("x", {"unit": "Hectares"}, ""),
        ],
    )
    def test_wrong_transformations(self, put_filter, pattern, transformation, text):
        with refused(("InvalidParameterException", "ValidationException"), text):
            put_filter(pattern, **transformation)

    def test_wrong_requests(self, logs, group, put_filter):
        for name in ("a:b", "a*", "x" * 513):
            with refused(("InvalidParameterException", "ValidationException")):
                put_filter("x", name=name)
        with refused(("InvalidParameterException", "ValidationException")):
            logs.put_metric_filter(logGroupName=group, filterName="f", filterPattern="x", metricTransformations=[])
        with refused("ResourceNotFoundException", "The specified log group does not exist."):
            logs.describe_metric_filters(logGroupName=unique("missing"))
        with refused(
            "InvalidParameterException",
            "Describe Metric Filters request must contain either logGroupName or metricName and metricNamespace",
        ):
            logs.describe_metric_filters(metricName="m")

    def test_a_group_may_have_more_filters_than_the_service_allows(self, logs, group, put_filter):
        for i in range(101):
            put_filter(f"word{i}", name=f"f{i:03}")
        [described] = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        assert described["metricFilterCount"] == 101

    def test_a_group_has_at_most_five_filters_with_regular_expressions(self, put_filter):
        for i in range(5):
            put_filter("%a+%", name=f"f{i}")
        with refused("LimitExceededException"):
            put_filter("%a+%", name="one-more")
        put_filter("%b+%", name="f0")
        put_filter("plain", name="f1")
        put_filter("%a+%", name="one-more")


class TestNumbers:
    """What the metric holds after events of one minute: samples, sum, smallest, largest."""

    @pytest.mark.parametrize(
        ("matching", "others", "value", "default", "expected"),
        [
            (1, 14, "5", 3.0, (15, 47, 3, 5)),
            (0, 3, "5", 3.0, (3, 9, 3, 3)),
            (6, 0, "1", 0.0, (6, 6, 1, 1)),
            (1, 9, "1", 0.0, (10, 1, 0, 1)),
        ],
        ids=["both", "defaults only", "matches only", "mostly defaults"],
    )
    def test_defaults(self, put, put_filter, statistics, matching, others, value, default, expected):
        put_filter("HIT", metricValue=value, defaultValue=default)
        at = aws.now_ms()
        put(*["HIT"] * matching, *["miss"] * others, at_ms=at)
        assert statistics(at, samples=expected[0]) == {minute(at): expected}

    def test_without_default_and_match_there_is_no_data_point(self, put, put_filter, statistics):
        put_filter("HIT")
        put_filter("", name="all", metricName="all")
        at = aws.now_ms()
        put(*["miss"] * 4, at_ms=at)
        assert statistics(at, samples=4, name="all") == {minute(at): (4, 4, 1, 1)}
        assert statistics(at, seconds=0) == {}

    @pytest.mark.parametrize(
        ("pattern", "value", "message", "expected"),
        [
            ("{ $.ms = * }", "$.ms", '{"ms":"11.5"}', 11.5),
            ("{ $.ms = * }", "$.ms", '{"ms":-2e1}', -20),
            ("{ $.ms = * }", "$.ms", '{"ms":"slow"}', None),
            ("[..., status, bytes]", "$bytes", ACCESS, 1534),
            ("[a, b]", "$b", 'x "17.5"', 17.5),
            ("[..., b]", "$b", 'x "17.5"', 17.5),
            ("[a, b]", "$undefined", "x 1", None),
        ],
    )
    def test_values_from_the_event(self, put, put_filter, statistics, pattern, value, message, expected):
        put_filter(pattern, metricValue=value)
        put_filter("", name="all", metricName="all")
        at = aws.now_ms()
        put(message, at_ms=at)
        assert len(statistics(at, name="all")) == 1
        expected = {} if expected is None else {minute(at): (1, expected, expected, expected)}
        assert statistics(at, seconds=0 if not expected else VISIBLE_SECONDS_MAX) == expected

    def test_dimensions(self, put, put_filter, statistics, cloudwatch, group):
        put_filter("{ $.v = * }", metricValue="$.v", dimensions={"bucket": "$.bucket"})
        at = aws.now_ms()
        put('{"v":37}', '{"v":1,"bucket":"a"}', '{"v":2,"bucket":"a"}', '{"v":3,"bucket":"b"}', at_ms=at)
        assert statistics(at, samples=2, bucket="a") == {minute(at): (2, 3, 1, 2)}
        assert statistics(at, samples=1, bucket="b") == {minute(at): (1, 3, 3, 3)}
        assert statistics(at, seconds=0) == {}, "an event without the field publishes nothing"
        metrics = cloudwatch.list_metrics(Namespace=group)["Metrics"]
        assert sorted(m["Dimensions"][0]["Value"] for m in metrics) == ["a", "b"]

    def test_windows_events_may_have_dimensions_too(self, put, put_filter, statistics):
        put_filter('{ $.Audit.Outcome = "failure" && $.Audit.Share = "share" }', dimensions={"User": "$.Audit.User"})
        at = aws.now_ms()
        put(*(windows.denied_open(u, at_ms=at) for u in ("alice", "alice", "bob")), at_ms=at)
        assert statistics(at, samples=2, User="corp\\alice") == {minute(at): (2, 2, 1, 1)}
        assert statistics(at, samples=1, User="corp\\bob") == {minute(at): (1, 1, 1, 1)}

    def test_the_minute_is_that_of_the_event(self, put, put_filter, statistics):
        put_filter("")
        start = (aws.now_ms() // 60_000 - 5) * 60_000
        put("last of its minute", at_ms=start + 59_999)
        put("first of the next", at_ms=start + 60_000)
        assert statistics(start, samples=2) == {
            minute(start): (1, 1, 1, 1),
            minute(start + 60_000): (1, 1, 1, 1),
        }

    def test_a_filter_sees_only_what_comes_after_it(self, put, put_filter, statistics):
        at = aws.now_ms()
        put("before", at_ms=at)
        put_filter("")
        put("after", at_ms=at)
        assert statistics(at) == {minute(at): (1, 1, 1, 1)}
        time.sleep(0.5)
        assert statistics(at, seconds=0) == {minute(at): (1, 1, 1, 1)}

    def test_rejected_events_count_nowhere(self, put, put_filter, statistics):
        put_filter("HIT", defaultValue=0.0)
        at = aws.now_ms()
        too_new = at + 3 * 3_600_000
        put("HIT", at_ms=too_new)
        put("HIT", at_ms=at)
        assert statistics(at) == {minute(at): (1, 1, 1, 1)}
        assert statistics(too_new, seconds=0) == {}
