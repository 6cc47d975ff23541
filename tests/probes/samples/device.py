"""What network devices are asked: the vendors' own tests read what they answer."""

from __future__ import annotations

from typing import Final

from remedy import devices
from remedy.core.values import Probe
from remedy.devices import Gate, Group
from remedy.devices.acl import Acl, Rule
from remedy.probes import configuration as asked
from remedy.probes import device

_VENDOR: Final = devices.named("h3c_comware")
_GROUP: Final = Group("remedy-block", 4)
_GATE: Final = Gate(interface="GigabitEthernet1/0/1")
_LIST: Final = Acl("3000", 4, "advanced", (Rule("deny", 4),))

PROBES: Final[tuple[Probe, ...]] = (
    device.members(_VENDOR, (_GROUP,)),
    device.progress(_VENDOR, {_GROUP: (["203.0.113.7"], [])}, ""),
    device.setup(_VENDOR, _GATE, _GROUP, "absent, group absent", 0),
    device.gate(_VENDOR, _GATE, _GROUP),
    device.port(_VENDOR, "GigabitEthernet1/0/1"),
    device.texts(_VENDOR, ("display version",)),
    device.content(_VENDOR, None, _LIST),
    device.timer(_VENDOR, ()),
    asked.running(_VENDOR),
    asked.saved(_VENDOR),
    asked.progress(_VENDOR, {}, {}, ()),
    asked.state(_VENDOR, "", ""),
    asked.file(_VENDOR, "flash:/startup.cfg"),
)
