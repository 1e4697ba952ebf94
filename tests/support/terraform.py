"""Terraform with its real AWS provider, on a stack of examples/terraform, against the program under test.

Nothing is downloaded: the provider comes from a folder that holds it unpacked (NIGHTBELL_TF_PLUGINS, or /opt/tf-plugins).
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

from .server import ACCESS_KEY, REGION, REPOSITORY, SECRET_KEY, Server

STACKS = REPOSITORY / "examples" / "terraform"
PLUGINS = Path(os.environ.get("NIGHTBELL_TF_PLUGINS", "/opt/tf-plugins"))
RUN_SECONDS_MAX = 240
# What `plan -detailed-exitcode` says.
NO_CHANGES, CHANGES = 0, 2


def missing() -> str:
    """Why no stack can be built here; empty where one can."""
    if shutil.which("terraform") is None:
        return "no terraform in PATH"
    if not any(PLUGINS.glob("registry.terraform.io/hashicorp/aws/*/*")):
        return f"no AWS provider in {PLUGINS}: NIGHTBELL_TF_PLUGINS names the folder that holds it"
    return ""


class Stack:
    """A copy of one of the example stacks, and what Terraform says of it."""

    def __init__(self, server: Server, example: str, folder: Path, without: set[str], /, **variables):
        self.folder = folder / example
        shutil.copytree(STACKS / example, self.folder, ignore=lambda _, names: without & {*names})
        settings = folder / "terraform.rc"
        settings.write_text(f'provider_installation {{\n  filesystem_mirror {{ path = "{PLUGINS}" }}\n}}\n')
        self.variables = variables
        self.env = {
            **server.env,
            "TF_CLI_CONFIG_FILE": str(settings),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
            # One attempt for each request: what is not answered at the first is a finding.
            "AWS_MAX_ATTEMPTS": "1",
        }

    def init(self):
        self._run("init")

    def apply(self, **variables) -> dict[str, str]:
        """Builds or changes the stack; gives what was done to each resource. The variables stay as they are given."""
        self.variables |= variables
        return self._actions(self._run("apply", "-auto-approve", "-json"))

    def plan(self) -> dict[str, str]:
        """What an apply would do."""
        return self._actions(self._run("plan", "-detailed-exitcode", "-json", codes=(NO_CHANGES, CHANGES)))

    def destroy(self) -> dict[str, str]:
        """Takes the stack away."""
        return self._actions(self._run("destroy", "-auto-approve", "-json"))

    def outputs(self) -> dict:
        told = json.loads(self._run("output", "-json"))
        return {name: output["value"] for name, output in told.items()}

    def _run(self, command: str, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        takes = command in ("apply", "plan", "destroy")
        given = {f"TF_VAR_{name}": json.dumps(v) if not isinstance(v, str) else v for name, v in self.variables.items()}
        done = subprocess.run(
            ["terraform", command, *(["-no-color"] + ["-input=false"] * (takes or command == "init")), *arguments],
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS_MAX,
            stdin=subprocess.DEVNULL,
            env=self.env | given,
            cwd=self.folder,
        )
        assert done.returncode in codes, f"terraform {command}: {self._complaints(done.stdout)}\n{done.stderr}"
        return done.stdout

    @staticmethod
    def _lines(text: str) -> list[dict]:
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def _complaints(self, text: str) -> str:
        told = [line["diagnostic"] for line in self._lines(text) if line.get("type") == "diagnostic"]
        return "\n".join(f"{one.get('address', '')}: {one['summary']}: {one['detail']}" for one in told) or text[-4000:]

    def _actions(self, text: str) -> dict[str, str]:
        lines = [line for line in self._lines(text) if line["type"] == "planned_change"]
        return {line["change"]["resource"]["addr"]: line["change"]["action"] for line in lines}
