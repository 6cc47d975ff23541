"""Restores by tired administrators, on servers set in every odd way, from hosts that lie: refused, or done right."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.worlds.databases import BACKUP, RUN, RUN2, SHOP, Shop
from tests.worlds.mariadb import shell
from tests.worlds.memory import Killed

from remedy.actions.recovery import staging
from remedy.actions.recovery.swap import Facts
from remedy.actions.restore import Restore, card
from remedy.backups.values import Contents, Object, Table, Unit
from remedy.core.canon import Json
from remedy.core.errors import HeldByOther, Interrupted, Refused, TargetUnfit, UsageError
from remedy.core.ports import Session, Tell
from remedy.core.values import Command, Plan, Probe, Reply, Transfer
from remedy.engine.job import Event
from remedy.probes import parse


@pytest.fixture(scope="module")
def opened() -> Iterator[Shop]:
    """A world of this module's own."""
    with Shop.open() as world:
        yield world


@pytest.fixture
def shop(opened: Shop) -> Shop:
    """The world at its start."""
    opened.begin()
    return opened


def restored(shop: Shop, **options: Any) -> Plan:  # noqa: ANN401 -- any option of the action
    """A restore that went well; its plan."""
    action = shop.restore(**options)
    plan = shop.plan(action)
    outcome = shop.carry(plan, action)
    assert outcome.status == "verified", outcome.doubts
    return plan


ODD = {
    "quotes, modes and limits": (
        "--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,IGNORE_SPACE,EMPTY_STRING_IS_NULL",
        "--character-set-server=latin1",
        "--event-scheduler=ON",
        "--autocommit=0",
    ),
    "lower case, Oracle's mode": ("--lower-case-table-names=1", "--sql-mode=ORACLE", "--skip-log-bin"),
}


@pytest.mark.parametrize("odd", ODD)
def test_servers_that_are_set_in_odd_ways(odd: str) -> None:
    """Whatever a server takes for granted, the restore is exact, the undo is exact, and its settings are as before."""
    with Shop.open(*ODD[odd]) as shop:
        shop.live.sql("SET GLOBAL max_statement_time=0.5, GLOBAL lock_wait_timeout=86400")
        before = shop.everything()
        restored(shop)
        assert shop.content() == shop.then
        assert shop.undo().status == "verified"
        assert shop.act(shop.discard(), "D1").status == "verified"
        assert shop.everything() == before


PACKAGES = """
CREATE TABLE n (i INT PRIMARY KEY);
SET sql_mode=ORACLE;
DELIMITER //
CREATE PACKAGE tools AS FUNCTION twice(x INT) RETURN INT; END//
CREATE PACKAGE BODY tools AS FUNCTION twice(x INT) RETURN INT AS BEGIN RETURN x * 2; END; END//
CREATE FUNCTION four RETURN INT AS BEGIN RETURN tools.twice(2); END//
DELIMITER ;
SET sql_mode=DEFAULT;
"""


def test_packages_of_oracle_s_mode(shop: Shop) -> None:
    """Packages and their bodies are restored and given back, whether they changed or not."""
    shop.begin(PACKAGES, "SET sql_mode=ORACLE; DROP PACKAGE BODY tools; INSERT INTO n VALUES (1)")
    restored(shop)
    assert shop.content() == shop.then
    assert shop.live.sql("SELECT shop.four()") == ["4"]
    assert shop.undo().status == "verified"
    assert shop.content() == shop.now


def test_a_schema_beside_it_of_the_same_name_in_capitals(shop: Shop) -> None:
    """Of a schema `SHOP` beside `shop` nothing is read into the plan, moved or dropped."""
    shop.live.sql(f"DROP DATABASE IF EXISTS SHOP; CREATE DATABASE SHOP; USE SHOP; {SHOP_TWIN}")
    twin = shop.live.dump("SHOP", "--skip-dump-date")
    restored(shop)
    assert shop.content() == shop.then
    assert shop.undo().status == "verified"
    assert shop.content() == shop.now
    assert shop.live.dump("SHOP", "--skip-dump-date") == twin
    shop.live.sql("DROP DATABASE SHOP")


SHOP_TWIN = """CREATE TABLE orders (i INT); CREATE TABLE own (i INT); CREATE VIEW v AS SELECT 1;
CREATE TRIGGER t BEFORE INSERT ON own FOR EACH ROW SET @x = 1;"""


def test_ruins_are_given_back_as_ruins(shop: Shop) -> None:
    """Live views whose tables were dropped do not stop a restore; an undo gives the rest back, their text is kept."""
    shop.begin(SHOP, "SET FOREIGN_KEY_CHECKS=0; DROP TABLE orders; DROP TABLE customer;")
    names = shop.live.sql("SELECT table_name FROM information_schema.views WHERE table_schema='shop' ORDER BY 1")
    plan = restored(shop)
    assert shop.content() == shop.then
    assert any("4 live views cannot be opened" in note for note in plan.notes)
    outcome = shop.undo()
    assert outcome.status == "verified", outcome.doubts
    assert shop.live.sql("SHOW TABLES FROM shop") == ["ticket", "日志"]
    kept = shop.live.sql("SELECT name FROM shop__in.remedy__kept WHERE kind='view' ORDER BY name")
    assert kept == names == ["aa", "mm", "taxed", "zz"]


@pytest.mark.parametrize("gone", ["empty", "missing"])
def test_nothing_is_left_of_it(shop: Shop, gone: str) -> None:
    """An empty or missing schema is restored without a backup of it first; an undo leaves it as it was."""
    shop.live.sql("DROP DATABASE shop" + ("; CREATE DATABASE shop" if gone == "empty" else ""))
    before = shop.everything()
    plan = restored(shop)
    assert not any(change.why.startswith("back up the data") for change in plan.changes)
    assert shop.content() == shop.then
    assert shop.undo().status == "verified"
    assert shop.act(shop.discard(), "D1").status == "verified"
    assert shop.everything() == before


def test_an_event_that_is_over(shop: Shop) -> None:
    """An event of the backup whose time has passed is not waited for, and not missed by the proof."""
    over = "CREATE EVENT expired ON SCHEDULE AT CURRENT_TIMESTAMP + INTERVAL 1 HOUR DO SELECT 1;"
    shop.begin(f"{SHOP}{over}")
    file = Path(shop.copy.path, BACKUP)
    text = file.read_text()
    stamp = text.partition("ON SCHEDULE AT '")[2][:19]
    file.write_text(text.replace(stamp, "2020-01-01 00:00:00"))
    restored(shop)
    assert "expired" not in shop.live.sql("SELECT event_name FROM information_schema.events WHERE event_schema='shop'")


def test_definitions_without_a_definer(shop: Shop) -> None:
    """What names no definer is root's, is said so, and is no remains of the account that created it."""
    file = Path(shop.copy.path, BACKUP)
    strip = r"s#/\*!50[01]17 DEFINER=`root`@`localhost`\*/ ##; s/DEFINER=`root`@`localhost` ?//"
    file.write_bytes(subprocess.run(["sed", "-E", strip, str(file)], capture_output=True, check=True).stdout)
    plan = restored(shop)
    assert any("name no definer; they get root@localhost" in note for note in plan.notes)
    assert shop.content() == shop.then


def test_a_default_that_asks_a_sequence(shop: Shop) -> None:
    """Refused with both names before anything is done; accepted, the load says so, and all is as before."""
    shop.begin(f"{SHOP} CREATE TABLE numbered (i INT DEFAULT nextval(ticket));")
    before = shop.everything()
    with pytest.raises(Refused, match=r"beside the live data: numbered \(shop\.ticket\)"):
        shop.plan(shop.restore())
    outcome = shop.act(shop.restore(accept=("sequence-default",)))
    assert outcome.status == "failed"
    assert any("table numbered takes a default from the sequence shop.ticket" in one for one in outcome.doubts)
    assert shop.everything() == before


def test_the_card_on_the_wall(shop: Shop) -> None:
    """What the card says, typed word for word, makes the data before live again."""
    plan = restored(shop)
    lines = "\n".join(plan.card).replace("/root/remedy-back", f"{shop.place}/back")
    done = shell(("sh", "-e"), lines)
    assert shop.content() == shop.now, done.stderr
    assert shop.live.sql("SELECT @@GLOBAL.read_only, @@GLOBAL.automatic_sp_privileges") == ["0\t1"]
    assert shop.content("__in") != b""


def test_a_name_for_the_card_that_a_shell_would_obey() -> None:
    """Names and paths on the card are words of a shell line, whatever they hold."""
    evil = "x'; touch /tmp/remedy-planted; '"
    database = replace(Restore().database, schema=evil, defaults_file="/root/my file;id.cnf", host="db01")
    commands = [line for line in card(database, RUN, Facts("", "", "0", "")) if line.startswith(("mariadb", "for"))]
    assert commands
    done = shell(
        ("sh", "-c", "mariadb() { printf '%s\\n' \"$@\"; cat >/dev/null; }; . /dev/stdin"), "\n".join(commands)
    )
    assert "--defaults-extra-file=/root/my file;id.cnf" in done.stdout.decode()
    assert not Path("/tmp/remedy-planted").exists()  # noqa: S108 -- it must not be there


# What is refused before anything was changed.


REFUSALS: dict[str, tuple[str, str, str, str]] = {
    "replica": (
        "CHANGE MASTER TO MASTER_HOST='198.18.0.1', MASTER_USER='x'",
        "RESET SLAVE ALL",
        "replicates from another",
        "restore on the primary",
    ),
    "read-only": ("SET GLOBAL read_only=1", "SET GLOBAL read_only=0", "the server is read-only", "remedy resume"),
    "leftover in": (
        "CREATE DATABASE shop__in",
        "DROP DATABASE shop__in",
        "shop__in is there already",
        "drop it by hand",
    ),
    "leftover undo": (
        "CREATE DATABASE shop__undo",
        "DROP DATABASE shop__undo",
        "shop__undo is there already",
        "resume",
    ),
    "inbound key": (
        "CREATE DATABASE beside; CREATE TABLE beside.child (c INT, FOREIGN KEY (c) REFERENCES shop.customer (id))",
        "DROP DATABASE beside",
        r"foreign keys of other schemas point here.*beside\.child \(to customer\)",
        "--accept inbound-keys",
    ),
    "a default from a sequence": (
        "ALTER TABLE shop.`日志` ALTER COLUMN n SET DEFAULT nextval(shop.ticket)",
        "ALTER TABLE shop.`日志` ALTER COLUMN n DROP DEFAULT",
        r"cannot be loaded beside the live data: 日志 \(shop\.ticket\)",
        "--accept sequence-default",
    ),
    "no more than some rows": (
        "SET GLOBAL sql_select_limit=3",
        "SET GLOBAL sql_select_limit=DEFAULT",
        "no more than 3 rows to any question",
        "SET GLOBAL sql_select_limit=DEFAULT",
    ),
    "packet": (
        "SET GLOBAL max_allowed_packet=1024",
        "SET GLOBAL max_allowed_packet=16777216",
        r"the longest statement has \d+ bytes, the server takes 1024",
        "SET GLOBAL max_allowed_packet",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refused_before_anything_is_changed(shop: Shop, case: str) -> None:
    """What must not or cannot be restored is refused with what is in the way and what to do about it."""
    spoil, repair, said, hint = REFUSALS[case]
    before = shop.everything()
    action = shop.restore()
    shop.live.sql(spoil)
    try:
        with pytest.raises(Refused, match=said) as caught:
            shop.plan(action)
    finally:
        shop.live.sql(repair)
    assert hint in caught.value.hint
    assert shop.everything() == before


def test_a_node_of_a_cluster(shop: Shop) -> None:
    """A Galera node is refused: what its cluster would make of a restore is not known."""
    settings = b"version\t10.11.6-MariaDB\nwsrep_on\tON\nmax_allowed_packet\t1073741824\n"
    around = Around(shop.session, lies={"database.variables": Reply(0, settings)})
    shop.through(around)
    try:
        with pytest.raises(TargetUnfit, match="Galera") as caught:
            shop.plan(shop.restore())
    finally:
        shop.through(around.real)
    assert "out of the cluster" in caught.value.hint


def test_no_room(shop: Shop) -> None:
    """What does not fit beside the live data is refused with how much is needed."""
    with pytest.raises(TargetUnfit, match=r"MiB free; loading beside the live data needs about \d+ MiB"):
        shop.plan(shop.restore(room=1 << 60))


def test_names(shop: Shop) -> None:
    """A schema whose name leaves no room for the names beside it, another host, an unknown copy: refused."""
    action = shop.restore()
    long = replace(action, database=replace(action.database, schema="x" * 60))
    with pytest.raises(Refused, match="too long"):
        shop.plan(long)
    with pytest.raises(UsageError, match="not on controller"):
        shop.plan(replace(action, database=replace(action.database, host="db02")))
    with pytest.raises(UsageError, match="no copy called 'nowhere'"):
        shop.plan(replace(action, safety="nowhere"))
    own = Contents(tables=(Table("remedy__kept", ""),))
    with pytest.raises(Refused, match="remedy's own"):
        shop.plan(replace(action, contents=own))
    unclear = Contents(objects=(Object("view", "v", "", "", "SELECT 1"),))
    with pytest.raises(Refused, match="names no definer"):
        shop.plan(replace(action, contents=unclear))


def test_a_schema_made_between_plan_and_staging(shop: Shop) -> None:
    """A schema of the staging's name that somebody else has made since the plan is neither used nor dropped."""
    action = shop.restore()
    plan, engine = shop.plan(action), shop.engine()

    def meanwhile(event: Event) -> None:
        if event.kind == "step" and "make the empty schema" in event.text:
            shop.live.sql("CREATE DATABASE shop__in; CREATE TABLE shop__in.precious (i INT)")

    engine.observe = meanwhile
    outcome = engine.apply(shop.job(action, RUN), plan, engine.approve(plan, "ops"))
    assert outcome.status == "failed"
    assert any("database exists" in doubt for doubt in outcome.doubts), outcome.doubts
    assert shop.live.sql("SHOW TABLES FROM shop__in") == ["precious"]
    assert shop.undo().exit_code == 0
    assert shop.live.sql("SHOW TABLES FROM shop__in") == ["precious"]


def test_two_at_once(shop: Shop) -> None:
    """A second restore over the same record is refused while one is at work; one from elsewhere sees its traces."""
    action = shop.restore()
    plan, engine = shop.plan(action), shop.engine()
    said: list[str] = []

    def second(event: Event) -> None:
        if event.kind != "step" or "mark shop__in" not in event.text:
            return
        other, mine = replace(engine, observe=lambda _: None), replace(plan, run=RUN2)
        with pytest.raises(HeldByOther) as held:
            other.apply(shop.job(action, RUN2), mine, other.approve(mine, "ops"))
        said.append(str(held.value))
        with pytest.raises(Refused, match="shop__in is there already") as there:
            shop.job(action, RUN2).plan(shop.session)
        said.append(there.value.hint)

    engine.observe = second
    outcome = engine.apply(shop.job(action, RUN), plan, engine.approve(plan, "ops"))
    assert outcome.status == "verified", outcome.doubts
    assert "ops@adm1 holds controller" in said[0]
    assert "remedy resume" in said[1]


def test_an_undo_that_failed_does_not_cost_what_was_live(shop: Shop) -> None:
    """When an undo ends before its last step, resuming the restore itself never drops what was live meanwhile."""
    action = shop.restore()
    plan = shop.plan(action)
    shop.dying(plan, action, 22)  # the cut-over is recorded, the loading account is still there
    shop.live.sql("INSERT INTO shop.`日志` VALUES ('/since', 9)")
    back = plan.changes[-1].undo
    assert back is not None
    assert shell(back.argv, back.stdin).returncode == 0
    assert shop.mark("__in") == f"{RUN} undone"
    outcomes = shop.resume()
    assert [outcome.status for outcome in outcomes] == ["failed"]
    assert shop.live.sql("SELECT n FROM shop__in.`日志` WHERE path='/since'") == ["9"]
    assert shop.content() == shop.now


@pytest.mark.parametrize(
    ("phase", "how"), [("dump", "killed"), ("load", "stopped"), ("compare", "killed"), ("read back", "stopped")]
)
def test_ended_inside_a_stream(shop: Shop, phase: str, how: str) -> None:
    """A process that ends inside a stream, or is asked to, leaves production as it was; `resume` ends the run."""
    action = shop.restore()
    plan, engine = shop.plan(action), shop.engine()

    def end(event: Event) -> None:
        if event.kind == "progress" and phase in event.text:
            if how == "killed":
                raise Killed
            engine.stop.set()

    engine.observe = end
    with pytest.raises((Killed, Interrupted)):
        engine.apply(shop.job(action, RUN), plan, engine.approve(plan, "ops"))
    assert shop.content() == shop.now
    [outcome] = shop.resume()
    assert outcome.status == "verified", outcome.doubts
    assert shop.content() == shop.then


def test_the_server_dies_while_it_is_loaded(shop: Shop) -> None:
    """A server that is killed under the load fails the run; restarted, it has the old data whole; undo cleans up."""
    before = shop.everything()
    action = shop.restore()
    plan, engine = shop.plan(action), shop.engine()

    def cut(event: Event) -> None:
        if event.kind == "progress" and event.text == "load" and shop.live.process is not None:
            shop.live.kill()

    engine.observe = cut
    outcome = engine.apply(shop.job(action, RUN), plan, engine.approve(plan, "ops"))
    assert outcome.status == "failed"
    shop.live.start()
    assert shop.content() == shop.now
    assert shop.undo().exit_code == 0
    assert shop.everything() == before


@dataclass
class Around:
    """A session between the engine and the world: units of a host web01, and answers that are not the host's own."""

    real: Session
    units: dict[str, str] = field(default_factory=dict)
    lies: dict[str, Reply] = field(default_factory=dict)
    sent: list[tuple[str, str]] = field(default_factory=list)

    def ask(self, probes: Sequence[Probe], *, at: str) -> tuple[Json, ...]:
        """As the port."""
        if at == "web01":
            return tuple(self.units.get(probe.command.argv[4], "unknown") for probe in probes)
        return tuple(
            parse(probe.parser, self.lies[probe.parser])
            if probe.parser in self.lies
            else self.real.ask([probe], at=at)[0]
            for probe in probes
        )

    def ask_all(self, questions: Sequence[tuple[str, Sequence[Probe]]]) -> tuple[tuple[Json, ...] | Exception, ...]:
        """As the port."""
        return tuple(self.ask(probes, at=at) for at, probes in questions)

    def send(self, command: Command, *, at: str) -> Reply:
        """As the port."""
        if at == "web01":
            name, what = command.argv[4:6]
            self.sent.append((name, what))
            self.units[name] = {"stop": "inactive", "start": "active"}[what]
            return Reply(0)
        return self.real.send(command, at=at)

    def carry(self, transfer: Transfer, *, at: str, tell: Tell) -> Reply:
        """As the port."""
        return self.real.carry(transfer, at=at, tell=tell)

    def renew(self, at: str) -> None:
        """As the port."""
        self.real.renew(at)


UNITS = (Unit("web01", "app"), Unit("web01", "cron"))


@pytest.fixture
def units(shop: Shop) -> Iterator[Around]:
    """Two units that write to the database, one of which somebody has stopped."""
    real = shop.session
    made = Around(real, {"app": "active", "cron": "inactive"})
    shop.through(made)
    yield made
    shop.through(real)


def test_units_are_held_and_let_go(shop: Shop, units: Around) -> None:
    """A unit that runs is stopped for the cut-over and started again; one that somebody has stopped stays so."""
    held = shop.restore(database=replace(shop.database, units=UNITS), hold_writes=True)
    outcome = shop.act(held)
    assert outcome.status == "verified", outcome.doubts
    assert units.sent == [("app", "stop"), ("app", "start")]
    assert units.units == {"app": "active", "cron": "inactive"}


@pytest.mark.parametrize("moment", [20, 23])
def test_killed_while_units_are_held(shop: Shop, units: Around, moment: int) -> None:
    """Killed at any moment around the hold, `resume` or `undo` leaves the unit running that ran before."""
    action = shop.restore(database=replace(shop.database, units=UNITS), hold_writes=True)
    shop.dying(shop.plan(action), action, moment)
    if moment % 2:
        [outcome] = shop.resume()
        assert outcome.status == "verified", outcome.doubts
    else:
        assert shop.undo().exit_code == 0
    assert units.units == {"app": "active", "cron": "inactive"}


def test_a_unit_that_is_not_there(shop: Shop, units: Around) -> None:
    """A unit that its host does not have is a mistake in the inventory, and is said before anything begins."""
    units.units.clear()
    with pytest.raises(Refused, match="web01 has no service app"):
        shop.plan(shop.restore(database=replace(shop.database, units=UNITS), hold_writes=True))


def rows(**values: object) -> bytes:
    """One row of an answer."""
    return json.dumps(values).encode() + b"\n"


HUGE = "x" * 100_000
LIES: dict[str, tuple[str, bytes]] = {
    "a terminal's escapes as version": (
        "database.variables",
        b"version\t\x1b]0;owned\x07\nmax_allowed_packet\t1073741824\n",
    ),
    "no number": ("database.variables", b"version\t10.11.6-MariaDB\nmax_allowed_packet\tmany\n"),
    "a number without end": ("database.variables", b"version\t10.11\nmax_allowed_packet\t" + b"9" * 5000 + b"\n"),
    "another data directory": (
        "database.variables",
        b"version\t10.11\ndatadir\t-rf /\nmax_allowed_packet\t1073741824\n",
    ),
    "a charset with SQL in it": (
        "database.variables",
        b"version\t10.11\nmax_allowed_packet\t1073741824\ncharacter_set_server\tutf8mb4; DROP DATABASE mysql\n",
    ),
    "a mark with SQL in it": (
        "database.schemas",
        rows(**{"is": "schema", "schema": "shop__undo"})
        + rows(
            **{"is": "table", "schema": "shop__undo", "name": "remedy__kept", "type": "BASE TABLE", "engine": ""},
            rows=0,
            bytes=0,
            comment="R'; DROP DATABASE shop; -- swapped",
        ),
    ),
    "names without end": (
        "database.schemas",
        rows(**{"is": "schema", "schema": "shop"})
        + b"".join(
            rows(**{"is": "table", "schema": "shop", "name": f"{HUGE}{n}", "type": "BASE TABLE", "engine": ""})
            for n in range(5)
        ),
    ),
    "a folder elsewhere": ("server.folder", b"/etc/cron.d\n"),
    "a fingerprint with a shell in it": ("database.line", b"$(reboot)`reboot`'\"\n"),
    "definitions that are none": (
        "database.text",
        b"\\! reboot\nDELIMITER ;;\nCREATE VIEW x AS SELECT 1;; GRANT ALL ON *.*;;\n",
    ),
    "definitions without end": ("database.text", b"CREATE VIEW " * 300_000),
    "half a character": ("database.names", b'{"is": "named", "kind": "schema", "name": "\\ud800"}\n'),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_host_that_lies(shop: Shop, lie: str) -> None:
    """A database host that an intruder owns can spoil its own plan, and nothing else.

    It is refused in the usual words, or the plan sends to that host alone what could always be sent to it: scripts and
    SQL of remedy's own, in which what the host has said is an argument, a quoted name or hexadecimal text.
    """
    parser, said = LIES[lie]
    around = Around(shop.session, lies={parser: Reply(0, said)})
    shop.through(around)
    plan = None
    try:
        with contextlib.suppress(Refused):
            plan = shop.plan(shop.restore())
    finally:
        shop.through(around.real)
    if plan is None:
        return
    honest = shop.plan(shop.restore())
    assert {change.at for change in (*plan.changes, *plan.keep)} == {"controller"}
    for change, other in zip(plan.changes, honest.changes, strict=True):
        assert change.do.argv[:3] == other.do.argv[:3], "the script is the same"
    text = "\n".join(change.do.stdin for change in plan.changes)
    assert "DROP DATABASE mysql" not in text
    assert "GRANT ALL ON *.*" not in text


def test_a_folder_that_is_a_lie_gets_a_harmless_file(shop: Shop) -> None:
    """Where the hold's file goes is the host's own word: it holds three lines of settings, and is gone afterwards."""
    folder = shop.place / "cron.d"
    folder.mkdir(exist_ok=True)
    around = Around(shop.session, lies={"server.folder": Reply(0, f"{folder}\n".encode())})
    shop.through(around)
    try:
        assert shop.act(shop.restore()).status == "verified"
    finally:
        shop.through(around.real)
    assert list(folder.iterdir()) == []


def test_the_loading_account_can_touch_nothing_else(shop: Shop) -> None:
    """With the loading account's option file neither production nor the server's own tables can be read or changed."""
    change = staging.make(shop.database, RUN, "utf8mb4")
    assert shell(change.do.argv, change.do.stdin).returncode == 0
    login = f"/run/remedy/{RUN}.cnf"
    assert Path(login).stat().st_mode & 0o777 == 0o600
    for sql in (
        "SELECT * FROM shop.orders",
        "DROP TABLE shop.orders",
        "CREATE TABLE shop.x (i INT)",
        "SELECT * FROM mysql.user",
        "SET GLOBAL read_only=0",
        "GRANT ALL ON *.* TO CURRENT_USER",
        "CREATE USER x",
        "LOAD DATA INFILE '/etc/passwd' INTO TABLE shop__in.t",
        "CREATE DATABASE shop__inx",
        "CREATE TABLE shopXXin.t (i INT)",
        "SHUTDOWN",
        "KILL 1",
    ):
        argv = ("mariadb", f"--defaults-extra-file={login}", "--batch", "-e", sql)
        assert shell(argv, HOME="/nowhere").returncode == 1, sql
    assert shell(change.undo.argv, change.undo.stdin).returncode == 0 if change.undo else False
    assert shop.content() == shop.now
