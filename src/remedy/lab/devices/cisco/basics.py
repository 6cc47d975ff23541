"""What every session on an IOS router can do: modes, terminal, clock, users, files, saving, and the lines only kept.

Followed: "Cisco IOS Configuration Fundamentals Command Reference" (`enable`, `configure terminal`, `terminal length`,
`write memory`, `copy running-config startup-config`, `show running-config`, `reload`).

    R1>enable
    Password:
    R1#configure terminal
    Enter configuration commands, one per line.  End with CNTL/Z.
    R1(config)#
"""

from __future__ import annotations

import re
from typing import Final

from remedy.lab.devices.cisco import words
from remedy.lab.devices.cisco.interfaces import WHICH, named
from remedy.lab.devices.face import Face, Part, Refusal, View, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.sessions import Login

__all__ = ["Basics", "Kept"]

_EXEC: Final = ("exec", "privileged")
_TRIES: Final = 3
#: How many views are open in privileged mode.
_PRIVILEGED: Final = 2


class Basics(Part):
    """The name, and everything that is no subject of its own."""

    def __init__(self, face: Face) -> None:
        """Called as the device is."""
        super().__init__(face)
        self.hostname = self.device.name

    def configured(self) -> list[str]:
        """The name."""
        return ["!", f"hostname {self.hostname}"]

    @command("hostname <hostname:word>", "no hostname", views=("config",))
    def rename(self, login: Login, call: Call) -> None:
        """Name the device; the prompt follows."""
        del login
        self.hostname = call.get("hostname", "Router")

    # modes

    @command("enable [ <level:n0-15> ]", views=_EXEC, reads=True)
    async def enable(self, login: Login, call: Call) -> None:
        """Enter privileged mode, against the enable secret; asked three times."""
        del call
        if login.view.kind == "privileged":
            return
        secret = self.device.secrets.get("enable", "")
        if not secret:
            raise Refusal(words.NO_SECRET)
        for _ in range(_TRIES):
            if await login.ask("Password: ", secret=True) == secret:
                login.role = "admin"
                login.views.append(View("privileged"))
                return
        raise Refusal(words.BAD_SECRETS + "\n\n")

    @command("disable", views=("privileged",), reads=True)
    def disable(self, login: Login, call: Call) -> None:
        """Go back to user mode."""
        del call
        del login.views[1:]

    @command("exit", "quit", "logout", views=_EXEC, reads=True)
    def leave(self, login: Login, call: Call) -> None:
        """Log out."""
        del call
        login.views.clear()

    @command("configure terminal", views=("privileged",))
    def configure(self, login: Login, call: Call) -> str:
        """Enter configuration mode."""
        del call
        login.views.append(View("config", "config"))
        return "Enter configuration commands, one per line.  End with CNTL/Z.\n"

    @command("exit", views=("*",), reads=True)
    def out(self, login: Login, call: Call) -> None:
        """Leave a view."""
        del call
        login.views.pop()

    @command("end", views=("config",), reads=True)
    def end(self, login: Login, call: Call) -> None:
        """Leave configuration mode."""
        del call
        del login.views[_PRIVILEGED:]

    @command("do <text>", views=("config",))
    async def do(self, login: Login, call: Call) -> str:
        """Do an exec line; the view stays."""
        views = login.views
        login.views = views[:_PRIVILEGED]
        try:
            return await login.perform(call["text"])
        finally:
            login.views = views

    # the terminal

    @command("terminal length <lines:n0-512>", "terminal no length", views=_EXEC, reads=True)
    def length(self, login: Login, call: Call) -> None:
        """Lines of a page; 0: no paging."""
        if login.terminal is not None:
            login.terminal.page = int(call.get("lines", str(login.terminal.style.page)))

    @command("terminal width <columns:n0-512>", "terminal no width", views=_EXEC, reads=True)
    def width(self, login: Login, call: Call) -> None:
        """Nothing here is wrapped."""
        del login, call

    @command("terminal monitor", "terminal no monitor", "no terminal monitor", views=_EXEC, reads=True)
    def monitor(self, login: Login, call: Call) -> None:
        """Show log lines on this session, or not."""
        login.monitor = "no" not in call

    # showing

    @command("show running-config", "show running-config all", f"show running-config interface {WHICH}",
             "write terminal", views=("privileged",), reads=True)  # fmt: skip
    def show_running(self, login: Login, call: Call) -> str:
        """The running configuration, or one interface's section."""
        del login
        text = self.face.running()
        if "interface" in call:
            head = f"interface {named(call)}\n"
            text = "!\n" + "".join(s for s in re.split(r"(?m)^!\n", text) if s.startswith(head))
        size = len(text.encode())
        tail = "" if "interface" in call else "!\n"
        return f"Building configuration...\n\nCurrent configuration : {size} bytes\n{text}{tail}end\n\n"

    @command("show startup-config", views=("privileged",), reads=True)
    def show_startup(self, login: Login, call: Call) -> str:
        """The startup configuration."""
        del login, call
        text = self.device.stores.read(self.face.startup)
        if text is None:
            raise Refusal("startup-config is not present")
        return f"Using {len(text.encode())} out of 262136 bytes\n{text}!\nend\n\n"

    @command("show version", views=_EXEC, reads=True)
    def show_version(self, login: Login, call: Call) -> str:
        """Software and uptime."""
        del login, call
        minutes = int(self.device.uptime())
        return (
            "Cisco IOS Software, ISR Software (X86_64_LINUX_IOSD-UNIVERSALK9-M), Version 15.5(3)S5,"
            " RELEASE SOFTWARE (fc2)\n"
            "Copyright (c) 1986-2017 by Cisco Systems, Inc.\n\n"
            f"{self.hostname} uptime is {minutes // 1440} days, {minutes // 60 % 24} hours, {minutes % 60} minutes\n"
            "System returned to ROM by reload\n\nConfiguration register is 0x2102\n"
        )

    @command("show clock [ detail ]", views=_EXEC, reads=True)
    def show_clock(self, login: Login, call: Call) -> str:
        """The device's clock."""
        del login, call
        now = self.device.now()
        return f"{now:%H:%M:%S}.{now.microsecond // 1000:03} UTC {now:%a %b} {now.day} {now.year}\n"

    @command("show users", views=_EXEC, reads=True)
    def show_users(self, login: Login, call: Call) -> str:
        """The sessions."""
        del call
        lines = ["    Line       User       Host(s)              Idle       Location"]
        for number, visitor in enumerate(self.device.visitors.values()):
            mark = "*" if id(visitor) == id(login) else " "
            lines.append(f"{mark} {number + 2:>2} vty {number}     {visitor.user:<10} idle                 00:00:00")
        return "\n".join([*lines, ""])

    @command("show logging", views=_EXEC, reads=True)
    def show_log(self, login: Login, call: Call) -> str:
        """The last log lines."""
        del login, call
        return "".join(f"{line}\n" for line in self.device.logged)

    @command("show privilege", views=_EXEC, reads=True)
    def show_privilege(self, login: Login, call: Call) -> str:
        """The level of the session."""
        del call
        return f"Current privilege level is {15 if login.view.kind == 'privileged' else 1}\n"

    # files

    @command("dir [ <path:file> ]", views=("privileged",), reads=True)
    def show_files(self, login: Login, call: Call) -> str:
        """The files in flash."""
        del login, call
        lines = ["Directory of flash:/", ""]
        for number, (name, size) in enumerate(self.device.stores, 1):
            lines.append(f"{number:>5}  -rw-  {size:>10}  {self.device.now():%b %d %Y %H:%M:%S} +00:00  {name}")
        return "\n".join([*lines, "", "1073741824 bytes total (536870912 bytes free)", ""])

    @command("more <path:file>", views=("privileged",), reads=True)
    def show_file(self, login: Login, call: Call) -> str:
        """A file's text."""
        del login
        text = self.device.stores.read(call["path"])
        if text is None:
            raise Refusal(f"%Error opening {call['path']} (No such file or directory)")
        return text

    @command("write [ memory ]", views=("privileged",))
    async def write(self, login: Login, call: Call) -> str:
        """Save as the startup configuration."""
        del call
        return await self._save(login, "")

    @command("copy running-config startup-config", views=("privileged",))
    async def copy(self, login: Login, call: Call) -> str:
        """Likewise, asking where to."""
        del call
        typed = (await login.ask("Destination filename [startup-config]? ")).strip()
        return await self._save(login, "" if typed in {"", "startup-config"} else typed)

    @command("copy running-config <path:file>", views=("privileged",))
    async def copy_as(self, login: Login, call: Call) -> str:
        """Save to a file, asking."""
        name = self.device.stores.name(call["path"])
        typed = (await login.ask(f"Destination filename [{name}]? ")).strip()
        await self._save(login, typed or name)
        return f"{len(self.face.running().encode())} bytes copied in 0.420 secs\n"

    async def _save(self, login: Login, path: str) -> str:
        if not path:
            login.say("Building configuration...\n")
        try:
            await self.device.save(path)
        except (OSError, KeyError):
            raise Refusal(words.SAVE_FAILED) from None
        return "[OK]\n"

    @command("reload", views=("privileged",))
    async def reload(self, login: Login, call: Call) -> str:
        """Reboot, asking first; what was not saved is lost."""
        del call
        if self.face.running() != (self.device.stores.read(self.face.startup) or ""):
            answer = await login.ask("System configuration has been modified. Save? [yes/no]: ")
            if answer.strip().lower().startswith("y"):
                login.say(await self._save(login, ""))
        if (await login.ask_key("Proceed with reload? [confirm]")).lower() not in {"", "y"}:
            return ""
        self.device.later(self.device.reboot())
        return ""


class Kept(Part):
    """Lines that a real configuration has and the lab makes nothing of: kept, shown, undone, secrets and all."""

    _WORDS: Final = (
        "version", "service", "username", "enable secret", "enable password", "logging", "ntp", "snmp-server",
        "ip domain", "ip ssh", "ip route", "ipv6 route", "ip http", "ip name-server", "aaa", "clock", "banner",
        "ip cef", "ipv6 unicast-routing", "boot", "crypto", "spanning-tree", "login",
    )  # fmt: skip

    def __init__(self, face: Face) -> None:
        """None."""
        super().__init__(face)
        self.lines: dict[str, None] = {}
        self.sections: dict[str, dict[str, None]] = {}

    def configured(self) -> list[str]:
        """As they were typed, in that order."""
        lines = ["!", *self.lines] if self.lines else []
        for head, body in self.sections.items():
            lines += ["!", head, *(f" {line}" for line in body)]
        return lines

    @command(*(f"{word} [ <text> ]" for word in _WORDS), views=("config",))
    def keep(self, login: Login, call: Call) -> None:
        """Keep it."""
        del login
        self.lines[" ".join(call.words)] = None

    @command(*(f"no {word} [ <text> ]" for word in _WORDS), views=("config",))
    def drop(self, login: Login, call: Call) -> None:
        """Forget every line that begins so."""
        del login
        start = " ".join(call.words[1:])
        self.lines = {line: None for line in self.lines if not line.startswith(start)}

    @command("line <text>", "router <text>", "route-map <text>", "policy-map <text>", "class-map <text>",
             "control-plane", "time-range <text>", views=("config",))  # fmt: skip
    def enter(self, login: Login, call: Call) -> None:
        """Enter the view of a section whose lines are only kept."""
        head = " ".join(call.words)
        self.sections.setdefault(head, {})
        login.views.append(View("kept", f"config-{call.words[0]}", head))

    @command("<text>", views=("kept",))
    def keep_inside(self, login: Login, call: Call) -> None:
        """Keep it in its section."""
        self.sections[login.view.key][call.line.strip()] = None
