"""Delivery streams to Splunk: what its HTTP Event Collector is asked, and that nothing is lost where it refuses.

The collector is a server of this file's own: only its protocol is Splunk's.
"""

import base64
import contextlib
import http.server
import json
import threading
import time

import pytest
from support import aws
from support.aws import refused, unique
from support.bucket import KEY, SECRET, BucketServer
from support.server import ACCOUNT, REGION
from support.streams import ROLE, eventually, objects, s3

TOKEN = "a3f0c1d2-0000-4000-8000-00000000beef"
SUCCESS = {"text": "Success", "code": 0}


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    server = BucketServer(tmp_path_factory.mktemp("bucket"))
    yield server
    server.close()


@pytest.fixture
def streaming(fresh, bucket, tmp_path):
    """A program whose delivery streams keep failures at the bucket's server."""
    key = tmp_path / "bucket-key"
    key.write_text(f"{KEY}\n{SECRET}\n")
    return fresh("--streams-endpoint", bucket.url, "--streams-key-file", str(key)).start()


@pytest.fixture
def firehose(streaming):
    return aws.client(streaming, "firehose")


class Collector(contextlib.AbstractContextManager):
    """A collector: keeps what it is sent, acknowledges it, and answers otherwise when it is told to."""

    def __init__(self):
        self.taken = []
        self.answers = []
        self.silent = False
        self.asked = 0
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                path, _, query = self.path.partition("?")
                channel = query.removeprefix("channel=")
                assert channel == self.headers["x-splunk-request-channel"]
                if self.headers["authorization"] != f"Splunk {TOKEN}":
                    return self.answer(403, {"text": "Invalid token", "code": 4})
                if path == "/services/collector/ack":
                    collector.asked += 1
                    acks = {str(number): not collector.silent for number in json.loads(body)["acks"]}
                    return self.answer(200, {"acks": acks})
                if collector.answers:
                    return self.answer(*collector.answers.pop(0))
                collector.taken.append((path, {k.lower(): v for k, v in self.headers.items()}, body))
                return self.answer(200, {**SUCCESS, "ackId": len(collector.taken)})

            def answer(self, status, told):
                answer = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def bodies(self):
        return [body for _, _, body in self.taken]

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def collector():
    with Collector() as running:
        yield running


def configuration(collector, name, retry=60, **more):
    return {
        "HECEndpoint": collector.url,
        "HECEndpointType": "Raw",
        "HECToken": TOKEN,
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
        "RetryOptions": {"DurationInSeconds": retry},
        "S3Configuration": s3(f"{name}/"),
        **more,
    }


def make(firehose, collector, retry=60, **more):
    name = unique("h")
    firehose.create_delivery_stream(
        DeliveryStreamName=name, SplunkDestinationConfiguration=configuration(collector, name, retry, **more)
    )
    return name


def described(firehose, name):
    shown = firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
    return shown, shown["Destinations"][0]["SplunkDestinationDescription"]


def kept(bucket, name):
    """Error records below the stream's prefix, with their keys."""
    found = eventually(lambda: objects(bucket, f"{name}/"))
    return [(key, json.loads(line)) for key, body in found.items() for line in body.splitlines()]


def test_a_stream_is_shown_as_it_was_made(firehose, collector):
    name = make(firehose, collector, HECEndpointType="Event", HECAcknowledgmentTimeoutInSeconds=300)
    _, shown = described(firehose, name)
    assert (shown["HECEndpoint"], shown["HECEndpointType"], shown["HECToken"]) == (collector.url, "Event", TOKEN)
    assert shown["HECAcknowledgmentTimeoutInSeconds"] == 300 and shown["S3BackupMode"] == "FailedEventsOnly"
    assert shown["BufferingHints"] == {"SizeInMBs": 1, "IntervalInSeconds": 0}
    assert shown["S3DestinationDescription"]["Prefix"] == f"{name}/"
    assert shown["S3DestinationDescription"]["RoleARN"] == ROLE

    firehose.update_destination(
        DeliveryStreamName=name,
        CurrentDeliveryStreamVersionId="1",
        DestinationId="destinationId-000000000001",
        SplunkDestinationUpdate={"HECEndpointType": "Raw", "S3Update": s3("other/")},
    )
    stream, shown = described(firehose, name)
    assert (stream["VersionId"], shown["HECEndpointType"], shown["HECToken"]) == ("2", "Raw", TOKEN)
    assert shown["S3DestinationDescription"]["Prefix"] == "other/"
    for wrong, named in (
        ({"HECEndpoint": "ftp://x"}, "HECEndpoint"),
        ({"HECEndpoint": "http://169.254.169.254"}, "HECEndpoint"),
        ({"HECAcknowledgmentTimeoutInSeconds": 601}, "HECAcknowledgmentTimeoutInSeconds"),
        ({"HECToken": ""}, "HECToken"),
    ):
        with refused("InvalidArgumentException", named):
            make(firehose, collector, **wrong)


def test_records_are_sent_raw_and_are_gone_when_they_are_acknowledged(streaming, firehose, collector):
    name = make(firehose, collector)
    firehose.put_record_batch(DeliveryStreamName=name, Records=[{"Data": b"one\n"}, {"Data": b"two\n"}])
    eventually(lambda: collector.asked)
    [(path, headers, body)] = collector.taken
    assert (path, body, headers["authorization"]) == ("/services/collector/raw", b"one\ntwo\n", f"Splunk {TOKEN}")
    assert len(headers["x-splunk-request-channel"]) == 36
    firehose.put_record(DeliveryStreamName=name, Record={"Data": b"three\n"})
    eventually(lambda: len(collector.taken) == 2)
    assert collector.bodies() == [b"one\ntwo\n", b"three\n"]
    assert collector.taken[1][1]["x-splunk-request-channel"] == headers["x-splunk-request-channel"]
    assert TOKEN not in streaming.tail()


def test_events_are_sent_as_they_are(firehose, collector):
    name = make(firehose, collector, HECEndpointType="Event")
    event = json.dumps({"event": {"EventID": 4656}, "sourcetype": "WinEventLog", "time": 1_790_000_000.5}).encode()
    firehose.put_record_batch(DeliveryStreamName=name, Records=[{"Data": event}, {"Data": event}])
    eventually(lambda: collector.taken)
    assert [(path, body) for path, _, body in collector.taken] == [("/services/collector/event", event * 2)]


def test_what_is_not_taken_is_tried_again(firehose, collector):
    collector.answers = [
        (503, {"text": "Server is busy", "code": 9}),
        (403, {"text": "Token disabled", "code": 1}),
        (404, {}),
    ]
    name = make(firehose, collector)
    firehose.put_record(DeliveryStreamName=name, Record={"Data": b"again\n"})
    eventually(lambda: collector.taken)
    assert collector.bodies() == [b"again\n"]


def test_what_is_never_taken_is_kept(firehose, collector, bucket):
    for answer, retry, code, text in (
        ((400, {"text": "Invalid data format", "code": 6}), 60, "Splunk.InvalidDataFormat", "Invalid data format"),
        ((200, SUCCESS), 60, "Splunk.DisabledAck", "enable it"),
        ((503, {"text": "Server is busy", "code": 9}), 0, "Splunk.IndexerBusy", "Server is busy"),
    ):
        collector.answers = [answer]
        name = make(firehose, collector, retry)
        firehose.put_record(DeliveryStreamName=name, Record={"Data": b"lost?\n"})
        [(key, record)] = kept(bucket, name)
        assert key.startswith(f"{name}/splunk-failed/"), key
        assert (record["errorCode"], record["attemptsMade"]) == (code, 1) and text in record["errorMessage"]
        assert base64.b64decode(record["rawData"]) == b"lost?\n" and record["EventId"]
    wrong = make(firehose, collector, 0, HECToken="another")
    firehose.put_record(DeliveryStreamName=wrong, Record={"Data": b"x"})
    [(_, record)] = kept(bucket, wrong)
    assert record["errorCode"] == "Splunk.InvalidToken"
    assert collector.taken == []


def test_all_records_are_kept_where_that_is_asked(firehose, collector, bucket):
    name = make(firehose, collector, S3BackupMode="AllEvents")
    firehose.put_record(DeliveryStreamName=name, Record={"Data": b"both\n"})
    [body] = eventually(lambda: objects(bucket, f"{name}/")).values()
    assert body == b"both\n" and eventually(lambda: collector.taken)


def test_what_was_not_acknowledged_is_sent_again_after_a_kill(streaming, firehose, collector):
    collector.silent = True
    name = make(firehose, collector)
    firehose.put_record(DeliveryStreamName=name, Record={"Data": b"unacknowledged\n"})
    eventually(lambda: collector.asked)
    streaming.kill()
    collector.silent = False
    streaming.start()
    eventually(lambda: len(collector.taken) >= 2)
    assert set(collector.bodies()) == {b"unacknowledged\n"}


def test_the_time_of_a_failure_goes_on_over_a_restart(streaming, firehose, collector, bucket):
    """A restart gives an endpoint no new time: what has failed before is kept at the first failure after it is over."""
    collector.answers = [(503, {"text": "Server is busy", "code": 9})] * 100
    name = make(firehose, collector, retry=3)
    firehose.put_record(DeliveryStreamName=name, Record={"Data": b"late\n"})
    eventually(lambda: len(collector.answers) < 100)
    eventually(lambda: "are tried again" in streaming.tail())
    streaming.kill()
    time.sleep(3)
    tried = len(collector.answers)
    streaming.start()
    [(_, record)] = kept(bucket, name)
    assert record["errorCode"] == "Splunk.IndexerBusy" and record["attemptsMade"] >= 2
    assert len(collector.answers) == tried - 1, "one more try"


def test_a_collector_that_is_silent_holds_up_no_other(firehose, collector, bucket):
    with Collector() as silent:
        silent.silent = True
        for _ in range(5):
            name = make(firehose, silent)
            firehose.put_record(DeliveryStreamName=name, Record={"Data": b"x"})
        eventually(lambda: len(silent.taken) == 5)
        name = make(firehose, collector)
        firehose.put_record(DeliveryStreamName=name, Record={"Data": b"goes on\n"})
        eventually(lambda: collector.taken)
        assert collector.bodies() == [b"goes on\n"]


PROCESSORS = [
    {
        "Type": "Decompression",
        "Parameters": [{"ParameterName": "CompressionFormat", "ParameterValue": "GZIP"}],
    },
    {
        "Type": "CloudWatchLogProcessing",
        "Parameters": [{"ParameterName": "DataMessageExtraction", "ParameterValue": "true"}],
    },
]


def test_events_of_a_log_group_arrive_as_lines(streaming, firehose, collector):
    """The usual way of logs to Splunk: payloads are unpacked and their messages taken out."""
    processing = {"Enabled": True, "Processors": PROCESSORS}
    name = make(firehose, collector, ProcessingConfiguration=processing)
    assert described(firehose, name)[1]["ProcessingConfiguration"] == processing
    logs, group = aws.client(streaming, "logs"), unique("/aws/fsx/windows")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    logs.put_subscription_filter(
        logGroupName=group,
        filterName="denied",
        filterPattern="denied",
        destinationArn=f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/{name}",
        roleArn=ROLE,
    )
    events = [{"timestamp": aws.now_ms(), "message": m} for m in ("alice denied", "bob came in", "carol denied")]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    eventually(lambda: collector.taken)
    assert collector.bodies() == [b"alice denied\ncarol denied\n"], "and nothing of the control message"
    with refused("InvalidArgumentException", "\"Lambda\""):
        make(firehose, collector, ProcessingConfiguration={"Enabled": True, "Processors": [{"Type": "Lambda"}]})


def test_the_command_line_makes_one(streaming, collector, tmp_path):
    given = tmp_path / "splunk.json"
    given.write_text(json.dumps(configuration(collector, "cli")))
    answer = aws.cli(
        streaming,
        *("firehose", "create-delivery-stream", "--delivery-stream-name", "cli"),
        *("--splunk-destination-configuration", f"file://{given}"),
    )
    assert answer["DeliveryStreamARN"] == f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/cli"
