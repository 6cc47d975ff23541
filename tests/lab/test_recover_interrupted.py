"""A restore dies, or its hosts do, at every step: production is old or new and whole, and resume and undo end well."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.recover import DONE, DYING, Site, operator, put_back, rows

from remedy.lab import Lab

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def calm(lab: Lab) -> Iterator[Lab]:
    """The lab, put back at the end of the module."""
    yield from put_back(lab)


@pytest.fixture
def site(calm: Lab, tmp_path: Path) -> Iterator[Site]:
    """The site with its rows held to ransom, and an operator who has the copy on db01 alone."""
    made = Site(calm, operator(calm, tmp_path, ("local",)))
    made.reset()
    calm.ruin("db01", "rows")
    yield made
    calm.clear()


def test_list(site: Site, tmp_path: Path) -> None:
    said = site.remedy("restore", "site", "--latest-valid", "--yes", wrapped=(DYING, "0", "list", str(tmp_path / "l")))
    print((tmp_path / "l").read_text())
    import time
    for p in ("put", "dump"):
        for n in (5,20,40,80,120,160):
            site.reset()
            site.lab.ruin("db01", "rows")
            t=time.monotonic()
            said = site.remedy("restore", "site", "--latest-valid", "--yes", wrapped=(DYING, f"{p} {n}", "at", "SIGKILL"))
            print(p, n, said.code, time.monotonic()-t)
            print(site.sql("select count(*), sum(table_rows) from information_schema.tables where table_schema='site__in'"))
