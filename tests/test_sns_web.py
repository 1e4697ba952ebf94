"""Web endpoints of topics: a real HTTP server of the test's own gets signed documents, and answers as it is told."""

import json
import time
import urllib.error
import urllib.request

import pytest
from cryptography.exceptions import InvalidSignature
from support import aws
from support.aws import refused, unique
from support.hook import Hook, authority, verify

RETRY_NOW = json.dumps(
    {"healthyRetryPolicy": {"minDelayTarget": 1, "maxDelayTarget": 1, "numRetries": 3, "numNoDelayRetries": 2}}
)
SILENCE_SECONDS = 2


@pytest.fixture
def hook():
    instance = Hook()
    yield instance
    instance.close()


@pytest.fixture
def topic(sns):
    return sns.create_topic(Name=unique("t"))["TopicArn"]


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def subscribed(sns, hook, topic, **attributes):
    """A confirmed subscription of a path of its own: the path and the ARN."""
    path = f"/{unique('hook')}"
    arn = sns.subscribe(
        TopicArn=topic,
        Protocol=hook.scheme,
        Endpoint=hook.url(path),
        Attributes=attributes,
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    [asked] = hook.wait(path, "SubscriptionConfirmation")
    assert f"<SubscriptionArn>{arn}</SubscriptionArn>" in get(asked.document["SubscribeURL"])
    return path, arn


class TestDocuments:
    @pytest.mark.parametrize("version", ["1", "2"])
    def test_an_endpoint_is_asked_told_and_bidden_farewell(self, sns, hook, topic, version):
        sns.set_topic_attributes(TopicArn=topic, AttributeName="SignatureVersion", AttributeValue=version)
        path = f"/{unique('hook')}"
        arn = sns.subscribe(
            TopicArn=topic, Protocol="http", Endpoint=hook.url(path), ReturnSubscriptionArn=True
        )["SubscriptionArn"]
        [asked] = hook.wait(path, "SubscriptionConfirmation")
        document = asked.document
        assert document["SignatureVersion"] == version
        verify(document)
        assert asked.headers["x-amz-sns-topic-arn"] == topic == document["TopicArn"]
        assert asked.headers["x-amz-sns-message-id"] == document["MessageId"]
        assert "x-amz-sns-subscription-arn" not in asked.headers
        assert asked.headers["content-type"] == "text/plain; charset=UTF-8"
        assert asked.headers["user-agent"] == "Amazon Simple Notification Service Agent"
        assert document["Token"] in document["SubscribeURL"]
        sns.publish(TopicArn=topic, Message="too early")
        sns.confirm_subscription(TopicArn=topic, Token=document["Token"])

        attribute = {"k": {"DataType": "String", "StringValue": "v"}}
        sent = sns.publish(TopicArn=topic, Message="ü\n\"2\"", Subject="My subject", MessageAttributes=attribute)
        [told] = hook.wait(path, "Notification")
        document = told.document
        verify(document)
        assert told.headers["x-amz-sns-subscription-arn"] == arn
        assert (document["Message"], document["Subject"]) == ("ü\n\"2\"", "My subject")
        assert document["MessageId"] == sent["MessageId"] == told.headers["x-amz-sns-message-id"]
        assert document["MessageAttributes"] == {"k": {"Type": "String", "Value": "v"}}
        assert told.body.decode().startswith('{\n  "Type" : "Notification",\n  "MessageId" : ')
        document["MessageAttributes"] = document["UnsubscribeURL"] = "changed"
        verify(document)
        document["Message"] += "!"
        with pytest.raises(InvalidSignature):
            verify(document)

        sns.unsubscribe(SubscriptionArn=arn)
        [over] = hook.wait(path, "UnsubscribeConfirmation")
        verify(over.document)
        assert over.headers["x-amz-sns-subscription-arn"] == arn
        assert arn in over.document["Message"]
        assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []
        get(over.document["SubscribeURL"])
        [again] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        assert again["SubscriptionArn"] == arn
        sns.publish(TopicArn=topic, Message="back")
        assert hook.wait(path, "Notification", 2)[1].document["Message"] == "back"

    def test_raw_deliveries_are_the_bare_message(self, sns, hook, topic):
        policy = {"requestPolicy": {"headerContentType": "application/json"}}
        attributes = {"RawMessageDelivery": "true", "DeliveryPolicy": json.dumps(policy)}
        path, _ = subscribed(sns, hook, topic, **attributes)
        message = json.dumps({"default": "d", "http": '{"for":"the web"}'})
        sns.publish(TopicArn=topic, Message=message, MessageStructure="json", Subject="s")
        [told] = hook.wait(path, "Notification")
        assert told.body == b'{"for":"the web"}'
        assert told.headers["x-amz-sns-rawdelivery"] == "true"
        assert told.headers["content-type"] == "application/json"

    def test_an_alarm_reaches_a_program(self, sns, cloudwatch, hook, topic):
        policy = {"FilterPolicy": json.dumps({"NewStateValue": ["ALARM"]}), "FilterPolicyScope": "MessageBody"}
        path, _ = subscribed(sns, hook, topic, **policy)
        name = unique("alarm")
        cloudwatch.put_metric_alarm(
            AlarmName=name, Namespace="n", MetricName=name, Period=60, EvaluationPeriods=1, Threshold=1, Statistic="Sum",
            ComparisonOperator="GreaterThanOrEqualToThreshold", AlarmActions=[topic], OKActions=[topic],
            TreatMissingData="ignore",
        )  # fmt: skip
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="told")
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="told")
        [told] = hook.wait(path, "Notification")
        verify(told.document)
        assert told.document["Subject"].startswith("ALARM: ")
        alarm = json.loads(told.document["Message"])
        assert (alarm["AlarmName"], alarm["NewStateValue"]) == (name, "ALARM")

    def test_a_password_is_sent_and_never_shown(self, server, sns, hook, topic):
        path = f"/{unique('hook')}"
        endpoint = f"http://user:hunter2@{hook.address}{path}"
        answer = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint, ReturnSubscriptionArn=True)
        [asked] = hook.wait(path, "SubscriptionConfirmation")
        assert asked.headers["authorization"] == "Basic dXNlcjpodW50ZXIy"
        [listed] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        shown = sns.get_subscription_attributes(SubscriptionArn=answer["SubscriptionArn"])["Attributes"]
        assert listed["Endpoint"] == shown["Endpoint"] == f"http://user:****@{hook.address}{path}"
        assert "hunter2" not in server.log.read_text()

    def test_https_trusts_whom_the_operator_trusts(self, fresh, tmp_path):
        ca, certificate = authority(tmp_path)
        hook = Hook(certificate)
        try:
            for arguments, trusted in [((), False), (("--web-ca-file", str(ca)), True)]:
                server = fresh(*arguments).start()
                sns = aws.client(server, "sns")
                topic = sns.create_topic(Name="t")["TopicArn"]
                if trusted:
                    path, _ = subscribed(sns, hook, topic)
                    sns.publish(TopicArn=topic, Message="safe")
                    assert hook.wait(path, "Notification")[0].document["Message"] == "safe"
                    key = server.data / "signing-key.pem"
                    assert key.stat().st_mode & 0o777 == 0o600
                else:
                    sns.subscribe(TopicArn=topic, Protocol="https", Endpoint=hook.url("/untrusted"))
                    deadline = time.monotonic() + 30
                    while "the endpoint could not be asked" not in server.tail():
                        assert time.monotonic() < deadline, server.tail()
                        time.sleep(0.1)
            assert hook.at("/untrusted") == []
        finally:
            hook.close()

    def test_the_certificate_outlives_a_restart(self, fresh, hook):
        server = fresh().start()
        sns = aws.client(server, "sns")
        topic = sns.create_topic(Name="t")["TopicArn"]
        path, _ = subscribed(sns, hook, topic)
        sns.publish(TopicArn=topic, Message="one")
        [first] = hook.wait(path, "Notification")
        assert server.stop() == 0
        server.start()
        verify(first.document)
        sns.publish(TopicArn=topic, Message="two")
        second = hook.wait(path, "Notification", 2)[1]
        assert second.document["SigningCertURL"] == first.document["SigningCertURL"]
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(f"{server.url}/SimpleNotificationService-{'0' * 32}.pem")
        assert caught.value.code == 404


class TestRetries:
    def test_what_fails_is_tried_again_under_the_same_id(self, sns, hook, topic):
        path, _ = subscribed(sns, hook, topic, DeliveryPolicy=RETRY_NOW)
        hook.answers = [503, 500, 429]
        sns.publish(TopicArn=topic, Message="H06")
        told = hook.wait(path, "Notification", 4)
        assert len({t.headers["x-amz-sns-message-id"] for t in told}) == 1
        time.sleep(SILENCE_SECONDS)
        assert len(hook.at(path, "Notification")) == 4

    @pytest.mark.parametrize("status", [404, 302])
    def test_what_is_refused_for_good_is_not(self, sns, hook, topic, status):
        path, _ = subscribed(sns, hook, topic, DeliveryPolicy=RETRY_NOW)
        hook.answers, hook.headers = [status], {"Location": hook.url("/elsewhere")}
        sns.publish(TopicArn=topic, Message="H05")
        hook.wait(path, "Notification")
        time.sleep(SILENCE_SECONDS)
        assert len(hook.at(path, "Notification")) == 1 and hook.at("/elsewhere") == []

    def test_what_is_given_up_is_told(self, fresh, hook):
        server = fresh().start()
        sns = aws.client(server, "sns")
        topic = sns.create_topic(Name="t")["TopicArn"]
        path, _ = subscribed(sns, hook, topic, DeliveryPolicy=RETRY_NOW)
        hook.answers = [500] * 4
        sns.publish(TopicArn=topic, Message="H03")
        hook.wait(path, "Notification", 4)
        deadline = time.monotonic() + 10
        while 'nightbell_deliveries_total{outcome="given_up"} 1' not in get(f"{server.url}/metrics"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert "delivery is given up" in server.tail()

    def test_a_slow_endpoint_holds_up_neither_mail_nor_others(self, sns, mailbox, hook, topic):
        other = Hook()
        try:
            slow, _ = subscribed(sns, hook, topic)
            quick, _ = subscribed(sns, other, topic)
            address = f"{unique('reader')}@example.org"
            sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=address)
            get(mailbox.wait(address)[0].link("ConfirmSubscription"))
            hook.pause.clear()
            for number in range(40):
                sns.publish(TopicArn=topic, Message=f"message {number}")
            # The slow one answers nothing before these are through.
            other.wait(quick, "Notification", 40)
            mailbox.wait(address, 41)
            assert len(hook.at(slow, "Notification")) <= 4
            hook.pause.set()
            hook.wait(slow, "Notification", 40)
        finally:
            other.close()

    def test_no_more_start_in_a_second_than_wanted(self, sns, hook, topic):
        policy = json.dumps({"throttlePolicy": {"maxReceivesPerSecond": 5}})
        path, _ = subscribed(sns, hook, topic, DeliveryPolicy=policy)
        entries = [{"Id": str(n), "Message": f"H04 {n}"} for n in range(10)]
        sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
        sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
        told = hook.wait(path, "Notification", 20)
        # Twenty at five a second take three seconds at least, however slow the machine is.
        assert told[-1].at - told[0].at > 2.5


class TestAddresses:
    @pytest.mark.parametrize(
        ("protocol", "endpoint", "text"),
        [
            ("https", "http://example.org/", "Endpoint must match the specified protocol"),
            ("http", "example.org", "Endpoint must match the specified protocol"),
            ("http", "http:///", ""),
            ("http", "http://a b/", "no web address"),
            ("http", "http://example.org/\r\nx: y", "no web address"),
            ("http", "http://169.254.169.254/latest/meta-data/", "link-local, metadata"),
            ("http", "http://2852039166/", "link-local, metadata"),
            ("http", "http://[::ffff:a9fe:a9fe]/", "link-local, metadata"),
            ("http", "http://0.0.0.0/", "link-local, metadata"),
            ("http", "http://example.org/" + "a" * 2_048, "no web address"),
        ],
    )
    def test_wrong_addresses(self, sns, topic, protocol, endpoint, text):
        with refused("InvalidParameter", text):
            sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint)
        assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []
