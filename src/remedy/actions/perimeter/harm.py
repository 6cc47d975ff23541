"""What an access list must never do: cut off those who run the place, or everybody.

Decides from the list as it would be, by the first rule that matches. A rule with words that nobody understood, or with
a group whose members are not known, is taken for one that does not match. Leaves to others: who must stay (the
inventory), and where the list is applied (the device). Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from remedy.core.errors import Refused
from remedy.devices.acl import Acl, Endpoint, Rule
from remedy.devices.addresses import Span, merged, parse, subtract, touched

__all__ = ["Way", "require_harmless"]

_TOP: Final = 65_535
#: Ports that are the use of who must stay: to close one of these is to cut it off. SSH and DNS (IANA port numbers).
_USES: Final = (22, 53)
_TCP: Final = frozenset({"tcp", "6", "ip"})


@dataclass(frozen=True, slots=True)
class Way:
    """How remedy reaches the device itself: from an address of ours to one of the device's, TCP."""

    source: str
    destination: str
    port: int


def require_harmless(
    acl: Acl,
    mine: Collection[Rule],
    *,
    before: Acl | None,
    ways: Sequence[Way],
    keep: Mapping[str, Sequence[str]],
    acts: bool,
) -> None:
    """Raise Refused when the list would cut off our way in, or those in `keep`, or let nothing through.

    `mine` are the rules that are new with this push, `acts` says whether the list is applied somewhere, or may be.
    """
    _require_a_way_through(acl, set(mine), before)
    for way in ways:
        rule = _decides(acl, way)
        denied = rule.action == "deny" if rule is not None else acl.default == "deny"
        # what already denied us, while we are logged in, does not stand in our way
        was = before is not None and _denies(before, way)
        if denied and ((rule is not None and rule in mine) or (acts and not was)):
            raise Refused(
                f"list {acl.name} would cut off our own way to the device: {way.source} to {way.destination} port "
                f"{way.port} {_meets(rule)}",
                hint=f"put this above: permit tcp from {way.source} to {way.destination} port {way.port}",
            )
    _require_kept(acl, set(mine), keep, {*_USES, *(way.port for way in ways)})


def _meets(rule: Rule | None) -> str:
    if rule is None:
        return "meets no rule, and what no rule matches is denied"
    return f"meets a rule that denies{f' ({rule.comment})' if rule.comment else ''}"


def _denies(acl: Acl, way: Way) -> bool:
    rule = _decides(acl, way)
    return rule.action == "deny" if rule is not None else acl.default == "deny"


def _decides(acl: Acl, way: Way) -> Rule | None:
    """The first rule that is known to match a connection from any port; None where there is none."""
    source, destination = parse(way.source), parse(way.destination)
    if source.family != destination.family:
        return None
    for rule in acl.rules:
        if (
            _is_plain(rule)
            and rule.family == source.family
            and rule.protocol in _TCP
            and _has(rule.source.spans, source)
            and _has(rule.destination.spans, destination)
            and _takes_any_port(rule.source)
            and _takes(rule.destination, way.port)
        ):
            return rule
    return None


def _is_plain(rule: Rule) -> bool:
    """Whether what the rule matches is all said; a name and a counter do not match anything."""
    words = [said for said in rule.rest if not said.startswith("name ") and said != "counting enable"]
    return rule.enabled and not words and not rule.source.group and not rule.destination.group


def _has(spans: Sequence[Span], one: Span) -> bool:
    return not spans or any(span.first <= one.first and one.last <= span.last for span in spans)


def _takes_any_port(side: Endpoint) -> bool:
    return not side.ports or side.ports == ((0, _TOP),)


def _takes(side: Endpoint, port: int) -> bool:
    return not side.ports or any(low <= port <= high for low, high in side.ports)


def _is_total(rule: Rule) -> bool:
    sides = (rule.source, rule.destination)
    anybody = all(not side.spans or any(span.is_everything for span in side.spans) for side in sides)
    return _is_plain(rule) and rule.protocol == "ip" and anybody and rule.action == "deny"


def _require_a_way_through(acl: Acl, mine: Collection[Rule], before: Acl | None) -> None:
    """Raise Refused for a list that lets nothing through, and for a rule of ours that makes all of others' useless.

    A list that let nothing through before and still denies what no rule matches is not made worse by one more denial.
    """
    families = {rule.family for rule in acl.rules}
    closed = before is not None and not any(rule.action == "permit" for rule in before.rules)
    implied = acl.default == "deny" and not closed
    for family in families:
        rules = [rule for rule in acl.rules if rule.family == family and rule.enabled]
        total = next((at for at, rule in enumerate(rules) if _is_total(rule)), None)
        end = len(rules) if total is None else total
        if not any(rule.action == "permit" for rule in rules[:end]) and (total is not None or implied):
            why = "it denies everybody" if total is not None else "what no rule matches is denied there"
            raise Refused(
                f"list {acl.name} would let nothing of IPv{family} through: {why}",
                hint="end it with what may pass: permit ip from any to any",
            )
        if total is not None and rules[total] in mine and any(rule not in mine for rule in rules[total + 1 :]):
            raise Refused(
                f"in {acl.name} a rule that denies everybody would stand before {len(rules) - total - 1} others' rules",
                hint="name the addresses that are to be denied",
            )


def _require_kept(acl: Acl, mine: Collection[Rule], keep: Mapping[str, Sequence[str]], uses: Collection[int]) -> None:
    """Raise Refused when a rule of ours names somebody who must stay, and nothing above it lets them through."""
    wanted = {who: [parse(address) for address in addresses] for who, addresses in keep.items()}
    everybody = merged(span for spans in wanted.values() for span in spans)
    above: list[Rule] = []
    for rule in acl.rules:
        if rule.action == "permit":
            if _is_plain(rule):
                above.append(rule)
            continue
        if rule not in mine or not rule.enabled:
            continue
        for side, other in (("source", "destination"), ("destination", "source")):
            named = getattr(rule, side).spans
            if not touched(named, everybody) or not _closes(rule, side, uses):
                continue
            freed = [
                span
                for permit in above
                if _wider(permit, rule, other)
                for span in getattr(permit, side).spans or (Span(rule.family, 0, _last(rule.family)),)
            ]
            left = subtract(named, freed)
            for who, spans in wanted.items():
                if hit := touched(left, spans):
                    raise Refused(
                        f"list {acl.name} would cut off {who}: {rule.action} {side} {hit[0]}",
                        hint="it is protected by the inventory or is our own way in; permit it above, or leave it out",
                    )


def _closes(rule: Rule, side: str, uses: Collection[int]) -> bool:
    """Whether a rule cuts whom it names off: as the source always, as the destination where all or its uses are."""
    return side == "source" or rule.protocol == "ip" or any(_takes(rule.destination, port) for port in uses)


def _wider(permit: Rule, rule: Rule, other: str) -> bool:
    """Whether a rule lets through, for its own addresses on one side, all that the later one denies."""
    theirs, ours = getattr(permit, other).spans, getattr(rule, other).spans
    if permit.family != rule.family or permit.protocol not in {"ip", rule.protocol}:
        return False
    if theirs and (not ours or subtract(ours, theirs)):
        return False
    pairs = ((rule.source.ports, permit.source.ports), (rule.destination.ports, permit.destination.ports))
    return all(not wide or (narrow and _inside(narrow, wide)) for narrow, wide in pairs)


def _inside(narrow: Sequence[tuple[int, int]], wide: Sequence[tuple[int, int]]) -> bool:
    return all(any(low <= first and last <= high for low, high in wide) for first, last in narrow)


def _last(family: int) -> int:
    return (1 << (32 if family == 4 else 128)) - 1  # noqa: PLR2004 -- bits of an address
