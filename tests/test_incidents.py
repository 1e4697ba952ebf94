"""Incidents: one stay in ALARM is one incident with everything in it, told once, seen and handled on the command line.

Time cannot be put forward here, so the intervals between messages are tested in the core.
"""

import json
import time
import urllib.error
import urllib.request

import pytest
from support import aws, windows
from support.aws import unique
from support.server import run
from test_contributors import MAIL_SECONDS_MAX, MINUTE, SECOND, Counting
from test_docs import root_key
from test_sns import get, subscribed

SAVED_SECONDS_MAX = 10
SILENCE_SECONDS = 2
MACHINES = 200
# How long a change of what a topic allows may take.
ASKED_AGAIN_SECONDS = 1.2
# What a topic sends one by one in ten minutes; the rest is in digests.
MESSAGES_PER_WINDOW = 20


def incidents(server, *arguments, fails=False):
    """What `nightbell incidents` prints; its complaint where it is to fail."""
    done = run("incidents", *arguments, "--data", str(server.data), folder=server.folder, **root_key(server))
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stderr if fails else done.stdout


def listed(server, *arguments):
    return json.loads(incidents(server, "list", "--json", "--limit", "1000", *arguments))["incidents"]


def until(look, wanted):
    """What `look` gives, once it is what is wanted."""
    end = time.monotonic() + SAVED_SECONDS_MAX
    while True:
        seen = look()
        if wanted(seen) or time.monotonic() > end:
            assert wanted(seen), seen
            return seen
        time.sleep(0.2)


@pytest.fixture
def counting(server, mailbox):
    return Counting(server, mailbox)


class TestOne:
    def test_nineteen_events_are_one_mail_and_one_incident(self, server, counting):
        # All seven in one minute: a whole minute that ends with the fifth would be told of with five.
        start = aws.now_ms() - 30 * SECOND
        start -= max(0, start % MINUTE + 8 * SECOND - MINUTE)
        counting.failed("fs1", *(start + i * SECOND for i in range(7)))
        [mail] = counting.told()
        counting.failed("fs1", *(start + i * SECOND for i in range(7, 19)))
        # The count is kept with each step, what the events say at the next tick.
        [one] = until(
            lambda: listed(server, "--alarm", counting.name),
            lambda found: found and found[0]["evidence"]["events"] == 19,
        )
        assert one["count"] == 19 and one["peak"]["value"] == 19
        assert one["contributor"]["attributes"] == [["Instance", "fs1"]]
        assert one["ended"] is None and one["told"] == 1
        counting.mailbox.stays(counting.address, 2, SILENCE_SECONDS)
        assert "7 failed logons" in mail.subject

        row = incidents(server, "list", "--open", "--alarm", counting.name).splitlines()[1]
        assert row.split()[:2] == [one["id"], "open"] and "Instance=fs1" in row and " 19 " in row
        shown = incidents(server, "show", one["id"])
        for part in [one["id"], counting.name, "Instance=fs1", "Users", "Addresses", "not yet", "19"]:
            assert part in shown, shown
        assert json.loads(incidents(server, "show", one["id"], "--json"))["id"] == one["id"]

    def test_somebody_takes_it_on_and_has_peace(self, server, counting):
        counting.failed("fs1", *[aws.now_ms()] * 5)
        counting.told()
        [one] = listed(server, "--alarm", counting.name)
        assert "carol takes care of it" in incidents(server, "ack", one["id"], "--by", "carol")
        incidents(server, "ack", one["id"], "--by", "dave")
        [taken] = listed(server, "--alarm", counting.name)
        assert taken["acknowledged"]["who"] == "carol", "the first stays"
        assert " taken " in incidents(server, "list", "--alarm", counting.name)

        assert incidents(server, "mute", one["id"], "--for", "2h").startswith("muted until ")
        [muted] = listed(server, "--alarm", counting.name)
        assert abs(muted["muted_until"] - aws.now_ms() - 7_200_000) < 60_000
        assert incidents(server, "mute", one["id"], "--for", "0") == "not muted\n"

    def test_what_is_wrong_is_said(self, server):
        nobody = "0123456789abcdef"
        for arguments, reason in [
            (("show", nobody), "no incident with this id"),
            (("show", "../../etc"), "no incident with this id"),
            (("ack", nobody, "--by", "carol"), "no incident with this id"),
            (("ack", nobody, "--by", " "), "who: a name of 1 to 256 bytes"),
            (("mute", nobody, "--for", "31d"), "at most 30 days"),
            (("mute", nobody, "--for", "soon"), "30m, 2h or 3d"),
        ]:
            assert reason in incidents(server, *arguments, fails=True), arguments

    def test_nothing_is_told_to_who_did_not_sign(self, server):
        for path in ["", "/show", "/ack", "/mute"]:
            request = urllib.request.Request(f"{server.url}/_nightbell/incidents{path}", data=b"{}", method="POST")
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=10)
            assert refused.value.code == 403

    def test_a_crash_loses_none(self, fresh, mailbox):
        server = fresh(smtp=mailbox.url).start()
        counting = Counting(server, mailbox)
        counting.failed("fs1", *[aws.now_ms()] * 5)
        counting.told()
        before = listed(server)
        assert [one["count"] for one in before] == [5]
        server.kill()
        server.start()
        counting.connect()
        assert listed(server) == before
        counting.failed("fs1", *[aws.now_ms()] * 3)
        [after] = until(lambda: listed(server), lambda found: found[0]["count"] == 8)
        assert after["id"] == before[0]["id"]
        counting.mailbox.stays(counting.address, 2, SILENCE_SECONDS)

        with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
            assert "nightbell_incidents_open 1" in answer.read().decode().splitlines()
        counting.cloudwatch.delete_alarms(AlarmNames=[counting.name])
        [over] = until(lambda: listed(server), lambda found: found[0]["ended"])
        assert over["count"] == 8 and listed(server, "--open") == []
        counting.mailbox.stays(counting.address, 2, SILENCE_SECONDS)


class TestMany:
    def test_two_hundred_at_once_are_each_named_once_and_at_once(self, server, mailbox):
        counting = Counting(server, mailbox, Threshold=0)
        names = [f"m{number:03}x" for number in range(MACHINES)]
        at = aws.now_ms()
        counting.store((at, windows.failed_logon(machine=name, at_ms=at)) for name in names)

        def told():
            return mailbox.mails(counting.address)[1:]

        def named(mails):
            return {name: [mail for mail in mails if name in mail.text.lower()] for name in names}

        end = time.monotonic() + MAIL_SECONDS_MAX
        while not all(named(told()).values()) and time.monotonic() < end:
            time.sleep(0.2)
        mails = mailbox.stays(counting.address, 1 + len(told()), SILENCE_SECONDS)[1:]
        by_name = named(mails)
        assert {len(found) for found in by_name.values()} == {1}, "each is named in one mail"
        digests = [mail for mail in mails if sum(name in mail.text.lower() for name in names) > 1]
        alone = len(mails) - len(digests)
        assert digests and 10 <= alone <= MESSAGES_PER_WINDOW
        found = listed(server, "--alarm", counting.name)
        assert len(found) == MACHINES
        [one] = [one for one in found if one["contributor"]["attributes"][0][1] == names[-1]]
        assert one["id"] in by_name[names[-1]][0].text, "the digest says which incident to look at"


class TestBudget:
    """What a topic sends by itself is set by its attributes."""

    def test_what_is_past_the_budget_is_gathered_and_the_history_says_so(self, server, mailbox):
        counting = Counting(server, mailbox, Threshold=0)
        sns = aws.client(server, "sns")

        def allow(**attributes):
            for name, value in attributes.items():
                sns.set_topic_attributes(TopicArn=counting.topic, AttributeName=name, AttributeValue=value)
            time.sleep(ASKED_AGAIN_SECONDS)

        def fails(*machines):
            at = aws.now_ms()
            counting.store((at, windows.failed_logon(machine=name, at_ms=at)) for name in machines)

        def next_mails(count):
            mailbox.wait(counting.address, len(seen) + count, MAIL_SECONDS_MAX)
            mails = mailbox.stays(counting.address, len(seen) + count, SILENCE_SECONDS)
            fresh = mails[len(seen) :]
            seen.extend(fresh)
            return fresh

        seen = mailbox.mails(counting.address)
        allow(MessageBudget="0")
        fails("one", "two", "three")
        [digest] = next_mails(1)
        assert f"3 machines over the line in {counting.name}: " in digest.subject, digest.subject
        for name in ["one", "two", "three"]:
            assert name in digest.text.lower()
        assert "What fired: " in digest.text and "image/png" in digest.message.as_string()

        allow(MessageBudget="", MessageBurst="2")
        fails("four", "five", "six", "seven")
        mails = next_mails(3)
        assert sum("2 machines over the line" in mail.subject for mail in mails) == 1
        assert sum("failed logon" in mail.subject for mail in mails) == 2

        items = counting.cloudwatch.describe_alarm_history(AlarmName=counting.name)["AlarmHistoryItems"]
        done = [item for item in items if item["HistoryItemType"] == "AlarmContributorAction"]
        gathered = [item for item in done if item["HistorySummary"].endswith(", gathered into a digest")]
        assert (len(done), len(gathered)) == (7, 5)
        assert all(item["HistorySummary"].startswith("Successfully executed action ") for item in done)
        assert {json.loads(item["HistoryData"])["actionState"] for item in done} == {"Succeeded"}

    def test_it_holds_after_a_restart(self, fresh, mailbox):
        server = fresh(smtp=mailbox.url).start()
        counting = Counting(server, mailbox, Threshold=0)
        sns = aws.client(server, "sns")
        sns.set_topic_attributes(TopicArn=counting.topic, AttributeName="MessageBudget", AttributeValue="0")
        server.kill()
        server.start()
        counting.connect()
        at = aws.now_ms()
        counting.store((at, windows.failed_logon(machine=name, at_ms=at)) for name in ["one", "two"])
        mailbox.wait(counting.address, 2, MAIL_SECONDS_MAX)
        mails = mailbox.stays(counting.address, 2, SILENCE_SECONDS)
        assert "2 machines over the line" in mails[1].subject

    @pytest.mark.parametrize(
        ("name", "value", "reason"),
        [
            ("MessageBudget", "10001", "from 0 to 10000"),
            ("MessageBurst", "many", "from 0 to 10000"),
            ("DigestEvery", "9", "from 10 to 3600"),
        ],
    )
    def test_what_it_may_not_say_is_refused(self, sns, name, value, reason):
        with aws.refused("InvalidParameter", reason):
            sns.create_topic(Name=unique("t"), Attributes={name: value})
        topic = sns.create_topic(Name=unique("t"), Attributes={name: "10"})["TopicArn"]
        with aws.refused("InvalidParameter", name):
            sns.set_topic_attributes(TopicArn=topic, AttributeName=name, AttributeValue=value)
        assert sns.get_topic_attributes(TopicArn=topic)["Attributes"][name] == "10"


class TestEnd:
    """Alarms that are set by hand, so that they end when a test wants it."""

    def drill(self, server, mailbox, ok_actions=False, **attributes):
        sns, cloudwatch = aws.client(server, "sns"), aws.client(server, "cloudwatch")
        if attributes:
            topic = sns.create_topic(Name=unique("t"), Attributes=attributes)["TopicArn"]
            address = f"{unique('reader')}@example.org"
            sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=address)
            [mail] = mailbox.wait(address)
            get(mail.link("ConfirmSubscription"))
        else:
            topic, address, _ = subscribed(sns, mailbox)
        name = unique("drill")
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace=name,
            MetricName="m",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore",
            AlarmActions=[topic],
            OKActions=[topic] if ok_actions else [],
        )
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="drill")
        mailbox.wait(address, 2, MAIL_SECONDS_MAX)
        [one] = listed(server, "--alarm", name)
        assert one["ended"] is None and one["contributor"] is None
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="drill over")
        [over] = until(lambda: listed(server, "--alarm", name), lambda found: found[0]["ended"])
        assert over["id"] == one["id"] and listed(server, "--open", "--alarm", name) == []
        complaint = incidents(server, "ack", one["id"], "--by", "carol", fails=True)
        assert "the incident is over" in complaint
        return one["id"], address

    def test_the_end_is_told_to_who_was_told_of_the_start(self, server, mailbox):
        one, address = self.drill(server, mailbox)
        mailbox.wait(address, 3, MAIL_SECONDS_MAX)
        end = mailbox.stays(address, 3, SILENCE_SECONDS)[2]
        assert one in end.text and "over" in end.subject.lower()

    def test_where_there_is_an_ok_action_that_is_the_end(self, server, mailbox):
        _, address = self.drill(server, mailbox, ok_actions=True)
        mailbox.wait(address, 3, MAIL_SECONDS_MAX)
        end = mailbox.stays(address, 3, SILENCE_SECONDS)[2]
        assert "drill over" in end.text

    def test_a_topic_may_take_first_messages_only(self, server, mailbox):
        _, address = self.drill(server, mailbox, IncidentMessages="start-only")
        mailbox.stays(address, 2, SILENCE_SECONDS)

    def test_a_topic_may_not_ask_for_anything_else(self, sns):
        with aws.refused("InvalidParameter", "IncidentMessages"):
            sns.create_topic(Name=unique("t"), Attributes={"IncidentMessages": "some"})
