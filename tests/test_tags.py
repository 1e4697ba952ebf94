"""Tags of log groups, alarms, mute rules and topics: set, listed, taken away, gone with their resource."""

import pytest
from support import aws
from support.server import ACCOUNT, REGION


def pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


@pytest.fixture
def topic(sns):
    return sns.create_topic(Name=aws.unique("tagged"), Tags=pairs({"team": "files"}))["TopicArn"]


@pytest.fixture(params=["cbor", "json", "query"])
def monitoring(server, request):
    return aws.client(server, "cloudwatch", request.param)


def alarm(client, **more) -> str:
    """Puts an alarm, gives its ARN."""
    name = aws.unique("tagged")
    client.put_metric_alarm(
        AlarmName=name,
        MetricName="Denied",
        Namespace="files",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=5,
        ComparisonOperator="GreaterThanThreshold",
        **more,
    )
    return f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"


def name_of(arn: str) -> str:
    return arn.rsplit(":", 1)[1]


@pytest.mark.parametrize("end", ["", ":*"])
def test_tags_of_a_group_by_arn(logs, end):
    name = aws.unique("/tagged/group")
    logs.create_log_group(logGroupName=name, tags={"team": "files"})
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}{end}"
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "files"}
    logs.tag_resource(resourceArn=arn, tags={"team": "audit", "Käse": ""})
    logs.untag_resource(resourceArn=arn, tagKeys=["Käse", "was never there"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "audit"}
    logs.delete_log_group(logGroupName=name)
    with aws.refused("ResourceNotFoundException", "log group"):
        logs.list_tags_for_resource(resourceArn=arn)
    logs.create_log_group(logGroupName=name)
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {}


def test_tags_of_a_group_by_name_are_the_same(logs, group):
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}"
    logs.tag_log_group(logGroupName=group, tags={"a": "1", "b": "2"})
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "1", "b": "2"}
    logs.untag_log_group(logGroupName=group, tags=["a"])
    assert logs.list_tags_log_group(logGroupName=group)["tags"] == {"b": "2"}


def test_what_logs_refuses(logs, group):
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}"
    logs.tag_resource(resourceArn=arn, tags={str(n): "" for n in range(50)})
    with aws.refused("TooManyTagsException", "50"):
        logs.tag_resource(resourceArn=arn, tags={"more": ""})
    for tags in [{"aws:x": ""}, {"": "x"}, {"k" * 129: ""}, {"k": "v" * 257}, {"k": "{}"}]:
        with aws.refused("InvalidParameterException", "tags"):
            logs.tag_resource(resourceArn=arn, tags=tags)
        with aws.refused("InvalidParameterException", "tags"):
            logs.create_log_group(logGroupName=aws.unique("never"), tags=tags)
    foreign = f"arn:aws:logs:{REGION}:111111111111:log-group:{group}"
    for wrong in ["x", foreign, f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:", f"{arn}:log-stream:s"]:
        with aws.refused(("InvalidParameterException", "ResourceNotFoundException")):
            logs.list_tags_for_resource(resourceArn=wrong)


def test_tags_of_an_alarm(monitoring):
    arn = alarm(monitoring, Tags=pairs({"team": "files"}))

    def tags():
        return monitoring.list_tags_for_resource(ResourceARN=arn)["Tags"]

    assert tags() == pairs({"team": "files"})
    # An alarm that is there keeps its tags, whatever a change of it says.
    monitoring.put_metric_alarm(
        AlarmName=name_of(arn),
        MetricName="Denied",
        Namespace="files",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=6,
        ComparisonOperator="GreaterThanThreshold",
        Tags=pairs({"other": "x"}),
    )
    monitoring.disable_alarm_actions(AlarmNames=[name_of(arn)])
    assert tags() == pairs({"team": "files"})
    monitoring.tag_resource(ResourceARN=arn, Tags=pairs({"a": "", "team": "audit"}))
    assert tags() == pairs({"a": "", "team": "audit"})
    monitoring.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert tags() == pairs({"team": "audit"})
    monitoring.delete_alarms(AlarmNames=[name_of(arn)])
    with aws.refused("ResourceNotFoundException", arn, 404):
        monitoring.list_tags_for_resource(ResourceARN=arn)


def test_tags_of_composite_alarms_and_mute_rules(cloudwatch):
    child = alarm(cloudwatch)
    name = aws.unique("both")
    cloudwatch.put_composite_alarm(
        AlarmName=name, AlarmRule=f"ALARM({name_of(child)})", Tags=pairs({"kind": "composite"})
    )
    composite = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"
    cloudwatch.put_alarm_mute_rule(
        Name=name,
        Rule={"Schedule": {"Expression": "cron(0 2 * * *)", "Duration": "PT1H"}},
        MuteTargets={"AlarmNames": [name_of(child)]},
        Tags=pairs({"kind": "mute"}),
    )
    rule = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm-mute-rule:{name}"
    for arn, kind in [(composite, "composite"), (rule, "mute")]:
        cloudwatch.tag_resource(ResourceARN=arn, Tags=pairs({"a": "1"}))
        assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == pairs({"a": "1", "kind": kind})
    cloudwatch.delete_alarm_mute_rule(AlarmMuteRuleName=name)
    cloudwatch.delete_alarms(AlarmNames=[name])
    for arn in composite, rule:
        with aws.refused("ResourceNotFoundException", status=404):
            cloudwatch.list_tags_for_resource(ResourceARN=arn)


def test_what_monitoring_refuses(monitoring):
    arn = alarm(monitoring)
    wrong = [pairs({"aws:x": ""}), pairs({"k" * 129: ""}), [*pairs({"k": ""}), *pairs({"k": ""})]]
    for tags in [*wrong, pairs({str(n): "" for n in range(51)})]:
        with aws.refused(("InvalidParameterValue", "InvalidParameterValueException"), "tags"):
            monitoring.tag_resource(ResourceARN=arn, Tags=tags)
    rule = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:insight-rule:x"
    for resource in ["x", rule, arn.replace(ACCOUNT, "111111111111")]:
        with aws.refused(("InvalidParameterValue", "InvalidParameterValueException"), "ResourceARN"):
            monitoring.list_tags_for_resource(ResourceARN=resource)
    assert monitoring.list_tags_for_resource(ResourceARN=arn)["Tags"] == []


def test_tags_of_a_topic(sns, topic):
    sns.tag_resource(ResourceArn=topic, Tags=pairs({"a": "1", "team": "audit"}))
    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == pairs({"a": "1", "team": "audit"})
    sns.untag_resource(ResourceArn=topic, TagKeys=["a"])
    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == pairs({"team": "audit"})
    sns.delete_topic(TopicArn=topic)
    with aws.refused("ResourceNotFound", "does not exist", 404):
        sns.list_tags_for_resource(ResourceArn=topic)
    assert sns.create_topic(Name=name_of(topic))["TopicArn"] == topic
    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == []


def test_a_topic_that_is_there_keeps_its_tags(sns, topic):
    for tags in [{}, {"team": "files"}]:
        assert sns.create_topic(Name=name_of(topic), Tags=pairs(tags))["TopicArn"] == topic
    for tags in [{"team": "audit"}, {"more": ""}]:
        with aws.refused("InvalidParameter", "Topic already exists with different tags"):
            sns.create_topic(Name=name_of(topic), Tags=pairs(tags))
    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == pairs({"team": "files"})


def test_what_sns_refuses(sns, topic):
    for tags in [pairs({"aws:x": ""}), pairs({"k" * 129: ""}), [*pairs({"k": ""}), *pairs({"k": ""})]]:
        with aws.refused("InvalidParameter", "Tags Reason"):
            sns.tag_resource(ResourceArn=topic, Tags=tags)
    with aws.refused("TagLimitExceeded", "50"):
        sns.tag_resource(ResourceArn=topic, Tags=pairs({str(n): "" for n in range(50)}))
    with aws.refused("InvalidParameter", "ResourceArn"):
        sns.list_tags_for_resource(ResourceArn="x")


def test_tags_outlive_a_restart(fresh):
    server = fresh().start()
    cloudwatch, sns = aws.client(server, "cloudwatch"), aws.client(server, "sns")
    arn = alarm(cloudwatch, Tags=pairs({"team": "files"}))
    topic = sns.create_topic(Name="t", Tags=pairs({"team": "files"}))["TopicArn"]
    server.kill()
    server.start()
    assert aws.client(server, "cloudwatch").list_tags_for_resource(ResourceARN=arn)["Tags"] == pairs({"team": "files"})
    assert aws.client(server, "sns").list_tags_for_resource(ResourceArn=topic)["Tags"] == pairs({"team": "files"})
