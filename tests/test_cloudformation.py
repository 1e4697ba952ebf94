"""Stacks of CloudFormation: deployed with the AWS CLI, made and changed with boto3, applied by `nightbell apply`, cut short by kill -9."""

import contextlib
import datetime
import json
import re
import threading
import time

import pytest
from support import aws, terraform, windows
from support.aws import cli, client, refused, unique
from support.server import ACCOUNT, REGION, REPOSITORY, run

EXAMPLES = REPOSITORY / "examples" / "cloudformation"
SETTLED_SECONDS_MAX = 60
MAIL_SECONDS_MAX = 10
NAMED = ["CAPABILITY_NAMED_IAM"]

GROUP = """
Resources:
  Group:
    Type: AWS::Logs::LogGroup
    Properties: {LogGroupName: NAME}
"""


@pytest.fixture
def stacks(server):
    return client(server, "cloudformation")


def settled(stacks, name: str, status: str | None = None) -> dict:
    """The stack once nothing is under way, which must be this status."""
    end = time.monotonic() + SETTLED_SECONDS_MAX
    while True:
        [stack] = stacks.describe_stacks(StackName=name)["Stacks"]
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            assert status in (None, stack["StackStatus"]), (stack, told(stacks, name))
            return stack
        assert time.monotonic() < end, stack
        time.sleep(0.05)


def told(stacks, name: str) -> list[tuple]:
    """What happened, the oldest first."""
    pages = stacks.get_paginator("describe_stack_events").paginate(StackName=name)
    events = [event for page in pages for event in page["StackEvents"]]
    fields = ("LogicalResourceId", "ResourceStatus", "ResourceStatusReason")
    return [tuple(event.get(field) for field in fields) for event in reversed(events)]


def resources(stacks, name: str) -> dict[str, dict]:
    pages = stacks.get_paginator("list_stack_resources").paginate(StackName=name)
    return {one["LogicalResourceId"]: one for page in pages for one in page["StackResourceSummaries"]}


def outputs(stack: dict) -> dict[str, str]:
    return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}


def make(stacks, name: str, template, status="CREATE_COMPLETE", **more) -> dict:
    body = template if isinstance(template, str) else json.dumps(template)
    stack_id = stacks.create_stack(StackName=name, TemplateBody=body, **more)["StackId"]
    assert stack_id.startswith(f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/")
    return settled(stacks, stack_id, status)


def change(stacks, name: str, template, status="UPDATE_COMPLETE", **more) -> dict:
    body = template if isinstance(template, str) else json.dumps(template)
    stacks.update_stack(StackName=name, TemplateBody=body, **more)
    return settled(stacks, name, status)


def unmake(stacks, name: str):
    [stack] = stacks.describe_stacks(StackName=name)["Stacks"]
    stacks.delete_stack(StackName=name)
    gone = settled(stacks, stack["StackId"], "DELETE_COMPLETE")
    assert isinstance(gone["DeletionTime"], datetime.datetime)
    with refused("ValidationError", f"Stack with id {name} does not exist"):
        stacks.describe_stacks(StackName=name)


def groups(server, prefix: str) -> dict[str, dict]:
    found = client(server, "logs").describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
    return {group["logGroupName"]: group for group in found}


def test_the_cli_deploys_the_files_job_changes_it_and_takes_it_away(server, mailbox, stacks):
    name = unique("files")
    group, address = f"/aws/fsx/{name}", f"{name}@example.org"
    deploy = ["cloudformation", "deploy", "--template-file", str(EXAMPLES / "files.yaml"), "--stack-name", name]
    values = [f"Mail={address}", f"LogGroup={group}"]

    done = cli(server, *deploy, "--parameter-overrides", *values, check=False)
    assert done.returncode != 0 and "Requires capabilities : [CAPABILITY_NAMED_IAM]" in done.stderr, done.stderr
    deploy += ["--capabilities", *NAMED, "--tags", "owner=security", "--no-fail-on-empty-changeset"]
    done = cli(server, *deploy, "--parameter-overrides", *values, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr, told(stacks, name))
    assert f"Successfully created/updated stack - {name}" in done.stdout
    done = cli(server, *deploy, "--parameter-overrides", *values, check=False)
    assert done.returncode == 0 and "No changes to deploy" in done.stdout, done.stdout + done.stderr

    stack = settled(stacks, name, "CREATE_COMPLETE")
    out = outputs(stack)
    assert out["LogGroup"] == group and out["Topic"] == f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}-security"
    logs, cloudwatch = client(server, "logs"), client(server, "cloudwatch")
    [there] = groups(server, group).values()
    assert (there["retentionInDays"], there["metricFilterCount"]) == (90, 2)
    tags = logs.list_tags_for_resource(resourceArn=there["logGroupArn"])["tags"]
    assert tags == {"purpose": "file audit", "owner": "security"}
    assert json.loads(client(server, "ssm").get_parameter(Name=f"AmazonCloudWatch-{name}")["Parameter"]["Value"])

    # The stack does its work: who ships may ship and no more; six denied reads are a mail.
    mailbox.wait(address)[0].follow("ConfirmSubscription")
    shipper = client(server, "logs", key=out["ShipperKey"], secret=out["ShipperSecret"])
    shipper.create_log_stream(logGroupName=group, logStreamName="fs1")
    at = aws.now_ms()
    events = [{"timestamp": at, "message": windows.denied_open(at_ms=at)} for _ in range(6)]
    shipper.put_log_events(logGroupName=group, logStreamName="fs1", logEvents=events)
    with refused("AccessDeniedException"):
        shipper.filter_log_events(logGroupName=group)
    assert "alice" in mailbox.wait(address, 2, MAIL_SECONDS_MAX)[1].subject.lower()

    before = resources(stacks, name)
    done = cli(server, *deploy, "--parameter-overrides", *values, "DeniedMax=9", "RetentionDays=30", "WithShipper=no")
    stack = settled(stacks, name, "UPDATE_COMPLETE")
    [alarm] = cloudwatch.describe_alarms(AlarmNames=[f"{name}-denied"])["MetricAlarms"]
    assert alarm["Threshold"] == 9
    assert groups(server, group)[group]["retentionInDays"] == 30
    after = resources(stacks, name)
    assert {*before} - {*after} == {"Shipper", "ShipperKey", "Ship"}
    assert all(after[one]["PhysicalResourceId"] == before[one]["PhysicalResourceId"] for one in after)
    assert "ShipperKey" not in outputs(stack)
    assert name + "-shipper" not in {user["UserName"] for user in client(server, "iam").list_users()["Users"]}

    cli(server, "cloudformation", "delete-stack", "--stack-name", name)
    cli(server, "cloudformation", "wait", "stack-delete-complete", "--stack-name", name)
    assert groups(server, group) == {}
    assert cloudwatch.describe_alarms(AlarmNamePrefix=name)["MetricAlarms"] == []
    assert f"{name}-security" not in str(client(server, "sns").list_topics())


def test_the_logons_job_is_made_and_says_what_it_is(server, stacks):
    name, body = unique("logons"), (EXAMPLES / "logons.yaml").read_text()
    summary = stacks.get_template_summary(TemplateBody=body)
    assert "AWS::CloudWatch::AnomalyDetector" in summary["ResourceTypes"]
    assert {one["ParameterKey"] for one in stacks.validate_template(TemplateBody=body)["Parameters"]} >= {"Webhook"}
    values = {"LogGroup": name, "Sender": f"{name}@example.org", "Webhook": "http://127.0.0.1:9/hook"}
    stack = make(
        stacks, name, body, Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]
    )
    assert stack["Description"].startswith("The logon watch")
    shown = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
    assert shown["LogGroup"] == name and shown["FailuresMax"] == "5"
    assert stacks.get_template(StackName=name)["TemplateBody"] == body
    there = resources(stacks, name)
    assert {one["ResourceStatus"] for one in there.values()} == {"CREATE_COMPLETE"}
    topic = there["Operators"]["PhysicalResourceId"]
    assert re.fullmatch(f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}-Operators-[A-Z0-9]{{12}}", topic)
    # A subscriber that is still to confirm has an address of its own, too.
    attributes = client(server, "sns").get_subscription_attributes(
        SubscriptionArn=there["ByWebhook"]["PhysicalResourceId"]
    )["Attributes"]
    assert json.loads(attributes["FilterPolicy"]) == {"NewStateValue": ["ALARM"]}
    detail = stacks.describe_stack_resource(StackName=name, LogicalResourceId="Guessing")["StackResourceDetail"]
    assert detail["PhysicalResourceId"] == f"{name}-guessing"
    [one] = [one for one in stacks.describe_stack_resources(PhysicalResourceId=topic)["StackResources"]
             if one["LogicalResourceId"] == "Operators"]
    assert one["StackName"] == name
    assert name in {one["StackName"] for one in stacks.list_stacks(StackStatusFilter=["CREATE_COMPLETE"])["StackSummaries"]}
    with refused("ValidationError", "No updates are to be performed."):
        stacks.update_stack(
            StackName=name,
            UsePreviousTemplate=True,
            Parameters=[{"ParameterKey": key, "UsePreviousValue": True} for key in values],
        )
    unmake(stacks, name)
    assert groups(server, name) == {}


def test_events_tell_each_step_in_order(server, stacks):
    name = unique("steps")
    template = {"Resources": {
        "Filter": {"Type": "AWS::Logs::MetricFilter", "Properties": {
            "LogGroupName": {"Ref": "Group"}, "FilterPattern": "x",
            "MetricTransformations": [{"MetricName": "m", "MetricNamespace": "n", "MetricValue": 1}]}},
        "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name}},
    }}
    make(stacks, name, template)
    assert told(stacks, name) == [
        (name, "CREATE_IN_PROGRESS", "User Initiated"),
        ("Group", "CREATE_IN_PROGRESS", None),
        ("Group", "CREATE_COMPLETE", None),
        ("Filter", "CREATE_IN_PROGRESS", None),
        ("Filter", "CREATE_COMPLETE", None),
        (name, "CREATE_COMPLETE", None),
    ]
    # What another resource must take the place of is made first and deleted last.
    template["Resources"]["Group"]["Properties"]["LogGroupName"] = f"{name}-2"
    seen = len(told(stacks, name))
    change(stacks, name, template)
    assert {*groups(server, name)} == {f"{name}-2"}
    assert [event[:2] for event in told(stacks, name)[seen:]] == [
        (name, "UPDATE_IN_PROGRESS"),
        ("Group", "UPDATE_IN_PROGRESS"),
        ("Group", "UPDATE_COMPLETE"),
        ("Filter", "UPDATE_IN_PROGRESS"),
        ("Filter", "UPDATE_COMPLETE"),
        (name, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
        ("Filter", "DELETE_IN_PROGRESS"),
        ("Filter", "DELETE_COMPLETE"),
        ("Group", "DELETE_IN_PROGRESS"),
        ("Group", "DELETE_COMPLETE"),
        (name, "UPDATE_COMPLETE"),
    ]
    unmake(stacks, name)


def failing(name: str, more: dict | None = None) -> dict:
    """A group, and a filter whose pattern cannot be read."""
    return {"Resources": {
        "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name, **(more or {})}},
        "Bad": {"Type": "AWS::Logs::MetricFilter", "Properties": {
            "LogGroupName": {"Ref": "Group"}, "FilterPattern": "{ $.a = ",
            "MetricTransformations": [{"MetricName": "m", "MetricNamespace": "n", "MetricValue": "1"}]}},
    }}


def test_what_cannot_be_made_is_taken_back(server, stacks):
    name = unique("failing")
    make(stacks, name, failing(name), "ROLLBACK_COMPLETE")
    assert groups(server, name) == {}
    events = told(stacks, name)
    [reason] = [why for what, status, why in events if (what, status) == ("Bad", "CREATE_FAILED")]
    assert "InvalidParameterException" in reason, reason
    assert (name, "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [Bad]. ") in events
    assert ("Group", "DELETE_COMPLETE", None) in events
    with refused("ValidationError", "is in ROLLBACK_COMPLETE state and can not be updated"):
        stacks.update_stack(StackName=name, TemplateBody=GROUP.replace("NAME", name))
    with refused("AlreadyExistsException", f"Stack [{name}] already exists"):
        stacks.create_stack(StackName=name, TemplateBody=GROUP.replace("NAME", name))
    unmake(stacks, name)

    # Told to, it stays as it is, and can be mended in place.
    make(stacks, name, failing(name), "CREATE_FAILED", DisableRollback=True)
    assert {*groups(server, name)} == {name}
    mended = failing(name)
    mended["Resources"]["Bad"]["Properties"]["FilterPattern"] = "{ $.a = 1 }"
    change(stacks, name, mended)
    assert groups(server, name)[name]["metricFilterCount"] == 1
    unmake(stacks, name)

    # Or it goes as a whole.
    stack_id = stacks.create_stack(StackName=name, TemplateBody=json.dumps(failing(name)), OnFailure="DELETE")["StackId"]
    settled(stacks, stack_id, "DELETE_COMPLETE")
    assert groups(server, name) == {}


def test_a_change_that_fails_leaves_the_stack_as_it_was(server, stacks):
    name = unique("changing")
    make(stacks, name, {"Resources": {
        "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name, "RetentionInDays": 7}},
        "Old": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": f"{name}-old", "Type": "String", "Value": "x"}},
        "Moved": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": f"{name}-a", "Type": "String", "Value": "x"}},
    }})
    worse = failing(name, {"RetentionInDays": 30})
    worse["Resources"]["Moved"] = {"Type": "AWS::SSM::Parameter", "Properties": {
        "Name": f"{name}-b", "Type": "String", "Value": {"Ref": "Group"}}}
    worse["Resources"]["Bad"]["DependsOn"] = "Moved"
    stack = change(stacks, name, worse, "UPDATE_ROLLBACK_COMPLETE")
    assert groups(server, name)[name]["retentionInDays"] == 7
    there = client(server, "ssm").get_parameters(Names=[f"{name}-{end}" for end in ("old", "a", "b")])
    assert {one["Name"]: one["Value"] for one in there["Parameters"]} == {f"{name}-old": "x", f"{name}-a": "x"}
    assert {*resources(stacks, name)} == {"Group", "Old", "Moved"}
    assert resources(stacks, name)["Moved"]["PhysicalResourceId"] == f"{name}-a"
    assert "Bad" not in stacks.get_template(StackName=stack["StackId"])["TemplateBody"]
    # From there it can be changed again; what leaves the template goes, unless it is to stay.
    change(stacks, name, {"Resources": {
        "Group": {"Type": "AWS::Logs::LogGroup", "DeletionPolicy": "Retain",
                  "Properties": {"LogGroupName": name, "RetentionInDays": 1}},
    }})
    assert client(server, "ssm").get_parameters(Names=[f"{name}-old"])["InvalidParameters"] == [f"{name}-old"]
    unmake(stacks, name)
    assert groups(server, name)[name]["retentionInDays"] == 1
    client(server, "logs").delete_log_group(logGroupName=name)


def test_nothing_that_is_there_is_taken_over(server, stacks):
    name = unique("taken")
    logs = client(server, "logs")
    logs.create_log_group(logGroupName=name)
    client(server, "cloudwatch").put_metric_alarm(
        AlarmName=name, Namespace="n", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    alarm = {"Type": "AWS::CloudWatch::Alarm", "Properties": {
        "AlarmName": name, "Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1,
        "Threshold": 2, "ComparisonOperator": "GreaterThanThreshold"}}
    for one in (alarm, {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name}}):
        make(stacks, name, {"Resources": {"One": one}}, "ROLLBACK_COMPLETE")
        [reason] = [why for what, status, why in told(stacks, name) if (what, status) == ("One", "CREATE_FAILED")]
        assert f"{name} already exists" in reason
        unmake(stacks, name)
    assert {*groups(server, name)} == {name}
    [there] = client(server, "cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert there["Threshold"] == 1


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Resources: {A: {Type: AWS::EC2::Instance}}", "Unrecognized resource types: [AWS::EC2::Instance]"),
        ("Resources: {A: {Type: AWS::Logs::LogGroup, Properties: {Nmae: x}}}", "extraneous key [Nmae] is not permitted"),
        ("Resources: {A: {Type: AWS::Logs::MetricFilter}}", "required key [LogGroupName] not found"),
        ("Resources: {A: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: x}}}", "expected type: Integer"),
        ("Resources: {A: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Ref B}}}", "Unresolved resource dependencies [B]"),
        ("Resources: {A: {Type: AWS::Logs::LogGroup, DependsOn: A}}", "Circular dependency between resources: [A]"),
        ("Parameters: {P: {Type: String}}\nResources: {A: {Type: AWS::Logs::LogGroup}}", "Parameters: [P] must have values"),
        ("A: &a [1]\nResources: {A: *a}", "YAML aliases are not allowed"),
        ("Resources: [", "YAML not well-formed"),
        ("Resources: {A: {Type: AWS::SNS::Topic}, B: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !GetAtt A.Foo}}}", "does not support attribute type Foo"),
        ("Outputs: {O: {Value: !GetAtt A.Foo}}\nResources: {A: {Type: AWS::SNS::Topic}}", "does not support attribute type Foo"),
    ],
)
def test_what_cannot_be_right_is_refused_at_once(stacks, template, text):
    name = unique("wrong")
    with refused("ValidationError", text):
        stacks.create_stack(StackName=name, TemplateBody=template)
    with refused("ValidationError", text):
        stacks.create_change_set(StackName=name, ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=template)
    with refused("ValidationError", "does not exist"):
        stacks.describe_stacks(StackName=name)


def test_what_is_not_served_is_refused_by_name(stacks):
    name, body = unique("refused"), GROUP.replace("NAME", "x")
    for more, text in [
        ({"TemplateURL": "https://example.org/t.yaml"}, "TemplateURL is not served"),
        ({"TemplateBody": body, "NotificationARNs": ["arn:aws:sns:x:y:z"]}, "NotificationARNs is not served"),
        ({"TemplateBody": body, "StackPolicyBody": "{}"}, "StackPolicyBody is not served"),
        ({"TemplateBody": body, "Capabilities": ["ALL"]}, "at 'capabilities'"),
        ({"TemplateBody": "x" * 51_201}, "between 1 and 51200"),
        ({"TemplateBody": body, "OnFailure": "DELETE", "DisableRollback": True}, "but not both"),
        ({}, "Either Template URL or Template Body must be specified."),
    ]:
        with refused("ValidationError", text):
            stacks.create_stack(StackName=name, **more)
    with refused("ValidationError", "at 'stackName'"):
        stacks.create_stack(StackName="1-x", TemplateBody=body)
    with refused("ValidationError", f"Stack with id {name} does not exist"):
        stacks.update_stack(StackName=name, TemplateBody=body)
    # What is not there is deleted.
    stacks.delete_stack(StackName=name)


def test_change_sets_say_what_would_be_done(server, stacks):
    name = unique("sets")
    template = {"Resources": {
        "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name}},
        "Parameter": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": name, "Type": "String", "Value": {"Ref": "Group"}}},
    }}
    asked = {"StackName": name, "ChangeSetName": "first", "ChangeSetType": "CREATE", "TemplateBody": json.dumps(template)}
    made = stacks.create_change_set(**asked, Description="what comes first")
    [stack] = stacks.describe_stacks(StackName=name)["Stacks"]
    assert (stack["StackStatus"], stack["StackId"]) == ("REVIEW_IN_PROGRESS", made["StackId"])
    with refused("AlreadyExistsException"):
        stacks.create_change_set(**asked)
    shown = stacks.describe_change_set(ChangeSetName=made["Id"])
    assert (shown["Status"], shown["ExecutionStatus"], shown["Description"]) == (
        "CREATE_COMPLETE", "AVAILABLE", "what comes first",
    )
    assert {c["ResourceChange"]["LogicalResourceId"]: c["ResourceChange"]["Action"] for c in shown["Changes"]} == {
        "Group": "Add", "Parameter": "Add",
    }
    assert groups(server, name) == {}
    stacks.execute_change_set(ChangeSetName="first", StackName=name)
    settled(stacks, name, "CREATE_COMPLETE")

    template["Resources"]["Group"]["Properties"]["LogGroupName"] = f"{name}-2"
    del template["Resources"]["Parameter"]
    template["Resources"]["Topic"] = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "Group"}}}
    stacks.create_change_set(StackName=name, ChangeSetName="second", TemplateBody=json.dumps(template))
    changes = {c["ResourceChange"]["LogicalResourceId"]: c["ResourceChange"]
               for c in stacks.describe_change_set(StackName=name, ChangeSetName="second")["Changes"]}
    assert {logical: (one["Action"], one.get("Replacement")) for logical, one in changes.items()} == {
        "Group": ("Modify", "True"), "Parameter": ("Remove", None), "Topic": ("Add", None),
    }
    assert changes["Group"]["Details"][0]["Target"] == {
        "Attribute": "Properties", "Name": "LogGroupName", "RequiresRecreation": "Always",
    }
    stacks.create_change_set(StackName=name, ChangeSetName="third", TemplateBody=json.dumps(template))
    assert [one["ChangeSetName"] for one in stacks.list_change_sets(StackName=name)["Summaries"]] == ["second", "third"]
    stacks.delete_change_set(StackName=name, ChangeSetName="third")
    stacks.execute_change_set(StackName=name, ChangeSetName="second")
    settled(stacks, name, "UPDATE_COMPLETE")
    with refused("ChangeSetNotFound", status=404):
        stacks.describe_change_set(StackName=name, ChangeSetName="second")

    stacks.create_change_set(StackName=name, ChangeSetName="none", TemplateBody=json.dumps(template))
    shown = stacks.describe_change_set(StackName=name, ChangeSetName="none")
    assert shown["Status"] == "FAILED" and "didn't contain changes" in shown["StatusReason"]
    with refused("InvalidChangeSetStatus"):
        stacks.execute_change_set(StackName=name, ChangeSetName="none")
    unmake(stacks, name)


def test_what_is_hidden_is_shown_nowhere(server, stacks):
    name = unique("hidden")
    template = {
        "Parameters": {"Secret": {"Type": "String", "NoEcho": True}},
        "Resources": {"P": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": name, "Type": "String", "Value": {"Ref": "Secret"}}}},
    }
    make(stacks, name, template, Parameters=[{"ParameterKey": "Secret", "ParameterValue": "s3cr3t-value"}])
    seen = [
        stacks.describe_stacks(StackName=name), stacks.describe_stack_events(StackName=name),
        stacks.describe_stack_resources(StackName=name), stacks.get_template(StackName=name),
        stacks.list_stack_resources(StackName=name),
    ]
    assert "s3cr3t-value" not in str(seen) and "****" in str(seen[0])
    assert client(server, "ssm").get_parameter(Name=name)["Parameter"]["Value"] == "s3cr3t-value"
    # The value of before is there to be used again.
    template["Resources"]["P"]["Properties"]["Description"] = "told"
    change(stacks, name, template, Parameters=[{"ParameterKey": "Secret", "UsePreviousValue": True}])
    assert client(server, "ssm").get_parameter(Name=name)["Parameter"]["Value"] == "s3cr3t-value"
    unmake(stacks, name)
    assert "s3cr3t-value" not in server.log.read_text()


def user(server, *statements) -> dict:
    iam, name = client(server, "iam"), unique("stacker")
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"], "name": name}


def test_a_stack_does_what_its_caller_may(server, stacks):
    name = unique("may")
    mine = {"Effect": "Allow", "Action": "cloudformation:*", "Resource": f"arn:aws:cloudformation:*:*:stack/{name}/*"}
    may = {"Effect": "Allow", "Action": "logs:*", "Resource": f"arn:aws:logs:*:*:log-group:{name}*"}
    look = {"Effect": "Allow", "Action": "logs:DescribeLogGroups", "Resource": "*"}
    who = user(server, mine, may, look)
    theirs = client(server, "cloudformation", key=who["key"], secret=who["secret"])
    with refused("AccessDenied", "cloudformation:CreateStack", status=403):
        theirs.create_stack(StackName=unique("other"), TemplateBody=GROUP.replace("NAME", name))
    # The group is made; the topic is not for this user, and then neither is the group.
    template = {"Resources": {
        "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name}},
        "Topic": {"Type": "AWS::SNS::Topic", "DependsOn": "Group"},
    }}
    theirs.create_stack(StackName=name, TemplateBody=json.dumps(template))
    settled(stacks, name, "ROLLBACK_COMPLETE")
    [reason] = [why for what, status, why in told(stacks, name) if (what, status) == ("Topic", "CREATE_FAILED")]
    assert f"user/{who['name']} is not authorized to perform" in reason and "AuthorizationError" in reason
    assert groups(server, name) == {}
    theirs.delete_stack(StackName=name)
    settled(stacks, [s for s in stacks.list_stacks()["StackSummaries"] if s["StackName"] == name][0]["StackId"])
    theirs.create_stack(StackName=name, TemplateBody=GROUP.replace("NAME", name))
    settled(stacks, name, "CREATE_COMPLETE")
    theirs.delete_stack(StackName=name)


def test_what_comes_to_a_halt_can_be_gone_on_with(server, stacks):
    name = unique("halt")
    make(stacks, name, GROUP.replace("NAME", name))
    may = ["cloudformation:*", "logs:Describe*", "logs:PutRetentionPolicy"]
    who = user(server, {"Effect": "Allow", "Action": may, "Resource": "*"})
    theirs = client(server, "cloudformation", key=who["key"], secret=who["secret"])
    # The retention can be set and not taken away again, and the topic cannot be made.
    change(theirs, name, {"Resources": {
        "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name, "RetentionInDays": 7}},
        "Topic": {"Type": "AWS::SNS::Topic", "DependsOn": "Group"},
    }}, "UPDATE_ROLLBACK_FAILED")
    assert groups(server, name)[name]["retentionInDays"] == 7
    with refused("ValidationError", "is in UPDATE_ROLLBACK_FAILED state and can not be updated"):
        stacks.update_stack(StackName=name, TemplateBody=GROUP.replace("NAME", name))
    stacks.continue_update_rollback(StackName=name)
    settled(stacks, name, "UPDATE_ROLLBACK_COMPLETE")
    assert "retentionInDays" not in groups(server, name)[name]
    assert {*resources(stacks, name)} == {"Group"}
    with refused("ValidationError", "can not continue rollback"):
        stacks.continue_update_rollback(StackName=name)

    with refused("ValidationError", "only when the stack is in the DELETE_FAILED state"):
        stacks.delete_stack(StackName=name, RetainResources=["Group"])
    theirs.delete_stack(StackName=name)
    stack = settled(stacks, name, "DELETE_FAILED")
    assert stack["StackStatusReason"] == "The following resource(s) failed to delete: [Group]. "
    stacks.delete_stack(StackName=name, RetainResources=["Group"])
    settled(stacks, stack["StackId"], "DELETE_COMPLETE")
    assert {*groups(server, name)} == {name}


def test_a_stack_can_work_in_a_role(server, stacks):
    name, iam = unique("role"), client(server, "iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "cloudformation.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust}))
    may = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": may}))
    arn = role["Role"]["Arn"]
    stack = make(stacks, name, GROUP.replace("NAME", name), RoleARN=arn)
    assert stack["RoleARN"] == arn
    both = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    change(stacks, name, both, "UPDATE_ROLLBACK_COMPLETE")
    [reason] = {why for what, status, why in told(stacks, name) if (what, status) == ("Topic", "CREATE_FAILED")}
    assert f"assumed-role/{name}/{name} is not authorized" in reason
    who = user(server, {"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"})
    theirs = client(server, "cloudformation", key=who["key"], secret=who["secret"])
    with refused("AccessDenied", "iam:PassRole", status=403):
        theirs.create_stack(StackName=unique("x"), TemplateBody=GROUP.replace("NAME", name), RoleARN=arn)
    unmake(stacks, name)


def test_protection_and_tokens(stacks):
    name, body = unique("kept"), GROUP.replace("NAME", unique("kept"))
    token = unique("token")
    first = stacks.create_stack(StackName=name, TemplateBody=body, ClientRequestToken=token, EnableTerminationProtection=True)
    again = stacks.create_stack(StackName=name, TemplateBody=body, ClientRequestToken=token)
    assert first["StackId"] == again["StackId"]
    settled(stacks, name, "CREATE_COMPLETE")
    with refused("ValidationError", "cannot be deleted while TerminationProtection is enabled"):
        stacks.delete_stack(StackName=name)
    stacks.update_termination_protection(StackName=name, EnableTerminationProtection=False)
    unmake(stacks, name)


EVERYTHING = {
    "Parameters": {"Days": {"Type": "Number", "Default": 7}},
    "Resources": {
        "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": {"Ref": "Days"}}},
        "Stream": {"Type": "AWS::Logs::LogStream", "Properties": {"LogGroupName": {"Ref": "Group"}}},
        "GroupPolicy": {"Type": "AWS::Logs::ResourcePolicy", "Properties": {
            "PolicyName": {"Ref": "AWS::StackName"},
            "PolicyDocument": {"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Principal": {"Service": "es.amazonaws.com"}, "Action": "logs:PutLogEvents",
                "Resource": "*"}]}}},
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {
            "Subscription": [{"Protocol": "email", "Endpoint": {"Fn::Sub": "${AWS::StackName}@example.org"}}]}},
        "Role": {"Type": "AWS::IAM::Role", "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]},
            "ManagedPolicyArns": ["arn:aws:iam::aws:policy/AdministratorAccess"],
            "Policies": [{"PolicyName": "own", "PolicyDocument": {"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Action": "logs:*", "Resource": {"Fn::GetAtt": ["Group", "Arn"]}}]}}]}},
        "Policy": {"Type": "AWS::IAM::Policy", "Properties": {
            "PolicyName": "more", "Roles": [{"Ref": "Role"}],
            "PolicyDocument": {"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Action": "sns:*", "Resource": {"Ref": "Topic"}}]}}},
    },
    "Outputs": {"RoleArn": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}}},
}


def test_every_other_type_is_made_changed_and_taken_away(server, stacks):
    name = unique("every")
    with refused("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_IAM]"):
        stacks.create_stack(StackName=name, TemplateBody=json.dumps(EVERYTHING))
    stack = make(stacks, name, EVERYTHING, Capabilities=["CAPABILITY_IAM"], Tags=[{"Key": "a", "Value": "1"}])
    there = {one: resource["PhysicalResourceId"] for one, resource in resources(stacks, name).items()}
    iam, sns = client(server, "iam"), client(server, "sns")
    assert outputs(stack)["RoleArn"] == iam.get_role(RoleName=there["Role"])["Role"]["Arn"]
    assert sorted(iam.list_role_policies(RoleName=there["Role"])["PolicyNames"]) == ["more", "own"]
    assert sns.list_tags_for_resource(ResourceArn=there["Topic"])["Tags"] == [{"Key": "a", "Value": "1"}]

    changed = json.loads(json.dumps(EVERYTHING))
    own = changed["Resources"]
    own["Role"]["Properties"] |= {"Description": "d", "ManagedPolicyArns": [], "MaxSessionDuration": 7200}
    own["Role"]["Properties"]["Policies"][0]["PolicyName"] = "owned"
    own["Policy"]["Properties"]["PolicyDocument"]["Statement"][0]["Action"] = "sns:Publish"
    own["Topic"]["Properties"] = {"DisplayName": "told"}
    own["GroupPolicy"]["Properties"]["PolicyDocument"]["Statement"][0]["Action"] = "logs:CreateLogStream"
    change(stacks, name, changed, Capabilities=["CAPABILITY_IAM"], Tags=[{"Key": "b", "Value": "2"}],
           Parameters=[{"ParameterKey": "Days", "ParameterValue": "1"}])
    assert {one: r["PhysicalResourceId"] for one, r in resources(stacks, name).items()} == there
    role = iam.get_role(RoleName=there["Role"])["Role"]
    assert (role["Description"], role["MaxSessionDuration"], role["Tags"]) == ("d", 7200, [{"Key": "b", "Value": "2"}])
    assert sorted(iam.list_role_policies(RoleName=there["Role"])["PolicyNames"]) == ["more", "owned"]
    assert iam.list_attached_role_policies(RoleName=there["Role"])["AttachedPolicies"] == []
    assert sns.get_topic_attributes(TopicArn=there["Topic"])["Attributes"]["DisplayName"] == "told"
    assert groups(server, there["Group"])[there["Group"]]["retentionInDays"] == 1
    unmake(stacks, name)
    assert there["Role"] not in {role["RoleName"] for role in iam.list_roles()["Roles"]}


def test_a_function_in_a_template_runs(tmp_path, fresh):
    from support import functions

    functions.needs("node")
    server = fresh(*functions.settings(tmp_path)).start()
    stacks, name = client(server, "cloudformation"), unique("function")
    template = {"Resources": {
        "Role": EVERYTHING["Resources"]["Role"] | {"Properties": {
            key: value for key, value in EVERYTHING["Resources"]["Role"]["Properties"].items() if key != "Policies"}},
        "Function": {"Type": "AWS::Lambda::Function", "Properties": {
            "Runtime": "nodejs20.x", "Handler": "index.handler", "Role": {"Fn::GetAtt": ["Role", "Arn"]}, "Timeout": 20,
            "MemorySize": 256, "Environment": {"Variables": {"WORD": "night"}},
            "Code": {"ZipFile": "exports.handler = async (event) => process.env.WORD + event.more;"}}},
        "Topic": {"Type": "AWS::SNS::Topic"},
        "May": {"Type": "AWS::Lambda::Permission", "Properties": {
            "FunctionName": {"Ref": "Function"}, "Action": "lambda:InvokeFunction", "Principal": "sns.amazonaws.com",
            "SourceArn": {"Ref": "Topic"}}},
        "Told": {"Type": "AWS::SNS::Subscription", "DependsOn": "May", "Properties": {
            "TopicArn": {"Ref": "Topic"}, "Protocol": "lambda", "Endpoint": {"Fn::GetAtt": ["Function", "Arn"]}}},
    }}
    make(stacks, name, template, Capabilities=["CAPABILITY_IAM"])
    function = resources(stacks, name)["Function"]["PhysicalResourceId"]
    said, _ = functions.call(client(server, "lambda"), function, {"more": "bell"})
    assert said == "nightbell"
    own = template["Resources"]["Function"]["Properties"]
    own["Environment"]["Variables"]["WORD"] = "day"
    own["Code"]["ZipFile"] = "exports.handler = async (event) => process.env.WORD + ' ' + event.more;"
    change(stacks, name, template, Capabilities=["CAPABILITY_IAM"])
    said, _ = functions.call(client(server, "lambda"), function, {"more": "bell"})
    assert said == "day bell"
    unmake(stacks, name)
    assert client(server, "lambda").list_functions()["Functions"] == []


def many(name: str, count: int) -> dict:
    """Groups, each with a filter, one after the other, and keys whose ids the service gives."""
    made, before = {}, None
    for n in range(count):
        made[f"G{n:03}"] = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": f"{name}-{n:03}"}}
        made[f"F{n:03}"] = {"Type": "AWS::Logs::MetricFilter", "Properties": {
            "LogGroupName": {"Ref": f"G{n:03}"}, "FilterPattern": "x",
            "MetricTransformations": [{"MetricName": "m", "MetricNamespace": "n", "MetricValue": "1"}]}}
        made[f"U{n:03}"] = {"Type": "AWS::IAM::User", "Properties": {}}
        made[f"K{n:03}"] = {"Type": "AWS::IAM::AccessKey", "Properties": {"UserName": {"Ref": f"U{n:03}"}}}
        if before:
            made[f"G{n:03}"]["DependsOn"] = before
        before = f"K{n:03}"
        made[f"U{n:03}"]["DependsOn"] = f"F{n:03}"
    return {"Resources": made}


def counted(server, name: str) -> tuple[int, int, int]:
    """Groups, filters and keys that are there."""
    found = groups(server, name)
    iam = client(server, "iam")
    users = [user["UserName"] for user in iam.list_users(MaxItems=1000)["Users"] if user["UserName"].startswith(name)]
    keys = sum(len(iam.list_access_keys(UserName=user)["AccessKeyMetadata"]) for user in users)
    return len(found), sum(group["metricFilterCount"] for group in found.values()), keys


def last_event(stacks, stack_id: str) -> int:
    """How many events the stack has had."""
    newest = stacks.describe_stack_events(StackName=stack_id)["StackEvents"][0]
    return int(newest["EventId"].rpartition("-")[2]) + 1


def test_a_kill_in_the_middle_ends_nothing_in_the_middle(fresh):
    server, name, count = fresh().start(), "crash", 25
    stacks = client(server, "cloudformation")

    def killed_at(event: int):
        """Kills the server once so many events were told, and starts it again."""
        end = time.monotonic() + SETTLED_SECONDS_MAX
        while last_event(stacks, stack_id) < event:
            assert time.monotonic() < end
        server.kill()
        server.start()

    asked = {"StackName": name, "TemplateBody": json.dumps(many(name, count)), "Capabilities": NAMED}
    stack_id = stacks.create_stack(**asked)["StackId"]
    for event in (9, 60, 110):
        killed_at(event)
    settled(stacks, stack_id, "CREATE_COMPLETE")
    assert counted(server, name) == (count, count, count)
    events = told(stacks, stack_id)
    done = [what for what, status, _ in events if status == "CREATE_COMPLETE"]
    assert len(done) == len({*done}) == 4 * count + 1, events

    # A change: all groups get a retention, the last filter cannot be made; killed on the way forth and on the way back.
    worse = many(name, count)
    for n in range(count):
        worse["Resources"][f"G{n:03}"]["Properties"]["RetentionInDays"] = 7
    worse["Resources"]["Bad"] = {"Type": "AWS::Logs::MetricFilter", "DependsOn": f"K{count - 1:03}", "Properties": {
        "LogGroupName": {"Ref": "G000"}, "FilterPattern": "{ $.a = ",
        "MetricTransformations": [{"MetricName": "m", "MetricNamespace": "n", "MetricValue": "1"}]}}
    since = len(events)
    stacks.update_stack(StackName=name, TemplateBody=json.dumps(worse), Capabilities=NAMED)
    for event in (since + 7, since + 2 * count + 12):
        killed_at(event)
    settled(stacks, stack_id, "UPDATE_ROLLBACK_COMPLETE")
    assert counted(server, name) == (count, count, count)
    assert not any("retentionInDays" in group for group in groups(server, name).values())

    since = last_event(stacks, stack_id)
    asking = threading.Thread(target=tried, args=(stacks, name))
    asking.start()
    killed_at(since + 9)
    asking.join()
    settled(stacks, stack_id, "DELETE_COMPLETE")
    assert counted(server, name) == (0, 0, 0)


def tried(stacks, name: str):
    """Has the stack deleted; the server may be gone before it answers."""
    with contextlib.suppress(Exception):
        stacks.delete_stack(StackName=name)


def apply(server, *arguments):
    key = {name: value for name, value in server.env.items() if name.startswith("NIGHTBELL_ROOT_")}
    return run("apply", *arguments, "--data", str(server.data), folder=server.folder, timeout=90, **key)


def test_apply_makes_changes_and_says_what_it_does(server, stacks, tmp_path):
    name = unique("applied")
    path = tmp_path / "stack.yaml"
    path.write_text(f"""
Parameters:
  Days: {{Type: Number, Default: 7}}
Resources:
  Group:
    Type: AWS::Logs::LogGroup
    Properties: {{LogGroupName: {name}, RetentionInDays: !Ref Days}}
Outputs:
  Arn: {{Description: the group, Value: !GetAtt Group.Arn}}
""")
    done = apply(server, str(path), "--stack", name, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert re.search(r"add +Group +AWS::Logs::LogGroup", done.stdout), done.stdout
    assert groups(server, name) == {}
    with refused("ValidationError", "does not exist"):
        stacks.describe_stacks(StackName=name)

    done = apply(server, str(path), "--stack", name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "CREATE_COMPLETE" in done.stdout
    assert re.search(rf"Arn +arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}:\*", done.stdout), done.stdout
    done = apply(server, str(path), "--stack", name)
    assert done.returncode == 0 and "nothing to change" in done.stdout, done.stdout + done.stderr
    done = apply(server, str(path), "--stack", name, "--parameter", "Days=30", "--tag", "owner=me")
    assert done.returncode == 0 and re.search(r"modify +Group", done.stdout), done.stdout + done.stderr
    assert groups(server, name)[name]["retentionInDays"] == 30
    # What is not said again stays.
    done = apply(server, str(path), "--stack", name)
    assert done.returncode == 0 and "nothing to change" in done.stdout, done.stdout

    path.write_text(path.read_text().replace("!Ref Days}", "!Ref Days, LogGroupName: '*'}").replace(f"LogGroupName: {name}, ", ""))
    done = apply(server, str(path), "--stack", name)
    assert done.returncode == 1, done.stdout
    assert "UPDATE_FAILED" in done.stdout and "UPDATE_ROLLBACK_COMPLETE" in done.stderr, done.stdout + done.stderr
    assert {*groups(server, name)} == {name}
    path.write_text("Resources: {A: {Type: AWS::EC2::Instance}}")
    done = apply(server, str(path), "--stack", name)
    assert done.returncode == 1 and "Unrecognized resource types" in done.stderr, done.stderr
    unmake(stacks, name)


TERRAFORM = """
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  skip_metadata_api_check = true
}

variable "name" { type = string }
variable "days" { type = number }

resource "aws_cloudformation_stack" "watch" {
  name         = var.name
  capabilities = ["CAPABILITY_NAMED_IAM"]
  parameters   = { Days = var.days }
  tags         = { owner = "security" }
  template_body = <<-EOT
    Parameters:
      Days: {Type: Number}
    Resources:
      Group:
        Type: AWS::Logs::LogGroup
        Properties: {LogGroupName: !Ref AWS::StackName, RetentionInDays: !Ref Days}
    Outputs:
      Arn: {Value: !GetAtt Group.Arn}
  EOT
}

output "arn" { value = aws_cloudformation_stack.watch.outputs["Arn"] }
"""


@pytest.mark.skipif(bool(terraform.missing()), reason=terraform.missing())
def test_terraform_makes_changes_and_takes_away_a_stack(server, tmp_path, monkeypatch):
    (tmp_path / "stacks" / "cloudformation").mkdir(parents=True)
    (tmp_path / "stacks" / "cloudformation" / "main.tf").write_text(TERRAFORM)
    monkeypatch.setattr(terraform, "STACKS", tmp_path / "stacks")
    name = unique("tf-stack")
    stack = terraform.Stack(server, "cloudformation", tmp_path, set(), name=name, days=7)
    stack.init()
    assert {*stack.apply().values()} == {"create"}
    assert stack.plan() == {}
    assert stack.outputs()["arn"] == f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}:*"
    assert {*stack.apply(days=30).values()} == {"update"}
    assert groups(server, name)[name]["retentionInDays"] == 30
    assert stack.plan() == {}
    assert {*stack.destroy().values()} == {"delete"}
    assert groups(server, name) == {}


def test_a_stack_has_a_bucket_with_a_name_that_buckets_may_have(server, stacks):
    name = unique("Bucket-Stack")
    template = {"Resources": {
        "Archive": {"Type": "AWS::S3::Bucket", "Properties": {"Tags": [{"Key": "team", "Value": "files"}]}},
        "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": {"Ref": "Archive"}}},
    }, "Outputs": {"Name": {"Value": {"Ref": "Archive"}}, "Arn": {"Value": {"Fn::GetAtt": ["Archive", "Arn"]}}}}
    stacks.create_stack(StackName=name, TemplateBody=json.dumps(template))
    settled(stacks, name, "CREATE_COMPLETE")
    [stack] = stacks.describe_stacks(StackName=name)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    bucket = outputs["Name"]
    assert bucket.startswith(f"{name}-archive-".lower()) and bucket == bucket.lower()
    assert outputs["Arn"] == f"arn:aws:s3:::{bucket}"
    s3 = aws.client(server, "s3")
    tags = s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
    assert {"Key": "team", "Value": "files"} in tags

    template["Resources"]["Archive"]["Properties"]["Tags"][0]["Value"] = "security"
    stacks.update_stack(StackName=name, TemplateBody=json.dumps(template))
    settled(stacks, name, "UPDATE_COMPLETE")
    assert {"Key": "team", "Value": "security"} in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]

    # What is kept in it is not thrown away with the stack.
    s3.put_object(Bucket=bucket, Key="kept", Body=b"x")
    stacks.delete_stack(StackName=name)
    settled(stacks, name, "DELETE_FAILED")
    s3.delete_object(Bucket=bucket, Key="kept")
    stacks.delete_stack(StackName=name)
    stacks.get_waiter("stack_delete_complete").wait(StackName=stack["StackId"], WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    with refused("404", status=404):
        s3.head_bucket(Bucket=bucket)
