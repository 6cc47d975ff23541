"""Claims about manifests and checksum files: they survive the round trip, and hostile ones are refused whole."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.backups.manifest import (
    LARGEST,
    Manifest,
    checksum_line,
    checksums,
    decoded,
    encoded,
)
from remedy.backups.ports import Damaged
from remedy.backups.values import Contents, Facts, Finding, Object, Table
from remedy.core.canon import canonical

SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
GOOD = Manifest(
    database="site",
    schema="web",
    host="db01",
    server="10.11.19-MariaDB",
    time=1_795_154_400,
    sha256=SHA,
    size=12345,
    binlog="bin.000002:4711",
    gtid="0-1-42",
    label="before restore",
    charset="utf8mb4",
    contents=Contents(
        facts=Facts(database="web", server="10.11.19-MariaDB"),
        tables=(Table("订单", "c" * 64, "r" * 64, 3, 99), Table("t`2", "c" * 64, keyed=False)),
        objects=(Object("view", "v", "d" * 64, "root@localhost"),),
        longest=77,
        findings=(Finding("footer", "none", fatal=False),),
    ),
)
text = st.text()


def changed(**parts: Any) -> bytes:  # noqa: ANN401 -- any JSON, that is the point
    """The good manifest's JSON with keys replaced."""
    return json.dumps({**json.loads(encoded(GOOD)), **parts}).encode()


def test_a_manifest_comes_back_as_it_was() -> None:
    """What is written is read back equal, on one line of canonical JSON."""
    data = encoded(GOOD)
    assert decoded(data) == GOOD
    assert data == canonical(json.loads(data)) + b"\n"
    assert data.count(b"\n") == 1


def test_a_manifest_of_an_older_version_is_read() -> None:
    """A field that came later, with a default, may be missing anywhere in it."""
    found = json.loads(encoded(GOOD))
    del found["contents"]["collations"], found["contents"]["tables"][0]["keyed"], found["label"]
    assert decoded(json.dumps(found).encode()) == replace(GOOD, label="")


def test_definitions_are_not_kept() -> None:
    """The text of definitions, which may be as long as anybody likes, is not in a manifest."""
    objects = (replace(GOOD.contents.objects[0], sql="CREATE VIEW v AS SELECT 'long'"),)
    data = encoded(replace(GOOD, contents=replace(GOOD.contents, objects=objects)))
    assert b"long'" not in data
    assert decoded(data) == GOOD


@given(
    text,
    text,
    text,
    st.integers(0, 10**9),
    st.lists(st.builds(Table, text, text, text, st.integers(-1), st.integers(0))),
)
def test_whatever_names_there_are(schema: str, label: str, host: str, time: int, tables: list[Table]) -> None:
    """Any text and any number of tables survive the round trip."""
    made = replace(GOOD, schema=schema, label=label, host=host, time=time, contents=Contents(tables=tuple(tables)))
    assert decoded(encoded(made)) == made


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not JSON"),
        (b"[]", "an object is expected"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b'{"size": ' + b"9" * 10_000 + b"}", "not JSON"),
        (encoded(GOOD)[:-20], "not JSON"),
        (encoded(GOOD).replace(b'"size":12345', b'"size":12345,"size":1'), "not JSON"),
        (changed(size=1.5), "not JSON"),
        (changed(size=float("nan")), "not JSON"),
        (changed(label="\ud800"), "not JSON"),
        (changed(size=-1), "cannot be right"),
        (changed(size=True), "int is expected"),
        (changed(size="12345"), "int is expected"),
        (changed(time=10**18), "cannot be right"),
        (changed(sha256=SHA.upper()), "cannot be right"),
        (changed(sha256="../../etc/passwd"), "cannot be right"),
        (changed(more=1), "unknown option"),
        (changed(schema_version=2), "version 2, this one reads version 1"),
        (changed(contents={"tables": [{"create": ""}]}), "is missing"),
        (changed(contents=None), "an object is expected"),
        (b" " * (LARGEST + 1), "longer than"),
    ],
)
def test_what_is_not_exactly_a_manifest_is_refused(data: bytes, why: str) -> None:
    """Cut, doubled, nested, wrongly typed or foreign JSON is Damaged("manifest") with a reason, and nothing else."""
    with pytest.raises(Damaged, match=why) as refused:
        decoded(data)
    assert refused.value.code == "manifest"


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.recursive(st.none() | st.integers() | text, st.lists).map(json.dumps).map(str.encode)
)
def test_random_bytes_never_do_anything_else(data: bytes) -> None:
    """Whatever bytes there are: Damaged."""
    with pytest.raises(Damaged):
        decoded(data)
    try:
        checksums(data)
    except Damaged as error:
        assert error.code == "checksum"  # noqa: PT017 -- some random bytes are a checksum file


@pytest.mark.parametrize("options", [(), ("--binary",), ("--tag",), ("--text",)])
def test_what_sha256sum_writes_is_read(options: tuple[str, ...], tmp_path: Path) -> None:
    """Its own forms, names with spaces, backslashes and line breaks included."""
    names = ["web.sql.gz", "a b  c.sql", "back\\slash", "line\nbreak", "订单.sql"]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    done = subprocess.run(["sha256sum", *options, *names], cwd=tmp_path, check=True, capture_output=True)
    found = checksums(done.stdout)
    assert sorted(name for _, name in found) == sorted(names)
    assert all(len(value) == 64 for value, _ in found)


def test_sha256sum_reads_what_is_written(tmp_path: Path) -> None:
    """An administrator can check a backup with `sha256sum -c`."""
    (tmp_path / "web.sql.zst").write_bytes(b"test")
    (tmp_path / "web.sql.zst.sha256").write_bytes(checksum_line("web.sql.zst", SHA))
    done = subprocess.run(["sha256sum", "-c", "web.sql.zst.sha256"], cwd=tmp_path, capture_output=True, check=False)
    assert done.stdout == b"web.sql.zst: OK\n"


def test_a_hash_alone_has_no_name() -> None:
    """A file of nothing but the hash, in capitals and with CRLF, is read."""
    assert checksums(SHA.upper().encode() + b"\r\n") == ((SHA, ""),)


@pytest.mark.parametrize(
    "data",
    [b"", b"\n\n", b"hello", SHA.encode()[:-1], f"{SHA}x y".encode(), f"{SHA} a\n{'0' * 64} a\n".encode(), b"\0" * 70],
)
def test_what_is_no_checksum_file_is_refused(data: bytes) -> None:
    """Nothing, something else, or two hashes for one name."""
    with pytest.raises(Damaged, match="checksum file") as refused:
        checksums(data)
    assert refused.value.code == "checksum"
