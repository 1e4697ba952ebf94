"""Buckets, through the clients that people have (boto3's core, the AWS CLI) and by requests written out by hand.

What was answered 200 is there after `kill -9`; what is not whole, or not what was signed, never was.
"""

import base64
import contextlib
import datetime
import gzip
import hashlib
import hmac
import http.client
import io
import json
import os
import re
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from pathlib import Path

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from support import aws
from support.aws import refused, unique
from support.server import ACCESS_KEY, ACCOUNT, REGION, SECRET_KEY, run

MIB = 1 << 20
WAIT_SECONDS_MAX = 30
HOSTILE_KEYS = [
    "plain.txt",
    "a folder/a b  c",
    "plus+and%20percent%2F100%",
    "ü/ö/中文/🙂",
    "../../../etc/passwd",
    "..",
    ".",
    "x/../y",
    "./x",
    "//",
    "/leading",
    "trailing/",
    "a//b",
    "a\\b",
    "query?list-type=2&acl#fragment",
    "semi;colon:at@comma,equals=",
    "quotes'\"<>&[]{}|^`~*()!$",
    "tab\tline\nreturn\rend",
    "control\x01\x7f",
    "nul\x00byte",
    "k" * 1024,
]


@pytest.fixture
def s3(server):
    return aws.client(server, "s3")


@pytest.fixture
def bucket(s3):
    name = unique("bucket")
    s3.create_bucket(Bucket=name)
    return name


def keys(s3, bucket, **more) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, **more)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def content(s3, bucket, key, **more) -> bytes:
    return s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()


def blobs(server) -> list[str]:
    """What lies on disk: names of the server's own, in folders of its own."""
    folder = Path(server.data) / "buckets"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --- buckets ----------------------------------------------------------------------------------------------------------


def test_buckets_are_made_found_and_removed(s3):
    name = unique("made")
    made = s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "site-2"})
    assert made["Location"] == f"/{name}"
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == "site-2"
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == "site-2"
    [there] = [one for one in s3.list_buckets()["Buckets"] if one["Name"] == name]
    assert there["BucketRegion"] == "site-2"
    assert abs((datetime.datetime.now(datetime.UTC) - there["CreationDate"]).total_seconds()) < 60
    with refused("BucketAlreadyOwnedByYou", status=409):
        s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    with refused("BucketNotEmpty", status=409):
        s3.delete_bucket(Bucket=name)
    s3.delete_object(Bucket=name, Key="k")
    s3.delete_bucket(Bucket=name)
    with refused("NoSuchBucket", status=404):
        s3.list_objects_v2(Bucket=name)
    with refused("404", status=404):
        s3.head_bucket(Bucket=name)


def test_buckets_of_the_first_region_have_no_location(server):
    s3 = aws.client(server, "s3", region="us-east-1")
    name = unique("first")
    s3.create_bucket(Bucket=name)
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None


@pytest.mark.parametrize("name", ["Capital", "under_score", "ab", "a" * 64, "192.168.0.1", "dot..dot", "-dash"])
def test_what_no_bucket_may_be_called(server, name):
    # Clients refuse most of these themselves.
    status, _, body = send(server, "PUT", f"/{name}")
    assert (status, code_of(body)) == (400, "InvalidBucketName"), body


def test_the_reads_of_those_who_manage_buckets(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"][0]["Permission"] == "FULL_CONTROL"
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=bucket)
    rules = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    for read, code in [
        (s3.get_bucket_cors, "NoSuchCORSConfiguration"),
        (s3.get_bucket_website, "NoSuchWebsiteConfiguration"),
        (s3.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration"),
        (s3.get_bucket_replication, "ReplicationConfigurationNotFoundError"),
        (s3.get_bucket_encryption, "ServerSideEncryptionConfigurationNotFoundError"),
        (s3.get_object_lock_configuration, "ObjectLockConfigurationNotFoundError"),
        (s3.get_bucket_policy, "NoSuchBucketPolicy"),
        (s3.get_bucket_tagging, "NoSuchTagSet"),
    ]:
        with refused(code, status=404):
            read(Bucket=bucket)
        with refused("NoSuchBucket", status=404):
            read(Bucket=unique("nowhere"))


def test_tags_and_switches_of_a_bucket(s3, bucket):
    tags = [{"Key": "owner", "Value": "security + audit"}, {"Key": "ä", "Value": ""}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    with refused("InvalidTag"):
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "aws:x", "Value": ""}]})
    s3.delete_bucket_tagging(Bucket=bucket)
    with refused("NoSuchTagSet", status=404):
        s3.get_bucket_tagging(Bucket=bucket)

    switches = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert switches and all(switches.values())
    switches["BlockPublicPolicy"] = False
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=switches)
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == switches
    s3.delete_public_access_block(Bucket=bucket)
    with refused("NoSuchPublicAccessBlockConfiguration", status=404):
        s3.get_public_access_block(Bucket=bucket)


def test_what_is_not_served_says_so(s3, bucket):
    with refused("NotImplemented", "PutBucketVersioning", status=501):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    with refused("NotImplemented", "PutBucketLifecycleConfiguration", status=501):
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": []})
    with refused("NotImplemented", "x-amz-server-side-encryption", status=501):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="AES256")
    with refused("InvalidStorageClass"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", StorageClass="GLACIER")
    with refused("AccessControlListNotSupported"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="bucket-owner-full-control")
    with refused("NotImplemented", "GetObjectTorrent", status=501):
        s3.get_object_torrent(Bucket=bucket, Key="k")
    with refused("NoSuchVersion", status=404):
        s3.get_object(Bucket=bucket, Key="k", VersionId="abc")


# --- objects ----------------------------------------------------------------------------------------------------------


def test_an_object_is_what_was_put(s3, bucket):
    body = os.urandom(3 * MIB + 7)
    put = s3.put_object(
        Bucket=bucket,
        Key="report.csv",
        Body=body,
        ContentType="text/csv",
        ContentEncoding="br",
        CacheControl="no-store",
        ContentDisposition='attachment; filename="r.csv"',
        Metadata={"origin": "srv1", "Case": "Kept"},
        Tagging="a=1&b=x%20y",
    )
    md5 = f'"{hashlib.md5(body).hexdigest()}"'
    crc = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    assert put["ETag"] == md5
    assert put["ChecksumCRC32"] == crc
    got = s3.get_object(Bucket=bucket, Key="report.csv", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    head = s3.head_object(Bucket=bucket, Key="report.csv", ChecksumMode="ENABLED")
    for told in (got, head):
        assert (told["ContentLength"], told["ETag"], told["ChecksumCRC32"]) == (len(body), md5, crc)
        assert (told["ContentType"], told["ContentEncoding"], told["CacheControl"]) == ("text/csv", "br", "no-store")
        assert told["Metadata"] == {"origin": "srv1", "case": "Kept"}
        assert told["TagCount"] == 2
        assert abs((datetime.datetime.now(datetime.UTC) - told["LastModified"]).total_seconds()) < 60
    renamed = s3.get_object(Bucket=bucket, Key="report.csv", ResponseContentType="text/plain")
    assert renamed["ContentType"] == "text/plain"
    s3.put_object(Bucket=bucket, Key="empty")
    assert content(s3, bucket, "empty") == b""
    assert s3.head_object(Bucket=bucket, Key="empty")["ContentType"] == "binary/octet-stream"
    with refused("NoSuchKey", status=404):
        s3.get_object(Bucket=bucket, Key="nothing")
    with refused("404", status=404):
        s3.head_object(Bucket=bucket, Key="nothing")


def test_an_object_is_replaced_and_its_content_goes(fresh):
    server = fresh().start()
    s3 = aws.client(server, "s3")
    s3.create_bucket(Bucket="one")
    for number in range(3):
        s3.put_object(Bucket="one", Key="k", Body=f"version {number}")
    assert content(s3, "one", "k") == b"version 2"
    assert len(blobs(server)) == 1
    s3.delete_object(Bucket="one", Key="k")
    s3.delete_object(Bucket="one", Key="k")
    assert blobs(server) == []


def test_ranges(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    for asked, expected, told in [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=8-", b"89", "bytes 8-9/10"),
        ("bytes=-4", b"6789", "bytes 6-9/10"),
        ("bytes=5-500", b"56789", "bytes 5-9/10"),
    ]:
        got = s3.get_object(Bucket=bucket, Key="k", Range=asked)
        assert (got["Body"].read(), got["ContentRange"]) == (expected, told)
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    with refused("InvalidRange", status=416):
        s3.get_object(Bucket=bucket, Key="k", Range="bytes=10-")
    assert content(s3, bucket, "k", Range="lines=1-2") == b"0123456789"


def test_what_must_hold(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"one", IfNoneMatch="*")["ETag"]
    with refused("PreconditionFailed", status=412):
        s3.put_object(Bucket=bucket, Key="k", Body=b"two", IfNoneMatch="*")
    with refused("PreconditionFailed", status=412):
        s3.put_object(Bucket=bucket, Key="k", Body=b"two", IfMatch='"0"')
    assert content(s3, bucket, "k", IfMatch=etag) == b"one"
    with refused("304", status=304):
        s3.get_object(Bucket=bucket, Key="k", IfNoneMatch=etag)
    with refused("PreconditionFailed", status=412):
        s3.get_object(Bucket=bucket, Key="k", IfMatch='"0"')
    hour = datetime.timedelta(hours=1)
    now = datetime.datetime.now(datetime.UTC)
    with refused("304", status=304):
        s3.get_object(Bucket=bucket, Key="k", IfModifiedSince=now + hour)
    with refused("412", status=412):
        s3.head_object(Bucket=bucket, Key="k", IfUnmodifiedSince=now - hour)
    s3.put_object(Bucket=bucket, Key="k", Body=b"two", IfMatch=etag)
    assert content(s3, bucket, "k") == b"two"


def test_only_one_of_many_makes_an_object_that_must_not_be_there(server, s3, bucket):
    won = []

    def put(number):
        client = aws.client(server, "s3")
        with contextlib.suppress(Exception):
            client.put_object(Bucket=bucket, Key="once", Body=str(number), IfNoneMatch="*")
            won.append(number)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(won) == 1
    assert content(s3, bucket, "once") == str(won[0]).encode()


def test_what_is_not_what_it_says_is_refused(s3, bucket):
    with refused("BadDigest"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentMD5=base64.b64encode(hashlib.md5(b"y").digest()).decode())
    with refused("InvalidDigest"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentMD5="short")
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        wrong = {f"Checksum{algorithm}": base64.b64encode(b"0" * {"CRC32": 4, "SHA1": 20, "SHA256": 32}[algorithm]).decode()}
        with refused("BadDigest", algorithm):
            s3.put_object(Bucket=bucket, Key="k", Body=b"x", **wrong)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ChecksumAlgorithm="SHA256")
    told = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert told["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"x").digest()).decode()
    with refused("MetadataTooLarge"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"m": "v" * 3000})


def test_any_text_is_a_key_and_no_key_leads_anywhere(server, s3, bucket):
    for number, key in enumerate(HOSTILE_KEYS):
        s3.put_object(Bucket=bucket, Key=key, Body=f"content {number}")
    assert keys(s3, bucket) == sorted(HOSTILE_KEYS, key=lambda key: key.encode())
    assert keys(s3, bucket, PaginationConfig={"PageSize": 2}) == sorted(HOSTILE_KEYS, key=lambda key: key.encode())
    for number, key in enumerate(HOSTILE_KEYS):
        assert content(s3, bucket, key) == f"content {number}".encode(), key
        url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
        # A client in between may not tidy the path up.
        assert urllib.request.urlopen(url, timeout=20).read() == f"content {number}".encode(), key
        s3.copy_object(Bucket=bucket, Key=f"copies/{number}", CopySource={"Bucket": bucket, "Key": key})
        assert content(s3, bucket, f"copies/{number}") == f"content {number}".encode(), key
    with refused("KeyTooLongError"):
        s3.put_object(Bucket=bucket, Key="k" * 1025, Body=b"")
    names = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}-[0-9a-f]{16}-[0-9a-f]+")
    assert all(names.fullmatch(name) for name in blobs(server))
    several = [{"Key": key} for key in HOSTILE_KEYS if key.isprintable()]
    assert not s3.delete_objects(Bucket=bucket, Delete={"Objects": several}).get("Errors")
    assert not {*keys(s3, bucket)} & {entry["Key"] for entry in several}


def test_lists(s3, bucket):
    names = ["a.txt", "logs/1/x", "logs/1/y", "logs/2/x", "logs/3", "logs-old/1", "z"]
    for name in names:
        s3.put_object(Bucket=bucket, Key=name, Body=name)
    page = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [entry["Key"] for entry in page["Contents"]] == ["a.txt", "z"]
    assert [entry["Prefix"] for entry in page["CommonPrefixes"]] == ["logs-old/", "logs/"]
    assert (page["KeyCount"], page["IsTruncated"]) == (4, False)
    assert page["Contents"][0]["Size"] == 5
    page = s3.list_objects_v2(Bucket=bucket, Delimiter="/", Prefix="logs/")
    assert [entry["Key"] for entry in page["Contents"]] == ["logs/3"]
    assert [entry["Prefix"] for entry in page["CommonPrefixes"]] == ["logs/1/", "logs/2/"]

    found, more = [], {}
    while True:
        page = s3.list_objects_v2(Bucket=bucket, Delimiter="/", MaxKeys=1, **more)
        found += [entry["Key"] for entry in page.get("Contents", [])]
        found += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
        if not page["IsTruncated"]:
            break
        more = {"ContinuationToken": page["NextContinuationToken"]}
    assert found == ["a.txt", "logs-old/", "logs/", "z"]

    first = s3.list_objects(Bucket=bucket, Delimiter="/", MaxKeys=2)
    assert first["NextMarker"] == "logs-old/"
    second = s3.list_objects(Bucket=bucket, Delimiter="/", Marker=first["NextMarker"])
    assert [entry["Prefix"] for entry in second["CommonPrefixes"]] == ["logs/"]
    assert keys(s3, bucket, StartAfter="logs/1/x") == ["logs/1/y", "logs/2/x", "logs/3", "z"]
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=0)["KeyCount"] == 0
    versions = s3.list_object_versions(Bucket=bucket, Prefix="logs/")["Versions"]
    assert {(one["VersionId"], one["IsLatest"]) for one in versions} == {("null", True)}
    assert [one["Key"] for one in versions] == names[1:5]
    with refused("InvalidArgument", "continuation"):
        s3.list_objects_v2(Bucket=bucket, ContinuationToken="?")


def test_many_are_deleted_at_once(s3, bucket):
    for number in range(5):
        s3.put_object(Bucket=bucket, Key=f"k{number}", Body=b"x")
    asked = [{"Key": f"k{number}"} for number in range(3)] + [{"Key": "never"}, {"Key": "k4", "VersionId": "old"}]
    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": asked})
    assert [entry["Key"] for entry in done["Deleted"]] == ["k0", "k1", "k2", "never"]
    assert [(entry["Key"], entry["Code"]) for entry in done["Errors"]] == [("k4", "NoSuchVersion")]
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k3"}], "Quiet": True})
    assert "Deleted" not in quiet
    assert keys(s3, bucket) == ["k4"]
    with refused("MalformedXML"):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": str(n)} for n in range(1001)]})


def test_copies(s3, bucket):
    other = unique("other")
    s3.create_bucket(Bucket=other)
    body = os.urandom(MIB)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, ContentType="text/csv", Metadata={"a": "1"}, Tagging="t=1")
    copied = s3.copy_object(Bucket=other, Key="c", CopySource={"Bucket": bucket, "Key": "k"})["CopyObjectResult"]
    assert copied["ETag"] == put["ETag"]
    head = s3.head_object(Bucket=other, Key="c")
    assert (head["ContentType"], head["Metadata"], head["TagCount"]) == ("text/csv", {"a": "1"}, 1)
    with refused("InvalidRequest", "to itself"):
        s3.copy_object(Bucket=bucket, Key="k", CopySource={"Bucket": bucket, "Key": "k"})
    s3.copy_object(
        Bucket=bucket,
        Key="k",
        CopySource={"Bucket": bucket, "Key": "k"},
        MetadataDirective="REPLACE",
        Metadata={"b": "2"},
        ContentType="text/plain",
    )
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["ContentType"], head["Metadata"]) == ("text/plain", {"b": "2"})
    assert content(s3, bucket, "k") == body
    with refused("PreconditionFailed", status=412):
        s3.copy_object(Bucket=other, Key="d", CopySource={"Bucket": bucket, "Key": "k"}, CopySourceIfMatch='"0"')
    with refused("NoSuchKey", status=404):
        s3.copy_object(Bucket=other, Key="d", CopySource={"Bucket": bucket, "Key": "nothing"})


def test_tags_of_objects(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "a", "Value": "1"}]
    tags = [{"Key": f"k{n}", "Value": str(n)} for n in range(10)]
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tags})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tags
    with refused("BadRequest", "10"):
        s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [*tags, {"Key": "more", "Value": ""}]})
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    assert content(s3, bucket, "k") == b"x"


# --- objects in parts -------------------------------------------------------------------------------------------------


def begin(s3, bucket, key, **more) -> dict:
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, **more)["UploadId"]
    return {"Bucket": bucket, "Key": key, "UploadId": upload}


def part(s3, upload, number, body, **more) -> dict:
    done = s3.upload_part(**upload, PartNumber=number, Body=body, **more)
    sums = {name: value for name, value in done.items() if name.startswith("Checksum") and name != "ChecksumType"}
    return {"PartNumber": number, "ETag": done["ETag"]} | sums


@pytest.mark.parametrize("kind", ["COMPOSITE", "FULL_OBJECT"])
def test_an_object_comes_in_parts(s3, bucket, kind):
    first, second, last = os.urandom(5 * MIB), os.urandom(5 * MIB), os.urandom(1234)
    upload = begin(s3, bucket, "whole", ContentType="text/csv", ChecksumAlgorithm="CRC32", ChecksumType=kind)
    assert [one["UploadId"] for one in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload["UploadId"]]
    parts = [part(s3, upload, 3, last, ChecksumAlgorithm="CRC32")]
    parts = [part(s3, upload, 1, b"to be replaced", ChecksumAlgorithm="CRC32"), *parts]
    parts[0] = part(s3, upload, 1, first, ChecksumAlgorithm="CRC32")
    parts.insert(1, part(s3, upload, 2, second, ChecksumAlgorithm="CRC32"))
    part(s3, upload, 7, b"not named", ChecksumAlgorithm="CRC32")
    listed = s3.list_parts(**upload, MaxParts=3)
    assert [(one["PartNumber"], one["Size"]) for one in listed["Parts"]] == [(1, 5 * MIB), (2, 5 * MIB), (3, 1234)]
    assert listed["IsTruncated"] and listed["NextPartNumberMarker"] == 3
    with refused("NoSuchKey", status=404):
        s3.get_object(Bucket=bucket, Key="whole")
    done = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    body = first + second + last
    md5s = b"".join(hashlib.md5(one).digest() for one in (first, second, last))
    assert done["ETag"] == f'"{hashlib.md5(md5s).hexdigest()}-3"'
    crc = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    sums = b"".join(zlib.crc32(one).to_bytes(4, "big") for one in (first, second, last))
    composite = base64.b64encode(zlib.crc32(sums).to_bytes(4, "big")).decode() + "-3"
    assert done["ChecksumCRC32"] == (crc if kind == "FULL_OBJECT" else composite)
    got = s3.get_object(Bucket=bucket, Key="whole", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert (got["ContentType"], got["ContentLength"]) == ("text/csv", len(body))
    across = 5 * MIB - 3
    assert content(s3, bucket, "whole", Range=f"bytes={across}-{across + 9}") == body[across : across + 10]
    assert content(s3, bucket, "whole", Range="bytes=-1300") == body[-1300:]
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    with refused("NoSuchUpload", status=404):
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "whole"})
    assert content(s3, bucket, "copy") == body


def test_parts_that_do_not_fit_are_refused(s3, bucket):
    upload = begin(s3, bucket, "k")
    small, large = part(s3, upload, 1, b"small"), part(s3, upload, 2, os.urandom(5 * MIB))

    def complete(*parts):
        return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [*parts]})

    with refused("EntityTooSmall"):
        complete(small, large)
    with refused("InvalidPartOrder"):
        complete(large, small)
    with refused("InvalidPart"):
        complete({"PartNumber": 1, "ETag": large["ETag"]})
    with refused("InvalidPart"):
        complete({"PartNumber": 9, "ETag": large["ETag"]})
    with refused("InvalidArgument", "Part number"):
        s3.upload_part(**upload, PartNumber=10_001, Body=b"x")
    with refused("NoSuchUpload", status=404):
        s3.upload_part(**upload | {"UploadId": "0" * 32}, PartNumber=1, Body=b"x")
    complete(large)
    assert len(content(s3, bucket, "k")) == 5 * MIB


def test_an_upload_that_is_aborted_leaves_nothing(fresh):
    server = fresh().start()
    s3 = aws.client(server, "s3")
    s3.create_bucket(Bucket="parts")
    upload = begin(s3, "parts", "k")
    part(s3, upload, 1, os.urandom(MIB))
    assert len(blobs(server)) == 1
    s3.abort_multipart_upload(**upload)
    assert blobs(server) == []
    with refused("NoSuchUpload", status=404):
        s3.abort_multipart_upload(**upload)
    part(s3, begin(s3, "parts", "left"), 1, os.urandom(MIB))
    s3.delete_bucket(Bucket="parts")
    assert blobs(server) == []


def test_parts_may_be_copied(s3, bucket):
    body = os.urandom(6 * MIB)
    s3.put_object(Bucket=bucket, Key="source", Body=body)
    upload = begin(s3, bucket, "k")
    copied = [
        s3.upload_part_copy(
            **upload, PartNumber=n, CopySource={"Bucket": bucket, "Key": "source"}, CopySourceRange=f"bytes={a}-{b}"
        )["CopyPartResult"]
        for n, (a, b) in enumerate([(0, 5 * MIB - 1), (5 * MIB, 6 * MIB - 1)], 1)
    ]
    with refused("InvalidArgument", "within"):
        s3.upload_part_copy(
            **upload, PartNumber=3, CopySource={"Bucket": bucket, "Key": "source"}, CopySourceRange=f"bytes=0-{6 * MIB}"
        )
    parts = [{"PartNumber": n, "ETag": one["ETag"]} for n, one in enumerate(copied, 1)]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert content(s3, bucket, "k") == body


# --- who may what -----------------------------------------------------------------------------------------------------


def user(server, *statements) -> dict:
    """A key of a user with this policy, as arguments of a client."""
    iam = aws.client(server, "iam")
    name = unique("user")
    iam.create_user(UserName=name)
    document = {"Version": "2012-10-17", "Statement": [*statements]}
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"], "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}"}


def allow(actions, *resources, **more) -> dict:
    return {"Effect": "Allow", "Action": actions, "Resource": [*resources], **more}


def as_user(server, user, service="s3"):
    return aws.client(server, service, key=user["key"], secret=user["secret"])


def test_a_key_writes_below_its_prefix_and_nowhere_else(server, s3, bucket):
    arn = f"arn:aws:s3:::{bucket}"
    shipper = as_user(
        server,
        user(
            server,
            allow(["s3:PutObject", "s3:GetObject", "s3:DeleteObject"], f"{arn}/srv1/*"),
            allow("s3:ListBucket", arn, Condition={"StringLike": {"s3:prefix": "srv1/*"}}),
        ),
    )
    shipper.put_object(Bucket=bucket, Key="srv1/a", Body=b"x")
    assert content(shipper, bucket, "srv1/a") == b"x"
    assert keys(shipper, bucket, Prefix="srv1/") == ["srv1/a"]
    s3.put_object(Bucket=bucket, Key="srv2/a", Body=b"other")
    for act in [
        lambda: shipper.put_object(Bucket=bucket, Key="srv2/a", Body=b"x" * MIB),
        lambda: shipper.put_object(Bucket=bucket, Key="srv1", Body=b"x"),
        lambda: shipper.get_object(Bucket=bucket, Key="srv2/a"),
        lambda: shipper.delete_object(Bucket=bucket, Key="srv2/a"),
        lambda: shipper.list_objects_v2(Bucket=bucket),
        lambda: shipper.list_buckets(),
        lambda: shipper.delete_bucket(Bucket=bucket),
        lambda: shipper.create_bucket(Bucket=unique("b")),
        lambda: shipper.create_multipart_upload(Bucket=bucket, Key="srv2/b"),
        lambda: shipper.copy_object(Bucket=bucket, Key="srv1/b", CopySource={"Bucket": bucket, "Key": "srv2/a"}),
        lambda: shipper.put_object(Bucket=bucket, Key="srv1/b", Body=b"x", Tagging="a=1"),
        lambda: shipper.get_bucket_policy(Bucket=bucket),
    ]:
        with refused("AccessDenied", "is not authorized to perform: s3:", status=403):
            act()
    done = shipper.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "srv1/a"}, {"Key": "srv2/a"}]})
    assert [one["Key"] for one in done["Deleted"]] == ["srv1/a"]
    assert [(one["Key"], one["Code"]) for one in done["Errors"]] == [("srv2/a", "AccessDenied")]
    assert content(s3, bucket, "srv2/a") == b"other"


def test_the_policy_of_a_bucket_counts(server, s3, bucket):
    arn = f"arn:aws:s3:::{bucket}"
    guest = user(server, allow("logs:*", "*"))
    writer = user(server, allow("s3:*", "*"))
    statements = [
        {"Effect": "Allow", "Principal": {"AWS": guest["arn"]}, "Action": "s3:GetObject", "Resource": f"{arn}/open/*"},
        {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": f"{arn}/*"},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    s3.put_object(Bucket=bucket, Key="open/a", Body=b"x")
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == json.loads(policy)
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": False}
    assert content(as_user(server, guest), bucket, "open/a") == b"x"
    with refused("AccessDenied", status=403):
        as_user(server, guest).put_object(Bucket=bucket, Key="open/b", Body=b"x")
    with refused("AccessDenied", "explicit deny", status=403):
        as_user(server, writer).delete_object(Bucket=bucket, Key="open/a")
    with refused("MalformedPolicy"):
        s3.put_bucket_policy(Bucket=bucket, Policy='{"Statement": 1}')
    s3.delete_bucket_policy(Bucket=bucket)
    with refused("AccessDenied", status=403):
        as_user(server, guest).get_object(Bucket=bucket, Key="open/a")
    as_user(server, writer).delete_object(Bucket=bucket, Key="open/a")


def test_temporary_keys(server, s3, bucket):
    import botocore.session

    role = make_role(server, "s3:*", f"arn:aws:s3:::{bucket}/*", principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
    given = aws.client(server, "sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    client = botocore.session.Session().create_client(
        "s3",
        region_name=REGION,
        endpoint_url=server.url,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    client.put_object(Bucket=bucket, Key="k", Body=b"by the role")
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert urllib.request.urlopen(url, timeout=20).read() == b"by the role"
    with refused("AccessDenied", "assumed-role", status=403):
        client.list_objects_v2(Bucket=bucket)


def make_role(server, action, resource, principal) -> str:
    iam = aws.client(server, "iam")
    name = unique("role")
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    document = {"Version": "2012-10-17", "Statement": [allow(action, resource)]}
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(document))
    return arn


def test_strangers_are_told_nothing_but_that(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for method, path in [("GET", f"/{bucket}/k"), ("GET", f"/{bucket}"), ("PUT", f"/{bucket}/k"), ("DELETE", f"/{bucket}/k")]:
        status, headers, body = send(server, method, path, sign=False)
        assert (status, code_of(body), headers["content-type"]) == (403, "AccessDenied", "application/xml"), path
    status, headers, body = send(server, "HEAD", f"/{bucket}/k", sign=False)
    assert (status, body) == (403, b"")
    with refused("InvalidAccessKeyId", status=403):
        aws.client(server, "s3", key="AKIANOBODY0000000000").list_buckets()
    with refused("SignatureDoesNotMatch", status=403):
        aws.client(server, "s3", secret="wrong").put_object(Bucket=bucket, Key="k", Body=b"y" * MIB)
    assert content(s3, bucket, "k") == b"x"


# --- addresses that are signed ----------------------------------------------------------------------------------------


def test_presigned_addresses(s3, bucket):
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a b+c"}, ExpiresIn=60)
    request = urllib.request.Request(url, data=b"by address", method="PUT", headers={"Content-Type": ""})
    assert urllib.request.urlopen(request, timeout=20).status == 200
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b+c"}, ExpiresIn=60)
    assert urllib.request.urlopen(url, timeout=20).read() == b"by address"
    for wrong in [url.replace(bucket, f"{bucket}x"), url.replace("Expires=60", "Expires=61"), url[:-1] + "0g"[url[-1] == "0"]]:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(wrong, timeout=20)
        assert caught.value.code in (400, 403)
    # A header of AWS's that nobody signed decides nothing.
    request = urllib.request.Request(url, headers={"x-amz-checksum-mode": "ENABLED"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=20)
    assert (caught.value.code, code_of(caught.value.read())) == (403, "SignatureDoesNotMatch")


# --- by hand ----------------------------------------------------------------------------------------------------------


class Stated(S3SigV4Auth):
    """Signs for the body that is stated, whatever is sent."""

    def __init__(self, stated):
        super().__init__(Credentials(ACCESS_KEY, SECRET_KEY), "s3", REGION)
        self.stated = stated

    def payload(self, request):
        return self.stated


def send(server, method, path, body=b"", headers=(), stated=None, sign=True):
    """One request as given; gives status, headers and body."""
    request = AWSRequest(method=method, url=f"{server.url}{urllib.parse.quote(path, safe='/~?=&')}", headers=dict(headers))
    if sign:
        Stated(stated or hashlib.sha256(body).hexdigest()).add_auth(request)
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    try:
        connection.request(method, urllib.parse.quote(path, safe="/~?=&"), body=body, headers=dict(request.headers.items()))
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def code_of(body: bytes) -> str:
    return re.search(rb"<Code>(\w+)</Code>", body)[1].decode()


def chunked(server, path, chunks, trailer=None, spoil=None):
    """A body in signed chunks; `spoil` alters it before it is sent."""
    stated = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailer else "")
    length = sum(map(len, chunks))
    headers = {"x-amz-decoded-content-length": str(length), "content-encoding": "aws-chunked"}
    if trailer:
        headers["x-amz-trailer"] = trailer.split(":")[0]
    request = AWSRequest(method="PUT", url=f"{server.url}{path}", headers=headers)
    Stated(stated).add_auth(request)
    seed = re.search(r"Signature=(\w+)", request.headers["Authorization"])[1]
    stamp = request.headers["X-Amz-Date"]
    scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
    key = ("AWS4" + SECRET_KEY).encode()
    for step in (stamp[:8], REGION, "s3", "aws4_request"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()

    def following(kind, seed, *hashes):
        text = "\n".join([kind, stamp, scope, seed, *hashes])
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    body = b""
    for chunk in [*chunks, b""]:
        hashes = [hashlib.sha256(b"").hexdigest(), hashlib.sha256(chunk).hexdigest()]
        seed = following("AWS4-HMAC-SHA256-PAYLOAD", seed, *hashes)
        body += f"{len(chunk):x};chunk-signature={seed}\r\n".encode()
        body += chunk + b"\r\n" if chunk else b""
    if trailer:
        signature = following("AWS4-HMAC-SHA256-TRAILER", seed, hashlib.sha256(f"{trailer}\n".encode()).hexdigest())
        body += f"{trailer}\r\nx-amz-trailer-signature:{signature}\r\n".encode()
    body += b"\r\n"
    body = spoil(body) if spoil else body
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    try:
        connection.request("PUT", path, body=body, headers=dict(request.headers.items()))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_bodies_in_signed_chunks(server, s3, bucket):
    chunks = [os.urandom(64 << 10), os.urandom(64 << 10), b"rest"]
    body = b"".join(chunks)
    assert chunked(server, f"/{bucket}/plain", chunks)[0] == 200
    assert content(s3, bucket, "plain") == body
    crc = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    assert chunked(server, f"/{bucket}/trailer", chunks, f"x-amz-checksum-crc32:{crc}")[0] == 200
    assert content(s3, bucket, "trailer") == body
    assert s3.head_object(Bucket=bucket, Key="trailer", ChecksumMode="ENABLED")["ChecksumCRC32"] == crc

    def flipped(at):
        return lambda body: body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]

    for spoil, code in [
        (flipped(100), "SignatureDoesNotMatch"),
        (flipped(70_000), "SignatureDoesNotMatch"),
        (lambda body: body.replace(b"rest", b"best"), "SignatureDoesNotMatch"),
        (lambda body: body[: 64 << 10], "IncompleteBody"),
    ]:
        status, answer = chunked(server, f"/{bucket}/bad", chunks, spoil=spoil)
        assert (status in (400, 403), code_of(answer)) == (True, code), answer
    status, answer = chunked(server, f"/{bucket}/bad", chunks, "x-amz-checksum-crc32:AAAAAA==")
    assert (status, code_of(answer)) == (400, "BadDigest")
    with refused("NoSuchKey", status=404):
        s3.get_object(Bucket=bucket, Key="bad")


def test_a_body_other_than_was_signed_is_not_kept(server, s3, bucket):
    stated = hashlib.sha256(b"signed").hexdigest()
    status, _, answer = send(server, "PUT", f"/{bucket}/k", b"forged", stated=stated)
    assert (status, code_of(answer)) == (400, "XAmzContentSHA256Mismatch")
    status, _, answer = send(server, "PUT", f"/{bucket}/k", b"x", stated="nothing")
    assert (status, code_of(answer)) == (400, "AuthorizationHeaderMalformed")
    with refused("NoSuchKey", status=404):
        s3.get_object(Bucket=bucket, Key="k")
    # Nobody is in between on this machine.
    assert send(server, "PUT", f"/{bucket}/k", b"free", stated="UNSIGNED-PAYLOAD")[0] == 200
    trailer = b"4\r\nfree\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n"
    headers = {"x-amz-decoded-content-length": "4", "content-encoding": "aws-chunked", "x-amz-trailer": "x-amz-checksum-crc32"}
    crc = base64.b64encode(zlib.crc32(b"free").to_bytes(4, "big"))
    for told, status in [(crc, 200), (b"AAAAAA==", 400)]:
        done = send(server, "PUT", f"/{bucket}/t", trailer % told, headers, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        assert done[0] == status, done


def test_documents_that_are_none_are_refused(server, bucket):
    for body in [b"", b"<", b"<Delete>", b"<Other/>", b"<Delete/>", b"<Delete>" + b"<a>" * 1000, b"\xff\xfe", b"<!DOCTYPE x><Delete/>"]:
        status, _, answer = send(server, "POST", f"/{bucket}?delete=", body)
        assert (status, code_of(answer)) == (400, "MalformedXML"), body
    status, _, answer = send(server, "POST", f"/{bucket}?delete=", b"x" * (5 * MIB))
    assert (status, code_of(answer)) == (400, "MaxMessageLengthExceeded")
    assert code_of(send(server, "POST", f"/{bucket}")[2]) == "NotImplemented"
    assert send(server, "PATCH", f"/{bucket}/k")[0] == 405


# --- the command line -------------------------------------------------------------------------------------------------

CLIS = [
    pytest.param([os.path.join(os.path.dirname(os.sys.executable), "aws")], id="v1"),
    pytest.param(
        ["/usr/bin/aws"], id="v2", marks=pytest.mark.skipif(not Path("/usr/bin/aws").exists(), reason="no awscli of Debian's")
    ),
]


@pytest.mark.parametrize("program", CLIS)
def test_the_command_line(server, program, tmp_path):
    def call(*arguments, check=True):
        done = subprocess.run(
            [*program, "--endpoint-url", server.url, "s3", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            env={
                **server.env,
                "AWS_ACCESS_KEY_ID": ACCESS_KEY,
                "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
                "AWS_DEFAULT_REGION": REGION,
            },
        )
        assert not check or done.returncode == 0, f"aws s3 {' '.join(arguments)}: {done.stdout} {done.stderr}"
        return done.stdout if check else done

    name = unique("cli")
    here = f"s3://{name}"
    call("mb", here)
    assert name in call("ls")
    large = tmp_path / "large.bin"
    large.write_bytes(os.urandom(20 * MIB + 5))
    call("cp", str(large), f"{here}/folder/large.bin")
    assert re.search(rf"{large.stat().st_size} large\.bin", call("ls", f"{here}/folder/"))
    assert "PRE folder/" in call("ls", here)
    call("cp", f"{here}/folder/large.bin", str(tmp_path / "back.bin"))
    assert (tmp_path / "back.bin").read_bytes() == large.read_bytes()
    call("cp", f"{here}/folder/large.bin", f"{here}/copy.bin")
    call("mv", f"{here}/copy.bin", f"{here}/moved.bin")
    tree = tmp_path / "tree"
    for path in ["a.txt", "b/ü & c.txt", "b/d+e.txt"]:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(path)
    call("sync", str(tree), f"{here}/tree")
    assert call("sync", str(tree), f"{here}/tree") == ""
    call("sync", f"{here}/tree", str(tmp_path / "again"))
    assert (tmp_path / "again" / "b" / "ü & c.txt").read_text() == "b/ü & c.txt"
    call("rm", f"{here}/tree", "--recursive")
    assert "tree" not in call("ls", here)
    done = call("cp", f"{here}/nothing", str(tmp_path / "n"), check=False)
    assert done.returncode != 0 and "404" in done.stderr
    call("rb", here, "--force")
    assert name not in call("ls")


# --- kept, whatever happens -------------------------------------------------------------------------------------------


def test_what_was_answered_is_there_after_a_kill(fresh):
    server = fresh().start()
    s3 = aws.client(server, "s3")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="counter", Body=b"0")
    acknowledged, counted = {}, [0]
    dead = threading.Event()

    def put(worker):
        client = aws.client(server, "s3")
        number = 0
        while not dead.is_set():
            key, body = f"{worker}/{number}", os.urandom(1 + 50_000 * (number % 3))
            try:
                client.put_object(Bucket="kept", Key=key, Body=body)
            except Exception:
                return
            acknowledged[key] = hashlib.sha256(body).hexdigest()
            number += 1

    def replace():
        client = aws.client(server, "s3")
        while not dead.is_set():
            try:
                client.put_object(Bucket="kept", Key="counter", Body=str(counted[0] + 1))
            except Exception:
                return
            counted[0] += 1

    threads = [threading.Thread(target=put, args=(n,)) for n in range(3)] + [threading.Thread(target=replace)]
    [thread.start() for thread in threads]
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while len(acknowledged) < 40 and time.monotonic() < deadline:
        time.sleep(0.02)
    server.kill()
    dead.set()
    [thread.join() for thread in threads]
    assert len(acknowledged) >= 40

    server.start()
    s3 = aws.client(server, "s3")
    for key, digest in acknowledged.items():
        assert hashlib.sha256(content(s3, "kept", key)).hexdigest() == digest, key
    assert int(content(s3, "kept", "counter")) in (counted[0], counted[0] + 1)
    there = keys(s3, "kept")
    # What was under way is there whole, or not at all; what nobody names is removed.
    assert {*acknowledged} <= {*there} and len(there) <= len(acknowledged) + 4
    with_content = sum(s3.head_object(Bucket="kept", Key=key)["ContentLength"] > 0 for key in there)
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while len(blobs(server)) != with_content and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(blobs(server)) == with_content


def test_an_upload_in_parts_goes_on_after_a_kill(fresh):
    server = fresh().start()
    s3 = aws.client(server, "s3")
    s3.create_bucket(Bucket="parts")
    upload = begin(s3, "parts", "k")
    first = os.urandom(5 * MIB)
    parts = [part(s3, upload, 1, first)]
    server.kill()
    server.start()
    s3 = aws.client(server, "s3")
    parts.append(part(s3, upload, 2, b"rest"))
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    server.kill()
    server.start()
    assert content(aws.client(server, "s3"), "parts", "k") == first + b"rest"


def test_a_backup_holds_buckets(fresh, tmp_path):
    server = fresh().start()
    s3 = aws.client(server, "s3")
    s3.create_bucket(Bucket="copied")
    bodies = {f"k{n}": os.urandom(1000 * n) for n in range(4)}
    for key, body in bodies.items():
        s3.put_object(Bucket="copied", Key=key, Body=body)

    key = {"NIGHTBELL_ROOT_ACCESS_KEY_ID": ACCESS_KEY, "NIGHTBELL_ROOT_SECRET_ACCESS_KEY": SECRET_KEY}

    def back_up():
        done = run("backup", str(tmp_path / "backup"), "--data", str(server.data), folder=tmp_path, **key)
        assert done.returncode == 0, done.stderr
        return len([path for path in (tmp_path / "backup" / "buckets").rglob("*") if path.is_file()])

    assert back_up() == 3
    s3.delete_object(Bucket="copied", Key="k1")
    s3.put_object(Bucket="copied", Key="k2", Body=b"replaced")
    bodies = {key: body for key, body in bodies.items() if key != "k1"} | {"k2": b"replaced"}
    assert back_up() == 2
    assert server.stop() == 0
    assert back_up() == 2

    restored = fresh()
    done = run("restore", str(tmp_path / "backup"), "--data", str(restored.data), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    s3 = aws.client(restored.start(), "s3")
    assert {key: content(s3, "copied", key) for key in keys(s3, "copied")} == bodies


def test_a_client_that_goes_away_leaves_nothing(fresh):
    server = fresh().start()
    s3 = aws.client(server, "s3")
    s3.create_bucket(Bucket="left")
    request = AWSRequest(method="PUT", url=f"{server.url}/left/k", headers={"content-length": str(8 * MIB)})
    Stated("UNSIGNED-PAYLOAD").add_auth(request)
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    connection.putrequest("PUT", "/left/k", skip_host=True)
    connection.putheader("host", f"{server.host}:{server.port}")
    for name, value in request.headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(b"x" * 4 * MIB)
    connection.sock.close()
    connection.close()
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while blobs(server) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert blobs(server) == []
    assert keys(s3, "left") == []


def test_a_full_disk_is_told_and_ends(fresh):
    server = fresh("--disk-bytes-max", "64MiB").start()
    s3 = aws.client(server, "s3")
    s3.create_bucket(Bucket="full")
    number = 0
    with pytest.raises(Exception) as caught:
        for number in range(40):
            s3.put_object(Bucket="full", Key=str(number), Body=os.urandom(4 * MIB))
    answer = caught.value.response
    assert answer["Error"]["Code"] == "SlowDown", answer
    assert "disk_bytes_max" in answer["Error"]["Message"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert 4 <= number < 20
    assert keys(s3, "full") == sorted(str(n) for n in range(number))
    for n in range(number):
        s3.delete_object(Bucket="full", Key=str(n))
    s3.put_object(Bucket="full", Key="again", Body=os.urandom(4 * MIB))


# --- streams into buckets of our own ----------------------------------------------------------------------------------


def test_a_delivery_stream_writes_into_a_bucket_of_ours_in_its_role(server, s3, bucket):
    firehose = aws.client(server, "firehose")
    arn = f"arn:aws:s3:::{bucket}"
    role = make_role(server, "s3:PutObject", f"{arn}/in/*", principal={"Service": "firehose.amazonaws.com"})
    name = unique("stream")
    hints = {"SizeInMBs": 1, "IntervalInSeconds": 0}
    configuration = {"RoleARN": role, "BucketARN": arn, "Prefix": "in/", "BufferingHints": hints, "CompressionFormat": "GZIP"}
    firehose.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration=configuration)
    firehose.put_record(DeliveryStreamName=name, Record={"Data": b"a record\n"})
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not (found := keys(s3, bucket)) and time.monotonic() < deadline:
        time.sleep(0.1)
    [key] = found
    assert re.fullmatch(rf"in/\d{{4}}/\d\d/\d\d/\d\d/{name}-1-.*\.gz", key), key
    assert gzip.GzipFile(fileobj=io.BytesIO(content(s3, bucket, key))).read() == b"a record\n"

    # Where the role may not write, nothing is written, and it is said in the log.
    elsewhere = unique("stream")
    configuration["Prefix"] = "out/"
    firehose.create_delivery_stream(DeliveryStreamName=elsewhere, ExtendedS3DestinationConfiguration=configuration)
    firehose.put_record(DeliveryStreamName=elsewhere, Record={"Data": b"another\n"})
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while "s3:PutObject on resource" not in server.tail() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "s3:PutObject on resource" in server.tail()
    assert keys(s3, bucket) == [key]
    for stream in (name, elsewhere):
        firehose.delete_delivery_stream(DeliveryStreamName=stream)
