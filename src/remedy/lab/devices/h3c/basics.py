"""What every Comware device can do: views, screens, roles, and showing itself.

Followed: "Fundamentals Configuration Guide" and "Command Reference" (CLI views, paging, RBAC: `super`, monitoring of
logs). Leaves to others: files, saving and going back (`files`), lines that are only kept (`kept`).
"""

from __future__ import annotations

import re
from typing import ClassVar

from remedy.lab.devices.face import Face, Part, Refusal, View, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.h3c import messages
from remedy.lab.devices.h3c.ports import full_name
from remedy.lab.devices.sessions import Login

__all__ = ["Basics"]

_WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_PRIVILEGE = "User privilege role is {role}, and only those commands that authorized to the role can be used."


class Basics(Part):
    """Views, screens, roles, stores."""

    release: ClassVar[str] = "7.1.070, Release 6749P30"

    def __init__(self, face: Face) -> None:
        """The device's name is the one it was made with until `sysname` says otherwise."""
        super().__init__(face)
        self.sysname = self.device.name

    def configured(self) -> list[str]:
        """Version and name."""
        return ["#", f" version {self.release}", "#", f" sysname {self.sysname}"]

    # views and screens

    @command("system-view", views=("user",))
    def system_view(self, login: Login, call: Call) -> str:
        """Enter system view."""
        del call
        login.views.append(View("system"))
        return "System View: return to User View with Ctrl+Z.\n"

    @command("quit", reads=True)
    def quit(self, login: Login, call: Call) -> None:
        """Leave a view; leave user view: log out."""
        del call
        login.views.pop()

    @command("return", reads=True)
    def back(self, login: Login, call: Call) -> None:
        """Go to user view."""
        del call
        del login.views[1:]

    @command("sysname <sysname:word>", views=("system",))
    def rename(self, login: Login, call: Call) -> None:
        """Name the device; the prompt follows."""
        del login
        self.sysname = call["sysname"]

    @command("screen-length disable", "undo screen-length disable", views=("user",), reads=True)
    def paging(self, login: Login, call: Call) -> None:
        """Switch paging off or on for this session."""
        if login.terminal is not None:
            login.terminal.page = login.terminal.style.page if "undo" in call else 0

    @command("terminal monitor", "undo terminal monitor", views=("user",), reads=True)
    def monitor(self, login: Login, call: Call) -> str:
        """Show log lines on this session, or not."""
        login.monitor = "undo" not in call
        return f"The current terminal is {'enabled' if login.monitor else 'disabled'} to display logs.\n"

    @command("terminal { debugging | logging }", "undo terminal { debugging | logging }", views=("user",), reads=True)
    def ignored(self, login: Login, call: Call) -> None:
        """Nothing here writes debugging output."""
        del login, call

    @command("super [ <role:word> ]", views=("user",), reads=True)
    async def raise_role(self, login: Login, call: Call) -> str:
        """Take the role of administrators, against the super password."""
        typed = await login.ask("Password: ", secret=True)
        role = call.get("role", "network-admin")
        if not typed or typed != self.device.secrets.get("super"):
            raise Refusal(messages.BAD_PASSWORD)
        login.role = "admin" if role in {"network-admin", "level-15"} else "operator"
        return _PRIVILEGE.format(role=role) + "\n"

    # showing

    @command(
        "display current-configuration",
        "display current-configuration interface <iface:iface>",
        "display current-configuration interface <itype:itype> <inumber:inumber>",
        "display current-configuration configuration [ <module:word> ]",
        "display current-configuration all",
        reads=True,
    )
    def show_running(self, login: Login, call: Call) -> str:
        """The running configuration, or the sections of one kind."""
        del login
        text = self.face.running() + "#\nreturn\n"
        start = ""
        if "interface" in call:
            start = "interface " + full_name(call.get("iface") or call["itype"] + call["inumber"])
        elif call.get("module"):
            start = call["module"]
        if not start:
            return text
        wanted = re.compile(re.escape(start) + (r"$" if "interface" in call else r""), re.MULTILINE)
        sections = [s for s in re.split(r"(?m)^#\n", text) if wanted.match(s)]
        return "".join(f"#\n{s}" for s in sections) + ("return\n" if sections else "")

    @command("display this", reads=True)
    def show_this(self, login: Login, call: Call) -> str:
        """The section of the view one is in."""
        del call
        sections = re.split(r"(?m)^#\n", self.face.running())
        head = self.heads(login.view)
        return "".join(f"#\n{s}" for s in sections if head and s.startswith(f"{head}\n")) + "#\nreturn\n"

    def heads(self, view: View) -> str:
        """The first line of a view's section of the configuration."""
        return str(view.key[-1]) if isinstance(view.key, tuple) and view.key else ""

    @command("display saved-configuration", reads=True)
    def show_saved(self, login: Login, call: Call) -> str:
        """The startup configuration."""
        del login, call
        return self.device.stores.read(self.face.startup) or ""

    @command("display startup", reads=True)
    def show_startup(self, login: Login, call: Call) -> str:
        """Which file is loaded next."""
        del login, call
        has = self.device.stores.read(self.face.startup) is not None
        name = f"flash:/{self.face.startup}" if has else "NULL"
        return (
            "MainBoard:\n"
            f" Current startup saved-configuration file: {name}\n"
            f" Next main startup saved-configuration file: {name}\n"
            " Next backup startup saved-configuration file: NULL\n"
        )

    @command("display version", reads=True)
    def show_version(self, login: Login, call: Call) -> str:
        """Software and uptime."""
        del login, call
        minutes = int(self.device.uptime())
        return (
            f"H3C Comware Software, Version {self.release}\n"
            "Copyright (c) 2004-2024 New H3C Technologies Co., Ltd. All rights reserved.\n"
            f"{self.sysname} uptime is {minutes // 10080} weeks, {minutes // 1440 % 7} days, "
            f"{minutes // 60 % 24} hours, {minutes % 60} minutes\n"
            "Last reboot reason : User reboot\n"
        )

    @command("display clock", reads=True)
    def show_clock(self, login: Login, call: Call) -> str:
        """The device's clock."""
        del login, call
        now = self.device.now()
        return f"{now:%H:%M:%S} UTC {_WEEK[now.weekday()]} {now:%m/%d/%Y}\n"

    @command("display users", reads=True)
    def show_users(self, login: Login, call: Call) -> str:
        """The sessions."""
        del call
        since = f"{self.device.now():%b %d %H:%M:%S}"
        lines, names = ["  Idx  Line     Idle       Time              Pid     Type"], []
        for number, (key, visitor) in enumerate(self.device.visitors.items()):
            mark = "+" if key == id(login) else " "
            lines.append(f"{mark} {number:<4} VTY {number:<4} 00:00:00   {since:<17} {1000 + number:<7} SSH")
            names.append(f"VTY {number}: User name: {visitor.user}")
        return "\n".join([*lines, "", "Following are more details.", *names, ""])

    @command("display logbuffer", reads=True)
    def show_log(self, login: Login, call: Call) -> str:
        """The last log lines."""
        del login, call
        return "".join(f"{line}\n" for line in self.device.logged)
