"""`remedy restore` to a point in time, on this machine: a real server with binary logs, a dump, and what follows."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from tests.worlds.mariadb import Server

from remedy.backups.binlog import Hit, Stretch, Until
from remedy.backups.values import File, Finding
from remedy.cli import point
from remedy.cli.point import Point

from .conftest import Console, Said

SQL: Final = """
RESET MASTER; DROP DATABASE IF EXISTS site; CREATE DATABASE site CHARACTER SET utf8mb4; USE site;
CREATE TABLE notice (id INT PRIMARY KEY, text VARCHAR(50)) ENGINE=InnoDB; INSERT INTO notice VALUES (1, '公告');
CREATE TABLE orders (id INT PRIMARY KEY) ENGINE=InnoDB; INSERT INTO orders VALUES (1), (2);
"""
#: After the backup, each in a log of its own: a row, a table dropped and made again, and dropped again.
SINCE: Final = (
    "INSERT INTO site.notice VALUES (2, 'b')",
    "DROP TABLE site.orders; CREATE TABLE site.orders (id INT PRIMARY KEY) ENGINE=InnoDB",
    "DROP TABLE site.orders",
    "DROP TABLE site.notice",
)
INVENTORY: Final = """\
all:
  hosts:
    controller:
      remedy_databases:
        site:
          timezone: UTC
          defaults_file: OPTIONS
          binlogs: LOGS
          copies:
            - {name: local, path: FOLDER/local, place: machine room}
            - {name: far, path: FOLDER/far, place: other city, off_site: true}
"""


@pytest.mark.parametrize(
    ("given", "until"),
    [
        (Point(), Until()),
        (Point(at=7), Until(at=7)),
        (Point(before="binlog.000412:1234"), Until(place="binlog.000412:1234")),
        (Point(7, "binlog.000412:1234"), Until(place="binlog.000412:1234")),
        (Point(before="DROP"), Until(statement="`?DROP`?")),
        (Point(before="binlog.000412:"), Until(statement=r"`?binlog`?\.`?000412`?:")),
        (Point(before="binlog.000412:1 "), Until(statement=r"`?binlog`?\.`?000412`?:`?1`?")),
    ],
)
def test_what_is_looked_for(given: Point, until: Until) -> None:
    """A file and a position is a place, any other text a statement, which is what counts beside a moment."""
    assert given.until() == until


GAP = Finding("gap", "binlog.000003 is missing", fatal=False)
LOST = Finding("gap", "binlog.000001 is no longer there")
CUT = Finding("cut", "binlog.000002 ends inside an event", fatal=False)
MISSED = Finding("not-found", "what was looked for is not in the logs")
CLOCK = Finding("clock", "2 transactions have an earlier time", fatal=False)
FILES = (File("binlog.000001", 9, 9), File("binlog.000002", 9, 9))


@pytest.mark.parametrize(
    ("stretch", "findings", "against"),
    [
        (Stretch(FILES, 4, 0, 7), (), []),
        (Stretch(FILES, 4, 50, 7, findings=(CLOCK, CUT)), (), []),
        (Stretch(FILES, 4, 50, 7), (GAP,), []),
        (Stretch(FILES, 4, 0, 7), (GAP,), ["gap", "ends"]),
        (Stretch(FILES, 4, 50, 7, findings=(CUT,)), (GAP,), ["gap", "ends"]),
        (Stretch(FILES, 4, 0, 0), (GAP,), ["gap"]),
        (Stretch(FILES, 4, 0, 7, findings=(MISSED,)), (GAP,), ["gap", "not-found", "ends"]),
        (Stretch(FILES, 4, 0, 7, findings=(MISSED, CLOCK)), (), ["not-found"]),
        (Stretch(), (LOST,), ["gap"]),
    ],
)
def test_what_keeps_logs_from_being_applied(
    stretch: Stretch, findings: tuple[Finding, ...], against: list[str]
) -> None:
    """A missing log speaks against a point that was not reached before it, and against none that was."""
    assert [one.code for one in point._against(stretch, findings)] == against


DROPPED = Hit("binlog.000002", 50, 9, "DROP TABLE orders")


@pytest.mark.parametrize(
    ("given", "stretch", "reached"),
    [
        (Point(before="DROP"), Stretch(FILES, 4, 50, 7, hits=(DROPPED,)), 9),
        (Point(8, "DROP"), Stretch(FILES, 4, 50, 12, hits=(DROPPED,)), 12),
        (Point(before="binlog.000002:50"), Stretch(FILES, 4, 50, 7), 7),
        (Point(8, "binlog.000002:50"), Stretch(FILES, 4, 50, 7), 7),
        (Point(at=8), Stretch(FILES, 4, 50, 7), 8),
        (Point(at=8), Stretch(FILES, 4, 0, 7), 7),
        (Point(at=8), Stretch(FILES, 4, 50, 7, findings=(CUT,)), 7),
    ],
)
def test_up_to_when_logs_give_back(given: Point, stretch: Stretch, reached: int) -> None:
    """Up to the point where it has a time and the logs lead there, else up to the last transaction that they have."""
    assert given.reached(stretch) == reached


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The live server, which keeps binary logs."""
    if os.geteuid():
        pytest.fail("the server is started by root")
    made = Server(Path(tempfile.mkdtemp(prefix="point-", dir="/tmp")), "--log-bin=binlog", "--server-id=1")
    try:
        yield made.start()
    finally:
        made.close()


@dataclass
class Shop:
    """A console on the machine of the live server, a backup of it, and logs since then."""

    console: Console
    server: Server

    def dry(self, *words: str) -> Said:
        """What a restore would do; it changes nothing."""
        said = self.console("restore", "site", "--latest-valid", "--dry-run", "--accept", "unverifiable", *words)
        assert not list(Path("/var/lib/remedy").glob("staging-*/run")), "no isolated server was made"
        return said

    def logs(self) -> list[Path]:
        """The binary logs of the server."""
        return sorted((self.server.folder / "data").glob("binlog.0*"))

    def refused(self, *words: str) -> tuple[str, str]:
        """Why a restore is not possible, and what to do."""
        said = self.dry("--json", *words)
        assert said.code == 25, said.out + said.err
        return said.target["error"]["message"], said.target["error"]["hint"]


@pytest.fixture
def shop(bare: Console, server: Server) -> Shop:
    """A database that has lost two tables since its last backup."""
    text = INVENTORY.replace("FOLDER", str(bare.folder)).replace("OPTIONS", str(server.option_file))
    bare.inventory.write_text(text.replace("LOGS", str(server.folder / "data")))
    for copy in ("local", "far"):
        (bare.folder / copy).mkdir()
    server.sql(SQL)
    (bare.folder / "local" / "site.sql").write_bytes(server.dump("site", "--master-data=2"))
    for statement in SINCE:
        server.sql(f"{statement}; FLUSH BINARY LOGS")
    return Shop(bare, server)


def test_where_it_would_stop(shop: Shop) -> None:
    """A dry-run says how many transactions of which logs follow on the backup, and that a server comes first."""
    said = shop.dry("--before", "drop table site.notice")
    assert said.code == 10, said.out + said.err
    assert "first: site.sql is restored in an isolated server on controller" in said.out
    assert "4 transactions from 4 binary logs of binary-logs follow on it" in said.out + said.err
    far = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + 3600))
    assert "5 transactions from 5 binary logs" in shop.dry("--at", far).out
    saved = shop.dry("--at", far, "--out", str(shop.console.folder / "plan.json"))
    assert (saved.code, "goes through an isolated server first" in saved.err) == (2, True)
    assert not (shop.console.folder / "plan.json").exists(), "it would restore the backup alone"
    alone = shop.dry("--at", far, "--no-binlogs")
    assert alone.code == 10
    assert "isolated" not in alone.out


def test_several_places(shop: Shop) -> None:
    """A statement that is there twice is refused with both places and times; each of them can be said."""
    said = shop.dry("--before", "DROP TABLE site.orders", "--json")
    assert said.code == 2, said.out
    error = said.document["error"]
    assert error["message"].startswith("2 transactions have that statement: binlog.000002:")
    places = [word.rstrip(";") for word in error["message"].split() if word.startswith("binlog.")]
    assert [place.partition(":")[0] for place in places] == ["binlog.000002", "binlog.000003"]
    for place, count in zip(places, (1, 3), strict=True):
        found = shop.dry("--before", place)
        assert found.code == 10, found.err
        assert f"  {count} transactions from" in found.out + found.err
    message, hint = shop.refused("--before", "binlog.000002:5")
    assert "not in the logs" in message
    assert "--at TIME" in hint


def test_a_log_that_is_missing(shop: Shop) -> None:
    """A missing log stops what lies behind it, with what there is instead, and nothing that lies before it."""
    shop.logs()[2].unlink()
    message, hint = shop.refused("--before", "drop table site.notice")
    assert message.index("binlog.000003 is missing") < message.index("not in the logs")
    assert "--no-binlogs" in hint
    message, _ = shop.refused("--at", "2099-01-01 00:00")
    assert "binlog.000003 is missing" in message
    assert "and --at can go there" in message
    assert shop.dry("--before", "INSERT INTO site.notice VALUES (2, 'b')").code == 10
    shop.logs()[0].unlink()
    message, _ = shop.refused("--before", "drop table site.notice")
    assert "binlog.000001, which the backup goes on from, is no longer there" in message


def test_logs_of_a_copy(shop: Shop) -> None:
    """Where the folder on the host is gone, or its logs do not lead there, those of a copy are taken."""
    for log in shop.logs():
        shutil.copy(log, shop.console.folder / "far" / log.name)
    shop.logs()[1].unlink()
    said = shop.dry("--before", "drop table site.notice")
    assert said.code == 10, said.out + said.err
    assert "4 transactions from 4 binary logs of far" in said.out + said.err
    text = shop.console.inventory.read_text()
    shop.console.inventory.write_text(text.replace(str(shop.server.folder / "data"), "/nowhere/at/all"))
    assert shop.dry("--before", "drop table site.notice").code == 10
    for log in (shop.console.folder / "far").glob("binlog.0*"):
        log.unlink()
    message, _ = shop.refused("--before", "drop table site.notice")
    assert "the folder cannot be entered" in message


def test_logs_beside_the_backups_need_no_setting(shop: Shop) -> None:
    """Where the inventory names no folder with logs, those beside a copy's backups lead there all the same."""
    for log in shop.logs():
        shutil.copy(log, shop.console.folder / "local" / log.name)
    lines = shop.console.inventory.read_text().splitlines(keepends=True)
    shop.console.inventory.write_text("".join(line for line in lines if "binlogs:" not in line))
    far = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + 3600))
    said = shop.dry("--at", far)
    assert said.code == 10, said.out + said.err
    assert "5 transactions from 5 binary logs of local" in said.out + said.err
    assert "isolated" not in shop.dry("--at", far, "--no-binlogs").out


def test_a_log_that_is_being_written(shop: Shop) -> None:
    """Of a log that goes on growing what was listed is read, whatever is written meanwhile."""
    path, stop, sizes = shop.logs()[-1], time.monotonic() + 20, set[int]()
    with writing(shop.server):
        while len(sizes) < 3 and time.monotonic() < stop:
            said = shop.dry("--before", "drop table site.notice")
            assert said.code == 10, said.out + said.err
            sizes.add(path.stat().st_size)
    assert len(sizes) == 3, "it has grown all the time"


@contextlib.contextmanager
def writing(server: Server) -> Iterator[None]:
    """Somebody who writes to the server all the time."""
    server.sql("CREATE TABLE IF NOT EXISTS mysql.noise (n INT)")
    script = "while :; do echo 'INSERT INTO mysql.noise VALUES (1);'; sleep 0.002; done | mariadb \"$1\" --unbuffered"
    argv = ("sh", "-c", script, "sh", f"--defaults-extra-file={server.option_file}")
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_nobody_to_ask(shop: Shop) -> None:
    """Without a yes nothing is staged and nothing is left: 24."""
    before = shop.server.dump("site", "--skip-dump-date")
    words = ("restore", "site", "--latest-valid", "--accept", "unverifiable", "--before", "drop table site.notice")
    said = shop.console(*words)
    assert said.code == 24, said.out + said.err
    assert shop.server.dump("site", "--skip-dump-date") == before
    assert shop.server.sql("SHOW DATABASES LIKE 'site%'") == ["site"]
    assert not list(Path("/var/lib/remedy").glob("staging-*/run"))
    assert shop.console("resume").err.strip().endswith("no run was interrupted")
