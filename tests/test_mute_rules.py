"""Mute rules: what they are, when they mute, and what is told when a window is over.

Windows begin at a full minute and last one at least, so the window of the one long test is cut by its expiry.
"""

import datetime
import json
import time

import pytest
from support import aws
from support.aws import refused, unique
from test_composite_alarms import child, put, turn
from test_sns import subscribed

MAIL_SECONDS_MAX = 10
UTC = datetime.UTC


@pytest.fixture(params=["cbor", "json", "query"])
def cw(request, server):
    return aws.client(server, "cloudwatch", protocol=request.param)


def now():
    return datetime.datetime.now(UTC)


def at(time_):
    return f"at({time_:%Y-%m-%dT%H:%M})"


def mute(cw, alarms, expression=None, duration="PT1H", **more):
    name = unique("mute")
    schedule = {"Expression": expression or at(now()), "Duration": duration}
    timezone = more.pop("Timezone", None)
    if timezone:
        schedule["Timezone"] = timezone
    cw.put_alarm_mute_rule(Name=name, Rule={"Schedule": schedule}, MuteTargets={"AlarmNames": alarms}, **more)
    return name


class TestConfiguration:
    def test_a_rule_comes_back_as_it_was_put(self, cw):
        a = child(cw)
        start = now().replace(microsecond=0)
        name = mute(
            cw,
            [a],
            "cron(0 2 * * SUN)",
            "PT4H",
            Timezone="Europe/Berlin",
            Description="weekly <patching>",
            StartDate=start,
            ExpireDate=start + datetime.timedelta(days=60),
        )
        rule = cw.get_alarm_mute_rule(AlarmMuteRuleName=name)
        assert rule["Name"] == name and rule["Description"] == "weekly <patching>"
        assert rule["AlarmMuteRuleArn"] == f"arn:aws:cloudwatch:us-east-2:123456789012:alarm-mute-rule:{name}"
        assert rule["Rule"]["Schedule"] == {
            "Expression": "cron(0 2 * * SUN)",
            "Duration": "PT4H",
            "Timezone": "Europe/Berlin",
        }
        assert rule["MuteTargets"] == {"AlarmNames": [a]} and rule["MuteType"] == "RECURRING"
        assert rule["StartDate"] == start and rule["ExpireDate"] == start + datetime.timedelta(days=60)
        assert rule["Status"] in ("SCHEDULED", "ACTIVE") and rule["LastUpdatedTimestamp"] >= start

    def test_rules_are_listed_by_alarm_and_status(self, cw):
        a, b = child(cw), child(cw)
        active = mute(cw, [a])
        mute(cw, [a, b], at(now() + datetime.timedelta(days=2)))
        mute(cw, [a], at(now() - datetime.timedelta(days=2)))
        listed = cw.list_alarm_mute_rules(AlarmName=a)["AlarmMuteRuleSummaries"]
        assert sorted(rule["Status"] for rule in listed) == ["ACTIVE", "EXPIRED", "SCHEDULED"]
        assert {rule["MuteType"] for rule in listed} == {"ONE_TIME"}
        [found] = cw.list_alarm_mute_rules(AlarmName=a, Statuses=["ACTIVE"])["AlarmMuteRuleSummaries"]
        assert found["AlarmMuteRuleArn"].endswith(f":{active}")
        assert len(cw.list_alarm_mute_rules(AlarmName=b)["AlarmMuteRuleSummaries"]) == 1
        page = cw.list_alarm_mute_rules(AlarmName=a, MaxRecords=2)
        assert len(page["AlarmMuteRuleSummaries"]) == 2
        rest = cw.list_alarm_mute_rules(AlarmName=a, MaxRecords=2, NextToken=page["NextToken"])
        assert len(rest["AlarmMuteRuleSummaries"]) == 1 and "NextToken" not in rest

    def test_what_is_wrong_is_named(self, cw):
        a = child(cw)
        with refused("InvalidParameterValue", "Expression"):
            mute(cw, [a], "cron(61 * * * *)")
        with refused("InvalidParameterValue", "Duration"):
            mute(cw, [a], duration="P16D")
        with refused("InvalidParameterValue", "Timezone"):
            mute(cw, [a], Timezone="Mars/Olympus")
        with refused("ValidationError", "[nobody-there] do not exist"):
            mute(cw, [a, "nobody-there"])
        with refused("ResourceNotFoundException", status=404):
            cw.get_alarm_mute_rule(AlarmMuteRuleName="nobody-there")
        cw.delete_alarm_mute_rule(AlarmMuteRuleName="nobody-there")  # deleted already

    def test_a_deleted_rule_mutes_no_longer(self, cw, server, mailbox):
        topic, address, _ = subscribed(aws.client(server, "sns"), mailbox)
        a = child(cw, AlarmActions=[topic])
        name = mute(cw, [a])
        turn(cw, a, "ALARM")
        history = cw.describe_alarm_history(AlarmName=a, HistoryItemType="Action")["AlarmHistoryItems"]
        assert history == []
        cw.delete_alarm_mute_rule(AlarmMuteRuleName=name)
        [_, mail] = mailbox.wait(address, 2, MAIL_SECONDS_MAX)
        assert mail.subject.startswith("[ALARM]")
        [item] = cw.describe_alarm_history(AlarmName=a, HistoryItemType="Action")["AlarmHistoryItems"]
        data = json.loads(item["HistoryData"])
        assert json.loads(data["publishedMessage"])["ActionExecutedAfterMuteWindow"] is True
        assert isinstance(data["muteWindowEndTimestamp"], int)


def test_a_window_ends_with_what_still_stands(fresh, mailbox):
    """Through a kill inside the window: what stands is told once, what came and went is not."""
    server = fresh(smtp=mailbox.url).start()
    cw = aws.client(server, "cloudwatch")
    topic, address, _ = subscribed(aws.client(server, "sns"), mailbox)
    before, stands, went = (child(cw, AlarmActions=[topic], OKActions=[topic]) for _ in range(3))
    both = put(cw, f"ALARM({stands})", AlarmActions=[topic])
    turn(cw, before, "ALARM")
    mails = len(mailbox.wait(address, 2, MAIL_SECONDS_MAX))
    # Children came from INSUFFICIENT_DATA to OK, which was told: wait for all of it.
    time.sleep(1)
    mails = len(mailbox.mails(address))
    end = now() + datetime.timedelta(seconds=6)
    mute(cw, [before, stands, went, both], ExpireDate=end)
    turn(cw, stands, "ALARM")
    turn(cw, went, "ALARM")
    turn(cw, went, "OK")
    server.kill()
    server.start()
    assert now() < end, "the machine is too slow for this window"
    assert len(mailbox.mails(address)) == mails
    told = mailbox.wait(address, mails + 2, MAIL_SECONDS_MAX)[mails:]
    assert all(mail.subject.startswith("[ALARM]") for mail in told)
    assert {stands, both} == {name for name in (before, stands, went, both) for mail in told if f'"{name}"' in mail.text}
    time.sleep(1.5)
    assert len(mailbox.mails(address)) == mails + 2
