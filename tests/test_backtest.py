"""Backtests: a rule run over what is stored says what the same rule does live."""

import datetime
import json
import subprocess
import time
import urllib.request

import pytest
from support import aws, windows
from support.aws import unique
from support.server import ACCESS_KEY, SECRET_KEY, binary, environment


def backtest(server, *words, ok=True):
    env = environment(server.folder, NIGHTBELL_ROOT_ACCESS_KEY_ID=ACCESS_KEY, NIGHTBELL_ROOT_SECRET_ACCESS_KEY=SECRET_KEY)
    place = ["--endpoint", server.url, "--region", "us-east-2", "--data", str(server.data)]
    done = subprocess.run(
        [binary(), "backtest", *words, *place], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode == 0) == ok, done.stderr
    return done.stdout if ok else done.stderr


def tried(server, *words):
    return json.loads(backtest(server, *words, "--json"))


@pytest.fixture
def stored(server, logs):
    """A group with a guessed password on one machine and a few mistakes on another, two hours ago."""
    group = unique("fleet")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    start = aws.now_ms() - 2 * 3_600_000
    at = [("ws1", n * 10_000) for n in range(7)] + [("ws2", n * 10_000 + 5) for n in range(3)]
    at.sort(key=lambda pair: pair[1])
    events = [
        {"timestamp": start + ms, "message": windows.failed_logon(machine=name, at_ms=start + ms)} for name, ms in at
    ]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    return group, start


def test_a_watch_that_was_never_set_up_says_when_it_would_have_fired(server, stored):
    group, start = stored
    answer = tried(server, "failed-logons", "--group", group, "--by", "instance", "--threshold", "5", "--within", "5m")
    assert answer["events"] == 10
    [run] = answer["runs"]
    assert (run["fired"], run["contributors"]) == (1, 1)
    fired, over = run["transitions"]
    assert (fired["from"], fired["to"], fired["contributor"]) == ("OK", "ALARM", [["Instance", "ws1"]])
    # The fifth failure crosses the line, forty seconds after the first.
    assert fired["at"] // 1000 == (start + 40_000) // 1000
    assert fired["late_by_ms"] is None and fired["value"] == 5.0
    assert "ws1" in fired["subject"] and "ws1" in fired["text"]
    assert (over["from"], over["to"]) == ("ALARM", "OK")

    shown = backtest(server, "failed-logons", "--group", group, "--by", "instance", "--messages")
    assert "would have fired 1 times for 1 contributors" in shown and fired["subject"] in shown


def test_nothing_is_written_and_nobody_is_told(server, stored, cloudwatch, logs):
    group, _ = stored
    tried(server, "failed-logons", "--group", group)
    assert logs.describe_metric_filters(logGroupName=group)["metricFilters"] == []
    assert cloudwatch.describe_alarms(AlarmNames=["failed-logons"])["MetricAlarms"] == []


def test_thresholds_become_a_table(server, stored):
    group, _ = stored
    answer = tried(server, "failed-logons", "--group", group, "--by", "instance", "--threshold", "2..8")
    assert [(run["threshold"], run["fired"]) for run in answer["runs"]] == [
        (2, 2), (3, 2), (4, 1), (5, 1), (6, 1), (7, 1), (8, 0),
    ]  # fmt: skip
    table = backtest(server, "failed-logons", "--group", group, "--by", "instance", "--threshold", "2..8")
    assert len(table.splitlines()) == 9


def test_time_is_narrowed(server, stored):
    group, start = stored
    before = tried(server, "failed-logons", "--group", group, "--to", "3h")
    assert before["runs"][0]["fired"] == 0
    after = tried(server, "failed-logons", "--group", group, "--from", "1h")
    assert after["runs"][0]["fired"] == 0
    assert start


def live(server, cloudwatch, logs, group, alarm):
    """An alarm and its filter, live."""
    logs.put_metric_filter(
        logGroupName=group,
        filterName="f",
        filterPattern='{ $.Audit.Action = "logon" && $.Audit.Outcome = "failure" }',
        metricTransformations=[
            {
                "metricName": "Failed",
                "metricNamespace": alarm,
                "metricValue": "1",
                "dimensions": {"Instance": "$.Audit.Instance"},
            }
        ],
    )
    cloudwatch.put_metric_alarm(
        AlarmName=alarm,
        Metrics=[
            {
                "Id": "q",
                "Expression": f'SELECT SUM(Failed) FROM "{alarm}" GROUP BY Instance',
                "Period": 60,
                "ReturnData": True,
            }
        ],
        EvaluationPeriods=1,
        Threshold=3,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )


def test_a_backtest_says_what_happened_live(server, cloudwatch, logs):
    """The same events, judged live and then tried: the same transitions with the same reasons, values and windows."""
    group, alarm = unique("fleet"), unique("live")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    live(server, cloudwatch, logs, group, alarm)
    base = aws.now_ms()
    # In time, late, out of order, on three machines; one stays below the line.
    calls = [
        [("a", 0), ("b", 0), ("a", -30_000)],
        [("a", -45_000), ("c", -600_000), ("b", -70_000)],
        [("c", -601_000), ("b", -1_000)],
        [("c", -590_000), ("b", -2_000), ("d", 0)],
    ]
    for call in calls:
        events = sorted(({"at": base + ms, "name": name} for name, ms in call), key=lambda event: event["at"])
        logs.put_log_events(
            logGroupName=group,
            logStreamName="s",
            logEvents=[
                {"timestamp": e["at"], "message": windows.failed_logon(machine=e["name"], at_ms=e["at"])} for e in events
            ],
        )
        time.sleep(0.3)
    time.sleep(1)

    items = cloudwatch.describe_alarm_history(
        AlarmName=alarm, HistoryItemType="AlarmContributorStateUpdate", ScanBy="TimestampAscending"
    )["AlarmHistoryItems"]
    happened = [
        (
            item["AlarmContributorAttributes"]["Instance"],
            json.loads(item["HistoryData"])["oldState"]["stateValue"],
            json.loads(item["HistoryData"])["newState"]["stateValue"],
            json.loads(item["HistoryData"])["newState"]["stateReason"],
        )
        for item in items
    ]
    assert {name for name, *_ in happened} == {"a", "b", "c"}

    [run] = tried(server, "alarm", alarm, "--as-arrived")["runs"]
    would = [(t["contributor"][0][1], t["from"], t["to"], t["reason"]) for t in run["transitions"]]
    assert would == happened
    late = {t["contributor"][0][1]: t["late_by_ms"] for t in run["transitions"]}
    assert late["a"] is None and late["c"] > 580_000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("alarm", "no-such-alarm"), "no alarm of this name"),
        (("failed-logons", "--threshold", "9..3"), "--threshold"),
        (("failed-logons", "--threshold", "none"), "--threshold"),
        (("failed-logons", "--by", "colour"), "colour"),
        (("failed-logons", "--from", "yesterday"), "--from"),
        (("everything",), "everything"),
    ],
)
def test_what_cannot_be_tried_is_told(server, words, said):
    assert said in backtest(server, *words, ok=False)


def test_the_request_is_signed(server):
    request = urllib.request.Request(server.url + "/_nightbell/backtest", data=b"{}", method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 403


def put_points(cloudwatch, namespace):
    """One point half an hour ago."""
    at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=30)
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "a", "Value": 8.0, "Timestamp": at}])


def entries(namespace, expression, identity):
    metric = {"Namespace": namespace, "MetricName": "a"}
    return [
        {"Id": "a", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}, "ReturnData": identity == "band"},
        {"Id": identity, "Expression": expression, "ReturnData": True},
    ]


def test_an_alarm_on_an_expression_is_tried_on_stored_points(server, cloudwatch):
    name = unique("math")
    put_points(cloudwatch, name)
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Metrics=entries(name, "100 * a", "e"),
        EvaluationPeriods=1,
        Threshold=50,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    [run] = tried(server, "alarm", name)["runs"]
    fired = [one for one in run["transitions"] if one["to"] == "ALARM"]
    assert (run["fired"], len(fired), fired[0]["value"]) == (1, 1, 800.0)


def test_an_alarm_on_a_band_says_that_it_cannot_be_tried(server, cloudwatch):
    name = unique("band")
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Metrics=entries(name, "ANOMALY_DETECTION_BAND(a, 2)", "band"),
        EvaluationPeriods=1,
        ThresholdMetricId="band",
        ComparisonOperator="GreaterThanUpperThreshold",
    )
    assert "anomaly bands" in backtest(server, "alarm", name, ok=False)
