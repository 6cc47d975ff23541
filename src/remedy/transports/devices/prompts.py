r"""Prompts: what a device's looks like, learnt at login, and nothing else that resembles one.

Decides whether the last line of the text on the screen is the device's prompt, in which mode it then is, or whether
the device asks a question instead. Pure. Leaves to others: when to look (`console`).

    <H3C>   [H3C-acl-ipv4-adv-3000]   RBM_P<FW1>   [~HW]            Comware, VRP
    R#   R(config-ext-nacl)#   fw/act(config)#   sw(maint-mode)#    IOS, NX-OS, ASA
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["CONFIGURE", "EXEC", "MORE", "Prompt", "asks", "may_ask", "shape_of"]

#: The two modes a line can be typed in.
EXEC: Final = "exec"
CONFIGURE: Final = "configure"

#: Longest line that can be a prompt, a pager's mark or a question, in characters.
LONGEST: Final = 600

# Names of both firewalls of a pair stand before the prompt, and change with their role.
_PAIR: Final = r"(?:(?:RBM|HRP)_[A-Z])?"
_ANGLED: Final = re.compile(rf"{_PAIR}(?:<(?P<name>[^<>\r\n]{{1,64}})>|\[[~*]?(?P<view>[^\[\]\r\n]{{1,120}})\])")
_HASHED: Final = re.compile(r"(?P<name>[^\s<>#\[\]]{1,80}?)(?P<mode>\((?!maint)[^\s()#>]{1,60}\))?(?P<end>[>#])")
# IOS shortens long host names in configuration mode, to 20 characters with the mode's name (netmiko counts 16).
_KEPT: Final = 16

#: The pager's mark, at the end of what was printed: `---- More ----`, ` --More-- `, `<--- More --->`, `--More--(12%)`.
MORE: Final = re.compile(
    r"(?:^|(?<=[\r\n\0]))[ ]*<?-{2,4} ?\(?more\)? ?-{2,4}>?(?: ?\([^()\r\n]{1,20}\))?[ ]*\Z", re.IGNORECASE
)
_ASKS: Final = re.compile(
    r"(?:[\[(<] ?y(?:es)?(?: ?[/|] ?\w{1,6}){1,3} ?[\])>]|\[confirm\]|\((?:yes|no|y|n)\))"
    r"[ ]*\??[ ]*(?:\[\w{0,8}\])?[ ]*[:?]?[ ]*\Z"
    r"|(?:password|passphrase|username|login|secret)[^\r\n:]{0,40}:[ ]*\Z",
    re.IGNORECASE,
)
_MAY_ASK: Final = re.compile(r"[?:\])>][ ]*\Z")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A device's prompt in all its modes. `first` is how it was met, `pattern` matches whole lines."""

    first: str
    pattern: re.Pattern[str]

    def mode(self, line: str) -> str:
        """The mode that this last line of the screen shows, "" when it is no prompt."""
        found = self.pattern.fullmatch(line) if len(line) <= LONGEST else None
        if found is None:
            return ""
        return CONFIGURE if found["configure"] else EXEC

    @property
    def is_angled(self) -> bool:
        """Whether it is of Comware's kind."""
        return "<" in self.first


def shape_of(line: str) -> Prompt | None:
    """The prompt that a line would be, if it is shaped like one of the exec mode; None when it is not."""
    text = line.strip()
    if angled := _ANGLED.fullmatch(text):
        name = angled["name"]
        if name is None:
            return None
        name = re.escape(name)
        return Prompt(
            text, re.compile(rf"{_PAIR}(?:<{name}>|(?P<configure>\[[~*]?{name}(?:-[^\[\]\r\n]{{1,160}})?\]))[ ]?")
        )
    hashed = _HASHED.fullmatch(text)
    if hashed is None or hashed["mode"]:
        return None
    name = hashed["name"]
    whole = re.escape(name)
    short = rf"(?:{whole}|{re.escape(name[:_KEPT])}[^\s()<>#]{{0,4}})" if len(name) > _KEPT else whole
    return Prompt(text, re.compile(rf"(?:{whole}[>#]|{short}(?P<configure>\([^\s()<>#]{{1,60}}\))#)[ ]?"))


def asks(line: str) -> bool:
    """Whether the last line, unfinished, is one of the usual blocking questions."""
    return len(line) <= LONGEST and bool(_ASKS.search(line))


def may_ask(line: str) -> bool:
    """Whether the last line, unfinished, may be a question: only silence will tell."""
    return len(line) <= LONGEST and bool(_MAY_ASK.search(line))
