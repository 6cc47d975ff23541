"""The catalogue: which of the files in a copy make a backup, what cannot be used, and that nothing is hidden."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.backups import naming
from remedy.backups.catalog import backups, binary_logs
from remedy.backups.values import Backup, Copy, File

HERE = Copy("local", host="db01", path="/var/backups/mariadb")


def listed(*names: str, kind: str = "file") -> list[File]:
    """Files as a shelf lists them, ten bytes each, written one second after the other."""
    return [File(name, 10, 1_000 + at, kind=kind) for at, name in enumerate(names)]


def found(*names: str) -> list[Backup]:
    """The backups that files of these names make."""
    return list(backups(HERE, listed(*names)))


def shown(made: Iterable[Backup]) -> list[tuple[str, str, int]]:
    """Name, format and number of files of each."""
    return [(one.name, one.format, len(one.files)) for one in made]


@pytest.mark.parametrize(
    ("stored", "name", "form"),
    [
        ("site.sql", "site.sql", "dump"),
        ("site-2026-02-03.sql.gz", "site-2026-02-03.sql", "dump"),
        ("site-2026-02-03.SQL.GZ", "site-2026-02-03.SQL", "dump"),
        ("daily/站点-2026-02-03.sql.zst.gpg", "站点-2026-02-03.sql", "dump"),
        ("site.sql.xz.enc", "site.sql", "dump"),
        ("site.sql.bz2.age", "site.sql", "dump"),
        ("site.sql.gz.asc", "site.sql", "dump"),
        ("site.sql.lz4.pgp", "site.sql", "dump"),
        ("site.sql.gz.2", "site.sql.gz.2", "dump"),
        ("site.sql-20260203.gz", "site.sql-20260203", "dump"),
        ("full.xb", "full.xb", "stream"),
        ("full-2026.mbstream.zst", "full-2026.mbstream", "stream"),
        ("site-20260203.gz", "site-20260203", ""),
        ("notes.txt", "notes.txt", ""),
        (".gz", ".gz", ""),
    ],
)
def test_single_files(stored: str, name: str, form: str) -> None:
    """A single file is a backup whose name is the file's without folder, compression and encryption."""
    (only,) = found(stored)
    assert (only.name, only.format, only.files[0].name, only.copy, only.odd) == (name, form, stored, "local", "")


def test_what_lies_beside() -> None:
    """Checksum, manifest, signature and other digests belong to their backup and are none themselves."""
    names = ["site-2026-02-03.sql.zst", "site-2026-02-03.sql.zst.sha256", "site-2026-02-03.manifest.json"]
    more = ["site-2026-02-03.sql.zst.md5", "site-2026-02-03.sql.zst.asc", "site-2026-02-03.sql.sha256"]
    (only,) = found(*names, *more)
    assert only.checksum == File(names[1], 10, 1001)
    assert only.manifest == File(names[2], 10, 1002)
    assert sorted(file.name for file in only.beside) == sorted(more)


@pytest.mark.parametrize("sums", ["SHA256SUMS", "sha256sums.txt", "checksums.sha256", "sha256sum.txt"])
def test_one_checksum_file_for_a_folder(sums: str) -> None:
    """A folder's checksum file counts for all backups in and below it that have none of their own."""
    own, other, below = found("a.sql", "a.sql.sha256sum", "b.sql", f"{sums}", "later/c.sql")
    assert own.checksum == File("a.sql.sha256sum", 10, 1001)
    assert other.checksum == below.checksum == File(sums, 10, 1003)


@pytest.mark.parametrize("left", ["gone.sql.gz.sha256", "gone.manifest.json", "SHA256SUMS", "gone.sql.md5"])
def test_an_orphan_is_odd(left: str) -> None:
    """A checksum or manifest whose backup has gone is shown: somebody took the backup away."""
    (only,) = found(left)
    assert only.odd == "belongs to a backup that is not here"


@pytest.mark.parametrize(
    "names",
    [
        ["site.sql.gz.partaa", "site.sql.gz.partab", "site.sql.gz.partac"],
        ["site.sql.gz.part-00", "site.sql.gz.part-01", "site.sql.gz.part-02"],
        [f"site.sql.gz_part{at}" for at in range(1, 12)],
        ["site.sql.gz.aa", "site.sql.gz.ab", "site.sql.gz.ac"],
        ["site.sql.gz.001", "site.sql.gz.002", "site.sql.gz.003"],
        ["site.sql.gz.00", "site.sql.gz.01", "site.sql.gz.02"],
        ["site.sql.part00.gz", "site.sql.part01.gz", "site.sql.part02.gz"],
        ["site.sql.gz.partaa.gpg", "site.sql.gz.partab.gpg", "site.sql.gz.partac.gpg"],
        ["full.xb.gz.aa", "full.xb.gz.ab", "full.xb.gz.ac"],
    ],
)
def test_sets_of_parts(names: list[str]) -> None:
    """The parts of a split file are one backup, in order; a gap is named, and so is a missing beginning."""
    (whole,) = found(*reversed(names))
    assert whole.name in {"site.sql", "full.xb"}
    assert [file.name for file in whole.files] == names
    assert whole.odd == ""


@pytest.mark.parametrize(
    ("names", "odd"),
    [
        (["a.sql.partab", "a.sql.partac"], "the first part is missing"),
        (["a.sql.ab"], "the first part is missing"),
        (["a.sql.02", "a.sql.03"], "the first part is missing"),
        (["a.sql.01", "a.sql.02"], ""),
        (["a.sql.partaa", "a.sql.partac"], "parts are missing: 1, the first after part 1"),
        (["a.sql.000", "a.sql.001", "a.sql.004"], "parts are missing: 2, the first after part 2"),
        (["a.sql.part1", "a.sql.part01"], "two files claim to be the same part"),
        (["a.sql.part0", "a.sql.part99999999"], "parts are missing: 99999998, the first after part 1"),
    ],
)
def test_gaps(names: list[str], odd: str) -> None:
    """What a set lacks is named; that its last part is there, no name can tell."""
    (only,) = found(*names)
    assert (only.odd, len(only.files)) == (odd, len(names))


def test_gap_in_unpadded_numbers() -> None:
    """Parts 1, 2 and 10 lack seven others."""
    (only,) = found("a.sql.part1", "a.sql.part2", "a.sql.part10")
    assert only.odd == "parts are missing: 7, the first after part 2"
    assert [file.name for file in only.files] == ["a.sql.part1", "a.sql.part2", "a.sql.part10"]


@pytest.mark.parametrize(
    "stored", ["site.sql.gz.1", "site.sql.gz.10", "site.sql.bak", "site.sql.old", "site.sql.20260203"]
)
def test_what_looks_like_a_part_and_is_none(stored: str) -> None:
    """Logrotate's numbers, dates and words after a name are no parts: each such file is a backup for itself."""
    made = found("site.sql.gz", stored, "site.sql.gz.9", "site.sql.orig")
    assert len(made) == 4
    assert not any(one.odd for one in made)


@pytest.mark.parametrize(
    ("options", "size"),
    [(("-b1",), 700), (("-b1", "-d"), 950), (("-b1", "-a3"), 200), (("-b1", "-a3", "-d"), 120), (("-n3",), 30)],
)
def test_what_split_writes_is_put_together_again(options: tuple[str, ...], size: int, tmp_path: Path) -> None:
    """Parts that split(1) wrote are one set in the order that gives the file again, however long the suffixes get."""
    content = bytes(at % 251 for at in range(size))
    (tmp_path / "whole").write_bytes(content)
    (tmp_path / "parts").mkdir()
    prefix = str(tmp_path / "parts" / "site.sql.gz.")
    subprocess.run(["split", *options, str(tmp_path / "whole"), prefix], check=True)
    names = sorted(os.listdir(tmp_path / "parts"))  # noqa: PTH208 -- names alone
    (only,) = found(*names)
    assert only.odd == ""
    assert b"".join((tmp_path / "parts" / file.name).read_bytes() for file in only.files) == content


def test_checksums_of_parts() -> None:
    """A set has the checksum of the whole; those of single parts lie beside it."""
    (only,) = found("a.sql.partaa", "a.sql.partab", "a.sql.sha256", "a.sql.partaa.sha256", "a.sql.partab.sha256")
    assert only.checksum == File("a.sql.sha256", 10, 1002)
    assert [file.name for file in only.beside] == ["a.sql.partaa.sha256", "a.sql.partab.sha256"]


MYDUMPER = (
    "metadata",
    "site-schema-create.sql.gz",
    "site.notice-schema.sql.gz",
    "site.notice.sql.gz",
    "site.page-schema.sql.gz",
    "site.page.00000.sql.gz",
    "site.page.00001.sql.gz",
    "site.page-schema-triggers.sql.gz",
    "site.latest-schema-view.sql.gz",
    "site-schema-post.sql.gz",
)


def test_a_mydumper_folder() -> None:
    """A folder with mydumper's definitions is one backup; a dump that somebody put there is another."""
    folder = [f"2026-02-03/{name}" for name in MYDUMPER]
    made = found(
        *folder, "2026-02-03/all.sql.gz", "2026-02-03/site-2026-02-03.sql.gz", "2026-02-03/site.2026-02-03.sql"
    )
    assert shown(made) == [
        ("2026-02-03", "mydumper", len(MYDUMPER)),
        ("all.sql", "dump", 1),
        ("site-2026-02-03.sql", "dump", 1),
        ("site.2026-02-03.sql", "dump", 1),
    ]


def test_mydumper_at_the_top() -> None:
    """A copy that is itself an export is called after its folder, and dumps beside it stay dumps."""
    assert shown(found(*MYDUMPER, "other-2026.sql.gz", "README")) == [
        ("mariadb", "mydumper", len(MYDUMPER)),
        ("README", "", 1),
        ("other-2026.sql", "dump", 1),
    ]
    assert shown(found("metadata", "site.sql.gz")) == [("metadata", "", 1), ("site.sql", "dump", 1)]


def test_mydumper_with_a_lost_definition() -> None:
    """Rows whose table's definition was deleted stay in the export, so that reading it finds the damage."""
    names = [f"x/{name}" for name in MYDUMPER if name != "site.page-schema.sql.gz"]
    assert shown(found(*names)) == [("x", "mydumper", len(MYDUMPER) - 1)]


def test_mydumper_without_definitions() -> None:
    """An export of rows alone (--no-schemas) is known by its metadata."""
    assert shown(found("x/metadata", "x/site.notice.sql", "x/site.page.00000.sql")) == [("x", "mydumper", 3)]


def test_mydumper_unfinished() -> None:
    """An export whose metadata is still partial is odd."""
    (only,) = found("x/metadata.partial", "x/site.notice-schema.sql", "x/site.notice.sql")
    assert only.odd == "unfinished: metadata.partial is still there"


PHYSICAL = ("xtrabackup_checkpoints", "xtrabackup_info", "backup-my.cnf", "ibdata1", "ib_logfile0", "site/notice.ibd")


@pytest.mark.parametrize("tool", ["xtrabackup", "mariadb_backup"])
def test_a_physical_folder(tool: str) -> None:
    """A folder that mariadb-backup wrote is one backup with all below it; one inside it is another."""
    full = [f"full/{name}".replace("xtrabackup", tool) for name in PHYSICAL]
    incremental = [f"full/inc1/{name}".replace("xtrabackup", tool) for name in PHYSICAL]
    made = found(*full, *incremental, "full/before.sql.gz", "other.sql")
    assert shown(made) == [
        ("full", "physical", 6),
        ("before.sql", "dump", 1),
        ("inc1", "physical", 6),
        ("other.sql", "dump", 1),
    ]


def test_notes_without_data() -> None:
    """Notes beside a stream belong to it (--extra-lsndir); alone they are what is left of a backup."""
    (stream,) = found("day/full.xb.zst", "day/xtrabackup_checkpoints", "day/xtrabackup_info")
    assert (stream.name, [file.name for file in stream.beside]) == (
        "full.xb",
        ["day/xtrabackup_checkpoints", "day/xtrabackup_info"],
    )
    (only,) = found("day/xtrabackup_checkpoints", "day/xtrabackup_info")
    assert only.odd == "nothing but the tool's notes is left of it"
    linked = [*listed("day/xtrabackup_info"), *listed("day/full.xb", kind="link")]
    assert [one.odd != "" for one in backups(HERE, linked)] == [True, True]


def test_notes_among_the_files_of_an_export() -> None:
    """Where both tools wrote into one folder, each file still is somewhere."""
    made = found("x/site.notice-schema.sql", "x/site.notice.sql", "x/xtrabackup_info", "x.manifest.json")
    assert shown(made) == [("x", "mydumper", 2), ("xtrabackup_info", "", 1)]


def test_checksums_of_folders() -> None:
    """A folder's checksum file is inside it or named after it; single ones inside lie beside."""
    (inside,) = found(*(f"full/{name}" for name in PHYSICAL), "full/SHA256SUMS", "full/ibdata1.sha256")
    assert inside.checksum == File("full/SHA256SUMS", 10, 1006)
    assert [file.name for file in inside.beside] == ["full/ibdata1.sha256"]
    (after,) = found(*(f"full/{name}" for name in PHYSICAL), "full.sha256", "full.manifest.json")
    assert (after.checksum, after.manifest) == (File("full.sha256", 10, 1006), File("full.manifest.json", 10, 1007))


@pytest.mark.parametrize("kind", ["link", "other"])
def test_links_and_pipes(kind: str) -> None:
    """Links and pipes are odd, alone or inside a folder, whatever they are called."""
    files = [*listed("site.sql.gz", kind=kind), *listed(*(f"x/{name}" for name in MYDUMPER))]
    files += listed("x/site.page.00002.sql.gz", kind=kind)
    export, alone = sorted(backups(HERE, files), key=lambda one: one.name)[::-1]
    assert export.odd.startswith("holds a ")
    assert alone.odd.endswith("never followed nor opened")


def test_a_folder_called_like_a_dump() -> None:
    """A folder that is called like a dump is odd; what lies in it is still seen."""
    made = backups(HERE, [*listed("site.sql", "plain", kind="directory"), *listed("site.sql/a.sql", "plain/b.sql")])
    assert [(one.name, one.odd != "") for one in made] == [("b.sql", False), ("site.sql", True), ("a.sql", False)]


@pytest.mark.parametrize(
    "stored",
    ["site.sql.gz.part", "site.sql.tmp", "site.sql.tmp.gz", "site.sql.gz~", ".site.sql.gz.aB3xYz", "x.sql.filepart"],
)
def test_unfinished_files(stored: str) -> None:
    """A name that programs give while they write is odd."""
    (only,) = found(stored)
    assert only.odd == "unfinished: some program is still writing it"


def test_older_versions() -> None:
    """Each version of a key is a backup of its own, newest first; a checksum counts for the version nearest to it."""
    key = "db01/site.sql.gz"
    files = [File(key, 10, 300, "v3"), File(key, 7, 100, "v1"), File(key, 9, 200, "v2")]
    sums = [File(key + ".sha256", 1, 299, "s3"), File(key + ".sha256", 1, 101, "s1")]
    made = backups(HERE, [*files, *sums])
    assert [(one.files[0].version, one.checksum and one.checksum.version) for one in made] == [
        ("v3", "s3"),
        ("v2", None),
        ("v1", "s1"),
    ]


def test_older_versions_of_a_set() -> None:
    """Versions of parts make a set per version; one that was not overwritten leaves a gap in the older set."""
    files = [File(f"a.sql.part{mark}", 10, 300, "new") for mark in ("aa", "ab", "ac")]
    files += [File(f"a.sql.part{mark}", 10, 200, "old") for mark in ("aa", "ac")]
    newer, older = backups(HERE, files)
    assert (newer.odd, older.odd) == ("", "parts are missing: 1, the first after part 1")


def test_binary_logs_are_kept_apart() -> None:
    """Binary logs are no backups; they come per server in order, with index, gaps and twins."""
    names = ["mariadb-bin.000411", "mariadb-bin.000412.gz", "mariadb-bin.000412", "mariadb-bin.000414"]
    files = listed(*names, "mariadb-bin.index", "x/binlog.000001", "x/site.000007", "x/site.index", "x/a.sql.000001")
    logs = binary_logs(files)
    assert [(one.name, len(one.files), one.odd) for one in logs] == [
        ("mariadb-bin", 3, "what came after mariadb-bin.000412 is missing"),
        ("x/binlog", 1, ""),
        ("x/site", 1, ""),
    ]
    assert [file.name for file in logs[0].files] == ["mariadb-bin.000411", "mariadb-bin.000412", "mariadb-bin.000414"]
    assert logs[0].index == File("mariadb-bin.index", 10, 1004)
    assert [file.name for file in logs[0].others] == ["mariadb-bin.000412.gz"]
    assert shown(backups(HERE, files)) == [("a.sql", "dump", 1)]


@pytest.mark.parametrize("name", ["site.20260203", "backup.260203", "site.sql.000001"])
def test_dates_are_no_binary_logs(name: str) -> None:
    """A number behind a name makes a binary log only where servers use that name or an index says so."""
    assert binary_logs(listed(name)) == ()


TEXT = """site.sql site a .. x .gz .sql .partaa .part1 .aa .gz.ab .000001 .sha256 .manifest.json SHA256SUMS .md5 .asc
 .tmp mariadb-bin .index -schema.sql metadata .001 .zst .gpg -2026-02-03 / / .xb .part99999999 .zzzzzz .1"""
WORDS = st.sampled_from([*MYDUMPER, *PHYSICAL, "\n", "王", *TEXT.split()])
NAMES = st.lists(WORDS, min_size=1, max_size=5).map("".join).map(lambda name: name.strip("/") or "a")
FILES = st.builds(
    File,
    NAMES,
    st.integers(0, 9),
    st.integers(0, 99),
    st.sampled_from(["", "v1", "v2"]),
    st.sampled_from(["file", "file", "file", "file", "link", "other", "directory"]),
)


@given(st.lists(FILES, max_size=30, unique_by=lambda file: (file.name, file.version)))
def test_nothing_is_hidden(files: list[File]) -> None:
    """Whatever is listed, every file, link and pipe is in a backup, beside one or in the logs, and in one only."""
    made, logs = backups(HERE, files), binary_logs(files)
    used = [file for one in made for file in one.files]
    used += [file for one in logs for file in (*one.files, *one.others, one.index) if file]
    assert len(used) == len(set(used))
    beside = {file.name for one in made for file in (one.checksum, one.manifest, *one.beside) if file}
    lost = {file.name for file in files if file.kind != "directory"} - {file.name for file in used} - beside
    assert not lost - {name for name in lost if name.endswith("/")}


@given(st.lists(FILES, max_size=20, unique_by=lambda file: (file.name, file.version)), st.randoms())
def test_order_of_listing_does_not_matter(files: list[File], random: object) -> None:
    """Shelves may list in any order."""
    shuffled = list(files)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    keyed = {(file.name, file.version): file for file in files}
    times = {key: at for at, key in enumerate(sorted(keyed))}
    stamp = [File(f.name, f.size, times[f.name, f.version], f.version, f.kind) for f in files]
    other = [File(f.name, f.size, times[f.name, f.version], f.version, f.kind) for f in shuffled]
    assert backups(HERE, stamp) == backups(HERE, other)


@given(st.text(max_size=40))
def test_any_name_can_be_asked(name: str) -> None:
    """No name, however hostile, stops the reading of names."""
    assert naming.bare(naming.bare(name)) == naming.bare(name)
    naming.part(name)
    naming.log(name)
    naming.unfinished(name)
    naming.dated(name)


@pytest.mark.parametrize(
    ("name", "dated"),
    [
        ("site-2026-02-03.sql", True),
        ("site_20260203_0200.sql", True),
        ("site.2026.02.03", True),
        ("site-20260203020000.sql", True),
        ("site-1770055200.sql", True),
        ("site.sql", False),
        ("site-12345678.sql", False),
        ("site-2026.sql", False),
    ],
)
def test_dated_names(name: str, dated: bool) -> None:  # noqa: FBT001 -- a table
    """A day or a second in a name makes it the name of one backup."""
    assert naming.dated(name) is dated
