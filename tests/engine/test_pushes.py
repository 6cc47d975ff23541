"""Which pushed rules stand until when, told by the record."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from tests.worlds.memory import Journal

from remedy.actions import params
from remedy.actions.push import Push
from remedy.core.canon import Json, encode
from remedy.core.values import Plan
from remedy.engine import pushes

NOON: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
EDGE: Final = "list EDGE\ndeny 203.0.113.7 for 1h\ndeny 203.0.113.9 until 2026-11-20T15:00:00Z\npermit ip4 from any\n"
OTHER: Final = "list EDGE\ndeny 198.51.100.7\npermit ip4 from any\n"
BOTH: Final = "list EDGE\npermit any\nlist INNER\ndeny 203.0.113.7 for 2h\npermit ip4 from any\n"


def push(text: str = EDGE, vendor: str = "cisco_ios", at: datetime = NOON) -> Push:
    """The action, its file read then."""
    return Push(vendor, text, "edge.rules", at.isoformat())


def carried(journal: Journal, run: str, action: Push, status: str = "verified", device: str = "core01") -> None:
    """The entries of a run."""
    plan = Plan(action.name, device, run, "INC-1", "", params(action))
    body: dict[str, Json] = {"action": action.name, "target": device}
    journal.append("plan", {**body, "plan": encode(plan), "hash": plan.hash}, incident="INC-1", run=run)
    journal.append("outcome", {**body, "status": status, "exit_code": 0}, incident="INC-1", run=run)


def due(journal: Journal, hours: float) -> list[str]:
    """The runs of which something has ended so many hours after noon."""
    return [one.run for one in pushes.expired(pushes.standing(journal), NOON + timedelta(hours=hours))]


def test_an_end_counts_from_the_push() -> None:
    """A rule is due from the second that it names, one `for` a time so long after its file was read; and only once."""
    journal = Journal()
    carried(journal, "R1", push())
    assert (due(journal, 0.99), due(journal, 1)) == ([], ["R1"])
    [one] = pushes.standing(journal)
    assert one.ends == ("2026-11-20T13:00:00+00:00", "2026-11-20T15:00:00+00:00")
    carried(journal, "R2", one.ending(NOON + timedelta(hours=1)))
    assert (due(journal, 2), due(journal, 3)) == ([], ["R2"])
    [again] = pushes.standing(journal)
    carried(journal, "R3", again.ending(NOON + timedelta(hours=3)))
    assert due(journal, 1000) == []


def test_the_last_word_on_a_list_counts() -> None:
    """Of two pushes to one list the newer one counts; undone, the older one again; one that failed never."""
    journal = Journal()
    carried(journal, "R1", push())
    carried(journal, "R2", push(OTHER), "failed")
    carried(journal, "R3", push(OTHER), device="core02")
    assert due(journal, 1) == ["R1"]
    carried(journal, "R4", push(OTHER), "unverified")
    assert due(journal, 1) == []
    journal.append("outcome", {"action": "push", "target": "core01", "status": "undone"}, incident="INC-1", run="R4")
    assert due(journal, 1) == ["R1"]


def test_each_list_for_itself() -> None:
    """A push that was replaced in one of its lists stands in the others, and is told which."""
    journal = Journal()
    carried(journal, "R1", push(BOTH))
    carried(journal, "R2", push(EDGE))
    first, second = pushes.standing(journal)
    assert (first.run, first.lists) == ("R1", (("EDGE", 6), ("INNER", 4)))
    assert (second.run, second.lists) == ("R2", (("EDGE", 4),))
    ending = first.ending(NOON + timedelta(hours=2))
    assert [*ending.wish().only] == [("EDGE", 6), ("INNER", 4)]
    assert due(journal, 2) == ["R1", "R2"]


def test_what_was_there_already_may_stand_longer() -> None:
    """A push that found nothing to change, where a device keeps no ends, says until when all the same."""
    journal = Journal()
    carried(journal, "R1", push())
    later = push(EDGE.replace("15:00", "20:00"), at=NOON + timedelta(minutes=30))
    body: dict[str, Json] = {"action": "push", "target": "core01"}
    journal.append("outcome", {**body, "status": "unchanged"}, incident="INC-1", run="R2")
    journal.append(pushes.SO_ALREADY, {**body, "params": params(later)}, incident="INC-1", run="R2")
    assert (due(journal, 1.4), due(journal, 1.5)) == ([], ["R2"])


def test_one_policy_and_one_list_of_both_families() -> None:
    """On a firewall with a policy a family the policies are the lists; on one whose lists hold both there is one."""
    for vendor, lists in (("h3c_secpath", (("ip", 4), ("ipv6", 6))), ("cisco_asa", (("EDGE", 0),))):
        journal = Journal()
        text = "deny 203.0.113.7 for 1h\npermit any\n"
        action = replace(push(text, vendor), acl="" if vendor == "h3c_secpath" else "EDGE")
        carried(journal, "R1", action)
        [one] = pushes.standing(journal)
        assert one.lists == lists
        assert due(journal, 1) == ["R1"]
