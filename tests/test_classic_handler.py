"""The chain that many have built on AWS: an alarm, a topic, a function that looks the events up and sends its own mail. The handler
is written against version 2 of the SDK for JavaScript and knows nothing of this server."""

import json
import time

import pytest
from support import aws, windows
from support.aws import unique
from support.functions import lines, needs, needs_module, settings, tail, trust, zipped
from support.server import Server

MAIL_SECONDS = 60
SOURCE = "alarms@vouched.example.com"

HANDLER = """
const AWS = require('aws-sdk');
const logs = new AWS.CloudWatchLogs();
const ses = new AWS.SES();

exports.handler = async (event) => {
  const message = JSON.parse(event.Records[0].Sns.Message);
  const { MetricName: metricName, Namespace: metricNamespace, Period, EvaluationPeriods } = message.Trigger;
  const { metricFilters } = await logs.describeMetricFilters({ metricName, metricNamespace }).promise();
  const { logGroupName, filterPattern } = metricFilters[0];
  const endTime = Date.parse(message.StateChangeTime) + 1000;
  const startTime = endTime - (Period * EvaluationPeriods + 60) * 1000;
  const { logStreams } = await logs.describeLogStreams({ logGroupName }).promise();
  const logStreamNames = logStreams.map((stream) => stream.logStreamName);
  const found = await logs.filterLogEvents({ logGroupName, logStreamNames, filterPattern, startTime, endTime }).promise();
  const lines = found.events.map((one) => `<p>${one.logStreamName}: ${/Alice/.test(one.message) ? 'Alice' : '?'}</p>`);
  await ses.sendEmail({
    Source: process.env.SOURCE,
    Destination: { ToAddresses: [process.env.READER] },
    Message: {
      Subject: { Data: `${message.AlarmName}: ${found.events.length} events` },
      Body: { Html: { Data: lines.join('') } },
    },
  }).promise();
  return found.events.length;
};
"""

# What it needs and no more.
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["logs:DescribeMetricFilters", "logs:DescribeLogStreams", "logs:FilterLogEvents"],
            "Resource": "*",
        },
        {"Effect": "Allow", "Action": "ses:SendEmail", "Resource": "*"},
    ],
}


@pytest.fixture(scope="module")
def host(tmp_path_factory, mailbox):
    """A server that runs functions and whose operator vouches for the sender's domain."""
    needs("node")
    needs_module("aws-sdk")
    folder = tmp_path_factory.mktemp("classic")
    flags = [*settings(folder), "--ses-verified", SOURCE.partition("@")[2]]
    instance = Server(folder, *flags, smtp=mailbox.url).start()
    trust(instance)
    yield instance
    assert instance.stop() == 0, instance.tail()


def role(host, policy) -> str:
    """A role of its own with this policy."""
    iam, name = aws.client(host, "iam"), unique("classic")
    statement = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="needs", PolicyDocument=json.dumps(policy))
    return arn


def build(host, policy, permitted=True):
    """Group, filter, topic, function and alarm; gives their names and the reader's address."""
    logs, sns = aws.client(host, "logs"), aws.client(host, "sns")
    lam, cloudwatch = aws.client(host, "lambda"), aws.client(host, "cloudwatch")
    name, reader = unique("classic"), f"{unique('reader')}@example.org"
    group = f"/aws/fsx/{name}"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="fs-1")
    transformation = {"metricName": "Denied", "metricNamespace": name, "metricValue": "1"}
    pattern = '"4656" "secret"'
    logs.put_metric_filter(
        logGroupName=group, filterName="f", filterPattern=pattern, metricTransformations=[transformation]
    )
    function = lam.create_function(
        FunctionName=name,
        Runtime="nodejs20.x",
        Handler="index.handler",
        Role=role(host, policy),
        Code={"ZipFile": zipped(index__js=HANDLER)},
        Timeout=30,
        MemorySize=512,
        Environment={"Variables": {"SOURCE": SOURCE, "READER": reader}},
    )["FunctionArn"]
    topic = sns.create_topic(Name=name)["TopicArn"]
    subscribed = sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=function)
    assert subscribed["SubscriptionArn"].startswith(f"{topic}:"), "a function is asked nothing"
    if permitted:
        lam.add_permission(
            FunctionName=name,
            StatementId="sns",
            Action="lambda:InvokeFunction",
            Principal="sns.amazonaws.com",
            SourceArn=topic,
        )
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace=name,
        MetricName="Denied",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=3,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
        AlarmActions=[topic],
    )
    return name, group, topic, reader


def test_the_handler_finds_the_events_and_its_mail_arrives(host, mailbox):
    name, group, _, reader = build(host, POLICY)
    now = int(time.time() * 1000)
    file = r"\Device\HarddiskVolume8\share\secret\{}.txt"
    events = [{"timestamp": now, "message": windows.denied_open("Alice", file.format(i), at_ms=now)} for i in range(5)]
    aws.client(host, "logs").put_log_events(logGroupName=group, logStreamName="fs-1", logEvents=events)
    mails = mailbox.wait(reader, seconds=MAIL_SECONDS)
    assert mails[0].subject == f"{name}: 5 events"
    assert mails[0].html.count("<p>fs-1: Alice</p>") == 5
    assert any(line.startswith("REPORT") for line in lines(host, name, "REPORT"))


def test_a_function_may_do_what_its_role_may_and_no_more(host, mailbox):
    name, group, _, reader = build(host, {**POLICY, "Statement": POLICY["Statement"][:1]})
    message = {"AlarmName": name, "StateChangeTime": "2026-09-14T05:42:01Z"}
    message["Trigger"] = {"MetricName": "Denied", "Namespace": name, "Period": 60, "EvaluationPeriods": 1}
    event = {"Records": [{"Sns": {"Message": json.dumps(message)}}]}
    answer = aws.client(host, "lambda", timeout=60).invoke(
        FunctionName=name, Payload=json.dumps(event).encode(), LogType="Tail"
    )
    told = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled", tail(answer)
    assert told["errorType"] == "AccessDenied", told
    assert "is not authorized to perform: ses:SendEmail" in told["errorMessage"], told
    assert mailbox.mails(reader) == []


def test_a_topic_needs_the_permission_of_the_function(host, mailbox):
    """S02: without a permission nothing is invoked, and with one for another topic neither."""
    name, _, topic, _ = build(host, POLICY, permitted=False)
    sns, lam = aws.client(host, "sns"), aws.client(host, "lambda")
    lam.add_permission(
        FunctionName=name,
        StatementId="other",
        Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com",
        SourceArn=f"{topic}x",
    )
    sns.publish(TopicArn=topic, Message="nobody is let in")
    end = time.monotonic() + 20
    while "add a permission" not in host.tail() and time.monotonic() < end:
        time.sleep(0.2)
    assert "add a permission" in host.tail()
    groups = aws.client(host, "logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")["logGroups"]
    assert groups == []
