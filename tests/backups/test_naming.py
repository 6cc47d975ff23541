"""Names that remedy itself gives: what a restore has put aside is known by them. Others are in test_catalog.py."""

from __future__ import annotations

import pytest

from remedy.backups import naming


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("site-before-R1a2b3c4d", "R1a2b3c4d"),
        ("site-before-R1a2b3c4d.sql", "R1a2b3c4d"),
        ("site-before-R1a2b3c4d-2.sql", "R1a2b3c4d"),
        ("site-before-R1a2b3c4d-99.sql.zst", "R1a2b3c4d"),
        ("a-before-Rffffffff-before-R1a2b3c4d.sql", "R1a2b3c4d"),
        ("site-after-R1a2b3c4d.sql", ""),
        ("site-before-R1a2b3c4.sql", ""),
        ("site-before-R1a2b3c4d5.sql", ""),
        ("site-before-R1A2B3C4D.sql", ""),
        ("site-before-R1a2b3c4d-monday.sql", ""),
        ("site-before-update.sql", ""),
        ("before-R1a2b3c4d.sql", ""),
        ("", ""),
    ],
)
def test_what_a_restore_has_put_aside(name: str, run: str) -> None:
    """The run is in the name, also of a second one after the run was resumed; no other name says it."""
    assert naming.before_restore(name) == run
