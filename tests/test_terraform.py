"""The stacks of examples/terraform, built, changed and taken away by Terraform with the provider that everybody has."""

import http.server
import json
import threading
import urllib.request
import zipfile

import pytest
from support import aws, terraform, windows
from support.aws import client, unique

# Files of the stacks that need services which are not served yet.
NOT_SERVED = {
    "files": set(),
    "logons": set(),
}
MAIL_SECONDS_MAX = 10
# With slack for a busy test machine.
HOOK_SECONDS_MAX = 100

pytestmark = pytest.mark.skipif(bool(terraform.missing()), reason=terraform.missing())


@pytest.fixture
def stack(server, tmp_path):
    """Makes a stack; what a failed test leaves standing is taken away."""
    made = []

    def make(example: str, /, **variables) -> terraform.Stack:
        one = terraform.Stack(server, example, tmp_path, NOT_SERVED[example], **variables)
        one.init()
        made.append(one)
        return one

    yield make
    for one in made:
        if (one.folder / "terraform.tfstate").exists():
            one.destroy()


def served(stack: terraform.Stack, file: str) -> bool:
    return (stack.folder / file).exists()


def changes(actions: dict[str, str]) -> set[str]:
    """What was done, whatever it was done to."""
    return {*actions.values()}


def left(server, name: str, group: str) -> list[str]:
    """What stands of the stack."""
    logs, cloudwatch, sns = (client(server, service) for service in ("logs", "cloudwatch", "sns"))
    alarms = cloudwatch.describe_alarms(AlarmNamePrefix=name, AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    found = [g["logGroupName"] for g in logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]]
    for metric in ("Denied", "Failed"):
        filters = logs.describe_metric_filters(metricName=metric, metricNamespace=name)["metricFilters"]
        found += [f["filterName"] for f in filters]
    found += [a["AlarmName"] for kind in ("MetricAlarms", "CompositeAlarms") for a in alarms[kind]]
    topics = [t["TopicArn"] for page in sns.get_paginator("list_topics").paginate() for t in page["Topics"]]
    subscribed = [s for page in sns.get_paginator("list_subscriptions").paginate() for s in page["Subscriptions"]]
    found += [arn for arn in topics if arn.rpartition(":")[2].startswith(name)]
    found += [s["SubscriptionArn"] for s in subscribed if s["TopicArn"].rpartition(":")[2].startswith(name)]
    return found + left_of_parts(server, name)


def left_of_parts(server, name: str) -> list[str]:
    """What stands of the parts that are built where their services are served."""
    parts = {
        "dashboard.tf": lambda: [
            d["DashboardName"] for d in client(server, "cloudwatch").list_dashboards()["DashboardEntries"]
        ],
        "parameter.tf": lambda: [
            p["Name"].removeprefix("AmazonCloudWatch-")
            for p in client(server, "ssm").describe_parameters()["Parameters"]
        ],
        "identity.tf": lambda: [
            *(u["UserName"] for u in client(server, "iam").list_users()["Users"]),
            *(p["PolicyName"] for p in client(server, "iam").list_policies(Scope="Local")["Policies"]),
        ],
        "archive.tf": lambda: [
            *client(server, "firehose").list_delivery_streams()["DeliveryStreamNames"],
            *(b["Name"] for b in client(server, "s3").list_buckets()["Buckets"]),
        ],
        "function.tf": lambda: [
            *(f["FunctionName"] for f in client(server, "lambda").list_functions()["Functions"]),
            *(r["RoleName"] for r in client(server, "iam").list_roles()["Roles"]),
        ],
        "sender.tf": lambda: client(server, "ses").list_identities()["Identities"],
    }
    missing = set().union(*NOT_SERVED.values())
    return [one for file, there in parts.items() if file not in missing for one in there() if one.startswith(name)]


def test_the_watch_of_files_is_built_changed_and_taken_away(server, mailbox, stack):
    name = unique("tf-files")
    group, address = f"/aws/fsx/{name}", f"{name}@example.org"
    files = stack("files", name=name, log_group=group, mail=address, servers=["fs1", "fs2"])
    assert changes(files.apply()) == {"create"}
    if served(files, "mail.tf"):
        mailbox.wait(address)[0].follow("ConfirmSubscription")
    # A subscription that is confirmed is no change, and neither is anything that the server filled in.
    assert files.plan() == {}

    logs, cloudwatch, sns = (client(server, service) for service in ("logs", "cloudwatch", "sns"))
    [there] = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert (there["retentionInDays"], there["metricFilterCount"]) == (90, 3)
    assert logs.list_tags_for_resource(resourceArn=there["logGroupArn"])["tags"] == {"purpose": "file audit"}
    assert files.outputs()["log_group"] == group
    topic = files.outputs()["topic"]
    assert json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])["Statement"][0]["Sid"] == "Alarms"
    if served(files, "identity.tf"):
        ships_and_nothing_else(server, files, group)

    # The stack does its work: six denied reads, and a mail that says so.
    at = aws.now_ms()
    events = [{"timestamp": at, "message": windows.denied_open(at_ms=at)} for _ in range(6)]
    logs.put_log_events(logGroupName=group, logStreamName="fs1", logEvents=events)
    if served(files, "mail.tf"):
        mail = mailbox.wait(address, 2, MAIL_SECONDS_MAX)[1]
        assert "alice" in mail.subject.lower(), mail.subject

    done = files.apply(denied_max=9, retention_days=30, servers=["fs1"], tags={"purpose": "audit", "owner": "security"})
    assert done.pop('aws_cloudwatch_log_stream.server["fs2"]') == "delete"
    assert changes(done) == {"update"}
    assert "aws_cloudwatch_metric_alarm.denied" in done
    assert files.plan() == {}
    [alarm] = cloudwatch.describe_alarms(AlarmNames=[f"{name}-denied"])["MetricAlarms"]
    assert alarm["Threshold"] == 9
    tags = [{"Key": "owner", "Value": "security"}, {"Key": "purpose", "Value": "audit"}]
    for told in (
        cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"]),
        sns.list_tags_for_resource(ResourceArn=topic),
    ):
        assert sorted(told["Tags"], key=lambda tag: tag["Key"]) == tags

    assert changes(files.destroy()) == {"delete"}
    assert left(server, name, group) == []


def ships_and_nothing_else(server, stack, group):
    """The key that the stack made writes into its group; it reads nothing, and another group is not for it."""
    out = stack.outputs()
    logs = client(server, "logs", key=out["shipper_key"], secret=out["shipper_secret"])
    events = [{"timestamp": aws.now_ms(), "message": "shipped"}]
    logs.put_log_events(logGroupName=group, logStreamName="fs2", logEvents=events)
    with aws.refused("AccessDeniedException"):
        logs.filter_log_events(logGroupName=group)
    with aws.refused("AccessDeniedException"):
        logs.put_log_events(logGroupName=f"{group}-other", logStreamName="fs2", logEvents=events)


class Hook(http.server.ThreadingHTTPServer):
    """A web hook that confirms what it is subscribed to, and keeps what it is told."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), HookAnswer)
        self.told = []
        self.came = threading.Condition()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    def wait(self, kind: str) -> dict:
        with self.came:
            assert self.came.wait_for(lambda: any(m["Type"] == kind for m in self.told), HOOK_SECONDS_MAX), self.told
            return next(m for m in self.told if m["Type"] == kind)


class HookAnswer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        with self.server.came:
            self.server.told.append(message)
            self.server.came.notify_all()
        if message["Type"] == "SubscriptionConfirmation":
            urllib.request.urlopen(message["SubscribeURL"], timeout=10).close()

    def log_message(self, *_):
        pass


@pytest.fixture
def hook():
    listening = Hook()
    yield listening
    listening.shutdown()
    listening.server_close()


def test_the_watch_of_logons_is_built_changed_and_taken_away(server, stack, hook):
    name = unique("tf-logons")
    group = f"security-{name}"
    variables = {"webhook": hook.url, "bucket": name, "sender": f"{name}@example.org"}
    logons = stack("logons", name=name, log_group=group, **variables)
    with zipfile.ZipFile(logons.folder / "notify.zip", "w") as package:
        package.write(logons.folder / "notify" / "index.mjs", "index.mjs")
    assert changes(logons.apply()) == {"create"}
    assert logons.plan() == {}

    logs, cloudwatch = client(server, "logs"), client(server, "cloudwatch")
    logs.create_log_stream(logGroupName=group, logStreamName="srv1")
    at = aws.now_ms()
    events = [{"timestamp": at, "message": windows.failed_logon(at_ms=at)} for _ in range(6)]
    logs.put_log_events(logGroupName=group, logStreamName="srv1", logEvents=events)
    if served(logons, "webhook.tf"):
        told = json.loads(hook.wait("Notification")["Message"])
        assert (told["AlarmName"], told["NewStateValue"]) == (f"{name}-guessing", "ALARM")

    done = logons.apply(failures_max=7, retention_days=30, tags={"owner": "operators"})
    assert changes(done) == {"update"}
    assert {"aws_cloudwatch_metric_alarm.guessing", "aws_cloudwatch_log_group.security"} <= {*done}
    assert logons.plan() == {}
    [alarm] = cloudwatch.describe_alarms(AlarmNames=[f"{name}-guessing"])["MetricAlarms"]
    assert alarm["Threshold"] == 7

    assert changes(logons.destroy()) == {"delete"}
    assert left(server, name, group) == []
