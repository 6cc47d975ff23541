"""Who may do what beyond schemas and tables: routines, roles, default roles, proxies; then and now.

Decides what a comparison of then and now says. A kind that was not recorded then, or cannot be asked now, is not
compared, and that is said: no list is not an empty list. Leaves to others: asking (`probes.integrity.held`), and rights
on the server, schemas, tables and columns (`probes.integrity.rights`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Held:
    """All rights of one kind (`probes.integrity.HELD`), each as people read it, sorted."""

    kind: str
    lines: tuple[str, ...] = ()


def of(answer: Mapping[str, Iterable[str]]) -> tuple[Held, ...]:
    """What `probes.integrity.held` is answered: lines by kind, without those that the login may not read."""
    return tuple(Held(kind, tuple(sorted(lines))) for kind, lines in answer.items())


def differences(before: Iterable[Held], now: Iterable[Held]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is gone and what is new, in words; and the kinds that could not be compared."""
    then, there = ({one.kind: frozenset(one.lines) for one in held} for held in (before, now))
    said: list[str] = []
    for kind in (kind for kind in then if kind in there):
        said += [f"right gone: {line}" for line in sorted(then[kind] - there[kind])]
        said += [f"right new: {line}" for line in sorted(there[kind] - then[kind])]
    return tuple(said), tuple(sorted(then.keys() ^ there.keys()))


def not_compared(kinds: Iterable[str]) -> str:
    """That kinds were not compared, in a sentence; "" for none."""
    listed = ", ".join(kinds)
    return f"not compared: {listed}; the manifest does not tell them, or the login may not read them" if listed else ""
