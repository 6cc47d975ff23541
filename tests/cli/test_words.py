"""What the command line says without any host: help, slips, exit codes, JSON on failure, secrets, the reference."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from remedy.cli.main import COMMANDS, group, main
from remedy.cli.screen import Screen
from remedy.core.errors import EXIT_CODES
from remedy.core.values import Change, Command, Plan
from remedy.engine.outcome import Outcome

from .conftest import SECRET, Console

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and subcommand with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        yield (name,), command
        if isinstance(command, click.Group):
            yield from (((name, sub), inner) for sub, inner in command.commands.items())


ALL = list(commands())


@pytest.mark.parametrize("words", [words for words, _ in ALL], ids=" ".join)
def test_help(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    """Every command has help in a sentence; every one that is typed alone shows an example."""
    assert main([*words, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Usage: remedy " + " ".join(words))
    if len(words) == 1:
        assert "Examples:\n" in text
        assert f"remedy {words[0]}" in text.partition("Examples:")[2] or "remedy -i" in text.partition("Examples:")[2]


def test_the_table_of_commands_is_true() -> None:
    """Each name of the static table leads to the command of that name, and the group's help names them all."""
    assert {words[0] for words, _ in ALL} == set(COMMANDS)
    for words, command in ALL:
        assert command.name == words[-1]
        assert command.help


@pytest.mark.parametrize(("words", "command"), ALL, ids=[" ".join(words) for words, _ in ALL])
def test_reference_has_every_command_and_option(words: tuple[str, ...], command: click.Command) -> None:
    """The reference of commands names every command and each of its options."""
    text = (REFERENCE / "commands.md").read_text(encoding="utf-8")
    assert f"remedy {' '.join(words)}" in text
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            for option in parameter.opts:
                assert f"`{option}" in text, f"{option} of {' '.join(words)}"


def test_reference_has_every_exit_code() -> None:
    """The reference of exit codes has every code with its meaning, and no other."""
    text = (REFERENCE / "exit-codes.md").read_text(encoding="utf-8")
    rows = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0].isdecimal():
            rows[int(cells[0])] = cells[1]
    assert rows == EXIT_CODES


@pytest.mark.parametrize(("slip", "near"), [("isolat", "isolate"), ("relase", "release"), ("incidnet", "incident")])
def test_a_slip_is_answered_with_the_nearest_command(capsys: pytest.CaptureFixture[str], slip: str, near: str) -> None:
    """An unknown command is exit 2 with the name that was probably meant, on standard error."""
    assert main([slip]) == 2
    out, err = capsys.readouterr()
    assert f"Did you mean '{near}'?" in err
    assert not out


def test_nothing_near(capsys: pytest.CaptureFixture[str]) -> None:
    """A word that is like no command is refused without a guess."""
    assert main(["xyzzy"]) == 2
    assert "Did you mean" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["isolate"], 2, "Missing argument"),
        (["isolate", "nobody"], 2, "nobody"),
        (["isolate", ""], 2, ""),
        (["isolate", "web01", "--confirm-within", "1"], 2, "5<=x<=3600"),
        (["isolate", "web01", "--layers", "switch", "--yes"], 2, "no layer 'switch'"),
        (["isolate", "web01", "--bogus"], 2, "--bogus"),
        (["isolate", "web01", "--incident", "INC-0"], 2, "INC-0"),
        (["isolate", "log01", "--yes"], 25, "protected"),
        (["isolate", "gone01", "--yes"], 21, "gone01"),
        (["isolate", "sudo01", "--dry-run"], 21, "sudo01"),
        (["release", "gone01", "--yes"], 21, "gone01"),
        (["undo", "R404"], 2, "no run 'R404'"),
        (["resume", "R404"], 2, "no run 'R404'"),
        (["watch", "INC-404", "--once"], 2, "INC-404"),
        (["incident", "show", "INC-404"], 2, "INC-404"),
        (["incident", "close", "INC-404"], 2, "INC-404"),
        (["inventory", "list", "nobody"], 2, "nobody"),
        (["resume"], 0, "no run was interrupted"),
        (["inventory", "list"], 0, ""),
        (["incident", "list"], 0, ""),
    ],
)
def test_exit_codes(bare: Console, args: list[str], code: int, said: str) -> None:
    """Each kind of failure ends with its documented code and says on standard error what it is about."""
    got = bare(*args)
    assert got.code == code, got.err
    assert said in got.err
    assert "Traceback" not in got.err
    assert "\x1b" not in got.out + got.err


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["isolate", "log01", "--yes", "--json"], 25),
        (["isolate", "gone01", "--yes", "--json"], 21),
        (["isolate", "gone01", "--dry-run", "--json"], 21),
        (["release", "gone01", "--json"], 21),
        (["resume", "--json"], 0),
        (["incident", "open", "x", "--json"], 0),
        (["incident", "list", "--json"], 0),
        (["incident", "verify", "--json"], 25),
        (["inventory", "list", "--json"], 0),
        (["inventory", "check", "--json"], 0),
        (["inventory", "graph", "--json"], 0),
        (["isolate", "--json"], 2),
        (["isolat", "--json"], 2),
        (["isolate", "web01", "--json", "--confirm-within", "x"], 2),
        (["isolate", "nobody", "--json"], 2),
        (["isolate", "nobody", "--jsonl"], 2),
        (["undo", "R404", "--json"], 2),
        (["resume", "R404", "--json"], 2),
        (["apply", "missing.json", "--json"], 2),
        (["watch", "INC-404", "--once", "--json"], 2),
        (["incident", "show", "INC-404", "--json"], 2),
        (["incident", "note", "INC-404", "x", "--json"], 2),
        (["inventory", "list", "nobody", "--json"], 2),
    ],
)
def test_one_document_also_on_failure(bare: Console, args: list[str], code: int) -> None:
    """With --json standard output is exactly one document with schema_version, whatever goes wrong."""
    got = bare(*args)
    assert got.code == code, got.err
    assert got.document["schema_version"] == 1
    if code:
        assert got.document["exit_code"] == code


def test_one_document_on_success(bare: Console) -> None:
    """Commands of the record that only say something to people say it as one document too."""
    name = bare("incident", "open", "x", "--json").document["incident"]
    assert bare("incident", "note", name, "seen", "--json").document["seq"] > 1
    assert bare("incident", "close", name, "--json").document["incident"] == name
    assert bare("incident", "export", name, str(bare.folder / "out"), "--json").document["schema_version"] == 1
    assert bare("incident", "verify", "--json").document["ok"]


def test_malformed_inventory(bare: Console) -> None:
    """A broken inventory is exit 2 with file and line."""
    bare.inventory.write_text("all:\n  hosts:\n    web01: [\n")
    got = bare("isolate", "web01", "--yes")
    assert got.code == 2
    assert f"{bare.inventory}:" in got.err
    bare.inventory.unlink()
    assert bare("isolate", "web01").code == 2


def test_record_that_cannot_be_written(bare: Console) -> None:
    """No record, no change: exit 25 and where."""
    bare.record.parent.mkdir()
    bare.record.mkdir()
    got = bare("isolate", "web01", "--yes")
    assert got.code == 25, got.err
    assert str(bare.record) in got.err


def test_tampered_record(bare: Console) -> None:
    """A record that somebody rewrote is exit 26."""
    assert bare("incident", "open", "defaced").code == 0
    with sqlite3.connect(bare.record) as book:
        for (name,) in book.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            book.execute(f"DROP TRIGGER {name}")
        book.execute("UPDATE entry SET body = replace(body, 'defaced', 'fine')")
    book.close()
    assert bare("incident", "verify").code == 26


def test_internal_error_is_said_in_one_line(bare: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of remedy's own is exit 1 without a traceback, unless one is asked for."""
    monkeypatch.setitem(COMMANDS, "isolate", ("nowhere", ""))
    monkeypatch.delenv("REMEDY_TRACEBACK", raising=False)
    got = bare("isolate", "web01")
    assert got.code == 1
    assert "a defect of remedy" in got.err
    assert "Traceback" not in got.err
    monkeypatch.setenv("REMEDY_TRACEBACK", "1")
    with pytest.raises(ModuleNotFoundError):
        bare("isolate", "web01")


@pytest.mark.parametrize("args", [["inventory", "list"], ["inventory", "graph"], ["inventory", "list", "--json"]])
def test_hostile_inventory(bare: Console, args: list[str]) -> None:
    """Escape sequences in an inventory never reach standard output as they are."""
    text = bare.inventory.read_text().replace("gone01:", '"evil\\e[2J\\a01":')
    bare.inventory.write_text(text)
    got = bare(*args)
    assert not {"\x1b", "\x07", "\x9b"} & set(got.out + got.err)


def test_hostile_words(bare: Console) -> None:
    """What was typed or noted by others is shown with its controls visible."""
    opened = bare("incident", "open", "page \x1b]0;owned\x07 \u202e defaced")
    assert opened.code == 0
    for args in (["incident", "list"], ["incident", "show", opened.out.strip()], ["isolate", "web\x1b[2J"]):
        got = bare(*args)
        assert not {"\x1b", "\x07", "\u202e"} & set(got.out + got.err), args


@pytest.mark.parametrize("more", [[], ["-vvv"], ["--json"], ["--jsonl"]])
def test_secrets_never_appear(bare: Console, more: list[str]) -> None:
    """The value of a secret is in no output and in no byte of the record."""
    got = bare("isolate", "sudo01", "--dry-run", *more)
    listed = bare("inventory", "list", "--json")
    for text in (got.out, got.err, listed.out, listed.err):
        assert SECRET not in text
    for file in bare.record.parent.rglob("*"):
        if file.is_file():
            assert SECRET.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("status", "said", "unsaid"),
    [
        ("rolled-back", ("stays cut off", "remedy undo R1"), ("NOT cut off",)),
        ("reopened", ("the host is NOT cut off",), ("stays cut off", "remedy undo")),
    ],
)
def test_fired_timer_is_said(
    capsys: pytest.CaptureFixture[str], status: str, said: tuple[str, ...], unsaid: tuple[str, ...]
) -> None:
    """A timer that fired is 23 and says whether the host is still cut off, and how to take back what is left."""
    plan = Plan("isolate", "web01", "R1", "INC-1", "0", "{}", changes=(Change("x", "web01", Command(("true",))),))
    outcome = Outcome(plan, status)
    Screen(color=False, quiet=False, verbose=0, redact=str).outcome(outcome)
    shown = " ".join("".join(capsys.readouterr()).split())
    assert all(words in shown for words in said)
    assert not any(words in shown for words in unsaid)
    assert outcome.exit_code == 23


def test_opening_shows_the_key(bare: Console) -> None:
    """The fingerprint of the record's key is shown when an incident is opened, its id alone is the result."""
    got = bare("incident", "open", "x")
    assert got.out.strip().startswith("INC-")
    assert "SHA256:" in got.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    """The completion script of each shell is for remedy."""
    assert main(["completion", shell]) == 0
    assert "_REMEDY_COMPLETE" in capsys.readouterr().out


def test_completion_of_hosts(bare: Console) -> None:
    """Hosts and groups of the inventory complete; without an inventory nothing does, silently."""
    words = f"remedy -i {bare.inventory} isolate we"
    argv = (sys.executable, "-c", "from remedy.cli.main import run; run()")
    for line, wanted in ((words, {"web", "web01", "web02"}), ("remedy -i /nonexistent isolate we", set())):
        env = {**os.environ, "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
        env["_REMEDY_COMPLETE"] = "bash_complete"
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60)
        assert {row.partition(",")[2] for row in done.stdout.splitlines() if row} == wanted
        assert not done.stderr


def test_pipes_and_no_color(bare: Console) -> None:
    """A closed pipe is no crash, and NO_COLOR and --no-color leave no escape byte on a terminal."""
    code = "import sys; from remedy.cli.main import run; run(sys.argv[1:])"
    argv = [sys.executable, "-c", code, "-i", str(bare.inventory), "inventory", "list"]
    for env, more in (({"NO_COLOR": "1"}, []), ({}, ["--no-color"])):
        done = subprocess.run(
            ["script", "-qec", " ".join([*argv[:1], "-c", f"'{code}'", *argv[3:], *more]), "/dev/null"],
            env={**os.environ, "TERM": "xterm-256color", **env},
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert b"web01" in done.stdout, done
        assert b"\x1b[" not in done.stdout
    head = subprocess.run(
        ["sh", "-c", '"$@" | head -c 1 >/dev/null', "sh", *argv], capture_output=True, check=False, timeout=60
    )
    assert b"Traceback" not in head.stderr
