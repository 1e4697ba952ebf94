"""Real AWS clients against the program, and, for what no client would send, hand-signed raw requests."""

import contextlib
import datetime
import functools
import hashlib
import hmac
import http.client
import json
import subprocess
import sys
import tempfile
import urllib.parse
import uuid
from pathlib import Path

import botocore.config
import botocore.loaders
import botocore.session
import pytest
from botocore.exceptions import ClientError

from .server import ACCESS_KEY, REGION, SECRET_KEY, Server

# The three protocols of CloudWatch metrics: what a client of each generation speaks.
PROTOCOLS = {
    "cbor": {},
    "json": {
        "protocol": "json",
        "protocols": ["json"],
        "jsonVersion": "1.0",
        "targetPrefix": "GraniteServiceVersion20100801",
    },
    "query": {"protocol": "query", "protocols": ["query"]},
}


@functools.cache
def _models(protocol: str) -> str:
    """A folder that holds CloudWatch's service model, restricted to one protocol."""
    folder = tempfile.TemporaryDirectory(prefix="nightbell-models-")
    _models_kept.append(folder)
    model = botocore.loaders.Loader().load_service_model("cloudwatch", "service-2")
    model = json.loads(json.dumps(model))
    model["metadata"].update(PROTOCOLS[protocol])
    path = Path(folder.name) / "cloudwatch" / model["metadata"]["apiVersion"]
    path.mkdir(parents=True)
    (path / "service-2.json").write_text(json.dumps(model))
    return folder.name


_models_kept: list = []


def client(
    server: Server,
    service: str,
    protocol: str = "",
    key: str = ACCESS_KEY,
    secret: str = SECRET_KEY,
    region: str = REGION,
    attempts: int = 1,
    timeout: float = 20,
):
    """A botocore client of the service, in the wire protocol it prefers or the one named."""
    session = botocore.session.Session()
    if protocol and PROTOCOLS[protocol]:
        session.register_component("data_loader", botocore.loaders.Loader(extra_search_paths=[_models(protocol)]))
    return session.create_client(
        service,
        region_name=region,
        endpoint_url=server.url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=botocore.config.Config(
            retries={"total_max_attempts": attempts, "mode": "standard"},
            connect_timeout=5,
            read_timeout=timeout,
            parameter_validation=False,
        ),
    )


def cli(server: Server, *arguments: str, check: bool = True):
    """One command of the AWS command-line interface; gives its JSON, its text, or the failed process."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "aws"), "--endpoint-url", server.url, "--output", "json", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={
            **server.env,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
        },
    )
    if not check:
        return done
    assert done.returncode == 0, f"aws {' '.join(arguments)}: {done.stderr}"
    try:
        return json.loads(done.stdout) if done.stdout.strip() else {}
    except json.JSONDecodeError:
        return done.stdout.strip()


@contextlib.contextmanager
def refused(code: str | tuple[str, ...] = (), text: str = "", status: int | tuple[int, ...] = 400):
    """The call inside is answered with this error; `text`, if given, stands in its message."""
    with pytest.raises(ClientError) as caught:
        yield caught
    answer = caught.value.response
    codes = (code,) if isinstance(code, str) else code
    if codes:
        assert answer["Error"]["Code"] in codes, answer
    statuses = (status,) if isinstance(status, int) else status
    assert answer["ResponseMetadata"]["HTTPStatusCode"] in statuses, answer
    assert text in answer["Error"].get("Message", ""), answer


def unique(prefix: str) -> str:
    """A name that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def now_ms() -> int:
    return int(datetime.datetime.now(datetime.UTC).timestamp() * 1000)


# --- raw requests ---------------------------------------------------------------------------------------------------


def sign(
    server: Server,
    service: str,
    body: bytes,
    headers: dict[str, str],
    path: str = "/",
    key: str = ACCESS_KEY,
    secret: str = SECRET_KEY,
    region: str = REGION,
    skew: datetime.timedelta = datetime.timedelta(),
    method: str = "POST",
) -> dict[str, str]:
    """The headers with a Signature Version 4 over them, written out by hand so that any part can be made wrong."""
    when = datetime.datetime.now(datetime.UTC) + skew
    stamp, day = when.strftime("%Y%m%dT%H%M%SZ"), when.strftime("%Y%m%d")
    signed = {k.lower(): v for k, v in headers.items()}
    signed.update({"host": f"{server.host}:{server.port}", "x-amz-date": stamp})
    names = ";".join(sorted(signed))
    canonical = "\n".join(
        [method, path, "", *(f"{n}:{signed[n]}" for n in sorted(signed)), "", names, hashlib.sha256(body).hexdigest()]
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signing_key = ("AWS4" + secret).encode()
    for part in (day, region, service, "aws4_request"):
        signing_key = hmac.new(signing_key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(signing_key, to_sign.encode(), hashlib.sha256).hexdigest()
    signed["authorization"] = f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return signed


def send(server: Server, body: bytes, headers: dict[str, str], path: str = "/", method: str = "POST"):
    """One request as given; gives status, headers and body."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def logs_headers(operation: str) -> dict[str, str]:
    return {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"Logs_20140328.{operation}"}


def form(**fields: str) -> bytes:
    return urllib.parse.urlencode(fields).encode()
