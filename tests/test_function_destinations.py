"""Functions as destinations: of subscription filters, whose events they decode, and of alarms, which call them without a topic."""

import base64
import json
import os
import time
import urllib.request

import pytest
from support import aws, windows
from support.aws import refused, unique
from support.functions import NODE_MODULES, lines, make, needs, settings, trust
from support.server import ACCOUNT, REGION, Server

SECONDS_MAX = 60
SENDER = "audit@vouched.example.com"

# What the user guide shows for both languages.
DECODE = {
    "python3.11": """
import base64, gzip, json
def handler(event, context):
    payload = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
    print("payload", json.dumps(payload))
""",
    "nodejs20.x": """
const zlib = require('node:zlib');
exports.handler = async (event) => {
  const payload = JSON.parse(zlib.gunzipSync(Buffer.from(event.awslogs.data, 'base64')));
  console.log('payload', JSON.stringify(payload));
};
""",
}
TELL = "import json\ndef handler(event, context):\n    print('told', json.dumps(event))\n"
# What it prints may be on its way when the server is killed; what it has stored is not.
STORE = """
import base64, gzip, json, time
import boto3
logs = boto3.client("logs")
def handler(event, context):
    payload = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
    events = [{"timestamp": int(time.time() * 1000), "message": one["message"]} for one in payload["logEvents"]]
    logs.put_log_events(logGroupName="taken", logStreamName="s", logEvents=events)
"""
MAIL = """
const AWS = require('aws-sdk');
const zlib = require('node:zlib');
const ses = new AWS.SES();
exports.handler = async (event) => {
  const payload = JSON.parse(zlib.gunzipSync(Buffer.from(event.awslogs.data, 'base64')).toString());
  if (payload.messageType !== 'DATA_MESSAGE') return;
  await ses.sendEmail({
    Source: process.env.SENDER,
    Destination: { ToAddresses: [process.env.READER] },
    Message: {
      Subject: { Data: `${payload.logEvents.length} in ${payload.logGroup}` },
      Body: { Text: { Data: payload.logEvents.map((one) => one.message).join('\\n') } },
    },
  }).promise();
};
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory, mailbox):
    """A server that runs functions."""
    needs("python")
    folder = tmp_path_factory.mktemp("destinations")
    flags = [*settings(folder), "--ses-verified", SENDER.partition("@")[2]]
    instance = Server(folder, *flags, smtp=mailbox.url).start()
    trust(instance)
    yield instance
    assert instance.running(), instance.tail()
    assert instance.stop() == 0, instance.tail()


@pytest.fixture(scope="module")
def lam(host):
    return aws.client(host, "lambda", timeout=90)


@pytest.fixture(scope="module")
def logs(host):
    return aws.client(host, "logs")


def arn(name):
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def group_of(logs, *streams):
    name = unique("/aws/fsx/windows")
    logs.create_log_group(logGroupName=name)
    for stream in streams or ("a",):
        logs.create_log_stream(logGroupName=name, logStreamName=stream)
    return name


def let_logs_in(lam, function, group, principal="logs.amazonaws.com"):
    lam.add_permission(
        FunctionName=function,
        StatementId=unique("logs"),
        Action="lambda:InvokeFunction",
        Principal=principal,
        SourceArn=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:*",
    )


def subscribe(logs, group, function, pattern="", name="f"):
    logs.put_subscription_filter(
        logGroupName=group, filterName=name, filterPattern=pattern, destinationArn=arn(function)
    )


def put(logs, group, *messages, stream="a"):
    events = [{"timestamp": aws.now_ms(), "message": message} for message in messages]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def said(server, function, word):
    """What the function printed behind the word so far, read."""
    logs = aws.client(server, "logs")
    try:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}")
        messages = [event["message"] for page in pages for event in page["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return []
    found = [message.partition(f"{word} ")[2] for message in messages]
    return [json.loads(text) for text in found if text.startswith("{")]


def payloads(server, function, enough=1, kind="DATA_MESSAGE"):
    def look():
        return [one for one in said(server, function, "payload") if one["messageType"] == kind]

    return eventually(look, lambda found: len(found) >= enough)


def metrics(server):
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        return answer.read().decode()


def eventually(look, enough=bool):
    end = time.monotonic() + SECONDS_MAX
    while not enough(found := look()):
        assert time.monotonic() < end, found
        time.sleep(0.2)
    return found


class TestSubscriptions:
    @pytest.mark.parametrize("runtime", DECODE)
    def test_a_function_decodes_what_matches(self, host, lam, logs, runtime):
        """S03, S05: the pattern chooses, and each log stream has payloads of its own."""
        needs("python" if runtime.startswith("python") else "node")
        group = group_of(logs, "a", "b")
        function = make(lam, DECODE[runtime], runtime)
        let_logs_in(lam, function, group)
        put(logs, group, "4656 too early")
        subscribe(logs, group, function, '"4656"')
        [shown] = logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"]
        assert (shown["destinationArn"], shown["distribution"]) == (arn(function), "ByLogStream")
        assert "roleArn" not in shown
        put(logs, group, "4656 denied", "4663 written", "5145 share")
        put(logs, group, "4656 ägain", stream="b")
        first, second = sorted(payloads(host, function, 2), key=lambda one: one["logStream"])
        assert (first["owner"], first["logGroup"], first["subscriptionFilters"]) == (ACCOUNT, group, ["f"])
        assert [(one["logStream"], [event["message"] for event in one["logEvents"]]) for one in (first, second)] == [
            ("a", ["4656 denied"]),
            ("b", ["4656 ägain"]),
        ]
        [stored] = logs.filter_log_events(logGroupName=group, filterPattern='"4656 denied"')["events"]
        [event] = first["logEvents"]
        assert (event["id"], event["timestamp"]) == (stored["eventId"], stored["timestamp"])
        [control] = payloads(host, function, 1, "CONTROL_MESSAGE")
        assert control["logEvents"][0]["message"] == "CWL CONTROL MESSAGE: Checking health of destination Lambda."

    def test_columns_are_extracted(self, host, lam, logs):
        """S04"""
        group = group_of(logs)
        function = make(lam, DECODE["python3.11"])
        let_logs_in(lam, function, group, f"logs.{REGION}.amazonaws.com")
        subscribe(logs, group, function, "[w1, id=4656, ...]")
        put(logs, group, "audit 4656 alice", "audit 4663 bob")
        [payload] = payloads(host, function)
        assert payload["logEvents"][0]["extractedFields"]["w1"] == "audit"

    def test_what_cannot_be_called_is_refused(self, lam, logs):
        """S01, S02"""
        group, other = group_of(logs), group_of(logs)
        function = make(lam, DECODE["python3.11"])
        text = (
            "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to execute "
            "your function."
        )
        for destination in ("nobody", function):
            with refused("InvalidParameterException", text):
                subscribe(logs, group, destination)
        let_logs_in(lam, function, other)
        with refused("InvalidParameterException", text):
            subscribe(logs, group, function)
        with refused("InvalidParameterException", "is not served by this version"):
            logs.put_subscription_filter(
                logGroupName=group, filterName="k", filterPattern="", destinationArn="arn:aws:kinesis:r:1:stream/s"
            )
        own = f"/aws/lambda/{function}"
        logs.create_log_group(logGroupName=own)
        let_logs_in(lam, function, own)
        with refused("InvalidParameterException", "reserved for the function logs of the destination function"):
            subscribe(logs, own, function)
        let_logs_in(lam, function, group)
        for name in ("one", "two"):
            subscribe(logs, group, function, name=name)
        with refused("LimitExceededException", "at most 2 subscription filters"):
            subscribe(logs, group, function, name="three")

    def test_large_batches_come_in_payloads_that_a_function_can_take(self, host, lam, logs):
        """Random text hardly compresses: what is too large for one event comes in several, and nothing is missing."""
        group = group_of(logs)
        short = (
            '{"messageType": payload["messageType"], "ids": [e["message"][:8] for e in payload["logEvents"]], '
            '"bytes": len(json.dumps(event))}'
        )
        source = DECODE["python3.11"].replace("json.dumps(payload)", f"json.dumps({short})")
        function = make(lam, source, Timeout=60)
        let_logs_in(lam, function, group)
        subscribe(logs, group, function, '"no-"')
        sent = []
        for part in range(3):
            messages = [f"no-{part}-{n:03} {base64.b85encode(os.urandom(72_000)).decode()}" for n in range(11)]
            sent += [message[:8] for message in messages]
            put(logs, group, *messages)

        def ids():
            found = [one for one in said(host, function, "payload") if one["messageType"] == "DATA_MESSAGE"]
            assert all(one["bytes"] <= 1 << 20 for one in found)
            return sorted(name for one in found for name in one["ids"])

        assert eventually(ids, lambda found: len(found) >= len(sent)) == sorted(sent)

    def test_a_mail_says_what_was_matched(self, host, lam, logs, mailbox):
        needs("node")
        if not (NODE_MODULES / "aws-sdk").is_dir():
            pytest.skip("the npm package aws-sdk is not installed in tests/js/node_modules")
        reader = f"{unique('reader')}@example.org"
        group = group_of(logs)
        function = make(
            lam, MAIL, "nodejs20.x", Environment={"Variables": {"SENDER": SENDER, "READER": reader}}, Timeout=60
        )
        let_logs_in(lam, function, group)
        subscribe(logs, group, function, "denied")
        put(logs, group, "alice was denied", "bob came in", "carol was denied")
        [mail] = mailbox.wait(reader, 1, SECONDS_MAX)
        assert mail.subject == f"2 in {group}"

    def test_a_function_that_is_gone_gets_its_events_when_it_is_back(self, host, lam, logs):
        """A tool that replaces a function deletes it first. Meanwhile others go on."""
        group = group_of(logs)
        gone, there = (make(lam, DECODE["python3.11"]) for _ in range(2))
        for name in (gone, there):
            let_logs_in(lam, name, group)
            subscribe(logs, group, name, name=name)
        payloads(host, gone, 1, "CONTROL_MESSAGE")
        lam.delete_function(FunctionName=gone)
        put(logs, group, "while it was gone")
        assert payloads(host, there)[0]["logEvents"][0]["message"] == "while it was gone"
        assert "nightbell_subscriptions_behind 1" in metrics(host)
        again = make(lam, DECODE["python3.11"], name=gone)
        let_logs_in(lam, again, group)
        assert payloads(host, gone)[0]["logEvents"][0]["message"] == "while it was gone"
        eventually(lambda: "nightbell_subscriptions_behind 0" in metrics(host))

    def test_nothing_is_lost_by_a_kill(self, fresh, tmp_path):
        """What is answered with 200 reaches the function at least once, wherever the kill falls."""
        needs("python")
        server = fresh(*settings(tmp_path)).start()
        trust(server)
        lam, logs = aws.client(server, "lambda", timeout=90), aws.client(server, "logs")
        group = group_of(logs)
        logs.create_log_group(logGroupName="taken")
        logs.create_log_stream(logGroupName="taken", logStreamName="s")
        function = make(lam, STORE)
        let_logs_in(lam, function, group)
        subscribe(logs, group, function)
        sent = set()
        for part in range(3):
            for n in range(5):
                sent.add(f"event {part} {n}")
                put(logs, group, f"event {part} {n}")
            server.kill()
            server.start()

        def arrived():
            found = logs.filter_log_events(logGroupName="taken", filterPattern="event")["events"]
            return {event["message"] for event in found}

        assert eventually(arrived, lambda found: len(found) >= len(sent)) == sent


class TestAlarms:
    @pytest.fixture
    def cloudwatch(self, host):
        return aws.client(host, "cloudwatch")

    def alarm(self, cloudwatch, function, **more):
        name = unique("calls")
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            AlarmDescription="Denied too often",
            Namespace="files",
            MetricName="Denied",
            Dimensions=[{"Name": "Server", "Value": "fs1"}],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=5,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore",
            AlarmActions=[arn(function)],
            **more,
        )
        return name

    def let_alarms_in(self, lam, function, alarm=None):
        source = {"SourceArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{alarm}"} if alarm else {}
        lam.add_permission(
            FunctionName=function,
            StatementId=unique("alarms"),
            Action="lambda:InvokeFunction",
            Principal="lambda.alarms.cloudwatch.amazonaws.com",
            SourceAccount=ACCOUNT,
            **source,
        )

    def history(self, cloudwatch, name):
        items = cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="Action")["AlarmHistoryItems"]
        return [(one["HistorySummary"], json.loads(one["HistoryData"])) for one in items]

    def test_an_alarm_calls_a_function(self, host, lam, cloudwatch):
        function = make(lam, TELL)
        name = self.alarm(cloudwatch, function)
        [shown] = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        assert shown["AlarmActions"] == [arn(function)]
        self.let_alarms_in(lam, function, name)
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="by hand")
        [event] = eventually(lambda: said(host, function, "told"))
        alarm_arn = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"
        assert (event["source"], event["alarmArn"], event["accountId"], event["region"]) == (
            "aws.cloudwatch",
            alarm_arn,
            ACCOUNT,
            REGION,
        )
        data = event["alarmData"]
        assert data["alarmName"] == name
        assert (data["state"]["value"], data["state"]["reason"]) == ("ALARM", "by hand")
        assert data["state"]["timestamp"] == event["time"]
        assert data["previousState"]["value"] == "INSUFFICIENT_DATA" and data["previousState"]["timestamp"]
        [metric] = data["configuration"]["metrics"]
        assert data["configuration"]["description"] == "Denied too often"
        assert metric["metricStat"] == {
            "metric": {"namespace": "files", "name": "Denied", "dimensions": {"Server": "fs1"}},
            "period": 60,
            "stat": "Sum",
        }
        [(summary, told)] = self.history(cloudwatch, name)
        assert summary == f"Successfully executed action {arn(function)}"
        assert json.loads(told["publishedMessage"]) == event

    def test_a_composite_alarm_calls_a_function(self, host, lam, cloudwatch):
        function = make(lam, TELL)
        self.let_alarms_in(lam, function)
        child, name = self.alarm(cloudwatch, function), unique("both")
        cloudwatch.put_composite_alarm(
            AlarmName=name, AlarmRule=f'ALARM("{child}")', AlarmActions=[arn(function)]
        )
        cloudwatch.set_alarm_state(AlarmName=child, StateValue="ALARM", StateReason="by hand")
        events = eventually(lambda: said(host, function, "told"), lambda found: len(found) >= 2)
        told = {event["alarmData"]["alarmName"]: event["alarmData"] for event in events}
        assert told[name]["configuration"] == {"alarmRule": f'ALARM("{child}")'}
        assert told[name]["state"]["value"] == "ALARM" and child in told[name]["state"]["reason"]

    def test_each_contributor_calls_a_function(self, host, lam, logs, cloudwatch):
        function, name = make(lam, TELL), unique("machines")
        self.let_alarms_in(lam, function)
        group = group_of(logs, "s")
        logs.put_metric_filter(
            logGroupName=group,
            filterName="failed",
            filterPattern='{ $.Audit.Action = "logon" && $.Audit.Outcome = "failure" }',
            metricTransformations=[
                {
                    "metricName": "Failed",
                    "metricNamespace": name,
                    "metricValue": "1",
                    "dimensions": {"Instance": "$.Audit.Instance"},
                }
            ],
        )
        query = f'SELECT SUM(Failed) FROM "{name}" GROUP BY Instance'
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Metrics=[{"Id": "q1", "Expression": query, "Period": 300, "ReturnData": True}],
            EvaluationPeriods=1,
            Threshold=4,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
            AlarmActions=[arn(function)],
        )
        at = aws.now_ms()
        events = [
            {"timestamp": at, "message": windows.failed_logon(machine=machine, at_ms=at)}
            for machine in ("srv1", "srv2")
            for _ in range(5)
        ]
        logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
        told = eventually(lambda: said(host, function, "told"), lambda found: len(found) >= 2)
        alarmed = [one["alarmData"] for one in told if one["alarmData"]["state"]["value"] == "ALARM"]
        called = sorted(one["alarmContributor"]["attributes"]["Instance"] for one in alarmed)
        assert called == ["srv1", "srv2"]
        assert alarmed[0]["configuration"]["metrics"][0]["expression"] == query

    def test_what_is_not_called_is_in_the_history(self, lam, cloudwatch):
        function = make(lam, TELL)
        for action, why in ((function, "add a permission"), ("nobody", "Function does not exist")):
            name = self.alarm(cloudwatch, action)
            cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="by hand")
            [(summary, told)] = eventually(lambda name=name: self.history(cloudwatch, name))
            assert summary == f"Failed to execute action {arn(action)}" and why in told["error"]

    def test_a_transition_calls_once_over_a_kill(self, fresh, tmp_path):
        needs("python")
        server = fresh(*settings(tmp_path)).start()
        trust(server)
        lam, cloudwatch = aws.client(server, "lambda", timeout=90), aws.client(server, "cloudwatch")
        function = make(lam, TELL)
        self.let_alarms_in(lam, function)
        name = self.alarm(cloudwatch, function)
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="by hand")
        server.kill()
        server.start()
        eventually(lambda: said(server, function, "told"))
        lines(server, function, "REPORT")
        # Attempts that a kill cut off are repeated under their id: one transition has one.
        found = lines(server, function, "REPORT")
        ids = {line.split()[2] for line in found if line.startswith("START")}
        assert len(ids) == 1, found

