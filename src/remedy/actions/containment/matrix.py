"""The containment certificate: who was asked, what was seen before, what must be seen after.

A cell is planned only where the far end answered *before* the change (its positive control): silence afterwards then
means containment and not a port that never was open. Every combination of side, family and protocol without a single
control is named as unproven, whether nothing answered or the inventory has nobody to ask. Where there is
somebody else to see, a vantage has to see it still: one that has lost its own way proves nothing by its silence.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace

from remedy.actions.containment.paths import Paths
from remedy.core.values import REACHED, Cell, Expect, Probe, Site, Vantage, wanted
from remedy.probes import host, reach

CONTROLLER = Vantage("controller", "management")

#: A port that hardly anybody listens on: its ICMP "port unreachable" is the positive control for UDP.
_UDP_PORT = 33433
_MOST_PORTS = 8
_MOST_WITNESSES = 3


@dataclass(frozen=True, slots=True)
class Question:
    """What one vantage is asked, before and after: cells in the order of the probe."""

    vantage: Vantage
    cells: tuple[Cell, ...]
    probe: Probe


def questions(target: str, site: Site, addresses: Sequence[str], ports: Sequence[int]) -> tuple[Question, ...]:
    """One question per vantage (inward), and one for the target itself (outward and loopback).

    `addresses` are the target's, `ports` the TCP ports it listens on, in order of importance.
    """
    out: list[Question] = []
    tcp = tuple(dict.fromkeys((*site.probe_tcp, *ports)))[:_MOST_PORTS] or (22,)
    udp = site.probe_udp or (_UDP_PORT,)
    for vantage in (CONTROLLER, *site.vantages):
        if vantage.name == target:
            continue
        inward = [("TCP", a, p) for a in addresses for p in tcp] + [("UDP", a, p) for a in addresses for p in udp]
        out.append(_question(vantage, "in", inward, _witnesses(vantage, site)))
    outward = [("TCP", a, p) for a in site.canaries for p in site.canary_tcp]
    outward += [("UDP", a, p) for a in site.canaries for p in site.canary_udp]
    outward += [("DNS", a, 53) for a in site.resolvers]
    local = [("TCP", "127.0.0.1", p) for p in tcp[:_MOST_PORTS]]
    itself = Vantage(target, "itself")
    if outward:
        out.append(_question(itself, "out", outward))
    out.append(_question(itself, "loopback", local))
    return tuple(out)


Asked = tuple[str, str, int]


def _witnesses(vantage: Vantage, site: Site) -> list[Asked]:
    """Somebody else whom a vantage sees now and has to see afterwards: at most a few, the first to answer is kept."""
    others = [other for other in site.vantages if other.name != vantage.name and other.ports]
    few = others[:_MOST_WITNESSES]
    return [("TCP", address, port) for other in few for port in other.ports[:2] for address in other.addresses]


def _question(vantage: Vantage, direction: str, cells: Sequence[Asked], witnesses: Sequence[Asked] = ()) -> Question:
    asked = [(direction, cell) for cell in cells] + [("witness", cell) for cell in witnesses]
    made = tuple(Cell(vantage.name, vantage.role, way, family(a), p, a, port, "") for way, (p, a, port) in asked)
    return Question(vantage, made, reach.reach([(p.lower(), a, port) for _, (p, a, port) in asked], reach.CONTROL))


def family(address: str) -> str:
    """Say which of IPv4 and IPv6 an address belongs to."""
    return f"IPv{ipaddress.ip_address(address).version}"


def asked(question: Question) -> tuple[Probe, ...]:
    """The probes for one vantage: reachability, and which addresses it asks from."""
    return (question.probe, host.addresses())


@dataclass(frozen=True, slots=True)
class Matrix:
    """The certificate's expectations, and what it will not be able to show."""

    expects: tuple[Expect, ...]
    unproven: tuple[str, ...]


def certificate(
    target: str,
    paths: Paths,
    addresses: Sequence[str],
    answers: Sequence[tuple[Question, object]],
    unreachable_from: Sequence[str] = (),
) -> Matrix:
    """Turn the answers seen before the change into expectations for after it.

    `addresses` are all the target's, also those that were not asked about. `answers` pairs each question with
    (states, own addresses), or with the error of a vantage that could not answer.
    """
    expects: list[Expect] = []
    unproven: list[str] = []
    proven: list[Cell] = []
    for question, answer in answers:
        if not isinstance(answer, tuple):
            unproven.append(f"{question.vantage.name} ({question.vantage.role}) could not be asked: {answer}")
            continue
        states, own = answer
        kept = [
            replace(cell, control=state)
            for cell, state in zip(question.cells, states, strict=False)
            if state in REACHED and (cell.direction != "out" or cell.protocol == "TCP" or state == "open")
        ]
        kept = _one_witness_a_family(kept)
        proven += kept
        if any(cell.direction != "witness" for cell in kept):
            expects.append(_expect(target, question, tuple(kept), own, paths))
    return Matrix(tuple(expects), (*unproven, *_gaps(target, addresses, proven, unreachable_from)))


def _one_witness_a_family(cells: Sequence[Cell]) -> list[Cell]:
    first = {cell.family: cell for cell in reversed(cells) if cell.direction == "witness"}
    return [cell for cell in cells if cell.direction != "witness" or first[cell.family] is cell]


def _gaps(target: str, addresses: Sequence[str], proven: Sequence[Cell], never: Sequence[str]) -> list[str]:
    """What a full certificate would have and this one has not: per family of the target, per side, per protocol."""
    out = []
    places = {"peer": "on its own segment", "outside": "beyond the perimeter"}
    for name in sorted({family(a) for a in addresses if not ipaddress.ip_address(a).is_link_local}):
        for role, place in places.items():
            for protocol in ("TCP", "UDP"):
                if role in never or f"{role}/{protocol.lower()}" in never:
                    continue
                if not any((c.direction, c.role, c.family, c.protocol) == ("in", role, name, protocol) for c in proven):
                    how = f"a vantage {place} (remedy_vantage: {role})"
                    out.append(
                        f"{protocol}/{name} to {target}, asked {place}: nothing answered before, or {how} is missing"
                    )
        for protocol in ("TCP", "UDP"):
            if not any((c.direction, c.family, c.protocol) == ("out", name, protocol) for c in proven):
                how = "set remedy_canaries and remedy_canary_ports"
                out.append(f"{protocol}/{name} from {target} outwards: nothing answered before; {how}")
    if not any(c.direction == "out" and c.protocol == "DNS" for c in proven):
        out.append(f"DNS from {target}: no resolver answered before; set remedy_resolvers")
    return out


def _expect(target: str, question: Question, cells: tuple[Cell, ...], own: Sequence[str], paths: Paths) -> Expect:
    wishes = ["reached" if _stays_open(cell, own, paths) else "blocked" for cell in cells]
    probe = reach.reach([(c.protocol.lower(), c.address, c.port) for c in cells])
    stays = any(wish == "reached" for cell, wish in zip(cells, wishes, strict=True) if cell.direction == "in")
    but = f" but for TCP {paths.port}" if stays else ""
    why = {
        "in": f"{question.vantage.name} ({question.vantage.role}) cannot reach {target} any more{but}",
        "out": f"{target} cannot reach anything beyond itself",
        "loopback": f"services on {target} still reach each other over loopback",
    }[cells[0].direction]
    return Expect(why=why, at=question.vantage.name, probe=probe, wanted=wanted([*wishes]), cells=cells)


def _stays_open(cell: Cell, own: Sequence[str], paths: Paths) -> bool:
    """Loopback, witnesses, management to sshd's port, and pinned resolvers stay reachable; nothing else does."""
    if cell.direction in {"loopback", "witness"}:
        return True
    if cell.direction == "out":
        return cell.protocol == "DNS" and cell.address in paths.dns
    if cell.protocol != "TCP" or cell.port != paths.port:
        return False
    version = ipaddress.ip_address(cell.address).version
    nets = [ipaddress.ip_network(a) for a in paths.of(version)]
    sources = [ipaddress.ip_address(a) for a in own if ipaddress.ip_address(a).version == version]
    return any(source in net for source in sources for net in nets)
