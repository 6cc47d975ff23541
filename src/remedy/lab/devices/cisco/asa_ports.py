"""Interfaces of an ASA: their names and security levels.

Followed: "Cisco ASA Series Command Reference" (`interface`, `nameif`, `security-level`, `show nameif`, `show interface
ip brief`): what comes from an interface without a list may go to those with a lower level.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from remedy.lab.devices.cisco.interfaces import WHICH, full_name, named
from remedy.lab.devices.face import Face, Part, Refusal, View, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.sessions import Login

__all__ = ["AsaPorts"]


@dataclass(slots=True)
class _Port:
    name: str
    nameif: str = ""
    level: int = 0
    address: str = ""
    up: bool = True
    lines: dict[str, None] = field(default_factory=dict)


class AsaPorts(Part):
    """All interfaces."""

    def __init__(self, face: Face) -> None:
        """Those the device is built with, without names."""
        super().__init__(face)
        self.ports = {name: _Port(name) for name in map(full_name, self.device.ports)}

    def configured(self) -> list[str]:
        """Each a section."""
        lines: list[str] = []
        for port in self.ports.values():
            lines += ["!", f"interface {port.name}"]
            lines += [" shutdown"] if not port.up else []
            lines += [f" nameif {port.nameif}", f" security-level {port.level}"] if port.nameif else [" no nameif"]
            lines += [f" ip address {port.address}"] if port.address else []
            lines += [f" {line}" for line in port.lines]
        return [*lines, "!"]

    def named(self) -> dict[str, str]:
        """The interfaces that have a name, by it."""
        return {port.nameif: port.name for port in self.ports.values() if port.nameif}

    def below(self, nameif: str) -> tuple[str, ...]:
        """The interfaces with a lower level than that one."""
        level = next(port.level for port in self.ports.values() if port.nameif == nameif)
        return tuple(port.name for port in self.ports.values() if port.nameif and port.level < level)

    def _here(self, login: Login) -> _Port:
        return self.ports[login.view.key]

    @command(f"interface {WHICH}", views=("config",))
    def enter(self, login: Login, call: Call) -> None:
        """Enter an interface."""
        if named(call) not in self.ports:
            raise Refusal(argument="iface" if call.get("iface") else "inumber")
        login.views.append(View("interface", "config-if", named(call)))

    @command("nameif <nameif:word>", "no nameif", views=("interface",))
    def rename(self, login: Login, call: Call) -> str:
        """Name it; `inside` has level 100, any other 0."""
        port = self._here(login)
        port.nameif = call.get("nameif")
        port.level = 100 if port.nameif == "inside" else 0
        return f'INFO: Security level for "{port.nameif}" set to {port.level} by default.\n' if port.nameif else ""

    @command("security-level <level:n0-100>", views=("interface",))
    def level(self, login: Login, call: Call) -> None:
        """Set its level."""
        self._here(login).level = int(call["level"])

    @command("ip address <address:ip> <mask:ip>", "no ip address", views=("interface",))
    def addressed(self, login: Login, call: Call) -> None:
        """Kept and shown; the lab gives its interfaces their addresses."""
        self._here(login).address = f"{call['address']} {call['mask']}" if call.get("address") else ""

    @command("shutdown", "no shutdown", views=("interface",))
    def shut(self, login: Login, call: Call) -> None:
        """Shut it down, or bring it up."""
        self._here(login).up = "no" in call

    @command(
        "ipv6 address <text>",
        "ipv6 enable",
        "description <text>",
        "speed <text>",
        "duplex <text>",
        views=("interface",),
    )
    def keep(self, login: Login, call: Call) -> None:
        """Lines the lab makes nothing of."""
        self._here(login).lines[" ".join(call.words)] = None

    @command("show nameif", views=("privileged",), reads=True)
    def show_names(self, login: Login, call: Call) -> str:
        """Names and levels."""
        del login, call
        lines = ["Interface                Name                     Security"]
        lines += [f"{p.name:<24} {p.nameif:<24} {p.level:>3}" for p in self.ports.values() if p.nameif]
        return "\n".join([*lines, ""])

    @command("show interface ip brief", views=("privileged",), reads=True)
    async def brief(self, login: Login, call: Call) -> str:
        """Every interface in a line."""
        del login, call
        links = await self.device.enforcer.links()
        lines = ["Interface                  IP-Address      OK? Method Status                Protocol"]
        for port in self.ports.values():
            up = port.up and links.get(port.name, True)
            state = "up" if up else "down" if port.up else "administratively down"
            address = port.address.split()[0] if port.address else "unassigned"
            lines.append(f"{port.name:<26} {address:<15} YES CONFIG {state:<21} {'up' if up else 'down'}")
        return "\n".join([*lines, ""])
