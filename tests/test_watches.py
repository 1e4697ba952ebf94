"""Every recipe of `nightbell watch` through the program itself: it fires once and names who, where and from where; what it
leaves out does not fire and is counted. On events as sources ship them, and on logs recorded on real machines.
"""

import datetime
import re
import time
import urllib.request
from dataclasses import dataclass, field

import pytest
from support import aws, windows
from support.aws import unique
from support.server import ACCESS_KEY, REPOSITORY, SECRET_KEY, run
from test_incidents import listed

EVTX = REPOSITORY / "testdata" / "evtx"
ROOT_KEY = {"NIGHTBELL_ROOT_ACCESS_KEY_ID": ACCESS_KEY, "NIGHTBELL_ROOT_SECRET_ACCESS_KEY": SECRET_KEY}
JUDGED_SECONDS_MAX = 15
SILENCE_SECONDS = 1.5
# The watches that may be held to a folder.
ON_FILES = ["denied-access", "mass-delete", "mass-read"]
FILE_SERVER = "amznfsxabc12345.corp.example.com"


class Watch:
    """One `nightbell watch` with a log group, a name and a reader of its own; the reader has said yes."""

    def __init__(self, server, mailbox, recipe, *more):
        self.server, self.mailbox = server, mailbox
        self.name, self.group = unique(recipe), unique("windows")
        self.address = f"{unique('reader')}@example.org"
        arguments = ("--name", self.name, "--group", self.group, "--mail", self.address)
        done = run("watch", recipe, *more, *arguments, "--data", str(server.data), folder=server.folder, **ROOT_KEY)
        assert done.returncode == 0, done.stderr
        self.told = done.stdout
        self.connect()
        self.logs.create_log_stream(logGroupName=self.group, logStreamName="s")
        [confirmation] = mailbox.wait(self.address)
        urllib.request.urlopen(confirmation.link("ConfirmSubscription"), timeout=10).close()

    def connect(self):
        self.logs, self.cloudwatch = aws.client(self.server, "logs"), aws.client(self.server, "cloudwatch")

    def put(self, messages, at_ms):
        events = [{"timestamp": at_ms, "message": message} for message in messages]
        answer = self.logs.put_log_events(logGroupName=self.group, logStreamName="s", logEvents=events)
        assert "rejectedLogEventsInfo" not in answer

    def replay(self, recording):
        """Plays a recorded log as if its last event happened now."""
        path = EVTX / f"{recording}.evtx"
        arguments = ("--group", self.group, "--as-if-now", "--data", str(self.server.data))
        done = run("import", str(path), *arguments, folder=self.server.folder, **ROOT_KEY)
        assert done.returncode == 0, done.stderr

    def counted(self, metric) -> float:
        """The sum of a metric without dimensions over the last hours."""
        now = datetime.datetime.now(datetime.UTC)
        answer = self.cloudwatch.get_metric_statistics(
            Namespace="Nightbell/Watch",
            MetricName=f"{metric.replace(' ', f' {self.name} ', 1)}",
            StartTime=now - datetime.timedelta(hours=3),
            EndTime=now + datetime.timedelta(minutes=5),
            Period=3600,
            Statistics=["Sum"],
        )
        return sum(point["Sum"] for point in answer["Datapoints"])

    def wait_counted(self, expected):
        """Waits until each of the metrics has its sum; more is as wrong as less."""
        end = time.monotonic() + JUDGED_SECONDS_MAX
        while True:
            found = {metric: self.counted(metric) for metric in expected}
            if found == expected or time.monotonic() > end:
                assert found == expected
                return
            time.sleep(0.1)

    def in_alarm(self) -> list[dict[str, str]]:
        """Who is in ALARM."""
        contributors = self.cloudwatch.describe_alarm_contributors(AlarmName=self.name)["AlarmContributors"]
        return [one["ContributorAttributes"] for one in contributors]

    def fires_once(self, words, seconds=JUDGED_SECONDS_MAX):
        """The one mail of the watch; it says all of these words."""
        mail = self.mailbox.wait(self.address, 2, seconds)[1]
        assert mail.subject.startswith("[ALARM]"), mail.subject
        for text in (mail.text, re.sub(r"<[^>]+>", " ", mail.html)):
            for word in words:
                assert word in text.lower(), f"{word} is not in {text}"
        self.mailbox.stays(self.address, 2, SILENCE_SECONDS)
        return mail

    def stays_silent(self):
        self.mailbox.stays(self.address, 1, SILENCE_SECONDS)
        assert self.in_alarm() == []


@dataclass
class Case:
    """What a recipe fires at, what it says of it, and what it leaves out: for each exclusion, so many such events."""

    recipe: str
    options: tuple[str, ...]
    fires: list
    who: dict[str, str]
    words: tuple[str, ...]
    metric: str
    left_out: dict[str, list] = field(default_factory=dict)
    # Of a second filter: its metric and what it leaves out.
    also: dict[str, int] = field(default_factory=dict)


def deleted(*files, user="mallory"):
    return [lambda at, file=file: windows.file_used(file, "0x10000", user=user, at_ms=at) for file in files]


def read(*files, user="mallory"):
    return [lambda at, file=file: windows.file_used(file, "0x1", user=user, at_ms=at) for file in files]


def many(make, count, **fixed):
    return [lambda at: make(at_ms=at, **fixed)] * count


def each(make, name, values, **fixed):
    return [lambda at, value=value: make(at_ms=at, **{name: value}, **fixed) for value in values]


def numbered(pattern, count=3):
    return [pattern.format(n) for n in range(count)]


CASES = [
    Case(
        "denied-access",
        ("--threshold", "3", "--folder", r"\share\secret"),
        many(windows.denied_open, 3, user="mallory"),
        {"User": r"corp\mallory"},
        (r"corp\mallory", r"\share\secret", "roadmap_do_not_share.doc", FILE_SERVER, "not granted"),
        "DeniedAccess",
        {
            "machine-account": many(windows.denied_open, 4, user="WS7$"),
            "system-account": many(windows.denied_open, 3, user="SYSTEM", sid="S-1-5-18"),
        },
    ),
    Case(
        "denied-access",
        ("--threshold", "3"),
        many(windows.denied_open, 3, user="mallory"),
        {"User": r"corp\mallory"},
        (r"corp\mallory",),
        "DeniedAccess",
        {"not-a-file": many(windows.denied_open, 4, user="eve", kind="Process", file=r"\Device\X\lsass.exe")},
    ),
    Case(
        "failed-logons",
        ("--threshold", "3", "--exclude", "loopback"),
        many(windows.failed_logon, 3, machine="SRV9", user="root"),
        {"Instance": "srv9"},
        ("srv9", r"corp\root", "198.51.100.7", "wrong password"),
        "FailedLogons",
        {
            "machine-account": many(windows.failed_logon, 3, machine="SRV8", user="WS7$"),
            "anonymous": many(windows.failed_logon, 4, machine="SRV8", user="ANONYMOUS LOGON", domain="NT AUTHORITY"),
            "ntlm-validation": many(windows.ntlm_refused, 5, machine="SRV8"),
            "service-tickets": many(windows.service_ticket_refused, 6, machine="SRV8"),
            "loopback": many(windows.failed_logon, 7, machine="SRV8", address="127.0.0.1"),
        },
    ),
    Case(
        "mass-delete",
        ("--threshold", "3"),
        deleted(*numbered(r"plans\{}.doc")) + deleted(r"plans\0.doc"),
        {"User": r"corp\mallory"},
        (r"corp\mallory", r"\share\plans", "1.doc", FILE_SERVER),
        "FilesDeleted",
        {
            "machine-account": deleted(*numbered(r"plans\{}.doc", 4), user="WS7$"),
            "recycle-bin": deleted(*numbered(r"$Recycle.Bin\S-1-5-21\$R{}.doc", 5), user="bin"),
            "temporary-files": deleted(*numbered(r"plans\~{}.doc"), *numbered(r"plans\{}.tmp"), user="word"),
        },
    ),
    Case(
        "mass-read",
        ("--threshold", "3"),
        read(*numbered(r"plans\{}.doc")) + read(r"plans\0.doc"),
        {"User": r"corp\mallory"},
        (r"corp\mallory", r"\share\plans", "1.doc", FILE_SERVER),
        "FilesRead",
        {
            "machine-account": read(*numbered(r"plans\{}.doc", 4), user="WS7$"),
            "no-extension": read(*numbered(r"plans\folder{}", 5), user="explorer"),
            "temporary-files": read(*numbered(r"plans\{}.tmp", 6), user="word"),
        },
    ),
    Case(
        "password-spray",
        ("--threshold", "4"),
        each(windows.failed_logon, "user", numbered("user{}", 4), address="203.0.113.9")
        + many(windows.failed_logon, 5, user="user0", address="203.0.113.10"),
        {"Source": "203.0.113.9"},
        ("203.0.113.9", "srv1", r"corp\user0"),
        "AccountsFailed",
        {
            "machine-account": each(windows.failed_logon, "user", numbered("WS{}$", 4), address="203.0.113.1"),
            "loopback": each(windows.failed_logon, "user", numbered("local{}", 5), address="127.0.0.1"),
        },
    ),
    Case(
        "lockout",
        (),
        many(windows.lockout, 1) + many(windows.lockout, 1, machine="DC2"),
        {"Account": "bob"},
        ("bob", "wks7"),
        "Lockouts",
        {"machine-account": many(windows.lockout, 2, user="WS7$")},
    ),
    Case(
        "success-after-failures",
        ("--threshold", "3"),
        many(windows.failed_logon, 3, user="bob")
        + many(windows.failed_logon, 2, user="ann")
        + [lambda at: windows.logon(user="bob", at_ms=at + 1_000), lambda at: windows.logon(user="ann", at_ms=at + 1_000)],
        {"Account": "bob"},
        (r"corp\bob", "srv1", "198.51.100.7"),
        "FailuresBefore",
        {"machine-account": many(windows.failed_logon, 4, user="WS7$") + many(windows.logon, 1, user="WS7$")},
        {"SuccessesAfter excluded machine-account": 1},
    ),
    Case(
        "audit-policy-changed",
        (),
        many(windows.auditing_removed, 1, machine="SRV9"),
        {"Instance": "srv9"},
        ("srv9", r"corp\mallory", "file system: success auditing removed"),
        "AuditPolicyChanges",
        {
            "start-up": each(windows.auditing, "event_id", [4902, 4904, 4905], machine="SRV8"),
            "object-auditing": many(windows.auditing, 4, event_id=4907, machine="SRV8"),
        },
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.recipe} {len(case.left_out)}")
def test_a_watch_fires_once_names_them_and_counts_what_it_leaves_out(server, mailbox, case):
    watch = Watch(server, mailbox, case.recipe, *case.options)
    at = aws.now_ms() - 5_000
    excluded = [make for makes in case.left_out.values() for make in makes]
    expected = {f"{case.metric} excluded {name}": float(len(makes)) for name, makes in case.left_out.items()}
    expected.update({metric: float(count) for metric, count in case.also.items()})
    for metric, count in case.also.items():
        # What one filter leaves out is another's to leave out as well.
        name = metric.rsplit(" ", 1)[1]
        expected[f"{case.metric} excluded {name}"] -= count
    watch.put([make(at) for make in excluded], at)
    watch.wait_counted(expected)
    assert watch.in_alarm() == []

    watch.put([make(at) for make in case.fires], at)
    watch.fires_once(case.words)
    assert watch.in_alarm() == [case.who]


def test_what_is_included_fires(server, mailbox):
    watch = Watch(server, mailbox, "denied-access", "--threshold", "3", "--include", "machine-account")
    assert "machine-account" not in watch.told
    at = aws.now_ms()
    watch.put([windows.denied_open(user="WS7$", at_ms=at)] * 3, at)
    watch.fires_once([r"corp\ws7$"])


class TestRecorded:
    """Logs of real machines, played as if they happened now."""

    def test_a_brute_force_fires_once_for_its_machine(self, server, mailbox):
        watch = Watch(server, mailbox, "failed-logons")
        watch.replay("local-bruteforce-4625-4776")
        mail = watch.fires_once(["win", "wrong password"])
        assert "16 failed logons on win" in mail.subject
        assert watch.in_alarm() == [{"Instance": "win"}]

    def test_nineteen_denied_opens_make_one_mail_and_one_incident(self, server, mailbox):
        watch = Watch(server, mailbox, "denied-access")
        watch.replay("denied-file-opens-4656")
        mail = watch.fires_once([r"offsec\admmig", "srvdefender01.offsec.lan"])
        assert r"offsec\admmig denied 19 times" in mail.subject
        assert watch.in_alarm() == [{"User": r"offsec\admmig"}]
        [one] = listed(server, "--alarm", watch.name)
        assert (one["count"], one["evidence"]["events"], one["told"]) == (19, 19, 1)

    def test_cleared_logs_fire_once_and_name_who_cleared_them(self, server, mailbox):
        watch = Watch(server, mailbox, "log-cleared")
        watch.replay("log-cleared-104-1102")
        watch.fires_once(["fs03.offsec.lan", r"offsec\admmig"])
        assert watch.in_alarm() == [{"Instance": "fs03.offsec.lan"}]

    def test_other_logs_that_are_cleared_may_be_left_out(self, server, mailbox):
        watch = Watch(server, mailbox, "log-cleared", "--by", "channel", "--exclude", "other-logs")
        watch.replay("log-cleared-104-1102")
        mailbox.wait(watch.address, 2)  # the confirmation, and at least one alarm
        mailbox.wait(watch.address, 1 + len(watch.in_alarm()))
        channels = {one["Channel"] for one in watch.in_alarm()}
        assert "security" in channels and channels <= {"security", "system", "application"}
        watch.wait_counted({"LogsCleared excluded other-logs": 91.0 - len(channels)})

    @pytest.mark.parametrize("recipe", ON_FILES)
    def test_handles_on_a_process_are_no_files(self, server, mailbox, recipe):
        watch = Watch(server, mailbox, recipe, "--threshold", "1")
        watch.replay("process-handles-4656-4663-4658-not-files")
        watch.stays_silent()

    def test_every_watch_on_files_is_among_those(self):
        table = (REPOSITORY / "crates" / "nightbell-core" / "src" / "recipe" / "table.rs").read_text()
        found = re.findall(r'name: "([a-z-]+)"(?:(?!name: ").)*?in_folder: true', table, flags=re.DOTALL)
        assert sorted(found) == sorted(ON_FILES)


def test_a_machine_that_falls_silent_is_told_and_one_that_sends_is_not(server, mailbox):
    watch = Watch(server, mailbox, "silent-machine", "--within", "10s")
    now = aws.now_ms()
    watch.put([windows.failed_logon(machine="SRV9", at_ms=now - 45_000)], now - 45_000)
    end = time.monotonic() + 60
    while len(mailbox.mails(watch.address)) < 2:
        assert time.monotonic() < end, "nobody noticed"
        now = aws.now_ms()
        watch.put([windows.failed_logon(machine="SRV8", at_ms=now)], now)
        time.sleep(1)
    mail = watch.fires_once(["srv9", "silent"])
    assert "silent" in mail.subject
    assert watch.in_alarm() == [{"Instance": "SRV9"}]


class TestMissingEvents:
    """A gap is told 15 minutes after the record behind it, which the core's tests do not have to wait for. Past 256 runs of
    one log that wait, the oldest gap is told at once."""

    # Further apart than what counts as a selection.
    STEP = 200
    WAITING_MAX = 256

    def send(self, watch, ids):
        now = aws.now_ms()
        watch.put([windows.failed_logon(machine="SRV9", at_ms=now, record=record) for record in ids], now)

    def metric(self, server, name):
        with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
            [value] = re.findall(rf"^{re.escape(name)} (\S+)$", answer.read().decode(), flags=re.MULTILINE)
        return float(value)

    def wait_followed(self, watch, logs, ids=()):
        """Waits until so many event logs are followed; a record goes in before each look."""
        end = time.monotonic() + JUDGED_SECONDS_MAX
        while self.metric(watch.server, "nightbell_record_logs") != logs:
            assert time.monotonic() < end, f"not {logs} event logs"
            if ids:
                self.send(watch, ids)
            time.sleep(0.3)

    def test_gaps_are_told_across_a_crash_and_only_while_asked_for(self, fresh, own_mailbox):
        server = fresh(smtp=own_mailbox.url).start()
        watch = Watch(server, own_mailbox, "missing-events")
        self.wait_followed(watch, 1, ids=[1])
        self.send(watch, range(1, 100 * self.STEP, self.STEP))
        server.kill()
        server.start()
        watch.connect()
        assert self.metric(server, "nightbell_record_logs") <= 1
        assert own_mailbox.mails(watch.address)[1:] == []

        told = 3
        last = (self.WAITING_MAX + 1 + told) * self.STEP
        self.send(watch, range(100 * self.STEP + 1, last, self.STEP))
        mail = watch.fires_once(["srv9", "security", "2 to 200", "missing"])
        assert f"{told * (self.STEP - 1)}" in mail.subject, mail.subject
        assert watch.in_alarm() == [{"Instance": "srv9", "Channel": "security"}]
        assert self.metric(server, 'nightbell_record_findings_total{finding="gap"}') == told

        watch.cloudwatch.delete_alarms(AlarmNames=[watch.name])
        self.wait_followed(watch, 0)
        self.send(watch, [1])
        self.wait_followed(watch, 0)
