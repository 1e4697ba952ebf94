"""Records what botocore sends and how it signs, as fixtures for the tests of nightbell-wire.

Run `python3 record.py` in this folder with botocore 1.43 or newer. It starts a server on loopback, lets botocore speak to
it with a stopped clock and published example keys, and writes `requests.json` and `signatures.json`. It then reads
`answers.json` (what nightbell-wire writes) with botocore's parsers and fails if botocore understands anything else
than the file says.
"""

import base64
import datetime
import gzip
import http.server
import json
import threading
import types
from urllib.parse import urlsplit

import botocore.auth
import botocore.model
import botocore.parsers
import botocore.session
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

PORT = 4599
ENDPOINT = f"http://127.0.0.1:{PORT}"
ACCESS_KEY = "AKIDEXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEXAMPLE//session+token=="
NOW = datetime.datetime(2026, 1, 5, 10, 20, 30)
SUITE_NOW = datetime.datetime(2015, 8, 30, 12, 36, 0)

clock = [NOW]
botocore.auth.get_current_datetime = lambda remove_tzinfo=True: clock[0]
gzip.time = types.SimpleNamespace(time=lambda: 0)

seen = []


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        if self.headers.get("Expect"):
            self.send_response_only(100)
            self.end_headers()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        volatile = {"user-agent", "amz-sdk-invocation-id", "amz-sdk-request"}
        headers = []
        for name, value in self.headers.items():
            signed = f";{name.lower()}" in self.headers.get("Authorization", "")
            if name.lower() not in volatile or signed:
                headers.append([name, value])
        seen.append({
            "method": self.command,
            "uri": self.path,
            "headers": headers,
            "body": base64.b64encode(body).decode(),
        })
        self.send_response(500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = handle_any

    def log_message(self, *_):
        pass


def client(service, protocol=None, token=None):
    botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS = (
        (protocol,) if protocol else ("smithy-rpc-v2-cbor", "json", "rest-json", "rest-xml", "query", "ec2")
    )
    session = botocore.session.Session()
    session.set_credentials(ACCESS_KEY, SECRET_KEY, token)
    made = session.create_client(
        service, region_name="eu-central-1", endpoint_url=ENDPOINT, config=Config(retries={"total_max_attempts": 1})
    )
    return made


def call(name, made, operation, **params):
    start = len(seen)
    try:
        getattr(made, operation)(**params)
    except Exception:
        pass
    assert len(seen) == start + 1, name
    seen[-1] = {"name": name, **seen[-1]}


METRIC = dict(
    Namespace="Audit/Files",
    MetricData=[
        dict(
            MetricName="Denied",
            Dimensions=[dict(Name="Instance", Value="fs-01"), dict(Name="Folder", Value="\\secret\\Größe & Co")],
            Timestamp=datetime.datetime(2026, 1, 5, 10, 19, 0, 250000, tzinfo=datetime.timezone.utc),
            Value=3,
            Unit="Count",
            StorageResolution=1,
        ),
        dict(MetricName="Latency", Values=[0.5, 1e-7, 123456.75], Counts=[1, 2, 3]),
        dict(
            MetricName="Range",
            StatisticValues=dict(SampleCount=2, Sum=-7.25, Minimum=-8, Maximum=0.75),
            Timestamp=datetime.datetime(2026, 1, 5, 10, 19, 0, tzinfo=datetime.timezone.utc),
        ),
    ],
)
ALARM = dict(
    AlarmName="denied-access",
    ActionsEnabled=False,
    AlarmActions=["arn:aws:sns:eu-central-1:000000000000:security"],
    OKActions=[],
    ComparisonOperator="GreaterThanThreshold",
    EvaluationPeriods=3,
    DatapointsToAlarm=2,
    Threshold=5,
    TreatMissingData="notBreaching",
    Metrics=[
        dict(
            Id="m1",
            ReturnData=True,
            MetricStat=dict(
                Metric=dict(
                    Namespace="Audit/Files", MetricName="Denied", Dimensions=[dict(Name="Instance", Value="fs-01")]
                ),
                Period=60,
                Stat="Sum",
            ),
        )
    ],
    Tags=[dict(Key="team", Value="sec=ops")],
)


def record_requests():
    logs = client("logs")
    call(
        "logs.PutLogEvents", logs, "put_log_events", logGroupName="/audit/files", logStreamName="fs-01",
        logEvents=[
            dict(timestamp=1767608430123, message="<Event>denied \\secret\\ü</Event>"),
            dict(timestamp=1767608430124, message='{"EventID":4625}\n\u0007'),
        ],
    )
    call(
        "logs.PutMetricFilter", logs, "put_metric_filter", logGroupName="/audit/files", filterName="denied",
        filterPattern='{ $.Audit.Outcome = "failure" }',
        metricTransformations=[
            dict(metricName="Denied", metricNamespace="Audit", metricValue="1", defaultValue=0.5,
                 dimensions={"User": "$.Audit.User"})
        ],
    )
    call("logs.DescribeLogGroups", client("logs", token=TOKEN), "describe_log_groups")
    for protocol in ("smithy-rpc-v2-cbor", "json", "query"):
        watch = client("cloudwatch", protocol)
        call(f"cloudwatch.{protocol}.PutMetricData", watch, "put_metric_data", **METRIC)
        call(f"cloudwatch.{protocol}.PutMetricAlarm", watch, "put_metric_alarm", **ALARM)
        call(f"cloudwatch.{protocol}.DescribeAlarms", watch, "describe_alarms")
        call(
            f"cloudwatch.{protocol}.GetMetricStatistics", watch, "get_metric_statistics", Namespace="Audit",
            MetricName="Denied", StartTime=datetime.datetime(2026, 1, 5), EndTime=datetime.datetime(2026, 1, 6, 0, 0, 1),
            Period=60, Statistics=["Sum", "Maximum"],
        )
    many = [dict(MetricName="Denied", Value=float(n), Dimensions=[dict(Name="Instance", Value=f"fs-{n:05}")])
            for n in range(200)]
    call("cloudwatch.gzip.PutMetricData", client("cloudwatch"), "put_metric_data", Namespace="Audit", MetricData=many)
    sns = client("sns")
    call(
        "sns.Publish", sns, "publish", TopicArn="arn:aws:sns:eu-central-1:000000000000:security",
        Message="denied: 5 × fs-01\nsee https://example.org/?a=1&b=2", Subject="ALARM: denied",
        MessageAttributes={
            "severity": dict(DataType="String", StringValue="high"),
            "raw": dict(DataType="Binary", BinaryValue=b"\x00\xff\x10bytes"),
        },
    )
    call(
        "sns.CreateTopic", sns, "create_topic", Name="security.fifo",
        Attributes={"DisplayName": "Security", "FifoTopic": "true"}, Tags=[dict(Key="team", Value="sec")],
    )
    call("sns.ListTopics", sns, "list_topics")
    call("sts.GetCallerIdentity", client("sts", token=TOKEN), "get_caller_identity")
    url = sns.generate_presigned_url(
        "confirm_subscription", Params=dict(TopicArn="arn:aws:sns:eu-central-1:000000000000:security", Token="a1+b/2"),
        HttpMethod="GET", ExpiresIn=600,
    )
    presigned("sns.presigned.ConfirmSubscription", url)
    url = client("sts", token=TOKEN).generate_presigned_url("get_caller_identity", HttpMethod="GET", ExpiresIn=60)
    presigned("sts.presigned.GetCallerIdentity", url)
    for one in seen:
        host = [value for name, value in one["headers"] if name.lower() == "host"]
        assert host, one["name"]


def presigned(name, url):
    split = urlsplit(url)
    seen.append({
        "name": name, "method": "GET", "uri": f"{split.path or '/'}?{split.query}",
        "headers": [["Host", split.netloc]], "body": "",
    })


# The published example suite's inputs, and some of our own; botocore says what the signature is.
SIGNED = [
    ("get-vanilla", "GET", "/", {}, b""),
    ("get-vanilla-query", "GET", "/?Param1=value1", {}, b""),
    ("get-vanilla-query-order-key-case", "GET", "/?Param2=value2&Param1=value1", {}, b""),
    ("get-vanilla-empty-query-key", "GET", "/?Param1=value1", {}, b""),
    ("get-vanilla-query-order-value", "GET", "/?Param1=value2&Param1=value1", {}, b""),
    ("get-vanilla-query-unreserved", "GET",
     "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz="
     "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", {}, b""),
    ("get-unreserved", "GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", {}, b""),
    ("get-utf8", "GET", "/%E1%88%B4", {}, b""),
    ("get-space", "GET", "/example%20space/", {}, b""),
    ("get-relative", "GET", "/example/..", {}, b""),
    ("get-relative-relative", "GET", "/example1/example2/../..", {}, b""),
    ("get-slash", "GET", "//", {}, b""),
    ("get-slashes", "GET", "//example//", {}, b""),
    ("get-slash-dot-slash", "GET", "/./", {}, b""),
    ("get-slash-pointless-dot", "GET", "/./example", {}, b""),
    ("get-dots-above-root", "GET", "/../../example/./x/", {}, b""),
    ("get-header-value-trim", "GET", "/", {"My-Header1": " value1", "My-Header2": ' "a   b   c"  '}, b""),
    ("get-header-value-order", "GET", "/", {"My-Header1": "value4,value1,value3,value2"}, b""),
    ("get-escaped-query", "GET", "/?a%20key=a%2Fvalue%2B%26%3D&b=%E1%88%B4", {}, b""),
    ("get-empty-values", "GET", "/?b=&a=&c=1", {}, b""),
    ("post-vanilla", "POST", "/", {}, b""),
    ("post-header-key-case", "POST", "/", {"My-Header1": "VALUE1"}, b""),
    ("post-x-www-form-urlencoded", "POST", "/",
     {"Content-Type": "application/x-www-form-urlencoded"}, b"Param1=value1"),
    ("post-x-www-form-urlencoded-parameters", "POST", "/",
     {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, b"Param1=value1"),
    ("post-binary", "POST", "/upload", {"Content-Type": "application/octet-stream"}, bytes(range(256))),
    ("post-unsigned-payload", "POST", "/", {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}, b"anything"),
    ("post-date-header", "POST", "/", {"Date": "set by the signer"}, b"dated"),
    ("post-token", "POST", "/", {"token": TOKEN}, b"Param1=value1"),
    ("presign", "GET", "/?Action=ListTopics&Version=2010-03-31", {"presign": "300"}, b""),
    ("presign-token", "GET", "/a%20b?q=x%2By", {"presign": "604800", "token": TOKEN}, b""),
]


def record_signatures():
    clock[0] = SUITE_NOW
    out = []
    for name, method, target, headers, body in SIGNED:
        headers = dict(headers)
        token = headers.pop("token", None)
        presign = headers.pop("presign", None)
        request = AWSRequest(method, f"https://example.amazonaws.com{target}", headers=dict(headers), data=body)
        credentials = Credentials(ACCESS_KEY, SECRET_KEY, token)
        if presign:
            signer = SigV4QueryAuth(credentials, "service", "us-east-1", expires=int(presign))
        else:
            signer = SigV4Auth(credentials, "service", "us-east-1")
        signer.add_auth(request)
        split = urlsplit(request.url)
        out.append({
            "name": name, "method": method, "uri": (split.path or "/") + (f"?{split.query}" if split.query else ""),
            "headers": [["Host", "example.amazonaws.com"], *[[k, v] for k, v in request.headers.items()]],
            "body": base64.b64encode(body).decode(),
        })
    return out


def check_answers():
    try:
        answers = json.load(open("answers.json"))
    except FileNotFoundError:
        return print("answers.json is not there yet")
    for one in answers:
        service, operation = one["operation"].split(".")
        model = botocore.session.Session().get_service_model(service)
        shape = model.operation_model(operation).output_shape
        parser = botocore.parsers.create_parser(one["parser"])
        headers = {k.lower(): v for k, v in one["headers"].items()}
        body = one["text"].encode() if "text" in one else base64.b64decode(one["base64"])
        parsed = parser.parse({"headers": headers, "body": body, "status_code": one["status"]}, shape)
        parsed["ResponseMetadata"].pop("HTTPHeaders", None)
        got = json.loads(json.dumps(parsed, default=str))
        if one.get("parsed") is None:
            one["parsed"] = got
        assert got == one["parsed"], (one["name"], got)
    json.dump(answers, open("answers.json", "w"), indent=1, ensure_ascii=False)
    print(len(answers), "answers understood")


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    record_requests()
    json.dump(seen, open("requests.json", "w"), indent=1)
    json.dump(record_signatures(), open("signatures.json", "w"), indent=1)
    print(len(seen), "requests,", len(SIGNED), "signatures")
    check_answers()


main()
