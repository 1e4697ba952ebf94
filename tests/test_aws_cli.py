"""Version 2 of the AWS command line, for what version 1 cannot do: `logs tail`. The other tests call version 1."""

import queue
import subprocess
import threading

import pytest
from support import aws
from support.server import ACCESS_KEY, REGION, SECRET_KEY

# Where Debian has it. By its path: in PATH it would hide version 1, or be hidden.
AWS = "/usr/bin/aws"
LINE_SECONDS_MAX = 20


def missing() -> str:
    try:
        told = subprocess.run([AWS, "--version"], capture_output=True, text=True, timeout=30)
    except OSError:
        return f"no {AWS}: scripts/setup installs it where it can"
    return "" if told.stdout.startswith("aws-cli/2.") else f"{AWS} is {told.stdout.strip()}"


pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


def command(server, *arguments) -> dict:
    """What a process needs to be started with."""
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_DEFAULT_REGION": REGION}
    return {
        "args": [AWS, "--endpoint-url", server.url, "logs", "tail", *arguments],
        "env": {**server.env, **keys, "PYTHONUNBUFFERED": "1"},
        "text": True,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }


def tail(server, *arguments) -> list[str]:
    done = subprocess.run(**command(server, *arguments), timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_group_is_shown_as_it_came(server, logs, group, put):
    logs.create_log_stream(logGroupName=group, logStreamName="t")
    now = aws.now_ms()
    put("old", at_ms=now - 3_600_000)
    put("denied 1", "allowed 2", at_ms=now - 2_000)
    put("denied 3", at_ms=now - 1_000, stream="t")
    told = tail(server, group, "--since", "10m", "--format", "short")
    assert [line.split(" ", 1)[1] for line in told] == ["denied 1", "allowed 2", "denied 3"]
    some = tail(server, group, "--since", "2h", "--filter-pattern", "denied", "--log-stream-names", "s")
    assert [line.split(" ", 2)[1:] for line in some] == [["s", "denied 1"]]


def test_a_group_is_followed(server, group, put):
    put("first")
    following = subprocess.Popen(**command(server, group, "--follow", "--since", "10m", "--format", "short"))
    lines: queue.Queue = queue.Queue()
    threading.Thread(target=lambda: [lines.put(line) for line in following.stdout], daemon=True).start()
    try:
        for message in ("first", "second", "third"):
            if message != "first":
                put(message)
            assert lines.get(timeout=LINE_SECONDS_MAX).rstrip().endswith(message), following.poll()
    finally:
        following.kill()
        following.wait()
    # Each line once, although every poll asks for the newest again.
    assert lines.empty()
