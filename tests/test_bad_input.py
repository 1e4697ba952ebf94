"""What nobody well-meaning sends. Every request is answered with an error or an end of the connection, and the
program goes on: after each test it must still be healthy and still do its job."""

import datetime
import gzip
import http.client
import json
import random
import re
import socket
import time
import urllib.request
import uuid

import pytest
from support import aws
from support.aws import SECRET_KEY, form, logs_headers, send, sign

MEGABYTE = 1_048_576
NOISE = random.Random(4656).randbytes(4096)


@pytest.fixture(autouse=True)
def still_well(server):
    """The program answers after the test, and has not grown out of bounds."""
    yield
    assert server.running(), server.tail()
    with urllib.request.urlopen(server.url + "/healthz", timeout=10) as answer:
        assert answer.status == 200
    assert aws.client(server, "logs").describe_log_groups(limit=1)["ResponseMetadata"]["HTTPStatusCode"] == 200


def memory_mb(server):
    status = open(f"/proc/{server.process.pid}/status").read()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def signed(server, body=b"{}", operation="DescribeLogGroups", headers=None, **more):
    """A signed request to CloudWatch Logs, sent."""
    headers = {**logs_headers(operation), **(headers or {})}
    return send(server, body, sign(server, "logs", body, headers, **more))


def error_type(answer):
    status, headers, body = answer
    return status, json.loads(body)["__type"].split("#")[-1]


class TestSignature:
    def test_a_right_one_is_taken(self, server):
        assert signed(server)[0] == 200

    @pytest.mark.parametrize(
        ("how", "code"),
        [
            ({"secret": SECRET_KEY + "x"}, ("InvalidSignatureException", "SignatureDoesNotMatch")),
            ({"key": "AKIAUNKNOWN000000000"}, ("UnrecognizedClientException", "InvalidClientTokenId")),
            (
                {"skew": datetime.timedelta(hours=-1)},
                ("InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired", "RequestTimeTooSkewed"),
            ),
            (
                {"skew": datetime.timedelta(hours=1)},
                ("InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired", "RequestTimeTooSkewed"),
            ),
        ],
        ids=["wrong secret", "unknown key", "too old", "from the future"],
    )
    def test_a_wrong_one_is_refused(self, server, how, code):
        status, kind = error_type(signed(server, **how))
        assert status in (400, 403) and kind in code

    @pytest.mark.parametrize("service", ["monitoring", "sns"])
    def test_in_the_other_services_too(self, server, service):
        body = form(Action="ListTopics", Version="2010-03-31")
        if service == "monitoring":
            body = form(Action="DescribeAlarms", Version="2010-08-01")
        headers = {"content-type": "application/x-www-form-urlencoded"}
        assert send(server, body, sign(server, service, body, headers))[0] == 200
        for how in ({"secret": "wrong"}, {"key": "AKIAUNKNOWN000000000"}, {"skew": datetime.timedelta(days=1)}):
            status, _, answer = send(server, body, sign(server, service, body, headers, **how))
            assert status in (400, 403) and b"<Error>" in answer, answer
        assert send(server, body, headers)[0] in (400, 403)

    def test_none_at_all(self, server):
        status, kind = error_type(send(server, b"{}", logs_headers("DescribeLogGroups")))
        assert status in (400, 403)
        assert kind in (
            "MissingAuthenticationTokenException",
            "MissingAuthenticationToken",
            "UnrecognizedClientException",
        )

    @pytest.mark.parametrize(
        "change",
        [
            lambda h: {**h, "authorization": h["authorization"].replace("Signature=", "Signature=0")},
            lambda h: {**h, "authorization": h["authorization"][:-1] + ("0" if h["authorization"][-1] != "0" else "1")},
            lambda h: {**h, "authorization": "AWS4-HMAC-SHA256"},
            lambda h: {**h, "authorization": "AWS4-HMAC-SHA256 Credential=/////, SignedHeaders=, Signature="},
            lambda h: {**h, "authorization": "Bearer " + "x" * 4000},
            lambda h: {**h, "authorization": "\xff\xfe"},
            lambda h: {**h, "x-amz-date": "yesterday"},
            lambda h: {**h, "x-amz-date": "20260230T256199Z"},
            lambda h: {k: v for k, v in h.items() if k != "x-amz-date"},
            lambda h: {**h, "x-amz-target": "Logs_20140328.DeleteLogGroup"},
        ],
    )
    def test_a_broken_one_is_refused(self, server, change):
        headers = sign(server, "logs", b"{}", logs_headers("DescribeLogGroups"))
        assert send(server, b"{}", change(headers))[0] in (400, 403)

    def test_a_body_changed_on_the_way_is_refused(self, server):
        headers = sign(server, "logs", b'{"limit":1}', logs_headers("DescribeLogGroups"))
        assert send(server, b'{"limit":2}', headers)[0] in (400, 403)

    def test_the_secret_is_never_told(self, server):
        answers = [signed(server, secret="wrong"), signed(server, key="AKIAUNKNOWN000000000")]
        assert all(SECRET_KEY not in str(a) for a in answers) and SECRET_KEY not in server.log.read_text()


class TestBodies:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b'"x"',
            b"\xff\xfe",
            b'{"logGroupName":"\xff","logGroupNamePrefix":"\xff","filterName":"\xff"}',
            b'{"limit":1e400}',
            b'{"limit":"many"}',
            b'{"limit":-9223372036854775809}',
            b"[" * 100_000,
            b'{"a":' * 50_000,
            b'{"logGroupNamePrefix":"\\ud800"}',
            b"\x00" * 1000,
        ],
        ids=lambda b: repr(b[:24]),
    )
    @pytest.mark.parametrize("operation", ["DescribeLogGroups", "PutLogEvents", "PutMetricFilter"])
    def test_json(self, server, operation, body):
        status, _, answer = signed(server, body, operation)
        if operation == "DescribeLogGroups" and body in (b"", b"null"):
            assert status in (200, 400)
        else:
            assert status == 400 and json.loads(answer)["__type"]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"\xff",
            b"\xa1",
            b"\x1c",
            b"\xbf",
            b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"\xa1\x6aAlarmNames\x9b\x00\x00\x00\xff\xff\xff\xff\xff",
            b"\x81" * 100_000,
            b"\xa1\x61a" * 50_000,
            b"\xc1" * 10_000 + b"\x00",
            b"\xa1\x69AlarmName\x62\xff\xfe",
        ],
        ids=lambda b: b[:12].hex(),
    )
    def test_cbor(self, server, body):
        path = "/service/GraniteServiceVersion20100801/operation/SetAlarmState"
        headers = {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        status, headers, _ = send(server, body, sign(server, "monitoring", body, headers, path=path), path)
        assert status == 400 and headers["content-type"] == "application/cbor"

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"Action",
            b"Action=",
            b"Action=%",
            b"Action=%zz",
            b"Action=Subscribe&Action=Publish",
            b"\xff=\xfe",
            b"&" * 100_000,
            b"a=b&" * 100_000,
            b"Action=PutMetricData&MetricData.member.999999999999.Value=1",
            b"Action=PutMetricData&MetricData.member.-1.Value=1",
            b"Action=PutMetricData&MetricData.member.1.MetricData.member.1=x",
            b"Action=PutMetricData&" + b"A." * 50_000 + b"=1",
            b"Action=SetAlarmState&AlarmName=%ff%fe",
            b"Action=SetAlarmState&AlarmName=%00&StateValue=OK&StateReason=r",
        ],
        ids=lambda b: repr(b[:40]),
    )
    @pytest.mark.parametrize("service", ["monitoring", "sns"])
    def test_forms(self, server, service, body):
        headers = {"content-type": "application/x-www-form-urlencoded"}
        status, _, answer = send(server, body, sign(server, service, body, headers))
        assert 400 <= status < 500 and b"<Error" in answer, answer[:200]

    def test_unknown_operations(self, server):
        assert error_type(signed(server, operation="MakeCoffee")) == (400, "UnknownOperationException")
        status, _, _ = signed(server, headers={"x-amz-target": "Tea_20140328.MakeTea"})
        assert status == 400
        for service in ("monitoring", "sns"):
            body = form(Action="MakeCoffee", Version="2010-08-01")
            headers = {"content-type": "application/x-www-form-urlencoded"}
            status, _, answer = send(server, body, sign(server, service, body, headers))
            assert status == 400 and b"InvalidAction" in answer
        path = "/service/GraniteServiceVersion20100801/operation/MakeCoffee"
        headers = {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        assert send(server, b"\xa0", sign(server, "monitoring", b"\xa0", headers, path=path), path)[0] in (400, 404)

    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "/nowhere"), ("PUT", "/"), ("DELETE", "/"), ("GET", "/../../etc/passwd"), ("GET", "/%00")],
    )
    def test_unknown_places(self, server, method, path):
        status, _, body = send(server, b"", {}, path, method)
        assert 400 <= status < 500 and b"root:" not in body

    def test_resetting_must_be_allowed_first(self, server):
        status, _, _ = send(server, b"", sign(server, "logs", b"", {}, path="/_nightbell/reset"), "/_nightbell/reset")
        assert 400 <= status < 500


class TestSizes:
    def test_a_body_over_the_limit_is_refused(self, server):
        before = memory_mb(server)
        body = b'{"logGroupName":"' + b"x" * (64 * MEGABYTE) + b'"}'
        try:
            assert signed(server, body)[0] in (400, 413)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before it was read: as good an answer
        assert memory_mb(server) - before < 100

    def test_in_chunks_too(self, server):
        """No length is announced: the body has to be cut off while it comes."""
        before = memory_mb(server)
        headers = sign(server, "logs", b"", logs_headers("DescribeLogGroups"))
        connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
        sent = 0

        def endless():
            nonlocal sent
            while sent < 256 * MEGABYTE:
                sent += MEGABYTE
                yield b"x" * MEGABYTE

        try:
            connection.request("POST", "/", body=endless(), headers=headers, encode_chunked=True)
            assert connection.getresponse().status in (400, 413)
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            connection.close()
        assert sent < 256 * MEGABYTE, "it read on for ever"
        assert memory_mb(server) - before < 100

    def test_a_gzip_bomb_is_not_unpacked(self, server):
        before = memory_mb(server)
        body = gzip.compress(b" " * (512 * MEGABYTE), 9)
        status, _, _ = signed(server, body, "PutLogEvents", {"content-encoding": "gzip"})
        assert status in (400, 413)
        assert memory_mb(server) - before < 150

    @pytest.mark.parametrize(
        "body", [b"", b"not gzip", b"\x1f\x8b\x08", gzip.compress(b"{", mtime=0)[:-5], NOISE[:1000]]
    )
    def test_broken_gzip(self, server, body):
        assert signed(server, body, "PutLogEvents", {"content-encoding": "gzip"})[0] == 400

    def test_unknown_encodings(self, server):
        assert signed(server, b"{}", "PutLogEvents", {"content-encoding": "brotli"})[0] in (400, 415)

    def test_long_headers_and_addresses(self, server):
        assert 400 <= send(server, b"", {"x-long": "x" * 200_000})[0] < 500
        assert 400 <= send(server, b"", {}, "/?" + "x" * 200_000, "GET")[0] < 500
        assert 400 <= send(server, b"", {f"x-{i}": "v" for i in range(1000)})[0] < 500

    @pytest.mark.parametrize(
        "pattern",
        [
            "?" + "a" * 1023,
            "{" + "(" * 500 + "$.a = 1" + ")" * 500 + "}",
            "%" + "[a-z]*" * 170 + "%",
            "%a{1000}{1000}%",
            "%(a*)*$%",
            "[" + ",".join(f"f{i}" for i in range(300)) + "]",
            "{ $" + ".a" * 400 + " = 1 }",
            "{ $.a = " + "*a" * 300 + " }",
        ],
        ids=lambda p: p[:20],
    )
    def test_costly_patterns_end_soon(self, server, pattern):
        client = aws.client(server, "logs")
        started = time.monotonic()
        try:
            client.test_metric_filter(
                filterPattern=pattern,
                logEventMessages=["a" * 50_000, json.dumps({"a": "a" * 50_000}), "{" + '"a":{' * 5000] * 5,
            )
        except client.exceptions.InvalidParameterException:
            pass
        assert time.monotonic() - started < 10


class TestSockets:
    """Bytes that are not HTTP, and HTTP that never ends."""

    def connect(self, server):
        return socket.create_connection((server.host, server.port), timeout=20)

    @pytest.mark.parametrize(
        "garbage",
        [
            b"\x00" * 100,
            NOISE,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
            b"GET\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100,
            b"HELO there\r\n",
        ],
        ids=lambda b: repr(b[:24]),
    )
    def test_garbage(self, server, garbage):
        with self.connect(server) as connection:
            connection.sendall(garbage)
            try:
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except OSError:
                pass  # it hung up first

    def test_many_who_never_finish_do_not_keep_the_others_out(self, server):
        waiting = []
        try:
            for i in range(200):
                connection = self.connect(server)
                connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n" + b"\r\n{" * (i % 2))
                waiting.append(connection)
            started = time.monotonic()
            assert signed(server)[0] == 200
            assert time.monotonic() - started < 5
        finally:
            for connection in waiting:
                connection.close()

    def test_leaving_in_the_middle(self, server):
        for cut in range(0, 200, 20):
            with self.connect(server) as connection:
                request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-amz-json-1.1\r\n"
                request += b"X-Amz-Target: Logs_20140328.PutLogEvents\r\nContent-Length: 1000\r\n\r\n" + b"{" * 20
                connection.sendall(request[:cut] or b"P")


class TestEvents:
    """Hostile events: they are stored and matched or not matched, and nothing else happens."""

    def test_hostile_messages(self, server, logs, group, put):
        for name, pattern in (("xml", "{ $.EventID = 4656 }"), ("audit", '{ $.Audit.User = "*" }'), ("text", "x")):
            logs.put_metric_filter(
                logGroupName=group,
                filterName=name,
                filterPattern=pattern,
                metricTransformations=[{"metricName": name, "metricNamespace": group, "metricValue": "1"}],
            )
        messages = [
            "<Event>" * 10_000,
            "<Event><System><EventID>4656</EventID>" + "<a>" * 50_000,
            "<Event " + "a='b' " * 20_000 + "/>",
            "<!DOCTYPE a [<!ENTITY b 'c'>" + "<!ENTITY d '&b;&b;'>" * 100 + "]><Event>&d;</Event>",
            '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><Event><System><EventID>&x;</EventID></System></Event>',
            "<Event><System><EventID>99999999999999999999</EventID></System></Event>",
            "<Event><EventData>" + "<Data Name='a'>b</Data>" * 20_000 + "</EventData></Event>",
            "<Event>&#0;&#xffffffff;&undefined;</Event>",
            "<Event><![CDATA[",
            "{" * 100_000,
            '{"Audit":' * 10_000,
            "\u202e\u0000\u001b[2J" * 100,
            "%%4416" * 10_000,
        ]
        for message in messages:
            put(message)
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        assert [e["message"] for page in pages for e in page["events"]] == messages

    def test_hostile_names_in_a_mail(self, server, sns, cloudwatch, logs, group, put, mailbox):
        from support import windows
        from test_sns import subscribed

        topic, address, _ = subscribed(sns, mailbox)
        logs.put_metric_filter(
            logGroupName=group,
            filterName="f",
            filterPattern="{ $.EventID = 4656 }",
            metricTransformations=[{"metricName": "m", "metricNamespace": group, "metricValue": "1"}],
        )
        name = f"evil <b> {uuid.uuid4().hex[:8]}"
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace=group,
            MetricName="m",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
            AlarmActions=[topic],
        )
        user = "eve\r\nBcc: victim@example.org\r\n\r\n<script>alert(1)</script>\x1b[31m\u202e"
        file = "\\Device\\HarddiskVolume1\\share\\<img src=x onerror=alert(1)>\\\r\nTo: x@example.org\\" + "a" * 3000
        xml = (
            windows.denied_open(user, file, aws.now_ms())
            .replace("\x1b", "")
            .replace("\r", "&#13;")
            .replace("\n", "&#10;")
        )
        put(xml)
        mail = mailbox.wait(address, 2)[1]
        assert mail.recipients == [address]
        assert mail.message["Bcc"] is None and mail.message.get_all("To") == [address]
        assert "<script>" not in mail.html
        # The one picture is the mail's own; the name that would be another is text.
        [source] = re.findall(r"<img[^>]*src=[\"']?([^\"' >]*)", mail.html)
        assert source.startswith("cid:chart.")
        assert "&lt;img src=x onerror=alert(1)&gt;" in mail.html
        assert "\x1b" not in mail.text and "\u202e" not in mail.subject
        assert len(mail.subject) < 200
