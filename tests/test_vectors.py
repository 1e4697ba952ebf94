"""The list of alarm vectors is true: each stands, by its id, in the tests that it names."""

import re

from support.server import REPOSITORY
from test_docs import cells

PAGE = REPOSITORY / "docs" / "internals" / "vectors.md"
# How many there are of each kind, numbered from 1.
COUNTS = {"E": 16, "R": 6, "F": 5, "C": 14, "A": 5, "U": 3, "Z": 14}


def test_every_vector_is_shown_where_the_list_says():
    rows = {row[0]: re.findall(r"`([^`]+)`", row[2]) for row in cells(PAGE) if re.fullmatch(r"[A-Z]\d\db?", row[0])}
    expected = {f"{kind}{number:02}" for kind, count in COUNTS.items() for number in range(1, count + 1)} | {"E14b"}
    assert set(rows) == expected
    for name, shown in rows.items():
        assert shown, name
        for path in shown:
            words = re.split(r"[^A-Za-z0-9]", (REPOSITORY / path).read_text())
            assert {name, name.lower()} & set(words), f"{name} is not in {path}"


def test_what_has_no_id_is_shown_in_files_that_are_there():
    named = [path for row in cells(PAGE) if len(row) == 2 for path in re.findall(r"`([^`]+)`", row[1])]
    assert len(named) >= 6
    assert not [path for path in named if not (REPOSITORY / path).is_file()]
