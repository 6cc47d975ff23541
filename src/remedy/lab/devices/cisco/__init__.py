"""What Cisco's devices of the lab are made of: the parts of `ios` and `asa`.

Written from Cisco's references, which each module names; nothing of `remedy.devices`' parsers and writers is used.
"""

from __future__ import annotations
