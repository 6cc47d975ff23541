"""The search for the newest valid backup, over real bytes in real containers, with copies that fail."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NoReturn

import pytest
from tests.worlds.memory import Journal
from tests.worlds.shelves import Shelf, dump, packed

from remedy.backups.plausible import Live, LiveTable
from remedy.backups.values import Backup, Copy, Database, File, Finding, Judgement, Keys
from remedy.core.errors import Interrupted, RecordUnavailable, UsageError
from remedy.core.ports import Tell
from remedy.engine import joining, search, verdicts
from remedy.engine.search import Choice, Judging, Prove
from remedy.transports.transfers.pipeline import read_backup

LOCAL = Copy("local", "machine room", host="db01", path="/var/backups")
ANNEX = Copy("annex", "building B", host="backup01", path="/srv/backups")
FAR = Copy("far", "other city", off_site=True, endpoint="http://s3", bucket="b")
SITE = Database("site", "site", "db01", (LOCAL, ANNEX, FAR), timezone="UTC")
DAY = 86_400


def at(day: int, hour: int = 2, minute: int = 0) -> int:
    """An instant of November 2026, UTC."""
    return int(datetime(2026, 11, day, hour, minute, tzinfo=UTC).timestamp())


def text(day: int, *, rows: int = 200, **other: str) -> bytes:
    """The dump of that night."""
    return dump(f"2026-11-{day}  2:00:07", rows=rows, **other)  # type: ignore[arg-type]


def name(day: int, ending: str = ".gz") -> str:
    """What it is called."""
    return f"site-2026-11-{day}.sql{ending}"


def unsealed(chunks: Iterable[bytes], _keys: Keys) -> tuple[str, bool, Iterator[bytes]]:
    """Nothing is encrypted here."""
    return "", False, iter(chunks)


@dataclass
class World:
    """Three copies, a record, and somebody who searches."""

    shelves: dict[str, Shelf] = field(default_factory=lambda: {copy.name: Shelf(copy) for copy in SITE.copies})
    journal: Journal = field(default_factory=Journal)
    database: Database = SITE
    read: list[str] = field(default_factory=list)
    told: list[tuple[str, int, int]] = field(default_factory=list)
    prove: Prove | None = None

    def put(self, day: int, data: bytes | None = None, *, copies: Iterable[str] = ("local", "annex", "far")) -> None:
        """A backup of that night in these copies, whole unless other bytes are given."""
        for copy in copies:
            self.shelves[copy].put(name(day), packed(text(day)) if data is None else data, at(day, 2, 10))

    def judging(self, only: str = "") -> Judging:
        """Somebody who searches, knowing what the record knows."""
        found = search.listing(self.database, lambda copy: self.shelves[copy.name], self.journal, only=only)
        return Judging(found, self.journal, self._read, self._tell, self.prove, "INC-1")

    def _read(self, copy: Copy, backup: Backup, tell: Tell) -> Judgement:
        self.read.append(f"{copy.name}/{backup.name}")
        behind = {one.name: self.shelves[one.name] for one in joining.parts(copy, self.database)}
        shelf = joining.Joined(copy, behind) if behind else self.shelves[copy.name]
        return read_backup(lambda _: shelf, self.database, backup, unsealed, lambda _: None, tell)

    def _tell(self, what: str, done: int, total: int) -> None:
        self.told.append((what, done, total))

    def choice(self, wanted: str = "whole", **more: object) -> Choice:
        """A search."""
        only = str(more.pop("only", ""))
        return search.newest_valid(self.judging(only), wanted=wanted, **more)  # type: ignore[arg-type]

    def rejected(self) -> list[tuple[str, str, int]]:
        """What the record says was passed over: copy, backup, minutes."""
        bodies = [json.loads(entry.body) for entry in self.journal.entries(kinds=(verdicts.REJECTED,))]
        return [(body["copy"], body["backup"], body["minutes"]) for body in bodies]


@pytest.fixture
def world() -> World:
    """Three nights in all three copies."""
    made = World()
    for day in (17, 18, 19):
        made.put(day)
    return made


def put_parts(world: World, day: int, lost: dict[str, tuple[str, ...]], *, flip: dict[str, str] | None = None) -> None:
    """A backup in three parts with their checksums in every copy, less what is lost; a bit of `flip` is wrong."""
    data, stem = packed(text(day, rows=3000)), name(day)
    third = len(data) // 3
    pieces = {"aa": data[:third], "ab": data[third : 2 * third], "ac": data[2 * third :]}
    sums = "".join(f"{hashlib.sha256(one).hexdigest()}  {stem}.part{mark}\n" for mark, one in pieces.items())
    for copy, shelf in world.shelves.items():
        shelf.put(f"{stem}.sha256", sums.encode(), at(day, 2, 10))
        for mark, one in pieces.items():
            if mark not in lost.get(copy, ()):
                wrong = bytes([one[0] ^ 1]) + one[1:] if (flip or {}).get(copy) == mark else one
                shelf.put(f"{stem}.part{mark}", wrong, at(day, 2, 10))


def taken(choice: Choice) -> tuple[str, str]:
    """Copy and name of what is taken."""
    return (choice.copy.name, choice.backup.name) if choice.copy and choice.backup else ("", "")


def test_the_newest_from_the_nearest(world: World) -> None:
    """The newest backup is taken from the nearest copy, and nothing else is read: nothing can be newer."""
    choice = world.choice()
    assert taken(choice) == ("local", "site-2026-11-19.sql")
    assert world.read == ["local/site-2026-11-19.sql"]
    assert choice.judgement
    assert choice.judgement.contents.facts.time == at(19) + 7
    assert len(choice.unread) == 8
    assert not choice.rejections


def test_nothing_is_read_twice(world: World) -> None:
    """A second search reads nothing: the record knows the files, whoever asks."""
    world.choice()
    world.read.clear()
    assert taken(world.choice()) == ("local", "site-2026-11-19.sql")
    assert world.read == []


def test_changed_files_are_read_again(world: World) -> None:
    """A file that is another one since it was judged is judged anew, and what it is now counts."""
    world.choice()
    world.shelves["local"].put(name(19), packed(text(19))[:-20], at(20))
    assert taken(world.choice()) == ("annex", "site-2026-11-19.sql")
    assert world.rejected() == [("local", "site-2026-11-19.sql", 0)]


def test_damaged_here_and_good_there(world: World) -> None:
    """A newest backup that is damaged in the nearest copies and good far away beats an older good one here."""
    world.put(19, packed(text(19))[:2000], copies=("local",))
    broken = bytearray(packed(text(19)))
    broken[1500] ^= 1
    world.put(19, bytes(broken), copies=("annex",))
    choice = world.choice()
    assert taken(choice) == ("far", "site-2026-11-19.sql")
    assert [(one.copy, one.kind) for one in choice.rejections] == [("local", "corrupt"), ("annex", "corrupt")]
    assert world.rejected() == [("local", "site-2026-11-19.sql", 0), ("annex", "site-2026-11-19.sql", 0)]


def test_next_older_one(world: World) -> None:
    """When no copy of the newest is good the next older one is taken, and the record says what that costs."""
    world.put(19, packed(text(19))[:2000])
    choice = world.choice()
    assert taken(choice) == ("local", "site-2026-11-18.sql")
    assert {one.kind for one in choice.rejections} == {"corrupt"}
    reasons = [json.loads(entry.body)["reason"] for entry in world.journal.entries(kinds=(verdicts.REJECTED,))]
    assert len(reasons) == 3
    assert all("end" in reason for reason in reasons)
    assert all(minutes == 24 * 60 + 9 for _, _, minutes in world.rejected())


def test_an_unreachable_copy_stops_nothing(world: World) -> None:
    """A copy that cannot be listed is reported and recorded, and the others are searched."""
    world.shelves["local"].gone = True
    choice = world.choice()
    assert taken(choice) == ("annex", "site-2026-11-19.sql")
    assert [(one.copy, one.kind, one.backup) for one in choice.rejections] == [("local", "unreachable", "")]
    assert "no way there" in choice.rejections[0].reason
    assert world.rejected() == [("local", "", -1)]


def test_a_way_that_breaks_in_the_middle(world: World) -> None:
    """A copy whose bytes stop coming is passed over without a verdict on them, and left alone when it goes on."""
    world.shelves["local"].broken = {name(day) for day in (17, 18, 19)}
    for day in (18, 19):
        world.put(day, packed(text(day))[:2000], copies=("annex", "far"))
    choice = world.choice()
    assert taken(choice) == ("annex", "site-2026-11-17.sql")
    assert [one for one in world.read if one.startswith("local")] == [
        "local/site-2026-11-19.sql",
        "local/site-2026-11-18.sql",
    ]
    kinds = {(one.copy, one.kind) for one in choice.rejections}
    assert ("local", "unreachable") in kinds
    known = verdicts.known(world.journal, SITE)
    assert not [one for one in world.judging().found.backups if one.copy == "local" and known.of(LOCAL, one)]


def test_an_old_dump_touched_now(world: World) -> None:
    """Last week's dump whose file is new is read, because it might be the newest, and then falls to its place."""
    world.shelves["local"].put("again.sql.gz", packed(text(12, rows=180)), at(20))
    choice = world.choice()
    assert taken(choice) == ("local", "site-2026-11-19.sql")
    assert world.read[0] == "local/again.sql"
    assert [one.name for one in choice.order.candidates][-1] == "again.sql"


def test_all_invalid(world: World) -> None:
    """With nothing valid anywhere nothing is chosen, and the error says so, with exit code 27 and what is needed."""
    for day in (17, 18, 19):
        world.put(day, packed(text(day))[:2000])
    choice = world.choice()
    assert taken(choice) == ("", "")
    assert choice.unread == ()
    error = search.none_valid(choice)
    assert error.exit_code == 27
    assert "9 rejected" in error.message
    assert "nothing was touched" in error.message
    assert "vendor" in error.hint
    assert all(minutes == -1 for _, _, minutes in world.rejected())
    world.shelves["far"].gone = True
    assert "bring far back" in search.none_valid(world.choice()).hint


def test_no_backup_at_all() -> None:
    """Empty copies are as good as none: nothing is chosen."""
    world = World()
    choice = world.choice()
    assert choice.chosen is None
    assert search.none_valid(choice).exit_code == 27


def test_a_point_in_time(world: World) -> None:
    """With a time the newest backup made before it is taken; later ones are no rejections."""
    choice = world.choice(at=at(18, 12))
    assert taken(choice) == ("local", "site-2026-11-18.sql")
    assert not choice.rejections


def test_only_one_copy(world: World) -> None:
    """Only the copy that was asked for is listed; one that does not exist is a slip, with those that there are."""
    assert taken(world.choice(only="far")) == ("far", "site-2026-11-19.sql")
    world.put(19, b"no backup", copies=["far"])
    choice = world.choice(only="far")
    assert taken(choice) == ("far", "site-2026-11-18.sql")
    assert {one.copy for one in choice.rejections} == {"far"}, "of a copy that was not asked for nothing is said"
    with pytest.raises(UsageError, match="no copy 'moon'") as caught:
        world.choice(only="moon")
    assert "local, annex, far" in caught.value.hint


def test_no_copy_in_the_inventory() -> None:
    """A database without copies is a slip in the inventory, not a search without result."""
    world = World(database=replace(SITE, copies=()))
    with pytest.raises(UsageError, match="no copy of the backups of site"):
        world.judging()


def test_unverifiable_alone_and_vouched_for() -> None:
    """Plain text that nothing vouches for is not taken, unless accepted, or another copy has the very same bytes."""
    alone = World()
    alone.shelves["local"].put(name(19, ""), text(19), at(19, 3))
    choice = alone.choice()
    assert taken(choice) == ("", "")
    assert "no checksum beside it" in choice.rejections[0].reason
    assert taken(alone.choice(accepted=("unverifiable",))) == ("local", "site-2026-11-19.sql")

    twice = World()
    for copy in ("local", "far"):
        twice.shelves[copy].put(name(19, ""), text(19), at(19, 3))
    assert taken(twice.choice()) == ("local", "site-2026-11-19.sql")
    assert len(twice.read) == 2

    same_place = World()
    for again in ("", "again-"):
        same_place.shelves["local"].put(f"{again}{name(19, '')}", text(19), at(19, 3))
    assert taken(same_place.choice()) == ("", "")

    different = World()
    different.shelves["local"].put(
        name(19, ""), text(19).replace(b"notice \xe7\x8e\x8b 7'", b"notice \xe7\x8e\x8b 8'"), at(19, 3)
    )
    different.shelves["far"].put(name(19, ""), text(19), at(19, 3))
    assert taken(different.choice()) == ("", "")

    beside = World()
    beside.shelves["local"].put(name(19, ""), text(19), at(19, 3), checksum=True)
    assert taken(beside.choice()) == ("local", "site-2026-11-19.sql")


def test_odd_things_are_never_read(world: World) -> None:
    """Links and pipes that are called like dumps are reported, and nobody opens them."""
    world.shelves["local"].others = [
        File("site-2026-11-20.sql.gz", 10, at(20), kind="link"),
        File("site-2026-11-21.sql", 0, at(21), kind="other"),
    ]
    choice = world.choice()
    assert taken(choice) == ("local", "site-2026-11-19.sql")
    assert {one.backup for one in choice.rejections if one.kind == "odd"} == {
        "site-2026-11-20.sql.gz",
        "site-2026-11-21.sql",
    }


def test_shrunken_beside_the_last_good_one(world: World) -> None:
    """A newest backup with a tenth of the rows is passed over for the one before, until somebody accepts it."""
    assert taken(world.choice()) == ("local", "site-2026-11-19.sql")
    world.put(20, packed(text(20, rows=20)))
    choice = world.choice()
    assert taken(choice) == ("local", "site-2026-11-19.sql")
    assert [one.kind for one in choice.rejections][:1] == ["unfit"]
    assert "less than half" in choice.rejections[0].reason
    assert world.read.count("annex/site-2026-11-20.sql") == 0
    assert taken(world.choice(accepted=("shrunken",))) == ("local", "site-2026-11-20.sql")


def test_a_dumper_that_fails_every_night(world: World) -> None:
    """What was shrunken last night is no measure for tonight: each such backup is passed over, not only the first."""
    world.choice()
    for day in (20, 21, 22):
        world.put(day, packed(text(day, rows=20)))
        assert taken(world.choice()) == ("local", "site-2026-11-19.sql")
    proven = next(one for one in world.judging().found.backups if "22" in one.name)
    judging = world.judging()
    verdicts.remember(world.journal, SITE, LOCAL, proven, replace(judging.known[proven], level="proven"), proof=True)
    world.put(23, packed(text(23, rows=21)))
    assert taken(world.choice()) == ("local", "site-2026-11-23.sql")


def test_compared_with_what_is_live(world: World) -> None:
    """Tables of the live database that a backup lacks speak against it; a server that says nothing compares nothing."""
    live = Live("10.11.19-MariaDB", (LiveTable("notice", 200), LiveTable("orders", 200), LiveTable("customer", 10)))
    choice = world.choice(live=live)
    assert taken(choice) == ("", "")
    assert "customer" in choice.rejections[0].reason
    assert taken(world.choice(live=live, accepted=("missing-tables",))) == ("local", "site-2026-11-19.sql")
    assert taken(world.choice(live=None)) == ("local", "site-2026-11-19.sql")


def test_findings_beside_others_are_not_remembered(world: World) -> None:
    """What is odd beside the live database is worked out anew: the record keeps only what the bytes show."""
    live = Live("10.11.19-MariaDB", (LiveTable("customer", 10),))
    world.choice(live=live)
    assert taken(world.choice()) == ("local", "site-2026-11-19.sql")


def proving(ends: dict[str, str], calls: list[str]) -> Prove:
    """A proof whose end is known beforehand, by the backup's name."""

    def prove(copy: Copy, backup: Backup, judgement: Judgement, _tell: Tell) -> Judgement:
        calls.append(f"{copy.name}/{backup.name}")
        if ends.get(backup.name):
            return replace(judgement, findings=(*judgement.findings, Finding("proof", ends[backup.name])))
        return replace(judgement, level="proven", findings=())

    return prove


def test_proven(world: World) -> None:
    """With "proven" a backup that does not restore is passed over, with all its copies, and the next one is proven."""
    calls: list[str] = []
    world.prove = proving({"site-2026-11-19.sql": "table notice differs"}, calls)
    choice = world.choice("proven")
    assert taken(choice) == ("local", "site-2026-11-18.sql")
    assert choice.judgement
    assert choice.judgement.level == "proven"
    assert "table notice differs" in choice.rejections[0].reason
    assert calls[0] == "local/site-2026-11-19.sql"
    assert calls[-1] == "local/site-2026-11-18.sql"
    again = len(calls)
    assert taken(world.choice("proven")) == ("local", "site-2026-11-18.sql")
    assert len(calls) == again
    assert taken(world.choice("whole")) == ("local", "site-2026-11-18.sql")


def test_a_failed_proof_is_tried_again_when_asked(world: World) -> None:
    """Who asks for a proof gets one, also of what did not restore before; a search does not ask twice."""
    calls: list[str] = []
    world.prove = proving({"site-2026-11-19.sql": "table notice differs"}, calls)
    judging = world.judging()
    newest = search.newest_of_copy(judging, "local")
    assert newest
    judging.judge(newest, "proven")
    world.prove = proving({}, calls)
    again = world.judging()
    assert again.known[newest].findings
    found = again.judge(newest, "proven")
    assert found
    assert (found.level, found.findings, len(calls)) == ("proven", (), 2)


@pytest.mark.parametrize(("said", "level"), [("", "proven"), ("table notice differs", "whole")])
def test_the_same_bytes_are_restored_once(world: World, said: str, level: str) -> None:
    """Every copy of the same bytes is known by one proof, in the very run that makes it, whatever it showed."""
    calls: list[str] = []
    world.prove = proving({"site-2026-11-19.sql": said}, calls)
    judging = world.judging()
    nights = [one for one in judging.found.backups if "19" in one.name]
    found = [judging.judge(one, "proven") for one in nights]
    assert [(one.level, [f.text for f in one.findings]) for one in found if one] == [
        (level, [said] if said else [])
    ] * 3
    assert len(calls) == 1


def test_other_bytes_are_restored_too(world: World) -> None:
    """A copy with other bytes under the same name is proven by itself."""
    calls: list[str] = []
    world.prove = proving({}, calls)
    world.put(19, packed(text(19, rows=201)), copies=["far"])
    judging = world.judging()
    for one in judging.found.backups:
        if "19" in one.name:
            judging.judge(one, "proven")
    assert sorted(calls) == ["far/site-2026-11-19.sql", "local/site-2026-11-19.sql"]


def test_proven_where_nobody_can(world: World) -> None:
    """Where nothing can restore for proof, only what the record knows to be proven counts."""
    assert taken(world.choice("proven")) == ("", "")
    backup = next(one for one in world.judging().found.backups if one.copy == "far" and "18" in one.name)
    known = world.judging().judge(backup)
    assert known
    verdicts.remember(world.journal, SITE, FAR, backup, replace(known, level="proven"), proof=True)
    assert taken(world.choice("proven"))[1] == "site-2026-11-18.sql"


def test_nothing_is_read_when_nothing_may_be(world: World) -> None:
    """Without reading, the newest that is known to be valid is named, and what may be newer is said to be unread."""
    assert taken(world.choice(reading=False)) == ("", "")
    world.judging().judge(next(one for one in world.judging().found.backups if "17" in one.name))
    world.read.clear()
    choice = world.choice(reading=False)
    assert choice.backup
    assert choice.backup.name == "site-2026-11-17.sql"
    assert world.read == []
    assert len(choice.unread) == 8


def test_each_verdict_is_remembered_at_once(world: World) -> None:
    """A search that is broken off keeps the verdicts it came to."""
    world.put(19, packed(text(19))[:2000], copies=("local",))
    judging = world.judging()
    judge = judging.tell

    def tell(what: str, done: int, total: int) -> None:
        judge(what, done, total)
        if "from annex" in what:
            raise Interrupted("stopped")

    judging.tell = tell
    with pytest.raises(Interrupted):
        search.newest_valid(judging)
    kept = [json.loads(entry.body) for entry in world.journal.entries(kinds=(verdicts.VERDICT,))]
    assert [(body["copy"], body["judgement"]["level"]) for body in kept] == [("local", "listed")]


def test_a_record_that_cannot_be_written_stops_it(world: World) -> None:
    """No record, no search: that is no fault of a backup."""
    judging = world.judging()

    def full(*_: object, **_more: object) -> NoReturn:
        raise RecordUnavailable("disk full")

    judging.journal.append = full  # type: ignore[method-assign]
    with pytest.raises(RecordUnavailable):
        search.newest_valid(judging)


@pytest.mark.parametrize("code", ["wrong-key", "short", "changed"])
def test_what_may_pass_is_no_verdict(world: World, code: str) -> None:
    """What could not be opened, or not read to its end, is read again the next time: it may be possible by then."""
    judging = world.judging()
    real = judging.read

    def locked(copy: Copy, backup: Backup, tell: Tell) -> Judgement:
        found = real(copy, backup, tell)
        return replace(found, level="listed", findings=(Finding(code, "not today"),))

    judging.read = locked
    assert taken(search.newest_valid(judging)) == ("", "")
    assert not list(world.journal.entries(kinds=(verdicts.VERDICT,)))
    assert taken(world.choice()) == ("local", "site-2026-11-19.sql")


def test_newest_of_a_copy(world: World) -> None:
    """The newest of a copy is found by the time inside, also when an old one was touched, and damage is an answer."""
    world.shelves["far"].put("again.sql.gz", packed(text(12)), at(20))
    judging = world.judging()
    found = search.newest_of_copy(judging, "far")
    assert found
    assert found.name == "site-2026-11-19.sql"
    assert world.read == ["far/again.sql", "far/site-2026-11-19.sql"]
    world.shelves["local"].put(name(20), packed(text(20))[:1000], at(20, 3))
    judging = world.judging()
    damaged = search.newest_of_copy(judging, "local")
    assert damaged
    assert damaged.name == "site-2026-11-20.sql"
    assert judging.known[damaged].level == "listed"
    assert search.newest_of_copy(World().judging(), "local") is None


def test_progress_names_the_copy(world: World) -> None:
    """Who watches is told which backup of which copy is read, and how many of how many bytes."""
    world.choice()
    what, done, total = world.told[-1]
    assert what == "read site-2026-11-19.sql from local"
    assert 0 <= done <= total == len(packed(text(19)))


LOST = {"local": ("ab",), "annex": ("ac",), "far": ("aa", "ab", "ac")}


def test_put_together_from_several_copies(world: World) -> None:
    """A newest backup of which no copy has all parts is put together from two, by the checksums, and judged as one."""
    put_parts(world, 20, LOST)
    assert taken(world.choice()) == ("local", "site-2026-11-19.sql")
    choice = world.choice(assemble=True)
    assert taken(choice) == ("local+annex", "site-2026-11-20.sql")
    assert choice.judgement
    assert choice.backup
    assert choice.judgement.sha256 == hashlib.sha256(packed(text(20, rows=3000))).hexdigest()
    assert choice.judgement.level == "whole"
    assert [one.version.partition(":")[0] for one in choice.backup.files] == ["local", "annex", "local"]
    assert {(one.copy, one.kind) for one in choice.rejections} >= {("local", "odd"), ("annex", "corrupt")}
    world.read.clear()
    assert taken(world.choice(assemble=True)) == ("local+annex", "site-2026-11-20.sql")
    assert world.read == []


def test_damaged_parts_are_taken_from_elsewhere(world: World) -> None:
    """A part that is not what its checksum says is taken from the copy where it is."""
    put_parts(world, 20, {"far": ("aa", "ab", "ac")}, flip={"local": "aa", "annex": "ac"})
    choice = world.choice(assemble=True)
    assert taken(choice) == ("annex+local", "site-2026-11-20.sql")
    assert choice.backup
    assert [one.version.partition(":")[0] for one in choice.backup.files] == ["annex", "local", "local"]


def test_what_cannot_be_put_together(world: World) -> None:
    """A part that no copy has, or checksums that nobody has, leave the next older backup."""
    put_parts(world, 20, {**LOST, "annex": ("ab", "ac")})
    assert taken(world.choice(assemble=True)) == ("local", "site-2026-11-19.sql")
    for shelf in world.shelves.values():
        del shelf.held[f"{name(20)}.sha256"]
    put_parts(world, 21, LOST)
    for shelf in world.shelves.values():
        del shelf.held[f"{name(21)}.sha256"]
    assert taken(world.choice(assemble=True)) == ("local", "site-2026-11-19.sql")


def test_parts_of_a_joint_copy(world: World) -> None:
    """A joint copy is opened by the names in it; one that the inventory has no more is a slip, a plain one is none."""
    assert joining.parts(joining.joint(("local", "far")), SITE) == (LOCAL, FAR)
    assert joining.parts(LOCAL, SITE) == ()
    with pytest.raises(UsageError, match="no copy 'moon'"):
        joining.parts(joining.joint(("local", "moon")), SITE)
    shelf = joining.Joined(joining.joint(("local", "far")), world.shelves)
    assert shelf.list() == ()
    for version in ("", "moon:1:x", "local:x:y", "local"):
        with pytest.raises(UsageError):
            shelf.read(File("x", 1, 1, version))
