"""Functions run for real: Python and JavaScript in processes of their own, over the Lambda Runtime API, with their output in
the log, and confined where the system allows it."""

import json
import os
import re
import socket
import time

import pytest
from support import aws
from support.aws import refused
from support.functions import NODE_MODULES, call, lines, make, needs, needs_module, settings, tail, trust, zipped
from support.server import ACCOUNT, REGION, Server

ECHO = {
    "python3.11": "import os\ndef handler(event, context):\n    print('seen', event)\n    return {'event': event, 'id': context.aws_request_id, 'env': dict(os.environ)}\n",
    "nodejs20.x": "exports.handler = async (event, context) => { console.log('seen', event); return { event, id: context.awsRequestId, env: process.env }; };\n",
}
RUNTIMES = list(ECHO)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """A server that runs functions."""
    folder = tmp_path_factory.mktemp("functions")
    instance = Server(folder, *settings(folder)).start()
    trust(instance)
    yield instance
    assert instance.running(), instance.tail()
    assert instance.stop() == 0, instance.tail()


@pytest.fixture(scope="module")
def lam(host):
    return aws.client(host, "lambda", timeout=90)


def has(runtime: str):
    needs("python" if runtime.startswith("python") else "node")


def is_confined(host) -> bool:
    return "functions run confined" in host.log.read_text()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_function_answers_and_its_lines_are_in_the_log(host, lam, runtime):
    has(runtime)
    name = make(lam, ECHO[runtime], runtime, Environment={"Variables": {"PLACE": "site 1"}})
    said, answer = call(lam, name, {"n": [1, "ä"]})
    assert answer["StatusCode"] == 200 and "FunctionError" not in answer, said
    assert answer["ExecutedVersion"] == "$LATEST"
    assert said["event"] == {"n": [1, "ä"]}
    env = said["env"]
    assert (env["PLACE"], env["AWS_REGION"], env["AWS_LAMBDA_FUNCTION_NAME"]) == ("site 1", REGION, name)
    assert env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256" and env["_HANDLER"] == "h.handler"
    assert env["AWS_LAMBDA_LOG_GROUP_NAME"] == f"/aws/lambda/{name}" and env["AWS_SESSION_TOKEN"]
    assert not [key for key in env if key.startswith("NIGHTBELL")]
    assert f"START RequestId: {said['id']}" in tail(answer) and "seen" in tail(answer)

    found = lines(host, name, "REPORT")
    assert found[0] == f"START RequestId: {said['id']} Version: $LATEST"
    assert "seen" in found[1] and found[2] == f"END RequestId: {said['id']}"
    assert re.match(
        r"REPORT RequestId: \S+\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 256 MB\tMax Memory Used: \d+ MB\t"
        r"Init Duration: [\d.]+ ms",
        found[3],
    )
    [stream] = aws.client(host, "logs").describe_log_streams(logGroupName=f"/aws/lambda/{name}")["logStreams"]
    assert stream["logStreamName"] == env["AWS_LAMBDA_LOG_STREAM_NAME"]
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream["logStreamName"])

    # The process stays warm: the second event goes to the same one.
    again, _ = call(lam, name, 2)
    assert again["env"]["AWS_LAMBDA_LOG_STREAM_NAME"] == stream["logStreamName"] and again["id"] != said["id"]


ERRORS = {
    "python3.11": ("def handler(event, context):\n    raise ValueError('no good')\n", "ValueError"),
    "nodejs20.x": ("exports.handler = async () => { throw new TypeError('no good'); };\n", "TypeError"),
}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_error_is_told(host, lam, runtime):
    has(runtime)
    source, kind = ERRORS[runtime]
    said, answer = call(lam, make(lam, source, runtime))
    assert answer["StatusCode"] == 200 and answer["FunctionError"] == "Unhandled"
    assert (said["errorType"], said["errorMessage"]) == (kind, "no good")
    assert kind in tail(answer)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_code_that_cannot_be_loaded_is_told(lam, runtime):
    has(runtime)
    said, answer = call(lam, make(lam, "nothing = 1\n" if runtime.startswith("p") else "module.exports = {};\n", runtime))
    assert answer["FunctionError"] == "Unhandled"
    assert said["errorType"] == "Runtime.HandlerNotFound", said


STYLES = {
    "callback": ("h__js", "exports.handler = (e, c, done) => setTimeout(() => done(null, { got: e.n }), 5);"),
    "succeed": ("h__js", "exports.handler = (e, c) => c.succeed({ got: e.n });"),
    "promise": ("h__cjs", "exports.handler = (e) => Promise.resolve({ got: e.n });"),
    "module": ("h__mjs", "export const handler = async (e) => ({ got: e.n });"),
}


@pytest.mark.parametrize("style", STYLES)
def test_handlers_of_every_style(lam, style):
    needs("node")
    file, source = STYLES[style]
    name = make(lam, source, "nodejs20.x", file)
    for n in (1, 2):
        said, answer = call(lam, name, {"n": n})
        assert said == {"got": n}, tail(answer)


def test_a02_a_function_that_takes_too_long_is_killed(host, lam):
    needs("python")
    source = "import time\ndef handler(event, context):\n    print('begins', flush=True)\n    time.sleep(event)\n    return 'done'\n"
    name = make(lam, source, Timeout=1)
    said, answer = call(lam, name, 60)
    assert answer["FunctionError"] == "Unhandled"
    assert said["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert "begins" in tail(answer) and "Task timed out after 1.00 seconds" in tail(answer)
    said, answer = call(lam, name, 0)
    assert said == "done", "another process takes the next event"


def test_a05_a_process_that_exits_is_told_and_another_is_started(lam):
    needs("python")
    source = "import os\ndef handler(event, context):\n    if event:\n        os._exit(event)\n    return 'here'\n"
    name = make(lam, source)
    assert call(lam, name, 0)[0] == "here"
    said, answer = call(lam, name, 7)
    assert answer["FunctionError"] == "Unhandled" and said["errorType"] == "Runtime.ExitError"
    assert said["errorMessage"].endswith("Error: Runtime exited with error: exit status 7")
    assert call(lam, name, 0)[0] == "here"


def test_a_function_has_the_memory_it_was_given_and_no_more(lam):
    needs("python")
    source = "import time\ndef handler(event, context):\n    kept = bytearray(event << 20)\n    time.sleep(1)\n    return len(kept)\n"
    name = make(lam, source, MemorySize=128)
    assert call(lam, name, 20)[0] == 20 << 20
    said, answer = call(lam, name, 300)
    assert (said["errorType"], answer["FunctionError"]) == ("Runtime.ExitError", "Unhandled")
    assert said["errorMessage"].endswith("signal: killed")


def test_other_code_and_other_variables_are_taken_at_once(lam):
    needs("python")
    name = make(lam, "import os\ndef handler(event, context):\n    return ['one', os.environ.get('A')]\n")
    assert call(lam, name)[0] == ["one", None]
    lam.update_function_configuration(FunctionName=name, Environment={"Variables": {"A": "b"}})
    assert call(lam, name)[0] == ["one", "b"]
    version = lam.publish_version(FunctionName=name)["Version"]
    source = "import os\ndef handler(event, context):\n    return ['two', os.environ.get('A')]\n"
    lam.update_function_code(FunctionName=name, ZipFile=zipped(h__py=source))
    assert call(lam, name)[0] == ["two", "b"]
    said, answer = call(lam, name, Qualifier=version)
    assert (said, answer["ExecutedVersion"]) == (["one", "b"], "1")


def test_a_function_has_no_more_processes_than_it_may(host, lam):
    needs("python")
    name = make(lam, "def handler(event, context):\n    return 1\n")
    lam.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with refused("TooManyRequestsException", "Rate Exceeded", status=429) as caught:
        lam.invoke(FunctionName=name)
    assert caught.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    lam.delete_function_concurrency(FunctionName=name)
    assert call(lam, name)[0] == 1


def test_an_event_that_nobody_waits_for_is_taken(host, lam):
    needs("python")
    name = make(lam, "def handler(event, context):\n    print('took', event['n'], context.aws_request_id)\n")
    answer = lam.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"n": 42}')
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b"")
    assert [line for line in lines(host, name, "END") if line.startswith("took 42 ")]
    assert lam.invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204


def test_a03_an_event_outlives_a_kill_and_is_tried_again_with_the_same_id(fresh, tmp_path):
    needs("python")
    server = fresh(*settings(tmp_path)).start()
    trust(server)
    client = aws.client(server, "lambda", timeout=60)
    source = "def handler(event, context):\n    print('try', context.aws_request_id, flush=True)\n    raise ValueError('no good')\n"
    name = make(client, source)
    client.invoke(FunctionName=name, InvocationType="Event")
    first = lines(server, name, "REPORT")
    server.kill()
    server.start()
    # The next attempt is due a minute after the first, whether the server was there all the time or not.
    end = time.monotonic() + 90
    while time.monotonic() < end:
        found = [line for line in lines(server, name, "REPORT") if line.startswith("try ")]
        if len(found) > 1:
            break
        time.sleep(1)
    assert len(found) > 1 and len(set(found)) == 1, (first, found)


def test_a_restart_keeps_functions_and_ends_their_processes(fresh, tmp_path):
    needs("python")
    server = fresh(*settings(tmp_path)).start()
    trust(server)
    client = aws.client(server, "lambda", timeout=60)
    name = make(client, "import os\ndef handler(event, context):\n    return os.environ['AWS_LAMBDA_LOG_STREAM_NAME']\n")
    first, _ = call(client, name)
    running = [pid for pid in os.listdir("/proc") if pid.isdigit() and mentions(pid, first)]
    assert running, "the process is there between two events"
    server.kill()
    server.start()
    end = time.monotonic() + 10
    while time.monotonic() < end and any(mentions(pid, first) for pid in running):
        time.sleep(0.1)
    assert not [pid for pid in running if mentions(pid, first)], "nothing of a killed server goes on"
    assert call(client, name)[0] != first


def mentions(pid: str, text: str) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return text.encode() in file.read()
    except OSError:
        return False


# --- who a function is, and what it reaches ---------------------------------------------------------------------------------------


def test_boto3_in_a_function_finds_this_server(host, lam):
    needs("python")
    source = """
import boto3
def handler(event, context):
    return [boto3.client('sts').get_caller_identity()['Arn'], boto3.client('logs').describe_log_groups(logGroupNamePrefix=event)['logGroups'][0]['logGroupName']]
"""
    name = make(lam, source, MemorySize=512)
    group = aws.unique("/of/functions")
    aws.client(host, "logs").create_log_group(logGroupName=group)
    said, answer = call(lam, name, group)
    assert said == [f"arn:aws:sts::{ACCOUNT}:assumed-role/watcher/{name}", group], tail(answer)


SDKS = {
    "aws-sdk": ("h__js", "const AWS = require('aws-sdk'); const logs = new AWS.CloudWatchLogs(); exports.handler = async (e) => (await logs.describeLogGroups({ logGroupNamePrefix: e }).promise()).logGroups[0].logGroupName;"),
    "@aws-sdk/client-cloudwatch-logs": ("h__mjs", "import { CloudWatchLogsClient, DescribeLogGroupsCommand } from '@aws-sdk/client-cloudwatch-logs'; const logs = new CloudWatchLogsClient(); export const handler = async (e) => (await logs.send(new DescribeLogGroupsCommand({ logGroupNamePrefix: e }))).logGroups[0].logGroupName;"),
}


@pytest.mark.parametrize("module", SDKS)
def test_sdks_for_javascript_in_a_function_find_this_server(host, lam, module):
    needs("node")
    needs_module(module)
    file, source = SDKS[module]
    group = aws.unique("/of/functions")
    aws.client(host, "logs").create_log_group(logGroupName=group)
    said, answer = call(lam, make(lam, source, "nodejs20.x", file, MemorySize=512), group)
    assert said == group, tail(answer)


def test_the_key_of_a_function_is_good_as_long_as_its_process(host, lam):
    needs("python")
    name = make(lam, "import os\ndef handler(event, context):\n    return {k: v for k, v in os.environ.items() if k.startswith('AWS_')}\n")
    env, _ = call(lam, name)

    def identity(token):
        import boto3

        session = boto3.session.Session(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], token, REGION)
        return session.client("sts", endpoint_url=host.url).get_caller_identity()["Arn"]

    assert identity(env["AWS_SESSION_TOKEN"]).endswith(f"assumed-role/watcher/{name}")
    for token in (None, "another"):
        with refused(("InvalidClientTokenId", "UnrecognizedClientException"), status=403):
            identity(token)
    # Other code ends the process, and with it the key.
    lam.update_function_code(FunctionName=name, ZipFile=zipped(h__py="def handler(event, context):\n    return 1\n"))
    assert call(lam, name)[0] == 1
    with refused(("InvalidClientTokenId", "UnrecognizedClientException"), status=403):
        identity(env["AWS_SESSION_TOKEN"])


def test_a_confined_function_reaches_this_server_and_nothing_else(host, lam, tmp_path):
    needs("python")
    if not is_confined(host):
        pytest.skip("this system does not allow namespaces, and the server said so")
    source = """
import glob, os, socket
def reaches(place):
    try:
        socket.create_connection(place, 2).close()
        return True
    except OSError:
        return False
def writes(path):
    try:
        with open(path, 'w') as file:
            file.write('x')
        os.remove(path)
        return True
    except OSError:
        return False
def reads(path):
    try:
        return bool(os.listdir(path) if os.path.isdir(path) else open(path, 'rb').read())
    except OSError:
        return False
def handler(event, context):
    status = open('/proc/self/status').read()
    return {
        'port': reaches(('127.0.0.1', event['port'])), 'server': reaches(('127.0.0.1', event['server'])),
        'outside': reaches(('192.0.2.1', 80)), 'endpoint': reaches(('127.0.0.1', 8600)),
        'written': [path for path in event['paths'] if writes(path)], 'tmp': writes('/tmp/x'),
        'read': [path for path in event['secrets'] if reads(path)],
        'processes': len(glob.glob('/proc/[0-9]*')), 'uid': os.getuid(),
        'capabilities': [line.split()[1] for line in status.splitlines() if line.startswith(('CapEff', 'CapPrm', 'CapBnd'))],
    }
"""
    name = make(lam, source)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        outside = tmp_path / "outside"
        outside.mkdir()
        outside.chmod(0o777)
        event = {
            "port": listener.getsockname()[1],
            "server": host.port,
            "paths": [f"{outside}/x", "/var/task/x", "/var/x", "/etc/x", "/run/x", "/x", "/usr/x", "/home/x", "/root/x"],
            "secrets": [str(host.data), str(host.data / "store"), str(host.data / "mailbox"), "/etc/shadow", "/run"],
        }
        said, answer = call(lam, name, event)
    expected = {"port": False, "server": event["server"] == 8600, "outside": False, "endpoint": True, "written": [], "tmp": True}
    assert {key: said[key] for key in expected} == expected, tail(answer)
    assert said["read"] == []
    assert said["processes"] <= 4, "the processes of others are not to be seen"
    assert {*said["capabilities"]} == {"0" * 16}
    if os.getuid() == 0:
        assert said["uid"] != 0


def test_a_server_says_how_functions_run(host):
    log = host.log.read_text()
    assert ("functions run confined" in log) != ("functions run UNCONFINED" in log)


# --- off, refused ----------------------------------------------------------------------------------------------------------------


def test_where_functions_are_off_they_are_kept_and_say_why_they_do_not_run(server):
    trust(server)
    client = aws.client(server, "lambda")
    name = make(client, ECHO["python3.11"])
    assert client.get_function(FunctionName=name)["Configuration"]["State"] == "Active"
    for kind in ("RequestResponse", "Event"):
        with refused("InvalidRuntimeException", 'functions = "on"', status=502):
            client.invoke(FunctionName=name, InvocationType=kind)
    client.delete_function(FunctionName=name)


def test_what_cannot_be_done_is_refused_with_the_reason(server):
    client = aws.client(server, "lambda")
    base = {"FunctionName": "x", "Runtime": "python3.11", "Handler": "h.handler", "Role": trust(server)}
    code = {"ZipFile": zipped(h__py="x")}
    rows = [
        ({"Code": {"S3Bucket": "b", "S3Key": "k"}}, "S3Bucket"),
        ({"Code": {"ImageUri": "i"}}, "ImageUri"),
        ({"Code": {"ZipFile": b"no zip"}}, "Could not unzip"),
        ({"Code": code, "Runtime": "ruby3.3"}, "nodejsN.x"),
        ({"Code": code, "Timeout": 901}, "timeout"),
        ({"Code": code, "Layers": ["arn:aws:lambda:x:1:layer:l:1"]}, "Layers"),
        ({"Code": code, "Environment": {"Variables": {"AWS_REGION": "x"}}}, "AWS_REGION"),
        ({"Code": code, "VpcConfig": {"SubnetIds": ["s"]}}, "VpcConfig"),
    ]
    for change, text in rows:
        with refused("InvalidParameterValueException", text):
            client.create_function(**{**base, **change})
    evil = zipped(**{"../../up__py": "x"})
    with refused("InvalidParameterValueException", "leads out"):
        client.create_function(**base, Code={"ZipFile": evil})
    for method in (client.get_function, client.delete_function, client.invoke, client.get_policy):
        with refused("ResourceNotFoundException", f"function:{'x'}", status=404):
            method(FunctionName="x")


def test_what_terraform_reads_back_is_there(server):
    trust(server)
    client = aws.client(server, "lambda")
    name = make(client, ECHO["python3.11"], Tags={"a": "1"}, Description="d", Publish=True)
    shown = client.get_function(FunctionName=name)
    assert shown["Code"]["RepositoryType"] == "S3" and shown["Code"]["Location"]
    assert shown["Tags"] == {"a": "1"}
    configuration = shown["Configuration"]
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    expected = {
        "FunctionArn": arn, "PackageType": "Zip", "State": "Active", "LastUpdateStatus": "Successful", "Version": "$LATEST",
        "Timeout": 20, "MemorySize": 256, "Description": "d", "Architectures": ["x86_64"], "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"}, "TracingConfig": {"Mode": "PassThrough"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"},
    }
    assert {key: configuration[key] for key in expected} == expected
    assert [v["Version"] for v in client.list_versions_by_function(FunctionName=name)["Versions"]] == ["$LATEST", "1"]
    assert "CodeSigningConfigArn" not in client.get_function_code_signing_config(FunctionName=name)
    assert name in [f["FunctionName"] for f in client.list_functions()["Functions"]]
    for named in (name, arn, f"function:{name}", f"{ACCOUNT}:function:{name}", f"{name}:$LATEST", f"{arn}:1"):
        assert client.get_function_configuration(FunctionName=named)["FunctionName"] == name

    client.tag_resource(Resource=arn, Tags={"b": "2", "c": "3"})
    client.untag_resource(Resource=arn, TagKeys=["a", "c"])
    assert client.list_tags(Resource=arn)["Tags"] == {"b": "2"}

    statement = client.add_permission(
        FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com", SourceArn="arn:aws:sns:x:1:t"
    )["Statement"]
    assert json.loads(statement)["Condition"] == {"ArnLike": {"AWS:SourceArn": "arn:aws:sns:x:1:t"}}
    policy = json.loads(client.get_policy(FunctionName=name)["Policy"])
    assert policy["Statement"] == [json.loads(statement)]
    with refused("ResourceConflictException", status=409):
        client.add_permission(FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com")
    client.remove_permission(FunctionName=name, StatementId="s")
    with refused("ResourceNotFoundException", status=404):
        client.get_policy(FunctionName=name)

    with refused("ResourceNotFoundException", "EventInvokeConfig", status=404):
        client.get_function_event_invoke_config(FunctionName=name)
    client.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=1)
    assert client.get_function_event_invoke_config(FunctionName=name)["MaximumRetryAttempts"] == 1
    client.delete_function_event_invoke_config(FunctionName=name)

    with refused("ResourceConflictException", "already exist", status=409):
        client.create_function(
            FunctionName=name, Runtime="python3.11", Handler="h.h", Role=configuration["Role"], Code={"ZipFile": zipped(h__py="x")}
        )
    with refused("PreconditionFailedException", status=412):
        client.update_function_configuration(FunctionName=name, Timeout=4, RevisionId="another")
    client.delete_function(FunctionName=name)
    with refused("ResourceNotFoundException", arn, status=404):
        client.get_function(FunctionName=name)


def test_a_large_zip_is_taken_and_a_payload_that_is_too_large_is_not(server):
    trust(server)
    client = aws.client(server, "lambda", timeout=60)
    import random

    noise = random.Random(1).randbytes(20 << 20).hex()
    name = make(client, "def handler(event, context):\n    return 1\n# " + noise)
    assert client.get_function_configuration(FunctionName=name)["CodeSize"] > 15 << 20
    client.delete_function(FunctionName=name)
