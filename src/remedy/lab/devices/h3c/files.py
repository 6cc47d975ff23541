"""Files, saving, going back and rebooting, as Comware V7 does it.

Followed: "Fundamentals Configuration Guide" and "Command Reference", configuration file management (`save`,
`configuration commit delay`, `configuration replace file`), device management (`reboot`), file system. A save as a
terminal shows it:

    <H3C>save
    The current configuration will be written to the device. Are you sure? [Y/N]:y
    Please input the file name(*.cfg)[flash:/startup.cfg]
    (To leave the existing filename unchanged, press the enter key):
    flash:/startup.cfg exists, overwrite? [Y/N]:y
    Validating file. Please wait...
    Saved the current configuration to mainboard device successfully.
"""

from __future__ import annotations

from typing import Final

from remedy.lab.devices.face import Part, Refusal, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.h3c import messages
from remedy.lab.devices.sessions import Login

__all__ = ["Files"]

_SURE: Final = "The current configuration will be written to the device. Are you sure? [Y/N]:"
_WHERE: Final = (
    "Please input the file name(*.cfg)[flash:/{name}]\n(To leave the existing filename unchanged, press the enter key):"
)
_COMPARED: Final = "Start to check configuration with next startup configuration file, please wait.........DONE!\n"
_LOST: Final = "Current configuration may be lost after the reboot, save current configuration? [Y/N]:"
_REBOOT: Final = "This command will reboot the device. Continue? [Y/N]:"
_REPLACED: Final = "Current configuration will be lost, save current configuration? [Y/N]:"


async def _yes(login: Login, question: str) -> bool:
    """Ask; only an answer that begins with y is yes."""
    return (await login.ask(question)).strip().lower().startswith("y")


class Files(Part):
    """Nothing of its own: the device's stores and its timer."""

    # files

    @command("dir", views=("user",), reads=True)
    def show_files(self, login: Login, call: Call) -> str:
        """The files in flash."""
        del login, call
        lines = ["Directory of flash:"]
        for number, (name, size) in enumerate(self.device.stores):
            lines.append(f"{number:>4} -rw- {size:>11} {self.device.now():%b %d %Y %H:%M:%S}   {name}")
        return "\n".join([*lines, "", "524288 KB total (301124 KB free)"]) + "\n"

    @command("more <path:file>", views=("user",), reads=True)
    def show_file(self, login: Login, call: Call) -> str:
        """A file's text."""
        del login
        text = self.device.stores.read(call["path"])
        if text is None:
            raise Refusal(messages.NO_FILE)
        return text

    @command("delete [ /unreserved ] <path:file>", views=("user",))
    async def delete(self, login: Login, call: Call) -> str:
        """Delete a file, after asking."""
        if not await _yes(login, f"Delete {call['path']}? [Y/N]:"):
            return ""
        if not self.device.stores.remove(call["path"]):
            raise Refusal(messages.NO_FILE)
        return f"Deleting file {call['path']}... Done.\n"

    @command("save [ safely ] [ backup | main ] force")
    async def save_now(self, login: Login, call: Call) -> str:
        """Save as the startup configuration without asking."""
        del call
        return await self._save(login, self.face.startup)

    @command("save [ safely ] [ backup | main ]")
    async def save(self, login: Login, call: Call) -> str:
        """Save, asking where and whether."""
        del call
        if not await _yes(login, _SURE):
            return ""
        typed = await login.ask(_WHERE.format(name=self.face.startup))
        name = typed.strip() or f"flash:/{self.face.startup}"
        if not name.endswith(".cfg"):
            raise Refusal("The file name is invalid(does not end with .cfg).")
        if self.device.stores.read(name) is not None and not await _yes(login, f"{name} exists, overwrite? [Y/N]:"):
            return ""
        return await self._save(login, name)

    @command("save <path:file>")
    async def save_as(self, login: Login, call: Call) -> str:
        """Save to a file that is not loaded at startup, after asking."""
        if not await _yes(login, f"The current configuration will be saved to {call['path']}. Continue? [Y/N]:"):
            return ""
        return await self._save(login, call["path"])

    async def _save(self, login: Login, name: str) -> str:
        login.say("Validating file. Please wait...\n")
        try:
            await self.device.save(name)
        except (OSError, KeyError):
            raise Refusal(messages.SAVE_FAILED) from None
        return "Saved the current configuration to mainboard device successfully.\n"

    # going back

    @command("configuration commit delay <minutes:n1-65535>", views=("system",))
    async def commit_delay(self, login: Login, call: Call) -> None:
        """Go back to this configuration after so many minutes, unless committed.

        Started again, the timer is set anew and the point to go back to stays ("Configuring configuration commit
        delay", restrictions).
        """
        earlier = self.device.timers.set_for("commit")
        if earlier is not None:
            if not await _yes(login, f"The commit delay already set {earlier:g} minutes, overwrite it? [Y/N]:"):
                return
        else:
            self.device.rollback_point = self.face.running()
        self.device.arm("commit", float(call["minutes"]), self.device.rollback_point)

    @command("configuration commit", views=("system",))
    def commit(self, login: Login, call: Call) -> None:
        """Keep what was configured since."""
        del login, call
        if not self.device.timers.stop("commit"):
            raise Refusal(messages.NO_DELAY)

    @command("configuration replace file <path:file>", views=("system",))
    async def replace(self, login: Login, call: Call) -> str:
        """Make the configuration that of a file, without a reboot."""
        text = self.device.stores.read(call["path"])
        if text is None:
            raise Refusal(messages.NO_FILE)
        if await _yes(login, _REPLACED):
            login.say(await self._save(login, self.face.startup))
        login.say("Info: Now replacing the current configuration. Please wait...\n")
        await self.device.load(text)
        return f"Info: Succeeded in replacing current configuration with the file {call['path']}.\n"

    @command("reboot [ force ]", views=("user",))
    async def reboot(self, login: Login, call: Call) -> str:
        """Reboot, asking first; what was not saved is lost."""
        if "force" not in call:
            login.say(_COMPARED)
            unsaved = self.face.running() != (self.device.stores.read(self.face.startup) or "")
            if unsaved and await _yes(login, _LOST):
                login.say(await self._save(login, self.face.startup))
        if not await _yes(login, _REBOOT):
            return ""
        self.device.later(self.device.reboot())
        return "Now rebooting, please wait...\n"
