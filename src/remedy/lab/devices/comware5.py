"""An H3C or 3Com switch of about 2010: Comware V5, with numbered lists and without groups or a commit delay.

Decides what it is made of. Leaves to others: the look (`comware`), what V5 has otherwise (`h3c.five`).
"""

from __future__ import annotations

from typing import ClassVar

from remedy.lab.devices.comware import Comware
from remedy.lab.devices.enforce import Wanted
from remedy.lab.devices.face import Part
from remedy.lab.devices.h3c.five import AccessLists5, Basics5, Files5, Filters5
from remedy.lab.devices.h3c.groups import ObjectGroups
from remedy.lab.devices.h3c.kept import Kept
from remedy.lab.devices.h3c.ports import Ports
from remedy.lab.devices.h3c.tables import Tables

__all__ = ["FACE", "Comware5"]


class _NoGroups(ObjectGroups):
    """V5 switches have none; rules cannot name any."""

    without: ClassVar[tuple[str, ...]] = (
        "enter", "remove", "describe", "add4", "add6", "remove4", "remove6", "show",
    )  # fmt: skip


class Comware5(Comware):
    """A V5 switch's parts."""

    name: ClassVar[str] = "comware5"
    parts_of: ClassVar[tuple[type[Part], ...]] = (
        Basics5, Files5, Kept, AccessLists5, _NoGroups, Ports, Filters5, Tables,
    )  # fmt: skip

    def wanted(self) -> Wanted:
        """Packet filters and ports."""
        ports = self.part(Ports)
        return Wanted(stages=tuple(self.part(Filters5).stages({})), ports=ports.switched())


FACE = Comware5
