"""Captured output of real devices, where there is some: it is nobody's to copy, so it stays outside the project.

`REMEDY_DEVICE_CAPTURES` names the folder; else one beside the project is looked for.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_BESIDE: Final = Path(__file__).resolve().parents[2].parent / "shared" / "corpus" / "devices"
CAPTURES: Final = Path(os.environ.get("REMEDY_DEVICE_CAPTURES") or _BESIDE)
WITHOUT: Final = "no captured device output: neither beside the project nor where REMEDY_DEVICE_CAPTURES says"
