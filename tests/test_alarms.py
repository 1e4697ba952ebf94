"""CloudWatch metrics and alarms through real clients of all three generations: CBOR, JSON and Query.

Each test runs once for each protocol; what a client sees must not depend on the one it speaks.
"""

import datetime
import json
import time

import pytest
from support import aws
from support.aws import refused, unique

CHANGE_SECONDS_MAX = 10
UTC = datetime.UTC


@pytest.fixture(params=["cbor", "json", "query"])
def cw(request, server):
    """A CloudWatch client that speaks the protocol."""
    client = aws.client(server, "cloudwatch", protocol=request.param)
    client.protocol = request.param
    return client


def now():
    return datetime.datetime.now(UTC)


def settings(name, **more):
    """A complete, valid metric alarm."""
    return {
        "AlarmName": name,
        "Namespace": name,
        "MetricName": "m",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        **more,
    }


def described(cw, name):
    [alarm] = cw.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return alarm


def wait_for_state(cw, name, state, seconds=CHANGE_SECONDS_MAX):
    end = time.monotonic() + seconds
    while (alarm := described(cw, name))["StateValue"] != state:
        assert time.monotonic() < end, alarm
        time.sleep(0.1)
    return alarm


class TestConfiguration:
    def test_an_alarm_comes_back_as_it_was_put(self, cw):
        name = unique("alarm")
        topic = "arn:aws:sns:us-east-2:123456789012:t"
        before = now()
        cw.put_metric_alarm(
            **settings(
                name,
                AlarmDescription='Repeated <denied> "access" & ünï¢ødé',
                ActionsEnabled=False,
                AlarmActions=[topic],
                OKActions=[topic],
                InsufficientDataActions=[topic],
                Dimensions=[{"Name": "User", "Value": "corp\\alice"}, {"Name": "A", "Value": "b"}],
                EvaluationPeriods=3,
                DatapointsToAlarm=2,
                Threshold=0.5,
                Unit="Count",
            )
        )
        alarm = described(cw, name)
        assert alarm["AlarmArn"] == f"arn:aws:cloudwatch:us-east-2:123456789012:alarm:{name}"
        assert alarm["AlarmDescription"] == 'Repeated <denied> "access" & ünï¢ødé'
        assert alarm["ActionsEnabled"] is False
        assert alarm["AlarmActions"] == alarm["OKActions"] == alarm["InsufficientDataActions"] == [topic]
        assert {d["Name"]: d["Value"] for d in alarm["Dimensions"]} == {"User": "corp\\alice", "A": "b"}
        assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"], alarm["Period"]) == (3, 2, 60)
        assert (alarm["Threshold"], alarm["Statistic"], alarm["Unit"]) == (0.5, "Sum", "Count")
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
        assert alarm["TreatMissingData"] == "notBreaching"
        assert before - datetime.timedelta(seconds=1) <= alarm["AlarmConfigurationUpdatedTimestamp"] <= now()
        assert "ExtendedStatistic" not in alarm

    def test_a_new_alarm_knows_nothing_yet(self, cw):
        name = unique("alarm")
        cw.put_metric_alarm(**settings(name, TreatMissingData="missing", AlarmActions=[]))
        alarm = described(cw, name)
        assert alarm["StateValue"] == "INSUFFICIENT_DATA" and alarm["ActionsEnabled"] is True
        items = cw.describe_alarm_history(AlarmName=name)["AlarmHistoryItems"]
        assert items[-1]["HistoryItemType"] == "ConfigurationUpdate"
        assert items[-1]["HistorySummary"] == f'Alarm "{name}" created'

    def test_z07_an_update_keeps_the_state(self, cw):
        name = unique("alarm")
        cw.put_metric_alarm(**settings(name, TreatMissingData="ignore"))
        cw.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
        cw.put_metric_alarm(**settings(name, TreatMissingData="ignore", Threshold=7.0))
        alarm = described(cw, name)
        assert (alarm["StateValue"], alarm["Threshold"]) == ("ALARM", 7.0)
        items = cw.describe_alarm_history(AlarmName=name, HistoryItemType="ConfigurationUpdate")
        assert items["AlarmHistoryItems"][0]["HistorySummary"] == f'Alarm "{name}" updated'

    @pytest.mark.parametrize(
        "change",
        [
            {"Period": 15},
            {"Period": 0},
            {"EvaluationPeriods": 1441},
            {"EvaluationPeriods": 0},
            {"EvaluationPeriods": 3, "DatapointsToAlarm": 4},
            {"Statistic": "Sum", "ExtendedStatistic": "p90"},
            {"Statistic": "Total"},
            {"Statistic": None},
            {"Statistic": None, "ExtendedStatistic": "p101"},
            {"Statistic": None, "ExtendedStatistic": "p"},
            {"ComparisonOperator": "About"},
            {"TreatMissingData": "whatever"},
            {"AlarmActions": [f"arn:aws:sns:us-east-2:123456789012:t{i}" for i in range(6)]},
            {"AlarmActions": ["not an arn"]},
            {"AlarmName": ""},
            {"AlarmName": "x" * 256},
            {"AlarmDescription": "x" * 1025},
            {"MetricName": None},
            {"Namespace": None},
            {"Threshold": None},
            {"Unit": "Hectares"},
            {"Dimensions": [{"Name": str(i), "Value": "v"} for i in range(31)]},
        ],
        ids=lambda c: ",".join(f"{k}={str(v)[:12]}" for k, v in c.items()),
    )
    def test_what_is_not_an_alarm_is_refused(self, cw, change):
        name = unique("alarm")
        wrong = {k: v for k, v in {**settings(name), **change}.items() if v is not None}
        with refused():
            cw.put_metric_alarm(**wrong)
        assert cw.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []

    def test_z05_a_statistic_of_each_kind_is_refused_with_the_code_that_clients_expect(self, cw):
        name = unique("alarm")
        with refused("InvalidParameterCombination"):
            cw.put_metric_alarm(**settings(name, ExtendedStatistic="p90"))

    def test_a_week_of_hours_is_allowed(self, cw):
        name = unique("alarm")
        cw.put_metric_alarm(**settings(name, Period=3600, EvaluationPeriods=168))
        assert described(cw, name)["EvaluationPeriods"] == 168


class TestDescribe:
    def test_by_prefix_state_and_action_in_pages(self, cw):
        prefix = unique("alarm")
        action = "arn:aws:sns:us-east-2:123456789012:" + unique("t")
        for tail in "cab":
            cw.put_metric_alarm(
                **settings(f"{prefix}-{tail}", TreatMissingData="ignore", AlarmActions=[action] if tail == "a" else [])
            )
        cw.set_alarm_state(AlarmName=f"{prefix}-b", StateValue="ALARM", StateReason="test")

        def names(**more):
            return [a["AlarmName"] for a in cw.describe_alarms(**more)["MetricAlarms"]]

        assert names(AlarmNamePrefix=prefix) == [f"{prefix}-{t}" for t in "abc"]
        assert names(AlarmNamePrefix=prefix, StateValue="ALARM") == [f"{prefix}-b"]
        assert names(ActionPrefix=action) == [f"{prefix}-a"]
        assert names(AlarmNames=[f"{prefix}-c", "missing"]) == [f"{prefix}-c"]
        pages = cw.get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix, PaginationConfig={"PageSize": 2})
        assert [[a["AlarmName"] for a in page["MetricAlarms"]] for page in pages] == [
            [f"{prefix}-a", f"{prefix}-b"],
            [f"{prefix}-c"],
        ]
        for wrong in (0, 101):
            with refused():
                cw.describe_alarms(MaxRecords=wrong)

    def test_by_metric(self, cw):
        name = unique("alarm")
        cw.put_metric_alarm(**settings(name))
        found = cw.describe_alarms_for_metric(Namespace=name, MetricName="m")["MetricAlarms"]
        assert [a["AlarmName"] for a in found] == [name]
        assert cw.describe_alarms_for_metric(Namespace=name, MetricName="other")["MetricAlarms"] == []

    def test_delete_all_or_nothing(self, cw):
        name = unique("alarm")
        cw.put_metric_alarm(**settings(name))
        with refused(("ResourceNotFound", "ResourceNotFoundException"), status=404):
            cw.delete_alarms(AlarmNames=[name, unique("missing")])
        assert described(cw, name)
        cw.delete_alarms(AlarmNames=[name])
        assert cw.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []

    def test_z11_history_outlives_the_alarm(self, cw):
        name = unique("alarm")
        cw.put_metric_alarm(**settings(name, TreatMissingData="ignore"))
        cw.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
        cw.delete_alarms(AlarmNames=[name])
        items = cw.describe_alarm_history(AlarmName=name)["AlarmHistoryItems"]
        assert [item["HistorySummary"] for item in items] == [
            f'Alarm "{name}" deleted',
            "Alarm updated from INSUFFICIENT_DATA to ALARM",
            f'Alarm "{name}" created',
        ]


class TestState:
    def test_z08_z09_setting_the_state_runs_the_actions_once(self, cw, sns, mailbox):
        from test_sns import subscribed

        topic, address, _ = subscribed(sns, mailbox)
        name = unique("Zugriff verweigert")
        cw.put_metric_alarm(
            **settings(name, TreatMissingData="ignore", AlarmActions=[topic], AlarmDescription="by hand")
        )
        cw.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="fine")
        data = {"by": "hand"}
        cw.set_alarm_state(
            AlarmName=name, StateValue="ALARM", StateReason="just a test", StateReasonData=json.dumps(data)
        )
        mail = mailbox.wait(address, 2)[1]
        assert name in mail.text and "just a test" in mail.text and "by hand" in mail.text
        cw.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="no change")
        mailbox.stays(address, 2, 2)
        alarm = described(cw, name)
        assert alarm["StateValue"] == "ALARM"
        assert now() - alarm["StateUpdatedTimestamp"] < datetime.timedelta(minutes=1)

        items = cw.describe_alarm_history(AlarmName=name)["AlarmHistoryItems"]
        kinds = [i["HistoryItemType"] for i in items]
        assert kinds.count("Action") == 1 and kinds[-1] == "ConfigurationUpdate"
        updates = [i for i in items if i["HistoryItemType"] == "StateUpdate"]
        changed = [u for u in updates if u["HistorySummary"] == "Alarm updated from OK to ALARM"]
        assert len(changed) == 1
        told = json.loads(changed[0]["HistoryData"])
        assert told["newState"]["stateReason"] == "just a test"
        assert told["oldState"]["stateValue"] == "OK"
        [action] = [i for i in items if i["HistoryItemType"] == "Action"]
        assert action["HistorySummary"] == f"Successfully executed action {topic}"

    def test_z10_switched_off_actions_do_not_run_on_a_breach(self, cw, sns, mailbox):
        from test_sns import subscribed

        topic, address, _ = subscribed(sns, mailbox)
        name = unique("alarm")
        cw.put_metric_alarm(**settings(name, TreatMissingData="ignore", AlarmActions=[topic]))
        cw.disable_alarm_actions(AlarmNames=[name])
        assert described(cw, name)["ActionsEnabled"] is False
        cw.put_metric_data(Namespace=name, MetricData=[{"MetricName": "m", "Value": 6.0}])
        wait_for_state(cw, name, "ALARM")
        mailbox.stays(address, 1, 2)
        kinds = [i["HistoryItemType"] for i in cw.describe_alarm_history(AlarmName=name)["AlarmHistoryItems"]]
        assert "StateUpdate" in kinds and "Action" not in kinds
        cw.enable_alarm_actions(AlarmNames=[name])
        assert described(cw, name)["ActionsEnabled"] is True

    def test_z12_reason_data_that_is_no_json_is_refused(self, cw):
        name = unique("alarm")
        cw.put_metric_alarm(**settings(name))
        with refused(("InvalidFormat", "InvalidFormatFault")):
            cw.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="r", StateReasonData="not json")

    def test_z13_z14_names_that_are_long_or_not_ascii_are_told(self, cw, sns, mailbox):
        """The subject of our mails is not AWS's line, which the message's tests hold to these vectors: a long name is cut,
        and letters stay what they are."""
        from test_sns import subscribed

        topic, address, _ = subscribed(sns, mailbox)
        long, umlaut = unique("n" * 187), unique("Zugriff verweigert ä")
        assert len(long) == 200
        for count, name in enumerate((long, umlaut), start=2):
            cw.put_metric_alarm(**settings(name, TreatMissingData="ignore", AlarmActions=[topic]))
            cw.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="drill")
            mailbox.wait(address, count)
        _, of_long, of_umlaut = mailbox.mails(address)
        assert of_long.subject.startswith("[ALARM] nnn") and len(of_long.subject) < 200 and long in of_long.text
        assert "Zugriff verweigert ä" in of_umlaut.subject and umlaut in of_umlaut.text
        assert all(ord(letter) < 128 for letter in of_umlaut.raw.split(b"\r\n\r\n", 1)[0].decode("latin-1"))

    def test_wrong_requests(self, cw):
        with refused(("ResourceNotFound", "ResourceNotFoundException"), status=404):
            cw.set_alarm_state(AlarmName=unique("missing"), StateValue="OK", StateReason="r")
        name = unique("alarm")
        cw.put_metric_alarm(**settings(name))
        for wrong in (
            {"StateValue": "PANIC"},
            {"StateReason": "x" * 1024},
            {"StateReasonData": "not json"},
            {"StateReasonData": json.dumps("x" * 4000)},
        ):
            with refused():
                cw.set_alarm_state(**{"AlarmName": name, "StateValue": "OK", "StateReason": "r", **wrong})
        with refused(("InvalidFormat", "InvalidFormatFault")):
            cw.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="r", StateReasonData="not json")


class TestMetrics:
    def test_numbers_come_back_folded(self, cw):
        name = unique("metric")
        start = now().replace(second=0, microsecond=0) - datetime.timedelta(minutes=10)
        cw.put_metric_data(
            Namespace=name,
            MetricData=[
                {"MetricName": "m", "Value": float(v), "Timestamp": start + datetime.timedelta(seconds=v)}
                for v in range(1, 101)
            ],
        )
        cw.put_metric_data(
            Namespace=name,
            MetricData=[
                {"MetricName": "v", "Values": [1.0, 2.0], "Counts": [3.0, 1.0], "Timestamp": start},
                {
                    "MetricName": "s",
                    "StatisticValues": {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 4},
                    "Timestamp": start,
                },
            ],
        )

        def points(metric, period=120, **more):
            more.setdefault("Statistics", ["SampleCount", "Sum", "Average", "Minimum", "Maximum"])
            answer = cw.get_metric_statistics(
                Namespace=name,
                MetricName=metric,
                StartTime=start,
                EndTime=start + datetime.timedelta(minutes=5),
                Period=period,
                **{k: v for k, v in more.items() if v},
            )
            assert answer["Label"] == metric
            return sorted(answer["Datapoints"], key=lambda p: p["Timestamp"])

        [point] = points("m")
        assert point["Timestamp"] == start and point["Unit"] == "None"
        assert [point[k] for k in ("SampleCount", "Sum", "Average", "Minimum", "Maximum")] == [100, 5050, 50.5, 1, 100]
        assert [p["SampleCount"] for p in points("m", 60)] == [59, 41]
        [point] = points("m", Statistics=None, ExtendedStatistics=["p50", "p90", "p100"])
        percentiles = point["ExtendedStatistics"]
        assert 49 <= percentiles["p50"] <= 51.5 and 89 <= percentiles["p90"] <= 91.5 and percentiles["p100"] == 100
        [point] = points("v")
        assert [point[k] for k in ("SampleCount", "Sum", "Minimum", "Maximum")] == [4, 5, 1, 2]
        [point] = points("s")
        assert [point[k] for k in ("SampleCount", "Sum", "Minimum", "Maximum")] == [4, 10, 1, 4]

        metrics = cw.list_metrics(Namespace=name)["Metrics"]
        assert sorted(m["MetricName"] for m in metrics) == ["m", "s", "v"]
        assert [m["MetricName"] for m in cw.list_metrics(Namespace=name, MetricName="v")["Metrics"]] == ["v"]

    def test_dimensions_tell_series_apart(self, cw):
        name = unique("metric")
        start = now().replace(second=0, microsecond=0)
        for user, value in (("a", 1.0), ("b", 2.0)):
            cw.put_metric_data(
                Namespace=name,
                MetricData=[
                    {
                        "MetricName": "m",
                        "Value": value,
                        "Dimensions": [{"Name": "User", "Value": user}],
                        "Timestamp": start,
                    }
                ],
            )
        for user, expected in (("a", [1.0]), ("b", [2.0]), (None, [])):
            answer = cw.get_metric_statistics(
                Namespace=name,
                MetricName="m",
                Dimensions=[{"Name": "User", "Value": user}] if user else [],
                StartTime=start,
                EndTime=start + datetime.timedelta(minutes=1),
                Period=60,
                Statistics=["Sum"],
            )
            assert [p["Sum"] for p in answer["Datapoints"]] == expected
        found = cw.list_metrics(Namespace=name, Dimensions=[{"Name": "User", "Value": "b"}])["Metrics"]
        assert [m["Dimensions"] for m in found] == [[{"Name": "User", "Value": "b"}]]

    @pytest.mark.parametrize(
        "change",
        [
            {"Value": 2.0**361},
            {"Value": float("nan")},
            {"Value": float("inf")},
            {"Timestamp": datetime.timedelta(days=-15)},
            {"Timestamp": datetime.timedelta(hours=3)},
            {"Values": [1.0] * 151},
            {"MetricName": ""},
            {"Dimensions": [{"Name": str(i), "Value": "v"} for i in range(31)]},
            {"Unit": "Hectares"},
        ],
        ids=lambda c: ",".join(f"{k}={str(v)[:12]}" for k, v in c.items()),
    )
    def test_what_is_not_a_number_is_refused(self, cw, change):
        datum = {"MetricName": "m", "Value": 1.0, **change}
        if "Values" in change:
            del datum["Value"]
        if "Timestamp" in change:
            datum["Timestamp"] = now() + change["Timestamp"]
        with refused():
            cw.put_metric_data(Namespace=unique("metric"), MetricData=[datum])

    def test_wrong_questions(self, cw):
        question = {
            "Namespace": "n",
            "MetricName": "m",
            "StartTime": now() - datetime.timedelta(hours=1),
            "EndTime": now(),
            "Period": 60,
            "Statistics": ["Sum"],
        }
        for wrong in (
            {"Period": 61},
            {"Period": 0},
            {"Statistics": ["Total"]},
            {"Statistics": []},
            {"ExtendedStatistics": ["p101"], "Statistics": []},
            {"StartTime": now(), "EndTime": now() - datetime.timedelta(hours=1)},
            {"StartTime": now() - datetime.timedelta(days=13)},
        ):
            asked = {k: v for k, v in {**question, **wrong}.items() if v != []}
            with refused():
                cw.get_metric_statistics(**asked)


class TestEvaluation:
    def test_a_crossed_line_fires_at_once_and_says_why(self, cw):
        name = unique("alarm")
        cw.put_metric_alarm(**settings(name, DatapointsToAlarm=1))
        wait_for_state(cw, name, "OK")
        at = now()
        cw.put_metric_data(Namespace=name, MetricData=[{"MetricName": "m", "Value": 6.0, "Timestamp": at}])
        alarm = wait_for_state(cw, name, "ALARM")
        assert alarm["StateReason"].startswith("Threshold Crossed: 1 out of the last 1 datapoints [6.0 (")
        assert "was greater than the threshold (5.0)" in alarm["StateReason"]
        assert alarm["StateReason"].endswith("(minimum 1 datapoint for OK -> ALARM transition).")
        data = json.loads(alarm["StateReasonData"])
        assert (data["version"], data["statistic"], data["period"], data["threshold"]) == ("1.0", "Sum", 60, 5.0)
        assert data["evaluatedDatapoints"][0]["value"] == 6.0

    def test_on_the_line_is_not_over_it(self, cw):
        name = unique("alarm")
        cw.put_metric_alarm(**settings(name))
        cw.put_metric_data(Namespace=name, MetricData=[{"MetricName": "m", "Value": 5.0}])
        time.sleep(1.5)
        assert described(cw, name)["StateValue"] != "ALARM"
        cw.put_metric_data(Namespace=name, MetricData=[{"MetricName": "m", "Value": 0.5}])
        wait_for_state(cw, name, "ALARM")

    def test_data_of_another_unit_is_not_seen(self, cw):
        name = unique("alarm")
        cw.put_metric_alarm(**settings(name, Unit="Count"))
        cw.put_metric_data(Namespace=name, MetricData=[{"MetricName": "m", "Value": 9.0, "Unit": "Bytes"}])
        time.sleep(1.5)
        assert described(cw, name)["StateValue"] != "ALARM"
        cw.put_metric_data(Namespace=name, MetricData=[{"MetricName": "m", "Value": 9.0, "Unit": "Count"}])
        wait_for_state(cw, name, "ALARM")


def test_a_short_window_fires_closes_and_tells_both_times(server, sns, mailbox):
    """The whole life of an alarm on a statistic that has to wait for the window's end: a percentile over ten seconds."""
    from test_sns import subscribed

    cw = aws.client(server, "cloudwatch")
    topic, address, _ = subscribed(sns, mailbox)
    name = unique("slow")
    cw.put_metric_alarm(
        **{
            k: v
            for k, v in settings(
                name, Period=10, Threshold=1.0, AlarmActions=[topic], OKActions=[topic], ExtendedStatistic="p90"
            ).items()
            if k != "Statistic"
        }
    )
    wait_for_state(cw, name, "OK", 40)
    quiet = len(mailbox.wait(address, 2))  # the confirmation, and that the first judgement is OK
    for _ in range(3):
        cw.put_metric_data(Namespace=name, MetricData=[{"MetricName": "m", "Values": [0.5, 3.0], "Counts": [1, 9]}])
    alarm = wait_for_state(cw, name, "ALARM", 60)
    assert "3.0" in alarm["StateReason"]
    mailbox.wait(address, quiet + 1)
    wait_for_state(cw, name, "OK", 150)
    told = mailbox.wait(address, quiet + 2)[quiet:]
    assert len(told) == 2 and told[0].message_id != told[1].message_id


class TestProtocols:
    """What the clients' libraries hide: headers and bodies of errors, as each generation reads them."""

    TARGET = "GraniteServiceVersion20100801"

    def ask(self, server, protocol, operation, fields):
        import cbor2

        path = "/"
        if protocol == "cbor":
            path = f"/service/{self.TARGET}/operation/{operation}"
            headers = {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
            body = cbor2.dumps(fields)
        elif protocol == "json":
            headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"{self.TARGET}.{operation}"}
            body = json.dumps(fields).encode()
        else:
            headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
            body = aws.form(Action=operation, Version="2010-08-01", **fields)
        return aws.send(server, body, aws.sign(server, "monitoring", body, headers, path=path), path)

    def test_an_error_in_cbor(self, server):
        import cbor2

        missing = {"AlarmName": unique("missing"), "StateValue": "OK", "StateReason": "r"}
        status, headers, body = self.ask(server, "cbor", "SetAlarmState", missing)
        assert status == 404
        assert headers["smithy-protocol"] == "rpc-v2-cbor" and headers["content-type"] == "application/cbor"
        assert headers["x-amzn-query-error"] == "ResourceNotFound;Sender"
        assert cbor2.loads(body)["__type"].endswith("ResourceNotFound")

    def test_an_error_in_json(self, server):
        missing = {"AlarmName": unique("missing"), "StateValue": "OK", "StateReason": "r"}
        status, headers, body = self.ask(server, "json", "SetAlarmState", missing)
        assert status == 404 and headers["x-amzn-query-error"] == "ResourceNotFound;Sender"
        assert json.loads(body)["__type"].endswith("ResourceNotFound")
        assert headers["content-type"] == "application/x-amz-json-1.0"

    def test_an_error_in_xml(self, server):
        missing = {"AlarmName": unique("missing"), "StateValue": "OK", "StateReason": "r"}
        status, headers, body = self.ask(server, "query", "SetAlarmState", missing)
        assert status == 404 and headers["content-type"].startswith("text/xml")
        assert b"<Code>ResourceNotFound</Code>" in body and b"<Type>Sender</Type>" in body
        assert b"http://monitoring.amazonaws.com/doc/2010-08-01/" in body

    @pytest.mark.parametrize("protocol", ["cbor", "json", "query"])
    def test_every_answer_names_its_request(self, server, protocol):
        seen = set()
        for _ in range(2):
            status, headers, _ = self.ask(server, protocol, "DescribeAlarms", {})
            assert status == 200
            seen.add(headers["x-amzn-requestid"])
        assert len(seen) == 2
