"""Sessions: who is logged in, in which views, with which role; and a line's way from the terminal to the face.

A `Login` can do without a terminal (a configuration file is read by one); a `Shell` is one at a terminal. Decides
order and rights. Leaves to others: the language (the face), the terminal, and logins at all (`serve`).
"""

from __future__ import annotations

import asyncio
import inspect
import re
from typing import Final

from remedy.lab.devices.device import Device
from remedy.lab.devices.face import Refusal, View
from remedy.lab.devices.grammar import Misread, words_of
from remedy.lab.devices.terminal import Closed, Interrupted, Terminal

__all__ = ["Login", "Shell"]

_FILTER: Final = re.compile(r"\s\|\s*(b\w*|e\w*|i\w*|s\w*)\s+(\S.*)$")


class Login:
    """Somebody at the command line. `role` is "admin" or "operator" (read-only)."""

    def __init__(self, device: Device, *, user: str, role: str, views: list[View] | None = None) -> None:
        """Just logged in, unless other views are given."""
        self.device = device
        self.face = device.face
        self.user = user
        self.role = role
        self.monitor = False
        self.refused = False
        self.views = views if views is not None else self.face.first(role)

    @property
    def view(self) -> View:
        """Where the session is."""
        return self.views[-1]

    @property
    def terminal(self) -> Terminal | None:
        """None: nobody is there to ask."""
        return None

    async def ask(self, prompt: str, *, secret: bool = False) -> str:
        """Ask and wait for a line. Raises Refusal where nobody can be asked, Interrupted on Ctrl-C."""
        del secret
        raise Refusal(f"{prompt}\n")

    async def ask_key(self, prompt: str) -> str:
        """Ask and wait for a single key."""
        return await self.ask(prompt)

    def say(self, text: str) -> None:
        """Show something before the command is done."""

    async def perform(self, line: str) -> str:
        """Do a line; returns what it shows. `refused` says afterwards whether it was refused."""
        self.refused = False
        if not line.strip() or line.lstrip().startswith(("#", "!")):
            return ""
        prompt = self.face.prompt(self)
        filtered = _FILTER.search(line) if "|" in line else None
        if filtered and filtered[1][0] not in self.face.filters:
            filtered = None
        plain = line[: filtered.start()] if filtered else line
        try:
            command, call, depth = self.face.read(self, plain)
        except Misread as misread:
            self.refused = True
            return self.face.refuse(misread, prompt, line)
        forbidden = "" if command.reads else self._forbidden(plain)
        if forbidden:
            self.refused = True
            return forbidden
        before = list(self.views)
        del self.views[depth:]
        outer = list(self.views)
        try:
            answer = command.handler(self, call)
            text = (await answer if inspect.isawaitable(answer) else answer) or ""
        except Refusal as refusal:
            self.refused = True
            self.views[:] = before
            if refusal.argument:
                column = call.columns.get(refusal.argument, 0)
                return self.face.refuse(Misread("wrong", column), prompt, line)
            return refusal.text if refusal.text.endswith("\n") or not refusal.text else f"{refusal.text}\n"
        if self.face.stays and self.views == outer:
            self.views[:] = before
        if not command.reads:
            self.device.changed()
        if filtered and words_of(plain)[:1] and call.words[0] in self.face.filtered:
            text = self.face.filter(text, filtered[1], filtered[2].strip())
        return text

    def _forbidden(self, line: str) -> str:
        """What is shown when this session may not do that now; empty when it may."""
        if self.role != "admin":
            return self.face.denied()
        faults = self.device.faults
        if self.terminal is None:
            return ""
        if faults.locked_by:
            return self.face.locked(faults.locked_by)
        return f"{faults.refusal}\n" if faults.refuse and re.search(faults.refuse, line) else ""


class Shell(Login):
    """A login at a terminal."""

    def __init__(self, device: Device, terminal: Terminal, *, user: str, role: str) -> None:
        """Sits down; `run` serves."""
        super().__init__(device, user=user, role=role)
        self._terminal = terminal
        self._outputs = 0
        self._prompts = 0
        self.monitor = device.faults.monitor
        if device.faults.page >= 0:
            terminal.page = device.faults.page

    @property
    def terminal(self) -> Terminal | None:
        """The terminal."""
        return self._terminal

    async def run(self) -> None:
        """Serve until the user leaves."""
        if len(self.device.visitors) >= self.device.faults.sessions:
            self._terminal.write(self.face.crowded)
            return
        self.device.visitors[id(self)] = self
        try:
            self._terminal.write(self.face.banner())
            while self.views:
                await self._once()
        finally:
            self.device.visitors.pop(id(self), None)

    async def _once(self) -> None:
        prompt = self.face.prompt(self)
        self._prompts += 1
        if self._due(self.device.faults.log_at_prompt, self._prompts):
            self._terminal.write(prompt)
            self._logs()
            prompt = ""
        try:
            line = await self._terminal.line(prompt, explain=self.help)
        except Interrupted as key:
            self._terminal.write(self.face.interrupted(self, key.key))
            return
        if self.device.faults.slow:
            await asyncio.sleep(self.device.faults.slow)
        if self.device.loading.locked():
            async with self.device.loading:
                pass
        try:
            text = await self.perform(line)
        except Interrupted:
            self._terminal.write("\n")
            return
        self._accidents(text)
        self._outputs += bool(text)
        if text and self._due(self.device.faults.log_every, self._outputs):
            half = text.find("\n", len(text) // 2) + 1
            self._terminal.write(text[:half])
            self._logs()
            text = text[half:]
        await self._terminal.show(text)

    @staticmethod
    def _due(every: int, count: int) -> bool:
        return every > 0 and count % every == 0

    def _accidents(self, text: str) -> None:
        """Lose the link in the middle of an answer where that is asked for. Raises Closed."""
        faults = self.device.faults
        for name, happens in (("drop_after", self._terminal.cut), ("mute_after", self._terminal.mute)):
            left = getattr(faults, name)
            if left > 0:
                setattr(faults, name, left - 1)
                if left == 1:
                    said = text + self.face.prompt(self) if self.views else text
                    self._terminal.write(said[: len(said) // 2])
                    happens()
                    if happens == self._terminal.cut:
                        raise Closed

    def _logs(self) -> None:
        if self.monitor:
            line = self.face.log_line("SHELL/6/SHELL_CMD", f"-User={self.user}; Command is display clock")
            self._terminal.write(f"\n{line}\n")

    def notice(self, text: str) -> None:
        """Show a log line where the session is, if it monitors."""
        if self.monitor:
            self._terminal.write(f"\n{text}\n")
            self._terminal.flush()

    def cut(self) -> None:
        """End it without a word."""
        self._terminal.cut()

    def say(self, text: str) -> None:
        """Show something at once."""
        self._terminal.write(text)
        self._terminal.flush()

    async def ask(self, prompt: str, *, secret: bool = False) -> str:
        """Ask and wait for a line. Raises Interrupted on Ctrl-C."""
        return await self._terminal.line(prompt, secret=secret)

    async def ask_key(self, prompt: str) -> str:
        """Ask and wait for a single key; Enter is an empty text."""
        key = await self._terminal.key(prompt)
        if key in "\x03\x1a":
            raise Interrupted("c")
        self._terminal.write("\n" if key in "\r\n" else f"{key}\n")
        return key.strip()

    def help(self, typed: str) -> str:
        """The keywords that could follow, for a `?`."""
        try:
            words = self.face.grammar(self.view).next_words(typed.rpartition(" ")[0])
        except Misread:
            return ""
        start = typed.rpartition(" ")[2].lower()
        return "".join(f"  {word}\n" for word in words if word.startswith(start))
