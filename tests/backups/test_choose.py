"""The choice: newest by the time inside, every copy of it, then the next older; whatever is damaged or touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.backups import times
from remedy.backups.assemble import Assembly, complete
from remedy.backups.choose import order
from remedy.backups.fallback import Decision, Failure, Search, decide
from remedy.backups.values import Backup, Contents, Copy, Database, Facts, File, Finding, Judgement, Table
from remedy.core.errors import UsageError

COPIES = (
    Copy("local", place="room", host="db01", path="/b"),
    Copy("building-b", place="b", host="bk", path="/b"),
    Copy("off-site", place="far", off_site=True, bucket="b"),
)
SITE = Database("site", "site", "db01", COPIES, timezone="UTC")
HOUR, DAY = 3_600, 86_400
NOW = 1_770_100_000


def backup(name: str, copy: str = "local", *, changed: int = NOW, size: int = 10, odd: str = "") -> Backup:
    """A backup of one file."""
    return Backup(name, copy, "dump", (File(f"{name}.gz", size, changed),), odd=odd)


def judged(
    content: str, time: int, level: str = "whole", *findings: str, text: str = "", gtid: str = "", binlog: str = ""
) -> Judgement:
    """A verdict on some content. Findings whose name ends in "?" can be accepted."""
    facts = Facts(time=time, time_text=text, gtid=gtid, binlog=binlog)
    found = tuple(Finding(code.rstrip("?"), f"{code} is wrong", fatal=not code.endswith("?")) for code in findings)
    return Judgement(content.ljust(64, "0"), 10, level, Contents(facts), found)


def newest(known: Mapping[Backup, Judgement], *unread: Backup, zone: str = "UTC") -> list[str]:
    """The names of the candidates in order."""
    return [one.name for one in order([*known, *unread], known, replace(SITE, timezone=zone)).candidates]


# ---- times


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2026-02-03  2:00:07", "UTC", 1_770_084_007),
        ("2026-02-03 02:00:07", "Asia/Shanghai", 1_770_084_007 - 8 * HOUR),
        ("2026-02-03T02:00:07.123", "UTC", 1_770_084_007),
        ("2026-02-03 02:00:07 UTC", "Asia/Shanghai", 1_770_084_007),
        ("2026-02-03 02:00:07+08:00", "Europe/Berlin", 1_770_084_007 - 8 * HOUR),
        ("2026-10-25 02:30:00", "Europe/Berlin", 1_792_888_200),  # shown twice: the earlier, in summer time
        ("2026-03-29 02:30:00", "Europe/Berlin", 1_774_744_200),  # never shown: as if summer time had begun, 01:30
        ("2026-02-30 02:00:00", "UTC", 0),
        ("2026-02-03", "UTC", 0),
        ("0001-01-01 00:00:00", "Asia/Shanghai", 0),
        ("٢٠٢٦-02-03 02:00:00", "UTC", 0),
        ("", "UTC", 0),
    ],
)
def test_local_times(text: str, zone: str, instant: int) -> None:
    """A footer's text is an instant in the zone of its clock, never a later one than it may be; nonsense is 0."""
    assert times.local_time(text, zone) == instant


@pytest.mark.parametrize("name", ["", "Asia/Shangai", "Asia", "../../etc/passwd", "localtime", "posixrules", "a\0b"])
def test_unknown_zones(name: str) -> None:
    """Only an IANA name is a zone."""
    with pytest.raises(UsageError, match="no time zone"):
        times.local_time("2026-02-03 02:00:07", name)


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_hostile_facts(text: str, gtid: str, binlog: str) -> None:
    """No text inside a backup stops the ordering."""
    assert times.local_time(text, "Europe/Berlin") >= 0
    times.positions(Facts(gtid=gtid, binlog=binlog))


@pytest.mark.parametrize(
    ("facts", "positions"),
    [
        (Facts(gtid="0-1-4711"), ((("mariadb", "0"), (4711,)),)),
        (Facts(gtid="1-2-17, 0-1-4711"), ((("mariadb", "0", "1"), (4728,)),)),
        (
            Facts(gtid="3E11FA47-71CA-11E1-9E33-C80AA9429562:1-77:80", binlog="db-bin.000412:345"),
            ((("mysql", "3e11fa47-71ca-11e1-9e33-c80aa9429562"), (78,)), (("log", "db-bin"), (412, 345))),
        ),
        (Facts(gtid="0-1", binlog="x"), ()),
    ],
)
def test_positions(facts: Facts, positions: tuple[times.Position, ...]) -> None:
    """MariaDB's and MySQL's positions and places in the binary log are read."""
    assert times.positions(facts) == positions


# ---- order


def test_time_inside_decides() -> None:
    """Last week's dump, touched or copied now, stands where the time inside it says."""
    old, new = backup("site-2026-01-27.sql"), backup("site-2026-02-03.sql", changed=NOW - HOUR)
    known = {old: judged("a", NOW - 7 * DAY), new: judged("b", NOW - 2 * HOUR)}
    assert newest(known) == ["site-2026-02-03.sql", "site-2026-01-27.sql"]


def test_zone_of_the_clock() -> None:
    """The same text is eight hours earlier in Shanghai than in UTC."""
    dump, manual = backup("a-2026-02-03.sql"), backup("b-2026-02-03.sql")
    known = {dump: judged("a", 0, text="2026-02-03  2:00:00"), manual: judged("b", 1_770_060_000)}
    assert newest(known) == ["a-2026-02-03.sql", "b-2026-02-03.sql"]
    assert newest(known, zone="Asia/Shanghai") == ["b-2026-02-03.sql", "a-2026-02-03.sql"]


def test_a_time_that_cannot_be() -> None:
    """A backup that claims to be newer than its own bytes counts as no newer than those, and it is told."""
    liar, honest = backup("a-2026-02-03.sql", changed=NOW - DAY), backup("b-2026-02-02.sql", changed=NOW - HOUR)
    known = {liar: judged("a", NOW + DAY), honest: judged("b", NOW - 2 * HOUR)}
    found = order(known, known, SITE)
    assert [one.name for one in found.candidates] == ["b-2026-02-02.sql", "a-2026-02-03.sql"]
    assert "its bytes were last written at" in found.contradictions[0]


def test_copies_are_one_candidate() -> None:
    """Copies of one content are one candidate, nearest first, whatever they are called."""
    known = {
        backup("site-2026-02-03.sql", "off-site"): judged("a", NOW - HOUR),
        backup("latest.sql", "local"): judged("a", NOW - HOUR),
    }
    (only,) = order(known, known, SITE).candidates
    assert (only.name, [one.copy for one in only.copies]) == ("site-2026-02-03.sql", ["local", "off-site"])


def test_unread_copies_are_taken_for_the_same() -> None:
    """An unread copy of a dated name and size is taken for the one that was read, one of another size is not."""
    near, far = backup("site-2026-02-03.sql"), backup("site-2026-02-03.sql", "off-site", changed=NOW + HOUR)
    known = {near: judged("a", NOW - HOUR)}
    (only,) = order([near, far], known, SITE).candidates
    assert (only.copies, only.sure) == ((near, far), (True, False))
    other = replace(far, files=(replace(far.files[0], size=11),))
    assert len(order([near, other], known, SITE).candidates) == 2
    sealed = replace(far, files=(File("site-2026-02-03.sql.gz.gpg", 99, NOW + HOUR),))
    assert len(order([near, sealed], known, SITE).candidates) == 1


def test_names_without_a_date_say_nothing() -> None:
    """A name that is used every night does not make two copies one backup."""
    near, far = backup("site.sql"), backup("site.sql", "off-site", changed=NOW + HOUR)
    assert len(order([near, far], {near: judged("a", NOW - HOUR)}, SITE).candidates) == 2


def test_one_name_in_two_folders() -> None:
    """A dated name that one copy has in two folders is two backups; the folder tells which is which elsewhere."""
    rows = [
        Backup("2026-02-03.sql", copy, "dump", (File(f"{folder}/2026-02-03.sql", 10, NOW),))
        for copy in ("local", "off-site")
        for folder in ("db01", "db02")
    ]
    found = order(rows, {}, SITE).candidates
    assert [[one.files[0].name for one in candidate.copies] for candidate in found] == [
        ["db01/2026-02-03.sql"] * 2,
        ["db02/2026-02-03.sql"] * 2,
    ]


def test_the_same_text_stored_in_two_ways() -> None:
    """A plain copy and an encrypted one are the same content when the same tables are inside."""
    tables = (Table("notice", "c" * 64, "r" * 64, 3, 90),)
    plain, sealed = judged("a", NOW - HOUR), judged("b", NOW - HOUR)
    plain, sealed = (replace(one, contents=replace(one.contents, tables=tables)) for one in (plain, sealed))
    far = Backup("site-2026-02-03.sql", "off-site", "dump", (File("site-2026-02-03.sql.gpg", 99, NOW),))
    known = {backup("site-2026-02-03.sql"): plain, far: sealed}
    (only,) = order(known, known, SITE).candidates
    assert (only.sure, only.sha256) == ((True, True), plain.sha256)


def test_altered_copies_are_told() -> None:
    """Two copies of one name and size with different bytes are a contradiction."""
    known = {
        backup("site-2026-02-03.sql"): judged("a", NOW - HOUR),
        backup("site-2026-02-03.sql", "off-site"): judged("b", NOW - HOUR),
    }
    found = order(known, known, SITE)
    assert len(found.candidates) == 2
    assert "one of them was altered" in found.contradictions[0]


def test_position_before_clock() -> None:
    """A dump by a clock in another zone is put right by the server's position, and it is told."""
    daily = backup("a-2026-02-03.sql", changed=NOW - 4 * HOUR)
    manual = backup("b-2026-02-03.sql", changed=NOW - 2 * HOUR)
    known = {
        daily: judged("a", NOW - 4 * HOUR, gtid="0-1-100"),
        manual: judged("b", NOW - 10 * HOUR, gtid="0-1-200"),  # made two hours ago, its clock is eight hours behind
    }
    found = order(known, known, SITE)
    assert [one.name for one in found.candidates] == ["b-2026-02-03.sql", "a-2026-02-03.sql"]
    assert "the position counts" in found.contradictions[0]


@pytest.mark.parametrize("copied", [False, True])
def test_position_begun_anew(copied: bool) -> None:  # noqa: FBT001 -- a table
    """On a server set up anew positions begin again: backups from before are not the newest, even if copied since."""
    known = {}
    for at in range(6):  # three before, three after
        made = NOW - (12 - 2 * at) * DAY
        known[backup(f"a-{at}", changed=NOW if copied else made + 60)] = judged(
            f"{at}", made, binlog=f"x-bin.{(410, 1)[at >= 3] + at:06}:4"
        )
    found = order(known, known, SITE)
    assert [one.name for one in found.candidates] == ["a-5", "a-4", "a-3", "a-2", "a-1", "a-0"]
    assert len(found.contradictions) == 1
    assert "begun anew" in found.contradictions[0]


def test_undated_content_comes_last() -> None:
    """A backup that holds no time is never taken for the newest while another one tells its own."""
    known = {backup("a"): judged("a", 0), backup("b"): judged("b", NOW - 300 * DAY)}
    assert newest(known) == ["b", "a"]


# ---- search


def search(known: Mapping[Backup, Judgement], *unread: Backup, **more: object) -> Decision:
    """One step of the search."""
    return decide(replace(Search(SITE, (*known, *unread), known), **more))  # type: ignore[arg-type]


def test_stops_when_nothing_can_be_newer() -> None:
    """An unread backup is read while its bytes may be newer than the best time known, and no longer."""
    best = backup("b-2026-02-02.sql", changed=NOW)
    known = {best: judged("b", NOW - HOUR, "proven")}
    maybe, never = backup("a", changed=NOW - HOUR + 1), backup("c", changed=NOW - HOUR)
    assert search(known, never).source == best
    needed = search(known, maybe, never).read
    assert needed
    assert (needed.backup, needed.level, needed.why) == (maybe, "whole", "it may be the newest")


def test_proof_comes_after_the_order() -> None:
    """The newest is restored only once it is known to be the newest."""
    newer, older = backup("b", changed=NOW), backup("a", changed=NOW - DAY)
    needed = search({newer: judged("b", NOW - HOUR)}, older).read
    assert needed
    assert (needed.backup, needed.level) == (newer, "proven")
    assert search({newer: judged("b", NOW - HOUR)}, older, wanted="whole").source == newer


def test_every_copy_before_the_next_older() -> None:
    """A newest that is corrupt here but good far away beats an older good one; why is recorded, and what is absent."""
    name = "site-2026-02-03.sql"
    here, far = backup(name, size=4), backup(name, "off-site")
    older = backup("site-2026-02-02.sql", changed=NOW - DAY)
    known = {here: judged("x", 0, "listed", "truncated"), older: judged("o", NOW - DAY, "proven")}
    needed = search(known, far).read
    assert needed
    assert (needed.backup, needed.why) == (far, "another copy of it is rejected")
    found = search(known | {far: judged("n", NOW - HOUR, "proven")})
    assert found.source == far
    assert [(one.copy, one.kind, one.level) for one in found.rejections] == [("local", "corrupt", "listed")]
    lost = search(known | {far: judged("n", 0, "readable", "cut")})
    assert lost.source == older
    assert [(one.copy, one.kind, one.costs(lost.chosen)) for one in lost.rejections] == [
        ("local", "corrupt", 1440),
        ("off-site", "corrupt", 1440),
        ("building-b", "absent", 1440),
    ]


def test_unreachable_absent_and_corrupt_are_told_apart() -> None:
    """What could not be listed, what is not there, what vanished and what is damaged have different words."""
    name = "site-2026-02-03.sql"
    gone, bad = backup(name), backup(name, "building-b")
    found = search(
        {bad: judged("x", 0, "listed", "corrupt")},
        gone,
        failed={gone: Failure("absent", "it was listed and is gone")},
        unlisted={"off-site": "no answer from s3.example"},
    )
    assert (found.read, found.chosen) == (None, None)
    assert [(one.copy, one.kind) for one in found.rejections] == [
        ("off-site", "unreachable"),
        ("local", "absent"),
        ("building-b", "corrupt"),
    ]


def test_what_holds_for_the_content_holds_for_its_copies() -> None:
    """A dump of another database is not fetched from far away to be told the same again."""
    name = "shop-2026-02-03.sql"
    here, far = backup(name), backup(name, "off-site")
    found = search({here: judged("x", NOW - HOUR, "whole", "wrong-database")}, far)
    assert (found.read, found.chosen) == (None, None)
    assert [(one.copy, one.kind) for one in found.rejections][:2] == [("local", "unfit"), ("off-site", "unfit")]


def test_accepted_findings() -> None:
    """What the operator accepts is no objection, a mere note never was; what is fatal stays one."""
    one = backup("a")
    assert search({one: judged("a", NOW - HOUR, "proven", "bom?")}).source == one
    known = {one: judged("a", NOW - HOUR, "proven", "shrunken?")}
    assert search(known).chosen is None
    assert search(known, accepted=frozenset({"shrunken"})).source == one
    fatal = {one: judged("a", NOW - HOUR, "proven", "collation")}
    assert search(fatal, accepted=frozenset({"collation"})).chosen is None


def test_odd_ones_are_never_read() -> None:
    """Links, pipes and sets with a gap are rejected unread."""
    found = search({}, backup("a", odd="a symbolic link"))
    assert (found.read, [one.kind for one in found.rejections]) == (None, ["odd"])


def test_before_a_time() -> None:
    """With a time, the newest backup made before it is found; names of later days are left unread, and named."""
    early, late = backup("site-2026-02-01.sql", changed=NOW), backup("site-2026-02-03.sql", changed=NOW)
    known = {early: judged("a", NOW - 2 * DAY, "proven"), late: judged("b", NOW - HOUR, "proven")}
    assert search(known, at=NOW - DAY).source == early
    assert search(known, at=NOW - 3 * DAY).chosen is None
    copied, later = backup("copied", changed=NOW), backup("site-2026-02-08.sql", changed=NOW + 5 * DAY)
    found = search(known, copied, later, at=NOW - DAY)
    assert found.read
    assert (found.read.backup, found.skipped) == (copied, ("site-2026-02-08.sql",))


def test_one_copy_only() -> None:
    """With a copy named, only what lies there counts."""
    here, far = backup("a"), backup("b", "off-site")
    known = {here: judged("a", NOW - HOUR, "proven"), far: judged("b", NOW - DAY, "proven")}
    assert search(known, only=frozenset({"off-site"})).source == far


def test_lower_levels_keep_to_the_time_inside() -> None:
    """Asked for less than whole, a backup without a time inside still is not taken for the newest."""
    undated, dated = backup("a"), backup("b")
    known = {undated: judged("a", 0, "readable"), dated: judged("b", NOW - 30 * DAY, "readable")}
    assert search(known, wanted="readable").source == dated


@dataclass(frozen=True)
class Made:
    """A backup as it really is: when it was made; per copy, when it was written there and what became of it."""

    name: str
    time: int
    copies: tuple[tuple[str, int, str], ...]


@st.composite
def worlds(draw: st.DrawFn) -> list[Made]:
    """Some backups with any pattern of damage, in any copies, copied and touched whenever."""
    made = []
    moments = draw(st.lists(st.integers(1, 400), max_size=7, unique=True))
    for at, hours in enumerate(moments):
        time = NOW - hours * HOUR
        name = f"site-{times.shown(time, 'UTC')[:10]}-{at}.sql" if draw(st.booleans()) else f"site{at}.sql"
        copies = []
        for copy in COPIES:
            state = draw(st.sampled_from(["good", "good", "cut", "flipped", "unproven", "gone", "unreachable", "none"]))
            if state != "none":
                copies.append((copy.name, draw(st.integers(time, NOW)), state))
        made.append(Made(name, time, tuple(copies)))
    return made


def revealed(made: list[Made]) -> dict[Backup, Judgement | Failure]:
    """What reading each copy of each backup shows; proving those that are "unproven" fails."""
    truth: dict[Backup, Judgement | Failure] = {}
    for one in made:
        for copy, changed, state in one.copies:
            listed = backup(one.name, copy, changed=changed, size=6 if state == "cut" else 10)
            verdict: Judgement | Failure = judged(one.name, one.time, "proven")
            if state == "cut":
                verdict = judged(one.name + "cut", 0, "listed", "truncated")
            elif state == "flipped":
                verdict = judged(one.name + "flipped", 0, "readable", "corrupt")
            elif state in {"gone", "unreachable"}:
                verdict = Failure("absent" if state == "gone" else state, "could not be read")
            elif state == "unproven":
                verdict = judged(one.name, one.time, "whole", "proof")
            truth[listed] = verdict
    return truth


def carried_out(made: list[Made], *, at: int = 0, known: bool = False) -> tuple[Decision, list[Backup]]:
    """Search until something is chosen, judging as the truth is; the decision, and what was read."""
    truth = revealed(made)
    verdicts = {one: verdict for one, verdict in truth.items() if known and isinstance(verdict, Judgement)}
    failed: dict[Backup, Failure] = {}
    read: list[Backup] = []
    for _ in range(3 * len(truth) + 1):
        decision = decide(Search(SITE, tuple(truth), verdicts, failed=failed, at=at))
        if not decision.read:
            return decision, read
        one, level = decision.read.backup, decision.read.level
        verdict = truth[one]
        read.append(one)
        if isinstance(verdict, Failure):
            failed[one] = verdict
            continue
        verdicts[one] = verdict
        if level == "whole" and verdict.level in {"whole", "proven"}:
            verdicts[one] = replace(verdict, level="whole", findings=())
    raise AssertionError("the search does not end")


@given(worlds(), st.booleans(), st.integers(0, 400))
def test_the_newest_valid_is_chosen(made: list[Made], known: bool, hours: int) -> None:  # noqa: FBT001 -- Hypothesis
    """Whatever the damage, and whatever was touched, the search ends with the newest backup that has a good copy."""
    at = NOW - hours * HOUR if hours else 0
    decision, read = carried_out(made, at=at, known=known)
    good = [one for one in made if any(state == "good" for *_, state in one.copies)]
    valid = [one.time for one in good if not at or one.time <= at]
    assert (decision.chosen.time if decision.chosen else 0) == max(valid, default=0)
    assert len(read) <= 2 * sum(len(one.copies) for one in made)
    if decision.chosen and not at:
        able = {one.name for one in made if any(changed >= decision.chosen.time for _, changed, _ in one.copies)}
        assert {one.name for one in read} <= able  # nothing is read that cannot be newer
        assert all(one.minutes >= 0 for one in decision.rejections)


@given(worlds(), st.integers(1, 400), st.integers(0, 400))
def test_an_older_backup_never_changes_the_choice(made: list[Made], hours: int, after: int) -> None:
    """Adding a good but older backup, copied whenever, leaves the choice as it was."""
    before, _ = carried_out(made)
    older = NOW - (500 + hours) * HOUR
    added = Made("added-20260101.sql", older, (("local", older + after * HOUR, "good"),))
    now, _ = carried_out([*made, added])
    assert (now.source == before.source) if before.source else (now.chosen and now.chosen.name == added.name)


FORMS = st.sampled_from(["", "0-1-{}", "x-bin.000001:{}"])
POSITIONS = st.tuples(st.integers(1, 300), st.integers(0, 100), FORMS, st.integers(1, 9))


@given(st.lists(POSITIONS, min_size=1, max_size=9), st.data())
def test_an_older_position_never_changes_the_order(rows: list[tuple[int, int, str, int]], data: st.DataObject) -> None:
    """With positions and contradictions of any kind, what is older in every respect leaves the first as it is."""

    def made(at: int, row: tuple[int, int, str, int]) -> tuple[Backup, Judgement]:
        time, later, form, far = row
        position = form.format(far) if form else ""
        gtid, binlog = (position, "") if form.startswith("0") else ("", position)
        return backup(f"b{at}", changed=1000 + time + later), judged(f"{at:03}", 1000 + time, gtid=gtid, binlog=binlog)

    known = dict(made(at, row) for at, row in enumerate(rows))
    first = order(known, known, SITE).candidates[0]
    older = (data.draw(st.integers(0, first.time - 1000)) - 1, data.draw(st.integers(0, 400)), data.draw(FORMS), 0)
    extra, verdict = made(99, older)
    again = order([*known, extra], known | {extra: verdict}, SITE).candidates
    assert again[0].name == first.name
    assert sorted(one.name for one in again) == sorted([*(f"b{at}" for at in range(len(rows))), "b99"])


@given(worlds())
def test_order_loses_nothing(made: list[Made]) -> None:
    """Every backup of every copy is in exactly one candidate."""
    rows = [backup(one.name, copy, changed=changed) for one in made for copy, changed, _ in one.copies]
    found = order(rows, {}, SITE).candidates
    assert sorted(map(str, (one for candidate in found for one in candidate.copies))) == sorted(map(str, rows))


def test_thousands_are_ordered_quickly() -> None:
    """Years of hourly backups, half of them from before a server was set up anew, need no quadratic work."""
    known = {}
    for at in range(6000):
        made = NOW - (6000 - at) * HOUR
        far = at + (10_000 if at < 3000 else 0)
        known[backup(f"s-{at}", changed=NOW)] = judged(f"{at:05}", made, gtid=f"0-1-{far}")
    found = order(known, known, SITE)
    assert len(found.candidates) == 6000
    assert [one.name for one in found.candidates[:2]] == ["s-5999", "s-5998"]


# ---- completion

FOLDER = ("metadata", "site-schema-create.sql", "site.notice-schema.sql", "site.notice.sql")


def export(copy: str, folder: str, *names: str) -> Backup:
    """A mydumper folder with these files, its checksum file inside."""
    files = tuple(File(f"{folder}/{name}", 10, NOW) for name in names)
    return Backup("2026-02-03", copy, "mydumper", files, checksum=File(f"{folder}/SHA256SUMS", 10, NOW))


def sums(*names: str) -> list[tuple[str, str]]:
    """A checksum file's lines."""
    return [(f"digest of {name.rpartition('/')[2]}", name) for name in names]


def took(made: Assembly) -> list[tuple[str, str]]:
    """Copy and name of each piece."""
    return [(piece.copy, piece.file.name) for piece in made.pieces]


def test_a_folder_is_completed_from_another_copy() -> None:
    """A file that one copy lost, or holds damaged, is taken from the next one that has it."""
    parts = [export("local", "x/2026-02-03", *FOLDER[:3]), export("off-site", "2026-02-03", *FOLDER)]
    said = {"local": sums(*FOLDER), "off-site": sums(*(f"./{name}" for name in FOLDER))}
    assert took(complete(parts, said)) == [
        ("local", "x/2026-02-03/metadata"),
        ("local", "x/2026-02-03/site-schema-create.sql"),
        ("local", "x/2026-02-03/site.notice-schema.sql"),
        ("off-site", "2026-02-03/site.notice.sql"),
    ]
    bad = {("local", "metadata")}
    assert took(complete(parts, {"local": sums(*FOLDER)}, bad))[0] == ("off-site", "2026-02-03/metadata")
    assert complete(parts, {"local": sums(*FOLDER)}).pieces[3].sha256 == "digest of site.notice.sql"


def test_a_set_is_completed_in_order() -> None:
    """Parts come in the order of their numbers; other files of the same checksum file are left out."""
    names = [f"a.sql.gz.part{at}" for at in (1, 2, 10)]
    whole = File("SHA256SUMS", 10, NOW)
    parts = [
        Backup("a.sql", copy, "dump", tuple(File(name, 10, NOW) for name in have), checksum=whole)
        for copy, have in (("local", names[1:2]), ("building-b", [names[2], names[0]]))
    ]
    made = complete(parts, {"local": sums("other.sql", *names)})
    assert took(made) == [("building-b", names[0]), ("local", names[1]), ("building-b", names[2])]


def test_what_cannot_be_completed() -> None:
    """Without checksums, with a file that nobody has, or with two backups under one name nothing is put together."""
    parts = [export("local", "d", *FOLDER[:3]), export("off-site", "d", *FOLDER[1:])]
    assert "no copy has checksums" in complete(parts, {}).why_not
    assert complete(parts, {"local": sums(*FOLDER, "site.gone.sql")}).why_not == "no copy has a good site.gone.sql"
    other = [("f" * 64, name) for name in FOLDER]
    assert "these are two backups" in complete(parts, {"local": sums(*FOLDER), "off-site": other}).why_not
    assert complete([], {}).pieces == ()
