"""The documentation says what the program does: settings, operations, counters, flags and names in it exist, the other way
round as well; links lead somewhere; and the walk-throughs run."""

import os
import re
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest
from support.server import REPOSITORY, run

BOOK = REPOSITORY / "docs" / "book"
WATCHES = BOOK / "guide" / "watch.md"
# Folders that hold no pages of ours.
OTHERS = {".git", ".venv", ".pytest_cache", ".terraform", "node_modules", "target", "corpus", "artifacts"}
EXAMPLE_SECONDS_MAX = 120
CHANGE_KINDS = {"feature", "change", "fix", "security"}


def pages() -> list[Path]:
    """Every Markdown file of the project."""
    found = []
    for folder, folders, files in os.walk(REPOSITORY):
        folders[:] = [name for name in folders if name not in OTHERS]
        found += [Path(folder) / name for name in files if name.endswith(".md")]
    return sorted(found)


def without_code(text: str) -> str:
    """The text without code blocks and code words, in which brackets are no links."""
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as Markdown viewers make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.*?)\s*$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def cells(page: Path) -> list[list[str]]:
    """The rows of all tables of a page."""
    lines = [line for line in page.read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def help_of(folder: Path, *command: str) -> str:
    done = run(*command, "--help", folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def flags(text: str) -> set[str]:
    """The long flags that a help text lists, at the start of a line."""
    return set(re.findall(r"^\s+(?:-\w, )?(--[a-z-]+)", text, flags=re.MULTILINE)) - {"--help"}


def test_every_setting_is_documented_and_every_documented_setting_exists(tmp_path):
    told = help_of(tmp_path, "serve")
    variables = set(re.findall(r"\[env:\s+(NIGHTBELL_\w+)=", told))
    settings = flags(told) - {"--config"}
    assert settings and len(variables) == len(settings) + 1, "each setting has a variable, and so has --config"

    rows = [row for row in cells(BOOK / "guide" / "configuration.md") if len(row) == 5 and row[1].startswith("`--")]
    assert {re.match(r"`(--[a-z-]+)", row[1])[1] for row in rows} == settings
    assert {row[2].strip("`") for row in rows} == variables - {"NIGHTBELL_CONFIG"}
    for key, flag, variable, *_ in rows:
        name = key.strip("`")
        assert flag.startswith("`--" + name.replace("_", "-")), flag
        assert variable == f"`NIGHTBELL_{name.upper()}`", variable


def test_the_configuration_shown_is_one_that_the_server_takes(tmp_path):
    text = (BOOK / "guide" / "configuration.md").read_text()
    [shown] = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    keys = {row[0].strip("`") for row in cells(BOOK / "guide" / "configuration.md") if len(row) == 5}
    assert set(tomllib.loads(shown)) <= keys
    # Taken as it is but for the password, which is not there: the complaint is about that file and no key.
    path = tmp_path / "nightbell.toml"
    path.write_text(shown.replace("/etc/nightbell/", f"{tmp_path}/nowhere/"))
    done = run("serve", "--config", str(path), folder=tmp_path)
    assert done.returncode != 0
    assert done.stderr.startswith("nightbell: smtp_password_file:"), done.stderr


def recipes() -> list[str]:
    """The names of the watches, as the core lists them."""
    table = (REPOSITORY / "crates" / "nightbell-core" / "src" / "recipe" / "table.rs").read_text()
    found = re.findall(r'Recipe = Recipe \{\s+name: "([a-z-]+)"', table)
    assert found
    return found


def test_every_watch_is_documented_and_says_what_it_is(tmp_path):
    there = {*recipes()}
    assert {page.stem for page in (BOOK / "guide" / "watches").glob("*.md")} - {"exclusions"} == there
    rows = r"^\| \[`([a-z-]+)`\]\(watches/[a-z-]+\.md\) \| ([^|]+) \|"
    told = dict(re.findall(rows, WATCHES.read_text(), flags=re.MULTILINE))
    assert set(told) == there
    for command in ("watch", "backtest"):
        shown = dict(re.findall(r"^  ([a-z-]+) +(\S.*)$", help_of(tmp_path, command), flags=re.MULTILINE))
        assert {name: shown[name].lower() for name in there} == {name: told[name].lower() for name in there}


def test_every_flag_of_the_commands_is_documented(tmp_path):
    commands = [["env"], ["apply"], ["import"], ["tail"], ["query"], ["demo"], ["export"], ["verify"], ["backup"], ["restore"]]
    commands += [["watch", recipe] for recipe in recipes()]
    commands += [["backtest", what] for what in ("alarm", "denied-access")]
    commands += [["incidents", what] for what in ("list", "show", "ack", "mute")]
    there = set().union(*(flags(help_of(tmp_path, *command)) for command in commands))
    # The doctor takes the settings of the server beside its own flags.
    there |= flags(help_of(tmp_path, "doctor")) - flags(help_of(tmp_path, "serve"))
    first = [row[0] for row in cells(BOOK / "reference" / "cli.md")]
    told = {flag for cell in first for flag in re.findall(r"`(--[a-z-]+)", cell)} - {"--help", "--version"}
    assert told == there


def served() -> set[str]:
    """The operations that the router knows."""
    files = (REPOSITORY / "crates" / "nightbell-server" / "src" / "aws" / "route").glob("*.rs")
    route = "\n".join(path.read_text() for path in files)
    found = set(re.findall(r'^\s+"(\w+)" => asked\.(?:by|going_on|reading|invoking)\(', route, flags=re.MULTILINE))
    assert found
    return found


def test_every_operation_is_documented_and_none_is_said_to_be_missing():
    first = [row[0] for page in (BOOK / "reference" / "operations").glob("*.md") for row in cells(page)]
    told = {name for cell in first for name in re.findall(r"`([A-Z]\w+)`", cell)}
    assert told == served()
    refused = set(re.findall(r"\b[A-Z][a-z]+[A-Z]\w+\b", (BOOK / "reference" / "not-served.md").read_text()))
    said = {"PutMetricAlarm", "FilterLogEvents"}  # named there for what they are, not as missing
    assert not (refused - said) & served()


def test_every_limit_named_is_one_of_the_source():
    sources = "".join(path.read_text() for path in (REPOSITORY / "crates").glob("*/src/**/*.rs"))
    functions = {"COUNT_DISTINCT"}  # of queries
    named = set(re.findall(r"`([A-Z][A-Z_]+_[A-Z]+)`", (BOOK / "reference" / "limits.md").read_text())) - functions
    assert named
    missing = {name for name in named if not re.search(rf"\bconst {name}\b", sources)}
    assert not missing


def test_the_architecture_names_files_that_are_there():
    text = (REPOSITORY / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`((?:core|deliver|server|store|winevt|wire)/[\w./*-]+)`", text))
    assert named
    assert not [name for name in named if not list((REPOSITORY / "crates").glob(f"nightbell-{name.rstrip('/')}"))]


def test_links_lead_somewhere():
    dead = []
    for page in pages():
        for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", without_code(page.read_text())):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            if not there.exists() or (anchor and anchor not in anchors(there)):
                dead.append(f"{page.relative_to(REPOSITORY)}: {target}")
    assert not dead


def test_the_book_lists_all_its_pages():
    listed = set(re.findall(r"\(((?:guide|concepts|reference)/[\w/-]+\.md)", (BOOK / "SUMMARY.md").read_text()))
    assert listed == {str(page.relative_to(BOOK)) for page in BOOK.rglob("*.md")} - {"SUMMARY.md"}


def test_changes_are_told():
    fragments = list((REPOSITORY / "changelog.d").iterdir())
    assert fragments
    for fragment in fragments:
        assert re.fullmatch(r"[a-z0-9-]+\.(\w+)\.md", fragment.name), fragment.name
        assert fragment.name.split(".")[1] in CHANGE_KINDS, fragment.name
        assert fragment.read_text().strip(), fragment.name


def commands(text: str) -> list[str]:
    """The commands of a shell text, continued lines put together."""
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize(("job", "script"), [("files", "files.sh"), ("logons", "logons.sh")])
def test_the_readme_shows_the_commands_of_the_examples(job, script):
    readme = (REPOSITORY / "README.md").read_text()
    section = re.search(rf"^## The {job} job$(.*?)^## ", readme, flags=re.MULTILINE | re.DOTALL)[1]
    shown = commands("\n".join(re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)))
    preamble = {"set -euo pipefail", 'cd "$(dirname "$0")/.."', "export AWS_PAGER="}
    done = commands((REPOSITORY / "examples" / script).read_text())
    assert shown == [c for c in done if c not in preamble and not c.startswith(": ")]


def test_the_examples_run_and_every_counter_is_documented(fresh):
    server = fresh().start()
    exports = run("env", "--data", str(server.data), folder=server.folder, **root_key(server))
    assert exports.returncode == 0, exports.stderr
    environment = {
        **server.env,
        **dict(re.findall(r"^export (\w+)='(.*)'$", exports.stdout, flags=re.MULTILINE)),
        "NIGHTBELL_DATA": str(server.data),
        "PATH": f"{Path(sys.executable).parent}:{server.env['PATH']}",
    }
    for script, subject in [
        ("files.sh", r"Subject: [ALARM] corp\alice denied 6 times in \share\secret"),
        ("logons.sh", "Subject: [ALARM] 5 failed logons on srv1.corp.example.com"),
    ]:
        done = subprocess.run(
            [str(REPOSITORY / "examples" / script)],
            capture_output=True,
            text=True,
            timeout=EXAMPLE_SECONDS_MAX,
            stdin=subprocess.DEVNULL,
            env=environment,
            cwd=server.folder,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert subject in done.stdout, done.stdout

    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        there = set(re.findall(r"^# TYPE (nightbell_\w+)", answer.read().decode(), flags=re.MULTILINE))
    told = set(re.findall(r"^\| `(nightbell_\w+)`", (BOOK / "reference" / "http.md").read_text(), flags=re.MULTILINE))
    assert told == there


def root_key(server) -> dict[str, str]:
    return {name: value for name, value in server.env.items() if name.startswith("NIGHTBELL_ROOT_")}
