"""Pulling the plug: the program is killed at random moments while events come in, and started again.

What was acknowledged must be there, once, whether in the journal or in the archive. Every alarm whose line was crossed
must be on, and must have told its subscriber: once, or again with the same Message-ID if the kill fell between sending
and noting down that it was sent.
"""

import os
import random
import threading
import time
import uuid
from collections import Counter

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from support import aws

KILLS = 20
STOP_EVERY = 5
# Longest time between a start and the next kill: events must grow old enough to be archived.
PAUSE_SECONDS_MAX = {"1h": 0.5, "1s": 1.2}
# Steps of the archive that a run must have, at least, to be worth its name.
STEPS_MIN = 4
WRITERS = 3
BATCH_EVENTS_MAX = 20
SETTLE_SECONDS_MAX = 30
# What was on its way to the mail server at the kill may be accepted there a little later.
KILL_TO_ARRIVAL_SECONDS_MAX = 1
GROUP = "/crash"


class Writer(threading.Thread):
    """Sends batches of events with ids of its own until told to stop. Never sends an id twice, so an id that is found
    twice was stored twice."""

    def __init__(self, server, number, seed):
        super().__init__(daemon=True)
        self.server = server
        self.stream = f"w{number}"
        self.random = random.Random(f"{seed}-{number}")
        self.sent: list[str] = []
        self.acknowledged: list[str] = []
        self.markers: list[str] = []
        self.marked: set[str] = set()
        self.lock = threading.Lock()
        self.ending = threading.Event()

    def mark(self, marker):
        """Has one of the next batches carry the marker, again and again until one was acknowledged."""
        with self.lock:
            self.markers.append(marker)

    def run(self):
        count, client = 0, aws.client(self.server, "logs", timeout=5)
        while not self.ending.is_set():
            with self.lock:
                marker = self.markers[0] if self.markers else ""
            batch = []
            for _ in range(self.random.randint(1, BATCH_EVENTS_MAX)):
                count += 1
                batch.append(f"{self.stream}-{count:07} {marker}")
            self.sent += batch
            at = aws.now_ms()
            events = [{"timestamp": at, "message": m} for m in batch]
            try:
                client.put_log_events(logGroupName=GROUP, logStreamName=self.stream, logEvents=events)
            except (BotoCoreError, ClientError):
                time.sleep(0.02)
                continue
            self.acknowledged += batch
            if marker:
                self.marked.add(marker)
                with self.lock:
                    self.markers.remove(marker)


def prepare(server, mailbox, alarms):
    """A group that counts each marker, an alarm for each, and one subscriber who has agreed."""
    from test_sns import subscribed

    topic, address, _ = subscribed(aws.client(server, "sns"), mailbox)
    logs, cloudwatch = aws.client(server, "logs"), aws.client(server, "cloudwatch")
    logs.create_log_group(logGroupName=GROUP)
    for number in range(WRITERS):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=f"w{number}")
    for name in alarms:
        logs.put_metric_filter(
            logGroupName=GROUP,
            filterName=name,
            filterPattern=f'"{name}"',
            metricTransformations=[{"metricName": name, "metricNamespace": "crash", "metricValue": "1"}],
        )
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="crash",
            MetricName=name,
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore",
            AlarmActions=[topic],
        )
    return address


def stored(server):
    """Every message of the group, read through FilterLogEvents and, stream by stream, through GetLogEvents."""
    logs = aws.client(server, "logs")
    filtered, more = Counter(), {}
    while True:
        page = logs.filter_log_events(logGroupName=GROUP, **more)
        filtered.update(e["message"] for e in page["events"])
        if "nextToken" not in page:
            break
        more = {"nextToken": page["nextToken"]}
    got = Counter()
    for number in range(WRITERS):
        token = {}
        while True:
            page = logs.get_log_events(logGroupName=GROUP, logStreamName=f"w{number}", startFromHead=True, **token)
            got.update(e["message"] for e in page["events"])
            if token.get("nextToken") == page["nextForwardToken"]:
                break
            token = {"nextToken": page["nextForwardToken"]}
    assert filtered == got
    return got


@pytest.mark.parametrize("archive_after", ["1h", "1s"])
def test_nothing_acknowledged_is_lost_and_every_alarm_is_told_once(fresh, own_mailbox, archive_after):
    """Once with a journal alone, and once with events on their way into the archive all the time."""
    from test_archive import verdict

    seed = os.environ.get("NIGHTBELL_TEST_SEED") or uuid.uuid4().hex[:8]
    print(f"seed {seed}: NIGHTBELL_TEST_SEED={seed} repeats the choice of moments")
    chance = random.Random(seed)
    alarms = [f"crash-{k:02}" for k in range(KILLS)]
    server = fresh(smtp=own_mailbox.url, NIGHTBELL_ARCHIVE_AFTER=archive_after).start()
    address = prepare(server, own_mailbox, alarms)

    writers = [Writer(server, number, seed) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    kills = []
    for number, name in enumerate(alarms):
        chance.choice(writers).mark(name)
        time.sleep(chance.uniform(0.0, PAUSE_SECONDS_MAX[archive_after]))
        kills.append(time.time())
        server.kill()
        server.start()
        if number % STOP_EVERY == STOP_EVERY - 1:
            # Told to stop in the middle of the work, it ends what it has begun.
            time.sleep(chance.uniform(0.0, 0.3))
            assert server.stop() == 0, server.tail()
            server.start()
    end = time.monotonic() + SETTLE_SECONDS_MAX
    while any(w.markers for w in writers):
        assert time.monotonic() < end, "markers were never acknowledged"
        time.sleep(0.05)
    for writer in writers:
        writer.ending.set()
    for writer in writers:
        writer.join(timeout=30)

    # One more plug at rest: nothing may depend on what only memory held.
    kills.append(time.time())
    server.kill()
    server.start()
    acknowledged = [m for w in writers for m in w.acknowledged]
    sent = {m for w in writers for m in w.sent}
    found = stored(server)
    missing = [m for m in acknowledged if found[m] == 0]
    twice = [m for m, n in found.items() if n > 1]
    assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged events are lost: {missing[:5]}"
    assert not twice, f"stored more than once: {twice[:5]}"
    assert set(found) <= sent
    files = len(list((server.data / "archive").glob("group=*/**/*.parquet")))
    steps = len(list((server.data / "archive" / "chain").glob("*.json")))
    assert (steps >= STEPS_MIN, files > 0) == (archive_after == "1s",) * 2, f"{steps} steps, {files} files"
    proof = verdict(server, "--deep")
    assert proof["sound"], proof

    # The alarms: each is on, has changed once, and counted exactly what is stored.
    cloudwatch = aws.client(server, "cloudwatch")
    mails = own_mailbox.wait(address, 1 + KILLS, SETTLE_SECONDS_MAX)
    time.sleep(2)
    by_alarm = {name: [] for name in alarms}
    for mail in own_mailbox.mails(address)[1:]:
        [name] = [n for n in alarms if f'"{n}"' in mail.text]
        by_alarm[name].append(mail)
    untold = [n for n, told in by_alarm.items() if not told]
    assert not untold, f"no mail for {untold}; {len(mails)} mails"
    repeats = 0
    for name, (first, *again) in by_alarm.items():
        assert {m.message_id for m in again} <= {first.message_id}, f"two messages for one transition: {name}"
        for mail in again:
            repeats += 1
            between = [k for k in kills if first.arrived - KILL_TO_ARRIVAL_SECONDS_MAX < k < mail.arrived]
            assert between, f"{name} was told twice without a kill between"
    states = {}
    for page in cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix="crash-"):
        states.update({a["AlarmName"]: a["StateValue"] for a in page["MetricAlarms"]})
    assert states == {n: "ALARM" for n in alarms}
    for name in alarms:
        items = cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="StateUpdate")["AlarmHistoryItems"]
        assert [i["HistorySummary"] for i in items] == ["Alarm updated from INSUFFICIENT_DATA to ALARM"], name
        points = cloudwatch.get_metric_statistics(
            Namespace="crash",
            MetricName=name,
            StartTime=time.time() // 60 * 60 - 1800,
            EndTime=time.time() // 60 * 60 + 60,
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        assert sum(p["Sum"] for p in points) == sum(1 for m in found if m.endswith(name)), name

    print(
        f"{KILLS} kills, {steps} steps of the archive, {len(acknowledged)} events acknowledged, {len(found) - len(acknowledged)} stored without "
        f"acknowledgement, {KILLS} alarms told, {repeats} mails repeated with the same Message-ID"
    )
    assert repeats <= KILLS // 2, "repeats should be rare: only a kill between sending and noting can cause one"
