"""Findings and located values: what a reader of inventory files says about where something stands.

Decides the shape of a finding and how a variable remembers its file and line. Leaves to `check` which findings
there are, and to the readers to record them.
"""

from __future__ import annotations

from dataclasses import dataclass

from remedy.core.errors import InventoryError


@dataclass(frozen=True, slots=True)
class Finding:
    """Something `check` has to say. `severity` is "error", "warning" or "info"; `where` is `file:line` or a host."""

    severity: str
    where: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Located:
    """A variable's value as written, and the `file:line` it was written at."""

    value: object
    where: str


#: Variables of one host, one group or one file, by name.
Variables = dict[str, Located]


def of_error(error: InventoryError) -> Finding:
    """The finding an error amounts to."""
    return Finding("error", error.where, error.message, error.hint)
