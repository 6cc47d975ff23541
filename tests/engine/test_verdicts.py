"""Verdicts on backups in the record: which of several counts, when they count at all, what is left out."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worlds.memory import Journal

from remedy.backups.values import Backup, Contents, Copy, Database, Facts, File, Finding, Judgement, Object, Table
from remedy.engine import verdicts
from remedy.record import actor
from remedy.record.journal import Record

HERE = Copy("here", "room", host="db01", path="/var/backups")
AWAY = Copy("away", "annex", off_site=True, endpoint="http://s3", bucket="b", prefix="cms/")
CMS = Database("cms", "cms", "db01", (HERE, AWAY), timezone="Asia/Shanghai")
FILE = File("cms-20261119.sql.gz", 1000, 1_795_000_000)
BACKUP = Backup("cms-20261119.sql", "here", "mysqldump", (FILE,), checksum=File("cms-20261119.sql.gz.sha256", 90, 1))
TABLES = (Table("page", "c" * 64, "r" * 64, 12, 3400), Table("用户", "d" * 64))
CONTENTS = Contents(Facts(1_794_000_000, "2026-11-19  2:00:07", "10.19", "10.11.19"), TABLES)
WHOLE = Judgement("a" * 64, 1000, "whole", CONTENTS, at=1_795_000_100, seconds=3, read=9000, container="gz")
BROKEN = Finding("proof", "table page differs")


def test_a_verdict_comes_back() -> None:
    """A verdict is known again for the very files it was reached for, and by its content."""
    journal = Journal()
    verdicts.remember(journal, CMS, HERE, BACKUP, WHOLE)
    known = verdicts.known(journal, CMS)
    assert known.of(HERE, BACKUP) == WHOLE
    assert known.contents == (WHOLE,)
    assert known.of(AWAY, BACKUP) is None


@pytest.mark.parametrize(
    "other",
    [
        replace(BACKUP, files=(replace(FILE, size=1001),)),
        replace(BACKUP, files=(replace(FILE, changed=FILE.changed + 1),)),
        replace(BACKUP, files=(replace(FILE, version="v2"),)),
        replace(BACKUP, files=(replace(FILE, name="cms-20261120.sql.gz"),)),
        replace(BACKUP, files=(FILE, replace(FILE, name="cms-20261119.sql.gz.part2"))),
        replace(BACKUP, checksum=None),
        replace(BACKUP, checksum=File("cms-20261119.sql.gz.sha256", 90, 2)),
        replace(BACKUP, manifest=File("cms-20261119.manifest.json", 90, 2)),
        replace(BACKUP, beside=(File("cms-20261119.sql.gz.asc", 90, 2),)),
        replace(BACKUP, format="mydumper"),
    ],
)
def test_changed_files_are_not_known(other: Backup) -> None:
    """Whatever changes about the files, or about what lies beside them, they have to be read again."""
    journal = Journal()
    verdicts.remember(journal, CMS, HERE, BACKUP, WHOLE)
    assert verdicts.known(journal, CMS).of(HERE, other) is None


def test_another_place_of_the_same_name_is_not_known() -> None:
    """A copy that the inventory has moved since is another copy."""
    journal = Journal()
    verdicts.remember(journal, CMS, HERE, BACKUP, WHOLE)
    assert verdicts.known(journal, CMS).of(replace(HERE, path="/srv/backups"), BACKUP) is None
    assert verdicts.known(journal, CMS).of(replace(HERE, place="another room"), BACKUP) == WHOLE


@pytest.mark.parametrize("change", [{"name": "shop"}, {"schema": "cms2"}, {"timezone": "UTC"}])
def test_a_verdict_holds_for_what_was_read(change: dict[str, str]) -> None:
    """A verdict for another schema or another clock does not count: its tables and its time would be others."""
    journal = Journal()
    verdicts.remember(journal, CMS, HERE, BACKUP, WHOLE)
    known = verdicts.known(journal, replace(CMS, **change))  # type: ignore[arg-type]
    assert known.of(HERE, BACKUP) is None
    assert not known.contents


def test_a_later_verdict_supersedes() -> None:
    """Of two verdicts on the same files the later one counts, also when it is the worse one."""
    journal = Journal()
    verdicts.remember(journal, CMS, HERE, BACKUP, WHOLE)
    worse = replace(WHOLE, level="listed", findings=(Finding("truncated", "cut"),), sha256="b" * 64)
    verdicts.remember(journal, CMS, HERE, BACKUP, worse)
    assert verdicts.known(journal, CMS).of(HERE, BACKUP) == worse


def test_a_proof_outlives_a_reading() -> None:
    """What was restored once stays proven when it is merely read again, there and in every copy of that content."""
    journal = Journal()
    verdicts.remember(journal, CMS, HERE, BACKUP, replace(WHOLE, level="proven"), proof=True)
    verdicts.remember(journal, CMS, HERE, BACKUP, WHOLE)
    verdicts.remember(journal, CMS, AWAY, BACKUP, WHOLE)
    known = verdicts.known(journal, CMS)
    found = known.of(HERE, BACKUP), known.of(AWAY, BACKUP), known.contents[0]
    assert [one.level if one else "" for one in found] == ["proven"] * 3


def test_a_failed_proof_objects_until_the_next() -> None:
    """A content that did not restore is objected to wherever it lies, until a later proof succeeds."""
    journal = Journal()
    verdicts.remember(journal, CMS, AWAY, BACKUP, WHOLE)
    verdicts.remember(journal, CMS, HERE, BACKUP, replace(WHOLE, findings=(BROKEN,)), proof=True)
    known = verdicts.known(journal, CMS)
    for copy in (HERE, AWAY):
        found = known.of(copy, BACKUP)
        assert found
        assert (found.level, found.findings) == ("whole", (BROKEN,))
    verdicts.remember(journal, CMS, AWAY, BACKUP, replace(WHOLE, level="proven"), proof=True)
    known = verdicts.known(journal, CMS)
    for copy in (HERE, AWAY):
        found = known.of(copy, BACKUP)
        assert found
        assert (found.level, found.findings) == ("proven", ())


def test_damage_found_later_speaks_against_a_proof() -> None:
    """A checksum file that contradicts keeps a copy from being called proven, though its content was."""
    journal = Journal()
    verdicts.remember(journal, CMS, HERE, BACKUP, replace(WHOLE, level="proven"), proof=True)
    contradicted = replace(WHOLE, findings=(Finding("checksum", "is not what the file beside it says"),))
    verdicts.remember(journal, CMS, AWAY, BACKUP, contradicted)
    found = verdicts.known(journal, CMS).of(AWAY, BACKUP)
    assert found
    assert found.level == "whole"
    assert found.objections()


def test_definitions_are_left_out() -> None:
    """The record keeps the hash of a view's or a routine's definition, never its text."""
    journal = Journal()
    view = Object("view", "v", "e" * 64, "root@localhost", "CREATE VIEW secret_view AS SELECT 1")
    verdicts.remember(journal, CMS, HERE, BACKUP, replace(WHOLE, contents=replace(CONTENTS, objects=(view,))))
    assert "secret_view" not in journal.pages.entries[0].body
    found = verdicts.known(journal, CMS).of(HERE, BACKUP)
    assert found
    assert found.contents.objects == (replace(view, sql=""),)


def test_rejections() -> None:
    """A rejection says which backup of which copy, how far it got, why, and what passing it over costs."""
    journal = Journal()
    about = {"copy": "here", "backup": "cms-20261119.sql", "level": "readable", "reason": "cut"}
    verdicts.reject(journal, CMS, **about, minutes=1440, incident="INC-1")
    [entry] = journal.entries(kinds=(verdicts.REJECTED,))
    body = json.loads(entry.body)
    assert entry.incident == "INC-1"
    assert {name: body[name] for name in (*about, "minutes")} == {**about, "minutes": 1440}
    assert not verdicts.known(journal, CMS).contents


@pytest.mark.parametrize("table", ["page_hunter2hunter2", "caf\udce9"])
def test_a_verdict_that_the_record_had_to_change_does_not_count(tmp_path: Path, table: str) -> None:
    """A verdict whose names the real record had to mask or to make text is read again, not trusted in another form."""
    here = actor.here(environ={}, version="0")
    with Record.open(
        tmp_path / "record.db",
        clock=lambda: datetime.now(UTC),
        actor=here,
        key_dir=tmp_path / "keys",
        redact=lambda text: text.replace("hunter2hunter2", "<secret>"),
    ) as record:
        named = replace(WHOLE, contents=replace(CONTENTS, tables=(Table(table, "c" * 64),)))
        verdicts.remember(record, CMS, HERE, BACKUP, named)
        assert verdicts.known(record, CMS).of(HERE, BACKUP) is None
        verdicts.remember(record, CMS, HERE, BACKUP, WHOLE)
        assert verdicts.known(record, CMS).of(HERE, BACKUP) == WHOLE


def test_an_entry_of_another_version_does_not_count() -> None:
    """A verdict with fields that this version does not know is not guessed at: the backup is read again."""
    journal = Journal()
    entry = verdicts.remember(journal, CMS, HERE, BACKUP, WHOLE)
    body = json.loads(entry.body)
    stored = {**body["judgement"], "mood": "good"}
    journal.append(verdicts.VERDICT, {**body, "judgement": stored, "digest": verdicts._hash(stored)}, incident="")
    assert verdicts.known(journal, CMS).of(HERE, BACKUP) is None
    verdicts.remember(journal, CMS, HERE, BACKUP, WHOLE)
    assert verdicts.known(journal, CMS).of(HERE, BACKUP) == WHOLE


def test_only_what_is_listed_is_kept() -> None:
    """Of years of verdicts those on listed files are kept in mind, and the contents that were judged last."""
    journal = Journal()
    for number in range(100):
        one = replace(BACKUP, files=(replace(FILE, changed=number),))
        verdicts.remember(journal, CMS, HERE, one, replace(WHOLE, sha256=f"{number:064x}"))
    first = replace(BACKUP, files=(replace(FILE, changed=0),))
    known = verdicts.known(journal, CMS, {verdicts.fingerprint(HERE, first)})
    found = known.of(HERE, first)
    assert found
    assert found.sha256 == "0" * 64
    assert known.of(HERE, replace(BACKUP, files=(replace(FILE, changed=99),))) is None
    assert [int(one.sha256, 16) for one in known.contents] == list(range(68, 100))


@given(st.lists(st.text(max_size=8), min_size=1, max_size=3), st.integers(0, 2**53))
def test_fingerprints_tell_names_apart(names: list[str], size: int) -> None:
    """No two listings have one fingerprint: names cannot be split or joined into the same bytes."""
    files = tuple(File(name, size, 1) for name in names)
    made = replace(BACKUP, files=files, checksum=None)
    joined = replace(made, files=(File("".join(names), size, 1),))
    assert (verdicts.fingerprint(HERE, made) == verdicts.fingerprint(HERE, joined)) == (made.files == joined.files)
