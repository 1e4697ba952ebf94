"""Looking after an installation: the limit of the disk, backups and their way back, and the doctor."""

import json
import os
import random
import shutil
import socket
import string
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from support import aws
from support.server import ACCESS_KEY, SECRET_KEY, Server, binary, environment, run

GROUP = "/operations"
DISK_BYTES_MAX = 24 << 20
RECOVERY_SECONDS_MAX = 30
KEY = {"NIGHTBELL_ROOT_ACCESS_KEY_ID": ACCESS_KEY, "NIGHTBELL_ROOT_SECRET_ACCESS_KEY": SECRET_KEY}


def get(server: Server, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(server.url + path, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metric(server: Server, name: str) -> float:
    _, text = get(server, "/metrics")
    [line] = [line for line in text.splitlines() if line.startswith(name + " ")]
    return float(line.split()[1])


def begin(server: Server, group: str = GROUP):
    """A client, with a group and its stream `s`."""
    logs = aws.client(server, "logs")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    return logs


def put(logs, *messages: str, group: str = GROUP):
    at = aws.now_ms()
    events = [{"timestamp": at, "message": message} for message in messages]
    return logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)


def stored(server: Server, group: str = GROUP) -> list[str]:
    pages = aws.client(server, "logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    return [event["message"] for page in pages for event in page["events"]]


def noise(chance: random.Random) -> str:
    """Text that does not get much smaller when it is packed."""
    return "".join(chance.choices(string.ascii_letters + string.digits, k=200_000))


def backup(server: Server, to: Path):
    return run("backup", str(to), "--data", str(server.data), folder=server.folder, **KEY)


def restore(backup: Path, data: Path):
    return run("restore", str(backup), "--data", str(data), folder=data.parent)


class TestDiskLimit:
    @pytest.mark.parametrize("wrong", ["much", "10G", "1MiB"])
    def test_a_size_that_makes_no_sense_is_refused(self, tmp_path, wrong):
        done = run("serve", "--data", "data", "--disk-bytes-max", wrong, folder=tmp_path)
        assert done.returncode != 0 and ("disk-bytes-max" in done.stderr or "disk_bytes_max" in done.stderr)

    def test_at_the_limit_events_are_throttled_and_all_else_goes_on(self, fresh, own_mailbox):
        server = fresh("--allow-reset", "--disk-bytes-max", str(DISK_BYTES_MAX), smtp=own_mailbox.url).start()
        logs, chance = begin(server), random.Random(1)
        cloudwatch, sns = aws.client(server, "cloudwatch"), aws.client(server, "sns")
        topic = sns.create_topic(Name="t")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.org")
        [confirmation] = own_mailbox.wait("a@example.org")
        urllib.request.urlopen(confirmation.link("ConfirmSubscription"), timeout=10).close()
        cloudwatch.put_metric_alarm(
            AlarmName="a", Namespace="n", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1,
            Threshold=5, ComparisonOperator="GreaterThanThreshold", AlarmActions=[topic],
        )  # fmt: skip

        accepted, refused = 0, None
        for _ in range(1_000):
            try:
                put(logs, *(noise(chance) for _ in range(4)))
                accepted += 4
            except ClientError as error:
                refused = error.response
                break
        assert refused["Error"]["Code"] == "ThrottlingException", refused
        for word in ("disk_bytes_max", str(DISK_BYTES_MAX), "retention"):
            assert word in refused["Error"]["Message"]

        status, text = get(server, "/healthz")
        assert status == 503 and text.startswith("throttled:") and str(DISK_BYTES_MAX) in text
        assert metric(server, "nightbell_disk_bytes_max") == DISK_BYTES_MAX
        assert DISK_BYTES_MAX <= metric(server, "nightbell_disk_bytes") < 2 * DISK_BYTES_MAX
        assert len(stored(server)) == accepted, "reads go on"
        # Alarms and mails go on.
        cloudwatch.put_metric_data(Namespace="n", MetricData=[{"MetricName": "m", "Value": 9.0}])
        own_mailbox.wait("a@example.org", 2)
        told = run("doctor", "--data", str(server.data), folder=server.folder, **KEY)
        assert told.returncode == 1 and "disk limit" in told.stdout and "disk_bytes_max" in told.stdout

        # It goes on by itself once there is room.
        request = urllib.request.Request(server.url + "/_nightbell/reset", data=b"", method="POST")
        urllib.request.urlopen(request, timeout=20).close()
        logs.create_log_group(logGroupName=GROUP)
        logs.create_log_stream(logGroupName=GROUP, logStreamName="s")
        end = time.monotonic() + RECOVERY_SECONDS_MAX
        while True:
            try:
                put(logs, "room again")
                break
            except ClientError as error:
                assert error.response["Error"]["Code"] == "ThrottlingException"
                assert time.monotonic() < end
                time.sleep(0.2)
        assert get(server, "/healthz") == (200, "ok\n")
        assert stored(server) == ["room again"]

    def test_a_raised_limit_takes_events_again(self, fresh):
        server = fresh("--disk-bytes-max", str(DISK_BYTES_MAX)).start()
        logs, chance = begin(server), random.Random(2)
        with pytest.raises(ClientError):
            for _ in range(1_000):
                put(logs, *(noise(chance) for _ in range(4)))
        assert server.stop() == 0
        server.arguments = ["--disk-bytes-max", "2GiB"]
        server.start()
        put(aws.client(server, "logs"), "room again")

    def test_a_full_disk_takes_no_events_and_recovers(self, fresh, tmp_path, monkeypatch):
        """The files of the process may not grow: the disk looks full to it, and has room again later."""
        if shutil.which("prlimit") is None:
            pytest.skip("there is no prlimit")
        # A full disk is an error and no signal; and what is logged must go somewhere else.
        unsignalled = tmp_path / "unsignalled"
        unsignalled.write_text(f"#!/bin/sh\ntrap '' XFSZ\nexec '{binary()}' \"$@\" 2>/dev/null\n")
        unsignalled.chmod(0o755)
        monkeypatch.setenv("NIGHTBELL_BIN", str(unsignalled))
        server = fresh().start()
        logs = begin(server)
        put(logs, "kept 1")

        def limit(size: str):
            pid = str(server.process.pid)
            subprocess.run(["prlimit", "--pid", pid, f"--fsize={size}"], check=True, timeout=10)

        try:
            limit("16:")
            with aws.refused(("ServiceUnavailableException", "ThrottlingException"), status=503):
                put(logs, "refused")
            assert "kept 1" in stored(server), "reads go on"
            status, text = get(server, "/healthz")
            assert status == 503 and "no events are taken" in text
        finally:
            limit("unlimited:")
        end = time.monotonic() + RECOVERY_SECONDS_MAX
        while True:
            try:
                put(logs, "kept 2")
                break
            except ClientError:
                assert time.monotonic() < end
                time.sleep(0.2)
        assert get(server, "/healthz")[0] == 200
        assert {"kept 1", "kept 2"} <= set(stored(server))


class Writer(threading.Thread):
    """Sends numbered events until told to stop."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.logs = aws.client(server, "logs")
        self.acknowledged: list[str] = []
        self.ending = threading.Event()

    def run(self):
        count = 0
        while not self.ending.is_set():
            batch = [f"event {count + n:07}" for n in range(20)]
            count += 20
            put(self.logs, *batch)
            self.acknowledged += batch


class TestBackup:
    def test_a_backup_while_events_come_in_has_all_that_was_acknowledged_once(self, fresh, own_mailbox, tmp_path):
        server = fresh(smtp=own_mailbox.url).start()
        begin(server)
        cloudwatch = aws.client(server, "cloudwatch")
        alarm = dict(
            Namespace="n", MetricName="m", Statistic="Sum", Period=3600, EvaluationPeriods=1,
            ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
        )  # fmt: skip
        cloudwatch.put_metric_alarm(AlarmName="on", Threshold=5, **alarm)
        cloudwatch.put_metric_alarm(AlarmName="off", Threshold=50, **alarm)
        cloudwatch.put_metric_data(Namespace="n", MetricData=[{"MetricName": "m", "Value": 9.0}])

        def states(of):
            found = aws.client(of, "cloudwatch").describe_alarms()["MetricAlarms"]
            return {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}

        end = time.monotonic() + 20
        while states(server)["on"] != "ALARM":
            assert time.monotonic() < end
            time.sleep(0.05)
        writer = Writer(server)
        writer.start()
        while len(writer.acknowledged) < 200:
            time.sleep(0.01)
        to = tmp_path / "backup"
        for number in (1, 2):
            before = list(writer.acknowledged)
            done = backup(server, to)
            assert done.returncode == 0, done.stderr
            assert f"backup {number} in {to}" in done.stdout
        # Ordinary tools see that it is whole.
        subprocess.run(["sha256sum", "--check", "--quiet", "files-2.sha256"], cwd=to, check=True, timeout=60)
        assert to.stat().st_mode & 0o077 == 0
        writer.ending.set()
        writer.join()
        assert set(writer.acknowledged) == set(stored(server)), "the server went on meanwhile"

        again = fresh(smtp=own_mailbox.url)
        done = restore(to, again.data)
        assert done.returncode == 0, done.stderr
        assert "restored backup 2" in done.stdout
        again.start()
        counts = Counter(stored(again))
        assert set(before) <= set(counts), "what was acknowledged before the backup is there"
        assert set(counts.values()) == {1}
        assert sorted(counts) == [f"event {n:07}" for n in range(len(counts))], "a beginning, without holes"
        assert states(again) == {"on": "ALARM", "off": states(server)["off"]}
        put(aws.client(again, "logs"), "after")
        assert len(stored(again)) == len(counts) + 1

    def test_without_a_server_it_is_made_too_and_keeps_the_key(self, fresh, tmp_path):
        server = fresh(root_key=False).start()
        assert server.stop() == 0
        to = tmp_path / "backup"
        done = run("backup", str(to), "--data", str(server.data), folder=server.folder)
        assert done.returncode == 0, done.stderr
        assert "checking files: 100 %" in done.stderr, "how far it is"
        again = fresh(root_key=False)
        assert restore(to, again.data).returncode == 0
        key = "root-key.toml"
        assert (again.data / key).read_text() == (server.data / key).read_text()
        for path in (to / key, again.data / key):
            assert path.stat().st_mode & 0o077 == 0
        again.start()

    def test_damage_and_wrong_places_are_named(self, fresh, tmp_path):
        server = fresh().start()
        begin(server)
        put(aws.client(server, "logs"), "event")
        to = tmp_path / "backup"
        assert backup(server, to).returncode == 0
        for path in sorted(path for path in to.rglob("*") if path.is_file() and path.stat().st_size):
            if path.name in ("backup.json", "files-1.sha256"):
                continue
            whole = path.read_bytes()
            path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
            done = restore(to, tmp_path / "data")
            assert done.returncode == 1 and str(path) in done.stderr, done.stderr
            assert not (tmp_path / "data").exists()
            path.write_bytes(whole)
        # Into what is in use, or holds something.
        done = restore(to, server.data)
        assert done.returncode == 1 and "not empty" in done.stderr
        other = fresh().start()
        done = backup(other, to)
        assert done.returncode == 1 and "another store" in done.stderr
        done = backup(server, server.data / "backup")
        assert done.returncode == 1 and "must not lie in each other" in done.stderr
        done = run("backup", str(to), "--data", str(tmp_path / "nothing"), folder=tmp_path)
        assert done.returncode == 1 and "nothing to back up" in done.stderr
        (tmp_path / "empty").mkdir()
        done = restore(tmp_path / "empty", tmp_path / "data")
        assert done.returncode == 1 and "backup.json" in done.stderr

    def test_a_client_that_leaves_ends_the_work_and_the_next_one_is_whole(self, fresh, tmp_path):
        server = fresh().start()
        logs, chance = begin(server), random.Random(3)
        for _ in range(10):
            put(logs, *(noise(chance) for _ in range(4)))
        to = tmp_path / "backup"
        command = [str(binary()), "backup", str(to), "--data", str(server.data)]
        asked = subprocess.Popen(command, env={**environment(server.folder), **KEY}, stderr=subprocess.DEVNULL)
        while not (to / "unfinished.json").exists() and asked.poll() is None:
            time.sleep(0.005)
        asked.kill()
        asked.wait()
        end = time.monotonic() + 30
        while (done := backup(server, to)).returncode != 0:
            assert "another backup" in done.stderr and time.monotonic() < end, done.stderr
            time.sleep(0.1)
        assert not (to / "unfinished.json").exists()
        assert restore(to, tmp_path / "data").returncode == 0

    def test_a_server_does_not_start_on_a_restore_that_was_cut_short(self, fresh, tmp_path):
        server = fresh().start()
        to = tmp_path / "backup"
        assert backup(server, to).returncode == 0
        data = tmp_path / "data"
        (data / "restoring" / "store").mkdir(parents=True)
        done = run("serve", "--data", str(data), "--listen", "127.0.0.1:0", folder=tmp_path)
        assert done.returncode == 1 and "nightbell restore" in done.stderr
        done = restore(to, data)
        assert done.returncode == 0, done.stderr
        assert not (data / "restoring").exists()


class TestDoctor:
    @staticmethod
    def checks(data: Path, *arguments: str, key: dict[str, str] = KEY) -> tuple[int, dict[str, dict]]:
        done = run("doctor", "--json", "--data", str(data), *arguments, folder=data.parent, **key)
        assert "panicked" not in done.stderr, done.stderr
        return done.returncode, {check["name"]: check for check in json.loads(done.stdout)}

    def test_a_healthy_installation(self, fresh, own_mailbox):
        server = fresh(smtp=own_mailbox.url).start()
        begin(server)
        put(aws.client(server, "logs"), "event")
        told = run("doctor", "--data", str(server.data), folder=server.folder, **KEY)
        assert told.returncode == 0, told.stdout + told.stderr
        assert all(line.startswith(("ok ", "warn")) for line in told.stdout.splitlines()), told.stdout
        code, found = self.checks(server.data)
        assert code == 0
        for name in ("server", "data folder", "writing", "clock", "health", "lag", "mail"):
            assert found[name]["state"] == "ok", found[name]
        assert own_mailbox.mails() == [], "nobody is told unless asked for"
        code, found = self.checks(server.data, "--send-test", "who@example.org")
        assert code == 0 and found["test mail"]["state"] == "ok"
        [mail] = own_mailbox.wait("who@example.org")
        assert "test" in mail.subject

        assert server.stop() == 0
        code, found = self.checks(server.data, "--listen", "127.0.0.1:0", "--smtp", own_mailbox.url)
        assert code == 0, found
        for name in ("store", "port", "clock", "mail", "data folder"):
            assert found[name]["state"] == "ok", found[name]
        assert "does not run" in found["server"]["seen"]

    def test_wrong_permissions_are_told_with_the_way_out(self, fresh):
        server = fresh(root_key=False).start()
        (server.data / "root-key.toml").chmod(0o644)
        server.data.chmod(0o755)
        code, found = self.checks(server.data, key=KEY)
        assert code == 1 and "cannot be asked" in found["server"]["seen"], "the server has a key of its own"
        code, found = self.checks(server.data, key={})
        assert code == 1
        assert found["root key"]["state"] == "fail" and "chmod 600" in found["root key"]["advice"]
        assert found["data folder"]["state"] == "fail" and "chmod 700" in found["data folder"]["advice"]
        for advice in (found["root key"]["advice"], found["data folder"]["advice"]):
            subprocess.run(advice, shell=True, check=True, timeout=10)
        code, found = self.checks(server.data, key={})
        assert code == 0 and found["data folder"]["state"] == "ok"

    def test_a_dead_mail_server_is_told(self, fresh):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            url = f"smtp://127.0.0.1:{taken.getsockname()[1]}"
            server = fresh(smtp=url).start()
            code, found = self.checks(server.data)
            assert code == 1 and found["mail"]["state"] == "fail" and "127.0.0.1" in found["mail"]["seen"]
            assert found["mail"]["advice"]

    def test_a_stopped_installation_with_trouble(self, fresh, tmp_path):
        server = fresh().start()
        begin(server)
        put(aws.client(server, "logs"), "event")
        port = server.port
        assert server.stop() == 0
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port))
            taken.listen()
            code, found = self.checks(server.data, "--listen", f"127.0.0.1:{port}")
        assert code == 1 and found["port"]["state"] == "fail" and str(port) in found["port"]["seen"]
        # A file of the store from the future: the clock was turned back.
        marker = server.data / "store" / "version"
        ahead = time.time() + 3_600
        os.utime(marker, (ahead, ahead))
        code, found = self.checks(server.data, "--listen", "127.0.0.1:0")
        assert code == 1 and found["clock"]["state"] == "fail" and "NTP" in found["clock"]["advice"]
        os.utime(marker)
        [table, *_] = sorted((server.data / "store" / "keyspaces").glob("*/current"))
        table.write_bytes(b"x" + table.read_bytes()[1:])
        code, found = self.checks(server.data, "--listen", "127.0.0.1:0")
        assert code == 1 and str(table.parent) in found["store"]["seen"]

    def test_a_folder_that_is_not_there_yet(self, tmp_path):
        code, found = self.checks(tmp_path / "data", "--listen", "127.0.0.1:0")
        assert code == 0 and found["data folder"]["state"] == "warn"
        assert not (tmp_path / "data").exists(), "looking changes nothing"
