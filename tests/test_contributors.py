"""One alarm for all machines, users or folders, each counted on its own: who crosses the line is told, by name, once.

The counts come from Windows events through metric filters with dimensions; the alarms are queries with GROUP BY.
"""

import json
import time

import pytest
from support import aws, windows
from support.aws import cli, refused, unique
from test_sns import subscribed

MAIL_SECONDS_MAX = 10
CHANGE_SECONDS_MAX = 10
SILENCE_SECONDS = 2
SECOND, MINUTE = 1_000, 60_000
FAILED_LOGONS = '{ $.Audit.Action = "logon" && $.Audit.Outcome = "failure" }'
DENIED = '{ $.Audit.Outcome = "failure" && $.Audit.Folder = "*" }'
FOLDERS = 10_000
# XML events are large: so many of them fit into one call.
EVENTS_A_CALL = 400


class Counting:
    """A group whose events are counted by one dimension, an alarm over all its values, and a subscriber."""

    def __init__(self, server, mailbox, pattern=FAILED_LOGONS, dimension="Instance", **alarm):
        self.server, self.mailbox, self.dimension = server, mailbox, dimension
        self.connect()
        self.topic, self.address, _ = subscribed(aws.client(server, "sns"), mailbox)
        self.name = unique("counted")
        self.logs.create_log_group(logGroupName=self.name)
        self.logs.create_log_stream(logGroupName=self.name, logStreamName="s")
        self.count("Failed", pattern)
        self.alarm(**alarm)

    def connect(self):
        self.logs, self.cloudwatch = aws.client(self.server, "logs"), aws.client(self.server, "cloudwatch")

    def count(self, metric, pattern):
        """Counts what fits the pattern, for each value of the dimension."""
        self.logs.put_metric_filter(
            logGroupName=self.name,
            filterName=metric,
            filterPattern=pattern,
            metricTransformations=[
                {
                    "metricName": metric,
                    "metricNamespace": self.name,
                    "metricValue": "1",
                    "dimensions": {self.dimension: f"$.Audit.{self.dimension}"},
                }
            ],
        )

    def query(self, metric="Failed"):
        return f'SELECT SUM({metric}) FROM "{self.name}" GROUP BY {self.dimension}'

    def alarm(self, period=300, query=None, **more):
        settings = {
            "AlarmName": self.name,
            "Metrics": [
                {"Id": "q1", "Expression": query or self.query(), "Period": period, "ReturnData": True},
            ],
            "EvaluationPeriods": 1,
            "Threshold": 4,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": [self.topic],
        }
        self.cloudwatch.put_metric_alarm(**{**settings, **more})

    def failed(self, machine, *times_ms):
        """Stores one failed logon on the machine at each of the times, in one call."""
        self.store((t, windows.failed_logon(machine=machine, at_ms=t)) for t in times_ms)

    def store(self, events):
        events = [{"timestamp": at, "message": message} for at, message in sorted(events)]
        for start in range(0, len(events), EVENTS_A_CALL):
            part = events[start : start + EVENTS_A_CALL]
            answer = self.logs.put_log_events(logGroupName=self.name, logStreamName="s", logEvents=part)
            assert "rejectedLogEventsInfo" not in answer

    def told(self, count=1):
        """The alarm mails, once so many have come; more must not come."""
        self.mailbox.wait(self.address, 1 + count, MAIL_SECONDS_MAX)
        return self.mailbox.stays(self.address, 1 + count, SILENCE_SECONDS)[1:]

    def silent(self):
        self.mailbox.stays(self.address, 1, SILENCE_SECONDS)
        assert self.contributors() == {}
        assert self.state() != "ALARM"

    def described(self):
        [alarm] = self.cloudwatch.describe_alarms(AlarmNames=[self.name])["MetricAlarms"]
        return alarm

    def state(self):
        return self.described()["StateValue"]

    def contributors(self, protocol=""):
        """Those in ALARM by the value of the dimension, page for page."""
        client = aws.client(self.server, "cloudwatch", protocol=protocol)
        found, more = {}, {}
        while True:
            page = client.describe_alarm_contributors(AlarmName=self.name, **more)
            for one in page["AlarmContributors"]:
                assert list(one["ContributorAttributes"]) == [self.dimension]
                found[one["ContributorAttributes"][self.dimension]] = one
            if "NextToken" not in page:
                return found
            more = {"NextToken": page["NextToken"]}

    def history(self, kind):
        items = self.cloudwatch.describe_alarm_history(AlarmName=self.name, HistoryItemType=kind, MaxRecords=100)
        return items["AlarmHistoryItems"]

    def sum_of(self, value):
        """What the store holds of one value of the dimension, over the last two hours."""
        end = time.time() // 60 * 60 + 120
        points = self.cloudwatch.get_metric_statistics(
            Namespace=self.name,
            MetricName="Failed",
            Dimensions=[{"Name": self.dimension, "Value": value}],
            StartTime=end - 7_200,
            EndTime=end,
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return sum(point["Sum"] for point in points)


@pytest.fixture
def counting(server, mailbox):
    return Counting(server, mailbox)


def minutes_ago(minutes):
    """A whole minute that is so long over."""
    return (aws.now_ms() // MINUTE - minutes) * MINUTE


class TestWho:
    def test_the_machine_with_five_is_told_and_those_with_fewer_are_not(self, counting):
        start = minutes_ago(3)
        counting.failed("ws1", *(start + i * SECOND for i in range(3)))
        counting.failed("ws2", *(start + i * SECOND for i in range(2)))
        counting.silent()

        # Five on one machine, spread over the five minutes, between those of others.
        counting.failed("ws3", *(start + i * 25 * SECOND for i in range(4)))
        counting.silent()
        counting.failed("ws3", start + 100 * SECOND)
        [mail] = counting.told()
        for body in (mail.text, mail.html):
            assert "ws3" in body.lower()
            assert "ws1" not in body.lower() and "ws2" not in body.lower()
        assert "ws3" in mail.subject.lower() and "5 failed logons" in mail.subject

        seen = [counting.contributors(protocol) for protocol in aws.PROTOCOLS]
        for found in seen:
            assert list(found) == ["ws3"]
            one = found["ws3"]
            assert len(one["ContributorId"]) == 16 and int(one["ContributorId"], 16) >= 0
            assert one["StateReason"].startswith("Threshold Crossed: 1 datapoint [5.0 (")
            assert one["StateReason"].endswith("was greater than the threshold (4.0).")
            assert abs(one["StateTransitionedTimestamp"].timestamp() - time.time()) < 60
        assert seen[0] == seen[1] == seen[2], "what is answered does not depend on the protocol"

        parent = counting.described()
        assert parent["StateValue"] == "ALARM"
        assert parent["StateReason"] == "1 out of 3 time series evaluated to ALARM"
        [entry] = parent["Metrics"]
        assert (entry["Expression"], entry["Period"]) == (counting.query(), 300)

    def test_history_tells_whose_state_changed(self, counting):
        at = aws.now_ms()
        counting.failed("ws1", *[at] * 5)
        counting.told()
        [one] = counting.contributors().values()
        [update] = counting.history("AlarmContributorStateUpdate")
        assert update["HistorySummary"] == "Alarm updated from OK to ALARM"
        assert update["AlarmContributorId"] == one["ContributorId"]
        assert update["AlarmContributorAttributes"] == {"Instance": "ws1"}
        data = json.loads(update["HistoryData"])
        assert data["newState"]["stateReason"] == one["StateReason"]
        [action] = counting.history("AlarmContributorAction")
        assert action["HistorySummary"] == f"Successfully executed action {counting.topic}"
        assert action["AlarmContributorId"] == one["ContributorId"]
        # The alarm as a whole changed, too; nobody is told of that.
        summaries = [item["HistorySummary"] for item in counting.history("StateUpdate")]
        assert summaries[0] == "Alarm updated from OK to ALARM"
        assert counting.history("Action") == []
        found = counting.cloudwatch.describe_alarm_history(
            AlarmName=counting.name, AlarmContributorId=one["ContributorId"]
        )["AlarmHistoryItems"]
        assert {item["AlarmContributorId"] for item in found} == {one["ContributorId"]}
        assert len(found) == 2

    def test_a_second_machine_is_told_while_the_alarm_is_on(self, counting):
        at = aws.now_ms()
        counting.failed("ws1", *[at] * 5)
        counting.told()
        counting.failed("ws1", *[at] * 5)
        counting.failed("ws2", *[at] * 5)
        first, second = counting.told(2)
        assert "ws1" in first.subject.lower() and "ws2" in second.subject.lower()
        assert first.message_id != second.message_id
        assert sorted(counting.contributors()) == ["ws1", "ws2"]
        assert len(counting.history("StateUpdate")) == 2, "INSUFFICIENT_DATA to OK, OK to ALARM"

    def test_the_unmodified_command_line_sets_it_up_and_reads_it_back(self, server, logs, put, group):
        name = unique("by-cli")
        transformation = {
            "metricName": "Failed",
            "metricNamespace": name,
            "metricValue": "1",
            "dimensions": {"Instance": "$.Audit.Instance"},
        }
        arguments = ["--log-group-name", group, "--filter-name", "f", "--filter-pattern", FAILED_LOGONS]
        transformations = ["--metric-transformations", json.dumps([transformation])]
        cli(server, "logs", "put-metric-filter", *arguments, *transformations)
        expression = f'SELECT SUM(Failed) FROM "{name}" GROUP BY Instance'
        metrics = [{"Id": "q1", "Expression": expression, "Period": 300, "ReturnData": True}]
        arguments = ["--alarm-name", name, "--metrics", json.dumps(metrics), "--threshold", "4"]
        arguments += ["--comparison-operator", "GreaterThanThreshold", "--evaluation-periods", "1"]
        cli(server, "cloudwatch", "put-metric-alarm", *arguments, "--treat-missing-data", "notBreaching")
        put(*(windows.failed_logon(machine="ws7", at_ms=aws.now_ms()) for _ in range(5)))
        end = time.monotonic() + CHANGE_SECONDS_MAX
        while True:
            found = cli(server, "cloudwatch", "describe-alarm-contributors", "--alarm-name", name)["AlarmContributors"]
            if found:
                break
            assert time.monotonic() < end
        assert [one["ContributorAttributes"] for one in found] == [{"Instance": "ws7"}]
        [alarm] = cli(server, "cloudwatch", "describe-alarms", "--alarm-names", name)["MetricAlarms"]
        assert (alarm["StateValue"], alarm["Metrics"][0]["Expression"]) == ("ALARM", expression)

    def test_seven_of_ten_thousand_folders(self, fresh, own_mailbox):
        server = fresh(smtp=own_mailbox.url).start()
        counting = Counting(server, own_mailbox, DENIED, "Folder", Threshold=5)
        at = minutes_ago(1)

        def denied(folder):
            file = rf"\Device\HarddiskVolume16\share\dept-{folder:05}\plan.doc"
            return at + folder % 60 * SECOND, windows.denied_open(file=file, at_ms=at)

        over = [997 * (i + 1) for i in range(7)]
        beside = [folder + 1 for folder in over]
        events = [denied(folder) for folder in range(FOLDERS)]
        events += [denied(folder) for folder in over for _ in range(5)]
        events += [denied(folder) for folder in beside for _ in range(4)]  # five are not more than five
        counting.store(events)
        expected = {rf"\dept-{folder:05}" for folder in over}
        own_mailbox.wait(counting.address, 1 + 7, 60)
        mails = counting.told(7)
        named = [folder for mail in mails for folder in expected if folder in mail.text]
        assert sorted(named) == sorted(expected), "each mail names one folder, each folder has one mail"
        assert set(counting.contributors()) == expected
        server.kill()
        server.start()
        counting.connect()
        assert set(counting.contributors()) == expected
        assert len(counting.told(7)) == 7


class TestWhen:
    """Windows slide over the time of the events, for each contributor on its own."""

    def test_a_burst_over_the_border_of_a_minute_is_one(self, counting):
        counting.alarm(period=60, Threshold=5)
        edge = minutes_ago(1)
        counting.failed("ws2", *[edge - 2 * SECOND] * 3)
        counting.failed("ws3", *[edge + 2 * SECOND] * 3)
        counting.silent()
        counting.failed("ws1", *[edge - 2 * SECOND] * 3, *[edge + 2 * SECOND] * 3)
        [mail] = counting.told()
        assert "ws1" in mail.subject.lower() and "6 failed logons" in mail.subject
        assert list(counting.contributors()) == ["ws1"]

    def test_five_in_eighty_seconds_are_not_five_in_a_minute(self, counting):
        counting.alarm(period=60, Threshold=5, ComparisonOperator="GreaterThanOrEqualToThreshold")
        start = minutes_ago(3)
        counting.failed("ws1", *(start + i * 20 * SECOND for i in range(5)))
        counting.silent()
        counting.failed("ws2", *(start + i * 14 * SECOND for i in range(5)))
        counting.told()
        assert list(counting.contributors()) == ["ws2"]

    def test_events_ten_minutes_late_fire_and_are_told_as_late(self, counting):
        late = minutes_ago(10)
        counting.failed("ws1", *[late] * 4)
        counting.silent()
        counting.failed("ws1", late)
        [mail] = counting.told()
        assert "late by" in mail.text.lower() and "late by" in mail.html.lower(), mail.text
        # Its own window, not that of now: the minute it happened in is named.
        assert time.strftime("%H:%M", time.gmtime(late / 1000)) in mail.text

    def test_events_that_come_in_time_are_not_told_as_late(self, counting):
        counting.failed("ws1", *[aws.now_ms()] * 5)
        [mail] = counting.told()
        assert "late by" not in mail.text.lower()

    def test_events_older_than_the_lateness_are_stored_and_do_not_fire(self, counting):
        old = minutes_ago(20)
        counting.failed("ws1", *[old] * 9)
        # The same machine is counted on, and what is too old is no part of it.
        counting.failed("ws1", *[aws.now_ms()] * 4)
        counting.silent()
        assert counting.sum_of("ws1") == 13
        counting.failed("ws1", aws.now_ms())
        [mail] = counting.told()
        assert "5 failed logons" in mail.subject

    def test_order_of_arrival_does_not_matter(self, counting):
        start = minutes_ago(2)
        for offset in (90, 10, 50, 0, 70):
            counting.failed("ws1", start + offset * SECOND)
        [mail] = counting.told()
        assert "5 failed logons" in mail.subject


class TestRestart:
    @pytest.mark.parametrize("end", ["kill", "stop"])
    def test_between_the_third_and_the_fifth_failure(self, fresh, own_mailbox, end):
        server = fresh(smtp=own_mailbox.url).start()
        counting = Counting(server, own_mailbox)
        at = minutes_ago(2)

        def restart():
            getattr(server, end)()
            server.start()
            counting.connect()

        counting.failed("ws1", *(at + i * SECOND for i in range(3)))
        counting.failed("ws2", *[at] * 2)
        restart()
        counting.failed("ws1", at + 3 * SECOND)
        counting.failed("ws2", *[at] * 2)
        restart()
        counting.silent()
        counting.failed("ws1", at + 4 * SECOND)
        [mail] = counting.told()
        assert "ws1" in mail.subject.lower() and "5 failed logons" in mail.subject
        restart()
        assert len(counting.told()) == 1, "the message is not sent again"
        assert list(counting.contributors()) == ["ws1"]
        assert (counting.sum_of("ws1"), counting.sum_of("ws2")) == (5, 4), "nothing is counted twice"
        # What was four before every restart is four after: one more is the fifth, and no earlier.
        counting.failed("ws2", at)
        assert "ws2" in counting.told(2)[1].subject.lower()
        assert len(counting.history("AlarmContributorStateUpdate")) == 2

    def test_killed_at_once_after_the_answer(self, fresh, own_mailbox):
        server = fresh(smtp=own_mailbox.url).start()
        counting = Counting(server, own_mailbox)
        at = aws.now_ms()
        for part in (3, 1, 1):
            counting.failed("ws1", *[at] * part)
            server.kill()
            server.start()
            counting.connect()
        mails = own_mailbox.wait(counting.address, 2, MAIL_SECONDS_MAX)
        time.sleep(SILENCE_SECONDS)
        # The kill may fall between sending and noting it down: then the same message comes again.
        assert len({mail.message_id for mail in mails[1:]}) == 1
        assert list(counting.contributors()) == ["ws1"]
        assert counting.sum_of("ws1") == 5
        assert len(counting.history("AlarmContributorStateUpdate")) == 1


class TestForgotten:
    def test_with_the_alarm_its_contributors_are_gone(self, fresh, own_mailbox):
        server = fresh(smtp=own_mailbox.url).start()
        counting = Counting(server, own_mailbox)
        counting.failed("ws1", *[aws.now_ms()] * 5)
        counting.told()
        assert list(counting.contributors()) == ["ws1"]
        counting.cloudwatch.delete_alarms(AlarmNames=[counting.name])
        with refused(("ResourceNotFound", "ResourceNotFoundException"), status=404):
            counting.contributors()
        server.kill()
        server.start()
        counting.connect()
        # An alarm of the same name on another number begins with nobody.
        counting.count("Locked", '{ $.Audit.Action = "lockout" }')
        counting.alarm(query=counting.query("Locked"))
        assert counting.contributors() == {}
        assert counting.state() != "ALARM"
        kinds = [item["HistoryItemType"] for item in counting.cloudwatch.describe_alarm_history()["AlarmHistoryItems"]]
        assert "AlarmContributorStateUpdate" in kinds, "history outlives the alarm"
        assert len(counting.told()) == 1

    def test_with_another_query_the_old_ones_are_gone(self, counting):
        counting.failed("ws1", *[aws.now_ms()] * 5)
        counting.told()
        counting.count("Locked", '{ $.Audit.Action = "lockout" }')
        counting.alarm(query=counting.query("Locked"))
        end = time.monotonic() + CHANGE_SECONDS_MAX
        while counting.state() == "ALARM":
            assert time.monotonic() < end
        assert counting.contributors() == {}
        counting.failed("ws1", *[aws.now_ms()] * 5)
        assert len(counting.told()) == 1, "what the alarm does not ask for any more does not fire it"

    def test_with_the_same_query_they_stay(self, counting):
        counting.failed("ws1", *[aws.now_ms()] * 5)
        counting.told()
        before = counting.contributors()
        counting.alarm(AlarmDescription="other words")
        assert counting.contributors() == before
        assert len(counting.told()) == 1
        assert counting.state() == "ALARM"


class TestRefused:
    """What cannot be watched is refused by name, and leaves nothing behind."""

    @pytest.fixture(params=list(aws.PROTOCOLS))
    def cw(self, request, server):
        return aws.client(server, "cloudwatch", protocol=request.param)

    @staticmethod
    def entry(expression, name="q1"):
        return {"Id": name, "Expression": expression, "Period": 300, "ReturnData": True}

    @staticmethod
    def settings(name, entries, **more):
        return {
            "AlarmName": name,
            "Metrics": entries,
            "EvaluationPeriods": 1,
            "Threshold": 4,
            "ComparisonOperator": "GreaterThanThreshold",
            **more,
        }

    @pytest.mark.parametrize(
        ("query", "text"),
        [
            ("SELECT SUM(Failed) FROM logons", "GROUP BY"),
            ("SELECT SUM(Failed) FROM logons GROUP BY A, B, C, D", "dimensions=4"),
            ("SELECT MEDIAN(Failed) FROM logons GROUP BY A", "MEDIAN"),
            ("SELECT SUM(Failed) FROM logons GROUP BY AWS.AccountId", "AWS.AccountId"),
            ("SELECT SUM(Failed) FROM logons GROUP BY A LIMIT 0", "1 to 500"),
            ("SELECT SUM(Failed) GROUP BY A", "FROM"),
            ("SELECT SUM(Failed) FROM logons GROUP BY A AFTER SUM(Failed) >= 2", "AFTER"),
        ],
    )
    def test_queries(self, cw, query, text):
        name = unique("alarm")
        with refused(("ValidationError", "InvalidParameterValue"), text) as caught:
            cw.put_metric_alarm(**self.settings(name, [self.entry(query)]))
        assert "Metrics" in caught.value.response["Error"]["Message"]
        assert cw.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []

    def test_a_metric_beside_the_query(self, cw):
        entries = [self.entry("SELECT SUM(Failed) FROM logons GROUP BY A")]
        for more in ({"MetricName": "m", "Namespace": "n"}, {"Statistic": "Sum"}, {"Period": 60}, {"Unit": "Count"}):
            name = unique("alarm")
            with refused("InvalidParameterCombination", next(iter(more))) as caught:
                cw.put_metric_alarm(**self.settings(name, entries, **more))
            assert "Metrics" in caught.value.response["Error"]["Message"]
            assert cw.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []

    def test_two_queries(self, cw):
        query = "SELECT SUM(Failed) FROM logons GROUP BY A"
        name = unique("alarm")
        with refused(("ValidationError", "InvalidParameterValue"), "Metrics"):
            cw.put_metric_alarm(**self.settings(name, [self.entry(query), self.entry(query, "q2")]))
        assert cw.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []

    def test_contributors_of_what_is_not_there(self, cw):
        with refused(("ResourceNotFound", "ResourceNotFoundException"), status=404):
            cw.describe_alarm_contributors(AlarmName=unique("missing"))

    def test_an_alarm_on_one_series_has_none(self, cw):
        name = unique("alarm")
        cw.put_metric_alarm(
            AlarmName=name,
            Namespace=name,
            MetricName="m",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=4,
            ComparisonOperator="GreaterThanThreshold",
        )
        assert cw.describe_alarm_contributors(AlarmName=name)["AlarmContributors"] == []
