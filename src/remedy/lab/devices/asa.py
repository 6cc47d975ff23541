"""A Cisco ASA firewall: access lists with masks, object groups, security levels, shunned sources.

Prompts and refusals as the "Cisco ASA Series General Operations CLI Configuration Guide" has them (Using the Command-
Line Interface); a prompt ends with a space:

    asa01(config)# acess-list outside_in
                   ^
    ERROR: % Invalid input detected at '^' marker.

Decides the look. Leaves to others: everything configured (`cisco`). Unlike a real one, which lets open connections go
on until `clear conn`, it refuses the packets of open connections, too, that its lists no longer permit.
"""

from __future__ import annotations

from typing import ClassVar

from remedy.lab.devices.cisco.asa_basics import AsaBasics, AsaKept
from remedy.lab.devices.cisco.asa_groups import AsaGroups
from remedy.lab.devices.cisco.asa_lists import AsaLists, Shuns
from remedy.lab.devices.cisco.asa_ports import AsaPorts
from remedy.lab.devices.enforce import Wanted
from remedy.lab.devices.face import Command, Part
from remedy.lab.devices.grammar import Call, Misread
from remedy.lab.devices.ios import Ios
from remedy.lab.devices.sessions import Login
from remedy.lab.devices.terminal import Style

__all__ = ["FACE", "Asa"]

_MORE = "<--- More --->"
#: How many views are open in privileged mode.
_PRIVILEGED = 2
_ERASE = "\r" + " " * len(_MORE) + "\r"


class Asa(Ios):
    """The look of an ASA, and its parts."""

    name: ClassVar[str] = "asa"
    driver: ClassVar[str] = "cisco_asa"
    parts_of: ClassVar[tuple[type[Part], ...]] = (AsaBasics, AsaKept, AsaPorts, AsaGroups, AsaLists, Shuns)
    innermost: ClassVar[tuple[str, ...]] = ("exec", "privileged", "kept")
    crowded: ClassVar[str] = "\nAll sessions are in use.\n"
    style: ClassVar[Style] = Style(more=_MORE, erase=_ERASE, limit=511)

    def read(self, login: Login, line: str) -> tuple[Command, Call, int]:
        """Find the command; those of privileged mode may be used in configuration mode, which they do not leave."""
        command, call, depth = super().read(login, line)
        return command, call, len(login.views) if depth == _PRIVILEGED else depth

    def prompt(self, login: Login) -> str:
        """`asa01> `, `asa01# `, `asa01(config-if)# `."""
        name = self.part(AsaBasics).hostname
        label = f"({login.view.label})" if login.view.label else ""
        return f"{name}{label}{'>' if login.view.kind == 'exec' else '#'} "

    def refuse(self, misread: Misread, prompt: str, line: str) -> str:
        """The caret and the words."""
        if misread.why == "incomplete":
            return "ERROR: % Incomplete command\n"
        if misread.why == "ambiguous":
            return f'ERROR: % Ambiguous command:  "{line.strip()}"\n'
        return f"{' ' * (len(prompt) + misread.column)}^\nERROR: % Invalid input detected at '^' marker.\n"

    def denied(self) -> str:
        """A missing right."""
        return "ERROR: Command authorization failed\n"

    def banner(self) -> str:
        """The line after a login."""
        return "User logged in to the device\nType help or '?' for a list of available commands.\n"

    def log_line(self, module: str, text: str) -> str:
        """`%ASA-5-111008: …` ("Cisco ASA Series Syslog Messages")."""
        return f"%ASA-{module.split('/')[1]}-111008: {text}"

    def wanted(self) -> Wanted:
        """Lists, levels and shunned sources."""
        return Wanted(
            stages=tuple(self.part(AsaLists).stages()),
            groups=self.part(AsaGroups).spans(),
            blocked=self.part(Shuns).spans(),
            stateful=True,
        )


FACE = Asa
