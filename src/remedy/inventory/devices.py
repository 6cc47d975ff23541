"""Network devices of the inventory, and the switch ports that hosts are plugged into: variables typed and checked.

Decides which hosts are devices, whose they are, and names, types and defaults of their keys. A host is a device when
it is reached as one (`ansible_connection: network_cli`) or when `remedy_platform` says whose it is. Leaves to others:
logging in to it (transports), and everything that is typed there (`remedy.devices`).

    ansible_connection: ansible.netcommon.network_cli
    ansible_network_os: community.network.comware        # or remedy_platform: NAME
    remedy_gates:
      - {acl: "3000", interface: GigabitEthernet1/0/1, direction: in}
    remedy_encoding: gb18030
    remedy_quarantine_vlan: 999
    remedy_behind: [198.51.100.0/24, "2001:db8:1::/64"]     # what packets from outside reach through it
    remedy_quarantine_management: true          # management still reaches hosts in that VLAN

    remedy_switch: {device: sw01, port: GigabitEthernet1/0/3}      # of a host
"""

from __future__ import annotations

import codecs
import re
import string
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from remedy import devices
from remedy.core.errors import InventoryError, UsageError
from remedy.devices import Gate, Vendor
from remedy.devices.addresses import Span, merged, parse
from remedy.inventory.findings import Finding, Variables
from remedy.inventory.nested import Around, Setting

PLATFORM: Final = "remedy_platform"
SYSTEM: Final = "ansible_network_os"
CONNECTION: Final = "ansible_connection"
GATES: Final = "remedy_gates"
ENCODING: Final = "remedy_encoding"
QUARANTINE: Final = "remedy_quarantine_vlan"
MANAGED: Final = "remedy_quarantine_management"
BEHIND: Final = "remedy_behind"
SWITCH: Final = "remedy_switch"
#: The keys of devices; the reference documentation is checked against them.
OF_DEVICES: Final = (PLATFORM, GATES, BEHIND, ENCODING, QUARANTINE, MANAGED)
#: Every variable here, and the keys below it.
KEYS: Final[dict[str, tuple[str, ...]]] = {
    PLATFORM: (),
    GATES: ("acl", "interface", "direction", "zone", "matches"),
    BEHIND: (),
    ENCODING: (),
    QUARANTINE: (),
    MANAGED: (),
    SWITCH: ("device", "port"),
}
_OVER_TERMINAL: Final = "network_cli"
_MOST_VLANS: Final = 4094
# These words are typed at a device. Interfaces may have one space in them (`GigabitEthernet 0/1`).
_NAME: Final = re.compile(r"[\w.:/@+-]{1,63}\Z")
_PORT: Final = re.compile(r"[\w.:/@+-]{1,63}(?: [\w.:/+-]{1,31})?\Z")


@dataclass(frozen=True, slots=True)
class Device:
    """A network device. `encoding` is that of its terminal (Python's name), `quarantine_vlan` 0 where none is set.

    `quarantine_management`: management still reaches a host that was put into that VLAN.
    """

    name: str
    vendor: Vendor
    gates: tuple[Gate, ...] = ()
    behind: tuple[Span, ...] = ()
    encoding: str = "utf-8"
    quarantine_vlan: int = 0
    quarantine_management: bool = False


@dataclass(frozen=True, slots=True)
class SwitchPort:
    """Where a host is plugged in: a device of the inventory, and the port as that device writes it."""

    device: str
    port: str


def is_device(around: Around) -> bool:
    """Whether a host is a network device."""
    if _is_set(around.variables, PLATFORM):
        return True
    found = _setting(around, CONNECTION)
    value = found.rendered().value if found else ""
    return isinstance(value, str) and value.rpartition(".")[2] == _OVER_TERMINAL


def device(around: Around) -> Device | None:
    """The device that a host is, None when it is none.

    Raises InventoryError naming file, line and key for a platform nobody knows and for values of the wrong type.
    """
    if not is_device(around):
        return None
    made: dict[str, object] = {}
    readers: dict[str, tuple[str, Callable[[Setting], object]]] = {
        GATES: ("gates", _gates),
        BEHIND: ("behind", _networks),
        ENCODING: ("encoding", _encoding),
        QUARANTINE: ("quarantine_vlan", lambda at: at.whole(1, _MOST_VLANS)),
        MANAGED: ("quarantine_management", Setting.flag),
    }
    for key, (name, read) in readers.items():
        if at := _setting(around, key):
            made[name] = read(at)
    return Device(around.host, _vendor(around), **made)  # type: ignore[arg-type]


def switch_port(around: Around, is_other: Callable[[str], bool]) -> SwitchPort | None:
    """Where a host is plugged in, None where the inventory does not say; `is_other` tells a device by its name.

    Raises InventoryError naming file, line and key.
    """
    at = _setting(around, SWITCH)
    if at is None:
        return None
    given = at.entries(KEYS[SWITCH])
    if set(given) != set(KEYS[SWITCH]):
        at.wrong("a map with device and port", "write {device: sw01, port: GigabitEthernet1/0/3}")
    name = given["device"].host()
    if not is_other(name):
        given["device"].wrong("a network device", f"{name} is none: it has neither {PLATFORM} nor network_cli")
    return SwitchPort(name, _word(given["port"], _PORT, "the port as the device writes it"))


def risks(found: Device, variables: Variables) -> Iterator[Finding]:
    """What is allowed, but remedy cannot do much with."""
    where = _where(variables, PLATFORM, SYSTEM, CONNECTION)
    if found.vendor.tried == "text":
        text = (
            f"{found.name}: {found.vendor.title} was never tried, not on an emulator either; lines are written and read"
        )
        yield Finding("info", where, text, "compare every line with the vendor's manual before it goes out")
    if not found.gates and not found.quarantine_vlan:
        yield Finding(
            "warning",
            where,
            f"device {found.name} has neither gates nor a quarantine VLAN: nothing can be done there",
            f"say where its drop rule goes: {GATES}: [{{acl: NAME, interface: NAME, direction: in}}]",
        )


def unused(host: str, variables: Variables) -> Iterator[Finding]:
    """Variables of devices on a host that is none."""
    for key in OF_DEVICES:
        if _is_set(variables, key):
            yield Finding(
                "warning",
                variables[key].where,
                f"{key} has no effect: {host} is no network device",
                f"set ansible_connection: ansible.netcommon.network_cli, or {PLATFORM}",
            )


def shared(ports: Mapping[str, SwitchPort], where: Callable[[str], str]) -> Iterator[Finding]:
    """Hosts that share a port: moving it cuts all of them off."""
    first: dict[SwitchPort, str] = {}
    for host, port in ports.items():
        other = first.setdefault(port, host)
        if other != host:
            yield Finding(
                "warning",
                where(host),
                f"{host} has the switch port of {other}: {port.device} {port.port}",
                "is one of them a leftover? To isolate one there would cut off both",
            )


def without_quarantine(host: str, port: SwitchPort, found: Device, where: str) -> Iterator[Finding]:
    """A host whose switch has no VLAN to move it to."""
    if not found.quarantine_vlan:
        text = f"{found.name} has no quarantine VLAN: to isolate {host} there shuts {port.port} down"
        yield Finding("info", where, text, f"set {QUARANTINE} for {found.name} to move the port instead")


def _is_set(variables: Variables, key: str) -> bool:
    return key in variables and variables[key].value not in (None, "")


def _where(variables: Variables, *keys: str) -> str:
    return next((variables[key].where for key in keys if _is_set(variables, key)), "")


def _setting(around: Around, key: str) -> Setting | None:
    if not _is_set(around.variables, key):
        return None
    located = around.variables[key]
    return Setting(around, key, located.where, None).of(located.value)


def _vendor(around: Around) -> Vendor:
    at = _setting(around, PLATFORM) or _setting(around, SYSTEM)
    if at is None:
        raise InventoryError(
            f"{around.host} is a network device, and nothing says of which platform",
            where=_where(around.variables, CONNECTION),
            hint=f"set {SYSTEM} or {PLATFORM}; remedy has {', '.join(devices.registered()) or 'none'}",
        )
    name = at.text("the name of a platform")
    try:
        return devices.named(name)
    except UsageError as error:
        raise InventoryError(f"{at.key}: {error.message}", where=at.where, hint=error.hint) from error


def _gates(at: Setting) -> tuple[Gate, ...]:
    made: dict[Gate, None] = {}
    for item in at.items():
        gate = _gate(item)
        if gate in made:
            item.wrong("gates that differ", "this one stands here twice")
        made[gate] = None
    return tuple(made)


def _networks(at: Setting) -> tuple[Span, ...]:
    found = []
    for item in at.items():
        try:
            found.append(parse(item.text("an address or a prefix")))
        except UsageError as error:
            item.wrong("addresses or prefixes", error.hint)
    return merged(found)


def _gate(at: Setting) -> Gate:
    given = at.entries(KEYS[GATES])
    readers: dict[str, Callable[[Setting], str]] = {
        "acl": _number_or_name,
        "interface": lambda one: _word(one, _PORT, "an interface as the device writes it"),
        "direction": lambda one: _choice(one, ("in", "out")),
        "zone": lambda one: _word(one, _NAME, "the name of a zone"),
        "matches": lambda one: _choice(one, ("source", "destination")),
    }
    return Gate(**{key: readers[key](entry) for key, entry in given.items()})


def _number_or_name(at: Setting) -> str:
    here = at.rendered()
    if isinstance(here.value, int) and not isinstance(here.value, bool):
        here = replace(here, value=str(here.value))
    return _word(here, _NAME, "the name or number of an access list")


def _word(at: Setting, shape: re.Pattern[str], expected: str) -> str:
    return at.text(expected, shape, "letters, digits and . : / @ + - _ only; it is typed at the device")


def _choice(at: Setting, allowed: Collection[str]) -> str:
    here = at.rendered()
    if not isinstance(here.value, str) or here.value not in allowed:
        here.wrong(" or ".join(repr(word) for word in allowed))
    return str(here.value)


def _encoding(at: Setting) -> str:
    name = at.text("the name of an encoding")
    try:
        codec = codecs.lookup(name)
        plain = string.printable.encode(name) == string.printable.encode("ascii")
    except (LookupError, UnicodeError, TypeError):
        plain = False
    if not plain:
        at.wrong("an encoding that has ASCII in it", "utf-8, gb18030, big5, latin-1 …")
    return codec.name
