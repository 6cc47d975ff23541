"""The perimeter layer of an isolation: the host's addresses in a group that the firewalls drop, in both directions.

Decides which firewalls can do it now, and that only members of remedy's own group come and go: the rules on it were set
up before (`remedy acl prepare`). Root on the host cannot take it away. What stays within the perimeter, from host to
host of one side, it does not see; management goes on because it does not pass these gates.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from remedy.actions.containment import elsewhere
from remedy.actions.containment.host_layer import Scene
from remedy.actions.containment.places import Firewall
from remedy.actions.perimeter.device import ISOLATED, Desk, Holding, isolating
from remedy.actions.perimeter.members import place
from remedy.core.errors import Refused, RemedyError, TargetUnfit, UsageError
from remedy.core.values import Expect, Plan, wanted
from remedy.devices import Gate, Group
from remedy.devices.addresses import Span, parse, subtract
from remedy.probes import device

_LAYER = "perimeter"


def extend(plan: Plan, scene: Scene) -> Plan:
    """Add a step at each firewall. Raises Refused and its kin where the layer was asked for by name and none can."""
    if not scene.network.firewalls:
        said = f"the inventory gives {scene.target.name} no layer 'perimeter'"
        none = UsageError(said, hint="remedy_gates of a firewall says where the outside comes in")
        return elsewhere.left_out(plan, scene, _LAYER, scene.target.name, none)
    before, errors = plan, list[tuple[str, RemedyError]]()
    for firewall in scene.network.firewalls:
        try:
            plan = _at(plan, scene, firewall)
        except RemedyError as error:
            errors.append((firewall.device, error))
    if plan.expects == before.expects and scene.network.named:
        unset = TargetUnfit("no firewall is prepared to cut hosts off", hint="remedy acl prepare")
        raise errors[0][1] if errors else unset
    for name, wrong in errors:
        plan = elsewhere.missing(plan, _LAYER, name, wrong)
    if plan.expects == before.expects:
        return plan
    return elsewhere.cells(plan, scene, _LAYER, {"outside"})


def _at(plan: Plan, scene: Scene, firewall: Firewall) -> Plan:
    target, name = scene.target.name, firewall.device
    desk = Desk.of(name, firewall.vendor, isolating(firewall.gates), scene.reader)
    spans = tuple(sorted({parse(text) for text in elsewhere.addresses_of(scene)}))
    if not spans:
        raise UsageError(f"nothing says which addresses {target} has", hint="remedy_addresses in the inventory")
    _refuse_management(scene, name)
    groups = [ISOLATED[family] for family in sorted({span.family for span in spans})]
    gates = [(gate, group) for gate in desk.gates for group in groups]
    held, states = desk.look(groups, [device.gate(desk.vendor, gate, group) for gate, group in gates])
    if all(one["state"] == "absent" for one in states):
        note = f"{name} is not set up to cut hosts off (remedy acl prepare {name}): no perimeter layer there"
        return replace(plan, notes=(*plan.notes, note))
    _require_ready(desk, gates, states)
    coming = {group: _coming(desk, one, spans) for group, one in held.items()}
    stand = {group: (one.labels(_standing(desk, one, spans, coming[group])), ()) for group, one in held.items()}
    stands = device.progress(desk.vendor, stand, "")
    expects = [Expect(_held(target, desk), name, stands, wanted("after"), fresh=True, layer=_LAYER)]
    for (gate, group), state in zip(gates, states, strict=True):
        why = f"the drop rule on {group.name} stands first at {place(gate)} of {name}"
        expects.append(Expect(why, name, device.gate(desk.vendor, gate, group), wanted(state), layer=_LAYER))
    where = ", ".join(dict.fromkeys(place(gate) for gate in desk.gates))
    said = f"{name} drops everything between {target} and {where}; management does not pass there"
    plan = replace(plan, expects=(*plan.expects, *expects), notes=(*plan.notes, said))
    if not any(coming.values()):
        return replace(plan, notes=(*plan.notes, f"{target} is in {_names(groups)} of {name} already"))
    moving = {group: (held[group].labels(add), ()) for group, add in coming.items() if add}
    deed = elsewhere.Deed(
        why=f"{target} is cut off from the world at {name}: {', '.join(map(str, spans))}",
        layer=_LAYER,
        do=[line for group, add in coming.items() for line in held[group].add(add)],
        undo=[line for group, add in coming.items() for line in held[group].remove(add)],
        seen=device.progress(desk.vendor, moving, ""),
        before=wanted("before"),
        after=wanted("after"),
        halfway=wanted("halfway"),
    )
    return elsewhere.done_at(plan, scene, desk, deed, reaching=elsewhere.reaching(scene))


def _refuse_management(scene: Scene, name: str) -> None:
    """Management that stands outside would be dropped with the rest."""
    nets = [ipaddress.ip_network(text, strict=False) for text in scene.site.management]
    for vantage in scene.site.vantages:
        for text in vantage.addresses if vantage.role == "outside" else ():
            address = ipaddress.ip_address(text)
            if net := next((one for one in nets if one.version == address.version and address in one), None):
                raise Refused(
                    f"management from {net} comes in at {name}: {vantage.name}, which is outside, has {address}",
                    hint="manage the host from within the perimeter; or --layers host,switch",
                )


def _require_ready(desk: Desk, gates: list[tuple[Gate, Group]], states: Sequence[Any]) -> None:
    """Raise TargetUnfit unless the drop rules stand and act in both directions."""
    for (gate, group), state in zip(gates, states, strict=True):
        if state["state"] != "ready":
            why = state["why"] or "the drop rule is not there"
            raise TargetUnfit(
                f"{desk.name} is not prepared to cut hosts off over IPv{group.family} at {place(gate)}: {why}",
                hint=f"remedy acl prepare {desk.name}",
            )


def _coming(desk: Desk, held: Holding, spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """The members to add: what others have put there stays, and is not added twice."""
    mine = [span for span in spans if span.family == held.group.family]
    return tuple(part for span in subtract(mine, held.spans) for part in desk.groups.sayable(span))


def _standing(desk: Desk, held: Holding, spans: tuple[Span, ...], coming: tuple[Span, ...]) -> list[Span]:
    """The members that have to be there afterwards: those that come, and those of ours that are there."""
    mine = {part for span in spans if span.family == held.group.family for part in desk.groups.sayable(span)}
    return [*coming, *(span for span in held.spans if span in mine)]


def _held(target: str, desk: Desk) -> str:
    return f"{target} is among the hosts that {desk.name} cuts off, read over a new login"


def _names(groups: list[Group]) -> str:
    return " and ".join(group.name for group in groups)
