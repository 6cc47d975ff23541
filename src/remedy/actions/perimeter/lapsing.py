"""What is left of a list once rules that were written for a time have ended; everything else in it stays as it is.

Decides which rules go, and which come: one that was left out as redundant has to stand when what had made it so ends.
A rule that somebody has changed, or has put among remedy's own since, is not remedy's any more and keeps its place and
its words; one that somebody has taken out is not put back. Leaves to others: when a rule ends (`rulefile`), and the
lines (the vendor's file). Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from remedy.devices.acl import Rule

__all__ = ["left_of"]


def left_of(
    there: Sequence[Rule], was: Sequence[Rule], will: Sequence[Rule]
) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """The rules as they are to be, and those of them that decide now what they did not before.

    `there` is the list as read, `was` what was once written to it and `will` what of that has not ended, both as the
    device shows them. What stands behind a rule that let something through, and has ended, decides anew.
    """
    written = {_own(rule): rule for rule in was}
    places = {_bare(rule): place for place, rule in enumerate(will)}
    out: list[tuple[int | None, Rule]] = []
    behind = None  # the first place in `out` whose rules decide anew
    end = None  # the place behind the last rule of ours
    for rule in there:
        mine = written.get(_own(rule))
        place = places.get(_bare(rule)) if mine is not None else None
        if mine is None:
            out.append((None, rule))
            continue
        if place is not None:
            said = will[place].comment if rule.comment == mine.comment else rule.comment
            out.append((place, replace(rule, comment=said, until=will[place].until)))
        elif rule.action == "permit" and behind is None:
            behind = len(out)
        end = len(out)
    anew = [] if behind is None else [rule for _, rule in out[behind:]]
    known = {_bare(rule) for rule in (*was, *there)}
    for place, rule in enumerate(will):
        if _bare(rule) in known or end is None:
            continue
        at = next((at for at, (other, _) in enumerate(out) if other is not None and other > place), end)
        out.insert(at, (place, replace(rule, number=None)))
        end += 1
        anew.append(out[at][1])
    return tuple(rule for _, rule in out), tuple(anew)


def _bare(rule: Rule) -> Rule:
    """What a rule matches and does, wherever it stands and whatever is said of it."""
    return replace(rule, number=None, comment="", until="", rest=tuple(sorted(rule.rest)))


def _own(rule: Rule) -> Rule:
    """As it was written, but for its number and the words of its comment."""
    return replace(_bare(rule), until=rule.until)
