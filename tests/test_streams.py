"""Subscription filters and delivery streams: what leaves, in which form, and that nothing is lost on the way.

The bucket is a real S3 server (moto), the endpoint an HTTP server of this file's own.
"""

import base64
import contextlib
import gzip
import http.server
import json
import re
import threading

import pytest
from support import aws
from support.aws import refused, unique
from support.bucket import BUCKET, KEY, SECRET, BucketServer
from support.server import ACCOUNT, REGION
from support.streams import ROLE, eventually, objects, s3



@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    server = BucketServer(tmp_path_factory.mktemp("bucket"))
    yield server
    server.close()


@pytest.fixture
def streaming(fresh, bucket, tmp_path):
    """A program whose delivery streams write to the bucket's server."""
    key = tmp_path / "bucket-key"
    key.write_text(f"{KEY}\n{SECRET}\n")
    return fresh("--streams-endpoint", bucket.url, "--streams-key-file", str(key)).start()


@pytest.fixture
def firehose(streaming):
    return aws.client(streaming, "firehose")


def stream(firehose, seconds=0, **more):
    """A stream into the bucket; its name and the prefix of its objects."""
    name = unique("s")
    firehose.create_delivery_stream(
        DeliveryStreamName=name, ExtendedS3DestinationConfiguration=s3(f"{name}/", seconds, **more)
    )
    return name


def arn(name):
    return f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/{name}"


class TestStreams:
    def test_a_stream_is_shown_as_it_was_made(self, firehose):
        name = unique("s")
        made = firehose.create_delivery_stream(
            DeliveryStreamName=name,
            ExtendedS3DestinationConfiguration=s3("logs/", 60, CompressionFormat="GZIP"),
            Tags=[{"Key": "job", "Value": "files"}],
        )
        assert made["DeliveryStreamARN"] == arn(name)
        shown = firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
        assert (shown["DeliveryStreamStatus"], shown["VersionId"], shown["DeliveryStreamType"]) == (
            "ACTIVE",
            "1",
            "DirectPut",
        )
        [destination] = shown["Destinations"]
        extended = destination["ExtendedS3DestinationDescription"]
        assert extended["CompressionFormat"] == "GZIP" and extended["Prefix"] == "logs/"
        assert extended["S3BackupMode"] == "Disabled" and extended["BufferingHints"]["IntervalInSeconds"] == 60
        assert destination["S3DestinationDescription"]["BucketARN"] == f"arn:aws:s3:::{BUCKET}"
        with refused("ResourceInUseException"):
            firehose.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration=s3("x/"))

        change = {
            "DeliveryStreamName": name,
            "DestinationId": destination["DestinationId"],
            "ExtendedS3DestinationUpdate": {"Prefix": "other/"},
        }
        firehose.update_destination(CurrentDeliveryStreamVersionId="1", **change)
        with refused("ConcurrentModificationException"):
            firehose.update_destination(CurrentDeliveryStreamVersionId="1", **change)
        shown = firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
        extended = shown["Destinations"][0]["ExtendedS3DestinationDescription"]
        assert (shown["VersionId"], extended["Prefix"], extended["CompressionFormat"]) == ("2", "other/", "GZIP")

        firehose.tag_delivery_stream(DeliveryStreamName=name, Tags=[{"Key": "a", "Value": "1"}])
        firehose.untag_delivery_stream(DeliveryStreamName=name, TagKeys=["job"])
        assert firehose.list_tags_for_delivery_stream(DeliveryStreamName=name)["Tags"] == [{"Key": "a", "Value": "1"}]
        other = unique("s")
        firehose.create_delivery_stream(DeliveryStreamName=other, ExtendedS3DestinationConfiguration=s3("x/"))
        first = firehose.list_delivery_streams(Limit=1)
        assert first["HasMoreDeliveryStreams"] is True
        [last] = firehose.list_delivery_streams(
            ExclusiveStartDeliveryStreamName=first["DeliveryStreamNames"][0]
        )["DeliveryStreamNames"]
        assert {*first["DeliveryStreamNames"], last} == {name, other}
        firehose.delete_delivery_stream(DeliveryStreamName=name)
        for call in (firehose.describe_delivery_stream, firehose.delete_delivery_stream):
            with refused("ResourceNotFoundException", f"Firehose {name} under account {ACCOUNT} not found."):
                call(DeliveryStreamName=name)

    def test_what_cannot_be_served_is_refused_by_name(self, firehose):
        def create(**given):
            return firehose.create_delivery_stream(DeliveryStreamName=unique("s"), **given)

        for given, named in (
            ({}, "A destination is missing"),
            ({"RedshiftDestinationConfiguration": {"RoleARN": ROLE}}, "RedshiftDestinationConfiguration is not served"),
            ({"ExtendedS3DestinationConfiguration": s3("!{timestamp:yyyy}/")}, "ErrorOutputPrefix"),
            ({"ExtendedS3DestinationConfiguration": s3("a!{b")}, "Prefix"),
            ({"ExtendedS3DestinationConfiguration": s3("x/", CompressionFormat="Snappy")}, "CompressionFormat"),
            ({"ExtendedS3DestinationConfiguration": {**s3("x/"), "BucketARN": "b"}}, "BucketARN"),
            ({"ExtendedS3DestinationConfiguration": s3("x/"), "DeliveryStreamType": "KinesisStreamAsSource"}, "DirectPut"),
        ):
            with refused("InvalidArgumentException", named):
                create(**given)
        with refused("InvalidArgumentException", "DeliveryStreamName"):
            firehose.create_delivery_stream(
                DeliveryStreamName="a b", ExtendedS3DestinationConfiguration=s3("x/")
            )

    def test_without_a_server_for_buckets_there_are_no_streams(self, server):
        with refused("InvalidArgumentException", "streams_key_file"):
            aws.client(server, "firehose").create_delivery_stream(
                DeliveryStreamName="s", ExtendedS3DestinationConfiguration=s3("x/")
            )

    def test_records_have_limits(self, firehose):
        name = stream(firehose)
        with refused("InvalidArgumentException", "1024000"):
            firehose.put_record(DeliveryStreamName=name, Record={"Data": b"x" * 1_024_001})
        with refused("InvalidArgumentException", "500"):
            firehose.put_record_batch(DeliveryStreamName=name, Records=[{"Data": b"x"}] * 501)
        with refused("InvalidArgumentException", "4194304"):
            firehose.put_record_batch(DeliveryStreamName=name, Records=[{"Data": b"x" * 1_000_000}] * 5)
        with refused("ResourceNotFoundException"):
            firehose.put_record(DeliveryStreamName="nobody", Record={"Data": b"x"})


class TestObjects:
    def test_records_become_objects(self, firehose, bucket):
        name = stream(firehose)
        answer = firehose.put_record(DeliveryStreamName=name, Record={"Data": b"one\n"})
        assert answer["RecordId"]
        found = eventually(lambda: objects(bucket, f"{name}/"))
        [(key, body)] = found.items()
        day = r"\d{4}/\d\d/\d\d/\d\d/"
        stamp = r"\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d"
        assert re.fullmatch(rf"{name}/{day}{name}-1-{stamp}-[0-9a-f-]{{36}}", key), key
        assert body == b"one\n"

    def test_enough_of_them_go_at_once_compressed(self, firehose, bucket):
        name = stream(firehose, 900, CompressionFormat="GZIP", FileExtension=".json.gz")
        line = b"x" * 999 + b"\n"
        answers = [
            firehose.put_record_batch(DeliveryStreamName=name, Records=[{"Data": line}] * 300) for _ in range(4)
        ]
        assert all(answer["FailedPutCount"] == 0 and len(answer["RequestResponses"]) == 300 for answer in answers)
        found = eventually(lambda: objects(bucket, f"{name}/"))
        assert all(key.endswith(".json.gz") for key in found)
        assert b"".join(gzip.decompress(body) for body in found.values()) == line * 1_200

    def test_what_was_answered_survives_a_kill_and_a_bucket_that_is_away(self, streaming, firehose, bucket):
        name = stream(firehose)
        bucket.pause()
        try:
            put = {f"record {n}\n".encode() for n in range(40)}
            for record in sorted(put):
                firehose.put_record(DeliveryStreamName=name, Record={"Data": record})
            streaming.kill()
        finally:
            bucket.resume()
        streaming.start()

        def arrived():
            return {line for body in objects(bucket, f"{name}/").values() for line in body.splitlines(keepends=True)}

        assert eventually(arrived, lambda lines: len(lines) >= len(put)) == put


class Endpoint(contextlib.AbstractContextManager):
    """An HTTP endpoint: keeps what it is sent, and answers as it is told."""

    def __init__(self):
        self.requests = []
        self.answers = []
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                parsed = json.loads(body)
                endpoint.requests.append((dict(self.headers), parsed))
                right = (200, {"requestId": parsed["requestId"], "timestamp": 1})
                status, told = endpoint.answers.pop(0) if endpoint.answers else right
                answer = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/in"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def endpoint():
    with Endpoint() as running:
        yield running


class TestEndpoints:
    def make(self, firehose, endpoint, retry=60, **more):
        name = unique("h")
        firehose.create_delivery_stream(
            DeliveryStreamName=name,
            HttpEndpointDestinationConfiguration={
                "EndpointConfiguration": {"Url": endpoint.url, "Name": "in", "AccessKey": "hush-hush"},
                "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
                "RetryOptions": {"DurationInSeconds": retry},
                "S3Configuration": s3(f"{name}/"),
                "RoleARN": ROLE,
                **more,
            },
        )
        return name

    def test_a_request_is_as_the_specification_says(self, streaming, firehose, endpoint):
        name = self.make(
            firehose,
            endpoint,
            RequestConfiguration={
                "ContentEncoding": "GZIP",
                "CommonAttributes": [{"AttributeName": "site", "AttributeValue": "berlin"}],
            },
        )
        shown = firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
        described = shown["Destinations"][0]["HttpEndpointDestinationDescription"]
        assert described["EndpointConfiguration"] == {"Url": endpoint.url, "Name": "in"}
        assert "hush-hush" not in json.dumps(shown, default=str)
        firehose.put_record_batch(DeliveryStreamName=name, Records=[{"Data": b"one"}, {"Data": b"\x00\xff"}])
        eventually(lambda: endpoint.requests)
        headers, body = endpoint.requests[0]
        lower = {key.lower(): value for key, value in headers.items()}
        assert lower["x-amz-firehose-protocol-version"] == "1.0"
        assert lower["x-amz-firehose-request-id"] == body["requestId"]
        assert lower["x-amz-firehose-source-arn"] == arn(name)
        assert lower["x-amz-firehose-access-key"] == "hush-hush"
        assert json.loads(lower["x-amz-firehose-common-attributes"]) == {"commonAttributes": {"site": "berlin"}}
        assert lower["content-type"] == "application/json"
        assert [base64.b64decode(record["data"]) for record in body["records"]] == [b"one", b"\x00\xff"]
        assert isinstance(body["timestamp"], int)
        assert "hush-hush" not in streaming.tail()

    def test_a_refused_request_is_tried_again_under_its_id(self, firehose, endpoint):
        """F02, F09: a wrong key, an error, an answer to something else."""
        endpoint.answers = [(401, {"errorMessage": "who?"}), (500, {}), (200, {"requestId": "other"})]
        name = self.make(firehose, endpoint)
        firehose.put_record(DeliveryStreamName=name, Record={"Data": b"again"})
        eventually(lambda: len(endpoint.requests) >= 4)
        assert len({body["requestId"] for _, body in endpoint.requests}) == 1

    def test_what_an_endpoint_never_takes_is_kept(self, firehose, endpoint, bucket):
        """F06: 413 is final; other refusals are after their time."""
        endpoint.answers = [(413, {})]
        final = self.make(firehose, endpoint)
        firehose.put_record(DeliveryStreamName=final, Record={"Data": b"too much"})
        [(key, body)] = eventually(lambda: objects(bucket, f"{final}/")).items()
        assert key.startswith(f"{final}/http-endpoint-failed/"), key
        [line] = [json.loads(line) for line in body.splitlines()]
        assert base64.b64decode(line["rawData"]) == b"too much" and line["attemptsMade"] == 1
        assert line["errorCode"] == "RequestTooLarge"

        endpoint.answers = [(503, {"errorMessage": "full"})] * 5
        late = self.make(firehose, endpoint, retry=0)
        firehose.put_record(DeliveryStreamName=late, Record={"Data": b"never"})
        [(key, body)] = eventually(lambda: objects(bucket, f"{late}/")).items()
        assert "http-endpoint-failed" in key and b"full" in body

    def test_all_records_are_kept_where_that_is_asked(self, firehose, endpoint, bucket):
        name = self.make(firehose, endpoint, S3BackupMode="AllData")
        firehose.put_record(DeliveryStreamName=name, Record={"Data": b"both"})
        [body] = eventually(lambda: objects(bucket, f"{name}/")).values()
        assert body == b"both" and eventually(lambda: endpoint.requests)


class TestSubscriptions:
    @pytest.fixture
    def logs(self, streaming):
        return aws.client(streaming, "logs")

    @pytest.fixture
    def group(self, logs):
        name = unique("/aws/fsx/windows")
        logs.create_log_group(logGroupName=name)
        for one in ("a", "b"):
            logs.create_log_stream(logGroupName=name, logStreamName=one)
        return name

    def put(self, logs, group, *messages, log_stream="a"):
        events = [{"timestamp": aws.now_ms(), "message": message} for message in messages]
        logs.put_log_events(logGroupName=group, logStreamName=log_stream, logEvents=events)

    def subscribe(self, logs, group, name, pattern="", filter_name="f"):
        logs.put_subscription_filter(
            logGroupName=group, filterName=filter_name, filterPattern=pattern, destinationArn=arn(name), roleArn=ROLE
        )

    def payloads(self, bucket, name):
        """What has arrived, one payload for each gzip member, in the order of arrival."""
        found = []
        for _, body in sorted(objects(bucket, f"{name}/").items()):
            text = gzip.decompress(body).decode()
            decoder, at = json.JSONDecoder(), 0
            while at < len(text):
                payload, at = decoder.raw_decode(text, at)
                found.append(payload)
        return found

    def data(self, bucket, name, count):
        def look():
            return [one for one in self.payloads(bucket, name) if one["messageType"] == "DATA_MESSAGE"]

        return eventually(look, lambda found: len(found) >= count)

    def test_filters_are_put_described_and_deleted(self, logs, firehose, group):
        """S01, S02"""
        name = stream(firehose)
        for filter_name in ("one", "two"):
            self.subscribe(logs, group, name, '"4656"', filter_name)
        with refused("LimitExceededException", "at most 2 subscription filters"):
            self.subscribe(logs, group, name, "", "three")
        self.subscribe(logs, group, name, "replaced", "two")
        shown = logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"]
        assert [(one["filterName"], one["filterPattern"]) for one in shown] == [("one", '"4656"'), ("two", "replaced")]
        assert shown[0]["destinationArn"] == arn(name) and shown[0]["distribution"] == "ByLogStream"
        assert shown[0]["roleArn"] == ROLE and shown[0]["creationTime"] > 0
        logs.delete_subscription_filter(logGroupName=group, filterName="one")
        with refused("ResourceNotFoundException"):
            logs.delete_subscription_filter(logGroupName=group, filterName="one")
        for destination, text in (
            (f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/f", "is not served by this version"),
            (f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f", "Could not execute the lambda function"),
            (arn("nobody"), "Check if the given Firehose stream is in ACTIVE state"),
        ):
            with refused("InvalidParameterException", text):
                logs.put_subscription_filter(
                    logGroupName=group, filterName="x", filterPattern="", destinationArn=destination
                )
        with refused("InvalidParameterException"):
            self.subscribe(logs, group, name, "{ $.a = ", "bad")
        logs.delete_log_group(logGroupName=group)
        logs.create_log_group(logGroupName=group)
        assert logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"] == []

    def test_matching_events_are_sent_and_no_others(self, logs, firehose, bucket, group):
        """S03, S05"""
        name = stream(firehose)
        self.put(logs, group, "4656 too early")
        self.subscribe(logs, group, name, '"4656"')
        self.put(logs, group, "4656 denied", "4663 written", "5145 share")
        self.put(logs, group, "4656 again", log_stream="b")
        first, second = sorted(self.data(bucket, name, 2), key=lambda one: one["logStream"])
        assert (first["owner"], first["logGroup"], first["subscriptionFilters"]) == (ACCOUNT, group, ["f"])
        assert [(one["logStream"], [event["message"] for event in one["logEvents"]]) for one in (first, second)] == [
            ("a", ["4656 denied"]),
            ("b", ["4656 again"]),
        ]
        shown = logs.filter_log_events(logGroupName=group, filterPattern='"4656 denied"')["events"]
        assert first["logEvents"][0]["id"] == shown[0]["eventId"]
        assert first["logEvents"][0]["timestamp"] == shown[0]["timestamp"]
        control = [one for one in self.payloads(bucket, name) if one["messageType"] == "CONTROL_MESSAGE"]
        assert [(one["owner"], one["logEvents"][0]["message"]) for one in control] == [
            ("CloudwatchLogs", "CWL CONTROL MESSAGE: Checking health of destination Firehose.")
        ]

    def test_columns_are_extracted(self, logs, firehose, bucket, group):
        """S04"""
        name = stream(firehose)
        self.subscribe(logs, group, name, "[w1, id=4656, ...]")
        self.put(logs, group, "audit 4656 alice", "audit 4663 bob")
        [payload] = self.data(bucket, name, 1)
        [event] = payload["logEvents"]
        assert event["extractedFields"]["w1"] == "audit" and event["extractedFields"]["id"] == "4656"

    def test_nothing_is_lost_by_a_kill(self, streaming, logs, firehose, bucket, group):
        name = stream(firehose)
        self.subscribe(logs, group, name)
        for round_number in range(3):
            self.put(logs, group, *(f"event {round_number} {n}" for n in range(100)))
            streaming.kill()
            streaming.start()
        put = {f"event {round_number} {n}" for round_number in range(3) for n in range(100)}

        def arrived():
            found = [one for one in self.payloads(bucket, name) if one["messageType"] == "DATA_MESSAGE"]
            return {event["message"] for one in found for event in one["logEvents"]}

        assert eventually(arrived, lambda seen: len(seen) >= len(put)) == put


def test_the_command_line_makes_streams_and_puts_records(streaming, bucket, tmp_path):
    given = tmp_path / "s3.json"
    given.write_text(json.dumps(s3("cli/")))
    aws.cli(
        streaming,
        *("firehose", "create-delivery-stream", "--delivery-stream-name", "cli"),
        *("--extended-s3-destination-configuration", f"file://{given}"),
    )
    # It writes the bytes as base64 itself.
    record = json.dumps({"Data": "hello"})
    answer = aws.cli(streaming, *("firehose", "put-record", "--delivery-stream-name", "cli", "--record", record))
    assert answer["RecordId"]
    assert list(eventually(lambda: objects(bucket, "cli/")).values()) == [b"hello"]


class TestReceiver:
    """F01 to F08: this program as the other end."""

    ACCESS_KEY = "receiver-key-0123456789"

    @pytest.fixture
    def receiving(self, fresh, bucket, tmp_path):
        for name, text in (("bucket-key", f"{KEY}\n{SECRET}\n"), ("receiver-key", f"{self.ACCESS_KEY}\n")):
            (tmp_path / name).write_text(text)
        return fresh(
            *("--streams-endpoint", bucket.url, "--streams-key-file", str(tmp_path / "bucket-key")),
            *("--receiver-key-file", str(tmp_path / "receiver-key")),
        ).start()

    def post(self, server, body, key=ACCESS_KEY, header_id=None, group="taken", **headers):
        sent = {"x-amz-firehose-access-key": key, "x-amz-firehose-request-id": header_id or "id-1", **headers}
        sent["x-amz-firehose-source-arn"] = arn("theirs")
        status, _, answer = aws.send(server, body, sent, f"/_nightbell/firehose/{REGION}/{group}")
        return status, json.loads(answer)

    def body(self, *records, request_id="id-1"):
        data = [{"data": base64.b64encode(record).decode()} for record in records]
        return json.dumps({"requestId": request_id, "timestamp": 1, "records": data}).encode()

    def test_requests_are_answered_as_the_specification_says(self, receiving):
        def messages(group="taken"):
            return [e["message"] for e in aws.client(receiving, "logs").filter_log_events(logGroupName=group)["events"]]

        status, told = self.post(receiving, self.body(b"one\ntwo\n"))
        assert (status, told["requestId"]) == (200, "id-1") and isinstance(told["timestamp"], int), "F01"
        assert messages() == ["one", "two"], "F01"
        status, told = self.post(receiving, self.body(b"x"), key="wrong")
        assert status == 401 and told["requestId"] == "id-1" and "access key" in told["errorMessage"], "F02"
        assert self.post(receiving, self.body(b"x"), header_id="other")[0] == 400, "F03"
        zipped = gzip.compress(self.body(b"zipped"))
        assert self.post(receiving, zipped, **{"content-encoding": "gzip"})[0] == 200, "F04"
        assert "zipped" in messages(), "F04"
        wrong = self.body(b"x").replace(base64.b64encode(b"x"), b"?!")
        assert self.post(receiving, wrong)[0] == 400, "F05"
        large = gzip.compress(self.body(b"x" * (8 << 20)))
        assert self.post(receiving, large, **{"content-encoding": "gzip"})[0] == 413, "F06"
        status, told = self.post(receiving, b"x" * (20 << 20))
        assert status == 413 and told["requestId"] == "id-1", "F06: it is read to its end, so the answer arrives"
        assert [self.post(receiving, self.body(b"twice"))[0] for _ in range(2)] == [200, 200], "F07"
        control = {"messageType": "CONTROL_MESSAGE", "owner": "CloudwatchLogs", "logGroup": "", "logStream": ""}
        control |= {"subscriptionFilters": [], "logEvents": [{"id": "", "timestamp": 1, "message": "CWL"}]}
        assert self.post(receiving, self.body(gzip.compress(json.dumps(control).encode())), group="other")[0] == 200
        assert messages("other") == [], "F08"

    def test_a_subscription_reaches_another_group_by_way_of_http(self, receiving):
        logs, firehose = aws.client(receiving, "logs"), aws.client(receiving, "firehose")
        name = unique("loop")
        firehose.create_delivery_stream(
            DeliveryStreamName=name,
            HttpEndpointDestinationConfiguration={
                "EndpointConfiguration": {
                    "Url": f"{receiving.url}/_nightbell/firehose/{REGION}//aws/copied",
                    "AccessKey": self.ACCESS_KEY,
                },
                "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
                "RequestConfiguration": {"ContentEncoding": "GZIP"},
                "S3Configuration": s3(f"{name}/"),
            },
        )
        logs.create_log_group(logGroupName="source")
        logs.create_log_stream(logGroupName="source", logStreamName="fs-1")
        logs.put_subscription_filter(
            logGroupName="source", filterName="f", filterPattern="denied", destinationArn=arn(name)
        )
        at = aws.now_ms()
        events = [{"timestamp": at, "message": "denied ü"}, {"timestamp": at, "message": "allowed"}]
        logs.put_log_events(logGroupName="source", logStreamName="fs-1", logEvents=events)

        def copied():
            groups = logs.describe_log_groups(logGroupNamePrefix="/aws/copied")["logGroups"]
            return groups and logs.filter_log_events(logGroupName="/aws/copied")["events"]

        [event] = eventually(copied)
        assert (event["logStreamName"], event["timestamp"], event["message"]) == ("fs-1", at, "denied ü")

    def test_without_a_key_nothing_is_received(self, server):
        status, told = self.post(server, self.body(b"x"))
        assert status == 401 and "receiver_key_file" in told["errorMessage"]
