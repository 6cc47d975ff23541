"""The lab's network devices: which host has a vendor's command line, and with what it is shipped.

Decides faces, interface names and factory configurations, and starts each device's process in its host's network.
Leaves to others: the devices themselves (`remedy.lab.devices`), and when a host has power (estate.py).

A device's startup configuration is in the lab's state folder and outlives a power-cycle; its running one does not.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from remedy.core.errors import RemedyError
from remedy.lab import cabling
from remedy.lab.credentials import Credentials
from remedy.lab.topology import ZONES, Host, Topology, Zone

__all__ = ["APPLIANCES", "USER", "Appliance", "control", "factory", "forget", "let_go", "start", "variables", "write"]

#: The administrator of every device; the password is in `Credentials.device_password`.
USER: Final = "remedy"


@dataclass(frozen=True)
class Appliance:
    """One device. `face` is its language, `platform` what the inventory calls it.

    `ports` are its interfaces, each with the zone, or at a switch the host, it leads to. `elevates`: its administrator
    logs in without rights and takes them with `enable`. `quarantine` is the VLAN a switch keeps for isolated hosts.
    """

    face: str
    platform: str
    ports: Mapping[str, str]
    gates: tuple[dict[str, str], ...] = ()
    elevates: bool = False
    quarantine: int = 0

    def device(self, host: Host, leads: str) -> str:
        """The network device of the namespace that an interface is."""
        if host.is_switch:
            return cabling.TRUNK if leads == _UPLINK else f"p-{leads}"
        return ZONES[leads].bridge if ZONES[leads] in host.carries else "eth0"


_UPLINK: Final = "uplink"

APPLIANCES: Final[Mapping[str, Appliance]] = {
    "fw01": Appliance(
        "secpath",
        "h3c_secpath",
        {
            "GigabitEthernet1/0/1": "outside",
            "GigabitEthernet1/0/2": "dmz",
            "GigabitEthernet1/0/3": "inside",
            "GigabitEthernet1/0/4": "management",
            "GigabitEthernet1/0/5": "scale",
        },
        ({"zone": "Untrust"},),
    ),
    "core01": Appliance(
        "ios",
        "cisco_ios",
        {"GigabitEthernet0/0": "dmz", "GigabitEthernet0/1": "branch"},
        ({"interface": "GigabitEthernet0/0", "direction": "in"},),
        elevates=True,
    ),
    "sw01": Appliance(
        "comware",
        "h3c_comware",
        {
            "GigabitEthernet1/0/1": "web01",
            "GigabitEthernet1/0/2": "web02",
            "GigabitEthernet1/0/3": "legacy01",
            "GigabitEthernet1/0/4": "sys01",
            "GigabitEthernet1/0/5": "spare",
            "GigabitEthernet1/0/24": _UPLINK,
        },
        quarantine=cabling.QUARANTINE,
    ),
    "asa01": Appliance(
        "asa",
        "cisco_asa",
        {"GigabitEthernet0/0": "dmz", "GigabitEthernet0/1": "partner"},
        ({"acl": "outside_in", "interface": "outside", "direction": "in"},),
        elevates=True,
    ),
}  # fmt: skip

_TABLE: Final = "remedy_lab_device"
_CLOSED: Final = f"""\
table inet {_TABLE}
delete table inet {_TABLE}
table inet {_TABLE} {{
  chain forward {{
    type filter hook forward priority filter - 10; policy drop;
  }}
}}
"""

#: The security zones of fw01, as SecPath ships them.
_ZONES: Final = {"outside": "Untrust", "dmz": "DMZ", "inside": "Trust", "management": "Management", "scale": "Trust"}


def _secpath(host: Host, appliance: Appliance) -> str:
    lines = ["#", f" sysname {host.name}"]
    for port, name in appliance.ports.items():
        zone = ZONES[name]
        lines += ["#", f"interface {port}", " port link-mode route", f" description {name}"]
        lines += [f" ip address {zone.gateway4} {_mask(zone)}", f" ipv6 address {zone.gateway6.upper()}/64"]
    for security in dict.fromkeys(_ZONES.values()):
        lines += ["#", f"security-zone name {security}"]
        lines += [f" import interface {port}" for port, name in appliance.ports.items() if _ZONES[name] == security]
    for family in ("ip", "ipv6"):
        # between zones the perimeter's rules, which come after the device's, decide
        lines += ["#", f"security-policy {family}", " rule 0 name perimeter", "  action pass"]
    return "".join(f"{line}\n" for line in [*lines, "#"])


def _comware(host: Host, appliance: Appliance) -> str:
    lines = ["#", f" sysname {host.name}", "#", f"vlan {cabling.DMZ}", " name dmz"]
    lines += ["#", f"vlan {appliance.quarantine}", " name quarantine"]
    for port, leads in appliance.ports.items():
        lines += ["#", f"interface {port}", " port link-mode bridge", f" description {leads}"]
        if leads == _UPLINK:
            both = f"{cabling.DMZ} {appliance.quarantine}"
            lines += [" port link-type trunk", " undo port trunk permit vlan 1", f" port trunk permit vlan {both}"]
        else:
            lines += [f" port access vlan {cabling.DMZ}"]
    return "".join(f"{line}\n" for line in [*lines, "#"])


def _ios(host: Host, appliance: Appliance) -> str:
    lines = ["!", f"hostname {host.name}", "!", "archive", " path flash:archive"]
    for port, name in appliance.ports.items():
        four, six, zone = _address(host, name)
        lines += ["!", f"interface {port}", f" description {name}", f" ip address {four} {_mask(zone)}"]
        if name == "dmz":
            lines += [" ip access-group edge-in in"]
        lines += [" duplex auto", " speed auto", f" ipv6 address {six}/64"]
        if name == "dmz":
            lines += [" ipv6 traffic-filter edge6-in in"]
    lines += [
        "!", "ip access-list extended edge-in", " 10 remark what the branch offers",
        " 20 permit tcp any any established",
        " 30 deny udp any any eq 1434", " 40 permit ip any any",
        "!", "ipv6 access-list edge6-in", " sequence 10 permit ipv6 any any", "!",
    ]  # fmt: skip
    return "".join(f"{line}\n" for line in lines)


def _asa(host: Host, appliance: Appliance) -> str:
    lines = ["!", f"hostname {host.name}"]
    for port, name in appliance.ports.items():
        four, six, zone = _address(host, name)
        outside = name == "dmz"
        lines += ["!", f"interface {port}", f" nameif {'outside' if outside else 'inside'}",
                  f" security-level {0 if outside else 100}", f" ip address {four} {_mask(zone)}",
                  f" ipv6 address {six}/64"]  # fmt: skip
    lines += [
        "!", "access-list outside_in remark what partners may use",
        "access-list outside_in extended deny udp any any eq 1434",
        "access-list outside_in extended permit ip any any",
        "access-list outside_out extended permit ip any any",
        "access-group outside_in in interface outside",
        "access-group outside_out out interface outside", "!",
    ]  # fmt: skip
    return "".join(f"{line}\n" for line in lines)


_FACTORY: Final = {"secpath": _secpath, "comware": _comware, "ios": _ios, "asa": _asa}


def factory(host: Host) -> str:
    """The configuration a device is shipped with. Raises KeyError for a host that is no device."""
    appliance = APPLIANCES[host.name]
    return _FACTORY[appliance.face](host, appliance)


def _address(host: Host, zone: str) -> tuple[str, str, Zone]:
    """A router's addresses in a zone: the gateway's where it carries the zone."""
    here = ZONES[zone]
    return (here.gateway4, here.gateway6, here) if here in host.carries else (host.v4, host.v6, here)


def _mask(zone: Zone) -> str:
    bits = (0xFFFFFFFF << (32 - zone.prefix)) & 0xFFFFFFFF
    return ".".join(str(bits >> shift & 255) for shift in (24, 16, 8, 0))


def _folder(state: Path, host: Host) -> Path:
    return state / "devices" / host.name


def control(state: Path, host: str) -> Path:
    """The control socket of a device (`remedy.lab.devices.faults.ask`)."""
    return state / "devices" / host / "control"


def forget(state: Path, host: str) -> None:
    """Take a device's saved files away; it starts with its factory configuration the next time it has power."""
    shutil.rmtree(state / "devices" / host / "flash", ignore_errors=True)


def write(state: Path, topology: Topology, credentials: Credentials) -> None:
    """Write what each device is started with."""
    for host in topology.hosts:
        appliance = APPLIANCES.get(host.name)
        if appliance is None:
            continue
        folder = _folder(state, host)
        folder.mkdir(parents=True, mode=0o700)
        (folder / "factory.cfg").write_text(factory(host), encoding="utf-8")
        secret = credentials.device_enable.read_text(encoding="ascii")
        options: dict[str, Any] = {
            "face": appliance.face,
            "name": host.name,
            "accounts": {USER: [credentials.device_password.read_text(encoding="ascii"), "admin"]},
            "secrets": {"super": secret, "enable": secret},
            "host": "",
            "port": host.services["cli"],
            "state": str(folder / "flash"),
            "startup": str(folder / "factory.cfg"),
            "control": str(control(state, host.name)),
            "host_key": str(credentials.device_key(host.name)),
            "ports": list(appliance.ports),
            "enforcer": "remedy.lab.devices.nft:Nft",
            "enforcing": {
                "table": _TABLE,
                "interfaces": {port: appliance.device(host, leads) for port, leads in appliance.ports.items()},
                "switch": host.is_switch,
            },
        }
        path = folder / "device.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(options), encoding="utf-8")


def start(state: Path, host: Host, network: int) -> int | None:
    """Start a host's device in the network of process `network`; its pid, None for a host that is no device.

    Nothing is forwarded there until the device has booted and its own rules take the place of that one.
    """
    if host.name not in APPLIANCES:
        return None
    if host.carries:
        cabling.run(cabling.in_network(network, ["nft", "-f", "-"]), _CLOSED)
    folder = _folder(state, host)
    argv = [sys.executable, "-m", "remedy.lab.devices", str(folder / "device.json")]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *cabling.in_network(network, argv)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    process.returncode = 0  # waited for by pid
    return process.pid


def let_go(network: int) -> None:
    """Let packets to and from a device itself pass, which is about to lose its power.

    A network lives on while a connection in it waits for an answer that the device's own rules drop.
    """
    script = "".join(f"flush chain inet {_TABLE} {chain}\n" for chain in ("input", "output"))
    with contextlib.suppress(RemedyError):  # it had not booted yet
        cabling.run(cabling.in_network(network, ["nft", "-f", "-"]), script)


def variables(host: Host, topology: Topology, credentials: Credentials) -> dict[str, Any]:
    """What the inventory says of a device, or of a host at a switch's port; nothing for any other."""
    appliance = APPLIANCES.get(host.name)
    if appliance is None:
        switch = topology.router_of(host)
        ports = APPLIANCES[switch.name].ports.items() if switch.is_switch else ()
        port = next((port for port, leads in ports if leads == host.name), "")
        return {"remedy_switch": {"device": switch.name, "port": port}} if port else {}
    found: dict[str, Any] = {
        "ansible_connection": "ansible.netcommon.network_cli",
        "ansible_port": host.services["cli"],
        "ansible_user": USER,
        "ansible_password": {"file": str(credentials.device_password)},
        "ansible_ssh_private_key_file": "",
        "remedy_platform": appliance.platform,
    }
    if appliance.gates:
        found["remedy_gates"] = [dict(gate) for gate in appliance.gates]
    if appliance.gates and "outside" not in appliance.ports.values():
        last = ZONES[[*appliance.ports.values()][-1]]
        found["remedy_behind"] = [last.v4, last.v6]
    if appliance.quarantine:
        found["remedy_quarantine_vlan"] = appliance.quarantine
        found["remedy_quarantine_management"] = True
    if appliance.elevates:
        found["ansible_become"] = True
        found["ansible_become_method"] = "enable"
        found["ansible_become_password"] = {"file": str(credentials.device_enable)}
    return found
