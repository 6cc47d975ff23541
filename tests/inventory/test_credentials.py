"""Secrets by reference: read when used, named and never shown when they cannot be had."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from remedy.core.errors import InventoryError
from remedy.core.values import Secret
from remedy.inventory import credentials, resolve


def program(folder: Path, name: str, body: str) -> Path:
    """An executable shell script."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def command(*argv: object) -> Secret:
    """A reference to a command."""
    return Secret("command:" + json.dumps([str(word) for word in argv]))


def test_environment() -> None:
    """`env:` reads the variable; unset and empty are errors that name it."""
    assert resolve(Secret("env:X"), environ={"X": "s3cret"}) == "s3cret"
    for environ in ({}, {"X": ""}):
        with pytest.raises(InventoryError, match="not set") as caught:
            resolve(Secret("env:X"), environ=environ)
        assert caught.value.where == "env:X"


def test_file(tmp_path: Path) -> None:
    """`file:` reads one line without its end; anything else in the file is an error that does not show it."""
    path = tmp_path / "s"
    for data in (b"s3cret", b"s3cret\n", b"s3cret\r\n"):
        path.write_bytes(data)
        assert resolve(Secret(f"file:{path}")) == "s3cret"
    for data in (b"", b"\n", b"s3cret\nmore\n", b"s3cret\x00", b"\xffs3cret", b"s3cret" * 20_000):
        path.write_bytes(data)
        with pytest.raises(InventoryError) as caught:
            resolve(Secret(f"file:{path}"))
        assert "s3cret" not in str(caught.value)
    with pytest.raises(InventoryError, match="No such file"):
        resolve(Secret(f"file:{tmp_path / 'none'}"))


def test_fifo_does_not_hang(tmp_path: Path) -> None:
    """A named pipe without a writer is an error, not a wait."""
    os.mkfifo(tmp_path / "s")
    with pytest.raises(InventoryError):
        resolve(Secret(f"file:{tmp_path / 's'}"))


def test_command(tmp_path: Path) -> None:
    """`command:` runs the argument vector without a shell, in the given environment, and takes its one line."""
    script = program(tmp_path, "p", 'echo "$1-$FROM"; echo noise >&2')
    assert resolve(command(script, "a b; id"), environ={"FROM": "env", "PATH": os.environ["PATH"]}) == "a b; id-env"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("echo s3cret; exit 3", "status 3"),
        ("exit 0", "empty"),
        ("while :; do echo s3cret; done", "too long"),
        ("echo s3cret; echo two", "more than one line"),
    ],
    ids=["status", "nothing", "endless", "two lines"],
)
def test_command_fails(body: str, message: str, tmp_path: Path) -> None:
    """A command that fails, says nothing or too much is an error that shows nothing of it."""
    with pytest.raises(InventoryError, match=message) as caught:
        resolve(command(program(tmp_path, "p", body)))
    assert "s3cret" not in str(caught.value)


def test_command_is_bounded_in_time(tmp_path: Path) -> None:
    """A command that never answers is stopped, with everything it started."""
    pid = tmp_path / "pid"
    script = program(tmp_path, "p", f"sleep 60 & echo $! > {pid}; wait")
    start = time.monotonic()
    with pytest.raises(InventoryError, match="no answer"):
        resolve(command(script), seconds=0.5)
    assert time.monotonic() - start < 10
    child = Path("/proc") / pid.read_text().strip() / "cmdline"
    deadline = time.monotonic() + 5
    while child.exists() and child.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not child.exists() or not child.read_bytes()


def test_missing_command() -> None:
    """A program that is not there is an error that names it."""
    with pytest.raises(InventoryError, match="/nonexistent/tool"):
        resolve(command("/nonexistent/tool"))


def test_keyring_through_secret_tool(tmp_path: Path) -> None:
    """`keyring:` asks secret-tool for service and user name."""
    program(tmp_path, "secret-tool", 'test "$*" = "lookup service remedy username web01" && echo s3cret')
    reference = Secret('keyring:["remedy", "web01"]')
    assert resolve(reference, environ={"PATH": f"{tmp_path}:{os.environ['PATH']}"}) == "s3cret"
    with pytest.raises(InventoryError, match="status 1"):
        resolve(Secret('keyring:["remedy", "web02"]'), environ={"PATH": f"{tmp_path}:{os.environ['PATH']}"})


def test_keyring_without_any(tmp_path: Path) -> None:
    """Without secret-tool and the keyring module the error says what to install."""
    with pytest.raises(InventoryError, match="secret-tool") as caught:
        resolve(Secret('keyring:["remedy", "web01"]'), environ={"PATH": str(tmp_path)})
    assert "install" in caught.value.hint


def test_references_round_trip() -> None:
    """Every form of the inventory gives its reference; literals keep their value inside, unseen."""

    def made(value: object) -> Secret | None:
        return credentials.reference("k_password", value, where="f:1", locate=lambda path: f"/abs/{path}")

    assert made({"env": "X"}) == Secret("env:X")
    assert made({"file": "x"}) == Secret("file:/abs/x")
    assert made({"command": ["pass", "show x"]}) == Secret('command:["pass", "show x"]')
    assert made({"keyring": ["s", "u"]}) == Secret('keyring:["s", "u"]')
    assert made("{{ lookup('file', 'x') }}") == Secret("file:/abs/x")
    assert made(None) is None
    literal = made("s3cret")
    assert literal is not None
    assert resolve(literal) == "s3cret"
    assert "s3cret" not in repr(literal) + str(literal)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"env": ""},
        {"env": "X", "file": "y"},
        {"command": "id"},
        {"command": []},
        {"keyring": ["one"]},
        [1],
        True,
        1.5,
    ],
)
def test_malformed_references(value: object) -> None:
    """A reference of no known form is an error that lists the forms."""
    with pytest.raises(InventoryError) as caught:
        credentials.reference("k_password", value, where="f:1", locate=str)
    assert caught.value.where == "f:1"
    assert "{env: NAME}" in caught.value.hint
