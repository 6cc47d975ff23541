"""An H3C access switch: Comware V7 with lists, packet filters, groups, ports and VLANs.

Prompts and refusals as the "Fundamentals Configuration Guide" has them (CLI views, Understanding command-line syntax
error messages); the caret stands under the word, counted from the beginning of the prompt:

    [H3C]system-view
    ^
     % Unrecognized command found at '^' position.

Decides the look. Leaves to others: everything configured (`h3c`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from remedy.lab.devices.enforce import Wanted
from remedy.lab.devices.face import Face, Part, View
from remedy.lab.devices.grammar import KINDS, Kind, Misread
from remedy.lab.devices.h3c import messages
from remedy.lab.devices.h3c.acls import AccessLists
from remedy.lab.devices.h3c.basics import Basics
from remedy.lab.devices.h3c.files import Files
from remedy.lab.devices.h3c.filters import Filters
from remedy.lab.devices.h3c.groups import ObjectGroups
from remedy.lab.devices.h3c.kept import Kept
from remedy.lab.devices.h3c.ports import Ports, full_type, is_interface
from remedy.lab.devices.h3c.rules import is_port, is_protocol
from remedy.lab.devices.h3c.tables import Tables
from remedy.lab.devices.sessions import Login
from remedy.lab.devices.terminal import Style

__all__ = ["FACE", "Comware"]

_MORE: Final = "  ---- More ----"
_WORDS: Final = {
    "unrecognized": "Unrecognized command",
    "incomplete": "Incomplete command",
    "ambiguous": "Ambiguous command",
    "excess": "Too many parameters",
    "wrong": "Wrong parameter",
}
_STARS: Final = "*" * 78


def _is_prefix6(text: str) -> bool:
    address, slash, length = text.partition("/")
    return bool(slash) and KINDS["ip6"](address) and length.isdigit() and int(length) <= 128  # noqa: PLR2004


class Comware(Face):
    """The look of Comware V7, and a switch's parts."""

    name: ClassVar[str] = "comware"
    driver: ClassVar[str] = "hp_comware"
    parts_of: ClassVar[tuple[type[Part], ...]] = (
        Basics,
        Files,
        Kept,
        Ports,
        ObjectGroups,
        AccessLists,
        Filters,
        Tables,
    )
    innermost: ClassVar[tuple[str, ...]] = ("user", "system")
    crowded: ClassVar[str] = f"\n{messages.CROWDED}\n"
    style: ClassVar[Style] = Style(more=_MORE, erase=f"\x1b[16D{' ' * 16}\x1b[16D")
    kinds: ClassVar[Mapping[str, Kind]] = {
        **KINDS,
        "port": is_port,
        "protocol": is_protocol,
        "ip6p": _is_prefix6,
        "gname": lambda text: re.fullmatch(r'[^\s?"]{1,63}', text) is not None,
        "aclname": lambda text: re.fullmatch(r"[A-Za-z][^\s?]{0,62}", text) is not None and text.lower() != "all",
        "iface": is_interface,
        "itype": lambda text: full_type(text) is not None,
        "inumber": lambda text: re.fullmatch(r"\d+(?:/\d+)*(?::\d+)?(?:\.\d+)?", text) is not None,
    }

    def first(self, role: str) -> list[View]:
        """User view."""
        del role
        return [View("user")]

    def loading(self) -> list[View]:
        """System view."""
        return [View("user"), View("system")]

    def prompt(self, login: Login) -> str:
        """`<H3C>` or `[H3C-acl-ipv4-adv-3000]`."""
        name, before = self.part(Basics).sysname, self.device.prefix
        if login.view.kind == "user":
            return f"{before}<{name}>"
        return f"{before}[{name}-{login.view.label}]" if login.view.label else f"{before}[{name}]"

    def interrupted(self, login: Login, key: str) -> str:
        """Ctrl-Z goes to user view; Ctrl-C ends the line."""
        if key == "z":
            del login.views[1:]
            return "\n"
        return ""

    def refuse(self, misread: Misread, prompt: str, line: str) -> str:
        """The caret and the words."""
        del line
        return f"{' ' * (len(prompt) + misread.column)}^\n % {_WORDS[misread.why]} found at '^' position.\n"

    def denied(self) -> str:
        """A role's missing right."""
        return f"{messages.DENIED}\n"

    def locked(self, by: str) -> str:
        """Somebody has the configuration to himself."""
        return f"{messages.LOCKED.format(by=by)}\n"

    def banner(self) -> str:
        """The copyright notice."""
        return (
            f"\n{_STARS}\n"
            "* Copyright (c) 2004-2024 New H3C Technologies Co., Ltd. All rights reserved.*\n"
            "* Without the owner's prior written consent,                                 *\n"
            "* no decompiling or reverse-engineering shall be allowed.                    *\n"
            f"{_STARS}\n\n"
        )

    def log_line(self, module: str, text: str) -> str:
        """`%Nov 20 13:00:00:123 2026 H3C SHELL/5/SHELL_LOGIN: …` ("Information center", log formats)."""
        now = self.device.now()
        stamp = f"{now:%b} {now.day} {now:%H:%M:%S}:{now.microsecond // 1000:03} {now.year}"
        return f"%{stamp} {self.part(Basics).sysname} {module}: {text}"

    def wanted(self) -> Wanted:
        """Packet filters and ports."""
        ports = self.part(Ports)
        return Wanted(
            stages=tuple(self.part(Filters).stages(ports.in_vlans())),
            groups=self.part(ObjectGroups).spans(),
            ports=ports.switched(),
        )


FACE = Comware
