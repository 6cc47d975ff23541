"""What is blocked until when, told by the record; and what must never be blocked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.worlds.memory import Journal

from remedy.actions import params
from remedy.actions.block import Block
from remedy.actions.unblock import Unblock
from remedy.core.canon import Json, encode
from remedy.core.errors import Refused
from remedy.core.values import Plan
from remedy.devices.addresses import parse, touched
from remedy.engine import blocks

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def carried(
    journal: Journal, run: str, action: Block | Unblock, status: str = "verified", device: str = "fw01"
) -> None:
    """The entries of a run."""
    plan = Plan(action.name, device, run, "INC-1", "", params(action))
    body = {"action": action.name, "target": device}
    journal.append("plan", {**body, "plan": encode(plan), "hash": plan.hash}, incident="INC-1", run=run)
    journal.append("approval", {**body, "plan": plan.hash, "by": "ops"}, incident="INC-1", run=run)
    journal.append("outcome", {**body, "status": status, "exit_code": 0}, incident="INC-1", run=run)


def texts(journal: Journal) -> dict[str, list[str]]:
    """What stands, by device."""
    out: dict[str, list[str]] = {}
    for one in blocks.standing(journal):
        out.setdefault(one.device, []).extend(str(span) for span in one.spans)
    return out


def test_what_stands() -> None:
    """A block stands until its addresses are unblocked on that device, its run is undone, or it never came about."""
    journal = Journal()
    carried(journal, "R1", Block(addresses=("203.0.113.0/24", "2001:db8:66::/64")))
    carried(journal, "R2", Block(addresses=("198.51.100.7",)), device="asa01")
    carried(journal, "R3", Block(addresses=("192.0.2.1",)), status="failed")
    carried(journal, "R4", Block(addresses=("192.0.2.2",)), status="reverted")
    carried(journal, "R5", Block(addresses=("192.0.2.3",)), status="unverified")
    assert texts(journal) == {
        "fw01": ["203.0.113.0/24", "2001:db8:66::/64", "192.0.2.3"],
        "asa01": ["198.51.100.7"],
    }
    carried(journal, "R6", Unblock(addresses=("203.0.113.128/25", "198.51.100.7")))
    assert texts(journal) == {
        "fw01": ["203.0.113.0/25", "2001:db8:66::/64", "192.0.2.3"],
        "asa01": ["198.51.100.7"],
    }
    undone: dict[str, Json] = {"action": "block", "target": "fw01", "status": "undone", "exit_code": 0}
    journal.append("outcome", undone, incident="INC-1", run="R5")
    assert texts(journal)["fw01"] == ["203.0.113.0/25", "2001:db8:66::/64"]


def test_what_has_run_out() -> None:
    """A block with an end is due from that second on; one without never is."""
    journal = Journal()
    end = (NOON + timedelta(hours=1)).isoformat()
    carried(journal, "R1", Block(addresses=("203.0.113.7",), until=end))
    carried(journal, "R2", Block(addresses=("203.0.113.8",)))
    standing = blocks.standing(journal)
    assert blocks.expired(standing, NOON.timestamp()) == ()
    due = blocks.expired(standing, NOON.timestamp() + 3600)
    assert [str(span) for one in due for span in one.spans] == ["203.0.113.7"]


def test_the_longest_word_counts() -> None:
    """Blocked again while it is blocked, nothing is typed; but it stands as long as either command said."""
    journal = Journal()
    end = (NOON + timedelta(hours=1)).isoformat()
    carried(journal, "R1", Block(addresses=("203.0.113.7", "203.0.113.9"), until=end))
    already(journal, "R2", Block(addresses=("203.0.113.7",)))
    standing = blocks.standing(journal)
    assert [str(s) for one in blocks.expired(standing, NOON.timestamp() + 3600) for s in one.spans] == ["203.0.113.9"]
    already(journal, "R3", Unblock(addresses=("203.0.113.9",)))
    assert texts(journal) == {"fw01": ["203.0.113.7"]}


def test_a_short_block_of_many_ends_no_longer_one() -> None:
    """What stands for good, or for a day, outlives the minutes of a prefix around it; the rest of that ends in time."""
    journal = Journal()
    day, hour = ((NOON + timedelta(hours=hours)).isoformat() for hours in (24, 1))
    carried(journal, "R1", Block(addresses=("203.0.113.7",)))
    carried(journal, "R2", Block(addresses=("203.0.113.128/25",), until=day))
    carried(journal, "R3", Block(addresses=("203.0.113.0/24",), until=hour))
    carried(journal, "R4", Block(addresses=("203.0.113.0/24",), until=hour), device="core01")
    due = blocks.expired(blocks.standing(journal), NOON.timestamp() + 3600)
    spans = [span for one in due for span in one.spans if one.device == "fw01"]
    assert sum(span.size for span in spans) == 127
    assert not touched(spans, (parse("203.0.113.7"), parse("203.0.113.128/25")))
    assert [str(span) for one in due for span in one.spans if one.device == "core01"] == ["203.0.113.0/24"]
    later = blocks.expired(blocks.standing(journal), NOON.timestamp() + 86_400)
    assert sum(span.size for one in later for span in one.spans if one.device == "fw01") == 255


def already(journal: Journal, run: str, action: Block | Unblock) -> None:
    """The entries of a run that found nothing to change."""
    body: dict[str, Json] = {"action": action.name, "target": "fw01"}
    journal.append("outcome", {**body, "status": "unchanged", "exit_code": 0}, incident="INC-1", run=run)
    journal.append("blocked", {**body, "params": params(action)}, incident="INC-1", run=run)


KEEP = {"management of web01": ["198.18.3.0/24"], "mon01, which is protected": ["198.18.3.31", "2001:db8:0:3::31"]}


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("0.0.0.0/0", "everybody"),
        ("::/0", "everybody"),
        ("127.0.0.1", "no attacker has"),
        ("0.0.0.0/1", "no attacker has"),
        ("224.0.0.5", "no attacker has"),
        ("fe80::1", "no attacker has"),
        ("198.18.0.0/16", "management of web01"),
        ("198.18.3.31", "management of web01"),
        ("2001:db8::/32", "mon01"),
        ("10.0.0.0/8", "16777216 addresses are more than 65536"),
        ("2001:db8:8000::/33", "more than 65536"),
    ],
)
def test_never_blocked(address: str, said: str) -> None:
    """Everybody, nobody, our own way in, protected hosts and more than the budget are refused, saying which."""
    with pytest.raises(Refused, match=said):
        blocks.check([parse(address)], keep=KEEP, journal=Journal(), now=NOON.timestamp(), limits=blocks.Limits())


def test_a_runaway_hook_is_stopped() -> None:
    """Within an hour only so many blocks are approved on one device; a command for many devices counts once on each."""
    journal = Journal()
    for number in range(3):
        carried(journal, f"R{number}", Block(addresses=("203.0.113.7",)))
        carried(journal, f"S{number}", Block(addresses=("203.0.113.7",)), device="asa01")
    blocks.check(
        [parse("203.0.113.9")], keep={}, journal=journal, now=NOON.timestamp(), limits=blocks.Limits(per_hour=4)
    )
    limits = blocks.Limits(per_hour=3)
    newest = max(datetime.fromisoformat(entry.time).timestamp() for entry in journal.entries())
    with pytest.raises(Refused, match="within the last hour"):
        blocks.check([parse("203.0.113.9")], keep={}, journal=journal, now=newest, limits=limits)
    blocks.check([parse("203.0.113.9")], keep={}, journal=journal, now=newest + 3601, limits=limits)
