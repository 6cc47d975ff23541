"""What is said at the end of a restore: how long writes were held, where the data since the backup is, until when."""

from __future__ import annotations

from typing import Any, Final

import pytest

from remedy.cli import conclusion

MADE: Final = 1_795_000_000
BODY: Final[dict[str, Any]] = {
    "database": "shop",
    "held_ms": 110,
    "lost_minutes": 552,
    "backup_time": MADE,
    "reached_time": MADE,
    "kept": "site__undo",
    "kept_until": MADE + 7 * 86_400,
    "set_aside": "",
}
UNTIL: Final = (
    "site__undo stays until `remedy release shop` drops it; from 2026-11-25 11:06:40 UTC on "
    "`remedy release shop --expired` does too"
)

ASIDE: Final = "the data directory that was set aside: /data.remedy-R1"


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (
            {},
            [
                "writes were held for 110 ms",
                "what was written in the 9 h 12 min since the backup is in site__undo",
                UNTIL,
            ],
        ),
        (
            {"reached_time": MADE + 3600, "lost_minutes": 492},
            [
                "writes were held for 110 ms",
                "binary logs gave back what was written up to 2026-11-18 12:06:40 UTC",
                "what was written after that is in site__undo",
                UNTIL,
            ],
        ),
        (
            {"kept": "", "kept_until": 0, "set_aside": "/data.remedy-R1", "held_ms": 7},
            [
                "writes were held for 7 ms",
                f"what was written in the 9 h 12 min since the backup is in {ASIDE}",
            ],
        ),
        (
            {"kept": "", "kept_until": 0},
            [
                "writes were held for 110 ms",
                "shop held no table before: what was written in the 9 h 12 min since the backup is not on this server",
            ],
        ),
        (
            {"kept": "", "kept_until": 0, "held_ms": -1, "reached_time": MADE + 3600},
            [
                "binary logs gave back what was written up to 2026-11-18 12:06:40 UTC",
                "shop held no table before: what was written after that is in the binary logs alone",
            ],
        ),
        ({"held_ms": -1, "lost_minutes": -1}, [UNTIL]),
    ],
)
def test_where_the_data_is(other: dict[str, Any], said: list[str]) -> None:
    """Each case has its own words: kept beside, given back by logs, set aside with the server, or nowhere here."""
    assert list(conclusion.lines({**BODY, **other})) == said
