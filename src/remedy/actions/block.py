"""Block addresses on a network device: members of remedy's own group, under a drop rule that was set up before.

Decides nothing of its own: what comes and goes is in `perimeter.members`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from remedy.actions import begin
from remedy.actions.perimeter import members
from remedy.actions.perimeter.device import Desk
from remedy.core.ports import Reader
from remedy.core.values import Context, Plan, Site, Target
from remedy.devices import Gate


@dataclass(frozen=True, slots=True)
class Block:
    """Block addresses on one device. `vendor` and `gates` are the inventory's, `until` is RFC 3339 UTC or empty.

    `doors` are the TCP addresses and ports that a vantage at a blocked address is asked to try, before and after.
    `seconds` is the device's own timer.
    """

    name: ClassVar[str] = "block"
    vendor: str = ""
    gates: tuple[Gate, ...] = ()
    addresses: tuple[str, ...] = ()
    until: str = ""
    doors: tuple[tuple[str, int], ...] = ()
    seconds: int = 120

    def plan(self, target: Target, site: Site, context: Context, reader: Reader) -> Plan:
        """Read the device and say exactly what would be typed. Raises Refused, TargetUnfit, UsageError."""
        desk = Desk.of(target.name, self.vendor, self.gates, reader)
        wish = members.Wish(
            members.spans_of(self.addresses),
            self.seconds,
            vantages=site.vantages,
            doors=self.doors,
        )
        return members.extend(
            begin(self, target, context),
            desk,
            wish,
        )


ACTION = Block
