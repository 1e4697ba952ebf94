"""The program's own commands, as a person at a terminal meets them."""

import os
import re
import shutil
import stat
import subprocess
import time
import urllib.request

import pytest
from support import aws
from support.server import (
    ACCESS_KEY,
    REGION,
    REPOSITORY,
    SECRET_KEY,
    Server,
    binary,
    environment,
    run,
)

DEMO_SECONDS_MAX = 30
EVTX = REPOSITORY / "testdata" / "evtx"


class TestHelp:
    @pytest.mark.parametrize(
        "command",
        [(), *((name,) for name in "serve env import watch query tail export verify backup restore doctor demo".split())],
    )
    def test_every_command_explains_itself(self, tmp_path, command):
        done = run(*command, "--help", folder=tmp_path)
        assert done.returncode == 0 and "Usage:" in done.stdout and done.stderr == ""

    def test_the_flags_of_the_server(self, tmp_path):
        told = run("serve", "--help", folder=tmp_path).stdout
        for flag in ("--data", "--listen", "--smtp", "--account-id", "--region", "--allow-reset", "--config"):
            assert flag in told
        for variable in ("NIGHTBELL_DATA", "NIGHTBELL_LISTEN", "NIGHTBELL_SMTP"):
            assert variable in told
        assert "127.0.0.1:8600" in told

    def test_the_version(self, tmp_path):
        assert run("--version", folder=tmp_path).stdout.startswith("nightbell ")

    @pytest.mark.parametrize("arguments", [("brew",), ("serve", "--coffee"), ("import",)])
    def test_wrong_use_is_told(self, tmp_path, arguments):
        done = run(*arguments, folder=tmp_path)
        assert done.returncode == 2 and "Usage:" in done.stderr


class TestConfiguration:
    def test_an_unknown_key_is_refused_by_name(self, tmp_path):
        (tmp_path / "nightbell.toml").write_text('listn = "127.0.0.1:0"\n')
        done = run("serve", "--config", "nightbell.toml", "--data", "data", folder=tmp_path)
        assert done.returncode != 0 and "listn" in done.stderr and "panicked" not in done.stderr

    @pytest.mark.parametrize(
        ("flag", "value", "word"),
        [
            ("--listen", "nowhere", "listen"),
            ("--listen", "127.0.0.1:99999", "listen"),
            ("--account-id", "12", "account"),
            ("--smtp", "pigeon://x", "smtp"),
            ("--config", "missing.toml", "missing.toml"),
        ],
    )
    def test_a_wrong_value_is_refused_with_the_setting(self, tmp_path, flag, value, word):
        done = run("serve", "--data", "data", flag, value, folder=tmp_path)
        assert done.returncode != 0 and word in done.stderr and "panicked" not in done.stderr, done.stderr

    def test_a_file_configures_the_server(self, tmp_path):
        (tmp_path / "nightbell.toml").write_text('account_id = "999999999999"\nallow_reset = true\n')
        server = Server(tmp_path, "--config", "nightbell.toml")
        server.arguments = ["--config", "nightbell.toml"]
        server.start()
        try:
            logs = aws.client(server, "logs")
            logs.create_log_group(logGroupName="g")
            [group] = logs.describe_log_groups()["logGroups"]
            # The flag that every test server gets goes before the file.
            assert ":123456789012:" in group["arn"]
            request = urllib.request.Request(server.url + "/_nightbell/reset", data=b"", method="POST")
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert answer.status in (200, 204)
            assert logs.describe_log_groups()["logGroups"] == []
        finally:
            assert server.stop() == 0

    def test_a_taken_port_is_told(self, server, tmp_path):
        done = run("serve", "--data", "data", "--listen", f"127.0.0.1:{server.port}", folder=tmp_path)
        assert done.returncode != 0 and str(server.port) in done.stderr and "panicked" not in done.stderr

    def test_a_data_folder_in_use_is_told(self, server, tmp_path):
        done = run("serve", "--data", str(server.data), "--listen", "127.0.0.1:0", folder=tmp_path)
        assert done.returncode != 0 and "panicked" not in done.stderr and done.stderr.strip()


class TestServe:
    def test_it_starts_stops_and_remembers(self, fresh):
        server = fresh().start()
        logs = aws.client(server, "logs")
        logs.create_log_group(logGroupName="g")
        logs.create_log_stream(logGroupName="g", logStreamName="s")
        logs.put_log_events(
            logGroupName="g", logStreamName="s", logEvents=[{"timestamp": aws.now_ms(), "message": "kept"}]
        )
        assert server.stop() == 0
        server.start()
        [event] = aws.client(server, "logs").get_log_events(logGroupName="g", logStreamName="s")["events"]
        assert event["message"] == "kept"

    def test_a_key_is_made_at_the_first_start_and_kept_for_its_owner(self, fresh):
        server = fresh(root_key=False).start()
        told = run("env", "--data", str(server.data), folder=server.folder)
        assert told.returncode == 0, told.stderr
        exported = dict(
            line.removeprefix("export ").split("=", 1)
            for line in told.stdout.splitlines()
            if line.startswith("export ")
        )
        exported = {k: v.strip("'\"") for k, v in exported.items()}
        assert set(exported) >= {
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_DEFAULT_REGION",
            "AWS_ENDPOINT_URL",
        }
        assert exported["AWS_ENDPOINT_URL"] == server.url
        assert exported["AWS_DEFAULT_REGION"] == REGION, "the region the server was started with"
        key, secret = exported["AWS_ACCESS_KEY_ID"], exported["AWS_SECRET_ACCESS_KEY"]
        assert aws.client(server, "logs", key=key, secret=secret).describe_log_groups()["logGroups"] == []
        assert secret not in server.log.read_text()
        holding = [p for p in server.data.rglob("*") if p.is_file() and secret.encode() in p.read_bytes()]
        for path in holding:
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, f"{path} can be read by others"
        assert server.stop() == 0
        server.start()
        assert aws.client(server, "logs", key=key, secret=secret).describe_log_groups()["logGroups"] == []

    def test_env_waits_for_a_server_that_is_starting(self, fresh):
        server = fresh(root_key=False)
        asked = subprocess.Popen(
            [str(binary()), "env", "--data", str(server.data)],
            env=environment(server.folder),
            stdout=subprocess.PIPE,
            text=True,
        )
        server.start()
        told, _ = asked.communicate(timeout=30)
        assert asked.returncode == 0 and f"AWS_ENDPOINT_URL='{server.url}'" in told, told
        # What a server that was killed has told is not told again while the next one starts.
        server.kill()
        endpoint = server.data / "endpoint"
        endpoint.write_text("http://127.0.0.1:9\nus-east-2\n")
        server.start()
        assert endpoint.read_text().startswith(server.url)

    def test_env_says_that_no_server_is_up(self, fresh):
        server = fresh(root_key=False).start()
        assert server.stop() == 0
        told = run("env", "--data", str(server.data), folder=server.folder)
        assert told.returncode != 0 and told.stdout == ""
        assert "no server runs on" in told.stderr and "nightbell serve" in told.stderr
        elsewhere = run(
            *("env", "--data", str(server.data), "--endpoint", "http://192.0.2.1:8600"), folder=server.folder
        )
        assert elsewhere.returncode == 0 and "http://192.0.2.1:8600" in elsewhere.stdout

    def test_health_and_numbers(self, server):
        for path in ("/healthz", "/metrics"):
            with urllib.request.urlopen(server.url + path, timeout=10) as answer:
                body = answer.read().decode()
                assert answer.status == 200
        assert "nightbell_" in body and "# TYPE" in body


class TestWatch:
    @pytest.mark.parametrize(
        ("recipe", "more", "make"),
        [
            ("denied-access", ("--folder", "\\secret"), "denied_open"),
            ("failed-logons", (), "failed_logon"),
        ],
    )
    def test_one_line_sets_up_everything(self, fresh, own_mailbox, recipe, more, make):
        from support import windows

        server = fresh(smtp=own_mailbox.url).start()
        address = "security@example.org"
        done = run(
            *("watch", recipe, *more, "--group", "/audit", "--threshold", "3", "--within", "1m", "--mail", address),
            *("--data", str(server.data)),
            folder=server.folder,
            NIGHTBELL_ROOT_ACCESS_KEY_ID=ACCESS_KEY,
            NIGHTBELL_ROOT_SECRET_ACCESS_KEY=SECRET_KEY,
        )
        assert done.returncode == 0, done.stderr
        [confirmation] = own_mailbox.wait(address)
        urllib.request.urlopen(confirmation.link("ConfirmSubscription"), timeout=10).close()

        # What it made are ordinary resources.
        logs, cloudwatch = aws.client(server, "logs", region="us-east-2"), aws.client(server, "cloudwatch")
        assert [f["logGroupName"] for f in logs.describe_metric_filters(logGroupName="/audit")["metricFilters"]]
        [alarm] = cloudwatch.describe_alarms()["MetricAlarms"]
        assert (alarm["Threshold"], alarm["Metrics"][0]["Period"]) == (3.0, 60)
        logs.create_log_stream(logGroupName="/audit", logStreamName="s")
        at = aws.now_ms()
        events = [{"timestamp": at, "message": getattr(windows, make)(at_ms=at)} for _ in range(3)]
        logs.put_log_events(logGroupName="/audit", logStreamName="s", logEvents=events[:2])
        own_mailbox.stays(address, 1, 1.5)
        logs.put_log_events(logGroupName="/audit", logStreamName="s", logEvents=events[2:])
        assert "3" in own_mailbox.wait(address, 2)[1].subject

        # The same line again changes nothing and asks nobody again.
        again = run(
            *("watch", recipe, *more, "--group", "/audit", "--threshold", "3", "--within", "1m", "--mail", address),
            *("--data", str(server.data)),
            folder=server.folder,
            NIGHTBELL_ROOT_ACCESS_KEY_ID=ACCESS_KEY,
            NIGHTBELL_ROOT_SECRET_ACCESS_KEY=SECRET_KEY,
        )
        assert again.returncode == 0, again.stderr
        assert len(cloudwatch.describe_alarms()["MetricAlarms"]) == 1
        own_mailbox.stays(address, 2, 1)

    @pytest.mark.parametrize(
        "wrong",
        [
            ("--within", "7s", "--mail", "a@example.org"),
            ("--threshold", "0", "--mail", "a@example.org"),
            ("--mail", "nobody"),
            (),
        ],
        ids=" ".join,
    )
    def test_what_cannot_be_watched_is_told(self, fresh, wrong):
        server = fresh().start()
        env = {"NIGHTBELL_ROOT_ACCESS_KEY_ID": ACCESS_KEY, "NIGHTBELL_ROOT_SECRET_ACCESS_KEY": SECRET_KEY}
        done = run("watch", "denied-access", *wrong, "--data", str(server.data), folder=server.folder, **env)
        assert done.returncode != 0 and done.stderr and "panicked" not in done.stderr
        assert aws.client(server, "cloudwatch").describe_alarms()["MetricAlarms"] == []

    def test_without_a_server_it_says_what_to_do(self, tmp_path):
        done = run("watch", "denied-access", "--mail", "a@example.org", "--data", "data", folder=tmp_path)
        assert done.returncode != 0 and "nightbell serve" in done.stderr


class TestImport:
    @pytest.fixture
    def files(self, tmp_path):
        found = sorted(EVTX.glob("*.evtx"))
        assert found, f"no event logs in {EVTX}"
        return found

    def test_event_logs_are_read_into_a_group_once(self, fresh, files):
        server = fresh().start()
        arguments = ("--group", "/evtx", "--data", str(server.data))
        env = {"NIGHTBELL_ROOT_ACCESS_KEY_ID": ACCESS_KEY, "NIGHTBELL_ROOT_SECRET_ACCESS_KEY": SECRET_KEY}
        env["NIGHTBELL_REGION"] = REGION
        logs = aws.client(server, "logs")

        def count():
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/evtx")
            return sum(len(page["events"]) for page in pages)

        done = run("import", *map(str, files), *arguments, folder=server.folder, **env)
        assert done.returncode == 0, done.stderr
        told = [int(n) for n in re.findall(r": (\d+) events imported", done.stdout)]
        assert len(told) == len(files) and min(told) > 0, done.stdout
        assert count() == sum(told)
        streams = logs.describe_log_streams(logGroupName="/evtx")["logStreams"]
        assert sorted(s["logStreamName"] for s in streams) == sorted(f.stem for f in files)
        [event] = logs.get_log_events(logGroupName="/evtx", logStreamName=files[0].stem, limit=1)["events"]
        assert event["message"].startswith("<Event") and "<EventID" in event["message"]

        again = run("import", *map(str, files), *arguments, folder=server.folder, **env)
        assert again.returncode == 0, again.stderr
        assert count() == sum(told), "a second import adds nothing"

    def test_an_interrupted_import_goes_on_where_it_stopped(self, fresh, files):
        largest = max(files, key=lambda f: f.stat().st_size)
        server = fresh().start()
        env = {"NIGHTBELL_ROOT_ACCESS_KEY_ID": ACCESS_KEY, "NIGHTBELL_ROOT_SECRET_ACCESS_KEY": SECRET_KEY}
        env["NIGHTBELL_REGION"] = REGION
        arguments = ["import", str(largest), "--group", "/g", "--data", str(server.data)]
        command = subprocess.Popen(
            [str(binary()), *arguments], env={**environment(server.folder), **env}, stdout=subprocess.DEVNULL
        )
        time.sleep(0.3)
        server.kill()
        command.kill()
        command.wait()
        server.start()
        done = run(*arguments, folder=server.folder, **env)
        assert done.returncode == 0, done.stderr
        logs = aws.client(server, "logs")
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/g")
        messages = [e["message"] for page in pages for e in page["events"]]
        numbers = [re.search(r"<EventRecordID>(\d+)", m)[1] for m in messages]
        assert len(numbers) == len(set(numbers)), "an event was imported twice"
        told = [int(n) for n in re.findall(r"(\d+) (?:events imported|were there already)", done.stdout)]
        assert len(messages) == sum(told)

    def test_what_is_not_an_event_log_is_told(self, fresh, tmp_path):
        server = fresh().start()
        wrong = tmp_path / "wrong.evtx"
        env = {"NIGHTBELL_ROOT_ACCESS_KEY_ID": ACCESS_KEY, "NIGHTBELL_ROOT_SECRET_ACCESS_KEY": SECRET_KEY}
        for content in (b"", b"not an event log"):
            wrong.write_bytes(content)
            done = run("import", str(wrong), "--group", "/g", "--data", str(server.data), folder=tmp_path, **env)
            assert done.returncode != 0 and "wrong.evtx" in done.stderr and "panicked" not in done.stderr
        wrong.write_bytes(b"ElfFile\0" + os.urandom(8192))
        done = run("import", str(wrong), "--group", "/g", "--data", str(server.data), folder=tmp_path, **env)
        assert "damaged" in done.stdout + done.stderr and "panicked" not in done.stderr
        done = run("import", "missing.evtx", "--group", "/g", "--data", str(server.data), folder=tmp_path, **env)
        assert done.returncode != 0 and "missing.evtx" in done.stderr


class TestDemo:
    def test_it_shows_both_jobs_and_leaves_nothing_behind(self, tmp_path):
        temporary = tmp_path / "tmp"
        temporary.mkdir()
        before = sorted(p.name for p in tmp_path.iterdir())
        done = run("demo", folder=tmp_path, timeout=DEMO_SECONDS_MAX, TMPDIR=str(temporary))
        assert done.returncode == 0, done.stderr
        told = done.stdout.lower()
        for word in ("denied", "logon", "subject"):
            assert word in told, done.stdout
        assert list(temporary.iterdir()) == [], "temporary files are left"
        assert sorted(p.name for p in tmp_path.iterdir()) == before
        assert "\x1b" not in done.stdout, "colours go to terminals only"


def test_the_binary_needs_nothing_beside_it(tmp_path):
    alone = tmp_path / "nightbell"
    shutil.copy2(binary(), alone)
    done = subprocess.run([str(alone), "--version"], capture_output=True, text=True, timeout=20, cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("nightbell ")
