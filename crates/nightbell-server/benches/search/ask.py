"""Puts the same questions to Nightbell, to DuckDB over Nightbell's Parquet files, and to `zstdcat | rg`.

ask.py ENDPOINT GROUP REGION ARCHIVE TEXT.zst LAST_MS REPEAT RARE_WORD

Prints a table of seconds (the best of REPEAT; the text is read once) and ratios. Ends with 1 where Nightbell and DuckDB
count differently, where Nightbell counts a word differently from `rg`, or where it finds more events of a user or folder
than there are lines of text with that name. There may be more lines: text does not tell who did something from whom it was
done to. `rg` goes through all of the text for the last hour, too; the lines it finds are told apart by the time in them.
"""

import re
import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import boto3
import duckdb

HOUR_MS = 3_600_000


class Asked:
    def __init__(self, endpoint, group, region, archive, text, last_ms, repeat):
        self.logs = boto3.client("logs", endpoint_url=endpoint, region_name=region)
        self.group, self.text, self.repeat = group, text, repeat
        self.last_ms = last_ms
        self.duck = duckdb.connect()
        self.duck.execute(f"create view events as select * from read_parquet('{archive}/group=*/**/*.parquet')")

    def times(self, is_last_hour):
        return (self.last_ms - HOUR_MS if is_last_hour else 0, self.last_ms + 1)

    def filter_events(self, pattern, is_last_hour):
        """How many events FilterLogEvents finds, all pages together."""
        start, end = self.times(is_last_hour)
        pages = self.logs.get_paginator("filter_log_events")
        asked = pages.paginate(logGroupName=self.group, filterPattern=pattern, startTime=start, endTime=end)
        return sum(len(page["events"]) for page in asked)

    def query(self, text, is_last_hour):
        """The rows of a Logs Insights query, each as a dictionary."""
        start, end = self.times(is_last_hour)
        query = self.logs.start_query(
            logGroupName=self.group, startTime=start // 1000, endTime=end // 1000 + 1, queryString=text
        )["queryId"]
        while True:
            answer = self.logs.get_query_results(queryId=query)
            if answer["status"] not in ("Scheduled", "Running"):
                assert answer["status"] == "Complete", answer
                return [{cell["field"]: cell["value"] for cell in row} for row in answer["results"]]
            time.sleep(0.005)

    def sql(self, condition, is_last_hour, select="count(*)", more=""):
        start, end = self.times(is_last_hour)
        if is_last_hour:
            condition += f" and time >= make_timestamptz({start * 1000}) and time <= make_timestamptz({end * 1000})"
        return self.duck.execute(f"select {select} from events where {condition} {more}").fetchall()

    def rg(self, words, is_last_hour=False):
        """How many lines hold the words, and the seconds that took."""
        if not shutil.which("rg") or not shutil.which("zstdcat"):
            return None, None
        begin = time.monotonic()
        ran = subprocess.run(
            f"zstdcat {self.text} | rg --fixed-strings -- '{words}'", shell=True, capture_output=True
        )
        # A message may hold characters that Python, unlike rg, takes for the end of a line.
        lines = ran.stdout.decode().split("\n")[:-1]
        if is_last_hour:
            start, end = self.times(True)
            lines = [line for line in lines if start <= time_of(line) < end]
        return len(lines), time.monotonic() - begin

    def best(self, work):
        times, answers = [], []
        for _ in range(self.repeat):
            begin = time.monotonic()
            answers.append(work())
            times.append(time.monotonic() - begin)
        assert all(answer == answers[0] for answer in answers), answers
        return answers[0], min(times)


def time_of(line):
    """The time that a message tells, in milliseconds since 1970."""
    told = re.search(r'SystemTime="([^"]+)"', line)
    return round(datetime.fromisoformat(told[1]).timestamp() * 1000) if told else 0


def main():
    endpoint, group, region, archive, text, last_ms, repeat, rare = sys.argv[1:]
    asked = Asked(endpoint, group, region, Path(archive), text, int(last_ms), int(repeat))
    user, folder = r"corp\user1234", r"\dept7\project77"
    # The field, its value, and what stands in the text of every event that has it.
    fields = {
        "user": ("Audit.User", user, ">" + user.split("\\")[1] + "<"),
        "folder": ("Audit.Folder", folder, folder + "\\"),
    }
    counted = "filter {} = '{}' | stats count(*) as n"
    rows = []

    def row(name, ours, duck, rg=(None, None), is_word=False):
        answer, seconds = asked.best(ours)
        duck_answer, duck_seconds = asked.best(duck)
        rg_answer, rg_seconds = rg
        count = answer if isinstance(answer, int) else len(answer)
        rows.append((name, count, rg_answer, seconds, duck_seconds, rg_seconds))
        print(".", end="", file=sys.stderr, flush=True)
        is_odd = rg_answer is not None and (rg_answer != answer if is_word else rg_answer < answer)
        if answer != duck_answer or is_odd:
            print(f"\n{name}: Nightbell {answer}, DuckDB {duck_answer}, rg {rg_answer}", file=sys.stderr)
            sys.exit(1)

    def count(text, is_last_hour):
        found = asked.query(text, is_last_hour)
        return int(found[0]["n"]) if found else 0

    absent = "no-such-word-anywhere"
    row(
        "a rare word",
        lambda: asked.filter_events(f'"{rare}"', False),
        lambda: asked.sql(f"message like '%{rare}%'", False)[0][0],
        asked.rg(rare),
        is_word=True,
    )
    row(
        "a word that is nowhere",
        lambda: asked.filter_events(f'"{absent}"', False),
        lambda: asked.sql(f"message like '%{absent}%'", False)[0][0],
        asked.rg(absent),
        is_word=True,
    )
    for is_last_hour in (True, False):
        when = "last hour" if is_last_hour else "everything"
        for name, (field, value, words) in fields.items():
            column = name
            rg = asked.rg(words, is_last_hour)
            row(
                f"count a {name}, {when}",
                lambda: count(counted.format(field, value), is_last_hour),
                lambda: asked.sql(f"\"{column}\" = '{value}'", is_last_hour)[0][0],
                rg,
            )
            row(
                f"events of a {name}, {when}",
                lambda: asked.filter_events("{ $.%s = %s }" % (field, quoted(value)), is_last_hour),
                lambda: len(asked.sql(f"\"{column}\" = '{value}'", is_last_hour, "time, stream, message", "order by time")),
                rg,
            )
    row(
        "count by user, everything",
        lambda: sorted(
            (line.get("Audit.User"), int(line["n"])) for line in asked.query("stats count(*) as n by Audit.User | filter ispresent(Audit.User)", False)
        ),
        lambda: sorted(asked.sql("\"user\" is not null", False, '"user", count(*)', 'group by "user"')),
    )
    row(
        "count by hour, everything",
        lambda: sorted(int(line["n"]) for line in asked.query("stats count(*) as n by bin(1h)", False)),
        lambda: sorted(n for _, n in asked.sql("true", False, "date_trunc('hour', time), count(*)", "group by 1")),
    )
    print("\n%-28s %9s %9s %9s %9s %9s %8s %8s" % ("question", "answer", "rg lines", "ours s", "DuckDB s", "rg s", "DuckDB/", "rg/"))
    for name, answer, lines, seconds, duck_seconds, rg_seconds in rows:
        lines_text = "-" if lines is None else lines
        rg_text = f"{rg_seconds:9.2f}" if rg_seconds else "        -"
        rg_ratio = f"{rg_seconds / seconds:8.0f}" if rg_seconds else "       -"
        ratios = f"{rg_text} {duck_seconds / seconds:8.2f} {rg_ratio}"
        print(f"{name:28} {answer:9} {lines_text:>9} {seconds:9.3f} {duck_seconds:9.3f} {ratios}")


def quoted(value):
    return '"' + value.replace("\\", "\\\\") + '"'


if __name__ == "__main__":
    main()
