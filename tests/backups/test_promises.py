"""The promises of the plans: held by what was read, not by what lies there; in the right time zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from remedy.backups import times
from remedy.backups.promises import Kept, promises
from remedy.backups.values import Backup, Contents, Copy, Database, Facts, File, Finding, Judgement, Promises

COPIES = (
    Copy("local", place="room", host="db01", path="/b"),
    Copy("building-b", place="b", host="bk", path="/b"),
    Copy("off-site", place="far", off_site=True, bucket="b"),
)
SITE = Database("site", "site", "db01", COPIES, timezone="Asia/Shanghai")
HOUR, DAY = 3_600, 86_400
#: 2026-02-03 08:00 in Shanghai, midnight in UTC.
NOW = 1_770_076_800


def backup(copy: str, time: int, *, form: str = "dump") -> Backup:
    """A dump made then, its bytes written a minute later."""
    day = times.shown(time, "Asia/Shanghai")[:10]
    return Backup(f"site-{day}.sql", copy, form, (File(f"site-{day}.sql.gz", 10, time + 60),))


def judged(time: int, level: str = "proven", *findings: str, content: str = "") -> Judgement:
    """A verdict on the dump of that time. Findings whose name ends in "?" can be accepted."""
    found = tuple(Finding(code.rstrip("?"), code, fatal=not code.endswith("?")) for code in findings)
    return Judgement((content or str(time)).ljust(64, "0"), 10, level, Contents(Facts(time=time)), found)


def nightly(days: int, *, copies: tuple[str, ...] = ("local", "building-b", "off-site")) -> dict[Backup, Judgement]:
    """A dump of each of the last nights at 02:05 Shanghai time, good in these copies."""
    times_made = [NOW - 6 * HOUR + 300 - day * DAY for day in range(days)]
    return {backup(copy, time): judged(time) for time in times_made for copy in copies}


def status(
    known: Mapping[Backup, Judgement], *unread: Backup, now: int = NOW, database: Database = SITE, **more: object
) -> dict[str, Kept]:
    """Every promise by its id."""
    return {one.id: one for one in promises(database, (*known, *unread), known, now, **more)}  # type: ignore[arg-type]


def broken(found: Mapping[str, Kept]) -> set[str]:
    """The promises that are not held; each says what to do, the others need nothing."""
    assert all(bool(one.todo) is not one.held for one in found.values())
    assert all(one.text and one.rules for one in found.values())
    return {one.id for one in found.values() if not one.held}


def test_all_held() -> None:
    """Nightly backups, proven, read in three copies in three buildings, hold everything."""
    assert broken(status(nightly(4))) == set()


def test_nothing_at_all() -> None:
    """Without any backup all promises are broken but the reach of the copies."""
    assert broken(status({})) == {"daily", "proven", "off-site", "copies", "places", "days"}


def test_daily_in_the_database_hosts_zone() -> None:
    """Tonight's backup is missed two hours after 02:00 in Shanghai, not in UTC."""
    known = {one: judgement for one, judgement in nightly(4).items() if one.changed < NOW - DAY / 2}
    due = NOW - 6 * HOUR
    assert "daily" not in broken(status(known, now=due + 2 * HOUR - 1))
    assert "daily" in broken(status(known, now=due + 2 * HOUR))
    elsewhere = replace(SITE, timezone="")
    evening = {backup("local", due - 2 * HOUR): judged(due - 2 * HOUR)}
    assert "daily" not in broken(status(evening, now=due + 2 * HOUR, database=elsewhere, zone="UTC"))
    assert "daily" in broken(status(evening, now=due + 2 * HOUR, database=elsewhere, zone="Asia/Shanghai"))


def test_daily_when_the_clock_skips_or_repeats_the_hour() -> None:
    """02:00 is due once on the days on which summer time begins and ends, at the earliest it can be meant."""
    for noon, due in ((1_774_778_400, 1_774_742_400), (1_792_926_000, 1_792_886_400)):
        assert times.shown(noon, "Europe/Berlin")[11:16] == "12:00"
        assert times.daily(noon, "02:00", "Europe/Berlin") == due


def test_touched_and_unread_files_are_no_backups() -> None:
    """A new file that nobody has read, or an old dump written anew, does not hold the daily promise."""
    old = {one: judgement for one, judgement in nightly(4).items() if one.changed < NOW - DAY / 2}
    fresh = backup("local", NOW - 2 * HOUR)
    found = status(old, fresh)["daily"]
    assert not found.held
    assert "unread" in found.text
    assert "backup check" in found.todo
    assert "daily" in broken(status(old | {fresh: judged(NOW - 5 * DAY)}))
    damaged = status(old | {fresh: judged(0, "listed", "truncated")})["daily"]
    assert (damaged.held, "1 are damaged" in damaged.text) == (False, True)


def test_a_time_in_the_future_is_none() -> None:
    """A backup that is made tomorrow, by a clock gone wrong, holds nothing."""
    assert "daily" in broken(status({backup("local", NOW + DAY): judged(NOW + DAY)}))


def test_proven() -> None:
    """The newest proven one may be of yesterday; a newer damaged one breaks the promise at once."""
    known = nightly(4)
    unproven = {one: replace(judgement, level="whole") for one, judgement in known.items()}
    assert "proven" in broken(status(unproven))
    latest = max(one.changed for one in known)
    tonight = {one: replace(judgement, level="whole") for one, judgement in known.items() if one.changed == latest}
    assert "proven" not in broken(status(known | tonight))
    assert "proven" in broken(status({one: known[one] for one in known if one.changed < NOW - 2 * DAY}))
    damaged = {one: judged(0, "readable", "cut") for one in tonight}
    assert "newer but damaged" in status(known | damaged)["proven"].text


def test_a_night_without_a_proof_is_noticed_when_the_next_backup_is_due() -> None:
    """The proof of the newest backup may take until the next one is made, and no longer."""
    known = nightly(4)
    latest = max(one.changed for one in known)
    known |= {one: replace(judgement, level="whole") for one, judgement in known.items() if one.changed == latest}
    assert "proven" not in broken(status(known, now=latest + DAY - 60))
    assert "proven" in broken(status(known, now=latest + DAY + 60))


def test_other_databases_are_nobodys_promise() -> None:
    """A dump of another database, or a file of no known kind, neither holds nor breaks anything."""
    known = nightly(4)
    other = {backup("local", NOW - HOUR): judged(NOW - HOUR, "whole", "wrong-database")}
    strange = {backup("local", NOW - HOUR, form=""): judged(0, "listed", "unknown")}
    assert broken(status(known | other)) == broken(status(known | strange)) == set()


def test_off_site() -> None:
    """Off site, a good backup of the last 31 days has been read back; what was never read is checked first."""
    near = nightly(4, copies=("local", "building-b"))
    assert "off-site" in broken(status(near))
    old, stale = backup("off-site", NOW - 30 * DAY), backup("off-site", NOW - 32 * DAY)
    assert "off-site" not in broken(status(near | {old: judged(NOW - 30 * DAY)}))
    assert "off-site" in broken(status(near | {stale: judged(NOW - 32 * DAY)}))
    assert status(near, old)["off-site"].todo == "remedy backup check site --copy off-site"
    none = replace(SITE, copies=COPIES[:2])
    assert "off_site: true" in status(near, database=none)["off-site"].todo


def test_copies_and_places() -> None:
    """The newest good backup has to be found good in two copies, and those have to be in two buildings."""
    one = nightly(4, copies=("local",)) | nightly(1, copies=("local",))
    assert {"copies", "places"} <= broken(status(one))
    assert status(one)["copies"].todo == "copy it to building-b, then remedy backup check site --copy building-b"
    assert {"copies", "places"}.isdisjoint(broken(status(nightly(4, copies=("local", "building-b")))))
    same = replace(SITE, copies=(COPIES[0], replace(COPIES[1], place="room"), COPIES[2]))
    assert broken(status(nightly(4, copies=("local", "building-b")), database=same)) == {"places", "off-site"}
    unsaid = replace(SITE, copies=tuple(replace(copy, place="") for copy in COPIES))
    assert "say where" in status(nightly(4), database=unsaid)["places"].todo
    three = replace(SITE, promises=Promises(copies=3, places=3))
    assert broken(status(nightly(4, copies=("local", "off-site")), database=three)) == {"copies", "places"}


def test_reach() -> None:
    """A copy that cannot be listed breaks its promise, and says why the others cannot be held."""
    found = status(nightly(4, copies=("local",)), unlisted={"building-b": "no answer", "off-site": "\x1b[2J403"})
    assert broken(found) == {"reachable", "copies", "places", "off-site"}
    assert found["copies"].todo == "make building-b reachable: no answer"
    assert "\x1b" not in found["reachable"].text


def test_days() -> None:
    """Good backups of three days have to be there."""
    assert "days" in broken(status(nightly(2)))
    assert "days" not in broken(status(nightly(3)))


def test_accepted_findings() -> None:
    """What the operator lives with does not break a promise, and a mere note never does."""
    noted = judged(0, "whole", "bom?").findings
    assert broken(status({one: replace(judgement, findings=noted) for one, judgement in nightly(4).items()})) == set()
    odd = judged(0, "whole", "definers?").findings
    known = {one: replace(judgement, findings=odd) for one, judgement in nightly(4).items()}
    assert "beyond doubt; 1 are whole" in status(known)["daily"].text
    assert broken(status(known, accepted=frozenset({"definers"}))) == set()


LEVELS = st.sampled_from(["proven", "whole", "listed"])


@given(
    st.lists(st.tuples(st.integers(2 * HOUR, 40 * DAY), st.sampled_from(COPIES), LEVELS)),
    st.integers(0, HOUR),
    st.sampled_from(["Asia/Shanghai", "UTC", "Europe/Berlin", "Pacific/Kiritimati"]),
)
def test_more_good_backups_break_nothing(rows: list[tuple[int, Copy, str]], ago: int, zone: str) -> None:
    """Adding a backup that was just proven in every copy never breaks what was held, and holds all but the days."""
    database = replace(SITE, timezone=zone)
    known = {}
    for age, copy, level in rows:
        findings = ("corrupt",) if level == "listed" else ()
        known[backup(copy.name, NOW - age)] = judged(NOW - age, level, *findings, content=f"{copy.name}{age}")
    before = broken(status(known, database=database))
    made = NOW - ago
    added = {replace(backup(copy.name, made), name=f"new-{made}"): judged(made, content="new") for copy in COPIES}
    after = broken(status(known | added, database=database, now=NOW))
    assert after <= before
    assert after <= {"days"}
