"""How far a host's clock is from ours.

Decides what can be said from one answer: the host's time lies between our sending and our hearing. No I/O.
"""

from __future__ import annotations

import re
from typing import Final

#: How the sentence begins when there is nothing to be noted.
AGREES: Final = "the host's clock agrees with ours"
_FIRST: Final = re.compile(rb"([0-9]{1,12})\n")


def difference(answer: bytes, sent: float, heard: float) -> str:
    """A sentence on the host's clock, from the first line of its answer (seconds since 1970) and our own two times.

    The host rounds down to whole seconds, which adds one to the bound. "" when there is no such line.
    """
    found = _FIRST.match(answer)
    if not found:
        return ""
    theirs = int(found[1])
    earliest, latest = theirs - heard, theirs + 1 - sent
    middle, bound = (earliest + latest) / 2, (latest - earliest) / 2
    if abs(middle) <= bound:
        return f"{AGREES} to within {bound:.1f} s"
    side = "ahead of" if middle > 0 else "behind"
    return f"the host's clock is {abs(middle):.1f} s {side} ours, give or take {bound:.1f} s"
