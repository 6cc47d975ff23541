"""What every session on an ASA can do: as on an IOS router, where the two do not differ.

Followed: "Cisco ASA Series Command Reference" (`enable`, `show curpriv`, `terminal pager`, `terminal width`, `write
memory`, `clear conn`, `reload`).

    asa01> enable
    Password: ********
    asa01# configure terminal
    asa01(config)#
"""

from __future__ import annotations

import re
from typing import Final

from remedy.lab.devices.cisco.basics import Basics, Kept
from remedy.lab.devices.cisco.interfaces import WHICH, named
from remedy.lab.devices.face import Refusal, View, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.sessions import Login

__all__ = ["AsaBasics", "AsaKept"]

_EXEC: Final = ("exec", "privileged")
_TRIES: Final = 3
SAVE_FAILED: Final = "%Error writing disk0:/startup-config (No space left on device)"


class AsaBasics(Basics):
    """The name, and everything that is no subject of its own."""

    @command("enable [ <level:n0-15> ]", views=_EXEC, reads=True)
    async def enable(self, login: Login, call: Call) -> None:
        """Enter privileged mode, against the enable password; asked three times."""
        del call
        if login.view.kind != "exec":
            return
        secret = self.device.secrets.get("enable", "")
        for _ in range(_TRIES):
            if await login.ask("Password: ", secret=True) == secret:
                login.role = "admin"
                login.views.append(View("privileged"))
                return
            login.say("Invalid password\n")
        raise Refusal("Access denied.")

    @command("configure terminal", views=("privileged",))
    def configure(self, login: Login, call: Call) -> str:
        """Enter configuration mode, or its first view again."""
        del call
        del login.views[2:]
        login.views.append(View("config", "config"))
        return ""

    @command("terminal pager [ lines ] <lines:n0-2147483647>", "no terminal pager", views=_EXEC, reads=True)
    def length(self, login: Login, call: Call) -> None:
        """Lines of a page; 0: no paging."""
        if login.terminal is not None:
            login.terminal.page = int(call.get("lines", "0"))

    @command("terminal width <columns:n0-511>", views=("config",))
    def width(self, login: Login, call: Call) -> None:
        """Nothing here is wrapped."""
        del login, call

    @command("pager [ lines ] <lines:n0-2147483647>", "no pager", views=("config",))
    def pager(self, login: Login, call: Call) -> None:
        """Lines of a page of this session."""
        self.length(login, call)

    @command("terminal monitor", "terminal no monitor", "no terminal monitor", views=_EXEC, reads=True)
    def monitor(self, login: Login, call: Call) -> None:
        """Show log lines on this session, or not."""
        login.monitor = "no" not in call

    @command("show curpriv", views=_EXEC, reads=True)
    def show_privilege(self, login: Login, call: Call) -> str:
        """The level of the session."""
        del call
        level, mode = (1, "P_UNPR") if login.view.kind == "exec" else (15, "P_PRIV")
        return f"Username : {login.user}\nCurrent privilege level : {level}\nCurrent Mode/s : {mode}\n"

    @command("show version", views=_EXEC, reads=True)
    def show_version(self, login: Login, call: Call) -> str:
        """Software and uptime."""
        del login, call
        minutes = int(self.device.uptime())
        return (
            "Cisco Adaptive Security Appliance Software Version 9.16(4)\n\n"
            f"{self.hostname} up {minutes // 1440} days {minutes // 60 % 24} hours\n\nHardware:   ASAv, 2048 MB RAM\n"
        )

    @command("show running-config [ all ]", f"show running-config interface {WHICH}", "write terminal",
             views=("privileged",), reads=True)  # fmt: skip
    def show_running(self, login: Login, call: Call) -> str:
        """The running configuration, or one interface's section."""
        del login
        text = self.face.running()
        if "interface" in call:
            head = f"interface {named(call)}\n"
            return "!\n" + "".join(s for s in re.split(r"(?m)^!\n", text) if s.startswith(head))
        return f": Saved\n\n: \n: Serial Number: 9AXXXXXXXXX\n:\nASA Version 9.16(4) \n{text}: end\n"

    @command("show startup-config", views=("privileged",), reads=True)
    def show_startup(self, login: Login, call: Call) -> str:
        """The startup configuration."""
        del login, call
        return self.device.stores.read(self.face.startup) or "No Configuration\n"

    @command("clear conn [ address <source:ip> | all ]", "clear conn address <source6:ip6>", views=("privileged",))
    def clear_connections(self, login: Login, call: Call) -> str:
        """Connections of refused sources have ended already."""
        del login, call
        return "0 connection(s) deleted.\n"

    async def _save(self, login: Login, path: str) -> str:
        login.say("Building configuration...\n")
        try:
            await self.device.save(path)
        except (OSError, KeyError):
            raise Refusal(SAVE_FAILED) from None
        size = len(self.face.running().encode())
        return f"Cryptochecksum: 5d3a1c0b 9f2e7d64 0b8c1a2f 77e0d9a1\n\n{size} bytes copied in 0.240 secs\n[OK]\n"


class AsaKept(Kept):
    """Lines kept of an ASA's configuration."""

    _MORE: Final = ("ssh", "route", "ipv6 route", "http", "mtu", "timeout", "names", "passwd", "nat", "icmp", "telnet",
                    "domain-name", "dns", "same-security-traffic", "threat-detection", "monitor-interface")  # fmt: skip

    @command(*(f"{word} [ <text> ]" for word in _MORE), views=("config",))
    def keep_more(self, login: Login, call: Call) -> None:
        """Keep it."""
        self.keep(login, call)

    @command(*(f"no {word} [ <text> ]" for word in _MORE), views=("config",))
    def drop_more(self, login: Login, call: Call) -> None:
        """Forget every line that begins so."""
        self.drop(login, call)
