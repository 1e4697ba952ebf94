"""A real web server of the test's own, to which topics deliver: what came, and what it answers."""

import base64
import datetime
import http.server
import ipaddress
import json
import ssl
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.x509.oid import NameOID

WAIT_SECONDS_MAX = 30
POLL_SECONDS = 0.05
# What a receiver signs again, in the order of npm's sns-validator.
SIGNED = {
    "Notification": ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
    "SubscriptionConfirmation": ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
}
SIGNED["UnsubscribeConfirmation"] = SIGNED["SubscriptionConfirmation"]


@dataclass
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def kind(self) -> str:
        return self.headers.get("x-amz-sns-message-type", "")

    @property
    def document(self) -> dict:
        return json.loads(self.body)


class Hook:
    """The server. `answers` are the status codes of the next requests; after them it is 200. `pause` holds each answer back."""

    def __init__(self, certificate: tuple[Path, Path] | None = None):
        self.received: list[Received] = []
        self.answers: list[int] = []
        self.headers: dict[str, str] = {}
        self.pause = threading.Event()
        self.pause.set()
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {k.lower(): v for k, v in self.headers.items()}
                hook.received.append(Received(self.path, headers, body))
                hook.pause.wait(WAIT_SECONDS_MAX)
                self.send_response(hook.answers.pop(0) if hook.answers else 200)
                for name, value in hook.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    def url(self, path: str) -> str:
        return f"{self.scheme}://{self.address}{path}"

    def at(self, path: str, kind: str = "") -> list[Received]:
        return [r for r in list(self.received) if r.path == path and (not kind or r.kind == kind)]

    def wait(self, path: str, kind: str, count: int = 1) -> list[Received]:
        """The requests of this kind, as soon as there are `count`."""
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while len(found := self.at(path, kind)) < count:
            assert time.monotonic() < deadline, [(r.path, r.kind) for r in self.received]
            time.sleep(POLL_SECONDS)
        return found

    def close(self):
        self.pause.set()
        self.server.shutdown()
        self.server.server_close()


def string_to_sign(document: dict) -> bytes:
    """What npm's sns-validator makes of a document."""
    keys = [key for key in SIGNED[document["Type"]] if key in document]
    return "".join(f"{key}\n{document[key]}\n" for key in keys).encode()


def verify(document: dict):
    """Checks the signature by the certificate that the document names."""
    with urllib.request.urlopen(document["SigningCertURL"], timeout=10) as answer:
        certificate = x509.load_pem_x509_certificate(answer.read())
    certificate.public_key().verify(certificate.signature, certificate.tbs_certificate_bytes, padding.PKCS1v15(), hashes.SHA256())
    digest = {"1": hashes.SHA1(), "2": hashes.SHA256()}[document["SignatureVersion"]]
    certificate.public_key().verify(
        base64.b64decode(document["Signature"]), string_to_sign(document), padding.PKCS1v15(), digest
    )
    assert certificate.not_valid_before_utc <= datetime.datetime.now(datetime.UTC) < certificate.not_valid_after_utc


def authority(folder: Path) -> tuple[Path, tuple[Path, Path]]:
    """A certificate authority of one test's own: its certificate, and those of a server at 127.0.0.1."""

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def certificate(subject: str, key, issuer: str, by, *extensions):
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=9))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = folder / "ca.pem"
    ca.write_bytes(certificate("ca", ca_key, "ca", ca_key, x509.BasicConstraints(ca=True, path_length=None)))
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    (folder / "server.pem").write_bytes(certificate("server", key, "ca", ca_key, host))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.key").write_bytes(private)
    return ca, (folder / "server.pem", folder / "server.key")
