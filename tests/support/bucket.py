"""A server that speaks S3 (moto), as a process of its own that can be taken away and brought back with nothing lost.

What it holds lies in its memory, so being away is being stopped (SIGSTOP), or not listened to: see `away`.
"""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

import botocore.session

START_SECONDS_MAX = 60
BUCKET = "events"
KEY, SECRET = "AKIABUCKET0000000000", "bucket/only/0123456789abcdefghijklmnopq"


class BucketServer:
    def __init__(self, folder, authority=None):
        """`authority` is what `hook.authority` made: with it, the server is spoken to over TLS."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.ca, certificate = authority or (None, None)
        self.url = f"{'https' if authority else 'http'}://127.0.0.1:{self.port}"
        secure = ["-c", str(certificate[0]), "-k", str(certificate[1])] if authority else []
        self.log = (folder / "moto.log").open("wb")
        program = "from moto.server import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, "-H", "127.0.0.1", "-p", str(self.port), *secure],
            stdout=self.log,
            stderr=self.log,
            env={**os.environ, "MOTO_S3_CUSTOM_ENDPOINTS": self.url},
        )
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                context = ssl.create_default_context(cafile=str(self.ca)) if authority else None
                urllib.request.urlopen(f"{self.url}/moto-api/", timeout=5, context=context).close()
                break
            except (urllib.error.URLError, OSError):
                assert self.process.poll() is None and time.monotonic() < deadline, "moto did not start"
                time.sleep(0.1)
        self.client().create_bucket(Bucket=BUCKET)

    def client(self):
        return botocore.session.Session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            verify=str(self.ca) if self.ca else None,
        )

    def objects(self) -> list[str]:
        found = self.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return sorted(entry["Key"] for page in found for entry in page.get("Contents", []))

    def pause(self):
        """It takes connections and answers none."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        self.resume()
        self.process.kill()
        self.process.wait()
        self.log.close()
