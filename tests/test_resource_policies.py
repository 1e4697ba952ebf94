"""Resource policies of CloudWatch Logs, the fields of a group, and operations that are not served."""

import json

import pytest
from support import aws
from support.server import ACCOUNT, REGION


def policy(action: str = "logs:PutLogEvents") -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "es.amazonaws.com"},
        "Action": action,
        "Resource": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_policy_is_kept_as_it_was_written(fresh):
    server = fresh().start()
    logs = aws.client(server, "logs")
    made = logs.put_resource_policy(policyName="es", policyDocument=policy())["resourcePolicy"]
    assert (made["policyName"], made["policyDocument"], made["policyScope"]) == ("es", policy(), "ACCOUNT")
    logs.put_resource_policy(policyName="es", policyDocument=policy("logs:*"))
    server.kill()
    server.start()
    logs = aws.client(server, "logs")
    [found] = logs.describe_resource_policies()["resourcePolicies"]
    assert found["policyDocument"] == policy("logs:*") and found["lastUpdatedTime"] >= made["lastUpdatedTime"]
    for n in range(9):
        logs.put_resource_policy(policyName=f"p{n}", policyDocument=policy())
    with aws.refused("LimitExceededException", "10"):
        logs.put_resource_policy(policyName="more", policyDocument=policy())
    pages = logs.get_paginator("describe_resource_policies").paginate(PaginationConfig={"PageSize": 4})
    assert [len(page["resourcePolicies"]) for page in pages] == [4, 4, 2]
    assert logs.describe_resource_policies(policyScope="RESOURCE")["resourcePolicies"] == []
    logs.delete_resource_policy(policyName="es")
    with aws.refused("ResourceNotFoundException"):
        logs.delete_resource_policy(policyName="es")


@pytest.mark.parametrize("document", ["", "x", "{}", "[]", policy() + " " * 5121, policy().replace("Allow", "Maybe")])
def test_what_is_no_policy_is_refused(logs, document):
    with aws.refused("InvalidParameterException", "policyDocument"):
        logs.put_resource_policy(policyName="refused", policyDocument=document)


def test_the_fields_of_a_group(logs, group, put):
    put('{"user": "alice", "source": {"ip": "10.0.0.1"}}', '{"user": "bob"}', "plain", '{"user": "eve", "n": 1}')
    fields = {one["name"]: one["percent"] for one in logs.get_log_group_fields(logGroupName=group)["logGroupFields"]}
    assert fields == {
        **dict.fromkeys(["@ingestionTime", "@log", "@logStream", "@message", "@timestamp"], 100),
        "user": 75,
        "source.ip": 25,
        "n": 25,
    }
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}"
    listed = logs.get_log_group_fields(logGroupIdentifier=arn)["logGroupFields"]
    assert [one["percent"] for one in listed] == [100] * 5 + [75, 25, 25]


def test_the_fields_around_a_time(logs, group, put):
    now = aws.now_ms()
    put('{"recent": 1}')
    put('{"old": 1}', at_ms=now - 3_600_000)
    recent = {one["name"] for one in logs.get_log_group_fields(logGroupName=group)["logGroupFields"]}
    assert "recent" in recent and "old" not in recent
    around = logs.get_log_group_fields(logGroupName=group, time=(now - 3_600_000) // 1000)["logGroupFields"]
    names = {one["name"] for one in around}
    assert "old" in names and "recent" not in names
    assert logs.get_log_group_fields(logGroupName=group, time=0)["logGroupFields"] == []
    with aws.refused("ResourceNotFoundException"):
        logs.get_log_group_fields(logGroupName="/never")


@pytest.mark.parametrize(
    ("service", "call", "code", "said"),
    [
        ("logs", "create_export_task", "UnknownOperationException", "CreateExportTask of CloudWatch Logs is not served"),
        ("cloudwatch", "list_metric_streams", ("UnknownOperationException", "InvalidAction"), "not served by this version"),
        ("sns", "list_phone_numbers_opted_out", "InvalidAction", "ListPhoneNumbersOptedOut of SNS is not served"),
        ("ssm", "list_commands", "UnknownOperationException", "ListCommands of SSM is not served"),
    ],
)
def test_an_operation_that_is_not_served_says_so(server, service, call, code, said):
    with aws.refused(code, said):
        getattr(aws.client(server, service), call)()


def test_an_operation_that_is_nowhere_says_so(server):
    headers = aws.logs_headers("MakeCoffee")
    status, _, body = aws.send(server, b"{}", aws.sign(server, "logs", b"{}", headers))
    assert (status, json.loads(body)["__type"]) == (400, "UnknownOperationException")
    assert "unknown operation MakeCoffee" in json.loads(body)["message"]
    form = aws.form(Action="MakeCoffee", Version="2010-03-31")
    headers = {"content-type": "application/x-www-form-urlencoded"}
    status, _, body = aws.send(server, form, aws.sign(server, "sns", form, headers))
    assert status == 400 and b"<Code>InvalidAction</Code>" in body and b"unknown operation MakeCoffee of SNS" in body
