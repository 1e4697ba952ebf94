"""The README is run, not believed: its commands against a fresh server, in the order they stand there.

That the examples hold the same commands, and that links lead somewhere, is `test_docs.py`'s business.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from support.server import REPOSITORY, binary

README = (REPOSITORY / "README.md").read_text()
# The README as {heading: its shell blocks, in order}.
SECTIONS = {
    part.split("\n", 1)[0]: re.findall(r"```sh\n(.*?)```", part, re.S)
    for part in re.split(r"^## ", README, flags=re.M)[1:]
}
SECONDS_MAX = 120
JOBS = ["The files job", "The logons job", "The short way", "Asking, keeping, proving", "As on AWS"]


def test_its_jobs_do_what_it_says(fresh):
    server = fresh().start()
    (server.folder / "bin").mkdir()
    (server.folder / "bin" / "nightbell").symlink_to(binary())
    path = [str(server.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    blocks = [block for job in JOBS for block in SECTIONS[job]]
    done = subprocess.run(
        ["bash", "-c", "\n".join(["set -euo pipefail", 'eval "$(nightbell env)"', *blocks])],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        stdin=subprocess.DEVNULL,
        env={**server.env, "PATH": os.pathsep.join(path), "NIGHTBELL_DATA": str(server.data)},
        cwd=REPOSITORY,
    )
    assert done.returncode == 0, done.stderr
    # The subjects it shows are those of the mails just printed; a long header is folded there.
    printed = re.sub(r"\n[ \t]+", " ", done.stdout)
    for subject in re.findall(r"```text\nSubject: (.*)", README):
        assert subject in printed, done.stdout


def test_its_make_targets_exist():
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in set(re.findall(r"`make (\w+)`|^    make (\w+)|^make (\w+)", README, flags=re.M)):
        name = "".join(target)
        assert re.search(rf"^{name}:", makefile, flags=re.M), f"no target {name}"
