"""Users, roles, policies and keys: who may do what, through real clients."""

import base64
import datetime
import json
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from support import aws
from support.aws import PROTOCOLS, refused, unique
from support.server import ACCOUNT, REGION

DENIED = ("AccessDenied", "AccessDeniedException", "AuthorizationError")
TRUST_ACCOUNT = {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Effect": "Allow", "Action": "sts:AssumeRole"}


def document(*statements) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions, resources="*", **more) -> dict:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def deny(actions, resources="*", **more) -> dict:
    return {"Effect": "Deny", "Action": actions, "Resource": resources, **more}


def group_arn(name: str, more: str = "") -> str:
    return f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}{more}"


@pytest.fixture
def iam(server):
    return aws.client(server, "iam")


class Person:
    """A user with a key and one policy."""

    def __init__(self, server, iam, *statements, name=None):
        self.server, self.iam = server, iam
        self.name = name or unique("user")
        self.user = iam.create_user(UserName=self.name)["User"]
        if statements:
            self.may(*statements)
        self.key = iam.create_access_key(UserName=self.name)["AccessKey"]

    def may(self, *statements):
        self.iam.put_user_policy(UserName=self.name, PolicyName="p", PolicyDocument=document(*statements))

    def client(self, service, protocol=""):
        key, secret = self.key["AccessKeyId"], self.key["SecretAccessKey"]
        return aws.client(self.server, service, protocol, key=key, secret=secret)


@pytest.fixture
def person(server, iam):
    return lambda *statements: Person(server, iam, *statements)


def in_session(server, service, credentials, protocol=""):
    """A client with temporary credentials."""
    client = aws.client(server, service, protocol)
    client._request_signer._credentials = botocore.credentials.Credentials(
        credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"]
    )
    return client


def counted(server, operation: str) -> float:
    """How often a call of the operation was refused for want of permission."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = [line for line in lines if f'"{operation}"' in line and any(f'"{code}"' in line for code in DENIED)]
    return sum(float(line.split()[-1]) for line in found)


# The calls of a shipper that may only put events into one group: (service, operation, parameters).
# GROUP is its own group, OTHER another, ALARM an alarm, TOPIC a topic, USER the shipper itself.
REST = [
    ("logs", "create_log_group", {"logGroupName": "x"}),
    ("logs", "delete_log_group", {"logGroupName": "GROUP"}),
    ("logs", "describe_log_groups", {}),
    ("logs", "put_retention_policy", {"logGroupName": "GROUP", "retentionInDays": 1}),
    ("logs", "delete_retention_policy", {"logGroupName": "GROUP"}),
    ("logs", "create_log_stream", {"logGroupName": "GROUP", "logStreamName": "t"}),
    ("logs", "delete_log_stream", {"logGroupName": "GROUP", "logStreamName": "s"}),
    ("logs", "describe_log_streams", {"logGroupName": "GROUP"}),
    ("logs", "put_log_events", {"logGroupName": "OTHER", "logStreamName": "s", "logEvents": "EVENTS"}),
    ("logs", "get_log_events", {"logGroupName": "GROUP", "logStreamName": "s"}),
    ("logs", "filter_log_events", {"logGroupName": "GROUP"}),
    ("logs", "filter_log_events", {"logGroupIdentifier": "GROUP_ARN"}),
    ("logs", "start_live_tail", {"logGroupIdentifiers": ["GROUP_ARN"]}),
    ("logs", "start_query", {"logGroupName": "GROUP", "startTime": 0, "endTime": 1, "queryString": "fields @message"}),
    ("logs", "stop_query", {"queryId": "q"}),
    ("logs", "get_query_results", {"queryId": "q"}),
    ("logs", "describe_queries", {}),
    ("logs", "get_log_record", {"logRecordPointer": "p"}),
    ("logs", "put_query_definition", {"name": "n", "queryString": "fields @message"}),
    ("logs", "describe_query_definitions", {}),
    ("logs", "delete_query_definition", {"queryDefinitionId": "q"}),
    ("logs", "put_metric_filter", {"logGroupName": "GROUP", "filterName": "f", "filterPattern": ""}),
    ("logs", "describe_metric_filters", {}),
    ("logs", "delete_metric_filter", {"logGroupName": "GROUP", "filterName": "f"}),
    ("logs", "test_metric_filter", {"filterPattern": "a", "logEventMessages": ["a"]}),
    ("cloudwatch", "put_metric_alarm", {"AlarmName": "ALARM", "EvaluationPeriods": 1, "ComparisonOperator": "x"}),
    ("cloudwatch", "put_composite_alarm", {"AlarmName": "c", "AlarmRule": "TRUE"}),
    ("cloudwatch", "describe_alarms", {}),
    ("cloudwatch", "describe_alarms", {"AlarmNames": ["ALARM"]}),
    ("cloudwatch", "describe_alarms_for_metric", {"MetricName": "m", "Namespace": "n"}),
    ("cloudwatch", "describe_alarm_history", {}),
    ("cloudwatch", "delete_alarms", {"AlarmNames": ["ALARM"]}),
    ("cloudwatch", "set_alarm_state", {"AlarmName": "ALARM", "StateValue": "ALARM", "StateReason": "r"}),
    ("cloudwatch", "enable_alarm_actions", {"AlarmNames": ["ALARM"]}),
    ("cloudwatch", "disable_alarm_actions", {"AlarmNames": ["ALARM"]}),
    ("cloudwatch", "put_metric_data", {"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 1.0}]}),
    ("cloudwatch", "list_metrics", {}),
    ("sns", "create_topic", {"Name": "t"}),
    ("sns", "delete_topic", {"TopicArn": "TOPIC"}),
    ("sns", "list_topics", {}),
    ("sns", "get_topic_attributes", {"TopicArn": "TOPIC"}),
    ("sns", "set_topic_attributes", {"TopicArn": "TOPIC", "AttributeName": "DisplayName", "AttributeValue": "v"}),
    ("sns", "subscribe", {"TopicArn": "TOPIC", "Protocol": "email", "Endpoint": "a@example.org"}),
    ("sns", "unsubscribe", {"SubscriptionArn": "SUBSCRIPTION"}),
    ("sns", "list_subscriptions", {}),
    ("sns", "list_subscriptions_by_topic", {"TopicArn": "TOPIC"}),
    ("sns", "publish", {"TopicArn": "TOPIC", "Message": "m"}),
    ("lambda", "list_functions", {}),
    ("iam", "create_user", {"UserName": "mallory"}),
    ("iam", "get_user", {}),
    ("iam", "list_users", {}),
    ("iam", "delete_user", {"UserName": "USER"}),
    ("iam", "create_access_key", {}),
    ("iam", "create_access_key", {"UserName": "USER"}),
    ("iam", "list_access_keys", {}),
    ("iam", "put_user_policy", {"UserName": "USER", "PolicyName": "q", "PolicyDocument": "POLICY"}),
    ("iam", "attach_user_policy", {"UserName": "USER", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
    ("iam", "create_role", {"RoleName": "r", "AssumeRolePolicyDocument": "{}"}),
    ("iam", "create_policy", {"PolicyName": "p", "PolicyDocument": "POLICY"}),
    ("iam", "list_policies", {}),
    ("sts", "assume_role", {"RoleArn": "ROLE", "RoleSessionName": "ses"}),
]


# CloudWatch speaks three protocols, the others one.
IN_EACH_PROTOCOL = [
    pytest.param(service, protocol, operation, parameters, id=f"{at}-{service}-{operation}-{protocol}")
    for at, (service, operation, parameters) in enumerate(REST)
    for protocol in (PROTOCOLS if service == "cloudwatch" else [""])
]


@pytest.fixture(scope="module")
def world(server):
    logs, iam = aws.client(server, "logs"), aws.client(server, "iam")
    names = {"GROUP": unique("/aws/fsx/own"), "OTHER": unique("/aws/fsx/other"), "ALARM": unique("alarm")}
    for group in (names["GROUP"], names["OTHER"]):
        logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName="s")
    shipper = Person(server, iam, allow("logs:PutLogEvents", group_arn(names["GROUP"], ":*")))
    names["USER"] = shipper.name
    names["GROUP_ARN"] = group_arn(names["GROUP"])
    names["TOPIC"] = aws.client(server, "sns").create_topic(Name=unique("t"))["TopicArn"]
    names["SUBSCRIPTION"] = names["TOPIC"] + ":0f0f0f0f-0000-4000-8000-000000000000"
    role = unique("role")
    trusted = document(TRUST_ACCOUNT)
    names["ROLE"] = iam.create_role(RoleName=role, AssumeRolePolicyDocument=trusted)["Role"]["Arn"]
    names["EVENTS"] = [{"timestamp": aws.now_ms(), "message": "m"}]
    names["POLICY"] = document(allow("*"))
    aws.client(server, "cloudwatch").put_metric_alarm(
        AlarmName=names["ALARM"], Namespace="n", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1.0, ComparisonOperator="GreaterThanThreshold",
    )
    return shipper, names


class TestShipper:
    """The key that may only put events into one group."""

    def test_it_puts_events(self, world):
        shipper, names = world
        logs = shipper.client("logs")
        logs.put_log_events(logGroupName=names["GROUP"], logStreamName="s", logEvents=names["EVENTS"])
        identity = shipper.client("sts").get_caller_identity()
        assert identity["Arn"] == shipper.user["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/{shipper.name}"
        assert (identity["UserId"], identity["Account"]) == (shipper.user["UserId"], ACCOUNT)

    @pytest.mark.parametrize(("service", "protocol", "operation", "parameters"), IN_EACH_PROTOCOL)
    def test_it_may_do_nothing_else(self, world, service, protocol, operation, parameters):
        shipper, names = world

        def filled(value):
            if isinstance(value, list):
                return [filled(each) for each in value]
            return names.get(value, value) if isinstance(value, str) else value

        client = shipper.client(service, protocol)
        client.meta.config.inject_host_prefix = False  # live tails would be asked of stream-127.0.0.1
        with pytest.raises(client.exceptions.ClientError) as caught:
            getattr(client, operation)(**{name: filled(value) for name, value in parameters.items()})
        answer = caught.value.response
        code = {"logs": "AccessDeniedException", "lambda": "AccessDeniedException", "sns": "AuthorizationError"}
        status = {"logs": 400}
        assert answer["Error"]["Code"] == code.get(service, "AccessDenied"), answer
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == status.get(service, 403), answer
        prefix = {"cloudwatch": "cloudwatch"}.get(service, service)
        start = f"User: {shipper.user['Arn']} is not authorized to perform: {prefix}:"
        assert answer["Error"]["Message"].startswith(start), answer

    def test_nothing_of_it_was_done_and_all_was_counted(self, world, server):
        shipper, names = world
        for operation, call in {
            "DeleteLogGroup": lambda: shipper.client("logs").delete_log_group(logGroupName=names["GROUP"]),
            "DeleteTopic": lambda: shipper.client("sns").delete_topic(TopicArn=names["TOPIC"]),
            "CreateAccessKey": lambda: shipper.client("iam").create_access_key(),
        }.items():
            before = counted(server, operation)
            with pytest.raises(Exception, match="not authorized"):
                call()
            assert counted(server, operation) == before + 1
        logs, iam = aws.client(server, "logs"), aws.client(server, "iam")
        assert len(logs.describe_log_groups(logGroupNamePrefix=names["GROUP"])["logGroups"]) == 1
        aws.client(server, "sns").get_topic_attributes(TopicArn=names["TOPIC"])
        assert len(iam.list_access_keys(UserName=shipper.name)["AccessKeyMetadata"]) == 1
        assert iam.list_user_policies(UserName=shipper.name)["PolicyNames"] == ["p"]

    def test_what_only_the_root_key_may_ask(self, world, server):
        shipper, _ = world
        key, secret = shipper.key["AccessKeyId"], shipper.key["SecretAccessKey"]
        for path in ("export", "import", "backup", "verify", "doctor"):
            path = f"/_nightbell/{path}"
            headers = aws.sign(server, "nightbell", b"{}", {}, path=path, key=key, secret=secret)
            status, _, body = aws.send(server, b"{}", headers, path=path)
            assert (status, body) == (403, b"only the root key may ask for this\n"), path


class TestPolicies:
    def test_an_explicit_deny_counts_whatever_allows(self, person, group):
        user = person(allow("*"), deny("logs:Delete*", group_arn(group, ":*")))
        logs = user.client("logs")
        logs.describe_log_streams(logGroupName=group)
        with refused("AccessDeniedException", "with an explicit deny in an identity-based policy"):
            logs.delete_log_group(logGroupName=group)

    def test_not_action_and_not_resource(self, person, group):
        user = person({"Effect": "Allow", "NotAction": ["iam:*", "logs:Delete*"], "Resource": "*"})
        user.client("logs").describe_log_streams(logGroupName=group)
        user.client("sns").list_topics()
        with refused("AccessDeniedException"):
            user.client("logs").delete_log_group(logGroupName=group)
        with refused("AccessDenied", status=403):
            user.client("iam").list_users()
        user.may({"Effect": "Allow", "Action": "logs:*", "NotResource": group_arn(group, "*")})
        with refused("AccessDeniedException"):
            user.client("logs").describe_log_streams(logGroupName=group)

    def test_wildcards(self, person, logs):
        group = unique("/aws/fsx/windows")
        logs.create_log_group(logGroupName=group)
        table = [
            ("logs:Describe*", group_arn("/aws/fsx/*"), True),
            ("logs:DescribeLogStream?", group_arn("/aws/???/*"), True),
            ("LOGS:describelogstreams", group_arn(group), True),
            ("logs:*", f"arn:aws:logs:*:{ACCOUNT}:log-group:{group}:*", True),
            ("*", "arn:aws:logs:*:*:*", True),
            ("logs:Describe", "*", False),
            ("logs:*", group_arn("/AWS/FSX/*"), False),
            ("logs:*", f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:{group}", False),
            ("logs:*", f"arn:aws:logs:{REGION}:999999999999:log-group:{group}", False),
            ("logs:GetLogEvents", "*", False),
        ]
        user = person()
        for action, resource, allowed in table:
            user.may(allow(action, resource))
            if allowed:
                user.client("logs").describe_log_streams(logGroupName=group)
            else:
                with refused("AccessDeniedException"):
                    user.client("logs").describe_log_streams(logGroupName=group)

    def test_conditions(self, person):
        day = datetime.timedelta(days=1)
        now = datetime.datetime.now(datetime.UTC)
        yesterday, tomorrow = ((now + d).strftime("%Y-%m-%dT%H:%M:%SZ") for d in (-day, day))
        user = person()
        table = [
            ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
            ({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, False),
            ({"NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "127.0.0.1/32"]}}, False),
            ({"DateLessThan": {"aws:CurrentTime": tomorrow}, "DateGreaterThan": {"aws:CurrentTime": yesterday}}, True),
            ({"DateGreaterThan": {"aws:CurrentTime": tomorrow}}, False),
            ({"StringEquals": {"aws:username": user.name}}, True),
            ({"StringNotEquals": {"aws:username": user.name}}, False),
            ({"StringEquals": {"aws:userid": user.user["UserId"]}}, True),
            ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:user/*"}}, True),
            ({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}, True),
            ({"StringEquals": {"aws:RequestedRegion": REGION}}, True),
            ({"StringEquals": {"aws:RequestedRegion": ["eu-west-1"]}}, False),
            ({"Bool": {"aws:SecureTransport": "true"}}, True),
            ({"Bool": {"aws:MultiFactorAuthPresent": "true"}}, False),
            ({"Null": {"aws:MultiFactorAuthAge": "true"}}, True),
        ]
        for condition, allowed in table:
            user.may(allow("sns:ListTopics", Condition=condition))
            if allowed:
                user.client("sns").list_topics()
            else:
                with refused("AuthorizationError", status=403):
                    user.client("sns").list_topics()

    def test_conditions_on_tags_of_the_resource(self, server, person, iam):
        """Each service keeps tags in a place of its own."""
        logs, sns, cw, ssm = (aws.client(server, name) for name in ("logs", "sns", "cloudwatch", "ssm"))
        name = unique("tagged")
        tags = [{"Key": "team", "Value": "red"}]
        logs.create_log_group(logGroupName=name, tags={"team": "red"})
        topic = sns.create_topic(Name=name, Tags=tags)["TopicArn"]
        alarm = {"EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 1.0}
        alarm |= {"Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 60}
        cw.put_metric_alarm(AlarmName=name, Tags=tags, **alarm)
        ssm.put_parameter(Name=name, Value="v", Type="String", Tags=tags)
        iam.create_user(UserName=name, Tags=tags)
        user = person()
        calls = [
            ("logs", lambda c: c.put_retention_policy(logGroupName=name, retentionInDays=1)),
            ("sns", lambda c: c.get_topic_attributes(TopicArn=topic)),
            ("cloudwatch", lambda c: c.disable_alarm_actions(AlarmNames=[name])),
            ("ssm", lambda c: c.get_parameter(Name=name)),
            ("iam", lambda c: c.get_user(UserName=name)),
        ]
        for team, allowed in (("red", True), ("blue", False)):
            user.may(allow("*", Condition={"StringEquals": {"aws:ResourceTag/team": team}}))
            for service, call in calls:
                if allowed:
                    call(user.client(service))
                else:
                    with refused(DENIED, status=(400, 403)):
                        call(user.client(service))
        user.may(allow("*"), deny("logs:*", Condition={"StringEquals": {"aws:ResourceTag/team": "red"}}))
        with refused("AccessDeniedException"):
            calls[0][1](user.client("logs"))
        logs.untag_log_group(logGroupName=name, tags=["team"])
        calls[0][1](user.client("logs"))

    def test_conditions_on_tags_of_the_request(self, person):
        """Who makes something must say whose it is, and may say no more."""
        user = person()
        rule = {
            "StringEquals": {"aws:RequestTag/team": ["red", "blue"]},
            "ForAllValues:StringEquals": {"aws:TagKeys": ["team", "job"]},
        }
        user.may(allow("*", Condition=rule))

        def tags(**given):
            return [{"Key": key, "Value": value} for key, value in given.items()]

        makes = [
            ("logs", lambda c, given: c.create_log_group(logGroupName=unique("t"), tags=given)),
            ("sns", lambda c, given: c.create_topic(Name=unique("t"), Tags=tags(**given))),
            ("iam", lambda c, given: c.create_user(UserName=unique("t"), Tags=tags(**given))),
            ("ssm", lambda c, given: c.put_parameter(Name=unique("t"), Value="v", Type="String", Tags=tags(**given))),
        ]
        for service, make in makes:
            make(user.client(service), {"team": "red"})
            make(user.client(service), {"team": "blue", "job": "files"})
            for given in ({"team": "green"}, {"job": "files"}, {"team": "red", "cost": "1"}):
                with refused(DENIED, status=(400, 403)):
                    make(user.client(service), given)

    def test_a_variable_stands_for_the_caller(self, person, iam):
        own = f"arn:aws:iam::{ACCOUNT}:user/${{aws:username}}"
        user, other = person(allow(["iam:GetUser", "iam:*AccessKey*"], own)), person()
        client = user.client("iam")
        assert client.get_user()["User"]["UserName"] == user.name
        assert client.get_user(UserName=user.name)["User"]["Arn"] == user.user["Arn"]
        made = client.create_access_key()["AccessKey"]
        assert made["UserName"] == user.name
        assert len(client.list_access_keys()["AccessKeyMetadata"]) == 2
        with refused("LimitExceeded", "AccessKeysPerUser: 2", status=409):
            client.create_access_key()
        with refused("AccessDenied", status=403):
            client.get_user(UserName=other.name)

    def test_metric_namespaces(self, person):
        user = person(allow("cloudwatch:PutMetricData", Condition={"StringEquals": {"cloudwatch:namespace": "Own"}}))
        data = [{"MetricName": "m", "Value": 1.0}]
        for protocol in ("", "json", "query"):
            client = user.client("cloudwatch", protocol)
            client.put_metric_data(Namespace="Own", MetricData=data)
            with refused("AccessDenied", status=403):
                client.put_metric_data(Namespace="Other", MetricData=data)

    def test_several_resources_must_all_be_allowed(self, person, logs):
        groups = [unique("g") for _ in range(2)]
        for group in groups:
            logs.create_log_group(logGroupName=group)
        user = person(allow("logs:StartQuery", group_arn(groups[0])))
        query = {"startTime": 0, "endTime": 1, "queryString": "fields @message"}
        user.client("logs").start_query(logGroupNames=groups[:1], **query)
        with refused("AccessDeniedException", group_arn(groups[1])):
            user.client("logs").start_query(logGroupNames=groups, **query)

    def test_a_boundary_limits_and_gives_nothing(self, person, iam):
        limit = iam.create_policy(PolicyName=unique("limit"), PolicyDocument=document(allow("sns:List*")))
        arn = limit["Policy"]["Arn"]
        user = person(allow(["sns:*", "logs:*"]))
        iam.put_user_permissions_boundary(UserName=user.name, PermissionsBoundary=arn)
        user.client("sns").list_topics()
        with refused("AccessDeniedException", "because no permissions boundary allows"):
            user.client("logs").describe_log_groups()
        user.may(allow("logs:*"))
        with refused("AuthorizationError", "because no identity-based policy allows", status=403):
            user.client("sns").list_topics()
        with refused("DeleteConflict", status=409):
            iam.delete_policy(PolicyArn=arn)
        iam.delete_user_permissions_boundary(UserName=user.name)
        user.client("logs").describe_log_groups()

    @pytest.mark.parametrize(
        "text",
        ["", "{}", "[]", document({"Effect": "Allow", "Action": "x", "Resource": "*"}),
         document({"Effect": "Allow", "Action": "logs:*", "Resource": "g"}),
         document({"Effect": "Allow", "Action": "logs:*", "Resource": "*", "Principal": "*"})],
    )
    def test_what_is_no_policy_is_refused(self, iam, person, text):
        user = person()
        with refused("MalformedPolicyDocument"):
            iam.put_user_policy(UserName=user.name, PolicyName="p", PolicyDocument=text)

    def test_what_is_too_long_is_refused(self, iam, person):
        user = person()
        long = document(*(allow("logs:*", group_arn("x" * 100 + str(i))) for i in range(20)))
        with refused("LimitExceeded", "Maximum policy size of 2048 bytes exceeded for user", status=409):
            iam.put_user_policy(UserName=user.name, PolicyName="p", PolicyDocument=long)
        assert iam.list_user_policies(UserName=user.name)["PolicyNames"] == []


class TestManagedPolicies:
    def test_versions(self, iam, person, group):
        new = {"PolicyName": unique("p"), "Path": "/x/", "Description": "d"}
        arn = iam.create_policy(**new, PolicyDocument=document(allow("sns:*")))["Policy"]["Arn"]
        assert arn.startswith(f"arn:aws:iam::{ACCOUNT}:policy/x/p-")
        user = person()
        iam.attach_user_policy(UserName=user.name, PolicyArn=arn)
        iam.attach_user_policy(UserName=user.name, PolicyArn=arn)
        assert iam.list_attached_user_policies(UserName=user.name)["AttachedPolicies"] == [
            {"PolicyName": arn.rsplit("/")[-1], "PolicyArn": arn}
        ]
        user.client("sns").list_topics()
        new = iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(allow("logs:*")))["PolicyVersion"]
        assert (new["VersionId"], new["IsDefaultVersion"]) == ("v2", False)
        user.client("sns").list_topics()
        iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")
        user.client("logs").describe_log_streams(logGroupName=group)
        with refused("AuthorizationError", status=403):
            user.client("sns").list_topics()
        versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
        assert [(v["VersionId"], v["IsDefaultVersion"]) for v in versions] == [("v2", True), ("v1", False)]
        shown = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]
        assert shown["Document"] == json.loads(document(allow("sns:*")))
        policy = iam.get_policy(PolicyArn=arn)["Policy"]
        assert (policy["DefaultVersionId"], policy["AttachmentCount"], policy["Description"]) == ("v2", 1, "d")

        with refused("DeleteConflict", status=409):
            iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
        with refused("DeleteConflict", status=409):
            iam.delete_policy(PolicyArn=arn)
        iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
        for _ in range(4):
            iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(allow("logs:*")))
        with refused("LimitExceeded", status=409):
            iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(allow("logs:*")))
        iam.detach_user_policy(UserName=user.name, PolicyArn=arn)
        with refused("AccessDeniedException"):
            user.client("logs").describe_log_streams(logGroupName=group)
        with refused("NoSuchEntity", status=404):
            iam.detach_user_policy(UserName=user.name, PolicyArn=arn)

    def test_those_of_aws(self, iam, person, group):
        arn = "arn:aws:iam::aws:policy/CloudWatchLogsReadOnlyAccess"
        user = person()
        iam.attach_user_policy(UserName=user.name, PolicyArn=arn)
        user.client("logs").describe_log_streams(logGroupName=group)
        with refused("AccessDeniedException"):
            user.client("logs").delete_log_group(logGroupName=group)
        policy = iam.get_policy(PolicyArn=arn)["Policy"]
        assert policy["Arn"] == arn and policy["IsAttachable"]
        assert iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]["Document"]
        users = iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"]
        assert user.name in [u["UserName"] for u in users]
        with refused("InvalidInput"):
            iam.delete_policy(PolicyArn=arn)
        with refused("NoSuchEntity", status=404):
            iam.attach_user_policy(UserName=user.name, PolicyArn="arn:aws:iam::aws:policy/None")
        pages = iam.get_paginator("list_policies").paginate(Scope="AWS", PaginationConfig={"PageSize": 3})
        arns = [p["Arn"] for page in pages for p in page["Policies"]]
        assert arn in arns and len(arns) == len(set(arns))


class TestUsers:
    def test_the_life_of_a_user(self, iam):
        name = unique("ann")
        made = iam.create_user(UserName=name, Path="/people/", Tags=[{"Key": "team", "Value": "audit"}])["User"]
        assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/people/{name}" and made["UserId"].startswith("AIDA")
        with refused("EntityAlreadyExists", status=409):
            iam.create_user(UserName=name)
        iam.tag_user(UserName=name, Tags=[{"Key": "floor", "Value": "2"}])
        iam.untag_user(UserName=name, TagKeys=["team"])
        assert iam.list_user_tags(UserName=name)["Tags"] == [{"Key": "floor", "Value": "2"}]
        assert iam.list_groups_for_user(UserName=name)["Groups"] == []
        shown = iam.get_user(UserName=name)["User"]
        assert shown == {**made, "Tags": [{"Key": "floor", "Value": "2"}]}
        found = [u for page in iam.get_paginator("list_users").paginate(PathPrefix="/people/") for u in page["Users"]]
        assert name in [u["UserName"] for u in found]
        policy = document(allow("sns:*"))
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy)
        assert iam.get_user_policy(UserName=name, PolicyName="p")["PolicyDocument"] == json.loads(policy)
        with refused("DeleteConflict", "must delete policies first", status=409):
            iam.delete_user(UserName=name)
        iam.delete_user_policy(UserName=name, PolicyName="p")
        with refused("NoSuchEntity", status=404):
            iam.get_user_policy(UserName=name, PolicyName="p")
        iam.delete_user(UserName=name)
        with refused("NoSuchEntity", f"The user with name {name} cannot be found.", status=404):
            iam.get_user(UserName=name)

    def test_a_user_has_nothing_that_is_not_served(self, iam):
        """What a tool looks for before it deletes a user with all that is its."""
        name = unique("u")
        iam.create_user(UserName=name)
        assert iam.list_mfa_devices(UserName=name)["MFADevices"] == []
        assert iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"] == []
        assert iam.list_ssh_public_keys(UserName=name)["SSHPublicKeys"] == []
        assert iam.list_service_specific_credentials(UserName=name)["ServiceSpecificCredentials"] == []
        assert iam.list_signing_certificates(UserName=name)["Certificates"] == []
        assert iam.list_groups_for_user(UserName=name)["Groups"] == []
        for call in (iam.get_login_profile, iam.delete_login_profile):
            with refused("NoSuchEntity", f"Login Profile for User {name} cannot be found.", status=404):
                call(UserName=name)
        with refused("NoSuchEntity", status=404):
            iam.list_mfa_devices(UserName=unique("nobody"))

    def test_root_is_a_user_without_a_name(self, iam):
        assert iam.get_user()["User"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"

    @pytest.mark.parametrize("name", ["", "a b", "x" * 65, "ä"])
    def test_wrong_names(self, iam, name):
        with refused("ValidationError"):
            iam.create_user(UserName=name)


class TestKeys:
    def test_a_key_that_is_inactive_stops_at_once(self, person, iam):
        user = person(allow("sns:*"))
        sns, key = user.client("sns"), user.key["AccessKeyId"]
        for _ in range(20):
            sns.list_topics()
            iam.update_access_key(UserName=user.name, AccessKeyId=key, Status="Inactive")
            with refused("InvalidClientTokenId", status=403):
                sns.list_topics()
            iam.update_access_key(UserName=user.name, AccessKeyId=key, Status="Active")
        iam.delete_access_key(UserName=user.name, AccessKeyId=key)
        with refused("InvalidClientTokenId", status=403):
            sns.list_topics()

    def test_a_secret_is_shown_once(self, person, iam, server):
        user = person()
        secret = user.key["SecretAccessKey"]
        assert len(secret) == 40
        assert "SecretAccessKey" not in str(iam.list_access_keys(UserName=user.name))
        assert secret not in server.tail()

    def test_last_use(self, person, iam):
        user = person(allow("sns:*"))
        ask = lambda: iam.get_access_key_last_used(AccessKeyId=user.key["AccessKeyId"])  # noqa: E731
        assert ask()["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}
        user.client("sns").list_topics()
        used = ask()
        assert used["UserName"] == user.name
        assert (used["AccessKeyLastUsed"]["ServiceName"], used["AccessKeyLastUsed"]["Region"]) == ("sns", REGION)

    def test_errors_of_wrong_keys_are_as_ever(self, server, person):
        user = person(allow("*"))
        unknown = {"key": "AKIAUNKNOWNUNKNOWN00", "secret": user.key["SecretAccessKey"]}
        wrong = {"key": user.key["AccessKeyId"], "secret": "x" * 40}
        for options, logs_code, sns_code in [
            (unknown, "UnrecognizedClientException", "InvalidClientTokenId"),
            (wrong, "InvalidSignatureException", "SignatureDoesNotMatch"),
        ]:
            with refused(logs_code):
                aws.client(server, "logs", **options).describe_log_groups()
            with refused(sns_code, status=403):
                aws.client(server, "sns", **options).list_topics()


class TestRoles:
    def role(self, iam, *trust, **more):
        name = unique("role")
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(*(trust or (TRUST_ACCOUNT,))), **more)
        return made["Role"]

    def test_the_life_of_a_role(self, iam):
        role = self.role(iam, Path="/r/", Description="d", MaxSessionDuration=7200, Tags=[{"Key": "a", "Value": "b"}])
        name = role["RoleName"]
        assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/r/{name}" and role["RoleId"].startswith("AROA")
        shown = iam.get_role(RoleName=name)["Role"]
        assert shown == role and shown["MaxSessionDuration"] == 7200
        assert shown["AssumeRolePolicyDocument"] == json.loads(document(TRUST_ACCOUNT))
        iam.update_role(RoleName=name, Description="e", MaxSessionDuration=3600)
        assert iam.get_role(RoleName=name)["Role"]["Description"] == "e"
        new = {**TRUST_ACCOUNT, "Principal": {"Service": "lambda.amazonaws.com"}}
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=document(new))
        assert iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"] == json.loads(document(new))
        with refused("MalformedPolicyDocument"):
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=document(allow("sts:AssumeRole")))
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(allow("sns:*")))
        assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["p"]
        assert iam.get_role_policy(RoleName=name, PolicyName="p")["RoleName"] == name
        arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)
        assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == [
            {"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": arn}
        ]
        assert iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"] == []
        iam.tag_role(RoleName=name, Tags=[{"Key": "c", "Value": ""}])
        iam.untag_role(RoleName=name, TagKeys=["a"])
        assert iam.list_role_tags(RoleName=name)["Tags"] == [{"Key": "c", "Value": ""}]
        with refused("DeleteConflict", "must detach all policies first", status=409):
            iam.delete_role(RoleName=name)
        iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        iam.delete_role_policy(RoleName=name, PolicyName="p")
        iam.delete_role(RoleName=name)
        with refused("NoSuchEntity", f"The role with name {name} cannot be found.", status=404):
            iam.get_role(RoleName=name)

    def test_a_session_may_do_what_its_role_may(self, server, iam, person, group):
        role = self.role(iam)
        own = {"RoleName": role["RoleName"], "PolicyName": "p"}
        iam.put_role_policy(**own, PolicyDocument=document(allow(["logs:*", "sns:*", "cloudwatch:*"])))
        user = person(allow("sts:AssumeRole", role["Arn"]))
        answer = user.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="walk")
        credentials = answer["Credentials"]
        assert credentials["AccessKeyId"].startswith("ASIA")
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role['RoleName']}/walk"
        assert answer["AssumedRoleUser"] == {"Arn": arn, "AssumedRoleId": f"{role['RoleId']}:walk"}
        identity = in_session(server, "sts", credentials).get_caller_identity()
        assert (identity["Arn"], identity["UserId"]) == (arn, f"{role['RoleId']}:walk")
        logs = in_session(server, "logs", credentials)
        logs.describe_log_streams(logGroupName=group)
        for protocol in ("", "json", "query"):
            in_session(server, "cloudwatch", credentials, protocol).list_metrics()
        with refused("AccessDenied", f"User: {arn} is not authorized to perform: iam:ListUsers", status=403):
            in_session(server, "iam", credentials).list_users()
        # A presigned address carries the token as well.
        url = in_session(server, "sns", credentials).generate_presigned_url("list_topics", HttpMethod="GET")
        assert "X-Amz-Security-Token" in url
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.status == 200
        # What is taken from the role is taken from its sessions, and with the role goes everything.
        iam.put_role_policy(RoleName=role["RoleName"], PolicyName="p", PolicyDocument=document(allow("sns:*")))
        with refused("AccessDeniedException"):
            logs.describe_log_streams(logGroupName=group)
        iam.delete_role_policy(RoleName=role["RoleName"], PolicyName="p")
        iam.delete_role(RoleName=role["RoleName"])
        with refused("AuthorizationError", status=403):
            in_session(server, "sns", credentials).list_topics()
        # A new role of the same name is another.
        made = iam.create_role(RoleName=role["RoleName"], AssumeRolePolicyDocument=document(TRUST_ACCOUNT))["Role"]
        assert made["RoleId"] != role["RoleId"]
        iam.put_role_policy(RoleName=role["RoleName"], PolicyName="p", PolicyDocument=document(allow("sns:*")))
        with refused("AuthorizationError", status=403):
            in_session(server, "sns", credentials).list_topics()

    def test_a_session_policy_narrows(self, server, iam, person):
        role = self.role(iam)
        own = {"RoleName": role["RoleName"], "PolicyName": "p"}
        iam.put_role_policy(**own, PolicyDocument=document(allow(["sns:*", "logs:*"])))
        sts = person(allow("sts:AssumeRole")).client("sts")
        for more in (
            {"Policy": document(allow(["sns:List*", "iam:*"]))},
            {"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/AmazonSNSReadOnlyAccess"}]},
        ):
            answer = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="narrow", **more)
            assert 0 < answer["PackedPolicySize"] <= 100
            credentials = answer["Credentials"]
            in_session(server, "sns", credentials).list_topics()
            with refused("AuthorizationError", "because no session policy allows", status=403):
                in_session(server, "sns", credentials).create_topic(Name="t")
            with refused("AccessDeniedException"):
                in_session(server, "logs", credentials).describe_log_groups()
            with refused("AccessDenied", status=403):
                in_session(server, "iam", credentials).list_users()

    def test_who_may_assume(self, iam, person):
        user, other = person(), person(allow("sts:AssumeRole"))
        only = {**TRUST_ACCOUNT, "Principal": {"AWS": user.user["Arn"]}}
        role = self.role(iam, only)["Arn"]
        ask = {"RoleArn": role, "RoleSessionName": "ses"}
        user.client("sts").assume_role(**ask)
        with refused("AccessDenied", f"sts:AssumeRole on resource: {role}", status=403):
            other.client("sts").assume_role(**ask)
        # One that names the account leaves it to the account's own policies.
        open_role = {"RoleArn": self.role(iam)["Arn"], "RoleSessionName": "ses"}
        other.client("sts").assume_role(**open_role)
        with refused("AccessDenied", status=403):
            user.client("sts").assume_role(**open_role)
        with refused("AccessDenied", status=403):
            other.client("sts").assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/none", RoleSessionName="ses")
        user.may(deny("sts:AssumeRole"))
        with refused("AccessDenied", status=403):
            user.client("sts").assume_role(**ask)

    def test_an_external_id(self, iam, person):
        trust = {**TRUST_ACCOUNT, "Condition": {"StringEquals": {"sts:ExternalId": "door-7"}}}
        role = self.role(iam, trust)["Arn"]
        sts = person(allow("sts:AssumeRole")).client("sts")
        sts.assume_role(RoleArn=role, RoleSessionName="ses", ExternalId="door-7")
        for more in ({}, {"ExternalId": "door-8"}):
            with refused("AccessDenied", status=403):
                sts.assume_role(RoleArn=role, RoleSessionName="ses", **more)

    def test_what_a_session_may_be(self, server, iam, person):
        role = self.role(iam, MaxSessionDuration=7200)
        ask = {"RoleArn": role["Arn"], "RoleSessionName": "ses"}
        sts = person(allow("sts:AssumeRole")).client("sts")
        for seconds in (900, 7200):
            expires = sts.assume_role(**ask, DurationSeconds=seconds)["Credentials"]["Expiration"]
            left = (expires - datetime.datetime.now(datetime.UTC)).total_seconds()
            assert seconds - 60 < left <= seconds
        for more in ({"DurationSeconds": 899}, {"DurationSeconds": 7201}, {"RoleSessionName": "a"},
                     {"RoleSessionName": "a b"}, {"RoleSessionName": "x" * 65}, {"Policy": "x" * 2049},
                     {"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/None"}]}):
            with refused("ValidationError"):
                sts.assume_role(**{**ask, **more})
        with refused("MalformedPolicyDocument"):
            sts.assume_role(**ask, Policy="{}")
        # A session that makes another one gets an hour at most.
        iam.put_role_policy(RoleName=role["RoleName"], PolicyName="p", PolicyDocument=document(allow("sts:*")))
        first = sts.assume_role(**ask)["Credentials"]
        with refused("ValidationError", "role chaining"):
            in_session(server, "sts", first).assume_role(**ask, DurationSeconds=3601)
        in_session(server, "sts", first).assume_role(**ask)

    def test_changed_tokens_are_refused(self, server, iam, person):
        role = self.role(iam)
        iam.put_role_policy(RoleName=role["RoleName"], PolicyName="p", PolicyDocument=document(allow("sns:*")))
        sts = person(allow("sts:AssumeRole")).client("sts")
        good, second = (
            sts.assume_role(RoleArn=role["Arn"], RoleSessionName="ses")["Credentials"] for _ in range(2)
        )
        in_session(server, "sns", good).list_topics()
        token = good["SessionToken"]
        claim = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))[:-32])
        forged = base64.urlsafe_b64encode(json.dumps({**claim, "role": "admin"}).encode() + b"0" * 32).decode()
        changed = [token[:i] + ("A" if token[i] != "A" else "B") + token[i + 1 :] for i in range(0, len(token), 37)]
        for other in [*changed, token[:-1], token + "A", token * 9, forged.rstrip("="), second["SessionToken"], "x"]:
            with refused("InvalidClientTokenId", status=403):
                in_session(server, "sns", {**good, "SessionToken": other}).list_topics()
        with refused("SignatureDoesNotMatch", status=403):
            in_session(server, "sns", {**good, "SecretAccessKey": second["SecretAccessKey"]}).list_topics()
        key, secret = good["AccessKeyId"], good["SecretAccessKey"]
        with refused("InvalidClientTokenId", status=403):
            aws.client(server, "sns", key=key, secret=secret).list_topics()
        # A token that stands beside the signature, and not under it.
        body = aws.form(Action="ListTopics", Version="2010-03-31")
        headers = {"content-type": "application/x-www-form-urlencoded"}
        signed = aws.sign(server, "sns", body, headers, key=key, secret=secret)
        status, _, answer = aws.send(server, body, {**signed, "x-amz-security-token": token})
        assert status == 400 and b"IncompleteSignature" in answer


class TestPayload:
    def test_an_unsigned_body_is_taken_from_this_machine(self, server):
        key, secret = aws.ACCESS_KEY, aws.SECRET_KEY
        body = aws.form(Action="ListTopics", Version="2010-03-31")
        request = botocore.awsrequest.AWSRequest("POST", server.url + "/", data=body)
        request.headers["content-type"] = "application/x-www-form-urlencoded"
        request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
        signer = botocore.auth.SigV4Auth(botocore.credentials.Credentials(key, secret), "sns", REGION)
        signer.payload = lambda _: "UNSIGNED-PAYLOAD"
        signer.add_auth(request)
        status, _, _ = aws.send(server, body, {k.lower(): v for k, v in request.headers.items()})
        assert status == 200


class TestProxies:
    """Where a request comes from, behind a proxy."""

    def through(self, person, forwarded, protocol=None):
        client = person.client("sns")

        def forward(request, **_):
            request.headers["X-Forwarded-For"] = forwarded
            if protocol:
                request.headers["X-Forwarded-Proto"] = protocol

        # After signing, as a proxy does.
        client.meta.events.register("before-send.sns", forward)
        return client

    @pytest.mark.parametrize("trusted", ["127.0.0.1", "10.0.0.0/8,127.0.0.0/8"])
    def test_one_that_is_trusted_is_believed(self, fresh, trusted):
        server = fresh("--trusted-proxies", trusted).start()
        user = Person(server, aws.client(server, "iam"))
        user.may(
            allow(
                "sns:ListTopics",
                Condition={"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}, "Bool": {"aws:SecureTransport": "true"}},
            )
        )
        self.through(user, "198.51.100.7", "https").list_topics()
        self.through(user, "6.6.6.6, 198.51.100.7", "https").list_topics()
        for forwarded, protocol in (
            ("198.51.100.7", "http"),
            ("198.51.100.7, 6.6.6.6", "https"),
            ("198.51.100.7, nonsense", "https"),
        ):
            with refused("AuthorizationError", status=403):
                self.through(user, forwarded, protocol).list_topics()

    def test_others_are_not(self, server, iam):
        user = Person(server, iam)
        user.may(allow("sns:ListTopics", Condition={"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}))
        with refused("AuthorizationError", status=403):
            self.through(user, "198.51.100.7").list_topics()


def test_three_commands_of_the_command_line(server, group):
    """As the guide has it: a shipper with a key of its own."""
    name = unique("shipper")
    aws.cli(server, "iam", "create-user", "--user-name", name)
    policy = document(allow("logs:PutLogEvents", group_arn(group, ":*")))
    put = ["--policy-name", "ship", "--policy-document", policy]
    aws.cli(server, "iam", "put-user-policy", "--user-name", name, *put)
    key = aws.cli(server, "iam", "create-access-key", "--user-name", name)["AccessKey"]
    logs = aws.client(server, "logs", key=key["AccessKeyId"], secret=key["SecretAccessKey"])
    events = [{"timestamp": aws.now_ms(), "message": "m"}]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    with refused("AccessDeniedException"):
        logs.get_log_events(logGroupName=group, logStreamName="s")
    role = unique("role")
    trust = ["--assume-role-policy-document", document(TRUST_ACCOUNT)]
    made = aws.cli(server, "iam", "create-role", "--role-name", role, *trust)["Role"]
    session = aws.cli(server, "sts", "assume-role", "--role-arn", made["Arn"], "--role-session-name", "cli")
    assert session["Credentials"]["SessionToken"]


def test_a_restart_keeps_all(fresh):
    server = fresh().start()
    iam, logs = aws.client(server, "iam"), aws.client(server, "logs")
    logs.create_log_group(logGroupName="own")
    logs.create_log_stream(logGroupName="own", logStreamName="s")
    shipper = Person(server, iam, allow("logs:PutLogEvents", group_arn("own", ":*")))
    off = Person(server, iam, allow("*"))
    iam.update_access_key(UserName=off.name, AccessKeyId=off.key["AccessKeyId"], Status="Inactive")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=document(TRUST_ACCOUNT))
    arn = iam.create_policy(PolicyName="p", PolicyDocument=document(allow("sns:*")))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="r", PolicyArn=arn)
    assume = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/r", "RoleSessionName": "ses"}
    credentials = aws.client(server, "sts").assume_role(**assume)["Credentials"]
    for end in ("stop", "kill"):
        getattr(server, end)()
        server.start()
        own = shipper.client("logs")
        own.put_log_events(
            logGroupName="own", logStreamName="s", logEvents=[{"timestamp": aws.now_ms(), "message": "m"}]
        )
        with refused("AccessDeniedException"):
            own.describe_log_groups()
        with refused("UnrecognizedClientException"):
            off.client("logs").describe_log_groups()
        in_session(server, "sns", credentials).list_topics()
        with refused("AccessDeniedException"):
            in_session(server, "logs", credentials).describe_log_groups()
        assert aws.client(server, "iam").list_attached_role_policies(RoleName="r")["AttachedPolicies"]


def test_a_reset_forgets_keys(fresh):
    server = fresh("--allow-reset").start()
    user = Person(server, aws.client(server, "iam"), allow("*"))
    user.client("sns").list_topics()
    role = aws.client(server, "iam").create_role(RoleName="r", AssumeRolePolicyDocument=document(TRUST_ACCOUNT))["Role"]
    ask = {"RoleArn": role["Arn"], "RoleSessionName": "ses"}
    credentials = aws.client(server, "sts").assume_role(**ask)["Credentials"]
    status, _, _ = aws.send(server, b"", {}, path="/_nightbell/reset")
    assert status == 200
    with refused("InvalidClientTokenId", status=403):
        user.client("sns").list_topics()
    with refused("InvalidClientTokenId", status=403):
        in_session(server, "sts", credentials).get_caller_identity()
