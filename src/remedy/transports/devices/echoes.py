"""Echoes and log lines: what in a terminal's text is neither an answer nor a prompt.

Decides which line was logged by the device on its own, and where a typed line's echo ends when the terminal's width
has mangled it. Pure. Leaves to others: the plain echo, which is found as it is (`console`).

    %Nov 20 12:00:01:123 2026 H3C SHELL/5/SHELL_LOGIN: …       *Nov 20 12:00:01.123: %SYS-5-CONFIG_I: …
    <H3C>%Nov 20 12:00:01:123 2026 H3C …                       %ASA-6-302013: …
"""

from __future__ import annotations

import re
from typing import Final

from remedy.transports.devices.screen import cleaned

__all__ = ["LOGGED_BEHIND", "echo_end", "is_logged", "resembles"]

# What devices log in the middle of everything: %Nov 20 12:…, *Nov 20 12:…, Nov 20 2026 12:…, 000123: *Nov …,
# %ASA-6-…, %LINK-3-…, #Nov 20 12:…, 2026-11-20 12:….
_LOG: Final = re.compile(
    r"\s*(?:\d{1,8}: )?"
    r"(?:[%*.#]?(?:@\d+%?)?[A-Z][a-z]{2} {1,2}\d{1,2} \d{2,4}[ :]"
    r"|%[A-Z0-9_]+(?:-[A-Z0-9_]+)*-[0-7]-|\d{4}-\d\d-\d\d[ T]\d\d:)"
)
#: Where in a line a log line may begin right behind the prompt.
LOGGED_BEHIND: Final = re.compile(r"[>#\]] ?(?=[%*.#]|\d{1,8}: |[A-Z][a-z]{2} )")


def is_logged(line: str) -> bool:
    """Whether the device logged this line."""
    return bool(_LOG.match(line))


def _squeezed(text: str) -> str:
    return re.sub(r"[\s\x08$]+", "", cleaned(text))


def resembles(raw: str, line: str) -> bool:
    """Whether a line's echo is there, wrapped by the terminal's width or scrolled sideways."""
    wanted = _squeezed(line)
    head = _squeezed(raw[: 4 * len(line) + 600])
    return wanted in head or ("\x08" in raw and len(wanted) > 20 and wanted[-12:] in head)  # noqa: PLR2004 -- a wide line


def echo_end(raw: str, line: str) -> int:
    """Where the line of a mangled echo ends, and the answer begins."""
    wanted = "".join(line.split())
    seen = 0
    for at, character in enumerate(raw):
        if character == wanted[seen]:
            seen += 1
            if seen == len(wanted):
                return raw.find("\n", at) + 1
        elif not character.isspace() and character not in "\x08$":
            seen = int(character == wanted[0])
    return raw.find("\n", max(0, raw.find(wanted[-6:]))) + 1
