"""Cut a host off from everything but management, prove it, and make it last.

Decides the order of layers and what an isolation means as a plan. Leaves to others: each layer (one file each in
`containment`, found through `LAYERS`), and sending, confirming and undoing (the engine).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from remedy.actions import params
from remedy.actions.containment import host_layer
from remedy.core.errors import UsageError
from remedy.core.ports import Reader
from remedy.core.values import Context, Expect, Plan, Site, Target


@dataclass(frozen=True, slots=True)
class Isolate:
    """Cut a host off from everything but management.

    `confirm_seconds` is the dead-man timer. `on_timeout` is what it does: "management" opens sshd's port and keeps
    the rest cut off, "open" gives the isolation up. `dns` is "closed" or "pinned" to the inventory's resolvers.
    `proven` are the expectations of the run that the record holds for this host already, asked again when it is.
    With `require_grade` "network" the host's own rules alone are never enough.
    """

    name: ClassVar[str] = "isolate"
    confirm_seconds: int = 60
    on_timeout: str = "management"
    dns: str = "closed"
    layers: tuple[str, ...] = ("host",)
    proven: tuple[Expect, ...] = ()
    require_grade: str = ""

    def plan(self, target: Target, site: Site, context: Context, reader: Reader) -> Plan:
        """Read the host, the vantages and the controller, and say exactly what would be done."""
        if unknown := [layer for layer in self.layers if layer not in LAYERS]:
            raise UsageError(
                f"the inventory gives {target.name} no layer {unknown[0]!r}", hint=f"has: {', '.join(LAYERS)}"
            )
        if not 5 <= self.confirm_seconds <= 3600:  # noqa: PLR2004 -- shorter never confirms, longer strands a host
            raise UsageError("the dead-man timer runs for 5 to 3600 seconds", hint="--confirm-within 60")
        plan = Plan(
            action=self.name,
            target=target.name,
            run=context.run,
            incident=context.incident,
            anchor=context.anchor,
            params=params(self),
            on_failure="keep",
        )
        options = host_layer.Options(self.confirm_seconds, self.on_timeout == "open", self.dns == "pinned", self.proven)
        scene = host_layer.Scene(options, target, site, context, reader)
        for layer in self.layers:
            plan = LAYERS[layer](plan, scene)
        if self.require_grade == "network" and set(self.layers) == {"host"} and not plan.is_noop:
            short = (
                "the inventory demands a layer that root on the host cannot take away; only the host layer is planned"
            )
            plan = replace(plan, unproven=(*plan.unproven, short))
        return plan


Layer = Callable[[Plan, host_layer.Scene], Plan]

#: What an isolation can be made of, by the name used with --layers. Each adds its changes to the plan it is given.
LAYERS: Final[dict[str, Layer]] = {"host": host_layer.extend}

ACTION = Isolate
