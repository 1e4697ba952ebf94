"""Alarms over alarms: rules, what they refuse, how changes go up, and when a suppressor keeps them quiet."""

import json
import time

import pytest
from support import aws
from support.aws import refused, unique
from test_alarms import settings
from test_sns import subscribed

MAIL_SECONDS_MAX = 10
SILENCE_SECONDS = 1.5


@pytest.fixture(params=["cbor", "json", "query"])
def cw(request, server):
    return aws.client(server, "cloudwatch", protocol=request.param)


def child(cw, state="OK", **more):
    """A metric alarm without data, which keeps the state it is set to."""
    name = unique("child")
    cw.put_metric_alarm(**settings(name, TreatMissingData="ignore", **more))
    cw.set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")
    return name


def turn(cw, name, state):
    cw.set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")


def composite(cw, name):
    [alarm] = cw.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    return alarm


def put(cw, rule, **more):
    name = unique("composite")
    cw.put_composite_alarm(AlarmName=name, AlarmRule=rule, **more)
    return name


def arn(name):
    return f"arn:aws:cloudwatch:us-east-2:123456789012:alarm:{name}"


class TestConfiguration:
    def test_a_composite_comes_back_as_it_was_put(self, cw):
        a, s = child(cw), child(cw)
        topic = "arn:aws:sns:us-east-2:123456789012:t"
        name = put(
            cw,
            f'ALARM("{a}") AND NOT OK({a})',
            AlarmDescription="both <together>",
            ActionsEnabled=False,
            AlarmActions=[topic],
            OKActions=[topic],
            ActionsSuppressor=s,
            ActionsSuppressorWaitPeriod=60,
            ActionsSuppressorExtensionPeriod=30,
        )
        alarm = composite(cw, name)
        assert alarm["AlarmArn"] == arn(name) and alarm["AlarmRule"] == f'ALARM("{a}") AND NOT OK({a})'
        assert alarm["AlarmDescription"] == "both <together>" and alarm["ActionsEnabled"] is False
        assert alarm["AlarmActions"] == alarm["OKActions"] == [topic]
        assert alarm["ActionsSuppressor"] == s, "as it was given"
        assert alarm["ActionsSuppressorWaitPeriod"] == 60 and alarm["ActionsSuppressorExtensionPeriod"] == 30
        assert alarm["StateValue"] == "OK"
        assert alarm["StateReason"] == f"{arn(name)} was created and its alarm rule evaluates to OK"
        assert "ActionsSuppressedBy" not in alarm

    def test_a_suppressor_is_shown_as_it_was_given(self, cw):
        a, s = child(cw), child(cw)
        periods = {"ActionsSuppressorWaitPeriod": 1, "ActionsSuppressorExtensionPeriod": 1}
        name = put(cw, f"ALARM({a})", ActionsSuppressor=s, **periods)
        cw.disable_alarm_actions(AlarmNames=[name])
        assert composite(cw, name)["ActionsSuppressor"] == s
        cw.put_composite_alarm(AlarmName=name, AlarmRule=f"ALARM({a})", ActionsSuppressor=arn(s), **periods)
        assert composite(cw, name)["ActionsSuppressor"] == arn(s)
        cw.put_composite_alarm(AlarmName=name, AlarmRule=f"ALARM({a})", ActionsSuppressor=s, **periods)
        cw.delete_alarms(AlarmNames=[name])
        cw.put_composite_alarm(AlarmName=name, AlarmRule=f"ALARM({a})")
        assert "ActionsSuppressor" not in composite(cw, name)

    def test_listings_ask_for_one_kind_or_both(self, cw):
        a = child(cw)
        name = put(cw, f"ALARM({a})")
        listed = cw.describe_alarms(AlarmNames=[a, name])
        assert [m["AlarmName"] for m in listed["MetricAlarms"]] == [a] and listed["CompositeAlarms"] == []
        listed = cw.describe_alarms(AlarmNames=[a, name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        assert len(listed["MetricAlarms"]) == len(listed["CompositeAlarms"]) == 1
        first = cw.describe_alarms(AlarmNames=[a, name], AlarmTypes=["MetricAlarm", "CompositeAlarm"], MaxRecords=1)
        assert len(first["MetricAlarms"]) + len(first["CompositeAlarms"]) == 1 and first["NextToken"]

    def test_children_and_parents(self, cw):
        a, b = child(cw), child(cw)
        inner = put(cw, f"ALARM({a})")
        outer = put(cw, f"ALARM({inner}) OR ALARM({b})")
        children = cw.describe_alarms(ChildrenOfAlarmName=outer)
        assert [c["AlarmName"] for c in children["CompositeAlarms"]] == [inner]
        assert [c["AlarmName"] for c in children["MetricAlarms"]] == [b]
        parents = cw.describe_alarms(ParentsOfAlarmName=inner)
        assert [c["AlarmName"] for c in parents["CompositeAlarms"]] == [outer] and parents["MetricAlarms"] == []
        with refused("ValidationError", "no other parameter"):
            cw.describe_alarms(ChildrenOfAlarmName=outer, StateValue="OK")

    def test_rules_are_refused_by_name(self, cw):
        for rule, text in [
            (
                "true",
                "Error in AlarmRule [Unsupported token 'true' at char 0, must be: '(', 'NOT', AT_LEAST, "
                "TRUE or FALSE, ALARM, OK, or INSUFFICIENT_DATA]",
            ),
            ("TRUE and FALSE", "Unsupported token 'and' at char 5, must be: <EOF>, 'AND', 'OR'"),
            (
                "ALARM(nobody-there)",
                f"Could not save the composite alarm as alarms [{arn('nobody-there')}] in the alarm rule do not exist",
            ),
            (f"ALARM({arn('x').replace('us-east-2', 'us-west-2')})", "Wrong ARN region, it was us-west-2 but us-east-2"),
            (
                f"ALARM({arn('x').replace('123456789012', '210987654321')})",
                "A composite alarm cannot have a child relation with alarms from another AWS account",
            ),
        ]:
            with refused("ValidationError", text):
                put(cw, rule)

    def test_circles_and_missing_periods_are_refused(self, cw):
        a = child(cw)
        inner = put(cw, f"ALARM({a})")
        outer = put(cw, f"ALARM({inner})")
        with refused("ValidationError", "leads back"):
            cw.put_composite_alarm(AlarmName=inner, AlarmRule=f"ALARM({outer})")
        with refused("MissingParameter", "ActionsSuppressorExtensionPeriod"):
            put(cw, f"ALARM({a})", ActionsSuppressor=a, ActionsSuppressorWaitPeriod=1)
        with refused("ValidationError", "suppressor"):
            both = {"ActionsSuppressorWaitPeriod": 1, "ActionsSuppressorExtensionPeriod": 1}
            put(cw, f"ALARM({a})", ActionsSuppressor="nobody-there", **both)

    def test_a_name_belongs_to_one_alarm(self, cw):
        a = child(cw)
        name = put(cw, f"ALARM({a})")
        with refused("ValidationError", "composite alarm"):
            cw.put_metric_alarm(**settings(name))
        with refused("ValidationError", "metric alarm"):
            cw.put_composite_alarm(AlarmName=a, AlarmRule="FALSE")

    def test_children_stay_while_they_are_needed(self, cw):
        a, b = child(cw), child(cw)
        name, other = put(cw, f"ALARM({a})"), put(cw, "FALSE")
        with refused("ValidationError", f"Cannot delete {a}"):
            cw.delete_alarms(AlarmNames=[a])
        with refused("ValidationError", "at most one composite"):
            cw.delete_alarms(AlarmNames=[name, other])
        with refused("ResourceNotFound", status=404):
            cw.delete_alarms(AlarmNames=[b, "nobody-there"])
        assert len(cw.describe_alarms(AlarmNames=[a, b])["MetricAlarms"]) == 2
        cw.delete_alarms(AlarmNames=[name])
        cw.delete_alarms(AlarmNames=[a, b])
        assert cw.describe_alarms(AlarmNames=[name, a, b], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"] == []
        items = cw.describe_alarm_history(AlarmName=name, AlarmTypes=["CompositeAlarm"])["AlarmHistoryItems"]
        assert items[0]["HistorySummary"] == f'Alarm "{name}" deleted' and items[0]["AlarmType"] == "CompositeAlarm"


class TestStates:
    def test_changes_go_up_and_are_told_by_mail(self, cw, server, mailbox):
        topic, address, _ = subscribed(aws.client(server, "sns"), mailbox)
        a, b = child(cw), child(cw)
        inner = put(cw, f"ALARM({a}) AND ALARM({b})")
        outer = put(cw, f"ALARM({inner})", AlarmActions=[topic])
        turn(cw, a, "ALARM")
        assert composite(cw, outer)["StateValue"] == "OK"
        turn(cw, b, "ALARM")
        told = composite(cw, inner)
        assert told["StateValue"] == "ALARM" and told["StateReason"].startswith(f"{arn(b)} transitioned to ALARM at ")
        triggers = json.loads(told["StateReasonData"])["triggeringAlarms"]
        assert [t["arn"] for t in triggers] == [arn(b), arn(a)] and triggers[0]["state"]["value"] == "ALARM"
        mail = mailbox.wait(address, 2, MAIL_SECONDS_MAX)[1]
        assert mail.subject == f"[ALARM] {outer}: {inner} is in ALARM"
        assert f"- Alarm Rule:                 ALARM({inner})" in mail.text
        history = cw.describe_alarm_history(AlarmName=outer, AlarmTypes=["CompositeAlarm"])["AlarmHistoryItems"]
        kinds = [item["HistoryItemType"] for item in history]
        assert kinds == ["Action", "StateUpdate", "StateUpdate", "ConfigurationUpdate"]
        published = json.loads(json.loads(history[0]["HistoryData"])["publishedMessage"])
        assert list(published)[-2:] == ["AlarmRule", "TriggeringChildren"] and "Trigger" not in published
        assert published["TriggeringChildren"][0]["Arn"] == arn(inner)
        assert cw.describe_alarm_history(AlarmName=outer)["AlarmHistoryItems"] == [], "metric alarms unless asked"

    def test_a_state_set_by_hand_stands_until_a_child_changes(self, cw):
        a = child(cw)
        name = put(cw, f"ALARM({a})")
        turn(cw, name, "ALARM")
        assert composite(cw, name)["StateValue"] == "ALARM"
        turn(cw, a, "INSUFFICIENT_DATA")
        assert composite(cw, name)["StateValue"] == "OK"

    def test_actions_that_are_off_do_not_run(self, cw):
        a = child(cw)
        name = put(cw, f"ALARM({a})", AlarmActions=["arn:aws:sns:us-east-2:123456789012:none"])
        cw.disable_alarm_actions(AlarmNames=[name])
        assert composite(cw, name)["ActionsEnabled"] is False
        turn(cw, a, "ALARM")
        turn(cw, a, "OK")
        cw.enable_alarm_actions(AlarmNames=[name])
        turn(cw, a, "ALARM")
        items = cw.describe_alarm_history(AlarmName=name, AlarmTypes=["CompositeAlarm"], HistoryItemType="Action")
        assert len(items["AlarmHistoryItems"]) == 1

    def test_composites_outlive_a_kill(self, fresh):
        server = fresh().start()
        cw = aws.client(server, "cloudwatch")
        a = child(cw)
        name = put(cw, f"ALARM({a})")
        turn(cw, a, "ALARM")
        before = composite(cw, name)
        server.kill()
        server.start()
        cw = aws.client(server, "cloudwatch")
        assert composite(cw, name) == before
        turn(cw, a, "OK")
        assert composite(cw, name)["StateValue"] == "OK"


class TestSuppression:
    def test_a_suppressor_holds_and_time_lets_go(self, cloudwatch, server, mailbox):
        cw = cloudwatch
        topic, address, _ = subscribed(aws.client(server, "sns"), mailbox)
        a, s = child(cw), child(cw)
        name = put(
            cw,
            f"ALARM({a})",
            AlarmActions=[topic],
            ActionsSuppressor=s,
            ActionsSuppressorWaitPeriod=60,
            ActionsSuppressorExtensionPeriod=1,
        )
        turn(cw, a, "ALARM")
        held = composite(cw, name)
        assert (held["StateValue"], held["ActionsSuppressedBy"]) == ("ALARM", "WaitPeriod")
        assert held["ActionsSuppressedReason"] == "Actions suppressed by WaitPeriod"
        turn(cw, s, "ALARM")
        held = composite(cw, name)
        assert held["ActionsSuppressedBy"] == "Alarm" and arn(s) in held["ActionsSuppressedReason"]
        time.sleep(SILENCE_SECONDS)
        assert len(mailbox.mails(address)) == 1, "only the confirmation"
        turn(cw, s, "OK")
        assert len(mailbox.wait(address, 2, MAIL_SECONDS_MAX)) == 2
        assert "ActionsSuppressedBy" not in composite(cw, name)
