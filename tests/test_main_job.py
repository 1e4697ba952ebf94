"""The two jobs, done as the README says: with the unmodified AWS command line, a real mail server and a click."""

import json
import re
import time
import urllib.request

import pytest
from support import aws, windows
from support.aws import cli, unique

# From the answer to the deciding events to the mail's arrival, with slack for a busy test machine.
MAIL_SECONDS_MAX = 10
# How long a mail that must not come is waited for.
SILENCE_SECONDS = 4


def subscribe(server, mailbox, address):
    """A topic with one confirmed subscriber; the link in the confirmation mail is followed as a person would."""
    topic = cli(server, "sns", "create-topic", "--name", unique("alerts"))["TopicArn"]
    answer = cli(
        server, "sns", "subscribe", "--topic-arn", topic, "--protocol", "email", "--notification-endpoint", address
    )
    assert answer["SubscriptionArn"] == "pending confirmation"
    [confirmation] = mailbox.wait(address)
    assert "Subscription Confirmation" in confirmation.subject
    with urllib.request.urlopen(confirmation.link("ConfirmSubscription"), timeout=10) as page:
        assert page.status == 200
    subscriptions = cli(server, "sns", "list-subscriptions-by-topic", "--topic-arn", topic)["Subscriptions"]
    assert [(s["Endpoint"], s["Protocol"]) for s in subscriptions] == [(address, "email")]
    assert subscriptions[0]["SubscriptionArn"].startswith(topic + ":")
    return topic


def put_log_events(server, folder, group, stream, messages, at_ms):
    """Stores the messages through the command line, in one call."""
    path = folder / f"{unique('events')}.json"
    path.write_text(json.dumps([{"timestamp": at_ms, "message": m} for m in messages]))
    arguments = ["--log-group-name", group, "--log-stream-name", stream, "--log-events", f"file://{path}"]
    answer = cli(server, "logs", "put-log-events", *arguments)
    assert "rejectedLogEventsInfo" not in answer


def make_group(server, stream):
    group = unique("/aws/fsx/windows")
    cli(server, "logs", "create-log-group", "--log-group-name", group)
    cli(server, "logs", "create-log-stream", "--log-group-name", group, "--log-stream-name", stream)
    return group


def put_filter(server, group, pattern, namespace, metric, default=None):
    transformation = f"metricName={metric},metricNamespace={namespace},metricValue=1"
    if default is not None:
        transformation += f",defaultValue={default}"
    arguments = ["--log-group-name", group, "--filter-name", "f", "--filter-pattern", pattern]
    cli(server, "logs", "put-metric-filter", *arguments, "--metric-transformations", transformation)


def put_alarm(server, name, namespace, metric, statistic, period, topic):
    arguments = ["--alarm-name", name, "--namespace", namespace, "--metric-name", metric, "--statistic", statistic]
    arguments += ["--period", str(period), "--threshold", "5", "--comparison-operator", "GreaterThanThreshold"]
    arguments += ["--evaluation-periods", "1", "--datapoints-to-alarm", "1"]
    cli(
        server,
        "cloudwatch",
        "put-metric-alarm",
        *arguments,
        *("--treat-missing-data", "notBreaching", "--alarm-actions", topic),
    )


def state(server, name):
    [alarm] = cli(server, "cloudwatch", "describe-alarms", "--alarm-names", name)["MetricAlarms"]
    return alarm["StateValue"]


@pytest.fixture
def denied_files(server, mailbox):
    """The rule of the files job: group, filter, alarm and subscriber, all by the command line."""
    address = f"{unique('security')}@example.org"
    topic = subscribe(server, mailbox, address)
    group = make_group(server, "fs-1")
    namespace = unique("folder/secret/4656")
    put_filter(server, group, '"4656" "secret"', namespace, "4656", default=0)
    alarm = unique("AccessDenied")
    put_alarm(server, alarm, namespace, "4656", "Sum", 60, topic)
    return group, alarm, address


def test_denied_files_are_told_with_who_what_where_how_often(server, mailbox, denied_files, tmp_path):
    group, alarm, address = denied_files
    at = aws.now_ms()
    put_log_events(server, tmp_path, group, "fs-1", [windows.denied_open(at_ms=at) for _ in range(6)], at)
    mail = mailbox.wait(address, 2, MAIL_SECONDS_MAX)[1]

    subject = mail.subject.lower()
    for word in ("alice", "denied", "6", "secret"):
        assert word in subject, mail.subject
    assert mail.recipients == [address]
    assert mail.message.get_content_type() == "multipart/mixed"
    assert mail.message_id and mail.message["Date"]
    for body in (mail.text, re.sub(r"<[^>]+>", " ", mail.html)):
        folded = body.lower()
        assert "alice" in folded, body
        assert "roadmap_do_not_share.doc" in folded, body
        assert "secret" in folded, body
    assert "amznfsxabc12345" in mail.text.lower()
    # The wording that programs which read such mails already look for.
    assert f'"{alarm}"' in mail.text
    assert "entered the ALARM state" in mail.text
    assert "was greater than the threshold (5.0)" in mail.text
    assert "<table" in mail.html
    # No code of Windows is left for the reader to look up.
    assert "ReadAttributes" in mail.text
    # A link ends the subscription, in the body and for mail programs.
    assert "Unsubscribe" in mail.link("Unsubscribe")
    assert "Unsubscribe" in str(mail.message["List-Unsubscribe"])

    assert state(server, alarm) == "ALARM"
    # More of the same is no news: the alarm is on already.
    put_log_events(server, tmp_path, group, "fs-1", [windows.denied_open(at_ms=at) for _ in range(6)], at)
    mailbox.stays(address, 2, SILENCE_SECONDS)


def test_the_mail_comes_within_a_second(server, mailbox, denied_files, put, logs):
    group, _, address = denied_files
    at = aws.now_ms()
    events = [{"timestamp": at, "message": windows.denied_open(at_ms=at)} for _ in range(6)]
    logs.put_log_events(logGroupName=group, logStreamName="fs-1", logEvents=events)
    answered = time.time()
    mail = mailbox.wait(address, 2, MAIL_SECONDS_MAX)[1]
    print(f"answer to mail: {1000 * (mail.arrived - answered):.0f} ms")


def test_up_to_the_threshold_nothing_is_sent(server, mailbox, denied_files, tmp_path):
    group, alarm, address = denied_files
    at = aws.now_ms()
    # Five denied opens in the folder are not more than five; successes and other folders do not count.
    messages = [windows.denied_open(at_ms=at) for _ in range(5)]
    messages += [windows.denied_open(file=r"\Device\HarddiskVolume16\share\public\a.doc", at_ms=at) for _ in range(5)]
    put_log_events(server, tmp_path, group, "fs-1", messages, at)
    mailbox.stays(address, 1, SILENCE_SECONDS)
    assert state(server, alarm) != "ALARM"


@pytest.mark.parametrize(
    ("pattern", "statistic"),
    [
        ("{ $.EventID = 4625 }", "SampleCount"),
        ('{ $.Audit.Action = "logon" && $.Audit.Outcome = "failure" }', "Sum"),
    ],
)
def test_failed_logons_of_a_machine_are_told(server, mailbox, tmp_path, pattern, statistic):
    address = f"{unique('security')}@example.org"
    topic = subscribe(server, mailbox, address)
    group = make_group(server, "SRV1")
    namespace = unique("fleet")
    put_filter(server, group, pattern, namespace, "FailedLogons")
    alarm = unique("FailedLogons")
    put_alarm(server, alarm, namespace, "FailedLogons", statistic, 300, topic)
    at = aws.now_ms()
    logons = [windows.failed_logon(at_ms=at) for _ in range(6)]
    put_log_events(server, tmp_path, group, "SRV1", logons[:4], at)
    mailbox.stays(address, 1, SILENCE_SECONDS / 2)
    assert state(server, alarm) != "ALARM"

    put_log_events(server, tmp_path, group, "SRV1", [*logons[4:], windows.denied_open(at_ms=at)], at)
    mail = mailbox.wait(address, 2, MAIL_SECONDS_MAX)[1]
    subject = mail.subject.lower()
    for word in ("srv1", "6", "logon"):
        assert word in subject, mail.subject
    for word in ("administrator", "198.51.100.7", "srv1", "wrong password"):
        assert word in mail.text.lower(), mail.text
        assert word in mail.html.lower(), mail.html
    assert state(server, alarm) == "ALARM"
    mailbox.stays(address, 2, SILENCE_SECONDS / 2)


def test_the_command_line_reads_back_what_happened(server, denied_files, tmp_path):
    group, alarm, _ = denied_files
    at = aws.now_ms()
    put_log_events(server, tmp_path, group, "fs-1", [windows.denied_open(at_ms=at) for _ in range(6)], at)
    end = time.monotonic() + MAIL_SECONDS_MAX
    while state(server, alarm) != "ALARM":
        assert time.monotonic() < end
    arguments = ["--alarm-name", alarm, "--history-item-type", "StateUpdate"]
    items = cli(server, "cloudwatch", "describe-alarm-history", *arguments)["AlarmHistoryItems"]
    assert items[0]["HistorySummary"].endswith("to ALARM")
    found = cli(
        server,
        *("logs", "filter-log-events", "--log-group-name", group, "--filter-pattern", '"4656" "secret"'),
        *("--start-time", str(at - 60_000), "--end-time", str(at)),
    )["events"]
    assert len(found) == 6
    [group_found] = cli(server, "logs", "describe-log-groups", "--log-group-name-prefix", group)["logGroups"]
    assert group_found["metricFilterCount"] == 1
