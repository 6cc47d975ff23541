"""Secrets that were resolved, kept out of whatever leaves the process."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

_MASK = "<secret>"


@dataclass(slots=True)
class Redactor:
    """Replaces every secret that was resolved, by value, in whatever text leaves the process."""

    known: set[str] = field(default_factory=set)

    def add(self, value: str) -> str:
        """Remember a secret's value, as it is and as JSON writes it.

        One shorter than four characters would hide half of every text.
        """
        if len(value) >= 4:  # noqa: PLR2004 -- see above
            self.known |= {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
        return value

    def __call__(self, text: str) -> str:
        """The text with every known secret masked."""
        for value in sorted(self.known, key=len, reverse=True):
            text = text.replace(value, _MASK)
        return text
