"""What is odd about backups beside others: what a restore put aside, and files that no server was started on yet."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from remedy.backups import plausible
from remedy.backups.plausible import Live, LiveTable
from remedy.backups.values import Backup, Contents, Facts, File, Finding, Judgement, Object, Table
from remedy.engine.doubts import Doubts
from remedy.engine.verdicts import Known

DAY: Final = 86_400
BEGIN: Final = 1_795_000_000
VIEW: Final = Object("view", "latest", "e" * 64, "root@localhost")


def backup(name: str, form: str = "dump") -> Backup:
    """A backup in the near copy."""
    return Backup(name, "local", form, (File(f"{name}.zst", 10, BEGIN),))


def judged(day: int, *, rows: int = 5000, objects: tuple[Object, ...] = (VIEW,), level: str = "whole") -> Judgement:
    """What reading a backup of that day has shown: one table of so many rows."""
    table = Table("notice", "c" * 64, f"{day:064x}", rows, max(0, rows) * 100)
    contents = Contents(Facts(BEGIN + day * DAY, server="10.11.19-MariaDB"), (table,), objects)
    return Judgement(f"{day:064x}", 10, level, contents)


def codes(known: dict[Backup, Judgement], live: Live | None = None) -> dict[str, set[str]]:
    """The codes of what is odd about each."""
    added = Doubts("site", Known(), live).added(known)
    return {backup.name: {finding.code for finding in one.findings} for backup, one in added.items()}


@pytest.mark.parametrize("name", ["site-before-R1a2b3c4d.sql", "site-before-R1a2b3c4d-2.sql"])
def test_what_a_restore_put_aside(name: str) -> None:
    """The damaged data that a restore has backed up first is the newest, and is taken by nobody who does not say so."""
    aside = backup(name)
    added = Doubts("site", Known(), None).added({aside: judged(2), backup("site-1.sql"): judged(1)})
    [finding] = [one for one in added[aside].findings if one.code == "before-restore"]
    assert "R1a2b3c4d" in finding.text
    assert added[aside].objections()
    assert not added[aside].objections(frozenset({"before-restore"})), "who means it can have it"
    assert codes({aside: judged(2), backup("site-1.sql"): judged(1)})["site-1.sql"] == set()


def test_what_was_put_aside_is_no_measure() -> None:
    """A good backup after a restore is not compared with the damaged data that was there before it."""
    grown = judged(2, rows=900_000)
    known = {backup("site-1.sql"): judged(1), backup("site-3.sql"): judged(3)}
    assert codes({**known, backup("site-before-R1a2b3c4d.sql"): grown})["site-3.sql"] == set()
    assert "shrunken" in codes({**known, backup("site-2.sql"): grown})["site-3.sql"], "as another one would be"


def test_put_aside_wherever_it_lies() -> None:
    """The same bytes under another name are no measure either."""
    grown = judged(2, rows=900_000)
    known = {backup("site-before-R1a2b3c4d.sql"): grown, backup("renamed.sql"): grown, backup("site-3.sql"): judged(3)}
    assert codes(known)["site-3.sql"] == set()


@pytest.mark.parametrize(("form", "level", "told"), [("files", "whole", False), ("files", "proven", True)])
def test_files_of_a_server(form: str, level: str, told: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    """Of a physical backup rows and definitions are not missed before a server was started on it; then they are."""
    form = "stream" if form == "files" else form
    bare = judged(3, rows=-1 if level == "whole" else 5, objects=(), level=level)
    found = codes({backup("site-2.sql"): judged(2), backup("site-3.mbstream", form): bare})["site-3.mbstream"]
    assert ("objects-missing" in found) is told, found
    assert ("shrunken" in found) is told, found


def test_missing_tables_are_seen_in_files_too() -> None:
    """That a table is not there at all, the files tell without a server."""
    live = Live(tables=(LiveTable("notice", 5000, 500_000), LiveTable("orders", 5000, 500_000)))
    bare = judged(3, rows=-1, objects=())
    assert "missing-tables" in codes({backup("site-3.mbstream", "stream"): bare}, live)["site-3.mbstream"]


def test_room_by_what_the_live_data_takes() -> None:
    """What loading takes is told by the last good backup and the live tables that still have its rows."""
    known = {backup("site-2.sql"): judged(2)}
    now, size = judged(3), 5000 * 100

    def room(*live: LiveTable, of: Judgement = now) -> float:
        return (Doubts("site", Known(), Live(tables=live)).room(of, known) - plausible.BESIDE) / size

    assert room(LiveTable("notice", 5000, 4 * size)) == 4
    assert room(LiveTable("notice", 2600, 3 * size)) == 3, "a server's estimate of rows may be far off"
    for ruined in (LiveTable("notice", 9, 16_384), LiveTable("other", 5000, 9 * size)):
        assert room(ruined) == plausible.GROWTH
    assert room(LiveTable("notice", 5000, 4 * size), LiveTable("spam", 1, 99 * size)) == 4
    files = replace(now, contents=replace(now.contents, tables=(replace(now.contents.tables[0], count=-1),)))
    assert room(LiveTable("notice", 5000, 4 * size), of=files) == plausible.GROWTH
    assert Doubts("site", Known(), None).room(now, known) == plausible.estimate(now.contents)


def test_only_whole_ones() -> None:
    """What is not whole has its own finding; nothing is added to it, and it is no measure for others."""
    cut = replace(judged(2, rows=900_000, level="readable"), findings=(Finding("truncated", "it is cut"),))
    found = codes({backup("site-2.sql"): cut, backup("site-3.sql"): judged(3)})
    assert found == {"site-2.sql": {"truncated"}, "site-3.sql": set()}
