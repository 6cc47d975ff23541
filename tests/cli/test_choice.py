"""Which backup was chosen and which were passed over, in words and as data."""

from __future__ import annotations

from typing import Final

import pytest

from remedy.backups.choose import Candidate, Order
from remedy.backups.fallback import Rejection
from remedy.backups.values import Backup, Contents, Copy, Database, File, Judgement
from remedy.cli import choice as chosen
from remedy.core.canon import canonical
from remedy.engine.search import Choice

HERE = Copy("here", host="db01", path="/b")
SITE = Database("site", "site", "db01", (HERE,))
BACKUP = Backup("site-1.sql", "here", "dump", (File("site-1.sql.zst", 12_000_000, 5),))
MADE: Final = 1_795_000_000
REJECTED: Final = (
    Rejection("far", "site-2.sql", "corrupt", "listed", "it is cut", 60, MADE + 3600),
    Rejection("annex", "site-2.sql", "unfit", "whole", "shrunken", 60, MADE + 3600),
    Rejection("far", "site-1.sql", "absent", "listed", "not there", 0, MADE),
    Rejection("moon", "", "unreachable", "listed", "no way there"),
)


def choice(*, found: bool = True) -> Choice:
    """What a search came to."""
    one = Candidate("site-1.sql", (BACKUP,), MADE, MADE)
    unread = (Backup("site-0.sql", "here", "dump", (File("site-0.sql.zst", 1, 1),)),)
    if not found:
        return Choice(SITE, "whole", Order((one,)), rejections=REJECTED)
    order = Order((one,), ("site-9.sql says 2030",))
    return Choice(
        SITE, "whole", order, one, HERE, BACKUP, Judgement("ab" * 32, 12_000_000, "whole", Contents()), REJECTED, unread
    )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 min"), (59, "0 min"), (60, "1 min"), (3599, "59 min"), (3600, "1 h 0 min"), (90_061, "1 d 1 h")],
)
def test_ago(seconds: int, said: str) -> None:
    """A length of time has the two units that matter, and none below a minute."""
    assert chosen.ago(seconds) == said


def test_stamp() -> None:
    """A time is shown in UTC, and an unknown one as such."""
    assert chosen.stamp(MADE) == "2026-11-18 11:06:40 UTC"
    assert chosen.stamp(0) == "unknown"


def test_in_words() -> None:
    """Each rejection with its reason and what it costs, then what is chosen, its age and size; unread ones counted."""
    lines = chosen.lines(choice(), MADE + 7200)
    assert lines == [
        "passed over site-2.sql in far: corrupt, it is cut (up to 1 h 0 min of data more are lost)",
        "passed over site-2.sql in annex: unfit, shrunken (1 h 0 min of data more are lost)",
        "passed over site-1.sql in far: absent, not there",
        "passed over copy moon: unreachable, no way there",
        "times contradict each other: site-9.sql says 2030",
        f"chosen site-1.sql from here: made {chosen.stamp(MADE)}, 2 h 0 min ago, 12.0 MB, whole, sha256 abababababab…",
        "1 older or bounded backups did not have to be read",
    ]


def test_as_data() -> None:
    """The document has the same, and can be recorded."""
    made = chosen.document(choice())
    canonical(made)
    assert made["chosen"] == {
        "backup": "site-1.sql",
        "copy": "here",
        "time": MADE,
        "size": 12_000_000,
        "sha256": "ab" * 32,
        "level": "whole",
    }
    rejected = made["rejected"]
    assert isinstance(rejected, list)
    assert [one["minutes_lost"] for one in rejected if isinstance(one, dict)] == [60, 60, 0, -1]
    assert made["unread"] == ["here/site-0.sql"]


def test_nothing_is_chosen() -> None:
    """Without a valid one there are reasons alone, and no cost beside something that there is not."""
    assert chosen.document(choice(found=False))["chosen"] is None
    lines = chosen.lines(choice(found=False), MADE)
    assert len(lines) == 4
    assert not [line for line in lines if "more are lost" in line]
