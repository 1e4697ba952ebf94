"""The mail itself: its parts, its picture, what is enclosed, what a topic may change, and what hostile events cannot do."""

import json
import re
import struct
import urllib.request

import pytest
from support import aws, windows
from support.aws import refused, unique

MAIL_SECONDS_MAX = 10
PICTURE_BYTES_MAX = 40_000
HTML_BYTES_MAX = 100_000
HOSTILE_USER = 'eve"><script>alert(1)</script>\r\nBcc: everyone@example.org\u202e'


class Watched:
    """A rule over a group of its own, with the topic of its alarm and who reads it."""

    def __init__(self, server, mailbox, readers=1):
        self.mailbox = mailbox
        self.logs = aws.client(server, "logs")
        self.cloudwatch = aws.client(server, "cloudwatch")
        self.sns = aws.client(server, "sns")
        self.name = unique("mail")
        self.topic = self.sns.create_topic(Name=self.name)["TopicArn"]
        self.readers = [self.subscribe() for _ in range(readers)]
        self.logs.create_log_group(logGroupName=self.name)
        self.logs.create_log_stream(logGroupName=self.name, logStreamName="s")

    def subscribe(self):
        address = f"{unique('reader')}@example.org"
        self.sns.subscribe(TopicArn=self.topic, Protocol="email", Endpoint=address)
        [mail] = self.mailbox.wait(address)
        urllib.request.urlopen(mail.link("ConfirmSubscription"), timeout=10).close()
        return address

    def rule(self, pattern):
        transformation = {"metricName": "M", "metricNamespace": self.name, "metricValue": "1"}
        self.logs.put_metric_filter(
            logGroupName=self.name, filterName="f", filterPattern=pattern, metricTransformations=[transformation]
        )
        self.cloudwatch.put_metric_alarm(
            AlarmName=self.name,
            Namespace=self.name,
            MetricName="M",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=5,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
            AlarmActions=[self.topic],
        )
        return self

    def put(self, messages, at_ms):
        events = [{"timestamp": at_ms, "message": message} for message in messages]
        self.logs.put_log_events(logGroupName=self.name, logStreamName="s", logEvents=events)

    def mail(self, reader=0):
        """The alarm's mail, which comes after the confirmation."""
        return self.mailbox.wait(self.readers[reader], 2, MAIL_SECONDS_MAX)[1]

    def set(self, name, value):
        self.sns.set_topic_attributes(TopicArn=self.topic, AttributeName=name, AttributeValue=value)


@pytest.fixture
def watched(server, mailbox):
    """Makes rules, each with everything of its own."""

    def make(readers=1):
        return Watched(server, mailbox, readers)

    return make


def denied(watched, user="alice"):
    """Six denied opens, told in a mail; their messages."""
    watched.rule('{ $.Audit.Outcome = "failure" }')
    at = aws.now_ms()
    messages = [windows.denied_open(user=user, at_ms=at) for _ in range(6)]
    watched.put(messages, at)
    return messages


def tree(part):
    """The types of a message's parts, nested as they are."""
    if part.is_multipart():
        return [part.get_content_type(), *(tree(inner) for inner in part.iter_parts())]
    return part.get_content_type()


def only(mail, kind):
    [part] = [part for part in mail.message.walk() if part.get_content_type() == kind]
    return part


def band(mail):
    """Colour and label of the mail."""
    return re.search(r'class="n-band" bgcolor="(#\w+)"', mail.html)[1], label(mail)


def label(mail):
    row = mail.html.split('class="n-band"', 1)[1]
    return re.search(r"<td[^>]*>([^<]+)</td>", row)[1]


def test_a_mail_holds_words_picture_and_events(watched):
    here = watched()
    messages = denied(here)
    mail = here.mail()
    related = ["multipart/related", ["multipart/alternative", "text/plain", "text/html"], "image/png"]
    assert tree(mail.message) == ["multipart/mixed", related, "application/xml"]

    picture = only(mail, "image/png")
    assert picture.get_content_disposition() == "inline"
    content_id = picture["Content-ID"].strip("<>")
    [shown] = re.findall(r'<img [^>]*src="cid:([^"]+)"', mail.html)
    assert shown == content_id and mail.html.count("<img") == 1
    assert "http" not in re.sub(r'href="[^"]*"', "", mail.html).replace("http://www.w3.org/1999/xhtml", "").split(
        "Look closer"
    )[0], "nothing is loaded from outside"
    png = picture.get_content()
    assert png.startswith(b"\x89PNG\r\n\x1a\n") and len(png) < PICTURE_BYTES_MAX
    width, height = struct.unpack(">II", png[16:24])
    assert width == 1200 and 400 <= height <= 600
    words = re.search(r'alt="([^"]+)"', mail.html)[1]
    assert re.match(r"Denied accesses: 6 at \d\d:\d\d:\d\d, line at 5; highest 6, lowest 0 since ", words), words
    assert words in mail.text and len(mail.html) < HTML_BYTES_MAX

    enclosed = only(mail, "application/xml")
    assert enclosed.get_content_disposition() == "attachment" and enclosed.get_filename() == "events.xml"
    raw = enclosed.get_content()
    raw = raw.decode() if isinstance(raw, bytes) else raw
    assert all(message in raw for message in messages), raw
    assert raw.startswith("<?xml ") and raw.count("<Event ") == 6

    for line in (
        r"nightbell incidents ack [0-9a-f]{16}\s",
        r"nightbell incidents mute [0-9a-f]{16} --for 2h\s",
        rf"aws cloudwatch disable-alarm-actions --endpoint-url {re.escape(here.sns.meta.endpoint_url)} --region \S+ "
        rf"--alarm-names {here.name}\s",
    ):
        assert re.search(line, mail.text), f"{line} in\n{mail.text}"
    for step in ("Last event", "Arrived", "Alarm", "Mailed"):
        assert re.search(rf"^  {step} +\d\d:\d\d:\d\d\.\d{{3}}", mail.text, flags=re.MULTILINE), mail.text


def test_every_reader_gets_the_same_picture_and_events(watched):
    here = watched(readers=3)
    denied(here)
    mails = [here.mail(reader) for reader in range(3)]
    assert len({only(mail, "image/png").get_content() for mail in mails}) == 1
    assert len({only(mail, "application/xml").get_payload() for mail in mails}) == 1
    assert len({only(mail, "image/png")["Content-ID"] for mail in mails}) == 3
    assert len({mail.message_id for mail in mails}) == 3


def test_hostile_events_stay_text(watched):
    here = watched()
    user = HOSTILE_USER.replace("\r\n", "&#13;&#10;")
    here.rule('{ $.Audit.Outcome = "failure" }')
    at = aws.now_ms()
    message = windows.denied_open(at_ms=at).replace(
        "<Data Name='SubjectUserName'>alice<",
        f"<Data Name='SubjectUserName'>{user.replace('<', '&lt;').replace('>', '&gt;')}<",
    )
    act = message.replace("<EventData>", "<EventData><?xml-stylesheet href='http://x/'?>")
    here.put([message] * 6 + [act], at)
    mail = here.mail()
    assert "script>" in mail.subject and "\n" not in mail.subject
    assert mail.message["Bcc"] is None and mail.recipients == here.readers
    assert not [name for name in mail.message.keys() if name.lower() not in KNOWN_HEADERS], mail.message.keys()
    assert "<script" not in mail.html and "&lt;script" in mail.html
    assert "\u202e" not in mail.html + mail.text + mail.subject
    enclosed = [part for part in mail.message.walk() if part.get_content_disposition() == "attachment"]
    [enclosed] = enclosed
    # What could act in a viewer is enclosed as plain text only.
    acts = b"xml-stylesheet" in enclosed.get_payload(decode=True)
    assert enclosed.get_filename() == ("events.txt" if acts else "events.xml")


KNOWN_HEADERS = {
    "date",
    "from",
    "to",
    "message-id",
    "subject",
    "auto-submitted",
    "x-nightbell-topic",
    "x-nightbell-state",
    "list-unsubscribe",
    "mime-version",
    "content-type",
}


def test_different_alarms_look_different(watched):
    files, logons, number = watched(), watched(), watched()
    denied(files)
    logons.rule('{ $.Audit.Action = "logon" }')
    at = aws.now_ms()
    logons.put([windows.failed_logon(at_ms=at) for _ in range(6)], at)
    number.rule("unused")
    number.cloudwatch.put_metric_data(Namespace=number.name, MetricData=[{"MetricName": "M", "Value": 6}])
    mails = [files.mail(), logons.mail(), number.mail()]
    bands = [band(mail) for mail in mails]
    assert [found[1] for found in bands] == ["Access denied", "Failed logons", "Alarm"]
    assert len({colour for colour, _ in bands}) == 3, bands
    assert "Windows refused every one of these" in mails[0].text
    assert "None of these got in." in mails[1].text
    assert mails[2].subject.startswith(f"[ALARM] {number.name}: Sum 6 > 5 (1 min)")
    # No event stands behind a number that came as one.
    assert tree(mails[2].message)[0] == "multipart/related"


class TestTopics:
    def test_a_template_is_checked_and_used(self, watched):
        here = watched()
        for wrong, told in (
            ("<p>\n{{ headlin }}", r"MessageTemplate Reason: line 2: undefined value"),
            ("{% include 'x' %}", 'line 1: the statement "include" is not offered'),
            ("{{ headline * 1000 }}", "line 1: the operator * is not offered"),
            ("x" * 32_769, "more than 32768 bytes"),
        ):
            with refused("InvalidParameter", told):
                here.set("MessageTemplate", wrong)
        assert "MessageTemplate" not in here.sns.get_topic_attributes(TopicArn=here.topic)["Attributes"]
        template = "<!doctype html><body>Desk: 1234 <b>{{ label|upper }}</b> {{ body }}</body>"
        here.set("MessageTemplate", template)
        assert here.sns.get_topic_attributes(TopicArn=here.topic)["Attributes"]["MessageTemplate"] == template

        denied(here)
        mail = here.mail()
        assert mail.html.startswith("<!doctype html><body>Desk: 1234 <b>ACCESS DENIED</b> <div"), mail.html[:200]
        assert "alice was denied access 6 times" in mail.html and "cid:" in mail.html
        assert "Desk" not in mail.text

    def test_the_topic_names_the_sender(self, watched):
        here = watched()
        here.set("DisplayName", "Sicherheit Süd")
        here.sns.publish(TopicArn=here.topic, Message="hello")
        assert here.mail().message["From"].addresses[0].display_name == "Sicherheit Süd"
        with refused("InvalidParameter", "DisplayName Reason: it has control characters"):
            here.set("DisplayName", "a\r\nBcc: b@example.org")

    def test_attributes_are_those_of_the_service(self, sns):
        topic = sns.create_topic(Name=unique("t"), Attributes={"DisplayName": "d"})["TopicArn"]
        shown = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
        assert {"TopicArn", "Owner", "Policy", "EffectiveDeliveryPolicy", "DisplayName"} <= set(shown)
        assert shown["DisplayName"] == "d" and shown["TopicArn"] == topic
        assert json.loads(shown["Policy"])["Statement"][0]["Resource"] == topic
        assert "http" in json.loads(shown["EffectiveDeliveryPolicy"])
        assert [shown[f"Subscriptions{state}"] for state in ("Confirmed", "Pending", "Deleted")] == ["0", "0", "0"]

        owner = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sns:Publish", "Resource": topic}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [owner]})
        sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
        assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"] == policy
        for name, value, told in (
            ("Policy", "no json", "Policy Reason: Syntax errors in policy. The document is no JSON"),
            ("Colour", "red", "Invalid parameter: AttributeName"),
            ("IncidentMessages", "never", "say all or start-only"),
        ):
            with refused("InvalidParameter", told):
                sns.set_topic_attributes(TopicArn=topic, AttributeName=name, AttributeValue=value)
        with refused("InvalidParameter", "Unknown attribute Colour"):
            sns.create_topic(Name=unique("t"), Attributes={"Colour": "red"})
        with refused("NotFound", status=404):
            sns.set_topic_attributes(TopicArn=topic + "x", AttributeName="DisplayName", AttributeValue="d")
