"""Writes `suite.json`: AWS's signing test suite for signature version 4, as the crate aws-sigv4 carries it (Apache-2.0, Copyright
Amazon.com, Inc. or its affiliates; taken there from aws-c-auth). Only its form is changed.

Run `python3 suite.py FOLDER` in this folder, where FOLDER is `aws-signing-test-suite/v4` of that crate.
"""

import base64
import json
import re
import sys
from pathlib import Path


def request(text):
    """A request as it stands in a file; lines that go on are joined, as HTTP asks of whoever receives them."""
    head, _, body = text.replace("\r\n", "\n").partition("\n\n")
    first, *lines = re.sub(r"\n[ \t]+", " ", head).split("\n")
    method, _, rest = first.partition(" ")
    headers = [line.partition(":") for line in lines if line]
    return {
        "method": method,
        "uri": rest.removesuffix(" HTTP/1.1"),
        "headers": [[name, value.strip()] for name, _, value in headers],
        "body": base64.b64encode(body.encode()).decode(),
    }


cases = []
for folder in sorted(Path(sys.argv[1]).iterdir()):
    for form in ("header", "query"):
        signed = folder / f"{form}-signed-request.txt"
        if signed.exists():
            cases.append({"name": f"{folder.name}.{form}", **request(signed.read_text())})
Path("suite.json").write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")
print(len(cases), "requests")
