"""Lines that a real configuration has and the lab makes nothing of: kept, shown, undone, secrets and all."""

from __future__ import annotations

from remedy.lab.devices.face import Face, Part, View, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.sessions import Login

__all__ = ["Kept"]


class Kept(Part):
    """Single lines of system view, and sections whose lines are only kept."""

    def __init__(self, face: Face) -> None:
        """None."""
        super().__init__(face)
        self.lines: dict[str, None] = {}
        self.sections: dict[str, dict[str, None]] = {}

    def configured(self) -> list[str]:
        """As they were typed, in that order."""
        lines = ["#", *(f" {line}" for line in self.lines)] if self.lines else []
        for head, body in self.sections.items():
            lines += ["#", head, *(f" {line}" for line in body)]
        return lines

    @command("version <text>", views=("system",))
    def version(self, login: Login, call: Call) -> None:
        """A comment of configuration files ("Entering a command", special commands)."""
        del login, call

    @command(
        *(
            f"{word} <text>"
            for word in ("telnet", "ssh", "snmp-agent", "ntp-service", "info-center", "clock", "ip route-static",
                         "super password", "irf", "stp", "lldp", "dns", "domain", "undo info-center")
        ),
        views=("system",),
    )  # fmt: skip
    def keep(self, login: Login, call: Call) -> None:
        """Keep it."""
        del login
        self.lines[" ".join(call.words)] = None

    @command(
        *(f"undo {word} <text>" for word in ("telnet", "ssh", "snmp-agent", "ntp-service", "ip route-static", "stp")),
        views=("system",),
    )
    def drop(self, login: Login, call: Call) -> None:
        """Forget every line that begins so."""
        del login
        start = " ".join(call.words[1:])
        self.lines = {line: None for line in self.lines if not line.startswith(start)}

    @command("local-user <user:word> class { manage | network }", "line <text>", "role <text>", views=("system",))
    def enter(self, login: Login, call: Call) -> None:
        """Enter the view of a section whose lines are only kept."""
        head = " ".join(call.words)
        self.sections.setdefault(head, {})
        label = f"luser-manage-{call['user']}" if "local-user" in call else "line-vty0-63"
        login.views.append(View("kept", label, ("kept", head)))

    @command("<text>", views=("kept",))
    def keep_inside(self, login: Login, call: Call) -> None:
        """Keep it in its section."""
        self.sections.setdefault(login.view.key[1], {})[call.line.strip()] = None
