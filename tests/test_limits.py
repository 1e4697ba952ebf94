"""What once went wrong at a limit, and must not again."""

import json
import socket
import time

from support import aws
from support.aws import now_ms, unique

ALARM = dict(
    MetricName="m",
    Statistic="Sum",
    Period=300,
    EvaluationPeriods=1,
    ComparisonOperator="GreaterThanThreshold",
    TreatMissingData="notBreaching",
)


def state(cloudwatch, name):
    return cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]


def test_two_alarms_on_one_metric_count_each_sample_once_after_a_restart(fresh):
    server = fresh().start()
    cloudwatch = aws.client(server, "cloudwatch")
    names = [unique("a"), unique("b")]
    for name in names:
        cloudwatch.put_metric_alarm(AlarmName=name, Namespace="n", Threshold=10, **ALARM)
    cloudwatch.put_metric_data(Namespace="n", MetricData=[{"MetricName": "m", "Value": 4.0}])
    for _ in range(2):
        assert server.stop() == 0
        server.start()
    cloudwatch = aws.client(server, "cloudwatch")
    cloudwatch.put_metric_data(Namespace="n", MetricData=[{"MetricName": "m", "Value": 5.0}])
    assert [state(cloudwatch, name) for name in names] != ["ALARM", "ALARM"]
    assert "ALARM" not in [state(cloudwatch, name) for name in names], "nine is not over ten"
    cloudwatch.put_metric_data(Namespace="n", MetricData=[{"MetricName": "m", "Value": 2.0}])
    assert [state(cloudwatch, name) for name in names] == ["ALARM", "ALARM"]


def test_an_endless_arn_is_refused_and_nobody_falls(server):
    arn = f"arn:aws:sns:{'r' * 60_000}:{'1' * 12}:t:s"
    for body in (
        aws.form(Action="Unsubscribe", Version="2010-03-31", SubscriptionArn=arn),
        aws.form(Action="ConfirmSubscription", Version="2010-03-31", TopicArn=arn, Token="ab"),
    ):
        status, _, _ = plain(server, body)
        assert status in (200, 400, 404)
    status, _, _ = plain(server, b"Action=Unsubscribe&SubscriptionArn=" + b"a" * 100_000)
    assert status == 413
    assert server.running()


def plain(server, body):
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return aws.send(server, body, headers)


def test_streams_that_move_while_they_are_listed_are_listed_once(logs, group):
    for n in range(6):
        name = f"stream-{n}"
        logs.create_log_stream(logGroupName=group, logStreamName=name)
        event = {"timestamp": now_ms() - 60_000 + n, "message": "m"}
        logs.put_log_events(logGroupName=group, logStreamName=name, logEvents=[event])
    time.sleep(0.3)
    arguments = dict(logGroupName=group, orderBy="LastEventTime", descending=True, limit=2)
    pages, token = 0, None
    while True:
        answer = logs.describe_log_streams(**arguments, **({"nextToken": token} if token else {}))
        last = answer["logStreams"][-1]["logStreamName"] if answer["logStreams"] else None
        token = answer.get("nextToken")
        pages += 1
        assert pages < 10, "the listing does not end"
        if token is None:
            break
        # The last one shown moves to the front.
        event = {"timestamp": now_ms(), "message": "m"}
        logs.put_log_events(logGroupName=group, logStreamName=last, logEvents=[event])
        time.sleep(0.2)


def test_a_flood_of_tiny_events_under_two_filters_does_not_hold_up_the_matcher(fresh):
    server = fresh().start()
    logs = aws.client(server, "logs")
    cloudwatch = aws.client(server, "cloudwatch")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    for name in ("one", "two"):
        transformation = {
            "metricNamespace": "flood",
            "metricName": name,
            "metricValue": "1",
            "dimensions": {"N": "$.n"},
        }
        logs.put_metric_filter(
            logGroupName="g", filterName=name, filterPattern="{ $.n = * }", metricTransformations=[transformation]
        )
    at = now_ms()
    sent = 0
    for batch in range(6):
        messages = [json.dumps({"n": f"{batch}-{n}"}) for n in range(8_000)]
        events = [{"timestamp": at, "message": message} for message in messages]
        logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=events)
        sent += len(events)
    last = {"Name": "N", "Value": "5-0"}
    deadline = time.monotonic() + 60
    while not cloudwatch.list_metrics(Namespace="flood", MetricName="two", Dimensions=[last])["Metrics"]:
        assert time.monotonic() < deadline, server.tail()
        time.sleep(0.5)
        # 48,000 values under two filters are more new series than an hour may bring; what is dropped is told.
        if "too many new series" in server.log.read_text():
            break


def test_a_page_of_large_events_is_cut_and_the_next_goes_on(logs, group):
    at = now_ms()
    messages = [f"{n:02d}" + "x" * 300_000 for n in range(10)]
    for n, message in enumerate(messages):
        event = {"timestamp": at + n, "message": message}
        logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[event])
    for forward in (True, False):
        seen, token = [], None
        while True:
            more = {"nextToken": token} if token else {}
            answer = logs.get_log_events(logGroupName=group, logStreamName="s", startFromHead=forward, **more)
            page = [event["message"][:2] for event in answer["events"]]
            assert len(page) <= 3, "a page has at most one megabyte"
            following = answer["nextForwardToken" if forward else "nextBackwardToken"]
            if following == token:
                break
            seen = seen + page if forward else page + seen
            token = following
        assert seen == [f"{n:02d}" for n in range(10)]
    found, token = [], None
    while True:
        more = {"nextToken": token} if token else {}
        answer = logs.filter_log_events(logGroupName=group, **more)
        found += [event["message"][:2] for event in answer["events"]]
        token = answer.get("nextToken")
        if token is None:
            break
    assert found == [f"{n:02d}" for n in range(10)]


def test_a_link_in_an_earlier_mail_stays_good(sns, mailbox):
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    address = f"{unique('twice')}@example.org"
    for _ in range(2):
        sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=address)
    first, second = mailbox.wait(address, 2)[:2]
    assert first.message_id != second.message_id
    import urllib.request

    with urllib.request.urlopen(first.link("ConfirmSubscription"), timeout=10) as answer:
        assert answer.status == 200
    [subscription] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert subscription["SubscriptionArn"] != "PendingConfirmation"


def test_a_body_without_a_key_is_not_held(server):
    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 8000000\r\n\r\n")
        assert b" 413 " in connection.recv(4_096).split(b"\r\n")[0]
