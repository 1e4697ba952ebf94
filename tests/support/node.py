"""Programs for Node.js with the AWS SDKs of tests/js, run to their end against the program under test."""

import json
import shutil
import subprocess

from .server import ACCESS_KEY, REGION, REPOSITORY, SECRET_KEY, Server

FOLDER = REPOSITORY / "tests" / "js"
RUN_SECONDS_MAX = 60


def missing() -> str:
    """Why nothing can be run here; empty where it can."""
    if shutil.which("node") is None:
        return "no node in PATH"
    if not (FOLDER / "node_modules" / "aws-sdk").is_dir():
        return f"the SDKs are not in {FOLDER / 'node_modules'}: scripts/setup installs them where npm is"
    return ""


def run(server: Server, program: str, **job):
    """Hands the job to a program of tests/js; gives the JSON it prints. It finds the server as any client would."""
    env = {
        **server.env,
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": REGION,
        # Version 2 tells on stderr that it is maintained no longer.
        "AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE": "1",
    }
    done = subprocess.run(
        ["node", str(FOLDER / program)],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
        env=env,
        cwd=server.folder,
    )
    assert done.returncode == 0, f"{program}: {done.stderr[-4000:]}"
    return json.loads(done.stdout)
