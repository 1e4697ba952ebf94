"""The list of vectors is true: each stands, by its id, in the tests that it names."""

import re

from support.server import REPOSITORY
from test_docs import cells

PAGE = REPOSITORY / "docs" / "internals" / "vectors.md"
# How many there are of each kind, numbered from 1, by the section of the page. A kind is listed whole or not at all.
COUNTS = {
    "Alarms": {"E": 16, "R": 6, "F": 5, "C": 14, "A": 5, "U": 3, "Z": 14},
    "CloudWatch Logs": {"N": 14, "P": 17, "Q": 10, "I": 13, "S": 5},
    "Deliveries": {"J": 7, "G": 5, "H": 6, "L": 13, "K": 10, "M": 8, "F": 9, "A": 5},
}
# One that came in between.
BETWEEN = {"Alarms": {"E14b"}}


def sections(tmp_path) -> dict[str, list[list[str]]]:
    """The rows of each section's tables."""
    found = {}
    for text in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        path = tmp_path / "section.md"
        path.write_text(text)
        found[text.splitlines()[0]] = cells(path)
    return found


def test_every_vector_is_shown_where_the_list_says(tmp_path):
    found = sections(tmp_path)
    assert {*found} == {*COUNTS}
    for section, counts in COUNTS.items():
        rows = {r[0]: re.findall(r"`([^`]+)`", r[2]) for r in found[section] if re.fullmatch(r"[A-Z]\d\db?", r[0])}
        expected = {f"{kind}{number:02}" for kind, count in counts.items() for number in range(1, count + 1)}
        assert {*rows} == expected | BETWEEN.get(section, set()), section
        for name, shown in rows.items():
            assert shown, name
            for path in shown:
                words = re.split(r"[^A-Za-z0-9]", (REPOSITORY / path).read_text())
                assert {name, name.lower()} & {*words}, f"{name} is not in {path}"


def test_what_has_no_id_is_shown_in_files_that_are_there():
    named = [path for row in cells(PAGE) if len(row) == 2 for path in re.findall(r"`([^`]+)`", row[1])]
    assert len(named) >= 6
    assert not [path for path in named if not (REPOSITORY / path).is_file()]
