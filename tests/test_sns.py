"""Topics, subscriptions and mail: SNS through a real client, mails through a real SMTP server."""

import json
import time
import urllib.error
import urllib.request

import pytest
from support import aws
from support.aws import refused, unique
from support.mail import Mailbox

SILENCE_SECONDS = 2


def get(url):
    """A plain unsigned GET, as a browser does it."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def subscribed(sns, mailbox):
    """A topic, the address subscribed and confirmed, and the subscription's ARN."""
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    address = f"{unique('reader')}@example.org"
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=address)
    [mail] = mailbox.wait(address)
    status, _ = get(mail.link("ConfirmSubscription"))
    assert status == 200
    [subscription] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    return topic, address, subscription["SubscriptionArn"]


class TestTopics:
    def test_a_topic_is_made_once_and_named_by_its_arn(self, sns):
        name = unique("t")
        topic = sns.create_topic(Name=name)["TopicArn"]
        assert topic == f"arn:aws:sns:us-east-2:123456789012:{name}"
        assert sns.create_topic(Name=name)["TopicArn"] == topic
        arns = [t["TopicArn"] for page in sns.get_paginator("list_topics").paginate() for t in page["Topics"]]
        assert arns.count(topic) == 1
        attributes = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
        assert attributes["TopicArn"] == topic and attributes["SubscriptionsConfirmed"] == "0"

    @pytest.mark.parametrize("name", ["a b", "", "x" * 257, "ä", "a:b"])
    def test_wrong_names(self, sns, name):
        with refused("InvalidParameter"):
            sns.create_topic(Name=name)

    def test_deleting_a_topic_ends_its_subscriptions(self, sns, mailbox):
        topic, address, _ = subscribed(sns, mailbox)
        sns.delete_topic(TopicArn=topic)
        sns.delete_topic(TopicArn=topic)
        with refused("NotFound", "Topic does not exist", status=404):
            sns.publish(TopicArn=topic, Message="m")
        mailbox.stays(address, 1, SILENCE_SECONDS)


class TestSubscriptions:
    def test_nothing_is_sent_before_the_subscriber_agrees(self, sns, mailbox):
        topic = sns.create_topic(Name=unique("t"))["TopicArn"]
        address = f"{unique('reader')}@example.org"
        answer = sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=address)
        assert answer["SubscriptionArn"] == "pending confirmation"
        [listed] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        assert listed["SubscriptionArn"] == "PendingConfirmation" and listed["Endpoint"] == address
        [confirmation] = mailbox.wait(address)
        assert topic in confirmation.text and topic in confirmation.html
        sns.publish(TopicArn=topic, Message="too early")
        mailbox.stays(address, 1, SILENCE_SECONDS)

        status, page = get(confirmation.link("ConfirmSubscription"))
        assert status == 200
        [listed] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        assert listed["SubscriptionArn"].startswith(topic + ":")
        assert get(confirmation.link("ConfirmSubscription"))[0] == 200, "the link may be followed again"
        sns.publish(TopicArn=topic, Message="hello")
        assert "hello" in mailbox.wait(address, 2)[1].text
        mailbox.stays(address, 2, SILENCE_SECONDS)

    def test_the_link_answers_as_the_service_does(self, server, sns, mailbox):
        topic = sns.create_topic(Name=unique("t"))["TopicArn"]
        address = f"{unique('reader')}@example.org"
        sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=address)
        token = mailbox.wait(address)[0].link("Token=").split("Token=")[1]
        answer = sns.confirm_subscription(TopicArn=topic, Token=token)
        assert answer["SubscriptionArn"].startswith(topic + ":")

    def test_wrong_tokens(self, server, sns):
        topic = sns.create_topic(Name=unique("t"))["TopicArn"]
        for token in ("x", "", "0" * 64, "f" * 10_000):
            with refused("InvalidParameter"):
                sns.confirm_subscription(TopicArn=topic, Token=token)
            status, _ = get(f"{server.url}/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}")
            assert status == 400
        assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []

    def test_subscribing_twice_is_one_subscription(self, sns, mailbox):
        topic, address, arn = subscribed(sns, mailbox)
        assert sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=address)["SubscriptionArn"] == arn
        assert len(sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]) == 1
        sns.publish(TopicArn=topic, Message="once")
        mailbox.wait(address, 2)
        mailbox.stays(address, 2, SILENCE_SECONDS)

    @pytest.mark.parametrize(
        "endpoint",
        [
            "no-at-sign",
            "",
            "a@b@c",
            "a@example.org\r\nBcc: b@example.org",
            "a@example.org\nX: y",
            "a b@example.org",
            "<a@example.org>, b@example.org",
            "x" * 400 + "@example.org",
        ],
    )
    def test_wrong_addresses(self, sns, endpoint):
        topic = sns.create_topic(Name=unique("t"))["TopicArn"]
        with refused("InvalidParameter"):
            sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=endpoint)
        assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []

    def test_wrong_requests(self, sns):
        topic = sns.create_topic(Name=unique("t"))["TopicArn"]
        with refused("InvalidParameter"):
            sns.subscribe(TopicArn=topic, Protocol="pigeon", Endpoint="a@example.org")
        missing = topic + "-missing"
        with refused("NotFound", status=404):
            sns.subscribe(TopicArn=missing, Protocol="email", Endpoint="a@example.org")
        with refused("NotFound", status=404):
            sns.list_subscriptions_by_topic(TopicArn=missing)

    @pytest.mark.parametrize("body", [b"", b"List-Unsubscribe=One-Click"], ids=["button of the page", "mail program"])
    def test_unsubscribing_by_the_link_takes_a_click(self, sns, mailbox, body):
        topic, address, _ = subscribed(sns, mailbox)
        sns.publish(TopicArn=topic, Message="first")
        link = mailbox.wait(address, 2)[1].link("Unsubscribe")
        status, page = get(link)
        assert status == 200 and "<button" in page
        # Mail scanners follow links: that alone must not unsubscribe anybody.
        assert len(sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]) == 1
        with urllib.request.urlopen(urllib.request.Request(link, data=body, method="POST"), timeout=10) as answer:
            assert answer.status == 200
        assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []
        sns.publish(TopicArn=topic, Message="second")
        mailbox.stays(address, 2, SILENCE_SECONDS)

    def test_unsubscribing_by_the_client(self, sns, mailbox):
        topic, _, arn = subscribed(sns, mailbox)
        sns.unsubscribe(SubscriptionArn=arn)
        assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []
        listed = [s for page in sns.get_paginator("list_subscriptions").paginate() for s in page["Subscriptions"]]
        assert arn not in [s["SubscriptionArn"] for s in listed]


class TestPublish:
    def test_what_is_delivered(self, sns, mailbox):
        topic, address, _ = subscribed(sns, mailbox)
        both = json.dumps({"default": "for all", "email": "for mail"})
        for number, (message, more, expected) in enumerate(
            [
                ("plain text", {"Subject": "A subject"}, "plain text"),
                (both, {"MessageStructure": "json"}, "for mail"),
                (json.dumps({"default": "for all"}), {"MessageStructure": "json"}, "for all"),
                (both, {}, both),
                ("ünï¢ødé 🔔\nsecond line\n.\nafter a dot", {}, "ünï¢ødé 🔔\nsecond line\n.\nafter a dot"),
            ]
        ):
            answer = sns.publish(TopicArn=topic, Message=message, **more)
            assert len(answer["MessageId"]) == 36
            mail = mailbox.wait(address, number + 2)[-1]
            assert expected in mail.text.replace("\r\n", "\n")
            assert mail.subject == more.get("Subject", "Nightbell Notification Message")

    @pytest.mark.parametrize(
        ("message", "more", "text"),
        [
            ('{"email":"e"}', {"MessageStructure": "json"}, "No default entry in JSON message body"),
            ("not json", {"MessageStructure": "json"}, "JSON message body failed to parse"),
            ("", {}, "Empty message"),
            ("m", {"Subject": "s" * 101}, ""),
            ("m", {"Subject": "two\nlines"}, ""),
            ("m", {"Subject": "s\r\nBcc: x@example.org"}, ""),
            ("m", {"Subject": "ümlaut"}, ""),
            ("m", {"Subject": ""}, ""),
            ("x" * 262_145, {}, ""),
        ],
        ids=lambda v: v[:20] if isinstance(v, str) else None,
    )
    def test_wrong_messages(self, sns, message, more, text):
        topic = sns.create_topic(Name=unique("t"))["TopicArn"]
        with refused("InvalidParameter", text):
            sns.publish(TopicArn=topic, Message=message, **more)

    def test_the_largest_message_and_subject(self, sns, mailbox):
        topic, address, _ = subscribed(sns, mailbox)
        sns.publish(TopicArn=topic, Message="x" * 262_144, Subject="s" * 100)
        mail = mailbox.wait(address, 2)[1]
        assert mail.text.replace("\n", "").replace("\r", "").count("x") >= 262_144
        assert mail.subject == "s" * 100

    def test_unknown_topics(self, sns):
        with refused("NotFound", "Topic does not exist", status=404):
            sns.publish(TopicArn="arn:aws:sns:us-east-2:123456789012:missing", Message="m")
        with refused("NotFound", status=404):
            sns.publish(TopicArn="nonsense", Message="m")

    def test_hostile_text_stays_text(self, sns, mailbox):
        topic, address, _ = subscribed(sns, mailbox)
        hostile = "<script>alert(1)</script>\r\n.\r\nMAIL FROM:<evil@example.org>\r\nBcc: evil@example.org\x1b[31m"
        sns.publish(TopicArn=topic, Message=hostile)
        mail = mailbox.wait(address, 2)[1]
        assert mail.recipients == [address] and mail.message["Bcc"] is None
        html = [p for p in mail.message.walk() if p.get_content_type() == "text/html"]
        assert all("<script>" not in p.get_content() for p in html)


class TestMailServer:
    """What happens when the mail server says no, or is not there."""

    @pytest.mark.parametrize("stage", ["rcpt", "data"])
    def test_a_refusal_for_now_is_tried_again_and_sent_once(self, fresh, own_mailbox, stage):
        server = fresh(smtp=own_mailbox.url).start()
        sns = aws.client(server, "sns")
        topic, address, _ = subscribed(sns, own_mailbox)
        own_mailbox.refuse(451, times=2, stage=stage)
        sns.publish(TopicArn=topic, Message="patience", Subject="patience")
        [mail] = own_mailbox.wait(address, subject="patience", seconds=20)
        # One mail is one Message-ID, however often it is tried: whoever got it twice can tell.
        tried = mail.message_id if stage == "data" else address
        assert own_mailbox.refusals() == [tried, tried]
        own_mailbox.stays(address, 1, SILENCE_SECONDS, subject="patience")

    def test_a_final_refusal_is_not_tried_again(self, fresh, own_mailbox):
        server = fresh(smtp=own_mailbox.url).start()
        sns = aws.client(server, "sns")
        topic, address, _ = subscribed(sns, own_mailbox)
        own_mailbox.refuse(550, times=100, stage="rcpt")
        sns.publish(TopicArn=topic, Message="never", Subject="never")
        own_mailbox.stays(address, 0, 4, subject="never")
        assert own_mailbox.refusals() == [address]
        own_mailbox.refuse(550, times=0)
        sns.publish(TopicArn=topic, Message="next", Subject="next")
        own_mailbox.wait(address, subject="next")

    def test_mails_wait_for_the_server_over_a_restart(self, fresh, own_mailbox):
        server = fresh(smtp=own_mailbox.url).start()
        sns = aws.client(server, "sns")
        topic, address, _ = subscribed(sns, own_mailbox)
        own_mailbox.refuse(451, times=1_000)
        sns.publish(TopicArn=topic, Message="later", Subject="later")
        assert server.stop() == 0
        own_mailbox.refuse(451, times=0)
        server.start()
        own_mailbox.wait(address, subject="later", seconds=20)
        own_mailbox.stays(address, 1, SILENCE_SECONDS, subject="later")

    def test_mails_wait_for_a_server_that_is_not_there(self, fresh, tmp_path):
        away = Mailbox(tmp_path / "away")
        away.close()
        server = fresh(smtp=away.url).start()
        sns = aws.client(server, "sns")
        topic = sns.create_topic(Name="t")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.org")
        time.sleep(1)
        back = Mailbox(tmp_path / "back", away.port)
        try:
            [mail] = back.wait("a@example.org", seconds=20)
            assert "Subscription Confirmation" in mail.subject
            back.stays("a@example.org", 1, SILENCE_SECONDS)
        finally:
            back.close()

    def test_without_a_mail_server_mails_are_kept_as_files(self, fresh):
        server = fresh().start()
        sns = aws.client(server, "sns")
        topic = sns.create_topic(Name="t")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.org")
        deadline = aws.now_ms() + 10_000
        while not (found := sorted((server.data / "mailbox").glob("*.eml"))):
            assert aws.now_ms() < deadline
        text = found[0].read_text()
        assert "a@example.org" in text and "ConfirmSubscription" in text
