"""A restore dies, or its hosts do, at every step: production is old or new and whole, and resume and undo end well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.recover import DONE, RESTORE, UNSAVED, Ruined, operator, put_back

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
#: Where one without a safety backup is killed and undone: once for each state in which it can leave the hosts.
UNDONE = (
    *(("approval", "after"), ("sent 1", "before"), ("put 20", "at"), ("sent 4", "before"), ("sent 5", "before")),
    ("sent k2", "before"),
)


@pytest.fixture(scope="module")
def calm(lab: Lab) -> Iterator[Lab]:
    """The lab, put back at the end of the module."""
    yield from put_back(lab)


@pytest.fixture
def site(calm: Lab, tmp_path: Path) -> Iterator[Ruined]:
    """The ruined site, and an operator who has the copy on db01 alone."""
    made = Ruined(calm, operator(calm, tmp_path, ("local",)))
    yield made
    made.reset()


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
    """Killed at any step, undo makes the data before live again and leaves nothing behind."""
    for entry, when in UNDONE:
        site.killed(entry, when, *RESTORE, *UNSAVED)
        assert site.is_whole(), (entry, when)
        site.undone(site.run())
    assert site.remedy("resume", "--json").document["targets"] == [], "nothing may be left to resume"


def test_an_undo_is_killed_too(site: Ruined) -> None:
    """Killed before and behind its cut-over, an undo is finished by resume, and the data before is live again."""
    site.killed("sent 5", "before", *RESTORE, *UNSAVED)
    assert site.is_whole()
    run = site.run()
    site.killed("intent 1", "after", "undo", run, "--yes")
    site.killed("sent 1", "before", "resume")
    assert site.is_whole()
    assert site.state() == "old"
    assert site.remedy("resume", "--json").target["status"] == "verified"
    site.undone(run)


def test_ctrl_c_while_it_loads(site: Ruined) -> None:
    """Ctrl-C breaks the load off and names the way on; nothing of production was touched; resume ends it."""
    said = site.killed("put 20", "at", *RESTORE, *UNSAVED, how="SIGINT")
    run = site.run()
    assert f"remedy resume {run}" in said.err, said.err
    assert f"remedy undo {run}" in said.err, said.err
    assert site.state() == "old"
    resumed = site.remedy("resume", run, "--json")
    assert (resumed.code, resumed.target["status"]) == (DONE, "verified"), resumed.err
    assert site.state() == "new"
