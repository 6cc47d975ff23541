"""The rehearsal lab: a small company network on one machine, to practise on before the real day.

Decides nothing itself; offers `Lab`, the one way in for tests, demonstrations and the command line.
"""

from __future__ import annotations

from remedy.lab.lab import Lab
from remedy.lab.topology import Host, Topology, Zone

__all__ = ["Host", "Lab", "Topology", "Zone"]
