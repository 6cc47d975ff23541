"""Backups that have fooled people, read where they lie: each gets the verdict it deserves, and a reason by its code."""

from __future__ import annotations

import contextlib
import getpass
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.transports.transfers.conftest import nobody, quiet, reveal
from tests.worlds import nasty
from tests.worlds.nasty import SCHEMA, Case

from remedy.backups import catalog, plausible
from remedy.backups.findings import NOTES
from remedy.backups.plausible import Live, LiveTable
from remedy.backups.values import Backup, Copy, Database, File, Finding, Judgement, Keys
from remedy.core.values import Secret, Target
from remedy.transports.bulk import Bulk
from remedy.transports.folders import FolderShelf
from remedy.transports.guard import CONTROLLER
from remedy.transports.seals import Seals
from remedy.transports.transfers.pipeline import read_backup

#: What `nasty.build` makes; it takes seconds, so tests are named before it has run.
NAMES = (
    # sound
    *("plain", "gz", "zst", "xz", "bz2", "unchecked-zst", "two-members", "fake-footer", "databases", "drop-database"),
    *("all-databases", "shanghai", "utc", "touched", "event", "openssl", "bom", "crlf", "parts", "binlog-gap"),
    *("mydumper", "mydumper-gz", "physical", "physical-prepared", "physical-stream"),
    # cut off
    *("boundary", "boundary-gz", "mid-row", "fake-footer-cut", "cut-gz", "cut-zst", "cut-xz", "cut-bz2"),
    # bits turned, wrong keys
    *("flip-sql", "flip-sql-alone", "flip-gz", "flip-zst", "flip-xz", "flip-bz2", "flip-unchecked-zst"),
    *("flip-openssl", "openssl-wrong-key", "openssl-lucky-key"),
    # not what it should hold
    *("empty", "empty-gz", "header-only", "forced", "limited", "ignored", "no-data", "no-comments"),
    *("other-database", "latin1", "utf8mb3", "newer", "mysql", "large-row"),
    # planted
    *("shell", "system", "source", "tee", "grant", "load-data", "outfile", "global", "drop-other", "write-other"),
    "powerful-definer",
    # texts and files that something went wrong with
    *("utf-16", "stderr", "appended", "trailing", "fifo", "link", "folder", "unfinished", "part-missing"),
    *("mydumper-deleted", "mydumper-schema-deleted", "mydumper-chunk-deleted", "mydumper-halved"),
    *("mydumper-gz-halved", "mydumper-gz-emptied", "mydumper-partial"),
    *("physical-stream-cut", "physical-flipped", "physical-deleted", "physical-page-cut", "physical-unfinished"),
    "physical-redo-cut",
)
#: What the server knows, for comparison: everything that the sound dump needs, and not what MySQL's does.
_COLLATIONS = ("utf8mb4_general_ci", "utf8mb4_bin", "utf8mb4_unicode_ci", "gbk_chinese_ci", "ascii_general_ci")

Judge = Callable[[Case], tuple[Backup, Judgement | None]]


class Near(FolderShelf):
    """A folder of this machine, listed as any copy is; its files are opened here, which saves a program for each."""

    @contextlib.contextmanager
    def read(self, file: File, *, start: int = 0, length: int = -1) -> Iterator[Iterator[bytes]]:
        """As FolderShelf."""
        with (Path(self.copy.path) / file.name).open("rb") as stored:
            stored.seek(start)
            yield iter(lambda: stored.read(1 << 20), b"") if length < 0 else iter((stored.read(length),))


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """Every case, by name."""
    return nasty.build(tmp_path_factory.mktemp("nasty"))


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    """Lists the folder of a case and reads what lies there, as a copy of a host is."""
    user = getpass.getuser()
    seals = Seals(reveal)
    with Bulk(nobody, reveal, local=Target(CONTROLLER, "127.0.0.1", user=user), user=user) as bulk:

        def work(case: Case) -> tuple[Backup, Judgement | None]:
            copy = Copy("local", host=CONTROLLER, path=str(case.path.parent))
            shelf = Near(copy, bulk)
            (backup, *others) = catalog.backups(copy, shelf.list())
            assert not others
            if backup.odd or not backup.format:
                return backup, None
            database = Database(SCHEMA, SCHEMA, CONTROLLER, (copy,))
            if case.passphrase:
                keys = Keys(openssl=Secret("value", case.passphrase))
                database = replace(database, keys=keys)
            return backup, read_backup(lambda _: shelf, database, backup, seals, lambda _: None, quiet)

        yield work


@pytest.fixture(scope="module")
def sound(cases: dict[str, Case], judge: Judge) -> Judgement:
    """The judgement of the plain dump, which is the last good backup of the others."""
    _, judgement = judge(cases["plain"])
    assert judgement
    return judgement


@pytest.fixture(scope="module")
def live(sound: Judgement) -> Live:
    """The server as it would show the content of the plain dump."""
    contents = sound.contents
    return Live(
        server="10.11.19-MariaDB",
        tables=tuple(LiveTable(table.name, max(0, table.count), table.bytes) for table in contents.tables),
        objects=tuple((one.kind, one.name, one.definer) for one in contents.objects),
        accounts=("'root'@'localhost'", "'site_owner'@'localhost'"),
        powerful=("'root'@'localhost'",),
        max_packet=16 << 20,
        free=1 << 34,
        collations=_COLLATIONS,
        charset="utf8mb4",
    )


def test_every_case_is_named(cases: dict[str, Case]) -> None:
    """The names above are those of the cases there are."""
    assert sorted(NAMES) == sorted(cases)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_judged_as_it_should_be(
    name: str, cases: dict[str, Case], judge: Judge, live: Live, sound: Judgement
) -> None:
    """Accepted, doubtful or rejected, known at the stage at which it can be, with the finding that says why."""
    case = cases[name]
    backup, judgement = judge(case)
    if case.stage == "listing":
        assert judgement is None, case.why
        assert backup.odd, case.why
        return
    assert judgement is not None, (case.why, backup.odd)
    found = judgement.findings
    if case.stage == "plausibility":
        found += plausible.findings(judgement.contents, SCHEMA, live=live, last=sound.contents)
    assert _verdict(found) == case.verdict, (case.why, judgement.level, found)
    if case.code:
        assert [one for one in found if re.fullmatch(case.code, one.code)], (case.why, found)
    if case.verdict == "accepted":
        assert judgement.level == "whole"
    if case.good is not None:
        _, other = judge(replace(case, path=case.good, passphrase=cases["openssl"].passphrase))
        assert other is not None
        assert _verdict(other.findings) == "accepted", "another copy of it is sound"


def _verdict(found: tuple[Finding, ...]) -> str:
    serious = [one for one in found if one.code not in NOTES]
    return "accepted" if not serious else "rejected" if any(one.fatal for one in serious) else "doubtful"
