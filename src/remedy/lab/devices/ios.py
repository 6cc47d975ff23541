"""A Cisco router: IOS with access lists, object groups, a configuration archive and confirmed changes.

Prompts and refusals as the "Cisco IOS Configuration Fundamentals Configuration Guide" has them (Using the Cisco IOS
Command-Line Interface, CLI error messages); the caret stands under the word, counted from the beginning of the prompt:

    R1(config)#ip acess-list extended edge
                  ^
    % Invalid input detected at '^' marker.

An account logs in to user mode where an enable secret is set, else to privileged mode. Decides the look. Leaves to
others: everything configured (`cisco`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import ClassVar, Final

from remedy.lab.devices.cisco import words
from remedy.lab.devices.cisco.basics import Basics, Kept
from remedy.lab.devices.cisco.groups import Groups
from remedy.lab.devices.cisco.interfaces import Interfaces, full_type, is_interface
from remedy.lab.devices.cisco.lists import AccessLists
from remedy.lab.devices.cisco.rollback import Archive
from remedy.lab.devices.enforce import Wanted
from remedy.lab.devices.face import Face, Part, View
from remedy.lab.devices.grammar import KINDS, Kind, Misread
from remedy.lab.devices.sessions import Login
from remedy.lab.devices.terminal import Style

__all__ = ["FACE", "Ios"]

_ERASE: Final = "\b" * 10 + " " * 10 + "\b" * 10


def _is_prefix6(text: str) -> bool:
    try:
        return "/" in text and ipaddress.IPv6Network(text, strict=False) is not None
    except ValueError:
        return False


class Ios(Face):
    """The look of IOS, and a router's parts."""

    name: ClassVar[str] = "ios"
    driver: ClassVar[str] = "cisco_ios"
    parts_of: ClassVar[tuple[type[Part], ...]] = (Basics, Kept, Archive, Groups, Interfaces, AccessLists)
    innermost: ClassVar[tuple[str, ...]] = ("exec", "privileged", "config", "kept")
    separator: ClassVar[str] = "!"
    filters: ClassVar[str] = "beis"
    startup: ClassVar[str] = "startup-config"
    crowded: ClassVar[str] = "\n% All vty lines are in use\n"
    style: ClassVar[Style] = Style(more=" --More-- ", erase=_ERASE, limit=254)
    kinds: ClassVar[Mapping[str, Kind]] = {
        **KINDS,
        "slashmask": lambda text: KINDS["ip"](text) or re.fullmatch(r"/(?:[0-9]|[12][0-9]|3[0-2])", text) is not None,
        "prefix6": _is_prefix6,
        "iface": is_interface,
        "itype": lambda text: full_type(text) is not None,
        "inumber": lambda text: re.fullmatch(r"\d+(?:/\d+)*(?:\.\d+)?", text) is not None,
    }

    def first(self, role: str) -> list[View]:
        """User mode, or privileged mode where there is nothing to ask."""
        del role
        return [View("exec")] if self.device.secrets.get("enable") else [View("exec"), View("privileged")]

    def loading(self) -> list[View]:
        """Configuration mode."""
        return [View("exec"), View("privileged"), View("config", "config")]

    def prompt(self, login: Login) -> str:
        """`R1>`, `R1#`, `R1(config-ext-nacl)#`."""
        name = self.part(Basics).hostname
        label = f"({login.view.label})" if login.view.label else ""
        return f"{name}{label}{'>' if login.view.kind == 'exec' else '#'}"

    def interrupted(self, login: Login, key: str) -> str:
        """Both keys leave configuration mode."""
        del login.views[2:]
        return "\n" if key == "z" else ""

    def refuse(self, misread: Misread, prompt: str, line: str) -> str:
        """The caret and the words."""
        if misread.why == "incomplete":
            return "% Incomplete command.\n\n"
        if misread.why == "ambiguous":
            return f'% Ambiguous command:  "{line.strip()}"\n'
        return f"{' ' * (len(prompt) + misread.column)}^\n% Invalid input detected at '^' marker.\n\n"

    def denied(self) -> str:
        """A missing right."""
        return "% Authorization failed.\n"

    def locked(self, by: str) -> str:
        """Somebody has the configuration to himself."""
        return words.LOCKED.format(by=by) + "\n"

    def banner(self) -> str:
        """Nothing but an empty line."""
        return "\n"

    def log_line(self, module: str, text: str) -> str:
        """`*Nov 20 13:00:00.123: %SYS-5-CONFIG_I: …` ("System Message Guide", format)."""
        now = self.device.now()
        return (
            f"*{now:%b} {now.day:>2} {now:%H:%M:%S}.{now.microsecond // 1000:03}: %{module.replace('/', '-')}: {text}"
        )

    def wanted(self) -> Wanted:
        """Lists at interfaces."""
        return Wanted(stages=tuple(self.part(Interfaces).stages()), groups=self.part(Groups).spans())


FACE = Ios
