"""Take addresses off the block of a network device again.

Decides nothing of its own: what comes and goes is in `perimeter.members`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from remedy.actions import begin
from remedy.actions.perimeter import members
from remedy.actions.perimeter.device import Desk
from remedy.core.ports import Reader
from remedy.core.values import Cell, Context, Plan, Site, Target
from remedy.devices import Gate


@dataclass(frozen=True, slots=True)
class Unblock:
    """Take addresses off the block of one device. `vendor` and `gates` are the inventory's.

    `cells` are those that the block had proven closed, from the record: they have to answer again.
    """

    name: ClassVar[str] = "unblock"
    vendor: str = ""
    gates: tuple[Gate, ...] = ()
    addresses: tuple[str, ...] = ()
    cells: tuple[Cell, ...] = ()
    seconds: int = 120

    def plan(self, target: Target, site: Site, context: Context, reader: Reader) -> Plan:  # noqa: ARG002 -- the port's
        """Read the device and say exactly what would be typed. Raises Refused, TargetUnfit, UsageError."""
        desk = Desk.of(target.name, self.vendor, self.gates, reader)
        wish = members.Wish(
            members.spans_of(self.addresses),
            self.seconds,
            remove=True,
            cells=self.cells,
        )
        return members.extend(
            begin(self, target, context),
            desk,
            wish,
        )


ACTION = Unblock
