"""Where the bytes of backups come from: one object for each copy, joint copies, and clocks that nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.worlds.shelves import dump, packed

from remedy.backups import catalog
from remedy.backups.values import Copy, Database, Judgement
from remedy.cli.shelves import Shelves
from remedy.core.canon import Json
from remedy.core.errors import ConnectFailed, UnknownTarget, UsageError
from remedy.core.values import Probe, Secret, Target
from remedy.engine import joining
from remedy.transports.bulk import Bulk
from remedy.transports.guard import CONTROLLER
from remedy.transports.objects import ObjectShelf

#: 02:00:07 in Shanghai.
MADE = 1_795_024_807


class Clock:
    """A host that says its zone, or nothing at all; counts how often it was asked."""

    def __init__(self, zone: str) -> None:
        """With "" the host does not answer."""
        self.zone, self.asked = zone, 0

    def ask(self, probes: Sequence[Probe], *, at: str) -> tuple[Json, ...]:
        """As the port."""
        self.asked += 1
        if not self.zone:
            raise ConnectFailed("no way there", where=at)
        return (self.zone,) * len(probes)

    def ask_all(self, questions: Sequence[tuple[str, Sequence[Probe]]]) -> tuple[tuple[Json, ...] | Exception, ...]:
        """As the port."""
        return tuple(self.ask(probes, at=at) for at, probes in questions)


def nobody(name: str) -> Target:
    """There is no other host."""
    raise UnknownTarget(f"no host {name}")


def reveal(secret: Secret) -> str:
    """A secret by its value."""
    return secret.value


def shelves(zone: str = "Asia/Shanghai") -> Shelves:
    """The copies of this machine."""
    return Shelves(Bulk(nobody, reveal, local=Target(CONTROLLER, "")), reveal, Clock(zone))


def read(made: Shelves, database: Database) -> Judgement:
    """Read the only backup."""
    [copy] = database.copies
    [backup] = catalog.backups(copy, made.shelf(copy).list())
    return made.reading(database)(copy, backup, lambda *_: None)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """A database with one backup in one copy; the inventory does not know its clock."""
    (tmp_path / "site.sql.gz").write_bytes(packed(dump("2026-11-19  2:00:07")))
    return Database("site", "site", "db01", (Copy("local", host=CONTROLLER, path=str(tmp_path)),))


def test_the_clock_of_the_host(database: Database) -> None:
    """Without a zone in the inventory a backup's words are read by the clock of the host, which is asked once."""
    made = shelves()
    assert read(made, database).contents.facts.time == MADE
    assert read(made, database).contents.facts.time == MADE
    assert isinstance(made.reader, Clock)
    assert made.reader.asked == 1


def test_a_clock_that_nobody_knows(database: Database) -> None:
    """When the host does not answer, what a backup claims is kept as it is written and not turned into a time."""
    facts = read(shelves(""), database).contents.facts
    assert (facts.time, facts.time_text.split()) == (0, ["2026-11-19", "2:00:07"])


def test_one_object_for_each_copy(database: Database) -> None:
    """A copy is opened once, by what it is: a folder, a bucket, or several of them together."""
    made = shelves()
    [copy] = database.copies
    assert made.shelf(copy) is made.shelf(copy) is made.of(database, copy)
    assert isinstance(made.shelf(Copy("far", endpoint="http://127.0.0.1:9", bucket="b")), ObjectShelf)
    joined = made.of(Database("site", "site", "db01", (copy, Copy("far", bucket="b"))), joining.joint(("local", "far")))
    assert joined.list() == ()
    with pytest.raises(UsageError):
        made.of(database, joining.joint(("local", "moon")))
