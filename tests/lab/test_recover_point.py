"""Back to a point in time by the binary logs, and from physical backups: through an isolated server that goes away."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.lab.contain import Said
from tests.lab.recover import CHANGES, DONE, DYING, Site, operator, put_back, rows

from remedy.lab import Lab

pytestmark = pytest.mark.lab

APPROVAL: Final = 24
#: What a run through an isolated server leaves on its host: its folder, processes that work in it.
_STAGED: Final = "ls -d /var/lib/remedy/staging-* 2>/dev/null; pgrep -fa '/staging-[R]' | cut -c1-100; :"
_FREE: Final = "SET NAMES utf8mb4, foreign_key_checks=0; USE site; "
_TABLES: Final = "DROP TABLE order_line"
_TO_STREAM: Final = (
    "cd /var/backups/mariadb && mariadb-backup --backup --stream=mbstream --target-dir=/tmp 2>/tmp/said | "
    'zstd -q -o "$1" && grep -q "completed OK" /tmp/said'
)
_TO_STREAM_LACKING: Final = (
    'mariadb-backup --backup --target-dir=/tmp/made 2>/tmp/said && grep -q "completed OK" /tmp/said && cd /tmp/made && '
    "rm site/order_line.ibd && find . -type f -printf '%P\\n' | xargs mbstream -c | "
    'zstd -q -o "/var/backups/mariadb/$1" && rm -r /tmp/made'
)
#: Somebody else's writes to the same server, all the time.
_NOISE: Final = """mariadb -e 'CREATE DATABASE noise; CREATE TABLE noise.x (n INT)'; rm -f /run/enough
( while [ ! -e /run/enough ]; do echo 'INSERT INTO noise.x VALUES (1);'; sleep 0.01; done |
  setsid mariadb --unbuffered ) </dev/null >/dev/null 2>&1 &"""
_QUIET: Final = "touch /run/enough; while pgrep -x mariadb; do sleep 0.05; done; mariadb -e 'DROP DATABASE noise'"


class Point(Site):
    """The site, asked besides about isolated servers."""

    def left(self) -> list[str]:
        """As of every site, and of isolated servers."""
        return [*super().left(), *self.db.sh(_STAGED).splitlines()]

    def now(self) -> int:
        """The server's clock."""
        return int(self.sql("SELECT UNIX_TIMESTAMP()")[0])

    def told(self, said: Said) -> str:
        """All that a call said."""
        return f"{said.out[-3000:]}\n{said.err[-3000:]}"

    def verified(self, *words: str) -> Said:
        """A restore that has to end well, and to leave what it replaced and nothing else."""
        said = self.restore("--yes", "--json", *words)
        assert (said.code, [one["status"] for one in said.document["targets"]][-1:]) == (DONE, ["verified"]), self.told(
            said
        )
        assert self.left() == ["schema site__undo"]
        return said

    def same(self, then: str) -> None:
        """Fail unless the live rows are those of that dump, row for row."""
        now, before = rows(self.dump()), rows(then)
        differing = sorted(set(now) ^ set(before))
        assert not differing, [row[:200] for row in differing[:4]]
        assert len(now) == len(before)


@pytest.fixture(scope="module")
def calm(lab: Lab) -> Iterator[Lab]:
    """The lab, put back at the end of the module."""
    yield from put_back(lab)


@pytest.fixture
def site(calm: Lab, tmp_path: Path) -> Point:
    """The site as it was when the lab came up, and an operator who has the copy on db01 alone."""
    made = Point(calm, operator(calm, tmp_path, ("local",)))
    made.reset()
    return made


def test_until_just_before_a_statement(site: Point) -> None:
    """Every row that was there the moment before a table was dropped is back, and nothing that came after it."""
    site.sql(_FREE + "INSERT INTO setting (name, value) VALUES ('写于今天', '😀'); DELETE FROM visit LIMIT 3;")
    then = site.dump()
    site.sql(_FREE + _TABLES + "; INSERT INTO setting (name, value) VALUES ('afterwards', '1');")
    ruined, files = site.dump(), site.files("local")

    said = site.restore("--before", "drop  table ORDER_LINE;", "--dry-run")
    assert said.code == CHANGES, site.told(said)
    assert "first: " in said.out
    assert "transactions from" in said.out + said.err
    assert site.left() == []
    assert site.dump() == ruined
    assert site.files("local") == files
    assert {entry["kind"] for entry in site.remedy.entries() if entry["run"]} == {"backup-chosen", "dry-run"}

    site.db.sh(_NOISE)
    waiting = site.restore("--before", "drop table order_line")
    assert waiting.code == APPROVAL, site.told(waiting)
    assert site.left() == []
    assert site.dump() == ruined

    site.verified("--before", "drop table order_line")
    assert int(site.sql("SELECT COUNT(*) FROM noise.x")[0]) > 100, "the logs were written to all the time"
    site.db.sh(_QUIET)
    site.same(then)


def test_at_a_moment(site: Point) -> None:
    """What was committed before the moment is there, what came later is not, and what was lost is told from then."""
    moment = site.now() + 60
    site.sql(_FREE + "INSERT INTO setting (name, value) VALUES ('before', '1');")
    then = site.dump()
    site.sql(f"{_FREE}SET timestamp={moment}; UPDATE setting SET value='later';")
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment))
    alone = site.restore("--at", at, "--no-binlogs", "--dry-run", "--json")
    assert "isolated" not in alone.out
    site.verified("--at", at)
    site.same(then)


def test_a_physical_backup(site: Point) -> None:
    """A stream of mariadb-backup that is the newest backup is started, looked at, and restored row for row."""
    site.sql(_FREE + "INSERT INTO setting (name, value) VALUES ('today', '1');")
    then, name = site.dump(), f"site-{time.strftime('%Y-%m-%d-%H%M', time.gmtime())}.mbstream"
    site.db.sh(_TO_STREAM, f"{name}.zst")
    site.lab.ruin("db01", "rows")
    said = site.verified()
    assert said.document["choice"]["chosen"]["backup"] == name
    site.same(then)


def test_a_physical_backup_that_lacks_a_file(site: Point) -> None:
    """With a tablespace deleted it is rejected by what it lacks, and the next backup is restored instead."""
    newest = site.newest()
    name = f"site-{time.strftime('%Y-%m-%d-%H%M', time.gmtime())}.mbstream"
    site.db.sh(_TO_STREAM_LACKING, f"{name}.zst")
    site.lab.ruin("db01", "rows")
    said = site.verified()
    choice = said.document["choice"]
    assert choice["chosen"]["backup"] == newest
    (reason,) = [one["reason"] for one in choice["rejected"]]
    assert "order_line" in reason
    site.same(site.content(newest))


WORDS: Final = ("restore", "site", "--latest-valid", "--yes", "--before", _TABLES)


def test_killed_while_it_is_staged(site: Point) -> None:
    """Killed while the isolated server stands, resume finishes it and says how it goes away; then nothing is left."""
    site.sql(_FREE + _TABLES)
    before = site.dump()
    said = site.remedy(*WORDS, wrapped=(DYING, "sent 3", "after", "SIGKILL"))
    assert said.code == -signal.SIGKILL, site.told(said)
    assert site.left() != [], "an isolated server stands there"
    run = site.run()
    ended = site.remedy("resume", run, "--json")
    assert ended.code == DONE, site.told(ended)
    assert f"remedy undo {run}" in json.dumps(ended.document["targets"][0]["expectations"])
    assert site.remedy("undo", run, "--yes").code == DONE
    assert site.left() == []
    assert site.dump() == before
    assert site.remedy("resume", "--json").document["targets"] == []


def test_killed_after_the_cut_over_and_undone(site: Point) -> None:
    """Killed while the isolated server is still there behind the restore, undo of the restore removes it too."""
    site.sql(_FREE + _TABLES)
    before = site.dump()
    said = site.remedy(*WORDS, wrapped=(DYING, "intent k1", "after", "SIGKILL"))
    assert said.code == -signal.SIGKILL, site.told(said)
    assert [one for one in site.left() if one.startswith("/var/lib/remedy/staging-")], "it stands there"
    undone = site.remedy("undo", site.run(), "--yes")
    assert undone.code == DONE, site.told(undone)
    assert site.left() == ["schema site__in"]
    assert site.dump() == before
    assert site.remedy("resume", "--json").document["targets"] == []
