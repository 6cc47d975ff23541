"""Anchors: the first digits of the record's head, left behind in whatever remedy leaves behind.

Decides how they are recognised in any text, with the run that stands on the same line when one does:

    comment "remedy incident=INC-20261120-1 run=R7f3a9c21 anchor=9f86d081884c7d65"     a rule of nft or iptables
    Remedy-Record-Head: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08   bag-info.txt of evidence
    {"ok": true, "head": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}   a command's document

Leaves to others: looking for them in a record (verify), where the text comes from (cli).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

#: Digits of an anchor; a whole hash will do as well.
DIGITS: Final = 16

_ALONE: Final = re.compile(r"[0-9a-f]{16}(?:[0-9a-f]{48})?")
_NAMED: Final = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z_-]{0,30}(?:anchor|head)[\"']?\s{0,9}[=: ]\s{0,9}[\"']?"
    r"([0-9a-f]{16}(?:[0-9a-f]{48})?)(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_RUN: Final = re.compile(r"\brun=([A-Za-z0-9-]{1,64})")


@dataclass(frozen=True, slots=True)
class Anchor:
    """The first digits of a hash and where they were found. `run` is "" when nothing beside them says it."""

    digits: str
    source: str
    run: str = ""


def alone(text: str, source: str) -> Anchor | None:
    """An anchor that is a text by itself: 16 digits, or the 64 of a whole hash; None when it is something else."""
    return Anchor(text.lower(), source) if _ALONE.fullmatch(text.lower()) else None


def found(text: str, source: str) -> tuple[Anchor, ...]:
    """The anchors in a text, each once, in order."""
    made: dict[tuple[str, str], Anchor] = {}
    for number, line in enumerate(text.splitlines(), 1):
        for match in _NAMED.finditer(line):
            run = _RUN.search(line)
            anchor = Anchor(match[1].lower(), f"{source}, line {number}", run[1] if run else "")
            made.setdefault((anchor.digits, anchor.run), anchor)
    return tuple(made.values())
