"""Alarms on expressions and on bands of what is usual, and the detectors behind those, through real clients."""

import json
import time

import pytest
from support import aws
from support.aws import refused, unique
from test_alarms import described, wait_for_state
from test_metric_data import DAYS, MINUTE, at, put, stat
from test_sns import subscribed

SHORT_PERIOD_SECONDS_MAX = 40


@pytest.fixture(params=["cbor", "json", "query"])
def cw(request, server):
    """A CloudWatch client that speaks the protocol."""
    return aws.client(server, "cloudwatch", protocol=request.param)


def ratio(name, period=MINUTE, **more):
    """An alarm on the share of failures."""
    return {
        "AlarmName": name,
        "Metrics": [
            stat(name, "failed", id="m1", period=period, ReturnData=False),
            stat(name, "all", id="m2", period=period, ReturnData=False),
            {"Id": "e1", "Expression": "100 * m1 / m2", "Label": "failures in percent", "ReturnData": True},
        ],
        "EvaluationPeriods": 1,
        "Threshold": 50.0,
        "ComparisonOperator": "GreaterThanThreshold",
        **more,
    }


def unusual(name, **more):
    """An alarm on what is not usual."""
    return {
        "AlarmName": name,
        "Metrics": [
            stat(name, ReturnData=True),
            {"Id": "ad1", "Expression": "ANOMALY_DETECTION_BAND(m1, 3)", "ReturnData": True},
        ],
        "EvaluationPeriods": 1,
        "ThresholdMetricId": "ad1",
        "ComparisonOperator": "GreaterThanUpperThreshold",
        **more,
    }


def without(settings, *keys):
    return {key: value for key, value in settings.items() if key not in keys}


def two_weeks(cw, name, until):
    """Stores a value of 10 to 12 every half hour."""
    put(cw, name, [(until - i * 1_800, 10.0 + i % 3) for i in range(1, DAYS * 48 - 4)])


class TestConfiguration:
    def test_an_expression_comes_back_as_it_was_put(self, cw):
        name = unique("math")
        cw.put_metric_alarm(**ratio(name))
        alarm = described(cw, name)
        assert alarm["Metrics"] == ratio(name)["Metrics"]
        assert (alarm["Threshold"], alarm["StateValue"]) == (50.0, "INSUFFICIENT_DATA")
        assert not {"MetricName", "Namespace", "Statistic", "Period", "ThresholdMetricId"} & set(alarm)
        [item] = cw.describe_alarm_history(AlarmName=name, HistoryItemType="ConfigurationUpdate")["AlarmHistoryItems"]
        created = json.loads(item["HistoryData"])["createdAlarm"]
        assert created["metrics"][2]["expression"] == "100 * m1 / m2"
        assert created["metrics"][0]["metricStat"]["metric"]["metricName"] == "failed"

    def test_a_band_comes_back_as_it_was_put(self, cw):
        name = unique("band")
        cw.put_metric_alarm(**unusual(name))
        alarm = described(cw, name)
        assert alarm["Metrics"] == unusual(name)["Metrics"]
        assert (alarm["ThresholdMetricId"], alarm["ComparisonOperator"]) == ("ad1", "GreaterThanUpperThreshold")
        assert "Threshold" not in alarm
        [item] = cw.describe_alarm_history(AlarmName=name, HistoryItemType="ConfigurationUpdate")["AlarmHistoryItems"]
        assert json.loads(item["HistoryData"])["createdAlarm"]["thresholdMetricId"] == "ad1"

    @pytest.mark.parametrize(
        ("alarm", "text"),
        [
            (lambda n: ratio(n, MetricName="m"), "mutually exclusive"),
            (lambda n: ratio(n, Metrics=ratio(n)["Metrics"][:2]), "should return data"),
            (lambda n: ratio(n, Metrics=[stat(n, ReturnData=False), expression("m1 + m9")]), "Unrecognized metric 'm9'"),
            (lambda n: ratio(n, Metrics=[stat(n, ReturnData=False), expression("AVG(m1)")]), "time series"),
            (lambda n: ratio(n, Metrics=[stat(n, ReturnData=False), expression("METRICS()")]), "multi time series"),
            (lambda n: ratio(n, period=15), "Period"),
            (
                lambda n: ratio(n, Metrics=[stat(n, id=f"m{i}", ReturnData=i == 0) for i in range(11)]),
                "more than 10 elements",
            ),
            (lambda n: ratio(n, Metrics=[stat(n, id=f"m{i}", ReturnData=i == 0) for i in range(21)]), "limit of 20"),
            (lambda n: unusual(n, Threshold=1.0), "mutually exclusive"),
            (lambda n: unusual(n, ThresholdMetricId="m1"), "ThresholdMetricId"),
            (lambda n: unusual(n, ComparisonOperator="GreaterThanThreshold"), "ComparisonOperator"),
            (lambda n: without(unusual(n), "ThresholdMetricId"), "should return data"),
            (lambda n: without(ratio(n), "Threshold"), "Threshold"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_cannot_be_judged_is_refused(self, cw, alarm, text):
        name = unique("math")
        with refused(text=text):
            cw.put_metric_alarm(**alarm(name))
        assert cw.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []


def expression(text, **more):
    return {"Id": "e1", "Expression": text, **more}


def test_an_expression_fires_and_tells(server, sns, mailbox):
    cw = aws.client(server, "cloudwatch")
    topic, address, _ = subscribed(sns, mailbox)
    name = unique("math")
    cw.put_metric_alarm(**ratio(name, period=10, AlarmActions=[topic]))
    data = [{"MetricName": "failed", "Value": 8.0}, {"MetricName": "all", "Value": 10.0}]
    cw.put_metric_data(Namespace=name, MetricData=data)
    alarm = wait_for_state(cw, name, "ALARM", SHORT_PERIOD_SECONDS_MAX)
    assert alarm["StateReason"].startswith("Threshold Crossed: 1 datapoint [80.0 (")
    assert alarm["StateReason"].endswith("was greater than the threshold (50.0).")
    reason = json.loads(alarm["StateReasonData"])
    assert (reason["recentDatapoints"], reason["threshold"]) == ([80.0], 50.0)
    assert "statistic" not in reason and "sampleCount" not in reason["evaluatedDatapoints"][0]
    mail = mailbox.wait(address, 2)[-1]
    assert "100 * m1 / m2" in mail.text and "80" in mail.text


def test_what_is_not_usual_fires_and_tells(server, sns, mailbox):
    cw = aws.client(server, "cloudwatch")
    topic, address, _ = subscribed(sns, mailbox)
    name = unique("band")
    last = (int(time.time()) - 10) // MINUTE * MINUTE - MINUTE  # a minute that is over
    two_weeks(cw, name, last)
    put(cw, name, [(last + 1, 400.0)])
    cw.put_metric_alarm(**unusual(name, AlarmActions=[topic]))
    alarm = wait_for_state(cw, name, "ALARM")
    assert alarm["StateReason"].startswith("Thresholds Crossed: 1 out of the last 1 datapoints [400.0 (")
    assert "was greater than the upper thresholds [" in alarm["StateReason"]
    reason = json.loads(alarm["StateReasonData"])
    [upper], [lower] = reason["recentUpperThresholds"], reason["recentLowerThresholds"]
    assert 0 <= lower < 12 < upper < 50 and "threshold" not in reason
    mail = mailbox.wait(address, 2)[-1]
    assert "Usually 10–12 on " in mail.text and ", now 400" in mail.text, mail.text
    [detector] = cw.describe_anomaly_detectors(Namespace=name)["AnomalyDetectors"]
    assert detector["Stat"] == "Sum", "the alarm made the detector it needs"


def share(name, period=MINUTE):
    """The share of failures, in percent, as entries."""
    return [
        stat(name, "failed", id="m1", period=period, ReturnData=False),
        stat(name, "all", id="m2", period=period, ReturnData=False),
        {"Id": "e1", "Expression": "100 * m1 / m2", "ReturnData": True},
    ]


def two_weeks_of_shares(cw, name, until):
    """Stores 10 to 12 failures of 100 attempts every half hour."""
    seconds = [until - i * 1_800 for i in range(1, DAYS * 48 - 4)]
    put(cw, name, [(second, 10.0 + i % 3) for i, second in enumerate(seconds, 1)], metric="failed")
    put(cw, name, [(second, 100.0) for second in seconds], metric="all")


def test_what_is_not_usual_of_an_expression_fires_and_tells(server, sns, mailbox):
    cw = aws.client(server, "cloudwatch")
    topic, address, _ = subscribed(sns, mailbox)
    name = unique("band")
    last = (int(time.time()) - 10) // MINUTE * MINUTE - MINUTE  # a minute that is over
    two_weeks_of_shares(cw, name, last)
    # Fewer failures than ever, and of still fewer attempts.
    put(cw, name, [(last + 1, 8.0)], metric="failed")
    put(cw, name, [(last + 1, 10.0)], metric="all")
    band = {"Id": "ad1", "Expression": "ANOMALY_DETECTION_BAND(e1, 3)", "ReturnData": True}
    metrics = [*share(name), band]
    cw.put_metric_alarm(**unusual(name, Metrics=metrics, AlarmActions=[topic]))
    alarm = wait_for_state(cw, name, "ALARM")
    assert alarm["Metrics"] == metrics
    assert alarm["StateReason"].startswith("Thresholds Crossed: 1 out of the last 1 datapoints [80.0 (")
    [upper] = json.loads(alarm["StateReasonData"])["recentUpperThresholds"]
    assert 12 < upper < 50
    mail = mailbox.wait(address, 2)[-1]
    assert "Usually 10–12 on " in mail.text and ", now 80" in mail.text, mail.text
    assert "100 * m1 / m2" in mail.text
    [detector] = cw.describe_anomaly_detectors(AnomalyDetectorTypes=["METRIC_MATH"], Namespace=name)["AnomalyDetectors"]
    assert detector["MetricMathAnomalyDetector"]["MetricDataQueries"] == share(name), "the alarm made it"


class TestDetectors:
    def test_a_detector_of_an_expression_comes_back_as_it_was_put_and_is_trained(self, cw):
        name, now = unique("detector"), int(time.time())
        two_weeks_of_shares(cw, name, now)
        beside = stat(name, "m", id="m3", ReturnData=False)
        labelled = [{**entry, "Label": "no matter"} for entry in share(name)]
        cw.put_anomaly_detector(
            MetricMathAnomalyDetector={"MetricDataQueries": [*labelled, beside]},
            Configuration={"MetricTimezone": "Europe/Berlin"},
        )
        of_expressions = {"Namespace": name, "AnomalyDetectorTypes": ["METRIC_MATH"]}
        assert cw.describe_anomaly_detectors(Namespace=name)["AnomalyDetectors"] == []
        [found] = cw.describe_anomaly_detectors(**of_expressions)["AnomalyDetectors"]
        assert found["MetricMathAnomalyDetector"] == {"MetricDataQueries": share(name)}
        assert (found["StateValue"], found["Configuration"]["MetricTimezone"]) == ("TRAINED", "Europe/Berlin")
        assert "MetricName" not in found and "SingleMetricAnomalyDetector" not in found
        # It is found by each of its metrics, and with those of single metrics.
        cw.put_anomaly_detector(Namespace=name, MetricName="all", Stat="Sum")
        by_metric = {"Namespace": name, "MetricName": "all", "AnomalyDetectorTypes": ["SINGLE_METRIC", "METRIC_MATH"]}
        assert len(cw.describe_anomaly_detectors(**by_metric)["AnomalyDetectors"]) == 2
        assert cw.describe_anomaly_detectors(**of_expressions, MetricName="m")["AnomalyDetectors"] == []
        with refused(text="anomalyDetectorTypes"):
            cw.describe_anomaly_detectors(AnomalyDetectorTypes=["GUESSED"])

        with refused("ResourceNotFoundException", status=404):
            cw.delete_anomaly_detector(MetricMathAnomalyDetector={"MetricDataQueries": share(name, period=300)})
        cw.delete_anomaly_detector(MetricMathAnomalyDetector={"MetricDataQueries": share(name)})
        assert cw.describe_anomaly_detectors(**of_expressions)["AnomalyDetectors"] == []

    @pytest.mark.parametrize(
        ("entries", "text"),
        [
            (lambda n: [stat(n)], "MetricDataQueries"),
            (lambda n: [stat(n, ReturnData=False), expression("AVG(m1)")], "time series"),
            (lambda n: [stat(n, period=30, ReturnData=False), expression("m1 * 2")], "60 seconds"),
            (lambda n: [stat(n, ReturnData=False), expression("m1 + m9")], "Unrecognized metric 'm9'"),
            (lambda n: [expression(f'SELECT SUM(m) FROM "{n}"', Period=60)], "queries"),
            (lambda n: [stat(n, id=f"m{i}", ReturnData=i == 0) for i in range(21)], "limit of 20"),
            (lambda n: [], "empty"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_an_expression_that_cannot_be_learned_is_refused(self, cw, entries, text):
        name = unique("detector")
        with refused(text=text):
            cw.put_anomaly_detector(MetricMathAnomalyDetector={"MetricDataQueries": entries(name)})
        with refused("InvalidParameterCombination"):
            cw.put_anomaly_detector(
                MetricMathAnomalyDetector={"MetricDataQueries": share(name)}, Namespace=name, MetricName="m", Stat="Sum"
            )
        both = {"Namespace": name, "AnomalyDetectorTypes": ["SINGLE_METRIC", "METRIC_MATH"]}
        assert cw.describe_anomaly_detectors(**both)["AnomalyDetectors"] == []

    def test_a_detector_comes_back_as_it_was_put_and_is_trained(self, cw):
        name, now = unique("detector"), int(time.time())
        two_weeks(cw, name, now)
        dimensions = [{"Name": "Host", "Value": "fs-1"}]
        single = {"Namespace": name, "MetricName": "m", "Dimensions": [], "Stat": "Sum"}
        excluded = [{"StartTime": at(now - 7_200), "EndTime": at(now - 3_600)}]
        cw.put_anomaly_detector(
            SingleMetricAnomalyDetector=single,
            Configuration={"ExcludedTimeRanges": excluded, "MetricTimezone": "Europe/Berlin"},
            MetricCharacteristics={"PeriodicSpikes": True},
        )
        cw.put_anomaly_detector(
            SingleMetricAnomalyDetector={**single, "MetricName": "new", "Dimensions": dimensions}
        )
        found = cw.describe_anomaly_detectors(Namespace=name)["AnomalyDetectors"]
        known, new = sorted(found, key=lambda one: one["MetricName"])
        assert known["SingleMetricAnomalyDetector"] == single
        assert (known["StateValue"], new["StateValue"]) == ("TRAINED", "PENDING_TRAINING")
        assert known["Configuration"] == {"ExcludedTimeRanges": excluded, "MetricTimezone": "Europe/Berlin"}
        assert known["MetricCharacteristics"] == {"PeriodicSpikes": True}
        [by_dimension] = cw.describe_anomaly_detectors(Namespace=name, Dimensions=dimensions)["AnomalyDetectors"]
        assert by_dimension["MetricName"] == "new"
        page = cw.describe_anomaly_detectors(Namespace=name, MaxResults=1)
        rest = cw.describe_anomaly_detectors(Namespace=name, NextToken=page["NextToken"])
        assert len(page["AnomalyDetectors"]) == len(rest["AnomalyDetectors"]) == 1

        cw.delete_anomaly_detector(SingleMetricAnomalyDetector=single)
        [left] = cw.describe_anomaly_detectors(Namespace=name)["AnomalyDetectors"]
        assert left["MetricName"] == "new"
        with refused("ResourceNotFoundException", status=404):
            cw.delete_anomaly_detector(SingleMetricAnomalyDetector=single)

    @pytest.mark.parametrize(
        "change",
        [
            {"Stat": "Median"},
            {"Configuration": {"MetricTimezone": "Mars/Olympus"}},
            {"Configuration": {"ExcludedTimeRanges": [{"StartTime": at(60), "EndTime": at(0)}]}},
            {"Configuration": {"ExcludedTimeRanges": [{"StartTime": at(0), "EndTime": at(60)}] * 11}},
            {"SingleMetricAnomalyDetector": {"Namespace": "n", "MetricName": "m", "Stat": "Sum"}},
        ],
        ids=lambda change: ",".join(change),
    )
    def test_what_cannot_be_learned_is_refused(self, cw, change):
        name = unique("detector")
        with refused():
            cw.put_anomaly_detector(**{"Namespace": name, "MetricName": "m", "Stat": "Sum", **change})
        assert cw.describe_anomaly_detectors(Namespace=name)["AnomalyDetectors"] == []


def test_what_was_learned_survives_a_restart(fresh):
    server = fresh().start()
    cw, name, now = aws.client(server, "cloudwatch"), "kept", int(time.time())
    two_weeks(cw, name, now)
    two_weeks_of_shares(cw, name, now)
    cw.put_anomaly_detector(Namespace=name, MetricName="m", Stat="Sum")
    cw.put_anomaly_detector(MetricMathAnomalyDetector={"MetricDataQueries": share(name)})
    assert server.stop() == 0
    cw = aws.client(server.start(), "cloudwatch")
    kinds = ["SINGLE_METRIC", "METRIC_MATH"]
    detectors = cw.describe_anomaly_detectors(Namespace=name, AnomalyDetectorTypes=kinds)["AnomalyDetectors"]
    assert [detector["StateValue"] for detector in detectors] == ["TRAINED", "TRAINED"]
