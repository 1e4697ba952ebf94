"""The program under test as a process of its own: start, stop, kill, start again on the same folder.

Nothing here knows an operation of the API; `support.aws` speaks to what runs here.
"""

import os
import queue
import re
import signal
import subprocess
import threading
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 20

ACCESS_KEY = "AKIANIGHTBELLTESTS00"
SECRET_KEY = "tests/only/0123456789abcdefghijklmnopqrs"
ACCOUNT = "123456789012"
REGION = "us-east-2"


def binary() -> Path:
    """The program: NIGHTBELL_BIN, or the development build of this checkout."""
    named = os.environ.get("NIGHTBELL_BIN")
    if named:
        return Path(named)
    target = subprocess.run([REPOSITORY / "scripts" / "target-dir"], capture_output=True, text=True, check=True)
    return Path(target.stdout.strip()) / "debug" / "nightbell"


def environment(home: Path, **more: str) -> dict[str, str]:
    """A clean environment: nothing of the machine's own AWS or Nightbell settings gets in."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "NIGHTBELL_", "XDG_"))}
    kept.update(HOME=str(home), AWS_EC2_METADATA_DISABLED="true", AWS_PAGER="", **more)
    return kept


class Server:
    """One installation: a data folder and, while it runs, a process that serves it."""

    def __init__(self, folder: Path, *arguments: str, smtp: str | None = None, root_key: bool = True, **env: str):
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "stderr.log"
        self.arguments = list(arguments)
        self.smtp = smtp
        self.env = environment(folder, **env)
        if root_key:
            self.env["NIGHTBELL_ROOT_ACCESS_KEY_ID"] = ACCESS_KEY
            self.env["NIGHTBELL_ROOT_SECRET_ACCESS_KEY"] = SECRET_KEY
        self.host, self.port = "127.0.0.1", 0
        self.process: subprocess.Popen | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def start(self) -> "Server":
        """Starts the process and waits until it says that it listens: on any free port at first, then on the same."""
        command = [str(binary()), "serve", "--data", str(self.data), "--listen", f"127.0.0.1:{self.port}"]
        command += ["--account-id", ACCOUNT, "--region", REGION, *self.arguments]
        if self.smtp:
            command += ["--smtp", self.smtp]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, env=self.env, cwd=self.folder
            )
        lines: queue.Queue = queue.Queue()
        threading.Thread(target=self._read, args=(self.process.stdout, lines), daemon=True).start()
        seen = []
        while True:
            try:
                line = lines.get(timeout=START_SECONDS_MAX)
            except queue.Empty:
                line = None
            if line is None:
                self.kill()
                raise AssertionError(f"did not start. printed {seen}, log:\n{self.tail()}")
            seen.append(line)
            found = re.search(r"listening on (\S+):(\d+)", line)
            if found:
                self.host, self.port = found[1], int(found[2])
                return self

    @staticmethod
    def _read(stdout, lines):
        for raw in stdout:
            lines.put(raw.decode(errors="replace").rstrip())
        lines.put(None)

    def stop(self) -> int:
        """Ends the process as an operator does (SIGTERM) and gives its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=STOP_SECONDS_MAX)
        self.process = None
        return code

    def kill(self):
        """Ends the process as a power cut does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=STOP_SECONDS_MAX)
            self.process = None

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""


def run(*arguments: str, folder: Path, timeout: float = 60, **env: str) -> subprocess.CompletedProcess:
    """One command of the program, to its end."""
    return subprocess.run(
        [str(binary()), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        env=environment(folder, **env),
        cwd=folder,
    )
