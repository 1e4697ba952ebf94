"""DescribeAlarmContributors page by page: each contributor once, whatever happens between two pages; and the log names them."""

import time

from support import aws
from support.aws import refused

CHANGE_SECONDS_MAX = 20
PAGE = 100
NAME = "pages"


def put(cloudwatch, hosts, value):
    hosts = list(hosts)
    data = [
        {"MetricName": "m", "Value": value, "Dimensions": [{"Name": "Host", "Value": f"h{host:04}"}]} for host in hosts
    ]
    cloudwatch.put_metric_data(Namespace=NAME, MetricData=data)


def page(cloudwatch, **more):
    answer = cloudwatch.describe_alarm_contributors(AlarmName=NAME, **more)
    return [one["ContributorAttributes"]["Host"] for one in answer["AlarmContributors"]], answer.get("NextToken")


def pages(cloudwatch):
    found, token = [], None
    while True:
        hosts, token = page(cloudwatch, **({"NextToken": token} if token else {}))
        found.append(hosts)
        if token is None:
            return found


def test_pages_hold_each_contributor_once_also_across_a_crash(fresh):
    server = fresh().start()
    cloudwatch = aws.client(server, "cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=NAME,
        Metrics=[
            {"Id": "q", "Expression": f'SELECT SUM(m) FROM "{NAME}" GROUP BY Host', "Period": 300, "ReturnData": True}
        ],
        EvaluationPeriods=1,
        Threshold=4,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    assert pages(cloudwatch) == [[]]
    put(cloudwatch, range(250), 5.0)
    put(cloudwatch, range(250, 300), 1.0)  # these are held, and in no ALARM
    expected = {f"h{host:04}" for host in range(250)}
    end = time.monotonic() + CHANGE_SECONDS_MAX
    while len(found := pages(cloudwatch)) < 3 or len(found[-1]) < 50:
        assert time.monotonic() < end, found
    assert [len(hosts) for hosts in found] == [PAGE, PAGE, 50]
    assert {host for hosts in found for host in hosts} == expected and sum(map(len, found)) == 250

    first, token = page(cloudwatch)
    server.kill()
    server.start()
    cloudwatch = aws.client(server, "cloudwatch")
    # One that comes between two pages disturbs nothing else, wherever it stands.
    put(cloudwatch, [999], 5.0)
    while "h0999" not in [host for hosts in pages(cloudwatch) for host in hosts]:
        assert time.monotonic() < end + CHANGE_SECONDS_MAX
    second, token = page(cloudwatch, NextToken=token)
    third, over = page(cloudwatch, NextToken=token)
    later = [host for host in second + third if host != "h0999"]
    assert over is None and sorted(first + later) == sorted(expected)

    for wrong in ("", "%%", "AAAA", "x" * 2_000):
        with refused():
            cloudwatch.describe_alarm_contributors(AlarmName=NAME, NextToken=wrong or "!")

    changed = [line for line in server.log.read_text().splitlines() if "alarm changed" in line]
    assert any('contributor="Host=h0999"' in line and 'to="ALARM"' in line for line in changed), changed[-3:]
    assert any("contributor=" not in line for line in changed), "that of the alarm as a whole names nobody"
