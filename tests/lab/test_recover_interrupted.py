"""A restore dies, or its hosts do, at every step: production is old or new and whole, and resume and undo end well."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.lab.contain import Said, eventually
from tests.lab.recover import DONE, DYING, Site, operator, put_back, rows

from remedy.lab import Lab

pytestmark = pytest.mark.lab

#: Where a restore is killed: as dying.py names it. Its steps are 1 the safety backup, 2 the empty schema, 3 the load,
#: 4 the comparison, 5 the mark, 6 the cut-over; k1 the account's end, k2 the new backup.
POINTS = (
    *(("approval", "after"), ("intent 1", "after"), ("sent 1", "before"), ("intent 2", "after"), ("sent 2", "before")),
    *(("put 20", "at"), ("sent 3", "before"), ("dump 5", "at"), ("sent 4", "before"), ("intent 5", "after")),
    *(("sent 5", "before"), ("intent 6", "after"), ("sent 6", "before"), ("intent k1", "after"), ("sent k1", "before")),
    *(("intent k2", "after"), ("sent k2", "before"), ("verify", "before"), ("outcome", "before")),
)
#: Of these, those after which the data is another one.
LIVE = POINTS.index(("sent 6", "before"))


@pytest.fixture(scope="module")
def calm(lab: Lab) -> Iterator[Lab]:
    """The lab, put back at the end of the module."""
    yield from put_back(lab)


@dataclass
class Ruined(Site):
    """The site with its rows held to ransom, and what it looks like before and after a restore."""

    old: str = field(init=False)
    new: list[str] = field(init=False)

    def __post_init__(self) -> None:
        """Ruin it."""
        super().__post_init__()
        self.reset()
        self.new = rows(self.content(self.newest()))
        self.lab.ruin("db01", "rows")
        self.old = self.dump()

    def state(self) -> str:
        """Which data is live, "old" or "new"; anything else, or a server that does not take writes, is neither."""
        now = self.dump()
        writable = self.sql("SELECT @@GLOBAL.read_only") == ["0"]
        return "neither" if not writable else "old" if now == self.old else "new" if rows(now) == self.new else "neither"

    def is_whole(self) -> bool:
        """Whether it is the one or the other, within the moment that a cut-over takes to its end on its own."""
        return eventually(lambda: self.state() != "neither", 10)

    def killed(self, entry: str, when: str, *words: str, how: str = "SIGKILL") -> Said:
        """Run remedy until it is sent a signal at an entry of its record."""
        said = self.remedy(*words, wrapped=(DYING, entry, when, how))
        assert said.code == (-signal.SIGKILL if how == "SIGKILL" else 130), (entry, when, said.code, said.err)
        return said

    def undone(self, run: str) -> None:
        """Undo, drop what it keeps, and see that it is as it was before the restore."""
        said = self.remedy("undo", run, "--yes", "--json")
        assert (said.code, said.target["status"]) in {(DONE, "verified"), (DONE, "unchanged")}, (said.out, said.err)
        assert self.dump() == self.old
        assert self.left() in ([], ["schema site__in"])
        self.sql("DROP DATABASE IF EXISTS site__in")
        assert self.remedy("resume", "--json").document["targets"] == [], "nothing may be left to resume"


@pytest.fixture
def site(calm: Lab, tmp_path: Path) -> Iterator[Ruined]:
    """The ruined site, and an operator who has the copy on db01 alone."""
    yield Ruined(calm, operator(calm, tmp_path, ("local",)))
    calm.clear()


RESTORE = ("restore", "site", "--latest-valid", "--yes")


def test_killed_at_every_step_and_resumed(site: Ruined) -> None:
    """Killed at each step and resumed until the next, the site is whole all the time, and restored in the end."""
    entry, when = POINTS[0]
    site.killed(entry, when, *RESTORE)
    for number, (entry, when) in enumerate(POINTS[1:], 1):
        site.killed(entry, when, "resume")
        assert site.is_whole(), (entry, when)
        assert site.state() == ("new" if number >= LIVE else "old"), (entry, when)
    said = site.remedy("resume", "--json")
    assert (said.code, said.target["status"]) == (DONE, "verified"), (said.out, said.err)
    assert site.state() == "new"
    assert site.left() == ["schema site__undo"]
    assert site.remedy("incident", "verify").code == DONE
    site.undone(site.run())


def test_killed_at_every_step_and_undone(site: Ruined) -> None:
    """Killed at any step, undo makes the data before live again and leaves nothing behind, even killed itself."""
    for number, (entry, when) in enumerate(POINTS):
        if when == "after" and entry != "approval":
            continue  # for the database that is the moment before
        site.killed(entry, when, *RESTORE)
        assert site.is_whole(), (entry, when)
        run = site.run()
        if entry in {"sent 6", "outcome"}:
            site.killed("intent 1", "after", "undo", run, "--yes")
            site.killed("sent 1", "before", "resume")
            assert site.is_whole(), (entry, when)
            assert site.state() == "old"
        site.undone(run)
