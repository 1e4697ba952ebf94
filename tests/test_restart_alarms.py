"""Alarms that are changed, deleted and made again while events wait, and a plug that is pulled in between.

What the watcher goes on from is what it had taken, not what is configured by now; and what is deleted leaves nothing.
"""

import threading
import time

from support import aws
from test_contributors import SECOND, Counting
from test_incidents import listed, until

BURST = 6


def backlog(counting, machine, count, at_ms):
    """Stores events of one machine in the background: more than is matched when the next call is answered."""
    thread = threading.Thread(target=lambda: counting.failed(machine, *([at_ms] * count)))
    thread.start()
    return thread


def mails(counting):
    return [mail.subject for mail in counting.mailbox.mails(counting.address)[1:]]


def test_a_deleted_alarm_behind_a_backlog_leaves_nothing_to_its_namesake(fresh, own_mailbox):
    server = fresh(smtp=own_mailbox.url).start()
    counting = Counting(server, own_mailbox)
    at = aws.now_ms() - SECOND
    counting.failed("fs1", *([at] * BURST))
    counting.told()
    [first] = listed(server)
    thread = backlog(counting, "fs1", 2_000, at)
    time.sleep(0.2)
    counting.cloudwatch.delete_alarms(AlarmNames=[counting.name])
    counting.alarm()
    thread.join()
    # A contributor is judged when something of it arrives: the backlog may have been taken before the new alarm was made.
    counting.failed("fs1", at)
    total = BURST + 2_000 + 1
    # The new one sees what is stored and what still came, and is told of once, by itself.
    both = until(lambda: listed(server), lambda all: len(all) == 2 and all[0]["count"] == total)
    assert [one["id"] for one in both][1] == first["id"]
    assert both[1]["ended"] is not None and both[0]["ended"] is None
    assert both[1]["count"] <= total
    assert len(counting.told(2)) == 2
    assert list(counting.contributors()) == ["fs1"]
    counting.cloudwatch.delete_alarms(AlarmNames=[counting.name])
    assert listed(server, "--open") == []


def test_a_plug_that_is_pulled_behind_a_deletion_leaves_no_incident_open(fresh, own_mailbox):
    server = fresh(smtp=own_mailbox.url).start()
    counting = Counting(server, own_mailbox)
    counting.failed("fs1", *([aws.now_ms() - SECOND] * BURST))
    counting.told()
    for _ in range(3):
        # A client that does not wait for its answer; the plug is pulled while it waits.
        client = aws.client(server, "cloudwatch", timeout=5)
        call = threading.Thread(target=lambda client=client: ignored(client.delete_alarms, [counting.name]))
        thread = backlog(counting, "fs2", 400, aws.now_ms() - SECOND)
        call.start()
        server.kill()
        call.join()
        thread.join()
        server.start()
        counting.connect()
    ignored(counting.cloudwatch.delete_alarms, [counting.name])
    open_ones = until(lambda: listed(server, "--open"), lambda all: all == [])
    assert open_ones == []
    assert counting.cloudwatch.describe_alarms(AlarmNames=[counting.name])["MetricAlarms"] == []


def ignored(delete, names):
    """Deletes, whatever comes of it: the server may be gone, or the alarm."""
    try:
        delete(AlarmNames=names)
    except Exception as error:
        print(f"not deleted: {error}")


def test_an_incident_has_its_exact_count_after_each_pulled_plug(fresh, own_mailbox):
    server = fresh(smtp=own_mailbox.url).start()
    counting = Counting(server, own_mailbox)
    start = aws.now_ms() - 30 * SECOND
    counting.failed("fs1", *([start] * BURST))
    counting.told()
    total = BURST
    for number in range(4):
        counting.failed("fs1", *([start + number * SECOND] * 3))
        total += 3
        # Counted, and perhaps before the tick that saves an incident as a whole.
        until(lambda: listed(server), lambda all, total=total: all[0]["count"] == total)
        server.kill()
        server.start()
        counting.connect()
        [one] = listed(server)
        assert one["count"] == total
    counting.failed("fs1", start)
    until(lambda: listed(server), lambda all: len(all) == 1 and all[0]["count"] == total + 1)
    assert len(mails(counting)) == 1
