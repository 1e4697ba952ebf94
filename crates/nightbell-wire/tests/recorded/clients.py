"""Records what the AWS SDKs for JavaScript (versions 2 and 3) and Terraform's AWS provider send and how they sign, as fixtures for the
tests of nightbell-wire.

Run `.venv/bin/python crates/nightbell-wire/tests/recorded/clients.py`, after scripts/setup and with a development build. It writes
`clients.json`; named parts (js2, js3, files, destinations) are recorded alone, and the others stay. The JavaScript clients speak to
a listener that answers nothing. Terraform wants answers, so it builds the stack of files, and that of `destinations`, through a proxy
before the program itself; its clock cannot be stopped, so its requests are of the day of the recording.
"""

import base64
import http.client
import http.server
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[3] / "tests"))

from support import server as program  # noqa: E402
from support import terraform  # noqa: E402

PORT = 4599
ENDPOINT = f"http://127.0.0.1:{PORT}"
REGION = "eu-central-1"
KEY = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
# What is kept of Terraform's requests, the first of each.
KEPT = {
    "logs": {"CreateLogGroup", "PutMetricFilter", "ListTagsForResource"},
    "monitoring": {"PutMetricAlarm", "PutCompositeAlarm", "DescribeAlarms"},
    "sns": {"CreateTopic", "SetTopicAttributes", "Subscribe"},
    "sts": {"GetCallerIdentity"},
    "lambda": {"CreateFunction", "GetFunction", "AddPermission", "GetPolicy", "ListVersionsByFunction", "DeleteFunction"},
    "firehose": {"CreateDeliveryStream", "DescribeDeliveryStream", "ListTagsForDeliveryStream", "DeleteDeliveryStream"},
}
# What is asked by path.
PATHS = [
    (r"POST /2015-03-31/functions/[^/]+/invocations", "Invoke"),
    (r"GET /2015-03-31/functions/[^/]+$", "GetFunction"),
    (r"POST /2015-03-31/functions$", "CreateFunction"),
    (r"DELETE /2015-03-31/functions/[^/]+$", "DeleteFunction"),
    (r"POST /2015-03-31/functions/[^/]+/policy$", "AddPermission"),
    (r"GET /2015-03-31/functions/[^/]+/policy$", "GetPolicy"),
    (r"DELETE /2015-03-31/functions/[^/]+/policy/[^/]+$", "RemovePermission"),
    (r"GET /2015-03-31/functions/[^/]+/versions(\?|$)", "ListVersionsByFunction"),
    (r"GET /2020-06-30/functions/[^/]+/code-signing-config$", "GetFunctionCodeSigningConfig"),
]
VOLATILE = {"user-agent", "amz-sdk-invocation-id", "amz-sdk-request", "x-amzn-trace-id"}

seen = []
# Who speaks, and whom the requests are handed on to, if anybody.
speaking = {"client": "", "behind": None}


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen.append({"client": speaking["client"], **self.recorded(body)})
        status, headers, answer = self.handed_on(body) if speaking["behind"] else (500, [], b"")
        # Without a Date: the JavaScript clients would set their clocks by it.
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def recorded(self, body):
        signed = self.headers.get("Authorization", "").partition("SignedHeaders=")[2].partition(",")[0].split(";")
        headers = [[n, v] for n, v in self.headers.items() if n.lower() not in VOLATILE or n.lower() in signed]
        return {"method": self.command, "uri": self.path, "headers": headers, "body": base64.b64encode(body).decode()}

    def handed_on(self, body):
        connection = http.client.HTTPConnection(*speaking["behind"], timeout=30)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any

    def log_message(self, *_):
        pass


def header(request, name):
    return next((value for key, value in request["headers"] if key.lower() == name), "")


def service(request):
    return header(request, "authorization").split("/")[3]


def operation(request):
    """The operation, by the protocol: in a header, in the path or in the form."""
    target = header(request, "x-amz-target").rpartition(".")[2]
    path = re.search(r"/operation/(\w+)$", request["uri"])
    asked = next((name for pattern, name in PATHS if re.match(pattern, f"{request['method']} {request['uri']}")), "")
    form = urllib.parse.parse_qs(base64.b64decode(request["body"]).decode(errors="replace"))
    return target or (path and path[1]) or asked or form["Action"][0]


def javascript(version):
    speaking.update(client=f"js{version}", behind=None)
    env = {**os.environ, **KEY, "AWS_ENDPOINT_URL": ENDPOINT, "AWS_REGION": REGION}
    env["AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE"] = "1"
    subprocess.run(["node", HERE / "clients.mjs", f"v{version}"], check=True, env=env)


def built_by_terraform(folder, example, without):
    instance = program.Server(folder / "server", *streams(folder), root_key=False)
    instance.env.update({f"NIGHTBELL_ROOT_{name.removeprefix('AWS_')}": value for name, value in KEY.items()})
    instance.start()
    try:
        speaking.update(client="terraform", behind=(instance.host, instance.port))
        stack = terraform.Stack(instance, example, folder, without)
        stack.env.update(KEY, AWS_ENDPOINT_URL=ENDPOINT, AWS_REGION=REGION)
        with zipfile.ZipFile(stack.folder / "notify.zip", "w") as package:
            package.writestr(zipfile.ZipInfo("index.mjs"), "export const handler = async () => 1;\n")
        stack.init()
        stack.apply()
        if example == "destinations":
            stack.destroy()
    finally:
        instance.stop()


def streams(folder):
    """Delivery streams are made where there is a key for buckets, whatever lies behind it."""
    key = folder / "streams-key"
    key.write_text("key\nsecret\n")
    return "--streams-endpoint", "http://127.0.0.1:9", "--streams-key-file", str(key)


def files():
    with tempfile.TemporaryDirectory() as folder:
        parts = {"dashboard.tf", "identity.tf", "mail.tf", "parameter.tf"}
        built_by_terraform(Path(folder), "files", parts)


def destinations():
    terraform.STACKS = HERE
    with tempfile.TemporaryDirectory() as folder:
        built_by_terraform(Path(folder), "destinations", set())


PARTS = {"js2": lambda: javascript(2), "js3": lambda: javascript(3), "files": files, "destinations": destinations}


def kept(requests):
    """Each request under its name, the first of each name; of Terraform's those in KEPT."""
    named = {}
    for request in requests:
        client = request.pop("client")
        one = service(request), operation(request)
        if client != "terraform" or one[1] in KEPT.get(one[0], ()):
            named.setdefault(".".join((client, *one)), request)
    return [{"name": name, **request} for name, request in named.items()]


def main():
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Recorder)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
    found = kept(seen)
    # What was there stays in its place; a request of a name that was recorded again is the new one.
    there = json.loads((HERE / "clients.json").read_text()) if sys.argv[1:] else []
    named = {one["name"]: one for one in [*there, *found]}
    (HERE / "clients.json").write_text(json.dumps([*named.values()], indent=1) + "\n")
    print(len(found), "of", len(seen), "requests")


main()
