"""The first prompt of a session: found behind banners, waits and questions, and learnt.

Decides what the device's prompt is: what is shaped like one, stands alone at the end, and is shown again, unchanged,
after Enter. So no banner is taken for it. Leaves to others: everything typed from then on (`console`).
"""

from __future__ import annotations

import re
from typing import Final

from remedy.core.errors import ConnectFailed, ConnectionLost, TimedOut
from remedy.transports.devices.keyboard import Keyboard, shown
from remedy.transports.devices.prompts import Prompt, asks, shape_of
from remedy.transports.devices.screen import Screen

__all__ = ["learn"]

#: Silence after which an unfinished line is a question, and after which Enter is pressed unasked, in seconds.
_ASKS: Final = 0.3
_SILENT: Final = 2.0
_MOST_TRIES: Final = 8
#: How much a greeting may be, kept or at all.
_MOST: Final = 256 * 1024
_FLOOD: Final = 64 * 1024 * 1024
_CONTINUE: Final = re.compile(r"(?:press|hit|type)\b.{0,80}\b(?:continue|get started)", re.IGNORECASE)
_FULL: Final = re.compile(
    r"(?:all user (?:interfaces|lines) are used"
    r"|(?:session|user|login|line|vty)s?\b.{0,40}\b(?:limit|maximum|exceed|full|in use)"
    r"|(?:limit|maximum|too many)\b.{0,40}\b(?:session|user|login|line|connection)|no free (?:tty|vty)|resource busy)",
    re.IGNORECASE,
)


def learn(keyboard: Keyboard, seconds: float) -> tuple[Prompt, str]:
    """Wait for the first prompt and see it twice, unchanged; returns it, and what the device said before.

    Raises ConnectFailed when the device closes the session or asks something first, TimedOut without a prompt.
    """
    end = keyboard.clock() + seconds
    candidate: Prompt | None = None
    greeting = ""
    for _ in range(_MOST_TRIES):
        screen = keyboard.screen(_MOST)
        found = _shaped(keyboard, screen, end)
        greeting = greeting or screen.text()
        if candidate is not None and found is not None and found.first == candidate.first:
            return found, greeting
        candidate = found
        keyboard.enter()
    raise TimedOut(
        "the prompt changes all the time: " + shown(screen.recent(200)),
        where=keyboard.where,
        hint="a prompt with a clock or a counter in it cannot be told from other text; set a plain one",
    )


def _shaped(keyboard: Keyboard, screen: Screen, end: float) -> Prompt | None:
    """Read until the last line looks like a prompt; None when it has to be asked for first."""
    quiet_since = keyboard.clock()
    while True:
        last = screen.last
        now = keyboard.clock()
        if shape := shape_of(last):
            if not keyboard.has_more:
                return shape
        elif screen.paged():
            keyboard.press(b" ")
        elif _CONTINUE.search(last) and now - quiet_since >= _ASKS:
            return None
        elif asks(last) and now - quiet_since >= _ASKS:
            raise ConnectFailed(
                f"before its prompt the device asks: {shown(screen.recent(300))}",
                where=keyboard.where,
                hint="log in by hand and answer it; it may want a new password",
            )
        elif now - quiet_since >= _SILENT and not asks(last):  # some show nothing before Enter
            return None
        if now >= end or screen.printed > _FLOOD:
            raise TimedOut(
                f"no prompt within the time for a login; the device said: {shown(screen.recent(300))}",
                where=keyboard.where,
                hint="log in by hand with the same user; is this the vendor that the inventory names?",
            )
        wait = _ASKS if last else _SILENT
        if data := _hear(keyboard, min(wait, end - now), screen):
            screen.feed(data)
            quiet_since = keyboard.clock()


def _hear(keyboard: Keyboard, seconds: float, screen: Screen) -> bytes:
    """What came in. Raises ConnectFailed when the device has closed the session, with its reason."""
    try:
        return keyboard.hear(seconds)
    except ConnectionLost as error:
        said = screen.recent(400)
        full = bool(_FULL.search(said)) or not said.strip()
        raise ConnectFailed(
            f"the device closed the session{': ' + shown(said) if said.strip() else ' without a word'}",
            where=keyboard.where,
            hint="its sessions are all taken: log another user off (`display users`, `show users`), or wait"
            if full
            else "log in by hand with the same user and see what it says",
        ) from error
