"""Foreign keys, their orphans, and rights; what is answered is tested with what asks."""

from __future__ import annotations

from typing import Final

from remedy.core.values import Probe
from remedy.probes import integrity

PROBES: Final[tuple[Probe, ...]] = (
    integrity.keys("", "site"),
    integrity.orphans("", "site", []),
    integrity.rights("", "site"),
)
