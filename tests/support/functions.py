"""Functions to run: zips made of source text, interpreters and modules as a server is told of them."""

import base64
import io
import json
import shutil
import site
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from . import aws
from .server import ACCOUNT, REPOSITORY, Server

ROLE = f"arn:aws:iam::{ACCOUNT}:role/watcher"
NODE = shutil.which("node")
NODE_MODULES = REPOSITORY / "tests" / "js" / "node_modules"
# Another user cannot execute what lies in root's home, so the system's Python is taken where it fits the modules.
PYTHON = "/usr/bin/python3"
SECONDS_MAX = 30


def _fits(python: str) -> bool:
    said = subprocess.run([python, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True)
    return said.stdout.strip() == str(sys.version_info[:2])


def needs(runtime: str):
    """Skips where the interpreter or what it needs is missing, and says so."""
    if runtime == "node" and not NODE:
        pytest.skip("no node on this machine")
    if runtime == "python" and not (Path(PYTHON).exists() and _fits(PYTHON)):
        pytest.skip(f"{PYTHON} is not the version that awslambdaric was installed for")


def needs_module(name: str):
    if not (NODE_MODULES / name).is_dir():
        pytest.skip(f"the npm package {name} is not installed in tests/js/node_modules")


def settings(folder: Path, mode: str = "on", **more) -> list[str]:
    """The flags of a server that runs functions, with the modules of the tests."""
    modules = folder / "modules"
    (modules / "nodejs").mkdir(parents=True, exist_ok=True)
    [packages] = [path for path in site.getsitepackages() if path.endswith("site-packages")]
    if not (modules / "python").exists():
        (modules / "python").symlink_to(packages)
        (modules / "nodejs" / "node_modules").symlink_to(NODE_MODULES)
    flags = ["--functions", mode, "--functions-modules", str(modules), "--functions-python", PYTHON]
    if NODE:
        flags += ["--functions-node", NODE]
    for name, value in more.items():
        flags += [f"--functions-{name}", str(value)]
    return flags


def trust(server: Server) -> str:
    """Makes the role that functions of the tests work as, where it is not there; it may do everything."""
    iam = aws.client(server, "iam")
    statement = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    try:
        iam.create_role(RoleName="watcher", AssumeRolePolicyDocument=document)
    except iam.exceptions.EntityAlreadyExistsException:
        return ROLE
    iam.attach_role_policy(RoleName="watcher", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    return ROLE


def zipped(**files: str) -> bytes:
    """A zip of these files; in names, two underscores stand for the dot."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "."), text)
    return out.getvalue()


def make(client, source: str, runtime: str = "python3.11", file: str | None = None, **more) -> str:
    """A function of one file with the function `handler`, of a name of its own unless one is given; gives its name."""
    name = more.pop("name", None) or aws.unique("f")
    file = file or ("h__py" if runtime.startswith("python") else "h__js")
    client.create_function(
        FunctionName=name,
        Runtime=runtime,
        Handler="h.handler",
        Role=ROLE,
        Code={"ZipFile": zipped(**{file: source})},
        **{"Timeout": 20, "MemorySize": 256, **more},
    )
    return name


def call(client, name: str, event=None, **more):
    """Invokes and gives what the function gave, read, and the whole answer."""
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event), LogType="Tail", **more)
    return json.loads(answer["Payload"].read()), answer


def tail(answer) -> str:
    return base64.b64decode(answer["LogResult"]).decode()


def lines(server: Server, name: str, until: str, seconds: float = SECONDS_MAX) -> list[str]:
    """The function's log lines, once one of them holds `until`."""
    logs = aws.client(server, "logs")
    end = time.monotonic() + seconds
    found: list[str] = []
    while time.monotonic() < end:
        try:
            events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
            found = [event["message"] for event in events]
        except logs.exceptions.ResourceNotFoundException:
            pass
        if any(until in line for line in found):
            return found
        time.sleep(0.2)
    raise AssertionError(f"no line with {until!r} in {found}; {server.tail()}")
