"""Claims about clients and crews of them, on a real server."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from remedy.core.errors import ChangeFailed, Interrupted
from remedy.core.values import Command
from remedy.transports.bulk import Bulk
from remedy.transports.guard import CONTROLLER
from remedy.transports.transfers.clients import PROGRAM, Login, ServerRefused, ask
from remedy.transports.transfers.crew import Crew
from remedy.transports.transfers.flow import in_thread

from .conftest import Server


def nothing() -> None:
    """Nobody waits."""


def crew(bulk: Bulk, server: Server, schema: str, number: int = 2) -> Crew:
    """Clients logged in as root."""
    login = Login(CONTROLLER, server.option_file)
    return Crew(bulk, login, schema, number, charset="utf8mb4", doing="loading x", tick=nothing)


def load(made: Crew, *texts: bytes) -> None:
    """The first text to the first client, and so on."""
    with made:
        for session, text in zip(made.sessions, texts, strict=True):
            for number, line in enumerate(text.split(b"--\n")):
                made.put(session, line, f"t{number}")
        made.finish()


def test_answers_come_back_as_they_are(bulk: Bulk, server: Server) -> None:
    """Tabs, line breaks, backslashes and bytes that are no text survive the client's own escapes."""
    login = Login(CONTROLLER, server.option_file)
    value = "tab\there\nline \\n \\ 王😀"
    asked = f"SELECT CONVERT(0x{value.encode().hex()} USING utf8mb4), NULL, CONVERT(0x41FF USING binary)"
    assert ask(bulk, login, "mysql", asked) == [(value, "NULL", "A\\xff")]
    assert ask(bulk, login, "mysql", "DO 0") == []


def test_the_option_file_that_is_named_decides_who_logs_in(
    bulk: Bulk, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ~/.my.cnf that says root, and a password in the environment, do not change the account."""
    schema = server.schema()
    login = Login(CONTROLLER, server.login(schema))
    (tmp_path / ".my.cnf").write_text(f"[client]\nuser=root\nsocket={server.socket}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MYSQL_PWD", "wrong")
    assert ask(bulk, login, schema, "SELECT CURRENT_USER()") == [(f"only_{schema}@localhost",)]


def test_a_refusal_is_one_line_of_the_server_with_what_to_do(bulk: Bulk, server: Server) -> None:
    """A failing question raises the server's own words with its number; a wrong login likewise."""
    login = Login(CONTROLLER, server.option_file)
    with pytest.raises(ServerRefused, match=r"ERROR 1146.*nowhere") as failed:
        ask(bulk, login, "mysql", "SELECT 'secret row';\nSELECT * FROM nowhere")
    assert failed.value.number == 1146
    assert "secret row" not in str(failed.value)
    schema = server.schema()
    with pytest.raises(ServerRefused, match=r"ERROR 1044.*privileges"):
        ask(bulk, Login(CONTROLLER, server.login(schema)), "mysql", "SELECT 1")
    with pytest.raises(ServerRefused, match=r"Could not open required defaults file: /nowhere\.cnf"):
        ask(bulk, Login(CONTROLLER, "/nowhere.cnf"), "mysql", "SELECT 1")
    with pytest.raises(ServerRefused, match=r"ERROR 2002.*running"):
        ask(bulk, Login(CONTROLLER, socket="/nowhere/s"), "mysql", "SELECT 1")


@pytest.mark.parametrize("present", [("mariadb",), ("mysql",), ()])
def test_the_client_goes_by_either_name(present: tuple[str, ...], bulk: Bulk, tmp_path: Path) -> None:
    """Whichever of the two programs is installed is run, with the sandbox only where it knows one; else it is said."""
    for name in present:
        program = tmp_path / name
        knows = "--sandbox" if name == "mariadb" else "--safe"
        program.write_text(f'#!/bin/sh\n[ "$2" != --help ] || {{ echo {knows}; exit; }}\necho {name} "$@"\n')
        program.chmod(0o755)
    argv = ("env", f"PATH={tmp_path}:/usr/bin/none", "/bin/sh", "-c", PROGRAM, "remedy", "/f", "mariadb mysql")
    with bulk.start(Command((*argv, "--sandbox", "--batch")), at=CONTROLLER) as running:
        out = b"".join(running)
        status, said = running.finish()
    if present:
        options = "--sandbox --batch" if present == ("mariadb",) else "--batch"
        assert out.decode() == f"{present[0]} --defaults-extra-file=/f {options}\n"
    else:
        assert (status, said) == (127, b"ERROR: none of these programs is installed: mariadb mysql\n")


def test_what_was_carried_out_is_proven(bulk: Bulk, server: Server) -> None:
    """A crew ends well only when every statement of every client was carried out."""
    schema = server.schema("CREATE TABLE t (a INT PRIMARY KEY)")
    with crew(bulk, server, schema) as both:
        for number in range(200):
            session = both.least_loaded(10)
            both.put(session, b"INSERT INTO t VALUES (%d);" % number, "t")
        both.finish()
    assert server.sql("SELECT COUNT(*), SUM(a) FROM t", schema) == [["200", "19900"]]


@pytest.mark.parametrize("end", ["INSERT INTO t VALUES (1, 'cut", "INSERT INTO t VALUES (1) /* cut", "exit\n"])
def test_text_that_swallows_the_mark_is_no_success(end: str, bulk: Bulk, server: Server) -> None:
    """A literal or a comment that never ends, or an early exit: the mark is not answered, so it failed."""
    schema = server.schema("CREATE TABLE t (a INT)")
    with pytest.raises(ChangeFailed):
        load(crew(bulk, server, schema, 1), end.encode())


def test_the_failure_names_the_table_and_ends_all(bulk: Bulk, server: Server) -> None:
    """The first error of one client is raised with the table it concerns, while another still has work to do."""
    schema = server.schema("CREATE TABLE fine (a INT); CREATE TABLE broken (a INT PRIMARY KEY)")
    begun = time.monotonic()
    rows = b"INSERT INTO fine VALUES\n(1),\n(2);\n--\nINSERT INTO broken VALUES\n(1),\n(1);\n--\nSELECT 1;"
    with pytest.raises(ServerRefused, match=r"loading x \(table t1\): ERROR 1062.*Duplicate") as failed:
        load(crew(bulk, server, schema), b"SELECT SLEEP(30);", rows)
    assert failed.value.number == 1062
    assert time.monotonic() - begun < 15


def test_no_client_command_is_carried_out(bulk: Bulk, server: Server, tmp_path: Path) -> None:
    r"""`\!`, `system`, `source`, `tee` and LOAD DATA LOCAL in what is loaded run nothing and read nothing."""
    mark, secret = tmp_path / "ran", tmp_path / "secret"
    secret.write_text("a\n")
    schema = server.schema("CREATE TABLE t (a VARCHAR(20))")
    lines = [
        f"\\! touch {mark}",
        f"system touch {mark}",
        f"tee {mark}",
        f"source {secret}",
        f"LOAD DATA LOCAL INFILE '{secret}' INTO TABLE t;",
    ]
    for line in lines:
        with pytest.raises(ChangeFailed):
            load(crew(bulk, server, schema, 1), f"{line}\n;\n".encode())
    assert not mark.exists()
    assert server.sql("SELECT COUNT(*) FROM t", schema) == [["0"]]


def test_a_server_that_dies_is_named(bulk: Bulk, own_server: Server) -> None:
    """When the server is killed under its clients the failure says that it went away."""
    schema = own_server.schema("CREATE TABLE t (a INT)")

    def kill() -> None:
        while not any(row[0] == "root" for row in own_server.clients()):
            time.sleep(0.02)
        own_server.stop(9)

    in_thread(kill, "killer")
    with pytest.raises(ServerRefused, match=r"ERROR 20(06|13).*went away") as failed:
        load(crew(bulk, own_server, schema, 1), b"SELECT SLEEP(100);")
    assert failed.value.number in {2006, 2013}


def test_ctrl_c_leaves_no_client(bulk: Bulk, server: Server) -> None:
    """What `tick` raises while a client works comes out, and no program runs on."""
    schema = server.schema("CREATE TABLE t (a INT)")
    before = _children()

    def interrupt() -> None:
        raise Interrupted("Ctrl-C")

    login = Login(CONTROLLER, server.option_file)
    with pytest.raises(Interrupted):
        load(Crew(bulk, login, schema, 1, charset="", doing="x", tick=interrupt), b"SELECT SLEEP(100);")
    assert _children() == before


def _children() -> set[int]:
    """The processes that this one has started and that still are."""
    mine = str(os.getpid())
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if folder.joinpath("stat").read_text().rpartition(")")[2].split()[1] == mine:
                found.add(int(folder.name))
        except OSError:
            continue  # it has just ended
    return found
