"""What is known of backups that a run has just taken: told from its streams and from what the copies hold now."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest
from tests.worlds.memory import Journal
from tests.worlds.shelves import Shelf, beside

from remedy.backups import manifest as manifests
from remedy.backups import transfers
from remedy.backups.manifest import Manifest
from remedy.backups.transfers import Compare, Take
from remedy.backups.values import Contents, Copy, Database, Facts, Table
from remedy.core.canon import Json
from remedy.core.values import Change, Command, Plan, Transfer
from remedy.engine import search, taken, verdicts

HERE = Copy("here", host="db01", path="/var/backups")
FAR = Copy("far", endpoint="http://s3", bucket="b", prefix="site/")
SITE = Database("site", "site", "db01", (HERE, FAR), timezone="UTC")
DATA: Final = b"bytes of a backup"
NAME: Final = "site-after-R0000001"
SHA: Final = "c" * 64
MANIFEST = Manifest(
    "site",
    "site",
    "db01",
    "10.11.19-MariaDB",
    1_795_000_000,
    SHA,
    len(DATA),
    contents=Contents(Facts(1_795_000_000), (Table("notice", "a" * 64, "b" * 64, 5, 90),)),
)
RESULT: Final[dict[str, Any]] = {"name": NAME, "sha256": SHA, "size": len(DATA), "read": 4321, "copies": {}}
EVERYWHERE: Final[dict[str, Json]] = {"here": "verified", "far": "verified"}


def change(transfer: Transfer | None = None) -> Change:
    """A step."""
    return Change("a step", "db01", Command(("true",)), transfer=transfer)


def plan(*, after: bool = True) -> Plan:
    """A run whose second step compares, and that takes a backup: as its last step, or afterwards."""
    take = change(transfers.transfer(Take(SITE, SITE.copies, NAME)))
    compare = change(transfers.transfer(Compare(SITE, Contents(), "site__in", "")))
    steps = (change(), compare) if after else (change(), compare, take)
    return Plan("restore", "db01", "R1", "INC-1", "0", "{}", changes=steps, keep=(change(), take) if after else ())


@dataclass
class World:
    """Two copies and a record."""

    journal: Journal = field(default_factory=Journal)
    shelves: dict[str, Shelf] = field(default_factory=lambda: {"here": Shelf(HERE), "far": Shelf(FAR)})

    def put(self, copy: str, made: Manifest = MANIFEST, name: str = NAME, data: bytes = DATA) -> None:
        """Store a backup as `backup take` does."""
        shelf = self.shelves[copy]
        shelf.put(f"{name}.sql.zst", data, 7)
        shelf.held[beside(f"{name}.sql.zst", data)[0]] = f"{made.sha256} *{name}.sql.zst\n".encode(), 7
        shelf.put(f"{name}.manifest.json", manifests.encoded(made), 7)

    def sent(self, step: str, result: Json, run: str = "R1") -> None:
        """Record how a step ended."""
        body: dict[str, Json] = {"step": step, "why": "", "status": 0}
        self.journal.append("sent", {**body, "result": result} if result else body, incident="INC-1", run=run)

    def remember(self, of: Plan) -> dict[str, str]:
        """What is known afterwards of the backups of each copy."""
        before = len(self.journal.pages.entries)
        count = taken.remember(self.journal, lambda copy: self.shelves[copy.name], SITE, of)
        assert count == len(self.journal.pages.entries) - before
        found = search.listing(SITE, lambda copy: self.shelves[copy.name], self.journal)
        return {backup.copy: judgement.level for backup, judgement in found.known.items()}


@pytest.fixture
def world() -> World:
    """Both copies have the backup."""
    made = World()
    for copy in made.shelves:
        made.put(copy)
    return made


@pytest.mark.parametrize("after", [True, False])
def test_a_backup_of_a_minute_ago_is_known(world: World, after: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    """Taken by a step or after the last one, it is whole in every copy where it was verified, with what is in it."""
    world.sent("2", {"sha256": "d" * 64, "different": []})
    world.sent("k2" if after else "3", {**RESULT, "copies": EVERYWHERE})
    assert world.remember(plan(after=after)) == {"here": "whole", "far": "whole"}
    known = search.listing(SITE, lambda copy: world.shelves[copy.name], world.journal).known
    assert {(one.sha256, one.size, one.read, one.container) for one in known.values()} == {
        (SHA, len(DATA), 4321, "zst")
    }
    assert {one.contents.tables for one in known.values()} == {MANIFEST.contents.tables}
    assert {(e.incident, e.run) for e in world.journal.entries(kinds=(verdicts.VERDICT,))} == {("INC-1", "R1")}


def test_only_where_it_was_read_back(world: World) -> None:
    """A copy in which it was not verified stays unread, whatever lies there."""
    world.sent("k2", {**RESULT, "copies": {"here": "verified", "far": "the connection broke"}})
    assert world.remember(plan()) == {"here": "whole"}


@pytest.mark.parametrize(
    "spoiled",
    [
        replace(MANIFEST, sha256="e" * 64),
        replace(MANIFEST, size=1),
    ],
)
def test_what_was_replaced_since(world: World, spoiled: Manifest) -> None:
    """A manifest that is not that of the run, or files of another size, say nothing; the other copy is known."""
    world.put("far", spoiled)
    world.sent("k2", {**RESULT, "copies": EVERYWHERE})
    assert world.remember(plan()) == {"here": "whole"}
    world.put("here", data=b"something else")
    assert taken.remember(world.journal, lambda copy: world.shelves[copy.name], SITE, plan()) == 0


def test_a_manifest_that_cannot_be_read(world: World) -> None:
    """A damaged, an enormous or an unreachable manifest is passed over, and so is a copy that is gone."""
    world.sent("k2", {**RESULT, "copies": EVERYWHERE})
    far = world.shelves["far"]
    for held in (b"{", b" " * (manifests.LARGEST + 1)):
        far.put(f"{NAME}.manifest.json", held, 7)
        world.journal.pages.entries[1:] = []
        assert world.remember(plan()) == {"here": "whole"}
    world.put("far")
    far.broken.add(f"{NAME}.manifest.json")
    world.journal.pages.entries[1:] = []
    assert world.remember(plan()) == {"here": "whole"}
    far.gone = True
    world.journal.pages.entries[1:] = []
    assert world.remember(plan()) == {"here": "whole"}


def test_the_name_it_got(world: World) -> None:
    """Under another name, because the first was taken, it is found by the name that the stream tells."""
    world.put("here", name=f"{NAME}-2")
    world.sent("k2", {**RESULT, "name": f"{NAME}-2", "copies": EVERYWHERE})
    assert world.remember(plan()) == {"here": "whole"}
    known = search.listing(SITE, lambda copy: world.shelves[copy.name], world.journal).known
    assert [backup.name for backup in known] == [f"{NAME}-2.sql"]


def test_nothing_was_taken(world: World) -> None:
    """A run without a result, of another run, or of a step that takes nothing, asks no copy."""
    world.sent("k2", None)
    world.sent("k2", {**RESULT, "copies": EVERYWHERE}, run="R2")
    world.sent("2", {**RESULT, "copies": EVERYWHERE})
    world.sent("u1", {**RESULT, "copies": EVERYWHERE})
    for shelf in world.shelves.values():
        shelf.gone = True
    assert world.remember(plan()) == {}


def test_accounts_that_were_not_told_are_named_once(world: World) -> None:
    """Whoever the server would not tell all of is named, though two backups of the run say so."""
    assert taken.untold(world.journal, plan()) == ()
    world.sent("k2", {**RESULT, "accounts_untold": ["b@% (some of its rights)", "a@h"]})
    world.sent("k2", {**RESULT, "accounts_untold": ["a@h"]})
    assert taken.untold(world.journal, plan()) == ("a@h", "b@% (some of its rights)")
