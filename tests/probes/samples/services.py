"""The states of services."""

from __future__ import annotations

from typing import Final

from remedy.core.canon import Json
from remedy.core.values import Probe
from remedy.probes import services

PROBES: Final[tuple[Probe, ...]] = (services.state("mariadb"),)

GOOD: Final[list[tuple[str, bytes, Json]]] = [
    ("services.state", f"{word}\n".encode(), word) for word in ("active", "inactive", "failed", "unknown")
]

BAD: Final[list[tuple[str, bytes]]] = [
    ("services.state", b""),
    ("services.state", b"active\nactive\n"),
    ("services.state", b"\x1b[2Jactive\n"),
    ("services.state", b"Active\n"),
]
