"""Which addresses are blocked where and until when, and which must never be.

Decides from the record alone what stands and what has run out, and before anything is planned whether a block would cut
off those who run the place: management, protected assets, name servers, the controller itself, or the whole world.
Leaves to others: reading the devices, which show what really is there (`perimeter.members`).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from remedy.core.errors import Refused
from remedy.core.ports import Journal
from remedy.devices.addresses import Span, merged, parse, subtract, touched

#: The entry of a block, or unblock, that found nothing to change: such a run has no plan on record, but it may have
#: said until when. Body: `action`, `target`, `params`.
SO_ALREADY: Final = "blocked"
_HOUR: Final = 3600.0
_DONE: Final = frozenset({"verified", "unverified", "unchanged"})
#: Never an attacker's address on a wire: this network, loopback, link-local, multicast and beyond
#: (RFC 6890; IANA special-purpose registries).
_NOBODY: Final = ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/127", "fe80::/10", "ff00::/8")
_HOSTS_OF_A_NETWORK: Final = 64


@dataclass(frozen=True, slots=True)
class Standing:
    """Addresses that a run has blocked on a device and nobody has taken off since. `until` is RFC 3339 UTC or empty."""

    device: str
    spans: tuple[Span, ...]
    run: str
    incident: str
    until: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be blocked: addresses by one command (an IPv6 /64 counts as one), blocks an hour on one device."""

    addresses: int = 65_536
    per_hour: int = 60


def standing(journal: Journal) -> tuple[Standing, ...]:
    """Every block that stands, oldest first, from the plans and outcomes of the record. Cost linear in its entries.

    The longest word on an address counts: blocked again for longer, or without an end, it stands as long as that says;
    for a shorter time, perhaps as part of a wider prefix, it stands as long as it did. Unblocking ends all of it.
    """
    asked: dict[str, dict[str, object]] = {}
    now: list[Standing] = []
    for entry in journal.entries(kinds=("plan", "outcome", SO_ALREADY)):
        body = json.loads(entry.body)
        if body.get("action") not in {"block", "unblock"}:
            continue
        if entry.kind == "plan":
            asked[entry.run] = json.loads(body["plan"]["params"])
            continue
        device, status = str(body["target"]), body.get("status")
        if status in {"undone", "failed", "reverted"}:
            now = [one for one in now if one.run != entry.run]
            continue
        if entry.kind == SO_ALREADY:
            asked[entry.run] = json.loads(body["params"])
        elif status not in _DONE or entry.run not in asked:
            continue
        options = asked[entry.run]
        made = Standing(
            device, _spans(options.get("addresses")), entry.run, entry.incident, str(options.get("until") or "")
        )
        now = _with(now, made) if body["action"] == "block" else [_less(one, made) for one in now]
        now = [one for one in now if one.spans]
    return tuple(now)


def _with(before: Sequence[Standing], made: Standing) -> list[Standing]:
    """What stands once a block was made: on each address the one that lasts longest, of equal ones the last."""
    rest = made
    for one in before:
        if _end(one) > _end(made):
            rest = _less(rest, one)
    return [*(one if _end(one) > _end(made) else _less(one, made) for one in before), rest]


def _end(one: Standing) -> float:
    """In seconds since 1970."""
    return datetime.fromisoformat(one.until).timestamp() if one.until else math.inf


def _spans(addresses: object) -> tuple[Span, ...]:
    return merged(parse(str(one)) for one in addresses) if isinstance(addresses, list) else ()


def _less(one: Standing, other: Standing) -> Standing:
    return replace(one, spans=subtract(one.spans, other.spans)) if one.device == other.device else one


def expired(blocks: Iterable[Standing], now: float) -> tuple[Standing, ...]:
    """Those whose time has come. `now` in seconds since 1970."""
    return tuple(one for one in blocks if _end(one) <= now)


def check(
    spans: Sequence[Span],
    *,
    keep: Mapping[str, Sequence[str]],
    journal: Journal,
    now: float,
    limits: Limits,
    counted: bool = False,
) -> None:
    """Raise Refused when blocking these would cut off what must stay, or exceeds the budget.

    `keep` names what must stay reachable, each with its addresses and prefixes: the controller, management, protected
    assets, name servers, the devices themselves. `now` in seconds since 1970. `counted` says that the record has this
    one's approval already.
    """
    for span in spans:
        if span.is_everything:
            raise Refused(f"{span} is everybody", hint="name the attacker's addresses or prefixes")
    if hit := touched(spans, map(parse, _NOBODY)):
        raise Refused(
            f"{hit[0]} holds addresses that no attacker has: loopback, link-local or multicast",
            hint="a firewall needs them itself; name the attacker's addresses",
        )
    for who, addresses in keep.items():
        if hit := touched(spans, (parse(address) for address in addresses)):
            raise Refused(
                f"{hit[0]} would cut off {who}",
                hint="it is protected by the inventory or is our own way in; block a smaller prefix around it",
            )
    wide = sum(_weight(span) for span in spans)
    if wide > limits.addresses:
        raise Refused(
            f"{wide} addresses are more than {limits.addresses}, the most that one command may block",
            hint="blocked_addresses in remedy_budget is the limit",
        )
    recent = Counter(
        str(body["target"])
        for entry in journal.entries(kinds=("approval",))
        if (body := json.loads(entry.body))["action"] == "block" and now - _seconds(entry.time) < _HOUR
    )
    if recent and max(recent.values()) >= limits.per_hour + counted:
        raise Refused(
            f"{max(recent.values())} blocks were approved within the last hour: no more than {limits.per_hour}",
            hint="blocks_per_hour in remedy_budget is the limit; a runaway hook looks just like this",
        )


def _weight(span: Span) -> int:
    return span.size if span.family == 4 else -(-span.size >> _HOSTS_OF_A_NETWORK) or 1  # noqa: PLR2004 -- IPv4


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()
