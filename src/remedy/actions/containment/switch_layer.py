"""The switch layer of an isolation: the host's port in the quarantine VLAN, or shut down.

Decides which port is the host's, which ports are never touched, and whether management survives. The inventory wins
over what is found; where it, the host and the switch's own tables contradict each other, nothing is done. The host
may lie about its hardware address, and have somebody else's port moved: its word alone is never enough.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from remedy import devices
from remedy.actions.containment import elsewhere
from remedy.actions.containment.host_layer import Scene
from remedy.actions.containment.places import Plug
from remedy.actions.perimeter.device import Desk
from remedy.core.canon import Json
from remedy.core.errors import Refused, RemedyError, Unreachable, UsageError
from remedy.core.text import printable
from remedy.core.values import Expect, Plan, wanted
from remedy.devices import Port
from remedy.probes import device, host

_LAYER: Final = "switch"
_MOST_CARDS: Final = 8
#: A port that is part of a bundle is an uplink, whatever its mode says.
_BUNDLED: Final = re.compile(r"link-aggregation|channel-group|eth-trunk|irf", re.IGNORECASE)
_PLAIN: Final = "access"


@dataclass(frozen=True, slots=True)
class Found:
    """The host's port, the switch it is on, and what speaks for it."""

    plug: Plug
    desk: Desk
    port: Port
    notes: tuple[str, ...] = ()


def extend(plan: Plan, scene: Scene) -> Plan:
    """Add a step at the switch. Raises Refused and its kin only where the layer was asked for by name."""
    names = ", ".join(plug.device for plug in scene.network.plugs) or scene.target.name
    try:
        if not scene.network.plugs:
            raise UsageError(
                f"the inventory gives {scene.target.name} no layer 'switch'",
                hint="remedy_switch: {device: sw01, port: NAME} of the host, or a switch with remedy_quarantine_vlan",
            )
        return elsewhere.cells(_move(plan, scene), scene, _LAYER, {"peer", "outside"})
    except RemedyError as error:
        return elsewhere.left_out(plan, scene, _LAYER, names, error)


def _move(plan: Plan, scene: Scene) -> Plan:
    target, network = scene.target.name, scene.network
    found = _find(scene)
    plug, desk, port = found.plug, found.desk, found.port
    there = f"{desk.name} {port.name}"
    moves = bool(plug.vlan) and port.mode == _PLAIN
    if not moves and not network.shut_port:
        why = "has no quarantine VLAN" if not plug.vlan else f"is a {port.mode} port, which cannot change its VLAN"
        raise Refused(
            f"{there} {why}: all that can be done is to shut it down", hint="--shut-port allows it; nothing was changed"
        )
    survives = moves and plug.management
    if not survives and not network.unreachable_ok:
        how = f"in VLAN {plug.vlan}" if moves else f"with {port.name} shut down"
        raise Refused(
            f"{target} would be isolated and unreachable {how}: nothing says that management gets there",
            hint=f"remedy_quarantine_management: true of {desk.name} where the VLAN is routed to management; "
            f"or --unreachable-ok {target}",
        )
    seen = device.port(desk.vendor, port.name)
    now: dict[str, Json] = {"mode": port.mode, "vlan": port.vlan, "up": port.up}
    then: dict[str, Json] = {**now, "vlan": plug.vlan} if moves else {**now, "up": False}
    what = f"in quarantine VLAN {plug.vlan}" if moves else "shut down"
    expect = Expect(
        f"{there} is {what}, read over a new login", desk.name, seen, wanted(then), fresh=True, layer=_LAYER
    )
    fate = "management still reaches it there" if survives else "management does not reach it any more"
    plan = replace(plan, notes=(*plan.notes, *found.notes, f"{there}: {fate}"))
    if now != then:
        ports = device.vendor_switch(desk.vendor)
        before = f"from VLAN {port.vlan} " if moves else ""
        deed = elsewhere.Deed(
            why=f"{target} at {there} {before}is put {what}" if moves else f"{target} at {there} is shut down",
            layer=_LAYER,
            do=ports.move(port, plug.vlan) if moves else ports.shut(port, down=True),
            undo=ports.move(port, port.vlan) if moves else ports.shut(port, down=False),
            seen=seen,
            before=wanted(now),
            after=wanted(then),
        )
        reaching = elsewhere.reaching(scene) if survives else ""
        plan = elsewhere.done_at(plan, scene, desk, deed, reaching=reaching)
        plan = replace(plan, impact=(*plan.impact, f"{there} ({_described(port)}) is {what}"))
    else:
        plan = replace(plan, notes=(*plan.notes, f"{there} is {what} already"))
    plan = plan if survives else _out_of_reach(plan, scene)
    return replace(plan, expects=(*plan.expects, expect))


def _out_of_reach(plan: Plan, scene: Scene) -> Plan:
    """What can still be asked when the host answers nobody: others' view of it, which the switch then answers for."""
    target = scene.target.name
    kept: list[Expect] = []
    for expect in plan.expects:
        if expect.layer != "host":
            kept.append(expect)
        elif expect.at != target and expect.cells:
            wishes = json.loads(expect.wanted)
            lost = {
                n
                for n, (c, w) in enumerate(zip(expect.cells, wishes, strict=True))
                if c.direction == "in" and w != "blocked"
            }
            if left := elsewhere.without(expect, lost):
                kept.append(replace(left, layer=_LAYER))
    if len(kept) == len(plan.expects):
        return plan
    short = f"{target} cannot be asked behind its switch: its own rules are loaded, and not read back"
    return replace(plan, expects=tuple(kept), unproven=(*plan.unproven, short))


def _find(scene: Scene) -> Found:
    """The port, from the inventory, else from the tables. Raises Refused where the sources contradict each other."""
    macs, notes = _claimed(scene)
    named = next((plug for plug in scene.network.plugs if plug.port), None)
    if named is not None:
        return replace(_named(scene, named, macs), notes=notes)
    found = [one for plug in scene.network.plugs for one in _searched(scene, plug, macs)]
    plain = [one for one in found if not _odd(one.port)] or found
    if len(plain) != 1:
        places = ", ".join(f"{one.desk.name} {one.port.name}" for one in plain)
        raise Refused(
            f"the port of {scene.target.name} is not found: {places or 'no switch has learned it'}",
            hint="name it: remedy_switch: {device: sw01, port: NAME}",
        )
    _check(scene, plain[0])
    return replace(plain[0], notes=(*notes, *plain[0].notes))


def _claimed(scene: Scene) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The hardware addresses that the host says are its own; none where it does not answer."""
    try:
        cards = cast("tuple[Any, ...]", scene.reader.ask([host.cards()], at=scene.target.name))[0]
    except Unreachable as error:
        return (), (f"{scene.target.name} was not asked for its hardware address: {error.message}",)
    ours = [card for card in cards if {*card["addresses"]} & {*elsewhere.addresses_of(scene)}]
    chosen = [*ours, *(card for card in cards if card not in ours)]
    return tuple(dict.fromkeys(card["mac"] for card in chosen))[:_MOST_CARDS], ()


def _desk(scene: Scene, plug: Plug) -> Desk:
    vendor = devices.named(plug.vendor)
    device.vendor_switch(vendor)
    return Desk(plug.device, vendor, scene.reader)


def _named(scene: Scene, plug: Plug, macs: Sequence[str]) -> Found:
    """The inventory's port, held against what the switch and the host say."""
    desk = _desk(scene, plug)
    ports = device.vendor_switch(desk.vendor)
    texts = desk.ask([device.texts(desk.vendor, ports.ask_port(plug.port))])[0]
    port = ports.read_port(plug.port, texts)
    resolved, learned = _tables(scene, desk, macs)
    known = {*macs, *resolved}
    others = sorted({name for mac in known for name in learned.get(mac, ()) if name != port.name})
    strange = [mac for mac in port.macs if mac not in known] if known else []
    found = Found(plug, desk, port)
    mine = known & {*port.macs}
    if not mine and (others or strange) and not scene.network.force_port:
        seen = f"{port.name} has {', '.join(strange)}" if strange else f"the host is at {', '.join(others)}"
        raise Refused(
            f"the inventory says {plug.port} for {scene.target.name}, and {desk.name} says otherwise: {seen}",
            hint="the inventory is old, or the host lies about itself: look at the port, then --force-port",
        )
    _check(scene, found)
    return found


def _searched(scene: Scene, plug: Plug, macs: Sequence[str]) -> list[Found]:
    """Where a switch has learned the host."""
    desk = _desk(scene, plug)
    ports = device.vendor_switch(desk.vendor)
    resolved, learned = _tables(scene, desk, macs)
    # One's own word and the switch's: a host that claims another's hardware address would have that one cut off.
    agreed = [mac for mac in resolved if not macs or mac in macs]
    if macs and resolved and not agreed:
        raise Refused(
            f"{scene.target.name} says it is {macs[0]}, and {desk.name} knows it as {resolved[0]}",
            hint="name its port: remedy_switch: {device: …, port: …}",
        )
    if not agreed and not scene.network.force_port:
        if any(learned.get(mac) for mac in macs):
            raise Refused(
                f"only {scene.target.name} itself says which hardware address it has, and it may be another's",
                hint="name its port: remedy_switch: {device: …, port: …}; or --force-port",
            )
        return []
    names = dict.fromkeys(name for mac in agreed or macs for name in learned.get(mac, ()))
    out = []
    for name in names:
        texts = desk.ask([device.texts(desk.vendor, ports.ask_port(name))])[0]
        port = ports.read_port(name, texts)
        out.append(Found(plug, desk, port, (f"{desk.name} has learned {scene.target.name} at {name}",)))
    return out


def _tables(scene: Scene, desk: Desk, macs: Sequence[str]) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """The hardware addresses that the switch resolves the host's addresses to, and where it has learned each."""
    ports = device.vendor_switch(desk.vendor)
    addresses = elsewhere.addresses_of(scene)
    said = desk.ask([device.texts(desk.vendor, ports.ask_arp(address)) for address in addresses])
    resolved = [ports.read_arp(address, texts) for address, texts in zip(addresses, said, strict=True)]
    known = tuple(dict.fromkeys(mac for mac in resolved if mac))
    every = tuple(dict.fromkeys((*known, *macs)))
    where = desk.ask([device.texts(desk.vendor, ports.ask_mac(mac)) for mac in every])
    return known, {mac: ports.read_mac(mac, texts) for mac, texts in zip(every, where, strict=True)}


def _odd(port: Port) -> str:
    """Why a port is not plainly one host's; empty when it is."""
    if port.mode != _PLAIN:
        return f"is a {port.mode} port"
    if len(port.macs) > 1:
        return f"has {len(port.macs)} hardware addresses: more than one host is behind it"
    bundled = next((line for line in port.unknown if _BUNDLED.search(line)), "")
    return f"is part of a bundle ({printable(bundled, 80, one_line=True)})" if bundled else ""


def _check(scene: Scene, found: Found) -> None:
    """Raise Refused for an uplink, a trunk, or a port with several hosts, unless it is forced."""
    if (why := _odd(found.port)) and not scene.network.force_port:
        raise Refused(
            f"{found.desk.name} {found.port.name} ({_described(found.port)}) {why}",
            hint="--force-port cuts off whatever is behind it as well",
        )


def _described(port: Port) -> str:
    said = printable(port.description, 60, one_line=True)
    return f"{port.mode}, VLAN {port.vlan}{f', {said}' if said else ''}"
