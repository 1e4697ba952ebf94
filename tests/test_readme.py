"""The README is run, not believed: its commands against a fresh server, its examples, its links."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.server import REGION, REPOSITORY, binary

README = (REPOSITORY / "README.md").read_text()
# The README as {heading: its shell blocks, in order}.
SECTIONS = {
    part.split("\n", 1)[0]: re.findall(r"```sh\n(.*?)```", part, re.S) for part in re.split(r"^## ", README, flags=re.M)[1:]
}
JOBS = ["The files job", "The logons job", "The short way"]


def shell(server, script: str, timeout: float = 120) -> subprocess.CompletedProcess:
    """A script in the project's folder, with the program, the AWS CLI and the server's settings at hand."""
    (server.folder / "bin").mkdir(exist_ok=True)
    program = server.folder / "bin" / "nightbell"
    if not program.exists():
        program.symlink_to(binary())
    path = os.pathsep.join([str(program.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**server.env, "PATH": path, "NIGHTBELL_DATA": str(server.data), "NIGHTBELL_REGION": REGION}
    return subprocess.run(
        ["bash", "-c", 'set -euo pipefail\neval "$(nightbell env)"\n' + script],
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        env=env,
        cwd=REPOSITORY,
    )


def test_its_jobs_do_what_it_says(fresh):
    server = fresh().start()
    script = "\n".join(block for job in JOBS for block in SECTIONS[job])
    done = shell(server, script)
    assert done.returncode == 0, done.stderr
    # The subjects it shows are those of the mails just printed; a long header is folded there.
    printed = re.sub(r"\n[ \t]+", " ", done.stdout)
    for subject in re.findall(r"```text\nSubject: (.*)", README):
        assert subject in printed, done.stdout


@pytest.mark.parametrize("name", ["files", "logons"])
def test_its_examples_run_the_same_steps(fresh, name):
    example = (REPOSITORY / "examples" / f"{name}.sh").read_text()
    for block in SECTIONS[f"The {name} job"]:
        for command in re.sub(r"\\\n\s*", "", block).strip().splitlines():
            assert command in re.sub(r"\\\n\s*", "", example), f"examples/{name}.sh lacks: {command}"
    done = shell(fresh().start(), f"examples/{name}.sh")
    assert done.returncode == 0 and "[ALARM]" in done.stdout, done.stderr


def test_its_links_lead_somewhere():
    pages = [p for p in REPOSITORY.rglob("*.md") if not set(p.parts) & {".venv", "target", ".git", "node_modules"}]
    broken = [
        f"{page.relative_to(REPOSITORY)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#\s]+)", re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.S))
        if "://" not in link and not link.startswith("mailto:") and not (page.parent / link).exists()
    ]
    assert broken == []


def test_its_make_targets_exist():
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in set(re.findall(r"`make (\w+)`|^    make (\w+)|^make (\w+)", README, flags=re.M)):
        name = "".join(target)
        assert re.search(rf"^{name}:", makefile, flags=re.M), f"no target {name}"
