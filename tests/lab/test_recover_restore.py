"""A ruined database comes back from its newest valid backup, nothing is lost, and everything can be taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.recover import CHANGES, COPIES, DONE, NO_BACKUP, REFUSED, Site, operator, put_back, rows

from remedy.lab import Lab, ruin

pytestmark = pytest.mark.lab

#: Every routine and package as the server has it, with what it does.
_ROUTINES = "SELECT type, name, md5(body), definer FROM mysql.proc WHERE db = 'site' ORDER BY 1, 2"
#: The files of a data directory that a server which starts in vain does not touch: tablespaces, definitions, logs.
_DATA = 'cd "$1" && find . -name "ib*" -type f -o -name "*.ibd" -o -name "*.frm" -o -name "binlog*" | sort | xargs sha256sum'  # noqa: E501


@pytest.fixture(scope="module")
def stored(lab: Lab) -> Iterator[Lab]:
    """The lab with its store off site, put back at the end of the module."""
    yield from put_back(lab, store=True)


@pytest.fixture
def site(stored: Lab, tmp_path: Path) -> Site:
    """The site as it was when the lab came up, and an operator with all three copies."""
    made = Site(stored, operator(stored, tmp_path, tuple(COPIES)))
    made.reset()
    return made


def same_rows(now: str, then: str) -> None:
    """Fail unless two dumps have the same rows, naming a few that differ."""
    some, others = rows(now), rows(then)
    differing = sorted(set(some) ^ set(others))
    assert not differing, [row[:200] for row in differing[:4]]
    assert len(some) == len(others)


def assert_restored(site: Site, backup: str) -> None:
    """Fail unless the live rows are those of the backup, and the page shows them."""
    same_rows(site.dump(), site.content(backup))
    page = site.page()
    assert "应急演练" in page
    assert ruin.RANSOM not in page


def test_rows_held_to_ransom(site: Site) -> None:
    """The page is back from last night's backup; what was live is kept, backed up before and given back by undo."""
    before = site.files("local")
    backup = site.newest()
    site.lab.ruin("db01", "rows")
    ruined, in_hexadecimal = site.dump(), site.dump("site", "--hex-blob")

    said = site.restore("--yes", "--json")
    assert (said.code, said.target["status"]) == (DONE, "verified"), said.err
    assert_restored(site, backup)
    chosen = said.document["choice"]["chosen"]
    assert (chosen["backup"], chosen["copy"], chosen["sha256"]) == (backup, "local", before[f"{backup}.zst"])
    assert site.left() == ["schema site__undo"]
    same_rows(site.dump("site__undo", "--ignore-table=site__undo.remedy__kept"), ruined)

    run = site.run()
    steps = site.sent(run)
    first, load, compare, after = (steps[name]["result"] for name in ("1", "3", "4", "k2"))
    assert load["sha256"] == before[f"{backup}.zst"], "the record says which bytes were loaded"
    assert compare["different"] == []
    assert compare["equal"] == compare["tables"] == 14
    files = {copy: site.files(copy) for copy in COPIES}
    assert first["sha256"] == files["local"][f"site-before-{run}.sql.zst"]
    assert f"site-before-{run}.sql.zst" not in files["building-b"]
    assert {copy: found[f"site-after-{run}.sql.zst"] for copy, found in files.items()} == dict.fromkeys(
        COPIES, after["sha256"]
    ), "the same bytes in every copy, and the record says which"
    assert set(after["copies"]) == set(COPIES)
    same_rows(site.content(f"site-before-{run}.sql"), in_hexadecimal)
    same_rows(site.content(f"site-after-{run}.sql"), site.dump("site", "--hex-blob"))
    assert site.remedy("incident", "verify").code == DONE

    again = site.restore("--yes", "--json")
    assert (again.code, again.target["error"]["kind"]) == (REFUSED, "Refused")
    assert "remedy release site" in again.target["error"]["hint"]
    assert f"remedy undo {run}" in again.target["error"]["hint"]

    undone = site.remedy("undo", run, "--yes", "--json")
    assert (undone.code, undone.target["status"]) == (DONE, "verified"), undone.err
    assert site.dump() == ruined, "byte for byte what was live before"
    assert ruin.RANSOM in site.page()
    assert site.left() == ["schema site__in"]

    assert site.remedy("release", "site", "--older-than", "7", "--yes").code == DONE
    assert site.remedy("release", "site", "--dry-run").code == CHANGES
    assert site.left() == ["schema site__in"]
    assert site.remedy("release", "site", "--yes").code == DONE
    assert site.left() == []
    assert site.dump() == ruined
    assert site.remedy("release", "site", "--yes").code == DONE, "nothing is left to release"
    assert site.remedy("resume", "--json").document["targets"] == []


def test_dropped_tables(site: Site) -> None:
    """Without any table left the site comes back; undo gives back the empty database with its routines."""
    backup, routines = site.newest(), site.sql(_ROUTINES)
    site.lab.ruin("db01", "tables")
    assert site.page() == "503"
    said = site.restore("--yes", "--json")
    assert (said.code, said.target["status"]) == (DONE, "verified"), said.err
    assert_restored(site, backup)
    assert site.sql(_ROUTINES) == routines
    assert not [name for name in site.files("local") if "before" in name], "there was nothing to back up"

    undone = site.remedy("undo", site.run(), "--yes", "--json")
    assert (undone.code, undone.target["status"]) == (DONE, "verified"), undone.err
    assert site.page() == "503"
    assert (
        site.sql("SELECT 1 FROM information_schema.tables WHERE table_schema = 'site' AND table_type <> 'VIEW'") == []
    )
    assert site.sql(_ROUTINES) == routines
    kept = site.sql("SELECT name FROM site__in.remedy__kept WHERE kind = 'view' ORDER BY name")
    assert kept == ["best_customer", "customer_spend", "notice_public", "open_order"]


def test_a_broken_server(site: Site) -> None:
    """A server that cannot start is rebuilt, its damaged files kept to the byte, and the site comes back on it."""
    backup = site.newest()
    site.lab.ruin("db01", "server")
    broken = site.db.sh(_DATA, "/var/lib/mysql")
    said = site.restore("--yes", "--json")
    assert said.code == REFUSED, said.out
    assert "remedy rebuild site" in said.target["error"]["hint"]

    assert site.remedy("rebuild", "site", "--dry-run").code == CHANGES
    rebuilt = site.remedy("rebuild", "site", "--yes", "--json")
    assert (rebuilt.code, rebuilt.target["status"]) == (DONE, "verified"), rebuilt.err
    aside = f"/var/lib/mysql.remedy-{site.run()}"
    assert site.db.sh(_DATA, aside) == broken

    said = site.restore("--yes", "--json")
    assert said.code == NO_BACKUP, "the accounts that definitions name are gone with the server"
    assert "--accept definer-missing" in said.target["error"]["hint"]
    said = site.restore("--yes", "--json", "--accept", "definer-missing")
    assert (said.code, said.target["status"]) == (DONE, "verified"), said.err
    assert_restored(site, backup)
