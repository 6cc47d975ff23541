"""Bad backups and bad days around a restore: each with its message, its exit code, and nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.lab import bad_store
from tests.lab.contain import eventually
from tests.lab.recover import (
    DONE,
    NO_BACKUP,
    PARTIAL,
    REFUSED,
    UNSAVED,
    Ruined,
    Site,
    operator,
    put_back,
)

from remedy.lab import Lab, spoiling

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def stored(lab: Lab) -> Iterator[Lab]:
    """The lab with its store off site, put back at the end of the module."""
    yield from put_back(lab, store=True)


@pytest.fixture
def site(stored: Lab, tmp_path: Path) -> Iterator[Site]:
    """The site as it was, and an operator with the copies on db01 and backup01."""
    made = Site(stored, operator(stored, tmp_path))
    made.reset()
    yield made
    made.reset()


@pytest.fixture
def ruined(stored: Lab, tmp_path: Path) -> Iterator[Ruined]:
    """The same, with its rows held to ransom."""
    made = Ruined(stored, operator(stored, tmp_path))
    yield made
    made.reset()


@pytest.fixture(scope="module")
def proxied(stored: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site, and an operator who has the copy off site alone, by a way that can have a bad day."""
    with bad_store.proxy() as endpoint:
        folder = tmp_path_factory.mktemp("proxied")
        remedy = operator(stored, folder, ("off-site",))
        hosts = folder / "inventory/hosts.yml"
        content = yaml.safe_load(hosts.read_text(encoding="utf-8"))
        database = content["all"]["children"]["lab"]["hosts"]["db01"]["remedy_databases"]["site"]
        database["copies"][0]["endpoint"] = endpoint
        hosts.write_text(yaml.safe_dump(content), encoding="utf-8")
        made = Site(stored, remedy)
        made.reset()
        yield made


@pytest.mark.parametrize(
    ("day", "kind", "told"),
    [
        ("no-list", "unreachable", "s3:ListBucketVersions"),
        ("no-read", "refused", "s3:GetObjectVersion"),
        ("half", "unreachable", "InternalError"),
    ],
)
def test_a_store_that_does_not_give_its_backups(proxied: Site, tmp_path: Path, day: str, kind: str, told: str) -> None:
    """Without rights, with errors, or broken off half-way nothing is restored, and on a better day it is as before."""
    proxied.remedy.record = tmp_path / "record.db"
    bad_store.bad_day(day)
    oldest = ("--at", f"{min(proxied.nights())} 02:00:00", "--no-binlogs")
    said = proxied.restore("--dry-run", "--json", *oldest)
    assert said.code == NO_BACKUP, said.err
    rejected = said.document["choice"]["rejected"]
    assert {one["kind"] for one in rejected} == {kind}
    assert told in rejected[0]["reason"]
    bad_store.bad_day("")
    assert proxied.dry(*oldest)["chosen"]["copy"] == "off-site"


@pytest.mark.parametrize("day", ["hiccup", "slow"])
def test_a_store_that_gives_them_in_the_end(proxied: Site, tmp_path: Path, day: str) -> None:
    """A slow store, and one that fails twice and then answers, is as good as any."""
    proxied.remedy.record = tmp_path / "record.db"
    bad_store.bad_day(day)
    assert proxied.dry("--from", "off-site")["chosen"]["copy"] == "off-site"


def test_a_backup_that_is_replaced_before_it_is_loaded(ruined: Ruined) -> None:
    """Bytes that are not those that were judged are never made live: the other copy of the same backup is taken."""
    newest = ruined.newest()
    process = ruined.paused("intent 2", "--json", *UNSAVED)
    older = f"site-{ruined.nights()[0]}.sql"
    ruined.db.sh('cd /var/backups/mariadb && cp "$1.zst" x && mv x "$2.zst"', older, newest)
    said = ruined.go_on(process)
    assert said.code == DONE, said.err
    assert [one["status"] for one in said.document["targets"]] == ["failed", "verified"]
    choice = said.document["choice"]
    assert (choice["chosen"]["backup"], choice["chosen"]["copy"]) == (newest, "building-b")
    assert ruined.state() == "new"


def test_no_room_to_load(ruined: Ruined) -> None:
    """A full disk is told before anything is done; one that fills up during the load blames no backup."""
    ruined.lab.fault("disk-full", "db01")
    said = ruined.restore("--yes", "--json")
    ruined.lab.clear("db01")
    assert said.code == REFUSED, said.out
    assert "disk full" in said.target["error"]["hint"]
    assert "No space left on device" in said.err
    assert ruined.left() == []

    process = ruined.paused("put 20", *UNSAVED)
    ruined.lab.fault("disk-full", "db01")
    said = ruined.go_on(process)
    ruined.lab.clear("db01")
    assert said.code == PARTIAL, said.err
    assert ruined.left() == []
    assert "of the database server is full" in said.err
    assert len(ruined.remedy.entries("plan")) == 1, "no other backup was tried"
    assert ruined.state() == "old"


def test_no_room_at_the_cut_over(ruined: Ruined) -> None:
    """A disk that is full at the cut-over moves nothing; what is live stays so, and takes writes."""
    process = ruined.paused("intent 5", *UNSAVED)
    ruined.lab.fault("disk-full", "db01")
    said = ruined.go_on(process)
    ruined.lab.clear("db01")
    assert said.code == PARTIAL, said.err
    assert ruined.state() == "old"
    assert ruined.left() == []


def test_a_table_in_somebodys_hands(ruined: Ruined) -> None:
    """A lock on a table stops the backup before everything, saying whom to end; an open transaction is rolled back."""
    hold = '(echo "$1" | setsid mariadb site >/dev/null 2>&1 &) ; sleep 0.3'
    ruined.db.sh(hold, "LOCK TABLES notice WRITE; SELECT SLEEP(600);")
    said = ruined.restore("--yes", "--json")
    assert said.code == PARTIAL, said.err
    assert "table notice is locked by somebody" in said.err, said.out
    assert ruined.left() == []
    ruined.db.sh("pkill -x mariadb")
    ruined.db.sh(hold, "BEGIN; UPDATE notice SET title = 'never committed'; SELECT SLEEP(600);")
    said = ruined.restore("--yes", "--json")
    assert said.code == DONE, said.err
    assert ruined.state() == "new"


#: Writes a row a moment as root, whom read-only does not stop, and notes what was acknowledged.
_ROOT_WRITES = r"""
: >/var/acks
n=1
while [ -e /run/writing ]; do
  mariadb site -e "INSERT INTO receipt (till, number, amount) VALUES (99, $n, 1)" 2>/dev/null && echo $n >>/var/acks
  n=$((n + 1))
done
"""


def test_writers_that_are_not_held(site: Site) -> None:
    """Tills, and a root who ignores that writes are held, go on all the time: nothing acknowledged is lost or doubled."""  # noqa: E501 -- one sentence
    site.lab.writers_start(tills=2)
    site.db.sh(': >/run/writing; setsid sh -c "$1" </dev/null >/dev/null 2>&1 &', _ROOT_WRITES)
    assert eventually(lambda: site.lab.writers_seen().acknowledged > 100, 10)
    said = site.restore("--yes", "--json", "--accept", "shrunken")
    assert said.code == DONE, said.err
    assert "writes were held for" in said.err
    run = site.run()
    before = site.lab.writers_seen().acknowledged
    assert eventually(lambda: site.lab.writers_seen().acknowledged > before + 20, 10), "they write on"
    undone = site.remedy("undo", run, "--yes")
    assert undone.code == DONE, undone.err
    before = site.lab.writers_seen().acknowledged
    assert eventually(lambda: site.lab.writers_seen().acknowledged > before + 20, 10)
    site.lab.writers_stop()
    site.db.sh("rm /run/writing; sleep 0.5")

    seen, audit = site.lab.writers_seen(), site.lab.writers_audit()
    assert seen.running is False
    assert "1290" in seen.said or seen.refused, "the hold was felt"
    assert audit.lost == ()
    assert set(audit.schemas) == {"site", "site__in"}
    assert sum(audit.schemas.values()) == audit.acknowledged == seen.acknowledged, "none is there twice"
    assert min(audit.schemas.values()) > 0
    assert seen.silence < 5
    acks = [int(line) for line in site.db.sh("cat /var/acks").split()]
    both = (
        "SELECT number FROM site.receipt WHERE till = 99 UNION ALL SELECT number FROM site__in.receipt WHERE till = 99"
    )
    there = [int(line) for line in site.sql(both)]
    assert len(there) == len(set(there))
    assert set(acks) <= set(there)
    assert len(acks) > 50


def test_two_restores_at_once(ruined: Ruined, tmp_path: Path) -> None:
    """Who comes second is told who is at it, with one record or two, and disturbs nothing."""
    process = ruined.paused("put 20", "--json", *UNSAVED)
    second = ruined.restore("--yes", "--json")
    assert (second.code, second.target["error"]["kind"]) == (REFUSED, "HeldByOther")
    assert ruined.run() in second.target["error"]["message"]
    stranger = Site(ruined.lab, operator(ruined.lab, tmp_path / "stranger"))
    third = stranger.restore("--yes", "--json")
    assert (third.code, third.target["error"]["kind"]) == (REFUSED, "Refused")
    assert "site__in is there already" in third.target["error"]["message"]
    said = ruined.go_on(process)
    assert said.code == DONE, said.err
    assert ruined.state() == "new"


def planted(site: Site, line: str, ago: int) -> bytes:
    """A dump, complete and with its checksum, in which somebody has put a line; made so many seconds ago."""
    text = site.content(f"site-{site.nights()[-1]}.sql")
    moment = site.db.sh(f"date -u -d '{ago} seconds ago' '+%Y-%m-%d %k:%M:%S'").strip()
    head, mark, tail = text.rpartition("\n/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;")
    tail = tail.rpartition("-- Dump completed on ")[0] + f"-- Dump completed on {moment}\n"
    return f"{head}\n{line}{mark}{tail}".encode("utf-8", "surrogateescape")


_SERVER_STATEMENTS = """GRANT ALL ON *.* TO intruder@'%' IDENTIFIED BY 'x';
SET GLOBAL general_log = 1;
LOAD DATA INFILE '/etc/passwd' INTO TABLE `setting`;
SELECT 'x' INTO OUTFILE '/var/lib/mysql/outfile';"""


def test_planted_dumps(ruined: Ruined) -> None:
    """What an intruder has put into newer dumps is named and passed over; forced, none of it reaches the server."""
    lines = {
        "site-1-shell.sql": r"\! touch /tmp/was-here",
        "site-2-drop.sql": "DROP DATABASE mysql;",
        "site-3-use.sql": "USE mysql;\nDELETE FROM global_priv;",
        "site-4-grant.sql": _SERVER_STATEMENTS,
    }
    for number, (name, line) in enumerate(lines.items()):
        ruined.put(name, planted(ruined, line, 60 - number))
    choice = ruined.dry()
    reasons = {one["backup"]: (one["kind"], one["reason"]) for one in choice["rejected"] if one["copy"] == "local"}
    assert choice["chosen"]["backup"] == f"site-{ruined.nights()[-1]}.sql"
    assert reasons["site-1-shell.sql"][0] == "corrupt"
    assert "a command for the client's machine" in reasons["site-1-shell.sql"][1]
    assert "reaches into another schema" in reasons["site-2-drop.sql"][1]
    assert "another schema" in reasons["site-3-use.sql"][1]
    assert "accounts, the server or its files" in reasons["site-4-grant.sql"][1]

    assert ruined.dry("--accept", "client-command")["chosen"]["backup"] != "site-1-shell.sql", "not to be accepted"
    said = ruined.restore("--yes", "--json", "--accept", "privilege", *UNSAVED)
    assert said.code == DONE, said.err
    assert said.document["choice"]["chosen"]["backup"] == "site-4-grant.sql"
    assert ruined.sql("SELECT COUNT(*) FROM mysql.user WHERE user = 'intruder'") == ["0"]
    assert ruined.sql("SELECT @@GLOBAL.general_log") == ["0"]
    assert ruined.sql("SELECT COUNT(*) FROM site.setting WHERE name LIKE 'root%'") == ["0"]
    assert ruined.db.sh("ls /var/lib/mysql/outfile /tmp/was-here 2>/dev/null; :") == ""
    assert ruined.state() == "new"


def test_what_is_no_backup_in_the_folder(site: Site) -> None:
    """Links, pipes, folders and unfinished files called like backups are neither followed nor opened, and named."""
    newest = site.newest()
    site.db.sh(
        'cd "$1" && mkfifo site-2030-01-01.sql.zst && ln -s /etc/shadow site-2030-01-02.sql && mkdir site-2030-01-03.sql '  # noqa: E501
        '&& cp "$2.zst" site-2030-01-04.sql.zst.part && ln -s "$2.zst" site-2030-01-05.sql.zst',
        spoiling.FOLDERS["db01"],
        newest,
    )
    choice = site.dry()
    assert (choice["chosen"]["backup"], choice["chosen"]["copy"]) == (newest, "local")
    odd = {one["backup"]: one["reason"] for one in choice["rejected"] if one["kind"] == "odd"}
    assert {"site-2030-01-01.sql.zst", "site-2030-01-02.sql", "site-2030-01-05.sql.zst"} <= odd.keys(), odd
    assert "shadow" not in str(choice)


def test_a_schema_whose_name_needs_quotes(stored: Lab, tmp_path: Path) -> None:
    """A schema with quotes, a space and Chinese in its name is backed up, ruined, restored, undone and released."""
    schema = "sh`op's 店-1"
    remedy = operator(
        stored, tmp_path, ("local",), schema=schema, questions=["SELECT COUNT(*) FROM `t` WHERE 1"], units=[]
    )
    site = Site(stored, remedy)
    site.reset()
    quoted = "`" + schema.replace("`", "``") + "`"
    site.sql(
        f"CREATE DATABASE {quoted}; USE {quoted}; CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20) CHARSET utf8mb4);"  # noqa: E501
        "INSERT INTO t VALUES (1, '王'), (2, 'x'); CREATE VIEW v AS SELECT * FROM t;"
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.name = 'y'; CREATE PROCEDURE p() SELECT 1;"
        "CREATE TABLE `a b``c` (`d e` INT) "
    )
    taken = remedy("backup", "take", "site", "--yes", "--json")
    assert taken.code == DONE, taken.err
    before = site.dump(schema)
    site.sql(f"DELETE FROM {quoted}.t; DROP TABLE {quoted}.`a b``c`")
    ruined = site.dump(schema)
    said = site.restore("--yes", "--json")
    assert said.code == DONE, said.err
    assert site.dump(schema) == before
    assert remedy("undo", site.run(), "--yes").code == DONE
    assert site.dump(schema) == ruined
    assert remedy("release", "site", "--yes").code == DONE
    assert site.sql("SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE '%\\_\\_%\\_%'") == []
    site.sql(f"DROP DATABASE {quoted}")
