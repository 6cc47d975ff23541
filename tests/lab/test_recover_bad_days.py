"""Bad backups and bad days around a restore: each with its message, its exit code, and nothing lost."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.lab import bad_store
from tests.lab.contain import Console, eventually
from tests.lab.recover import (
    CHANGES,
    COPIES,
    DONE,
    NO_BACKUP,
    PARTIAL,
    REFUSED,
    RESTORE,
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
        ("broken", "unreachable", "InternalError"),
        ("half", "corrupt", "the service ends it after"),
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
    process = ruined.paused("intent 3", "--json")
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

    process = ruined.paused("put 20")
    ruined.lab.fault("disk-full", "db01")
    t = time.monotonic()
    said = ruined.go_on(process, 280)
    print("FULL", time.monotonic() - t, said.code, said.err)
    ruined.lab.clear("db01")
    print(ruined.left(), ruined.state())
    assert said.code == PARTIAL, said.err
    assert "disk of the database server is full" in said.err
    assert len(ruined.remedy.entries("plan")) == 1, "no other backup was tried"
    assert ruined.state() == "old"


def test_no_room_at_the_cut_over(ruined: Ruined) -> None:
    """A disk that is full at the cut-over moves nothing; what is live stays so, and takes writes."""
    process = ruined.paused("intent 6")
    ruined.lab.fault("disk-full", "db01")
    said = ruined.go_on(process)
    ruined.lab.clear("db01")
    assert said.code == PARTIAL, said.err
    assert ruined.state() == "old"
    assert ruined.left() == []


def test_a_table_in_somebodys_hands(ruined: Ruined) -> None:
    """A lock on a table stops the backup before everything, saying whom to end; an open transaction is rolled back."""
    hold = "(echo \"$1\" | setsid mariadb site >/dev/null 2>&1 &) ; sleep 0.3"
    ruined.db.sh(hold, "LOCK TABLES notice WRITE; SELECT SLEEP(600);")
    said = ruined.restore("--yes", "--json")
    assert said.code == PARTIAL, said.err
    assert "Lock wait timeout exceeded" in said.err
    assert ruined.left() == []
    ruined.db.sh("pkill -x mariadb")
    ruined.db.sh(hold, "BEGIN; UPDATE notice SET title = 'never committed'; SELECT SLEEP(600);")
    said = ruined.restore("--yes", "--json")
    assert said.code == DONE, said.err
    assert ruined.state() == "new"
    ruined.undone(ruined.run())
