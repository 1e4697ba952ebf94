"""How long metrics are remembered, and how finely: asked of real clients, before points are folded and after.

Data of two weeks comes by PutMetricData. What is older comes as recorded events, which an import takes at any age.
"""

import datetime
import json
import time
import urllib.request

import pytest
from support import aws

MINUTE, HOUR, DAY = 60, 3_600, 86_400
NAMESPACE = "history"
GROUP = "/aws/fsx/windows"
PERIODS = (1, 10, 60, 300, 3_600)
STATISTICS = ["SampleCount", "Sum", "Average", "Minimum", "Maximum"]
# Seconds inside an hour: two in one second, in one minute, in one five minutes, and in the hour.
SECONDS = (0, 0, 1, 31, 125, 290, 901, 3_599)


def at(second):
    return datetime.datetime.fromtimestamp(second, datetime.UTC)


def hour_of_age(age_s):
    """The first second of an hour that is over for this long, and not for an hour more."""
    return (int(time.time()) - age_s) // HOUR * HOUR - HOUR


def hour_and_a_half_ago():
    return int(time.time()) // MINUTE * MINUTE - 90 * MINUTE


def folded(server):
    """How many stored points were folded since the start."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    [line] = [one for one in text.splitlines() if one.startswith('nightbell_data_points_aged_total{outcome="folded"}')]
    return float(line.split()[-1])


def until(read, holds, seconds_max=60):
    """Waits until what is read is right; `seconds_max` is only what a hopeless wait costs."""
    end = time.monotonic() + seconds_max
    while not holds(value := read()):
        assert time.monotonic() < end, f"still {value}"
        time.sleep(0.1)
    return value


def put(cloudwatch, start):
    """Stores the values 1, 2, … at SECONDS after `start`."""
    data = [
        {"MetricName": "m", "Timestamp": at(start + second), "Value": value}
        for value, second in enumerate(SECONDS, 1)
    ]
    cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=data)


def import_events(server, start):
    """Stores an event at each of SECONDS after `start`, as a recorded log brings it."""
    events = [[(start + second) * 1_000, f"denied {value}"] for value, second in enumerate(SECONDS, 1)]
    request = {"group": GROUP, "stream": "s", "source": f"recorded-{start}", "events": events, "next": [0, 1]}
    body = json.dumps(request).encode()
    path = "/_nightbell/import"
    headers = aws.sign(server, "nightbell", body, {"content-type": "application/json"}, path=path)
    status, _, answer = aws.send(server, body, headers, path=path)
    assert status == 200, answer


def statistics(cloudwatch, start, period, metric="m", extended=()):
    """GetMetricStatistics over the hour from `start` on: datapoints by time."""
    answer = cloudwatch.get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName=metric,
        StartTime=at(start),
        EndTime=at(start + HOUR) if period >= MINUTE else at(start + 5 * MINUTE),
        Period=period,
        Statistics=STATISTICS,
        ExtendedStatistics=list(extended),
    )
    return {int(point["Timestamp"].timestamp()) - start: point for point in answer["Datapoints"]}


def data(cloudwatch, start, period, statistic, metric="m"):
    """GetMetricData over the same: values by time."""
    stat = {"Metric": {"Namespace": NAMESPACE, "MetricName": metric}, "Period": period, "Stat": statistic}
    [result] = cloudwatch.get_metric_data(
        MetricDataQueries=[{"Id": "m1", "MetricStat": stat}], StartTime=at(start), EndTime=at(start + HOUR)
    )["MetricDataResults"]
    stamps = [int(stamp.timestamp()) - start for stamp in result["Timestamps"]]
    return dict(zip(stamps, result["Values"], strict=True))


def expected(period):
    """Count, sum, smallest and largest of each period, by its start."""
    periods = {}
    for value, second in enumerate(SECONDS, 1):
        periods.setdefault(second // period * period, []).append(value)
    return {start: (len(all_), sum(all_), min(all_), max(all_)) for start, all_ in periods.items()}


def told(points):
    return {
        start: tuple(point[name] for name in ("SampleCount", "Sum", "Minimum", "Maximum"))
        for start, point in points.items()
    }


def check(cloudwatch, start, answered, metric="m"):
    """Every period that is answered is answered exactly, and no other is at all."""
    for period in PERIODS:
        whole = expected(period) if period in answered else {}
        part = {second: values for second, values in whole.items() if period >= MINUTE or second < 5 * MINUTE}
        assert told(statistics(cloudwatch, start, period, metric)) == part, (period, answered)
        sums = {second: values[1] for second, values in whole.items()}
        assert data(cloudwatch, start, period, "Sum", metric) == sums, (period, answered)
        largest = {second: values[3] for second, values in whole.items()}
        assert data(cloudwatch, start, period, "p100", metric) == largest, (period, answered)


@pytest.mark.parametrize(
    ("begin", "answered"),
    [
        (hour_and_a_half_ago, PERIODS),
        (lambda: hour_of_age(4 * HOUR), PERIODS[2:]),
        (lambda: hour_of_age(13 * DAY), PERIODS[2:]),
    ],
    ids=["by the second", "by the minute", "for two weeks"],
)
def test_a_period_too_fine_for_its_age_has_no_datapoints(cloudwatch, begin, answered):
    start = begin()
    put(cloudwatch, start)
    check(cloudwatch, start, answered)


def test_folded_points_answer_as_they_did_before(fresh):
    server = fresh().start()
    cloudwatch, logs = aws.client(server, "cloudwatch"), aws.client(server, "logs")
    logs.create_log_group(logGroupName=GROUP)
    transformation = {"metricNamespace": NAMESPACE, "metricName": "denied", "metricValue": "$value"}
    logs.put_metric_filter(
        logGroupName=GROUP,
        filterName="denied",
        filterPattern="[word, value]",
        metricTransformations=[transformation],
    )
    young = [(hour_and_a_half_ago(), PERIODS), (hour_of_age(5 * HOUR), PERIODS[2:]), (hour_of_age(13 * DAY), PERIODS[2:])]
    old = [
        (hour_of_age(16 * DAY), PERIODS[3:]),
        (hour_of_age(60 * DAY), PERIODS[3:]),
        (hour_of_age(66 * DAY), PERIODS[4:]),
        (hour_of_age(450 * DAY), PERIODS[4:]),
        (hour_of_age(456 * DAY), ()),
    ]
    for start, _ in young:
        put(cloudwatch, start)
    for start, _ in old:
        import_events(server, start)

    def read_all():
        for start, answered in young:
            check(cloudwatch, start, answered)
        for start, answered in old:
            check(cloudwatch, start, answered, "denied")

    newest = old[-2][0]
    until(lambda: statistics(cloudwatch, newest, HOUR, "denied"), lambda points: len(points) == 1)
    until(lambda: told(statistics(cloudwatch, newest, HOUR, "denied"))[0][0], lambda count: count == len(SECONDS))
    read_all()
    median = {start: statistics(cloudwatch, start, HOUR, "m", ["p50", "tm90"]) for start, _ in young}
    # The sweeper goes round when the server starts.
    server.kill()
    server.start()
    cloudwatch = aws.client(server, "cloudwatch")
    until(lambda: folded(server), lambda count: count > 0)
    until(lambda: server.tail(), lambda log: "data points that came of age were folded" in log)
    read_all()
    assert {start: statistics(cloudwatch, start, HOUR, "m", ["p50", "tm90"]) for start, _ in young} == median
    # What comes late counts at once, beside what was folded.
    start = young[1][0]
    cloudwatch.put_metric_data(
        Namespace=NAMESPACE, MetricData=[{"MetricName": "m", "Timestamp": at(start + 7), "Value": 100.0}]
    )
    [point] = statistics(cloudwatch, start, HOUR).values()
    assert (point["SampleCount"], point["Maximum"]) == (len(SECONDS) + 1, 100.0)


def test_a_start_is_rounded_down_by_its_age(fresh):
    server = fresh().start()
    cloudwatch, logs = aws.client(server, "cloudwatch"), aws.client(server, "logs")
    logs.create_log_group(logGroupName=GROUP)
    transformation = {"metricNamespace": NAMESPACE, "metricName": "denied", "metricValue": "1"}
    logs.put_metric_filter(
        logGroupName=GROUP, filterName="denied", filterPattern="denied", metricTransformations=[transformation]
    )
    for age, grain in [(2 * DAY, MINUTE), (20 * DAY, 5 * MINUTE), (70 * DAY, HOUR)]:
        start = hour_of_age(age)
        import_events(server, start)
        until(lambda start=start: told(statistics(cloudwatch, start, HOUR, "denied")), lambda points: len(points) == 1)
        answer = cloudwatch.get_metric_statistics(
            Namespace=NAMESPACE,
            MetricName="denied",
            StartTime=at(start - 1),
            EndTime=at(start + HOUR),
            Period=HOUR,
            Statistics=["Sum"],
        )
        stamps = {int(point["Timestamp"].timestamp()) for point in answer["Datapoints"]}
        first = start - grain
        assert stamps == {first + (start + second - first) // HOUR * HOUR for second in SECONDS}, age
