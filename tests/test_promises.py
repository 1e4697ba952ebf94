"""What the program promises whatever the circumstances: exact counts in any order and over restarts, one message for
one transition, little memory."""

import re
import threading
import time

import pytest
from support import aws, windows
from support.aws import unique
from test_alarms import described
from test_math_alarms import two_weeks, unusual
from test_sns import subscribed

MAIL_SECONDS_MAX = 10
SILENCE_SECONDS = 2
SECOND, MINUTE = 1_000, 60_000
IDLE_MEMORY_MB_MAX = 100


class Rule:
    """More than five denied opens within a minute: group, filter, alarm, and a subscriber who has agreed."""

    def __init__(self, server, mailbox):
        self.server, self.mailbox = server, mailbox
        self.connect()
        self.topic, self.address, _ = subscribed(aws.client(server, "sns"), mailbox)
        self.name = unique("rule")
        self.logs.create_log_group(logGroupName=self.name)
        for stream in ("s", "t"):
            self.logs.create_log_stream(logGroupName=self.name, logStreamName=stream)
        self.logs.put_metric_filter(
            logGroupName=self.name,
            filterName="denied",
            filterPattern='{ $.Audit.Outcome = "failure" }',
            metricTransformations=[{"metricName": "m", "metricNamespace": self.name, "metricValue": "1"}],
        )
        self.alarm(self.name)

    def connect(self):
        self.logs, self.cloudwatch = aws.client(self.server, "logs"), aws.client(self.server, "cloudwatch")

    def alarm(self, name, **more):
        settings = {
            "AlarmName": name,
            "Namespace": self.name,
            "MetricName": "m",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 5,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": [self.topic],
        }
        self.cloudwatch.put_metric_alarm(**{**settings, **more})

    def denied(self, *times_ms, user="alice", stream="s"):
        """Stores one denied open at each of the times, in one call."""
        events = [{"timestamp": t, "message": windows.denied_open(user, at_ms=t)} for t in sorted(times_ms)]
        self.logs.put_log_events(logGroupName=self.name, logStreamName=stream, logEvents=events)

    def told(self, count=1):
        """The alarm mails, once so many have come; more must not come."""
        self.mailbox.wait(self.address, 1 + count, MAIL_SECONDS_MAX)
        return self.mailbox.stays(self.address, 1 + count, SILENCE_SECONDS)[1:]

    def silent(self):
        self.mailbox.stays(self.address, 1, SILENCE_SECONDS)


@pytest.fixture
def rule(server, mailbox):
    return Rule(server, mailbox)


class TestExact:
    def test_the_window_slides_over_the_minute(self, rule):
        edge = (aws.now_ms() // MINUTE - 1) * MINUTE
        rule.denied(*[edge - 10 * SECOND] * 3, *[edge + 10 * SECOND] * 3)
        rule.told()

    def test_events_more_than_a_window_apart_do_not_add_up(self, rule):
        edge = (aws.now_ms() // MINUTE - 2) * MINUTE
        rule.denied(*[edge] * 3, *[edge + 61 * SECOND] * 3)
        rule.silent()

    def test_order_of_arrival_does_not_matter(self, rule):
        at = aws.now_ms() - 30 * SECOND
        for offset in (5, 3, 1, 4, 2, 0):
            rule.denied(at + offset * SECOND, stream="st"[offset % 2])
        [mail] = rule.told()
        assert "6" in mail.subject

    def test_late_events_count_in_their_own_window(self, rule):
        late = aws.now_ms() - 10 * MINUTE
        rule.denied(*[aws.now_ms()] * 3)
        rule.denied(*[late] * 5)
        rule.silent()
        rule.denied(late)
        [mail] = rule.told()
        assert "late" in mail.text.lower()

    @pytest.mark.parametrize("end", ["stop", "kill"])
    def test_counts_go_on_over_a_restart(self, fresh, own_mailbox, end):
        server = fresh(smtp=own_mailbox.url).start()
        rule = Rule(server, own_mailbox)
        at = aws.now_ms()
        rule.denied(*[at] * 4)
        getattr(server, end)()
        server.start()
        rule.connect()
        rule.denied(at)
        rule.silent()
        rule.denied(at)
        [mail] = rule.told()
        assert "6" in mail.subject
        server.kill()
        server.start()
        assert len(rule.told()) == 1, "the message is not sent again after a restart"

    def test_many_at_once_make_one_message(self, rule):
        at = aws.now_ms()

        def send():
            client = aws.client(rule.server, "logs")
            for _ in range(5):
                event = {"timestamp": at, "message": windows.denied_open(at_ms=at)}
                client.put_log_events(logGroupName=rule.name, logStreamName="s", logEvents=[event])

        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rule.told()


class TestTold:
    def test_every_subscriber_gets_it_once(self, rule, sns, mailbox):
        second = f"{unique('second')}@example.org"
        sns.subscribe(TopicArn=rule.topic, Protocol="email", Endpoint=second)
        link = mailbox.wait(second)[0].link("ConfirmSubscription")
        sns.confirm_subscription(TopicArn=rule.topic, Token=link.split("Token=")[1])
        at = aws.now_ms()
        rule.denied(*[at] * 6)
        [first_mail] = rule.told()
        [second_mail] = mailbox.stays(second, 2, 0.5)[1:]
        assert first_mail.recipients == [rule.address] and second_mail.recipients == [second]
        assert first_mail.message_id != second_mail.message_id

    def test_several_users_are_counted_one_by_one(self, rule):
        at = aws.now_ms()
        for user, times in (("alice", 3), ("bob", 2), ("carol", 1)):
            rule.denied(*[at] * times, user=user)
        [mail] = rule.told()
        for user in ("alice", "bob", "carol"):
            assert user in mail.text.lower() and user in mail.html.lower()
        assert mail.text.lower().index("alice") < mail.text.lower().index("carol"), "who did most comes first"

    def test_two_alarms_on_one_number_tell_both(self, rule):
        rule.alarm(rule.name + "-lower", Threshold=2)
        at = aws.now_ms()
        rule.denied(*[at] * 3)
        [mail] = rule.told()
        assert f'"{rule.name}-lower"' in mail.text
        rule.denied(*[at] * 3)
        rule.told(2)

    def test_a_topic_that_is_gone_is_noted_in_the_history(self, rule, sns):
        sns.delete_topic(TopicArn=rule.topic)
        rule.denied(*[aws.now_ms()] * 6)
        end = time.monotonic() + MAIL_SECONDS_MAX
        while True:
            items = rule.cloudwatch.describe_alarm_history(AlarmName=rule.name, HistoryItemType="Action")
            if items["AlarmHistoryItems"]:
                break
            assert time.monotonic() < end
            time.sleep(0.1)
        assert items["AlarmHistoryItems"][0]["HistorySummary"] == f"Failed to execute action {rule.topic}"
        rule.silent()

    def test_an_alarm_in_one_region_does_not_see_another(self, rule):
        other = aws.client(rule.server, "logs", region="eu-west-1")
        other.create_log_group(logGroupName=rule.name)
        other.create_log_stream(logGroupName=rule.name, logStreamName="s")
        at = aws.now_ms()
        events = [{"timestamp": at, "message": windows.denied_open(at_ms=at)}] * 6
        other.put_log_events(logGroupName=rule.name, logStreamName="s", logEvents=events)
        rule.silent()


class TestAgain:
    """What is made anew starts anew, and what is taken away stays away."""

    def test_an_alarm_made_again_tells_again(self, rule):
        at = aws.now_ms()
        rule.denied(*[at] * 6)
        [first] = rule.told()
        rule.cloudwatch.delete_alarms(AlarmNames=[rule.name])
        rule.alarm(rule.name)
        rule.denied(*[aws.now_ms()] * 6)
        second = rule.told(2)[1]
        assert first.message_id != second.message_id

    def test_a_filter_taken_away_counts_no_more(self, rule):
        at = aws.now_ms()
        rule.denied(*[at] * 3)
        rule.logs.delete_metric_filter(logGroupName=rule.name, filterName="denied")
        rule.denied(*[at] * 9)
        rule.silent()

    def test_a_group_made_again_counts_from_nothing(self, rule):
        rule.denied(*[aws.now_ms()] * 4)
        rule.logs.delete_log_group(logGroupName=rule.name)
        rule.logs.create_log_group(logGroupName=rule.name)
        rule.logs.create_log_stream(logGroupName=rule.name, logStreamName="s")
        rule.denied(*[aws.now_ms()] * 9)
        rule.silent()

    def test_after_a_reset_everything_works_as_at_first(self, fresh, own_mailbox):
        server = fresh("--allow-reset", smtp=own_mailbox.url).start()
        for _ in range(2):
            rule = Rule(server, own_mailbox)
            rule.denied(*[aws.now_ms()] * 6)
            rule.told()
            rule.cloudwatch.put_anomaly_detector(Namespace="n", MetricName="m", Stat="Sum")
            status, _, _ = aws.send(server, b"", {}, "/_nightbell/reset")
            assert status in (200, 204)
            assert rule.logs.describe_log_groups()["logGroups"] == []
            assert rule.cloudwatch.describe_alarms()["MetricAlarms"] == []
            assert rule.cloudwatch.list_metrics()["Metrics"] == []
            assert rule.cloudwatch.describe_anomaly_detectors()["AnomalyDetectors"] == []
            assert aws.client(server, "sns").list_topics()["Topics"] == []
        # What the watcher had learned is forgotten, too.
        cloudwatch = rule.cloudwatch
        two_weeks(cloudwatch, "n", int(time.time()))
        cloudwatch.put_anomaly_detector(Namespace="n", MetricName="m", Stat="Sum")
        [trained] = cloudwatch.describe_anomaly_detectors()["AnomalyDetectors"]
        assert trained["StateValue"] != "PENDING_TRAINING"
        assert aws.send(server, b"", {}, "/_nightbell/reset")[0] in (200, 204)
        # A watcher that still knew what is usual would find this strange at once.
        last = (int(time.time()) - 10) // 60 * 60 - 60  # a minute that is over
        cloudwatch.put_metric_data(
            Namespace="n", MetricData=[{"MetricName": "m", "Value": 400.0, "Timestamp": last + 1}]
        )
        cloudwatch.put_metric_alarm(**unusual("n"))
        assert described(cloudwatch, "n")["StateValue"] == "INSUFFICIENT_DATA"
        server.kill()
        server.start()
        assert aws.client(server, "logs").describe_log_groups()["logGroups"] == []


class TestSmall:
    def test_an_idle_server_needs_little_memory(self, fresh):
        server = fresh().start()
        aws.client(server, "logs").describe_log_groups()
        status = open(f"/proc/{server.process.pid}/status").read()
        assert int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024 < IDLE_MEMORY_MB_MAX

    def test_a_thousand_filters_are_matched(self, logs, group, put, cloudwatch):
        for i in range(1000):
            logs.put_metric_filter(
                logGroupName=group,
                filterName=f"f{i}",
                filterPattern=f'"4656" "folder-{i:04}"',
                metricTransformations=[{"metricName": f"m{i}", "metricNamespace": group, "metricValue": "1"}],
            )
        at = aws.now_ms()
        put(*(f"4656 folder-{i:04}" for i in range(1000)), at_ms=at)
        end = time.monotonic() + MAIL_SECONDS_MAX
        while True:
            pages = cloudwatch.get_paginator("list_metrics").paginate(Namespace=group)
            metrics = {m["MetricName"] for page in pages for m in page["Metrics"]}
            if len(metrics) == 1000:
                break
            assert time.monotonic() < end, len(metrics)


class TestIdentity:
    def test_who_am_i(self, server):
        identity = aws.cli(server, "sts", "get-caller-identity")
        assert identity["Account"] == "123456789012" and ":root" in identity["Arn"]

    def test_a_person_who_follows_a_link_sees_a_page(self, server, sns, mailbox):
        topic = sns.create_topic(Name=unique("t"))["TopicArn"]
        address = f"{unique('reader')}@example.org"
        sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=address)
        link = mailbox.wait(address)[0].link("ConfirmSubscription")
        path = link.removeprefix(server.url)
        # A mail scanner follows links too, so the page asks for a click, and the click is a POST to the same address.
        for method, shows in (("GET", b"<button"), ("POST", b"confirmed")):
            status, headers, body = aws.send(server, b"", {"accept": "text/html"}, path, method)
            assert status == 200 and headers["content-type"].startswith("text/html")
            assert b"<script" not in body and shows in body.lower()
            [subscription] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
            assert (subscription["SubscriptionArn"] == "PendingConfirmation") == (method == "GET")
        hostile = path.replace("Token=", "Token=<script>")
        status, _, body = aws.send(server, b"", {"accept": "text/html"}, hostile, "POST")
        assert status >= 400 and b"<script" not in body


def test_the_stream_can_be_a_dimension(logs, group, put, cloudwatch):
    logs.put_metric_filter(
        logGroupName=group,
        filterName="f",
        filterPattern="{ $.EventID = 4656 }",
        metricTransformations=[
            {
                "metricName": "m",
                "metricNamespace": group,
                "metricValue": "1",
                "dimensions": {"Stream": "@logStream", "User": "$.SubjectUserName"},
            }
        ],
    )
    put(windows.denied_open("Alice"))
    end = time.monotonic() + MAIL_SECONDS_MAX
    while not (metrics := cloudwatch.list_metrics(Namespace=group)["Metrics"]):
        assert time.monotonic() < end
    assert {d["Name"]: d["Value"] for d in metrics[0]["Dimensions"]} == {"Stream": "s", "User": "Alice"}
