"""A real SMTP server in a process of its own, and what arrived there.

Run as a program it is the server: it writes each accepted mail, with its envelope, to a file of the folder it is
given. The class `Mailbox` starts it, reads the folder, and can tell it to refuse the next mails.
"""

import asyncio
import email
import email.policy
import json
import re
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

POLL_SECONDS = 0.02


@dataclass
class Mail:
    """One mail as the SMTP server accepted it."""

    sender: str
    recipients: list[str]
    arrived: float
    message: EmailMessage
    raw: bytes

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"])

    def part(self, kind: str) -> str:
        """The first part of the type, decoded."""
        for part in self.message.walk():
            if part.get_content_type() == kind:
                return part.get_content()
        raise AssertionError(f"no {kind} part in {self.message.get_content_type()}")

    @property
    def text(self) -> str:
        return self.part("text/plain")

    @property
    def html(self) -> str:
        return self.part("text/html")

    def link(self, containing: str) -> str:
        """The first address in the text that holds these letters."""
        for found in re.findall(r"https?://[^\s<>\"']+", self.text):
            if containing in found:
                return found
        raise AssertionError(f"no link with {containing} in:\n{self.text}")

    def follow(self, containing: str):
        """Opens the link as a person does, and presses the button of the page that asks for it."""
        link = self.link(containing)
        with urllib.request.urlopen(link, timeout=10) as page:
            asks = b'<form method="post">' in page.read()
        if asks:
            urllib.request.urlopen(link, data=b"", timeout=10).close()


class Mailbox:
    """The running SMTP server and its folder."""

    def __init__(self, folder: Path, port: int = 0):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(Path(__file__)), str(folder), str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.port = int(self.process.stdout.readline())

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=10)

    def refuse(self, code: int, times: int, stage: str = "data"):
        """The next `times` tries at the stage (rcpt or data) get this answer."""
        (self.folder / "refuse.tmp").write_text(json.dumps({"code": code, "times": times, "stage": stage}))
        (self.folder / "refuse.tmp").rename(self.folder / "refuse")

    def refusals(self) -> list[str]:
        """The tries refused so far: each one's address (at stage rcpt) or Message-ID (at stage data)."""
        path = self.folder / "refused.log"
        return path.read_text().splitlines() if path.exists() else []

    def mails(self, to: str = "", subject: str = "") -> list[Mail]:
        """What has arrived, oldest first, for the address and with these letters in the subject."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            kept = json.loads(path.read_text())
            raw = kept["data"].encode("latin-1")
            message = email.message_from_bytes(raw, policy=email.policy.default)
            mail = Mail(kept["sender"], kept["recipients"], kept["arrived"], message, raw)
            if (not to or to in mail.recipients) and subject in mail.subject:
                found.append(mail)
        return found

    def wait(self, to: str, count: int = 1, seconds: float = 10, subject: str = "") -> list[Mail]:
        """Waits until so many mails have arrived; more or fewer at the end of that time is the caller's to judge."""
        end = time.monotonic() + seconds
        while True:
            found = self.mails(to, subject)
            if len(found) >= count or time.monotonic() > end:
                assert len(found) >= count, f"{len(found)} of {count} mails to {to} after {seconds} s"
                return found
            time.sleep(POLL_SECONDS)

    def stays(self, to: str, count: int, seconds: float, subject: str = "") -> list[Mail]:
        """Watches that no further mail comes for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.mails(to, subject)
            assert len(found) <= count, [m.subject for m in found]
            time.sleep(5 * POLL_SECONDS)
        found = self.mails(to, subject)
        assert len(found) == count, [m.subject for m in found]
        return found


class _Handler:
    """aiosmtpd's callbacks: refuse if told to, else write the mail to a file."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.count = 0

    def refused(self, stage: str, what: str) -> str | None:
        path = self.folder / "refuse"
        if not path.exists():
            return None
        order = json.loads(path.read_text())
        if order["stage"] != stage or order["times"] <= 0:
            return None
        order["times"] -= 1
        temporary = self.folder / "refuse.new"
        temporary.write_text(json.dumps(order))
        temporary.rename(path)
        with (self.folder / "refused.log").open("a") as log:
            log.write(f"{what}\n")
        return f"{order['code']} refused by the test"

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = self.refused("rcpt", address)
        if answer:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        answer = self.refused("data", str(message["Message-ID"]))
        if answer:
            return answer
        self.count += 1
        kept = {
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "arrived": time.time(),
            "data": envelope.content.decode("latin-1"),
        }
        temporary = self.folder / f"{self.count:06}.tmp"
        temporary.write_text(json.dumps(kept))
        temporary.rename(self.folder / f"{self.count:06}.json")
        return "250 OK"


async def _serve(folder: Path, port: int):
    from aiosmtpd.smtp import SMTP

    handler = _Handler(folder)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, enable_SMTPUTF8=True), "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
