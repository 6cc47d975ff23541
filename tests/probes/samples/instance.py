"""Isolated servers; what they answer is tested with them."""

from __future__ import annotations

from typing import Final

from remedy.core.canon import Json
from remedy.core.values import Probe
from remedy.probes import instance

PROBES: Final[tuple[Probe, ...]] = (
    instance.host("/var/lib/remedy"),
    instance.live("", "site"),
    instance.folder("R1", "/var/lib/remedy"),
    instance.server("R1", "/var/lib/remedy"),
    instance.marked("R1", "/var/lib/remedy", "done"),
)
#: The live server may be dead.
FAILED: Final[dict[str, Json]] = {"instance.live": None}
