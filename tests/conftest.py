"""Fixtures: one program and one mail server for all tests that leave both as they were, fresh ones for the others."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from support import aws  # noqa: E402
from support.mail import Mailbox  # noqa: E402
from support.server import Server, binary  # noqa: E402


def pytest_sessionstart(session):
    if not binary().exists():
        pytest.exit(f"{binary()} is not built: run `cargo build --workspace`", returncode=2)


@pytest.fixture(scope="session")
def mailbox(tmp_path_factory):
    """A real SMTP server. Tests tell their mails apart by the recipient."""
    box = Mailbox(tmp_path_factory.mktemp("mail"))
    yield box
    box.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory, mailbox):
    """The program, shared: every test makes its own groups, alarms and topics. It must survive them all."""
    instance = Server(tmp_path_factory.mktemp("server"), smtp=mailbox.url).start()
    yield instance
    assert instance.running(), instance.tail()
    assert instance.stop() == 0, instance.tail()


@pytest.fixture
def fresh(tmp_path):
    """Makes installations of one test's own; whatever still runs at the end is stopped and must stop cleanly."""
    made = []

    def make(*arguments, **options) -> Server:
        instance = Server(tmp_path / f"server-{len(made)}", *arguments, **options)
        made.append(instance)
        return instance

    yield make
    for instance in made:
        if instance.running():
            assert instance.stop() == 0, instance.tail()


@pytest.fixture
def own_mailbox(tmp_path):
    """An SMTP server of one test's own, to be told to refuse."""
    box = Mailbox(tmp_path / "mail")
    yield box
    box.close()


@pytest.fixture
def logs(server):
    return aws.client(server, "logs")


@pytest.fixture
def cloudwatch(server):
    return aws.client(server, "cloudwatch")


@pytest.fixture
def sns(server):
    return aws.client(server, "sns")


@pytest.fixture
def group(logs):
    """A log group with the stream `s`."""
    name = aws.unique("/aws/fsx/windows")
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    return name


@pytest.fixture
def put(logs, group):
    """Stores messages in the group, all at one moment (now, unless told otherwise), and gives the answer."""

    def store(*messages, at_ms=None, stream="s"):
        at_ms = aws.now_ms() if at_ms is None else at_ms
        events = [{"timestamp": at_ms, "message": m} for m in messages]
        return logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    return store
