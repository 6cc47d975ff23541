"""The containment certificate: who was asked, what was seen before, what must be seen after.

A cell is planned only where the far end answered *before* the change (its positive control): silence afterwards then
means containment and not a port that never was open. Every combination of vantage, family and protocol without a
single control is named as unproven; so is every kind of vantage that the inventory does not have. Where there is
somebody else to see, a vantage has to see it still: one that has lost its own way proves nothing by its silence.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

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
    answers: Sequence[tuple[Question, object]],
) -> Matrix:
    """Turn the answers seen before the change into expectations for after it.

    `answers` pairs each question with (states, own addresses), or with the error of a vantage that could not answer.
    """
    expects: list[Expect] = []
    unproven: list[str] = []
    for question, answer in answers:
        name = question.vantage.name
        if not isinstance(answer, tuple):
            unproven.append(f"{name} ({question.vantage.role}) could not be asked: {answer}")
            continue
        states, own = answer
        kept = [
            Cell(c.vantage, c.role, c.direction, c.family, c.protocol, c.address, c.port, state)
            for c, state in zip(question.cells, states, strict=False)
            if state in REACHED and (c.direction != "out" or c.protocol == "TCP" or state == "open")
        ]
        kept = _one_witness_a_family(kept)
        unproven += _gaps(question, kept, own)
        if any(cell.direction != "witness" for cell in kept):
            expects.append(_expect(target, question, tuple(kept), own, paths))
    roles = {question.vantage.role for question, _ in answers if question.vantage.name != "controller"}
    for role, meaning in (("peer", "on the target's own segment"), ("outside", "beyond the perimeter")):
        if role not in roles:
            unproven.append(f"no vantage {meaning}: give a host remedy_vantage: {role}")
    if not any(question.cells[0].direction == "out" for question, _ in answers if question.cells):
        unproven.append("nothing to reach from the target outwards: set remedy_canaries and remedy_canary_ports")
    return Matrix(tuple(expects), tuple(unproven))


def _one_witness_a_family(cells: Sequence[Cell]) -> list[Cell]:
    first = {cell.family: cell for cell in reversed(cells) if cell.direction == "witness"}
    return [cell for cell in cells if cell.direction != "witness" or first[cell.family] is cell]


def _gaps(question: Question, kept: Sequence[Cell], own: Sequence[str]) -> list[str]:
    families = {family(a) for a in own if not ipaddress.ip_address(a).is_link_local}
    out = []
    for key in dict.fromkeys((c.direction, c.family, c.protocol) for c in question.cells):
        if key[0] in {"loopback", "witness"} or key[1] not in families:
            continue
        if not any((c.direction, c.family, c.protocol) == key for c in kept):
            way = "to the target" if key[0] == "in" else "outwards"
            out.append(f"{question.vantage.name} {way} over {key[2]}/{key[1]}: nothing answered before")
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
