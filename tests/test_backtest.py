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
    assert "would have fired 1 time for 1 contributor at threshold 5" in shown and fired["subject"] in shown
    assert "ack" not in fired["text"], "there is no incident to acknowledge"


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
    rows = [row.split() for row in table.splitlines()[2:]]
    bars = [row[-1] if "█" in row[-1] else "" for row in rows]
    assert [row[0] for row in rows] == ["2", "3", "4", "5", "6", "7", "8"]
    assert [len(bar) for bar in bars] == [40, 40, 20, 20, 20, 20, 0]


def test_time_is_narrowed(server, stored):
    group, start = stored
    for span in (["--to", "3h"], ["--from", "1h"], ["--from", "1h", "--to", "30m"]):
        narrowed = tried(server, "failed-logons", "--group", group, *span)
        assert (narrowed["events"], narrowed["runs"][0]["fired"]) == (0, 0)
        [note] = narrowed["notes"]
        oldest = datetime.datetime.fromtimestamp(start / 1000, datetime.UTC).strftime("%Y-%m-%dT%H:%M")
        assert f"no event of the log group {group}" in note and oldest in note
    shown = backtest(server, "failed-logons", "--group", group, "--from", "1h", "--to", "30m")
    assert f"note: no event of the log group {group} is of" in shown
    assert tried(server, "failed-logons", "--group", group, "--from", "3h")["notes"] == []


def test_a_group_without_events_and_one_that_nothing_matches_say_so(server, logs):
    group = unique("empty")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    assert tried(server, "failed-logons", "--group", group)["notes"] == [f"the log group {group} holds no events"]
    logs.put_log_events(
        logGroupName=group, logStreamName="s", logEvents=[{"timestamp": aws.now_ms(), "message": "something else"}]
    )
    assert tried(server, "failed-logons", "--group", group)["notes"] == ["no event matched"]


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


def away_from_the_look():
    """Waits where the look of this minute would fall among the events.

    What a late event raised is cleared by the next whole-minute look, at second 5. The server makes it up to a
    second after that, a backtest exactly then: an event in between is before the one look and after the other.
    """
    while (second := time.time() % 60) < 8 or second > 55:
        time.sleep(0.2)


def test_a_backtest_says_what_happened_live(server, cloudwatch, logs):
    """The same events, judged live and then tried: the same transitions with the same reasons, values and windows."""
    group, alarm = unique("fleet"), unique("live")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    live(server, cloudwatch, logs, group, alarm)
    away_from_the_look()
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
        (("failed-logons", "--group", "no-such-group"), 'no log group "no-such-group"'),
        (("missing-events", "--group", "no-such-group"), 'no log group "no-such-group"'),
        (("failed-logons", "--group", "windows", "--from", "1h", "--to", "2h"), "is after"),
        (("failed-logons", "--group", "windows", "--from", "2100-01-01"), "future"),
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


def put_points(cloudwatch, namespace, points=((30, 8.0),)):
    """Points of so many minutes ago with these values."""
    now = datetime.datetime.now(datetime.UTC)
    data = [
        {"MetricName": "a", "Value": value, "Timestamp": now - datetime.timedelta(minutes=ago)} for ago, value in points
    ]
    for at in range(0, len(data), 500):
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=data[at : at + 500])


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


def test_an_alarm_on_a_band_learns_what_was_usual_before(server, cloudwatch):
    name = unique("band")
    # Four days, a point each five minutes, and a burst three hours ago.
    points = [(ago, 90.0 if 180 <= ago < 190 else 10.0 + ago % 3) for ago in range(4 * 1440, 0, -5)]
    put_points(cloudwatch, name, points)
    metric = entries(name, "ANOMALY_DETECTION_BAND(a, 4)", "band")
    metric[0]["MetricStat"]["Period"] = 300
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Metrics=metric,
        EvaluationPeriods=1,
        ThresholdMetricId="band",
        ComparisonOperator="GreaterThanUpperThreshold",
    )
    answer = tried(server, "alarm", name, "--from", "6h")
    [run] = answer["runs"]
    fired = [one for one in run["transitions"] if one["to"] == "ALARM"]
    assert (run["fired"], len(fired), run["threshold"]) == (1, 1, None), run
    ago_min = (aws.now_ms() - fired[0]["at"]) / 60_000
    assert 174 < ago_min < 187, ago_min
    assert "Usually" in fired[0]["text"], fired[0]["text"]
    assert "no threshold to try" in backtest(server, "alarm", name, "--threshold", "3", ok=False)
    # Without a past there is nothing that could be unusual.
    [run] = tried(server, "alarm", name, "--to", "95h")["runs"]
    assert run["fired"] == 0


def put_alarm(cloudwatch, name, namespace, threshold, **more):
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace=namespace,
        MetricName="a",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=threshold,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
        **more,
    )


def test_a_composite_alarm_is_tried_with_all_that_it_is_made_of(server, cloudwatch):
    name = unique("tree")
    low, high, inner, top = (f"{name}-{part}" for part in ("low", "high", "inner", "top"))
    put_points(cloudwatch, name, [(50, 3.0), (40, 9.0), (20, 3.0)])
    put_alarm(cloudwatch, low, name, 2)
    put_alarm(cloudwatch, high, name, 5)
    cloudwatch.put_composite_alarm(AlarmName=inner, AlarmRule=f"ALARM({low}) AND NOT ALARM({high})")
    cloudwatch.put_composite_alarm(AlarmName=top, AlarmRule=f"ALARM({inner}) OR ALARM({high})")
    [run] = tried(server, "alarm", top)["runs"]
    moves = [(one["alarm"].removeprefix(f"{name}-"), one["child"], one["to"]) for one in run["transitions"]]
    own = [to for alarm, _, to in moves if alarm == "top"]
    assert (run["fired"], own) == (3, ["ALARM", "OK"] * 3), moves
    assert {alarm for alarm, child, _ in moves if child} == {"low", "high", "inner"}
    assert [to for alarm, _, to in moves if alarm == "high"] == ["ALARM", "OK"]
    shown = backtest(server, "alarm", top)
    assert "would have fired 3 times" in shown and f"(child {low})" in shown
    assert "no threshold to try" in backtest(server, "alarm", top, "--threshold", "3", ok=False)


def test_a_composite_alarm_did_live_what_it_is_said_to(server, cloudwatch, logs):
    group, alarm = unique("fleet"), unique("below")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    live(server, cloudwatch, logs, group, alarm)
    top = unique("top")
    cloudwatch.put_composite_alarm(AlarmName=top, AlarmRule=f"ALARM({alarm})")
    at = aws.now_ms()
    messages = [{"timestamp": at, "message": windows.failed_logon(machine="a", at_ms=at)} for _ in range(3)]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=messages)

    def happened():
        items = cloudwatch.describe_alarm_history(
            AlarmName=top, AlarmTypes=["CompositeAlarm"], HistoryItemType="StateUpdate", ScanBy="TimestampAscending"
        )["AlarmHistoryItems"]
        states = [json.loads(item["HistoryData"]) for item in items]
        return [(one["oldState"]["stateValue"], one["newState"]["stateValue"]) for one in states]

    for _ in range(50):
        if happened()[-1:] == [("OK", "ALARM")]:
            break
        time.sleep(0.1)
    [run] = tried(server, "alarm", top, "--as-arrived")["runs"]
    would = [(one["from"], one["to"]) for one in run["transitions"] if not one["child"]]
    assert would == [("OK", "ALARM")]
    # What it was before its rule was weighed for the first time is the making of it.
    assert [move for move in happened() if move[0] != "INSUFFICIENT_DATA"] == would


def test_gaps_in_record_numbers_are_found_in_what_is_stored(server, logs):
    group = unique("fleet")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    start = aws.now_ms() - 3 * 3_600_000
    numbers = [*range(100, 130), *range(180, 220)]  # fifty are missing
    at = {number: start + 60_000 * index for index, number in enumerate(numbers)}
    events = [
        {"timestamp": at[number], "message": windows.failed_logon(machine="ws1", at_ms=at[number], record=number)}
        for number in numbers
    ]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    answer = tried(server, "missing-events", "--group", group)
    [run] = answer["runs"]
    fired, over = run["transitions"]
    assert (run["fired"], run["contributors"], fired["value"]) == (1, 1, 50.0), run
    assert ["Instance", "ws1"] in fired["contributor"] and "130 to 179" in fired["text"]
    # Told when the first record behind the gap has waited for those in it long enough.
    assert fired["at"] // 1000 == at[180] // 1000 + 900
    assert over["to"] == "OK"
    none = tried(server, "missing-events", "--group", group, "--threshold", "51")
    assert none["runs"][0]["fired"] == 0


def test_what_nobody_would_be_told_of_is_marked(server, cloudwatch, sns):
    name = unique("quiet")
    put_points(cloudwatch, name, [(40, 9.0)])
    topic = sns.create_topic(Name=name)["TopicArn"]
    put_alarm(cloudwatch, name, name, 5, AlarmActions=[topic])
    [run] = tried(server, "alarm", name)["runs"]
    assert [one["silent"] for one in run["transitions"]] == [None, "the alarm has no actions for this state"]
    # The first message, and the incident's end, which no action tells.
    assert run["mails"] == 2 and [one["kind"] for one in run["messages"]] == ["end"]
    put_alarm(cloudwatch, name, name, 5, AlarmActions=[topic], ActionsEnabled=False)
    [run] = tried(server, "alarm", name)["runs"]
    assert (run["fired"], run["mails"], run["messages"]) == (1, 0, [])
    assert run["transitions"][0]["silent"] == "its actions are disabled"
    assert "no message: its actions are disabled" in backtest(server, "alarm", name, "--messages")


def test_an_alarm_without_data_begins_as_it_does_live(server, cloudwatch):
    name = unique("missing")
    put_points(cloudwatch, name, [(40, 9.0), (39, 1.0)])
    put_alarm(cloudwatch, name, name, 5)
    cloudwatch.put_metric_alarm(
        AlarmName=name, Namespace=name, MetricName="a", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=5,
        ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    [run] = tried(server, "alarm", name)["runs"]
    states = [one["to"] for one in run["transitions"]]
    assert run["transitions"][0]["from"] == "INSUFFICIENT_DATA"
    assert (states[0], states[-1]) == ("ALARM", "INSUFFICIENT_DATA")


@pytest.fixture
def endless(fresh):
    """A server with two weeks of events, and a backtest of them that takes minutes."""
    server = fresh().start()
    logs = aws.client(server, "logs")
    logs.create_log_group(logGroupName="windows")
    logs.create_log_stream(logGroupName="windows", logStreamName="s")
    now = aws.now_ms()
    for day in range(13, 0, -1):
        times = [now - day * 86_400_000 + minute * 60_000 for minute in range(0, 1435, 5)]
        events = [{"timestamp": at, "message": windows.failed_logon(at_ms=at)} for at in times]
        logs.put_log_events(logGroupName="windows", logStreamName="s", logEvents=events)

    def start():
        env = environment(
            server.folder, NIGHTBELL_ROOT_ACCESS_KEY_ID=ACCESS_KEY, NIGHTBELL_ROOT_SECRET_ACCESS_KEY=SECRET_KEY
        )
        words = [binary(), "backtest", "missing-events", "--threshold", "1..100", "--endpoint", server.url]
        place = ["--region", "us-east-2", "--data", str(server.data)]
        client = subprocess.Popen(words + place, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = client.stderr.readline()
        assert line.startswith(("reading events", "playing them")), line + client.stderr.read()
        return client

    return server, start


def test_a_server_that_stops_does_not_wait_for_a_backtest(endless):
    server, start = endless
    client = start()
    assert server.stop() == 0
    assert client.wait(timeout=20) == 1
    assert "the server is stopping" in client.stderr.read()


def test_a_client_that_leaves_ends_its_backtest(endless):
    server, start = endless
    # As many as there is room for: others would wait for them.
    for client in [start(), start()]:
        client.kill()
        client.wait(timeout=20)
    assert tried(server, "failed-logons", "--group", "windows", "--from", "1h")["runs"][0]["fired"] == 0
