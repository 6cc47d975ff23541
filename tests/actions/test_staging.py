"""The staging schema and its account: made, found half made, removed; nobody else's schema is ever dropped for it."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.worlds.cutover import RUN
from tests.worlds.mariadb import Server, shell

from remedy.actions.recovery import staging
from remedy.backups.values import Database
from remedy.core.values import Change, Command, Reply
from remedy.probes import parse

LOGIN = Path(staging.login(RUN))


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of these tests' own."""
    made = Server(tmp_path_factory.mktemp("mariadb") / "server").start()
    yield made
    made.close()


@pytest.fixture
def server(opened: Server) -> Iterator[Server]:
    """The server without anything of a restore."""
    yield opened
    for schema in opened.sql("SHOW DATABASES LIKE '%\\_\\_in'"):
        opened.sql(f"DROP DATABASE `{schema}`")
    for user in opened.sql("SELECT user FROM mysql.user WHERE user LIKE 'remedy%'"):
        opened.sql(f"DROP USER `{user}`@localhost")
    LOGIN.unlink(missing_ok=True)


def change(server: Server, schema: str = "site") -> Change:
    """The step."""
    return staging.make(Database("site", schema, "db01", defaults_file=str(server.option_file)), RUN, "utf8mb4")


def send(command: Command | None) -> Reply:
    """Run it."""
    assert command is not None
    done = shell(command.argv, command.stdin)
    return Reply(done.returncode, done.stdout, done.stderr)


def state(made: Change) -> object:
    """How far it has come."""
    assert made.seen is not None
    return parse(made.seen.parser, send(made.seen.command))


def left(server: Server) -> tuple[list[str], list[str], bool]:
    """Schemas, accounts, option file."""
    accounts = server.sql("SELECT user FROM mysql.user WHERE user LIKE 'remedy%'")
    return server.sql("SHOW DATABASES LIKE 'site%'"), accounts, LOGIN.exists()


ACCOUNT = f"remedy_{RUN}"
#: What a power cut inside the step can have left, statement by statement.
HALVES = {
    "an account": f"CREATE USER '{ACCOUNT}'@localhost",
    "and the schema": f"CREATE USER '{ACCOUNT}'@localhost; CREATE DATABASE site__in",
    "and its rights": f"CREATE USER '{ACCOUNT}'@localhost; CREATE DATABASE site__in; "
    f"GRANT ALL ON `site\\_\\_in`.* TO '{ACCOUNT}'@localhost",
    "and half a load": f"CREATE USER '{ACCOUNT}'@localhost; CREATE DATABASE site__in; "
    f"GRANT ALL ON `site\\_\\_in`.* TO '{ACCOUNT}'@localhost; CREATE TABLE site__in.t (i INT)",
    "only the rights, as an undo leaves it": f"CREATE USER '{ACCOUNT}'@localhost; "
    f"GRANT ALL ON `site\\_\\_in`.* TO '{ACCOUNT}'@localhost",
}


@pytest.mark.parametrize("half", HALVES)
def test_half_of_it(server: Server, half: str) -> None:
    """Whatever was left of it, sent again it is whole and empty; taken back, nothing is left."""
    for way in ("again", "back"):
        server.sql(HALVES[half])
        made = change(server)
        assert state(made) == "halfway"
        if way == "again":
            assert send(made.do).status == 0
            assert state(made) == "done"
            assert left(server) == (["site__in"], [ACCOUNT], True)
            assert server.sql("SHOW TABLES FROM site__in") == []
        assert send(made.undo).status == 0
        assert state(made) == "absent"
        assert left(server) == ([], [], False)


@pytest.mark.parametrize(
    "mark", ["", "R9 swapped", "R9 undone", f"{RUN} undone"], ids=["none", "swapped", "undone", "undone by this run"]
)
def test_somebody_else_s_schema(server: Server, mark: str) -> None:
    """A schema of that name that this run has not made, or that was live once, is neither used nor dropped."""
    made = change(server)
    server.sql(f"CREATE DATABASE site__in; CREATE TABLE site__in.remedy__kept (i INT) COMMENT='{mark}'")
    assert state(made) == "absent"
    reply = send(made.do)
    assert reply.status == 4
    assert reply.err.startswith(b"ERROR 1007")
    assert left(server) == (["site__in"], [], False)
    server.sql(f"CREATE USER '{ACCOUNT}'@localhost")
    assert send(made.undo).status == 0
    assert left(server) == (["site__in"], [], False)
    assert server.sql("SHOW TABLES FROM site__in") == ["remedy__kept"]


def test_a_schema_with_a_name_like_a_pattern(server: Server) -> None:
    """The account's rights are for the one schema: nothing in its name is a wildcard to a grant."""
    made = change(server, "a_b%c\\")
    assert send(made.do).status == 0
    grants = server.sql(f"SELECT db FROM mysql.db WHERE user='{ACCOUNT}'")
    assert grants == ["a\\\\_b\\\\%c\\\\\\\\\\\\_\\\\_in"]  # as the client escapes it
    client = ("mariadb", f"--defaults-extra-file={LOGIN}", "-e")
    assert shell((*client, "CREATE TABLE `a_b%c\\__in`.t (i INT)"), HOME="/nowhere").returncode == 0
    assert shell((*client, "CREATE DATABASE `axb%c\\__in`"), HOME="/nowhere").returncode == 1
    assert send(made.undo).status == 0


def test_a_server_that_wants_strong_passwords(server: Server) -> None:
    """The password that is made passes a server's rules for passwords."""
    server.sql("INSTALL SONAME 'simple_password_check'")
    made = change(server)
    try:
        reply = send(made.do)
    finally:
        server.sql("UNINSTALL SONAME 'simple_password_check'")
    assert reply.status == 0, reply.err
    assert send(made.undo).status == 0


def test_what_is_found_of_it_is_readable_by_root_alone(server: Server) -> None:
    """The option file with the password is root's, in a folder of root's; neither plan nor reply holds it."""
    made = change(server)
    reply = send(made.do)
    assert (reply.out, reply.err) == (b"", b"")
    assert (LOGIN.stat().st_mode & 0o777, LOGIN.parent.stat().st_mode & 0o077) == (0o600, 0)
    password = LOGIN.read_text().partition("password=")[2].strip()
    assert len(password) == 52
    assert password not in made.do.stdin + "".join(made.do.argv)
    assert send(made.undo).status == 0


@pytest.mark.parametrize("way", ["undo", "keep"])
def test_what_a_killed_cut_over_has_left(server: Server, way: str) -> None:
    """Resume and undo both remove the texts of a killed cut-over, but not those of one that is still at work."""
    made = change(server)
    assert send(made.do).status == 0
    site = Database("site", "site", "db01", defaults_file=str(server.option_file))
    command = made.undo if way == "undo" else staging.remove_account(site, RUN).do
    mine, other = (Path(f"/run/remedy-swap.{run}.Ab12Cd") for run in (RUN, "Rother"))
    lock = Path("/run/remedy-swap.lock")
    for folder in (mine, other):
        folder.mkdir()
        (folder / "cnf").write_text("password=x")
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert send(command).status == 0
        assert mine.exists(), "its script is still at work"
    assert send(command).status == 0
    assert (mine.exists(), other.exists()) == (False, True)
    assert send(command).status == 0, "once more changes nothing"
    shutil.rmtree(other)
    lock.unlink()
    assert send(command).status == 0
