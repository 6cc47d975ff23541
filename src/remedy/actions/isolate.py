"""Cut a host off from everything but management, prove it, and make it last.

Decides the order of layers and what an isolation means as a plan. Leaves to others: each layer (one file each in
`containment`, found through `LAYERS`), and sending, confirming and undoing (the engine).

The host's own rules come first, under the host's timer; what devices add comes after the host was confirmed, the switch
last, because it may put the host out of reach.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from remedy.actions import begin
from remedy.actions.containment import host_layer, perimeter_layer, switch_layer
from remedy.actions.containment.places import Firewall, Network, Plug
from remedy.core.errors import TargetUnfit, Unreachable, UsageError
from remedy.core.ports import Reader
from remedy.core.values import Context, Expect, Plan, Site, Target


@dataclass(frozen=True, slots=True)
class Isolate:
    """Cut a host off from everything but management.

    `confirm_seconds` is the dead-man timer. `on_timeout` is what it does: "management" opens sshd's port and keeps
    the rest cut off, "open" gives the isolation up. `dns` is "closed" or "pinned" to the inventory's resolvers.
    `proven` are the expectations of the run that the record holds for this host already, asked again when it is.
    With `require_grade` "network" the host's own rules alone are never enough.

    `plugs` and `firewalls` are the inventory's around this host; `named`, `shut_port`, `force_port`, `unreachable_ok`
    and `device_seconds` as in `containment.places.Network`.
    """

    name: ClassVar[str] = "isolate"
    confirm_seconds: int = 60
    on_timeout: str = "management"
    dns: str = "closed"
    layers: tuple[str, ...] = ("host",)
    proven: tuple[Expect, ...] = ()
    require_grade: str = ""
    plugs: tuple[Plug, ...] = ()
    firewalls: tuple[Firewall, ...] = ()
    named: bool = False
    shut_port: bool = False
    force_port: bool = False
    unreachable_ok: bool = False
    device_seconds: int = 120

    def plan(self, target: Target, site: Site, context: Context, reader: Reader) -> Plan:
        """Read the host, the vantages and the controller, and say exactly what would be done."""
        if unknown := [layer for layer in self.layers if layer not in LAYERS]:
            raise UsageError(f"an isolation has no layer {unknown[0]!r}", hint=f"has: {', '.join(LAYERS)}")
        if not 5 <= self.confirm_seconds <= 3600:  # noqa: PLR2004 -- shorter never confirms, longer strands a host
            raise UsageError("the dead-man timer runs for 5 to 3600 seconds", hint="--confirm-within 60")
        plan = replace(
            begin(self, target, context),
            on_failure="keep",
        )
        options = host_layer.Options(self.confirm_seconds, self.on_timeout == "open", self.dns == "pinned", self.proven)
        scene = host_layer.Scene(options, target, site, context, reader, self._network())
        for layer in (one for one in LAYERS if one in self.layers):
            plan = _extended(layer, plan, scene)
        if self.require_grade == "network" and not plan.is_noop and not _beyond(plan):
            short = (
                "the inventory demands a layer that root on the host cannot take away; only the host layer is planned"
            )
            plan = replace(plan, unproven=(*plan.unproven, short))
        return plan

    def _network(self) -> Network:
        return Network(
            plugs=self.plugs,
            firewalls=self.firewalls,
            named=self.named,
            alone="host" not in self.layers,
            shut_port=self.shut_port,
            force_port=self.force_port,
            unreachable_ok=self.unreachable_ok,
            seconds=self.device_seconds,
        )


def _extended(layer: str, plan: Plan, scene: host_layer.Scene) -> Plan:
    """The plan with a layer. A host that cannot be asked need not be, where devices can cut it off."""
    try:
        return LAYERS[layer](plan, scene)
    except (Unreachable, TargetUnfit) as error:
        others = [name for name, there in _given(scene.network).items() if there]
        if layer == "host" and others:
            error.hint = f"--layers {','.join(others)} cuts it off without it; {error.hint}".removesuffix("; ")
        raise


def _given(network: Network) -> dict[str, bool]:
    return {"perimeter": bool(network.firewalls), "switch": bool(network.plugs)}


def _beyond(plan: Plan) -> bool:
    """Whether a layer is planned, or there already, that root on the host cannot take away."""
    return any(expect.layer != "host" for expect in plan.expects)


Layer = Callable[[Plan, host_layer.Scene], Plan]

#: What an isolation can be made of, by the name used with --layers. Each adds its changes to the plan it is given.
#: In the order in which they are planned and done.
LAYERS: Final[dict[str, Layer]] = {
    "host": host_layer.extend,
    "perimeter": perimeter_layer.extend,
    "switch": switch_layer.extend,
}

ACTION = Isolate
