"""GetMetricData through real clients of all three generations: metrics, expressions, queries, bands, and their pages."""

import datetime
import time

import pytest
from support import aws
from support.aws import refused, unique

UTC = datetime.UTC
MINUTE = 60
DAYS = 14


@pytest.fixture(params=["cbor", "json", "query"])
def cw(request, server):
    """A CloudWatch client that speaks the protocol."""
    return aws.client(server, "cloudwatch", protocol=request.param)


def at(second):
    return datetime.datetime.fromtimestamp(second, UTC)


def whole_minute():
    """A minute that is long over."""
    return int(time.time()) // MINUTE * MINUTE - 20 * MINUTE


def stat(name, metric="m", statistic="Sum", period=MINUTE, id="m1", **more):
    metric = {"Namespace": name, "MetricName": metric, "Dimensions": more.pop("dimensions", [])}
    return {"Id": id, "MetricStat": {"Metric": metric, "Period": period, "Stat": statistic}, **more}


def put(cw, name, values, metric="m", dimensions=()):
    """Stores (second, value) pairs."""
    data = [
        {"MetricName": metric, "Timestamp": at(second), "Value": value, "Dimensions": list(dimensions)}
        for second, value in values
    ]
    for start in range(0, len(data), 1_000):
        cw.put_metric_data(Namespace=name, MetricData=data[start : start + 1_000])


def ask(cw, queries, start, end, **more):
    return cw.get_metric_data(MetricDataQueries=queries, StartTime=at(start), EndTime=at(end), **more)


def told(result):
    """Timestamps and values of a result."""
    return list(zip([stamp.timestamp() for stamp in result["Timestamps"]], result["Values"], strict=True))


class TestEntries:
    def test_a_metric_newest_first_unless_asked_otherwise(self, cw):
        name, start = unique("data"), whole_minute()
        put(cw, name, [(start + 1, 1.0), (start + 2, 2.0), (start + 125, 5.0)])
        [result] = ask(cw, [stat(name)], start, start + 180)["MetricDataResults"]
        assert told(result) == [(start + 120, 5.0), (start, 3.0)]
        assert (result["Id"], result["Label"], result["StatusCode"]) == ("m1", "m", "Complete")
        [result] = ask(cw, [stat(name, Label="mine")], start, start + 180, ScanBy="TimestampAscending")[
            "MetricDataResults"
        ]
        assert told(result) == [(start, 3.0), (start + 120, 5.0)]
        assert result["Label"] == "mine"

    def test_an_expression_has_a_point_where_all_its_metrics_have_one(self, cw):
        name, start = unique("data"), whole_minute()
        put(cw, name, [(start, 1.0), (start + 60, 2.0)], "a")
        put(cw, name, [(start, 10.0), (start + 120, 30.0)], "b")
        hidden = {"ReturnData": False}
        queries = [
            stat(name, "a", id="m1", **hidden),
            stat(name, "b", id="m2", **hidden),
            {"Id": "e1", "Expression": "m1 + m2", "Label": "both"},
            {"Id": "e2", "Expression": "FILL(m1,0) + FILL(m2,0)"},
            {"Id": "e3", "Expression": "100 * m1 / (m2 - m2)"},
        ]
        results = ask(cw, queries, start, start + 180, ScanBy="TimestampAscending")["MetricDataResults"]
        assert [(one["Id"], one["Label"]) for one in results] == [("e1", "both"), ("e2", "e2"), ("e3", "e3")]
        assert told(results[0]) == [(start, 11.0)]
        assert [value for _, value in told(results[1])] == [11.0, 2.0, 30.0]
        assert (told(results[2]), results[2]["StatusCode"]) == ([], "Complete")

    def test_entries_have_periods_of_their_own_and_an_expression_the_longest(self, cw):
        name, start = unique("data"), whole_minute()
        put(cw, name, [(start, 1.0), (start + 60, 2.0), (start + 240, 4.0)])
        queries = [
            stat(name, id="m1"),
            stat(name, id="m5", period=300),
            {"Id": "e1", "Expression": "m1 + m5"},
            {"Id": "all", "Expression": "SUM(METRICS())"},
        ]
        results = ask(cw, queries, start, start + 300, ScanBy="TimestampAscending")["MetricDataResults"]
        values = {one["Id"]: one["Values"] for one in results}
        assert values == {"m1": [1.0, 2.0, 4.0], "m5": [7.0], "e1": [14.0], "all": [14.0]}

    def test_a_query_gives_a_series_for_each_group(self, cw):
        name, start = unique("data"), whole_minute()
        for user, value in [("ann", 1.0), ("bob", 5.0), ("cid", 3.0)]:
            for place in ("x", "y"):
                both = [{"Name": "User", "Value": user}, {"Name": "Place", "Value": place}]
                put(cw, name, [(start, value)], dimensions=both)
        text = f'SELECT SUM(m) FROM "{name}" GROUP BY User ORDER BY SUM() DESC LIMIT 2'
        queries = [{"Id": "q1", "Expression": text, "Period": 60, "Label": "of"}]
        results = ask(cw, queries, start, start + 60)["MetricDataResults"]
        assert [(one["Id"], one["Label"], one["Values"]) for one in results] == [
            ("q1", "of bob", [10.0]),
            ("q1", "of cid", [6.0]),
        ]
        queries = [{**queries[0], "ReturnData": False}, {"Id": "e1", "Expression": "MAX(q1)"}]
        [result] = ask(cw, queries, start, start + 60)["MetricDataResults"]
        assert result["Values"] == [10.0]

    def test_the_band_of_two_weeks(self, cw):
        name, start = unique("data"), whole_minute()
        usual = [(start - i * 1_800, 10.0 + i % 3) for i in range(DAYS * 48 - 4)]
        put(cw, name, usual)
        queries = [stat(name, period=300), {"Id": "ad1", "Expression": "ANOMALY_DETECTION_BAND(m1, 2)"}]
        values, upper, lower = ask(cw, queries, start - 3_600, start + 300)["MetricDataResults"]
        assert [one["Id"] for one in (upper, lower)] == ["ad1", "ad1"]
        bounds = dict(told(upper)), dict(told(lower))
        assert len(bounds[0]) == 13
        for moment, value in told(values):
            assert bounds[1][moment] <= value <= bounds[0][moment] < 20.0


    def test_the_band_of_an_expression(self, cw):
        name, start = unique("data"), whole_minute()
        seconds = [start - i * 1_800 for i in range(DAYS * 48 - 4)]
        put(cw, name, [(second, 10.0 + i % 3) for i, second in enumerate(seconds)], metric="failed")
        put(cw, name, [(second, 200.0) for second in seconds], metric="all")
        queries = [
            stat(name, "failed", id="m1", period=300, ReturnData=False),
            stat(name, "all", id="m2", period=300, ReturnData=False),
            {"Id": "e1", "Expression": "100 * m1 / m2"},
            {"Id": "ad1", "Expression": "ANOMALY_DETECTION_BAND(e1, 2)"},
        ]
        values, upper, lower = ask(cw, queries, start - 3_600, start + 300)["MetricDataResults"]
        bounds = dict(told(upper)), dict(told(lower))
        assert len(bounds[0]) == 13 and told(values)
        for moment, value in told(values):
            assert bounds[1][moment] <= value <= bounds[0][moment] < 10.0

        of_query = [{"Id": "q", "Expression": f'SELECT SUM(all) FROM "{name}"', "Period": 300}]
        with refused(text="ANOMALY_DETECTION_BAND"):
            ask(cw, [*of_query, {"Id": "b", "Expression": "ANOMALY_DETECTION_BAND(q)"}], start - 3_600, start)


class TestPages:
    def test_pages_follow_each_other(self, cw):
        name, start = unique("data"), whole_minute()
        put(cw, name, [(start + i * 60, float(i)) for i in range(5)])
        queries = [stat(name, id="m1"), stat(name, "none", id="m2"), {"Id": "e1", "Expression": "m1 * 2"}]
        found, states, more = {"m1": [], "m2": [], "e1": []}, [], {}
        while True:
            page = ask(cw, queries, start, start + 300, MaxDatapoints=3, ScanBy="TimestampAscending", **more)
            assert sum(len(one["Values"]) for one in page["MetricDataResults"]) <= 3
            for one in page["MetricDataResults"]:
                found[one["Id"]] += one["Values"]
                states.append((one["Id"], one["StatusCode"]))
            if "NextToken" not in page:
                break
            more = {"NextToken": page["NextToken"]}
        assert found == {"m1": [0.0, 1.0, 2.0, 3.0, 4.0], "m2": [], "e1": [0.0, 2.0, 4.0, 6.0, 8.0]}
        assert states == [
            ("m1", "PartialData"),
            ("m1", "Complete"),
            ("m2", "Complete"),
            ("e1", "PartialData"),
            ("e1", "PartialData"),
            ("e1", "Complete"),
        ]

    def test_what_is_not_used_is_said(self, cw):
        name, start = unique("data"), whole_minute()
        answer = ask(cw, [stat(name)], start, start + 60, LabelOptions={"Timezone": "+0200"})
        [message] = answer["Messages"]
        assert message["Code"] == "Ignored" and "LabelOptions" in message["Value"]

    def test_a_range_of_years_is_answered(self, cw):
        name, start = unique("data"), whole_minute()
        put(cw, name, [(start, 1.0)])
        [result] = ask(cw, [stat(name)], start - 3 * 365 * 86_400, start + 86_400)["MetricDataResults"]
        assert result["Values"] == [1.0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"MetricDataQueries": [{"Id": "M1", "Expression": "1"}]}, "Invalid metrics list: the id 'M1'"),
        ({"MetricDataQueries": [{"Id": "e1"}]}, "either MetricStat or Expression"),
        ({"MetricDataQueries": [{"Id": "e1", "Expression": "NOPE(m1)"}]}, "Function 'NOPE' not found"),
        ({"MetricDataQueries": [{"Id": "e1", "Expression": "m1 +"}]}, "Error in expression 'e1': Invalid syntax"),
        ({"MetricDataQueries": [{"Id": "e1", "Expression": "e1 + 1"}]}, "Circular"),
        ({"MetricDataQueries": [{"Id": "e1", "Expression": "TIME_SERIES(1)"}]}, "has no Period"),
        ({"MetricDataQueries": [{**stat("n"), "AccountId": "999999999999"}]}, "other accounts"),
        ({"MetricDataQueries": [stat("n", period=7)]}, "Period of 'm1'"),
        (
            {"MetricDataQueries": [{"Id": "q", "Expression": "SELECT SUM(m FROM x", "Period": 60}]},
            "Error in expression 'q'",
        ),
        ({"EndTime": at(0)}, "StartTime must be less than"),
        ({"MaxDatapoints": 0}, "MaxDatapoints"),
        ({"MaxDatapoints": 100_801}, "MaxDatapoints"),
        ({"NextToken": "x"}, "nextToken is invalid"),
        ({"ScanBy": "Sideways"}, "scanBy"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_questions(cw, change, text):
    start = whole_minute()
    question = {"MetricDataQueries": [stat("n")], "StartTime": at(start), "EndTime": at(start + 60)}
    with refused(text=text):
        cw.get_metric_data(**{**question, **change})
