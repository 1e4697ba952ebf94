"""Delivery streams: how they are configured, and what has arrived in the bucket."""

import time

from .bucket import BUCKET
from .server import ACCOUNT

WAIT_SECONDS_MAX = 30
ROLE = f"arn:aws:iam::{ACCOUNT}:role/delivery"


def s3(prefix, seconds=0, **more):
    return {
        "RoleARN": ROLE,
        "BucketARN": f"arn:aws:s3:::{BUCKET}",
        "Prefix": prefix,
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": seconds},
        **more,
    }


def objects(bucket, prefix):
    """Keys and bodies below the prefix."""
    client = bucket.client()
    keys = [key for key in bucket.objects() if key.startswith(prefix)]
    return {key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


def eventually(look, enough=bool):
    """What `look` gives once it is enough."""
    end = time.monotonic() + WAIT_SECONDS_MAX
    while not enough(found := look()):
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found
