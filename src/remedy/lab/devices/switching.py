"""A switch's ports: one bridge per VLAN in the namespace the device runs in, and their tables of hardware addresses.

Decides which ports are in which bridge (ip(8), `ip link set master`). Leaves to others: filters (`nft`), and plugging
cables in (the lab). A bridge per VLAN, and not one that filters VLANs, because kernels of small machines can do neither
that nor IEEE 802.1Q tags. So a trunk is a bundle of cables, one for each VLAN: those called `up0.10`, `up0.20` … belong
to the port whose device is `up0`; a host on a trunk port, with one cable, is in the port's untagged VLAN.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping

from remedy.lab.devices.enforce import Heard, SwitchPort

__all__ = ["Ports", "run"]

_PREFIX = "vlan"


async def run(*argv: str, stdin: str = "") -> str:
    """Run a program to its end; its stdout. Raises OSError with what it said when it fails."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate(stdin.encode())
    if process.returncode:
        raise OSError(f"{argv[0]}: {err.decode('utf-8', 'replace').strip()[:500]}")
    return out.decode("utf-8", "replace")


class Ports:
    """The ports of one switch. `interfaces` maps its names of them to the devices of the namespace."""

    def __init__(self, interfaces: Mapping[str, str]) -> None:
        """Nothing is set yet."""
        self._interfaces = dict(interfaces)

    async def apply(self, ports: tuple[SwitchPort, ...]) -> None:
        """Make the ports so, cables plugged in since too; what is so already is left alone. Raises OSError."""
        listed = json.loads(await run("ip", "-j", "link", "show"))
        there = {entry["ifname"]: entry for entry in listed}
        lines: list[str] = []
        for port in ports:
            base = self._interfaces.get(port.name)
            for device, vlan in tuple(_legs(port, base, there)) if base else ():
                bridge = f"{_PREFIX}{vlan}" if vlan else None
                if bridge and bridge not in there:
                    lines += [
                        f"link add {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
                        f"link set {bridge} up",
                    ]
                    there[bridge] = {}
                if there[device].get("master") != bridge:
                    lines.append(f"link set {device} " + (f"master {bridge}" if bridge else "nomaster"))
                if ("UP" in there[device]["flags"]) != port.up:
                    lines.append(f"link set {device} {'up' if port.up else 'down'}")
        if lines:
            await run("ip", "-batch", "-", stdin="\n".join(lines) + "\n")

    async def heard(self) -> tuple[Heard, ...]:
        """What the bridges have learned, their own addresses left out."""
        names = {device: own for own, device in self._interfaces.items()}
        listed = json.loads(await run("bridge", "-j", "fdb", "show") or "[]")
        return tuple(
            Heard(entry["mac"], int(entry["master"].removeprefix(_PREFIX)), names[port])
            for entry in listed
            if entry.get("state") != "permanent"
            and entry.get("master", "").startswith(_PREFIX)
            and (port := entry["ifname"].partition(".")[0]) in names
        )


def _legs(port: SwitchPort, base: str, there: Mapping[str, object]) -> Iterator[tuple[str, int]]:
    """The devices of a port and the VLAN each belongs into, 0 for none."""
    vlans = () if port.mode == "access" else port.vlans
    if base in there:
        inside = port.mode == "access" or _within(port.pvid, vlans)
        yield base, port.pvid if inside and port.mode != "routed" else 0
    for device in there:
        name, dot, number = device.partition(".")
        if name == base and dot and number.isdigit():
            vlan = int(number)
            carried = vlan == port.pvid if port.mode == "access" else _within(vlan, vlans)
            yield device, vlan if carried and port.mode != "routed" else 0


def _within(vlan: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(low <= vlan <= high for low, high in ranges)
