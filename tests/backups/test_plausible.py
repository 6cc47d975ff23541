"""Plausibility: what a whole backup lacks against the server and the last good one, in numbers and by name."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.backups import plausible
from remedy.backups.plausible import CODES, Live, LiveTable, Server, account, estimate, findings, server
from remedy.backups.values import Contents, Facts, Finding, Object, Table
from remedy.core.text import printable

TABLES = tuple(Table(name, "c" * 64, "r" * 64, 1_000, 200_000) for name in ("notice", "page", "user"))
OBJECTS = (
    Object("view", "latest", "v" * 64, "`site`@`localhost`"),
    Object("trigger", "notice_bi", "t" * 64, "`site`@`localhost`"),
    Object("procedure", "clean", "p" * 64, "`root`@`localhost`"),
)
FACTS = Facts(tool="10.19", server="10.11.19-MariaDB-0+deb12u1", database="site", charset="utf8mb4")
GOOD = Contents(FACTS, TABLES, OBJECTS, longest=1_000_000, collations=("utf8mb4_unicode_ci",))
LIVE = Live(
    server="10.11.19-MariaDB-0+deb12u1-log",
    tables=tuple(LiveTable(name, 1_100, 400_000) for name in ("notice", "page", "user")),
    objects=tuple((one.kind, one.name, one.definer) for one in OBJECTS),
    accounts=("'site'@'localhost'", "'root'@'localhost'"),
    powerful=("'root'@'localhost'",),
    max_packet=16 << 20,
    free=50 << 30,
    collations=("utf8mb4_unicode_ci", "utf8mb4_general_ci"),
    charset="utf8mb4",
)


def found(contents: Contents = GOOD, *, live: Live | None = LIVE, last: Contents | None = GOOD) -> list[Finding]:
    """The findings about a backup of `site`."""
    return list(findings(contents, "site", live=live, last=last))


def codes(*args: Contents, **more: Live | Contents | None) -> list[str]:
    """Their codes."""
    return [one.code for one in found(*args, **more)]  # type: ignore[arg-type]


def tables(**counts: int) -> Contents:
    """The good backup with other numbers of rows."""
    made = tuple(
        replace(one, count=counts.get(one.name, one.count), bytes=counts.get(one.name, 1000) * 200) for one in TABLES
    )
    return replace(GOOD, tables=made)


def test_a_good_backup() -> None:
    """Against a healthy server and the last good backup a good one raises nothing, nor with either of them unknown."""
    assert found() == found(live=None) == found(last=None) == found(live=None, last=None) == []
    assert found(live=Live()) == []


def test_wrong_database() -> None:
    """A backup of another database is refused, both names said."""
    (only,) = found(replace(GOOD, facts=replace(FACTS, database="shop\x1b[2J")))
    assert (only.code, only.fatal) == ("wrong-database", True)
    assert only.text == r"it is a backup of shop\x1b[2J, not of site"
    assert found(replace(GOOD, facts=replace(FACTS, database=""))) == []


def test_no_tables_and_no_rows() -> None:
    """A backup without tables is refused; one without rows may be accepted, and says what was there."""
    empty = replace(GOOD, tables=())
    assert "no-tables" in codes(empty)
    bare = replace(GOOD, tables=tuple(replace(one, rows="", count=0, bytes=0) for one in TABLES))
    (only,) = found(bare)
    assert (only.code, only.fatal) == ("no-rows", False)
    assert only.text == "none of its 3 tables has a row, and 3,300 rows are known of"


def test_physical_backups_count_no_rows() -> None:
    """A backup that does not count rows but has bytes is not without data, nor smaller than a dump's text."""
    pages = replace(GOOD, tables=tuple(replace(one, rows="", count=-1, bytes=98_304) for one in TABLES))
    assert found(pages) == []
    smaller = replace(pages, tables=tuple(replace(one, bytes=40_000) for one in pages.tables))
    assert codes(smaller, last=pages) == ["shrunken", "shrunken"]


def test_missing_tables() -> None:
    """Tables that were there are named, five of them."""
    live = replace(LIVE, tables=(*LIVE.tables, *(LiveTable(f"t{at}", 1, 1) for at in range(7))))
    (only,) = found(live=live, last=None)
    assert only.text == "7 of 10 tables of the live database are not in it: t0, t1, t2, t3, t4 and 2 more"
    (only,) = found(replace(GOOD, tables=TABLES[:2]), live=None)
    assert (only.code, only.fatal) == ("missing-tables", False)
    assert only.text == "1 of 3 tables of the last good backup are not in it: user"


@pytest.mark.parametrize(
    ("contents", "live", "said"),
    [
        (tables(notice=499), None, ["notice 499 of 1,000"]),
        (tables(notice=500), None, []),
        (tables(notice=100, page=100, user=100), None, ["in all 300 of 3,000 rows"]),
        (tables(notice=540), LIVE, ["notice 540 of 1,100"]),
        (tables(notice=550), LIVE, []),
    ],
)
def test_shrunken(contents: Contents, live: Live | None, said: list[str]) -> None:
    """Less than half of the rows of a table, or of all, is said with both numbers; half is enough."""
    texts = [one.text for one in found(contents, live=live, last=GOOD if live is None else None)]
    assert bool(texts) is bool(said)
    assert all(any(part in text for text in texts) for part in said)


def test_small_tables_may_shrink() -> None:
    """Tables with few rows, such as sessions, may be empty."""
    last = replace(GOOD, tables=(*TABLES, Table("session", "c" * 64, "r" * 64, 99, 9_000)))
    now = replace(GOOD, tables=(*TABLES, Table("session", "c" * 64, "", 0, 0)))
    assert found(now, last=last) == []


def test_shrunken_bytes() -> None:
    """Rows that became shorter than half are noticed too: their number alone does not tell."""
    now = replace(GOOD, tables=tuple(replace(one, bytes=90_000) for one in TABLES))
    single, whole = (one.text for one in found(now, live=None))
    assert single.startswith("less than half of the bytes of the last good backup: notice 90,000 of 200,000, page 90,")
    assert whole == "in all 270,000 of 600,000 bytes of the last good backup"


def test_objects_missing() -> None:
    """Views, triggers, routines and events of the last good backup are missed by name."""
    (only,) = found(replace(GOOD, objects=OBJECTS[:1]))
    assert (only.code, only.fatal) == ("objects-missing", False)
    assert only.text == "2 objects of the last good backup are not in it: procedure clean, trigger notice_bi"


def test_planted_objects() -> None:
    """What newly runs as an administrator, or reads otherwise than before, is named; what did so before is not."""
    planted = Object("event", "backdoor", "x" * 64, "'root'@'localhost'")
    (only,) = found(replace(GOOD, objects=(*OBJECTS, planted)))
    assert (only.code, only.fatal) == ("definers", False)
    assert "event backdoor (root@localhost)" in only.text
    changed = replace(GOOD, objects=(*OBJECTS[:2], replace(OBJECTS[2], digest="y" * 64)))
    assert codes(changed) == ["definers"]
    assert codes(replace(changed, facts=replace(FACTS, tool="mydumper 0.10"))) == []
    assert codes(replace(GOOD, objects=(*OBJECTS, planted)), last=None) == ["definers"]
    assert codes(replace(GOOD, objects=(*OBJECTS, planted)), live=None) == ["definers"]
    assert codes(replace(GOOD, objects=(*OBJECTS, planted)), live=None, last=None) == []
    assert codes(replace(GOOD, objects=(*OBJECTS, replace(planted, definer="site@localhost")))) == []


def test_definers_that_are_not_there() -> None:
    """Objects of accounts that the server does not have are named by account."""
    live = replace(LIVE, accounts=("'root'@'localhost'",))
    (only,) = found(live=live)
    assert (only.code, only.fatal) == ("definer-missing", False)
    assert only.text.startswith("2 objects belong to accounts that the server does not have")
    assert only.text.endswith("site@localhost")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("`root`@`localhost`", "root@localhost"),
        ("'root'@'LOCALHOST'", "root@localhost"),
        ("root@localhost", "root@localhost"),
        ("`a``b@c`@`%`", "a`b@c@%"),
        ("role", "role"),
        ("", ""),
        ("'", "'"),
    ],
)
def test_accounts(text: str, name: str) -> None:
    """An account is the same however it is quoted."""
    assert account(text) == name


@pytest.mark.parametrize(
    ("text", "vendor", "version"),
    [
        ("10.11.19-MariaDB-0+deb12u1-log", "MariaDB", (10, 11, 19)),
        ("5.5.5-10.6.12-MariaDB", "MariaDB", (10, 6, 12)),
        ("5.5.68-MariaDB", "MariaDB", (5, 5, 68)),
        ("11.4.5", "MariaDB", (11, 4, 5)),
        ("8.0.36-0ubuntu0.22.04.1", "MySQL", (8, 0, 36)),
        ("5.7.44-log", "MySQL", (5, 7, 44)),
        ("8.4", "MySQL", (8, 4, 0)),
        ("9.1.0", "MySQL", (9, 1, 0)),
        ("unknown", "", (0, 0, 0)),
        ("", "", (0, 0, 0)),
    ],
)
def test_servers(text: str, vendor: str, version: tuple[int, int, int]) -> None:
    """MariaDB and MySQL are told apart, and their versions read."""
    assert server(text) == Server(vendor, version)


@pytest.mark.parametrize(
    ("made", "here", "expected"),
    [
        ("10.11.19-MariaDB", "10.11.2-MariaDB", []),
        ("10.6.1-MariaDB", "11.4.2-MariaDB", []),
        ("11.4.2-MariaDB", "10.11.19-MariaDB", ["newer-server"]),
        ("8.4.0", "8.0.36", ["newer-server"]),
        ("5.7.44", "8.0.36", []),
        ("8.0.36", "10.11.19-MariaDB", ["other-server"]),
        ("10.11.19-MariaDB", "8.0.36", ["other-server"]),
        ("", "10.11.19-MariaDB", []),
    ],
)
def test_server_versions(made: str, here: str, expected: list[str]) -> None:
    """A backup of a newer series, or of the other server, is said with both versions, and can be accepted."""
    contents = replace(GOOD, facts=replace(FACTS, server=made))
    said = found(contents, live=replace(LIVE, server=here))
    assert [one.code for one in said] == expected
    assert all(made in one.text and here in one.text and not one.fatal for one in said)


@pytest.mark.parametrize(
    ("collation", "here", "known", "expected"),
    [
        ("utf8mb4_0900_ai_ci", "10.11.19-MariaDB", ("utf8mb4_general_ci",), ["collation"]),
        ("utf8mb4_0900_ai_ci", "10.11.19-MariaDB", (), ["collation"]),
        ("utf8mb4_0900_ai_ci", "11.4.4-MariaDB", (), ["collation"]),
        ("utf8mb4_0900_ai_ci", "11.4.5-MariaDB", ("utf8mb4_general_ci",), []),
        ("utf8mb4_0900_ai_ci", "8.0.36", (), []),
        ("utf8mb4_uca1400_ai_ci", "10.11.19-MariaDB", ("uca1400_ai_ci",), []),
        ("utf8mb4_uca1400_ai_ci", "10.6.12-MariaDB", (), ["collation"]),
        ("utf8mb4_uca1400_ai_ci", "8.0.36", (), ["collation"]),
        ("utf8mb4_klingon_ci", "8.0.36", ("utf8mb4_general_ci",), ["collation"]),
        ("utf8mb4_klingon_ci", "8.0.36", (), []),
    ],
)
def test_collations(collation: str, here: str, known: tuple[str, ...], expected: list[str]) -> None:
    """A collation that the server does not know is fatal, and the way out is said."""
    contents = replace(GOOD, collations=(collation,), facts=replace(FACTS, server=here))
    said = found(contents, live=replace(LIVE, server=here, collations=known), last=None)
    assert [one.code for one in said] == expected
    assert all(one.fatal and collation in one.text and "dump it again" in one.text for one in said)


@pytest.mark.parametrize(
    ("dumped", "expected"),
    [
        ("latin1", ["charset"]),
        ("utf8", ["charset"]),
        ("utf8mb3", ["charset"]),
        ("utf8mb4", []),
        ("binary", []),
        ("", []),
    ],
)
def test_character_sets(dumped: str, expected: list[str]) -> None:
    """A dump in a character set narrower than its tables has lost characters."""
    assert codes(replace(GOOD, facts=replace(FACTS, charset=dumped))) == expected
    narrow = replace(GOOD, facts=replace(FACTS, charset=dumped), collations=("latin1_swedish_ci",))
    assert codes(narrow, live=replace(LIVE, charset="latin1", collations=()), last=None) == []


def test_longest_statement() -> None:
    """A statement up to two bytes short of max_allowed_packet is taken; a longer one is fatal, with what to set."""
    assert codes(replace(GOOD, longest=(16 << 20) - 2)) == []
    (only,) = found(replace(GOOD, longest=(16 << 20) - 1))
    assert (only.code, only.fatal) == ("max-packet", True)
    assert only.text.endswith("the server takes 16,777,214: SET GLOBAL max_allowed_packet=33554432")
    (huge,) = found(replace(GOOD, longest=1 << 30))
    assert huge.text.endswith("no server takes more than 1 GiB")


def test_space() -> None:
    """Too little space is fatal where it certainly is, to be accepted where it may be; unknown space is nothing."""
    big = replace(GOOD, tables=tuple(replace(one, bytes=1 << 30) for one in TABLES))
    need = estimate(big, LIVE, GOOD)
    assert codes(big, live=replace(LIVE, free=need)) == []
    (tight,) = found(big, live=replace(LIVE, free=need - 1))
    assert (tight.code, tight.fatal) == ("space-tight", False)
    assert re.search(rf"{need:,} bytes .* {need - 1:,} are free", tight.text)
    (none,) = found(big, live=replace(LIVE, free=1 << 30))
    assert (none.code, none.fatal) == ("space", True)
    assert codes(big, live=replace(LIVE, free=-1)) == []


def test_estimate_follows_the_live_data() -> None:
    """What the live data takes per byte of the last dump's text is what the next one will take."""
    text = sum(one.bytes for one in GOOD.tables)
    narrow = replace(LIVE, tables=tuple(LiveTable(one.name, 1_000, 5 * one.bytes) for one in TABLES))
    assert estimate(GOOD) == int(text * plausible.GROWTH) + plausible.BESIDE
    assert estimate(GOOD, narrow, GOOD) == text * 5 + plausible.BESIDE


def test_every_code_is_in_the_table() -> None:
    """The module's table names every code, and says rightly which can be accepted."""
    rows = re.findall(r"^    ([a-z-]+) +(yes|no) +\S", plausible.__doc__ or "", re.MULTILINE)
    assert {code: accept == "yes" for code, accept in rows} == CODES


TEXT = st.text(max_size=12)
SOME_TABLES = st.lists(
    st.builds(Table, TEXT, TEXT, TEXT, st.integers(-1, 10**12), st.integers(0, 10**15)),
    max_size=5,
    unique_by=lambda t: t.name,
).map(tuple)
SOME_OBJECTS = st.lists(st.builds(Object, TEXT, TEXT, TEXT, TEXT), max_size=5).map(tuple)
SOME = st.builds(
    Contents,
    st.builds(Facts, server=TEXT, database=TEXT, charset=TEXT),
    SOME_TABLES,
    SOME_OBJECTS,
    st.integers(0, 1 << 31),
    collations=st.lists(TEXT, max_size=3).map(tuple),
)
SOME_LIVE = st.builds(
    Live,
    TEXT,
    st.lists(st.builds(LiveTable, TEXT, st.integers(0, 10**12), st.integers(0, 10**15)), max_size=5).map(tuple),
    accounts=st.lists(TEXT, max_size=3).map(tuple),
    powerful=st.lists(TEXT, max_size=3).map(tuple),
    max_packet=st.integers(0, 1 << 30),
    free=st.integers(-1, 10**15),
)


@given(SOME, st.none() | SOME_LIVE, st.none() | SOME)
def test_hostile_contents(contents: Contents, live: Live | None, last: Contents | None) -> None:
    """Whatever a backup or a ruined server says, findings have known codes and texts that are safe to show."""
    for one in findings(contents, "site", live=live, last=last):
        assert one.fatal is not CODES[one.code]
        assert one.text == printable(one.text, one_line=True)


@given(SOME)
def test_a_backup_is_plausible_against_itself(contents: Contents) -> None:
    """Nothing is missing, shrunken or planted in what equals the last good backup."""
    compared = {"missing-tables", "shrunken", "objects-missing", "definers"}
    assert not compared & {one.code for one in findings(contents, "site", last=contents)}
