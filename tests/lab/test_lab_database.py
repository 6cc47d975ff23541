"""db01's database is a real site's, its backups are those a nightly job left, and both can be ruined and put back."""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from tests.worlds.mariadb import Server

from remedy.core.errors import RemedyError, UsageError
from remedy.lab import Lab, database, history, image, offsite, ruin, site_schema, spoiling

pytestmark = pytest.mark.lab

COPIES = ("db01", "backup01", "offsite")
DUMP = ("--single-transaction", "--routines", "--events", "--skip-comments", "--default-character-set=utf8mb4")
ORPHANS = """\
SELECT (SELECT count(*) FROM order_line l LEFT JOIN orders o ON o.id = l.order_id WHERE o.id IS NULL)
  + (SELECT count(*) FROM orders o LEFT JOIN customer c ON c.id = o.customer WHERE c.id IS NULL)
  + (SELECT count(*) FROM order_line l LEFT JOIN product p ON p.sku = l.sku WHERE p.sku IS NULL)
  + (SELECT count(*) FROM attachment f LEFT JOIN article a ON a.id = f.article WHERE f.article AND a.id IS NULL)"""


@pytest.fixture
def fresh_lab(calm_lab: Lab) -> Iterator[Lab]:
    """The lab, whose database and backups are put back afterwards."""
    yield calm_lab
    calm_lab.writers_stop()
    calm_lab.reset_database()


@pytest.fixture
def stored(lab: Lab, eventually: Callable[..., bool]) -> None:
    """Once the store off site has its copy."""
    assert eventually(lambda: lab.status()["hosts"]["offsite"]["services"]["s3"], 60)


def asked(lab: Lab, sql: str) -> list[list[str]]:
    """What db01's server answers, as text."""
    status, out, err = lab.exec("db01", ["mariadb", "--default-character-set=utf8mb4", "-N", "-B", "-e", sql, "site"])
    assert status == 0, err
    return [line.split("\t") for line in out.decode().splitlines()]


def number(lab: Lab, sql: str) -> int:
    """One number from db01's server."""
    return int(asked(lab, sql)[0][0])


def files(lab: Lab, host: str) -> dict[str, bytes]:
    """Everything in the copy that `host` keeps."""
    if host == "offsite":
        s3 = offsite.client()
        found = s3.list_objects_v2(Bucket=offsite.BUCKET, Prefix=offsite.PREFIX).get("Contents", ())
        return {
            entry["Key"].removeprefix(offsite.PREFIX): s3.get_object(Bucket=offsite.BUCKET, Key=entry["Key"])[
                "Body"
            ].read()
            for entry in found
        }
    folder = lab.root(host) / spoiling.FOLDERS[host].lstrip("/")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def opened(content: bytes) -> bytes:
    """A backup's text. The program's own checks are not asked to pass."""
    return subprocess.run(["zstd", "-dcq"], input=content, check=False, capture_output=True).stdout


def matches(found: dict[str, bytes], name: str) -> bool:
    """Whether a backup is what the checksum beside it says."""
    return found[f"{name}.sha256"].decode().split() == [hashlib.sha256(found[name]).hexdigest(), name]


def page() -> str:
    """What visitors of web01 see, whatever its status."""
    try:
        with urllib.request.urlopen("http://198.18.1.11/", timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return f"{error.code}"


def test_the_database_holds_every_kind_of_thing(lab: Lab) -> None:
    """Tables with and without primary keys, a circle of foreign keys, generated columns, and every kind of object."""
    kinds = [
        row[0] for row in asked(lab, "SELECT table_type FROM information_schema.tables WHERE table_schema = 'site'")
    ]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"BASE TABLE": 14, "VIEW": 4, "SEQUENCE": 1}
    kinds = [row[0] for row in asked(lab, "SELECT type FROM mysql.proc WHERE db = 'site' ORDER BY 1")]
    assert kinds == ["FUNCTION", "FUNCTION", "PROCEDURE", "PROCEDURE", "PACKAGE", "PACKAGE BODY"]
    assert len(asked(lab, "SHOW TRIGGERS")) == 4
    assert len(asked(lab, "SHOW EVENTS")) == 2
    made = asked(
        lab, "SELECT extra FROM information_schema.columns WHERE table_schema = 'site' AND is_generated <> 'NEVER'"
    )
    assert {row[0] for row in made} == {"STORED GENERATED", "VIRTUAL GENERATED"}
    assert asked(lab, "SHOW KEYS FROM visit WHERE key_name = 'PRIMARY'") == []
    circle = "SELECT count(*) FROM employee e JOIN department d ON d.id = e.department AND d.head = e.id"
    assert number(lab, circle) > 0
    assert number(lab, "SELECT count(*) FROM orders") > 700
    assert number(lab, "SELECT count(*) FROM orders WHERE remark LIKE '%🛒%'") > 30
    settings = dict(asked(lab, "SHOW VARIABLES WHERE variable_name IN ('log_bin', 'binlog_format', 'event_scheduler')"))
    assert settings == {"log_bin": "ON", "binlog_format": "ROW", "event_scheduler": "ON"}


def test_the_database_is_sound(fresh_lab: Lab) -> None:
    """CHECK TABLE finds nothing, no foreign key points nowhere, and views, functions, procedures and triggers work."""
    lab = fresh_lab
    tables = ", ".join(f"`{row[0]}`" for row in asked(lab, "SHOW FULL TABLES WHERE table_type = 'BASE TABLE'"))
    assert {row[-1] for row in asked(lab, f"CHECK TABLE {tables}")} == {"OK"}
    assert number(lab, ORPHANS) == 0
    assert number(lab, "SELECT count(*) FROM best_customer") > 100
    assert asked(lab, "SELECT mask_phone('13912345678')") == [["139****5678"]]
    placed = "CALL place_order(1, 'SP-0001', 2, @made); SELECT total > 0 AND ticket > 0 FROM orders WHERE id = @made"
    assert asked(lab, placed) == [["1"]]


def test_accounts_have_only_what_they_need(lab: Lab) -> None:
    """The site's account has rights on the site's schema alone, the report's on single tables and columns."""
    site = asked(lab, "SHOW GRANTS FOR 'site'@'198.18.1.%'")
    rights = [row[0].split(" TO ")[0] for row in site[1:]]
    assert rights == ["GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE ON `site`.*"]
    report = " ".join(row[0] for row in asked(lab, "SHOW GRANTS FOR 'report'@'198.18.2.%'"))
    assert "GRANT SELECT ON `site`.`orders`" in report
    assert {"`id`", "`name`", "`region`"} == set(report.split("SELECT (")[1].split(")")[0].split(", "))


@pytest.mark.usefixtures("stored")
def test_every_place_has_the_backups_of_three_nights(lab: Lab) -> None:
    """db01, backup01 and the store have the same three backups with checksums, each ending at two in its night."""
    found = {host: files(lab, host) for host in COPIES}
    assert found["db01"] == found["backup01"] == found["offsite"]
    names = sorted(name for name in found["db01"] if name.endswith(".zst"))
    nights = [datetime.strptime(name, "site-%Y-%m-%d.sql.zst").replace(hour=2, tzinfo=UTC) for name in names]
    assert len(nights) == history.NIGHTS
    assert [later - earlier for earlier, later in itertools.pairwise(nights)] == [timedelta(days=1)] * 2
    assert timedelta(0) < datetime.now(UTC) - nights[-1] < timedelta(days=1, minutes=10)
    sizes = []
    for name, night in zip(names, nights, strict=True):
        assert matches(found["db01"], name)
        text = opened(found["db01"][name])
        assert text.endswith(f"-- Dump completed on {night:%Y-%m-%d}  2:00:00\n".encode())
        assert b"-- CHANGE MASTER TO MASTER_LOG_FILE='binlog.000001'" in text
        assert f"{night - timedelta(days=1):%y%m%d}02,".encode() in text, "the notices of the day before"
        assert f"({night:%y%m%d}00,".encode() not in text
        sizes.append(len(text))
    assert sizes == sorted(set(sizes))


@pytest.mark.usefixtures("stored")
def test_the_store_keeps_versions(lab: Lab) -> None:
    """The bucket off site is versioned, and all three backups are there once."""
    s3 = offsite.client()
    assert s3.get_bucket_versioning(Bucket=offsite.BUCKET)["Status"] == "Enabled"
    versions = s3.list_object_versions(Bucket=offsite.BUCKET, Prefix=offsite.PREFIX)["Versions"]
    latest = [version["Key"].removeprefix(offsite.PREFIX) for version in versions if version["IsLatest"]]
    assert sorted(latest) == sorted(files(lab, "db01"))


def test_backup_and_binary_log_give_todays_database(lab: Lab, tmp_path: Path) -> None:
    """The oldest night's backup, and the binary log from its position on, make what db01 has now: nothing is missing.

    By time too: replayed up to the newest night's hour, they make the newest night's backup.
    """
    copy = files(lab, "db01")
    oldest, *_, newest = sorted(name for name in copy if name.endswith(".zst"))
    start = opened(copy[oldest])
    position = start.split(b"MASTER_LOG_POS=")[1].split(b";")[0].decode()
    logs = sorted((lab.root("db01") / "var/lib/mysql").glob("binlog.0*"))
    server = Server(tmp_path / "db").start()
    client = ["mariadb", f"--defaults-extra-file={server.option_file}", "--default-character-set=utf8mb4"]

    def replayed(*until: str) -> str:
        server.run("DROP DATABASE IF EXISTS site; CREATE DATABASE site CHARACTER SET utf8mb4")
        subprocess.run([*client, "site"], input=start, check=True, capture_output=True)
        argv = ["mariadb-binlog", "--no-defaults", f"--start-position={position}", *until, *map(str, logs)]
        events = subprocess.run(argv, check=True, capture_output=True).stdout
        subprocess.run(client, input=events, check=True, capture_output=True)
        argv = ["mariadb-dump", f"--defaults-extra-file={server.option_file}", *DUMP, "site"]
        return subprocess.run(argv, check=True, capture_output=True).stdout.decode("utf-8", "backslashreplace")

    try:
        server.run(b"\n".join(database.definitions(site_schema.accounts())).decode())
        now = lab.exec("db01", ["mariadb-dump", *DUMP, "site"])[1].decode("utf-8", "backslashreplace")
        assert rows_of(replayed()) == rows_of(now)
        night = f"--stop-datetime={newest[5:15]} 02:00:00"
        assert rows_of(replayed(night)) == rows_of(opened(copy[newest]).decode("utf-8", "backslashreplace"))
    finally:
        server.close()


def rows_of(dump: str) -> list[str]:
    """The lines of a dump that are rows."""
    lines = dump.splitlines()
    assert len(lines) > 5000
    return [line for line in lines if line.startswith("(")]


def test_tonights_backup_goes_to_all_places(fresh_lab: Lab, stored: None) -> None:  # noqa: ARG001 -- waits
    """Rows added in bulk keep the database sound, and the backup made then is the newest everywhere, with the rows."""
    before = number(fresh_lab, "SELECT count(*) FROM article")
    said: list[str] = []
    fresh_lab.fill_database(3_000_000, said.append)
    assert number(fresh_lab, "SELECT count(*) FROM article") > 3 * before
    assert number(fresh_lab, ORPHANS) == 0
    assert said
    name = f"site-{datetime.now(UTC):%Y-%m-%d}.sql.zst"
    for host in COPIES:
        found = files(fresh_lab, host)
        assert matches(found, name)
        assert 3_000_000 < len(opened(found[name])) < 5_000_000
    fresh_lab.fill_database(100_000, back_up=False)
    assert number(fresh_lab, "SELECT count(*) FROM article") > 3 * before


def test_dropped_tables_take_the_page_away_until_put_back(fresh_lab: Lab, eventually: Callable[..., bool]) -> None:
    """After `tables` no table is left and the page fails; stopping the attack brings back all of it."""
    before = number(fresh_lab, "SELECT count(*) FROM orders")
    fresh_lab.ruin("db01", "tables")
    assert {row[1] for row in asked(fresh_lab, "SHOW FULL TABLES")} == {"VIEW"}
    assert page() == "503"
    fresh_lab.attack_stop("db01")
    assert number(fresh_lab, "SELECT count(*) FROM orders") == before
    assert eventually(lambda: "应急演练" in page(), 5)


def test_overwritten_rows_show_the_ransom(fresh_lab: Lab) -> None:
    """After `rows` the page shows the ransom's text, and as many rows as before are there."""
    before = number(fresh_lab, "SELECT count(*) FROM notice")
    fresh_lab.ruin("db01", "rows")
    assert page().count(ruin.RANSOM) == before
    assert number(fresh_lab, "SELECT count(*) FROM notice") == before


def test_a_broken_server_does_not_come_back_by_itself(fresh_lab: Lab) -> None:
    """After `server` nothing answers on the database's port, also after a power-cycle; putting it back does."""

    def answers() -> bool:
        return bool(fresh_lab.status()["hosts"]["db01"]["services"]["mysql"])

    fresh_lab.ruin("db01", "server")
    time.sleep(1)
    assert not answers()
    fresh_lab.fault("power-cycle", "db01")
    assert not answers()
    assert "corrupt" in fresh_lab.exec("db01", ["cat", "/var/log/mysql.log"])[1].decode("utf-8", "replace").lower()
    fresh_lab.reset_database()
    assert answers()
    assert number(fresh_lab, "SELECT count(*) FROM notice") > 5


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("host", COPIES)
@pytest.mark.parametrize("kind", ["flip", "cut", "delete", "replace"])
def test_the_newest_backup_of_one_place_is_spoiled_and_mended(calm_lab: Lab, host: str, kind: str) -> None:
    """Only that place's newest backup changes, in the way the fault is called, twice over; clearing brings it back."""
    before = files(calm_lab, host)
    others = [files(calm_lab, other) for other in COPIES if other != host]
    newest = max(name for name in before if name.endswith(".zst"))
    calm_lab.fault(f"backup-{kind}", host)
    after = files(calm_lab, host)
    assert f"backup-{kind}" in calm_lab.status()["hosts"][host]["faults"]
    changed = {name for name in before if after.get(name) != before[name]}
    if kind == "delete":
        assert changed == {newest, f"{newest}.sha256"}
        assert newest not in after
    elif kind == "replace":
        assert changed == {newest, f"{newest}.sha256"}
        assert matches(after, newest)
        assert b"\nINSERT INTO" in opened(before[newest])
        assert b"\nINSERT INTO" not in opened(after[newest])
        assert b"CREATE TABLE `visit`" in opened(after[newest])
    else:
        assert changed == {newest}
        assert not matches(after, newest)
    if kind == "flip":
        bits = ((old ^ new).bit_count() for old, new in zip(before[newest], after[newest], strict=True))
        assert sum(bits) == 3
    if kind == "cut":
        assert after[newest] == before[newest][: len(before[newest]) * 60 // 100]
    calm_lab.fault(f"backup-{kind}", host)
    twice = files(calm_lab, host)
    assert twice != before
    assert twice != after or kind == "replace", "given again, it happens again"
    calm_lab.clear(host)
    assert files(calm_lab, host) == before
    assert [files(calm_lab, other) for other in COPIES if other != host] == others


def test_only_copies_can_be_spoiled(calm_lab: Lab) -> None:
    """A host without a copy, an unknown ruin and a host without a database are usage errors."""
    with pytest.raises(UsageError, match="backup01"):
        calm_lab.fault("backup-cut", "web01")
    with pytest.raises(UsageError, match="tables, rows, server"):
        calm_lab.ruin("db01", "everything")
    with pytest.raises(UsageError, match="no database"):
        calm_lab.ruin("web01", "rows")


def test_no_acknowledged_receipt_is_lost_in_a_power_cycle(fresh_lab: Lab, eventually: Callable[..., bool]) -> None:
    """Tills write on while db01 loses its power; each receipt they were told is written is there afterwards."""
    fresh_lab.writers_start(tills=2)
    assert eventually(lambda: fresh_lab.writers_seen().acknowledged > 100, 10)
    fresh_lab.fault("power-cycle", "db01")
    before = fresh_lab.writers_seen()
    assert eventually(lambda: fresh_lab.writers_seen().acknowledged > before.acknowledged + 100, 10)
    assert fresh_lab.writers_seen().running
    fresh_lab.writers_stop()
    seen, audit = fresh_lab.writers_seen(), fresh_lab.writers_audit()
    assert not seen.running
    assert seen.refused > 0
    assert seen.silence > 0.1
    assert (audit.acknowledged, audit.lost) == (seen.acknowledged, ())
    assert audit.schemas == {"site": seen.acknowledged}


def test_a_lost_receipt_is_named(fresh_lab: Lab, eventually: Callable[..., bool]) -> None:
    """A receipt that is taken away is named by the audit; one that is in another schema only is not lost."""
    fresh_lab.writers_start(tills=1)
    assert eventually(lambda: fresh_lab.writers_seen().acknowledged > 20, 10)
    fresh_lab.writers_stop()
    asked(fresh_lab, "CREATE DATABASE site__undo")
    asked(fresh_lab, "CREATE TABLE site__undo.receipt AS SELECT * FROM receipt ORDER BY number LIMIT 3")
    try:
        first, *_, last = asked(fresh_lab, "SELECT till, number FROM receipt ORDER BY number")
        asked(fresh_lab, f"DELETE FROM receipt WHERE number IN ({first[1]}, {last[1]})")
        audit = fresh_lab.writers_audit()
        assert audit.lost == ((1, int(last[1])),)
        assert audit.schemas["site__undo"] == 3
    finally:
        asked(fresh_lab, "DROP DATABASE site__undo")


def test_a_service_stays_stopped_until_started(calm_lab: Lab) -> None:
    """Init scripts stop and start services for good, say which they are, and `start` returns when they answer."""

    def service(host: str, name: str, what: str) -> int:
        return calm_lab.exec(host, ["service", name, what], timeout=60)[0]

    assert service("web01", "site", "status") == 0
    assert service("web01", "site", "stop") == 0
    assert service("web01", "site", "status") == 3
    calm_lab.fault("power-cycle", "web01")
    assert not calm_lab.status()["hosts"]["web01"]["services"]["http"]
    assert service("web01", "site", "start") == 0
    assert service("web01", "site", "status") == 0
    assert service("db01", "mariadb", "stop") == 0
    assert calm_lab.exec("db01", ["pgrep", "-x", "mariadbd"])[0] == 1
    assert service("db01", "mariadb", "start") == 0
    assert number(calm_lab, "SELECT 1") == 1
    assert service("web01", "till", "status") == 3


def test_the_systemd_host_can_serve_the_site(calm_lab: Lab) -> None:
    """sys01 has the site as a systemd unit that is off until started."""
    assert calm_lab.exec("sys01", ["systemctl", "is-active", "site"])[1] == b"inactive\n"
    assert calm_lab.exec("sys01", ["systemctl", "start", "site"])[0] == 0
    calm_lab.exec("sys01", ["systemctl", "stop", "site"])


def test_the_inventory_names_the_copies(lab: Lab, lab_inventory: Path) -> None:
    """db01's variables name the three copies in order of distance, and the store's keys by files that exist."""
    variables = yaml.safe_load((lab_inventory / "host_vars/db01.yml").read_text(encoding="utf-8"))
    site = variables["remedy_databases"]["site"]
    assert [copy["name"] for copy in site["copies"]] == ["local", "building-b", "off-site"]
    assert lab.exec("db01", ["test", "-e", f"{site['binlogs']}/binlog.index"])[0] == 0
    for copy in site["copies"][:2]:
        assert lab.exec(copy.get("host", "db01"), ["test", "-d", copy["path"]])[0] == 0
    store = site["copies"][2]
    for name in ("access_key", "secret_key"):
        assert Path(store[name]["file"]).stat().st_mode & 0o077 == 0
    for unit in site["units"]:
        assert lab.exec(unit["host"], ["test", "-x", f"/etc/init.d/{unit['name']}"])[0] == 0
    for question in site["questions"]:
        assert number(lab, question["sql"]) >= question["at_least"]


def remedy(*words: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    return subprocess.run([sys.executable, "-m", "remedy", *words], check=False, capture_output=True, text=True)


def test_the_commands_say_what_happened(fresh_lab: Lab, eventually: Callable[..., bool]) -> None:
    """`lab database`, `lab writers` and `lab attack --ruin` work from the command line, with their exit codes."""
    made = remedy("lab", "database")
    assert made.stdout == f"site-{datetime.now(UTC):%Y-%m-%d}.sql.zst\n"
    assert remedy("lab", "database", "--size", "much").returncode == 2
    assert remedy("lab", "writers", "--tills", "1").returncode == 0
    assert json.loads(remedy("lab", "writers", "--status", "--json").stdout)["running"]
    assert eventually(lambda: fresh_lab.writers_seen().acknowledged > 0, 10)
    assert remedy("lab", "attack", "db01", "--ruin", "rows").returncode == 0
    assert "stopped" in remedy("lab", "writers", "--stop").stdout
    assert remedy("lab", "writers", "--audit").returncode == 0
    assert remedy("lab", "attack", "db01", "--ruin", "tables").returncode == 0
    assert remedy("lab", "writers", "--audit").returncode == 1
    assert remedy("lab", "database", "--reset").returncode == 0
    assert number(fresh_lab, "SELECT count(*) FROM notice") > 5


@pytest.mark.parametrize(
    ("now", "night"),
    [
        ("2026-03-01T02:00:00+00:00", "2026-03-01"),
        ("2026-03-01T01:59:59+00:00", "2026-02-28"),
        ("2026-03-01T09:30:00+08:00", "2026-02-28"),
        ("2026-03-01T10:30:00+08:00", "2026-03-01"),
    ],
)
def test_the_last_night_is_one_that_has_passed(now: str, night: str) -> None:
    """Two o'clock is that of the hosts' zone, UTC, whatever zone is asked in."""
    assert f"{history.last_night(datetime.fromisoformat(now)):%Y-%m-%d}" == night


def test_the_past_is_written_once_a_day(tmp_path: Path) -> None:
    """A second call writes nothing; the next day's call does, and takes the old one away."""
    said: list[str] = []
    first = history.ensure_history(image.image_path(), said.append, tmp_path, datetime(2026, 3, 1, 12, tzinfo=UTC))
    assert (
        history.ensure_history(image.image_path(), said.append, tmp_path, datetime(2026, 3, 2, 1, tzinfo=UTC)) == first
    )
    assert len(said) == 1
    assert [path.name for path in history.backups(first) if path.suffix == ".zst"] == [
        f"site-2026-{day}.sql.zst" for day in ("02-27", "02-28", "03-01")
    ]
    history.link(first, tmp_path / "linked")
    second = history.ensure_history(image.image_path(), said.append, tmp_path, datetime(2026, 3, 2, 3, tzinfo=UTC))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("history-")] == [second.name]
    assert (tmp_path / "linked/var/lib/mysql/ibdata1").stat().st_size > 1 << 20


def test_a_past_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """With an image that lacks a database server it fails with a reason, and nothing stays."""
    (tmp_path / "image").mkdir()
    (tmp_path / "cache").mkdir()
    with pytest.raises(RemedyError, match="db01's database"):
        history.ensure_history(tmp_path / "image", lambda _line: None, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
