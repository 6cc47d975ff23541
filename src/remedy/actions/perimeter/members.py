"""Addresses onto and off the block: only members of remedy's own group come and go.

Decides the fewest members to add or remove, what they were before, and what must hold afterwards: read back over a
fresh login, the drop rule first and acting, and whoever stands at a blocked address no longer getting through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from remedy.actions.perimeter import device as typing
from remedy.actions.perimeter.device import Desk, Holding, groups_of
from remedy.core.canon import Json, canonical, digest
from remedy.core.errors import Refused, TargetUnfit, UsageError
from remedy.core.values import REACHED, Cell, Expect, Plan, Vantage, wanted
from remedy.devices import Gate, Group
from remedy.devices.addresses import Span, covers, merged, parse, subtract, touched
from remedy.probes import device, reach

_MOST_SHOWN: Final = 6
_MOST_DOORS: Final = 8


@dataclass(frozen=True, slots=True)
class Moves:
    """What is to come and go in one group that holds this now, and how many members it will then have."""

    held: Holding
    add: tuple[Span, ...]
    remove: tuple[Span, ...]
    then: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: these addresses blocked, or (`remove`) no longer.

    `seconds` is the device's timer. `vantages` are those of the inventory that may stand at a blocked address, `doors`
    the TCP addresses and ports they can try. `cells` are what the block had proven closed, asked again on the way back.
    """

    spans: tuple[Span, ...]
    seconds: int
    remove: bool = False
    vantages: tuple[Vantage, ...] = ()
    doors: tuple[tuple[str, int], ...] = ()
    cells: tuple[Cell, ...] = ()


def spans_of(addresses: Sequence[str]) -> tuple[Span, ...]:
    """The addresses merged. Raises UsageError for none, and for what is no address."""
    spans = merged(parse(address) for address in addresses)
    if not spans:
        raise UsageError("no address is given", hint="remedy block 203.0.113.7 198.51.100.0/24")
    return spans


def extend(plan: Plan, desk: Desk, wish: Wish) -> Plan:
    """Add to an empty plan what brings the spans on (or off) the block. Raises Refused and its kin."""
    spans, remove = wish.spans, wish.remove
    families = sorted({span.family for span in spans})
    groups = groups_of(families)
    gates = [(gate, group) for gate in desk.gates for group in groups]
    held, states = desk.look(groups, [device.gate(desk.vendor, gate, group) for gate, group in gates])
    if not remove:
        _require_ready(desk, gates, states)
    moves = [_moves(desk, one, spans, remove=remove) for one in held.values()]
    there = {group.name: None if one.absent else [*map(str, one.spans)] for group, one in held.items()}
    facts = canonical({"members": digest(cast("Json", there)), "gates": [*states]}).decode()
    verb = "unblocked" if remove else "blocked"
    moving = {m.held.group: (m.held.labels(m.add), m.held.labels(m.remove)) for m in moves}
    # Only a run's own members are its own: what others put on or off later is theirs, and no obstacle to its undo.
    settled = not any(move.add or move.remove for move in moves)
    rest = device.remainder({group.name: one.labels(one.spans) for group, one in held.items()}) if settled else ""
    how_far = device.progress(desk.vendor, moving, rest)
    stands = Expect(_read_back(desk, families), desk.name, how_far, wanted("after"), fresh=True, layer="perimeter")
    if settled:
        return replace(plan, facts=facts, expects=(stands,), notes=(f"{_named(spans)}: {verb} already",))
    do, undo = _lines(moves)
    why = f"{_named(spans)} {'taken off' if remove else 'put on'} the block of {desk.name}"
    step = typing.step(desk.name, why, do, undo, how_far)
    expects = [stands]
    if not remove:
        for (gate, group), state in zip(gates, states, strict=True):
            probe = device.gate(desk.vendor, gate, group)
            expects.append(Expect(_acts(gate, group), desk.name, probe, wanted(state), layer="perimeter"))
    cells, notes = (_reopened(wish), ()) if remove else _closed(desk, wish)
    plan = replace(
        plan,
        expects=(*expects, *cells),
        notes=(*_counts(moves), *notes, *(() if remove else _open_sessions(desk, moves))),
        impact=() if remove else (f"{desk.name} drops {_total(spans)}: {_named(spans)}",),
        facts=facts,
    )
    return typing.guarded(plan, desk, (step,), how_far, undo=undo, seconds=wish.seconds)


def _require_ready(desk: Desk, gates: Sequence[tuple[Gate, Group]], states: Sequence[Any]) -> None:
    """Raise TargetUnfit unless the drop rule stands and acts at every gate: members alone block nobody."""
    for (gate, group), state in zip(gates, states, strict=True):
        if state["state"] != "ready":
            why = state["why"] or "the drop rule is not there"
            raise TargetUnfit(
                f"{desk.name} is not prepared to block IPv{group.family} at {place(gate)}: {why}",
                where=desk.name,
                hint=f"remedy acl prepare {desk.name}",
            )


def _moves(desk: Desk, held: Holding, spans: Sequence[Span], *, remove: bool) -> Moves:
    """What has to come and go: overlaps are not added twice, and what only touches a member cuts it."""
    mine = [span for span in spans if span.family == held.group.family]
    there = held.spans
    if remove:
        hit = touched(there, mine)
        add = tuple(part for span in subtract(hit, mine) for part in desk.groups.sayable(span))
        gone = hit
    else:
        add = tuple(part for span in subtract(mine, there) for part in desk.groups.sayable(span))
        gone = ()
    then = len(set(there) - set(gone)) + len(add)
    most = desk.groups.most
    if most and then > most:
        raise Refused(
            f"{then} members do not fit: a group of {desk.vendor.title} takes {most}",
            where=desk.name,
            hint="block prefixes instead of single addresses, or take old ones off: remedy unblock --expired",
        )
    return Moves(held, add, gone, then)


def _lines(moves: Sequence[Moves]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is typed, and what takes it back. What comes goes first, so that nothing is open in between."""
    do: list[str] = []
    undo: list[str] = []
    for move in moves:
        for add, remove, lines in ((move.add, move.remove, do), (move.remove, move.add, undo)):
            lines += [*move.held.add(add), *move.held.remove(remove)]
    return tuple(do), tuple(undo)


def _closed(desk: Desk, wish: Wish) -> tuple[tuple[Expect, ...], tuple[str, ...]]:
    """Whoever of ours stands at a blocked address must not get through any more, where it does now."""
    asked: list[tuple[Vantage, list[tuple[str, int]]]] = []
    for vantage in wish.vantages:
        families = {span.family for span in map(parse, vantage.addresses) if covers(wish.spans, span)}
        near = [_neighbours(parse(address)) for address in vantage.addresses]
        doors = [(a, p) for a, p in wish.doors if parse(a).family in families and not covers(near, parse(a))]
        if doors:
            asked.append((vantage, doors))
    if not asked:
        return (), ("nobody of ours stands at a blocked address: no packet is tried, the device's own word counts",)
    probes = [(v.name, [reach.reach([("tcp", *door) for door in doors], tries=reach.CONTROL)]) for v, doors in asked]
    expects: list[Expect] = []
    notes: list[str] = []
    for (vantage, doors), answer in zip(asked, desk.reader.ask_all(probes), strict=True):
        states = [] if isinstance(answer, Exception) else cast("list[str]", answer[0])
        cells = [
            Cell(vantage.name, vantage.role, "in", f"IPv{parse(address).family}", "TCP", address, port, state)
            for (address, port), state in zip(doors, states, strict=False)
            if state in REACHED
        ][:_MOST_DOORS]
        if not cells:
            notes.append(
                f"{vantage.name} stands at a blocked address but reaches nothing now: its silence proves nothing"
            )
            continue
        probe = reach.reach([("tcp", cell.address, cell.port) for cell in cells], tries=reach.PROOF)
        why = f"{vantage.name}, at a blocked address, no longer gets through {desk.name}"
        want = wanted(["blocked"] * len(cells))
        expects.append(Expect(why, vantage.name, probe, want, cells=tuple(cells), layer="perimeter"))
    return tuple(expects), tuple(notes)


def _open_sessions(desk: Desk, moves: Sequence[Moves]) -> tuple[str, ...]:
    """What ends the sessions that a firewall with a table of them may let go on."""
    coming = sorted((span for move in moves for span in move.add), key=lambda span: not span.is_host)
    if not coming or not desk.vendor.ends:
        return ()
    line = desk.vendor.ends.format(address=coming[0].low, family=coming[0].family)
    return (f"sessions open already may go on; to end them, on {desk.name}, for each address: {line}",)


def _neighbours(address: Span) -> Span:
    """The usual segment around an address: what stands there is reached without passing any firewall."""
    size = 1 << (8 if address.family == 4 else 64)  # noqa: PLR2004 -- a /24, a /64
    first = address.first - address.first % size
    return Span(address.family, first, first + size - 1)


def _reopened(wish: Wish) -> tuple[Expect, ...]:
    """What the block had closed has to answer again, asked from the same places."""
    out = []
    for vantage in dict.fromkeys(cell.vantage for cell in wish.cells):
        theirs = tuple(cell for cell in wish.cells if cell.vantage == vantage)
        probe = reach.reach([("tcp", cell.address, cell.port) for cell in theirs])
        why = f"{vantage} is connected as it was before the block"
        want = wanted(["reached"] * len(theirs))
        out.append(Expect(why, vantage, probe, want, cells=theirs, layer="perimeter"))
    return tuple(out)


def place(gate: Gate) -> str:
    """A gate in words."""
    where = gate.interface or (f"zone {gate.zone}" if gate.zone else "") or gate.acl or "its policy"
    return f"{where} {gate.direction}" if gate.interface else where


def _read_back(desk: Desk, families: Sequence[int]) -> str:
    names = ", ".join(group.name for group in groups_of(families))
    return f"{names} on {desk.name} shows all of it, read over a new login"


def _acts(gate: Gate, group: Group) -> str:
    return f"the drop rule on {group.name} stands first at {place(gate)}, and acts as far as the device says"


def _named(spans: Sequence[Span]) -> str:
    few = ", ".join(str(span) for span in spans[:_MOST_SHOWN])
    return f"{few} and {len(spans) - _MOST_SHOWN} more" if len(spans) > _MOST_SHOWN else few


def _total(spans: Sequence[Span]) -> str:
    total = sum(span.size for span in spans if span.family == 4)  # noqa: PLR2004 -- IPv4
    wide = sum(1 for span in spans if span.family == 6)  # noqa: PLR2004 -- IPv6
    said = [f"{total} IPv4 address{'es' if total != 1 else ''}"] if total else []
    return " and ".join([*said, *([f"{wide} IPv6 prefix{'es' if wide != 1 else ''}"] if wide else [])])


def _counts(moves: Sequence[Moves]) -> tuple[str, ...]:
    return tuple(
        f"{move.held.group.name}: {len(move.add)} to add, {len(move.remove)} to remove, {move.then} then"
        for move in moves
        if move.add or move.remove
    )
