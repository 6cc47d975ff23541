"""What a backup has to fit; its answers are tested in `test_fit`."""

from __future__ import annotations

from typing import Final

from remedy.core.canon import Json
from remedy.core.values import Probe
from remedy.probes import fit

PROBES: Final[tuple[Probe, ...]] = (fit.server("", "site"), fit.zone())
#: A host that does not say its time zone has none.
FAILED: Final[dict[str, Json]] = {"fit.zone": ""}
