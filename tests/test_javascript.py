"""Both jobs and the errors, through the AWS SDKs for JavaScript: version 2, whose functions are still around, and version 3."""

import re

import pytest
from support import aws, node, windows
from support.aws import unique
from support.server import ACCOUNT

MAIL_SECONDS_MAX = 10
SDKS = ["v2", "v3"]
JOBS = {
    "files": {
        "pattern": '"4656" "secret"',
        "statistic": "Sum",
        "period": 60,
        "event": windows.denied_open,
        "subject": ("alice", "denied", "6", "secret"),
    },
    "logons": {
        "pattern": "{ $.EventID = 4625 }",
        "statistic": "SampleCount",
        "period": 300,
        "event": windows.failed_logon,
        "subject": ("srv1", "6", "logon"),
    },
}

pytestmark = pytest.mark.skipif(bool(node.missing()), reason=node.missing())


def asked(sdk: str, kind: str) -> dict:
    """What a walk needs to know, with names of its own."""
    name = unique(f"{kind}-{sdk}")
    there = {"sdk": sdk, "name": name, "group": f"/js/{name}", "address": f"{name}@example.org"}
    return there | {part: JOBS[kind][part] for part in ("pattern", "statistic", "period")}


def exception(sdk: str, code: str) -> str:
    """Version 3 names errors as the models do, version 2 as they are sent."""
    return code if sdk == "v2" else f"{code}Exception"


@pytest.mark.parametrize("kind", JOBS)
@pytest.mark.parametrize("sdk", SDKS)
def test_the_job_is_done(server, mailbox, sdk, kind):
    walk = asked(sdk, kind)
    rule = node.run(server, "walk.mjs", step="rule", **walk)
    assert rule["account"] == ACCOUNT
    assert rule["subscription"] == "pending confirmation"
    assert rule["alarm"] == {"threshold": 5, "actions": [rule["topic"]]}
    assert rule["filters"] == [[walk["group"], walk["pattern"]]]

    [confirmation] = mailbox.wait(walk["address"])
    confirmation.follow("ConfirmSubscription")
    at = aws.now_ms()
    messages = [JOBS[kind]["event"](at_ms=at) for _ in range(6)]
    seen = node.run(server, "walk.mjs", step="events", topic=rule["topic"], messages=messages, at=at, **walk)
    assert seen["subscribers"] == [["email", walk["address"]]]
    assert seen["rejected"] is None
    assert seen["state"] == "ALARM"
    assert seen["found"] == 6
    assert seen["same"] == messages
    assert seen["history"][0].endswith("to ALARM")
    assert seen["sum"] == 6

    mail = mailbox.wait(walk["address"], 2, MAIL_SECONDS_MAX)[1]
    for word in JOBS[kind]["subject"]:
        assert word in mail.subject.lower(), mail.subject


@pytest.mark.parametrize("sdk", SDKS)
def test_errors_reach_the_caller_by_their_names(server, sdk):
    walk = asked(sdk, "files")
    topic = node.run(server, "walk.mjs", step="rule", **walk)["topic"]
    told = node.run(server, "walk.mjs", step="errors", topic=topic, **walk)
    assert told == {
        "twice": "ResourceAlreadyExistsException",
        "missing": "ResourceNotFoundException",
        "topic": exception(sdk, "NotFound"),
        "period": exception(sdk, "InvalidParameterValue"),
        "none": "ResourceNotFound",
    }


def test_live_tail_is_read_as_an_event_stream(server, logs, group):
    [found] = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    told = node.run(
        server,
        "tail.mjs",
        group=group,
        stream="s",
        arn=re.sub(r":\*$", "", found["arn"]),
        pattern="denied",
        messages=["allowed 1", "denied 2"],
    )
    assert told == {"kinds": ["sessionStart", "sessionUpdate"], "seen": ["denied 2"]}


@pytest.mark.parametrize("sdk", SDKS)
class TestOtherServices:
    @staticmethod
    def round(server, sdk, kind, **more) -> dict:
        return node.run(server, "services.mjs", sdk=sdk, round=kind, **more)

    def test_parameters(self, server, sdk):
        assert self.round(server, sdk, "parameters", name=unique("js")) == {
            "versions": [1, 2],
            "values": ['{"a": "ü"}', "{}"],
            "modified": True,
            "below": [True],
            "missing": "ParameterNotFound",
        }

    def test_users_and_keys(self, server, sdk):
        assert self.round(server, sdk, "users", name=unique("js")) == {
            "user": True,
            "policy": True,
            "keys": ["Active"],
            "missing": exception(sdk, "NoSuchEntity"),
        }

    def test_identities_and_mails(self, server, mailbox, sdk):
        name = unique("js")
        address = f"to-{name}@example.org"
        first = self.round(server, sdk, "identities", name=name, address=address, verified=False)
        assert first == {"state": "Pending", "refused": "MessageRejected", "id": None}
        [verification] = mailbox.wait(f"{name}@example.org")
        verification.follow("ConfirmVerification")
        second = self.round(server, sdk, "identities", name=name, address=address, verified=True)
        assert (second["state"], second["refused"]) == ("Success", None)
        [mail] = mailbox.wait(address)
        assert mail.subject == "Größe"
        assert "<b>Größe</b>" in mail.html

    def test_buckets(self, server, sdk):
        told = node.run(server, "buckets.mjs", sdk=sdk, name=unique("js"))
        assert told == {
            "etag": '"5d41402abc4b2a76b9719d911017c592"',
            "whole": "hello",
            "part": "ell",
            "type": "text/plain",
            "metadata": {"origin": "js"},
            "large": 300_000,
            "keys": ["a folder/ü + b.txt", "large.bin"],
            "missing": "NoSuchKey",
            "full": "BucketNotEmpty",
            "gone": "NoSuchBucket",
        }

    def test_functions(self, server, sdk):
        told = self.round(server, sdk, "functions", name=unique("js"))
        assert told == {"functions": [], "missing": "ResourceNotFoundException"}
