"""An H3C SecPath firewall: Comware V7 with zones, security policies, object groups and a blacklist.

Decides what it is made of. Leaves to others: the look (`comware`), everything configured (`h3c`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from remedy.lab.devices.comware import Comware
from remedy.lab.devices.enforce import Wanted
from remedy.lab.devices.face import Part
from remedy.lab.devices.grammar import Kind
from remedy.lab.devices.h3c.acls import AccessLists
from remedy.lab.devices.h3c.basics import Basics
from remedy.lab.devices.h3c.files import Files
from remedy.lab.devices.h3c.filters import Filters
from remedy.lab.devices.h3c.groups import ObjectGroups
from remedy.lab.devices.h3c.kept import Kept
from remedy.lab.devices.h3c.policy import SecurityPolicy
from remedy.lab.devices.h3c.ports import Ports
from remedy.lab.devices.h3c.tables import Tables
from remedy.lab.devices.h3c.zones import Blacklist, Zones

__all__ = ["FACE", "SecPath"]

_FEW = 100  # rules up to which they act after 2 seconds instead of 20


class SecPath(Comware):
    """A firewall's parts."""

    name: ClassVar[str] = "secpath"
    parts_of: ClassVar[tuple[type[Part], ...]] = (
        Basics, Files, Kept, Ports, Zones, ObjectGroups, AccessLists, Filters, SecurityPolicy, Blacklist, Tables,
    )  # fmt: skip
    kinds: ClassVar[Mapping[str, Kind]] = {
        **Comware.kinds,
        "rname": lambda text: re.fullmatch(r'[^\s?"]{1,127}', text) is not None,
    }
    #: Its interfaces are routed ones as shipped.
    routes = True

    def delay(self) -> float:
        """`accelerate enhanced enable`, usage guidelines: 2 seconds for 100 rules or fewer, 20 for more."""
        rules = self.part(SecurityPolicy).rules
        return 2.0 if max(len(rules[4]), len(rules[6])) <= _FEW else 20.0

    def wanted(self) -> Wanted:
        """Packet filters, policies and the blacklist."""
        return Wanted(
            stages=(*self.part(Filters).stages({}), *self.part(SecurityPolicy).stages()),
            groups=self.part(ObjectGroups).spans(),
            blocked=self.part(Blacklist).spans(),
            stateful=True,
        )


FACE = SecPath
