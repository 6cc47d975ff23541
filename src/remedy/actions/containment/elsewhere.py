"""What the layers beyond the host have in common: a step at a device, cells of their own, and being left out.

Decides that a layer which cannot be had is a line of the plan and never the end of the others, and which addresses
count as the host's: the inventory's and the one dialled, never what the host says of itself.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from remedy.actions.containment import matrix
from remedy.actions.containment.host_layer import Scene
from remedy.actions.containment.paths import Paths
from remedy.actions.perimeter import device as typing
from remedy.actions.perimeter.device import Desk
from remedy.core.errors import RemedyError
from remedy.core.values import Expect, Plan, Probe, wanted
from remedy.probes import reach


@dataclass(frozen=True, slots=True)
class Deed:
    """What is typed at a device, what takes it back, and the probe that shows it, with its answers."""

    why: str
    layer: str
    do: Sequence[str]
    undo: Sequence[str]
    seen: Probe
    before: str
    after: str
    halfway: str = ""


def done_at(plan: Plan, scene: Scene, desk: Desk, deed: Deed, *, reaching: str) -> Plan:
    """Add a step at a device to what the plan keeps: under the device's own timer, and saved once it is confirmed."""
    guard, why_not = desk.timer(scene.network.seconds, deed.seen, deed.before, scene.context.run)
    step = replace(
        typing.step(desk.name, deed.why, deed.do, deed.undo, deed.seen),
        before=deed.before,
        after=deed.after,
        halfway=deed.halfway,
        essential=False,
        layer=deed.layer,
        guard=guard,
        reaching=reaching,
    )
    notes = [f"{desk.name}: {line}" for line in typing.unproven_timer(why_not)]
    return replace(
        plan,
        keep=(*plan.keep, step, typing.save(desk.name, desk.vendor, deed.layer)),
        notes=(*plan.notes, *notes),
        card=(*plan.card, *typing.card(desk, deed.undo)),
    )


def left_out(plan: Plan, scene: Scene, layer: str, at: str, error: RemedyError) -> Plan:
    """The plan without a layer at a device, saying why. Raises the error when the layer was asked for by name."""
    if scene.network.named:
        if not error.where:
            error.where = at
        raise error
    return missing(plan, layer, at, error)


def missing(plan: Plan, layer: str, at: str, error: RemedyError) -> Plan:
    """The plan with a line that says which layer it lacks, and why."""
    hint = f" ({error.hint})" if error.hint else ""
    return replace(plan, unproven=(*plan.unproven, f"no {layer} layer at {at}: {error.message}{hint}"))


def addresses_of(scene: Scene) -> tuple[str, ...]:
    """The host's addresses as the inventory has them, and the one that is dialled."""
    found = list(scene.site.addresses)
    with contextlib.suppress(ValueError):
        found.append(str(ipaddress.ip_address(scene.target.address)))
    return tuple(dict.fromkeys(found))


def cells(plan: Plan, scene: Scene, layer: str, roles: Collection[str]) -> Plan:
    """Add what vantages of these roles see, where the host layer does not ask them already."""
    if not scene.network.alone or any(expect.layer == layer and expect.cells for expect in plan.expects):
        return plan
    if again := [one for one in scene.options.proven if one.layer == layer and one.cells]:
        return replace(plan, expects=(*plan.expects, *again))
    target, site = scene.target, scene.site
    addresses = addresses_of(scene)
    asked = [q for q in matrix.questions(target.name, site, addresses, ()) if q.vantage.role in roles]
    answers = scene.reader.ask_all([(q.vantage.name, matrix.asked(q)) for q in asked]) if asked else ()
    pairs = list(zip(asked, cast("tuple[Any, ...]", answers), strict=True))
    found = matrix.certificate(target.name, Paths((), target.port), addresses, pairs).expects
    mine = [replace(one, layer=layer) for one in found if any(cell.direction == "in" for cell in one.cells)]
    short = (
        f"{layer} layer: nobody {' or '.join(sorted(roles))} reached {target.name} before, so silence proves nothing"
    )
    return replace(plan, expects=(*plan.expects, *mine), unproven=plan.unproven if mine else (*plan.unproven, short))


def reaching(scene: Scene) -> str:
    """The host, when it has to stay reachable: not where it was not asked, and not where nobody minds."""
    return "" if scene.network.alone or scene.network.unreachable_ok else scene.target.name


def without(expect: Expect, drop: Collection[int]) -> Expect | None:
    """An expectation without some of its cells; None when nothing is left to show."""
    kept = [n for n in range(len(expect.cells)) if n not in drop]
    left = tuple(expect.cells[n] for n in kept)
    if not any(cell.direction != "witness" for cell in left):
        return None
    wishes = json.loads(expect.wanted)
    probe = reach.reach([(c.protocol.lower(), c.address, c.port) for c in left])
    return replace(expect, cells=left, probe=probe, wanted=wanted([wishes[n] for n in kept]))
