"""Parameters: versions, paths, filters, labels and tags, and what is refused."""

import pytest
from support import aws
from support.server import ACCOUNT, REGION


@pytest.fixture
def ssm(server):
    return aws.client(server, "ssm")


@pytest.fixture
def path():
    """A path that no other test uses."""
    return "/" + aws.unique("p")


def arn(name: str) -> str:
    return f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{name.lstrip('/')}"


def names(answer) -> list[str]:
    return [parameter["Name"] for parameter in answer["Parameters"]]


def test_a_parameter_has_versions(ssm, path):
    name = f"{path}/agent"
    made = ssm.put_parameter(Name=name, Value="one", Type="String", Description="of the agent")
    assert (made["Version"], made["Tier"]) == (1, "Standard")
    with aws.refused("ParameterAlreadyExists", "overwrite"):
        ssm.put_parameter(Name=name, Value="two", Type="String")
    assert ssm.put_parameter(Name=name, Value="two", Overwrite=True)["Version"] == 2

    def value(which):
        return ssm.get_parameter(Name=which)["Parameter"]["Value"]

    assert (value(name), value(f"{name}:1"), value(f"{name}:2"), value(arn(name))) == ("two", "one", "two", "two")
    assert value(f"{arn(name)}:1") == "one"
    found = ssm.get_parameter(Name=f"{name}:1")["Parameter"]
    assert (found["Name"], found["Selector"], found["Version"]) == (name, ":1", 1)
    assert (found["ARN"], found["Type"], found["DataType"]) == (arn(name), "String", "text")
    with aws.refused("ParameterVersionNotFound", "3"):
        ssm.get_parameter(Name=f"{name}:3")
    history = ssm.get_parameter_history(Name=name)["Parameters"]
    assert [(one["Version"], one["Value"], one["Description"]) for one in history] == [
        (1, "one", "of the agent"),
        (2, "two", "of the agent"),
    ]
    assert history[0]["LastModifiedUser"] == f"arn:aws:iam::{ACCOUNT}:root"
    ssm.delete_parameter(Name=name)
    for call in ssm.get_parameter, ssm.delete_parameter, ssm.get_parameter_history:
        with aws.refused("ParameterNotFound", name):
            call(Name=name)
    assert ssm.put_parameter(Name=name, Value="new", Type="String")["Version"] == 1
    assert len(ssm.get_parameter_history(Name=name)["Parameters"]) == 1


def test_the_hundred_newest_versions_are_kept(ssm, path):
    ssm.put_parameter(Name=path, Value="1", Type="String")
    ssm.label_parameter_version(Name=path, ParameterVersion=2 - 1, Labels=["first"])
    for n in range(2, 101):
        ssm.put_parameter(Name=path, Value=str(n), Overwrite=True)
    with aws.refused("ParameterMaxVersionLimitExceeded", "Version 1,"):
        ssm.put_parameter(Name=path, Value="101", Overwrite=True)
    ssm.unlabel_parameter_version(Name=path, ParameterVersion=1, Labels=["first"])
    assert ssm.put_parameter(Name=path, Value="101", Overwrite=True)["Version"] == 101
    pages = ssm.get_paginator("get_parameter_history").paginate(Name=path, PaginationConfig={"PageSize": 30})
    kept = [one["Version"] for answer in pages for one in answer["Parameters"]]
    assert kept == list(range(2, 102))
    assert ssm.get_parameter(Name=f"{path}:2")["Parameter"]["Value"] == "2"
    with aws.refused("ParameterVersionNotFound"):
        ssm.get_parameter(Name=f"{path}:1")


def test_a_secret_is_shown_to_those_who_ask(ssm, path):
    ssm.put_parameter(Name=path, Value="s3cret", Type="SecureString")
    hidden = ssm.get_parameter(Name=path)["Parameter"]["Value"]
    assert "s3cret" not in hidden and ssm.get_parameter(Name=path)["Parameter"]["Value"] == hidden
    assert ssm.get_parameter(Name=path, WithDecryption=True)["Parameter"]["Value"] == "s3cret"
    assert ssm.get_parameters(Names=[path])["Parameters"][0]["Value"] == hidden
    assert ssm.get_parameter_history(Name=path)["Parameters"][0]["Value"] == hidden
    assert ssm.get_parameter_history(Name=path, WithDecryption=True)["Parameters"][0]["Value"] == "s3cret"
    [described] = ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [path]}])["Parameters"]
    assert (described["KeyId"], described["Type"]) == ("alias/aws/ssm", "SecureString")


def test_parameters_below_a_path(ssm, path):
    for name in ["a", "b", "deep/c", "deep/er/d"]:
        kind = "StringList" if name == "b" else "String"
        ssm.put_parameter(Name=f"{path}/{name}", Value=name, Type=kind)
    assert names(ssm.get_parameters_by_path(Path=path)) == [f"{path}/a", f"{path}/b"]
    assert names(ssm.get_parameters_by_path(Path=f"{path}/deep", Recursive=True)) == [
        f"{path}/deep/c",
        f"{path}/deep/er/d",
    ]
    lists = [{"Key": "Type", "Values": ["StringList"]}]
    assert names(ssm.get_parameters_by_path(Path=path, ParameterFilters=lists)) == [f"{path}/b"]
    paginator = ssm.get_paginator("get_parameters_by_path")
    pages = list(paginator.paginate(Path=path, Recursive=True, PaginationConfig={"PageSize": 3}))
    assert [len(page["Parameters"]) for page in pages] == [3, 1]
    assert ssm.get_parameters_by_path(Path="/nowhere")["Parameters"] == []
    with aws.refused("ValidationException", "forward slash"):
        ssm.get_parameters_by_path(Path="nowhere")
    with aws.refused("InvalidFilterKey"):
        ssm.get_parameters_by_path(Path=path, ParameterFilters=[{"Key": "Tier", "Values": ["Standard"]}])
    with aws.refused("ValidationException", "10"):
        ssm.get_parameters_by_path(Path=path, MaxResults=11)


def test_parameters_are_described_by_filters(ssm, path):
    ssm.put_parameter(Name=f"{path}/small", Value="x", Type="String", Tags=[{"Key": "team", "Value": "files"}])
    ssm.put_parameter(Name=f"{path}/large", Value="x" * 5000, Type="String", Tier="Advanced")
    ssm.put_parameter(Name=f"{path}/deep/secret", Value="x", Type="SecureString", KeyId="alias/own")
    below = {"Key": "Path", "Option": "Recursive", "Values": [path]}

    def found(*filters):
        return [name.removeprefix(path) for name in names(ssm.describe_parameters(ParameterFilters=[below, *filters]))]

    assert found() == ["/deep/secret", "/large", "/small"]
    assert found({"Key": "Path", "Option": "OneLevel", "Values": [path]}) == ["/large", "/small"]
    assert found({"Key": "Name", "Values": [f"{path}/small", f"{path}/none"]}) == ["/small"]
    assert found({"Key": "Name", "Option": "BeginsWith", "Values": [f"{path}/s"]}) == ["/small"]
    assert found({"Key": "Name", "Option": "Contains", "Values": ["arg"]}) == ["/large"]
    assert found({"Key": "Tier", "Values": ["Advanced"]}) == ["/large"]
    assert found({"Key": "Type", "Values": ["SecureString"]}, {"Key": "KeyId", "Values": ["alias/own"]}) == ["/deep/secret"]
    assert found({"Key": "tag:team", "Values": ["files", "x"]}) == ["/small"]
    assert found({"Key": "tag:team", "Values": ["x"]}) == []
    older = ssm.describe_parameters(Filters=[{"Key": "Name", "Values": [f"{path}/"]}])
    assert len(older["Parameters"]) == 3
    [large] = ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [f"{path}/large"]}])["Parameters"]
    assert (large["Tier"], large["Version"], large["ARN"]) == ("Advanced", 1, arn(f"{path}/large"))
    for wrong, code in [
        ({"Key": "Colour", "Values": ["x"]}, "InvalidFilterKey"),
        ({"Key": "Name", "Option": "Like", "Values": ["x"]}, "InvalidFilterOption"),
        ({"Key": "Name"}, "InvalidFilterValue"),
    ]:
        with aws.refused(code):
            ssm.describe_parameters(ParameterFilters=[wrong])
    with aws.refused("InvalidNextToken"):
        ssm.describe_parameters(NextToken="%%")


def test_several_are_read_and_deleted_at_once(ssm, path):
    for name in "ab":
        ssm.put_parameter(Name=f"{path}/{name}", Value=name, Type="String")
    wanted = [f"{path}/a", f"{path}/none", f"{path}/b:1", f"{path}/b:9"]
    answer = ssm.get_parameters(Names=wanted)
    assert [one["Value"] for one in answer["Parameters"]] == ["a", "b"]
    assert answer["InvalidParameters"] == [wanted[1], wanted[3]]
    gone = ssm.delete_parameters(Names=[f"{path}/a", f"{path}/none"])
    assert (gone["DeletedParameters"], gone["InvalidParameters"]) == ([f"{path}/a"], [f"{path}/none"])
    for call in ssm.get_parameters, ssm.delete_parameters:
        with aws.refused("ValidationException", "10"):
            call(Names=["x"] * 11)


def test_labels_name_versions(ssm, path):
    ssm.put_parameter(Name=path, Value="one", Type="String")
    ssm.put_parameter(Name=path, Value="two", Overwrite=True)
    made = ssm.label_parameter_version(Name=path, ParameterVersion=1, Labels=["stable", "1st", "aws-own"])
    assert (made["ParameterVersion"], made["InvalidLabels"]) == (1, ["1st", "aws-own"])
    assert ssm.get_parameter(Name=f"{path}:stable")["Parameter"]["Value"] == "one"
    assert ssm.label_parameter_version(Name=path, Labels=["stable"])["ParameterVersion"] == 2
    assert ssm.get_parameter(Name=f"{path}:stable")["Parameter"]["Value"] == "two"
    assert [one["Labels"] for one in ssm.get_parameter_history(Name=path)["Parameters"]] == [[], ["stable"]]
    taken = ssm.unlabel_parameter_version(Name=path, ParameterVersion=2, Labels=["stable", "other"])
    assert (taken["RemovedLabels"], taken["InvalidLabels"]) == (["stable"], ["other"])
    with aws.refused("ParameterVersionNotFound"):
        ssm.get_parameter(Name=f"{path}:stable")
    ssm.label_parameter_version(Name=path, Labels=[f"l{n}" for n in range(10)])
    with aws.refused("ParameterVersionLabelLimitExceeded"):
        ssm.label_parameter_version(Name=path, Labels=["more"])


def test_tags_of_a_parameter(ssm, path):
    ssm.put_parameter(Name=path, Value="x", Type="String", Tags=[{"Key": "a", "Value": "1"}])
    which = {"ResourceType": "Parameter", "ResourceId": path}
    ssm.add_tags_to_resource(**which, Tags=[{"Key": "b", "Value": "2"}])
    ssm.remove_tags_from_resource(**which, TagKeys=["a"])
    assert ssm.list_tags_for_resource(**which)["TagList"] == [{"Key": "b", "Value": "2"}]
    with aws.refused("ValidationException", "can't be used together"):
        ssm.put_parameter(Name=path, Value="y", Overwrite=True, Tags=[{"Key": "c", "Value": ""}])
    with aws.refused("TooManyTagsError"):
        ssm.add_tags_to_resource(**which, Tags=[{"Key": str(n), "Value": ""} for n in range(50)])
    ssm.delete_parameter(Name=path)
    with aws.refused("InvalidResourceId"):
        ssm.list_tags_for_resource(**which)
    with aws.refused("InvalidResourceType"):
        ssm.list_tags_for_resource(ResourceType="Document", ResourceId=path)


def test_what_is_refused(ssm, path):
    good = {"Name": path, "Value": "x", "Type": "String"}
    for changed, code, text in [
        ({"Name": "awsome"}, "ValidationException", "can't be prefixed"),
        ({"Name": "a/b"}, "ValidationException", "fully qualified"),
        ({"Name": "/x" * 16}, "HierarchyLevelLimitExceededException", "15"),
        ({"Value": ""}, "ValidationException", "length"),
        ({"Value": "x" * 4097}, "ValidationException", "advanced-parameter tier"),
        ({"Value": "x" * 8193, "Tier": "Advanced"}, "ValidationException", "8192"),
        ({"Type": None}, "ValidationException", "type is required"),
        ({"Type": "Number"}, "ValidationException", "enum value set"),
        ({"Tier": "Free"}, "ValidationException", "enum value set"),
        ({"KeyId": "x"}, "ValidationException", "SecureString"),
        ({"DataType": "number"}, "ValidationException", "data type"),
        ({"AllowedPattern": r"^\d+$"}, "ParameterPatternMismatchException", "allowedPattern"),
        ({"AllowedPattern": "("}, "InvalidAllowedPatternException", "("),
        ({"Policies": '[{"Type": "Expiration"}]'}, "ValidationException", "Policies"),
        ({"Tags": [{"Key": "aws:x", "Value": ""}]}, "ValidationException", "reserved"),
    ]:
        with aws.refused(code, text):
            ssm.put_parameter(**{name: value for name, value in {**good, **changed}.items() if value is not None})
    with aws.refused("ParameterNotFound"):
        ssm.get_parameter(Name=path)
    ssm.put_parameter(**good)
    with aws.refused("ParameterAlreadyExists"):  # both would have one ARN
        ssm.put_parameter(**{**good, "Name": path.lstrip("/")})


def test_a_tier_is_kept(ssm, path):
    assert ssm.put_parameter(Name=path, Value="x", Type="String", Tier="Intelligent-Tiering")["Tier"] == "Standard"
    large = ssm.put_parameter(Name=path, Value="x" * 5000, Overwrite=True, Tier="Intelligent-Tiering")
    assert large["Tier"] == "Advanced"
    assert ssm.put_parameter(Name=path, Value="x", Overwrite=True)["Tier"] == "Advanced"
    with aws.refused("ValidationException", "downgrade"):
        ssm.put_parameter(Name=path, Value="x", Overwrite=True, Tier="Standard")


def test_an_agent_reads_its_configuration_with_the_cli(server, ssm, path):
    configuration = '{"logs": {"logs_collected": {"windows_events": {"collect_list": []}}}}'
    name = f"{path}/AmazonCloudWatch-windows"
    ssm.put_parameter(Name=name, Value=configuration, Type="String")
    shown = aws.cli(server, "ssm", "get-parameter", "--name", name, "--query", "Parameter.Value")
    assert shown == configuration
    listed = aws.cli(server, "ssm", "describe-parameters", "--parameter-filters", f"Key=Name,Values={name}")
    assert [one["Tier"] for one in listed["Parameters"]] == ["Standard"]


def test_parameters_outlive_a_crash(fresh):
    server = fresh().start()
    ssm = aws.client(server, "ssm")
    ssm.put_parameter(Name="/a", Value="one", Type="String", Tags=[{"Key": "k", "Value": "v"}])
    ssm.put_parameter(Name="/a", Value="two", Overwrite=True)
    server.kill()
    server.start()
    ssm = aws.client(server, "ssm")
    assert [one["Value"] for one in ssm.get_parameter_history(Name="/a")["Parameters"]] == ["one", "two"]
    tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="/a")["TagList"]
    assert tags == [{"Key": "k", "Value": "v"}]
    assert "one" not in server.tail() and "two" not in server.tail()
