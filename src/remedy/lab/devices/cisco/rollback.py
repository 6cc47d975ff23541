"""The configuration archive of an IOS router, and going back: on demand, or when a change is not confirmed in time.

Followed: "Managing Configuration Files Configuration Guide", Configuration Replace and Configuration Rollback;
Configuration Rollback Confirmed Change (`configure terminal revert timer`, `configure confirm`, `configure revert`,
`show archive config rollback timer`), for which an archive must be configured.
"""

from __future__ import annotations

from typing import Final

from remedy.lab.devices.cisco import words
from remedy.lab.devices.face import Face, Part, Refusal, View, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.sessions import Login

__all__ = ["Archive"]

_MINUTES: Final = "<minutes:n1-120>"
_TIMER: Final = "rollback"
_MOST: Final = 10


class Archive(Part):
    """Where the archive is, and what it holds."""

    def __init__(self, face: Face) -> None:
        """Switched off."""
        super().__init__(face)
        self.path = ""
        self.maximum = _MOST

    def configured(self) -> list[str]:
        """The section, when it is switched on."""
        if not self.path:
            return []
        more = [f" maximum {self.maximum}"] if self.maximum != _MOST else []
        return ["!", "archive", f" path {self.path}", *more]

    @property
    def _prefix(self) -> str:
        return self.device.stores.name(self.path) + "-"

    def _files(self) -> list[str]:
        names = [name for name, _ in self.device.stores if name.startswith(self._prefix)]
        return sorted(names, key=lambda name: int(name.removeprefix(self._prefix) or 0))

    def _next(self) -> str:
        files = self._files()
        last = int(files[-1].removeprefix(self._prefix)) if files else 0
        return f"{self._prefix}{last + 1}"

    def _keep(self) -> str:
        """Put the running configuration into the archive; its file."""
        name = self._next()
        self.device.stores.write(name, self.face.running())
        for old in self._files()[: -self.maximum]:
            self.device.stores.remove(old)
        return f"flash:{name}"

    @command("archive", views=("config",))
    def enter(self, login: Login, call: Call) -> None:
        """Enter its view."""
        del call
        login.views.append(View("archive", "config-archive", "archive"))

    @command("path <path:file>", "no path", "maximum <most:n1-14>", "no maximum", "write-memory", views=("archive",))
    def set(self, login: Login, call: Call) -> None:
        """Where, and how many."""
        del login
        if "path" in call:
            self.path = call.get("path")
        elif "maximum" in call:
            self.maximum = int(call.get("most", str(_MOST)))

    @command("no archive", views=("config",))
    def forget(self, login: Login, call: Call) -> None:
        """Switch it off; files stay."""
        del login, call
        self.path, self.maximum = "", _MOST

    @command("archive config", views=("privileged",))
    def now(self, login: Login, call: Call) -> None:
        """Keep the running configuration."""
        del login, call
        if not self.path:
            raise Refusal("Archive feature not enabled")
        self._keep()

    @command("show archive", views=("exec", "privileged"), reads=True)
    def show(self, login: Login, call: Call) -> str:
        """What it holds."""
        del login, call
        if not self.path:
            return "Archive feature not enabled\n"
        files = self._files()
        lines = [
            f"The maximum archive configurations allowed is {self.maximum}.",
            f"There are currently {len(files)} archive configurations saved.",
            f"The next archive file will be named flash:{self._next()}",
            " Archive #  Name",
        ]
        for number, name in enumerate(files, 1):
            lines.append(f"   {number:<8} flash:{name}{' <- Most Recent' if name == files[-1] else ''}")
        return "\n".join([*lines, ""])

    # confirmed changes

    @command(f"configure terminal revert timer {_MINUTES}", f"configure terminal revert timer idle {_MINUTES}",
             views=("privileged",))  # fmt: skip
    def revertible(self, login: Login, call: Call) -> str:
        """Enter configuration mode; go back after so many minutes unless the change is confirmed."""
        if not self.path:
            raise Refusal(words.NO_ARCHIVE)
        if self.device.timers.left(_TIMER) is not None:
            raise Refusal(words.PENDING)
        self.device.rollback_point = self.face.running()
        file = self._keep()
        self._arm(login, call)
        login.views.append(View("config", "config"))
        return (
            f"Rollback Confirmed Change: Backing up current running config to {file}\n\n"
            "Enter configuration commands, one per line.  End with CNTL/Z.\n"
        )

    def _arm(self, login: Login, call: Call) -> None:
        self.device.arm(_TIMER, float(call["minutes"]), self.device.rollback_point)
        now = self.device.now()
        self.armed = f"{now:%H:%M:%S} UTC {now:%a %b} {now.day} {now.year}", login.user

    @command("configure confirm", views=("privileged",))
    def confirm(self, login: Login, call: Call) -> None:
        """Keep what was changed."""
        del login, call
        if not self.device.timers.stop(_TIMER):
            raise Refusal(words.NO_PENDING)

    @command("configure revert now", f"configure revert timer {_MINUTES}", f"configure revert timer idle {_MINUTES}",
             views=("privileged",))  # fmt: skip
    async def revert(self, login: Login, call: Call) -> str:
        """Go back at once, or set the timer anew."""
        if self.device.timers.left(_TIMER) is None:
            raise Refusal(words.NO_PENDING)
        if "now" not in call:
            self._arm(login, call)
            return ""
        self.device.timers.stop(_TIMER)
        await self.device.load(self.device.rollback_point)
        return "Rollback Confirmed Change: rolling back\n\nTotal number of passes: 1\nRollback Done\n\n"

    @command("show archive config rollback timer", views=("exec", "privileged"), reads=True)
    def show_timer(self, login: Login, call: Call) -> str:
        """The timer that runs."""
        del login, call
        minutes = self.device.timers.set_for(_TIMER)
        if minutes is None:
            return f"{words.NO_PENDING}\n"
        return (
            f"Time configured(or reconfigured): {self.armed[0]}\nTimer type: absolute timer\n"
            f"Timer value: {minutes:g} min\nUser: {self.armed[1]}\n"
        )

    @command("configure replace <path:file> [ force ]", "configure replace <path:file> list [ force ]",
             views=("privileged",))  # fmt: skip
    async def replace(self, login: Login, call: Call) -> str:
        """Make the running configuration that of a file."""
        text = self.device.stores.read(call["path"])
        if text is None:
            raise Refusal(f"%Error opening {call['path']} (No such file or directory)")
        if "force" not in call:
            sure = await login.ask(
                "This will apply all necessary additions and deletions\n"
                "to replace the current running configuration with the\n"
                "contents of the specified configuration file, which is\n"
                "assumed to be a complete configuration, not a partial\n"
                "configuration. Enter Y if you are sure you want to proceed. ? [no]: "
            )
            if not sure.strip().lower().startswith("y"):
                return ""
        await self.device.load(text)
        return "Total number of passes: 1\nRollback Done\n\n"
