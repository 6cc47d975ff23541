"""A list of an ASA, whose lines have places and no names: settled from wherever a change of it was broken off."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from tests.devices.models import Asa, No

from remedy.devices.acl import Acl
from remedy.devices.dialects.asa import AsaFilters

NAME = "edge"
#: Lines as the device shows them; the last one is none that remedy understands.
RULES = (
    "extended permit tcp any any eq 80",
    "extended deny ip host 203.0.113.7 any",
    "extended deny ip 198.51.100.0 255.255.255.0 any",
    "extended permit udp any any eq 53",
    "extended deny tcp any any eq 22",
    "extended permit ip any any",
    "extended inspect tcp any any",
)
REMARKS = ("", "remark the shop", "remark brute force")


def made(lines: Sequence[tuple[str, str]]) -> list[str]:
    """Lines, each rule behind its remark."""
    return [text for pair in lines for text in pair if text]


#: Some rules in some order, each with a remark that others may have as well.
bodies = st.lists(st.sampled_from(RULES), min_size=1, unique=True).flatmap(
    lambda rules: st.tuples(*(st.sampled_from(REMARKS) for _ in rules)).map(
        lambda remarks: made([*zip(remarks, rules, strict=True)])
    )
)


def device(body: Sequence[str]) -> Asa:
    """A device with this list."""
    it = Asa()
    it.order[NAME] = [*body]
    return it


def read(body: Sequence[str]) -> Acl:
    """The list as remedy reads it."""
    (acl,) = AsaFilters().read_lists(device(body).lists())
    return acl


def through(it: Asa, lines: Sequence[str]) -> None:
    """Type lines of which some may be refused; the device deletes a list that has no line any more."""
    for line in lines:
        with contextlib.suppress(No):
            it.type([line])
        assert it.order[NAME], f"no line is left after {line}"


@given(bodies, bodies, st.data())
def test_settled_from_anywhere(was: list[str], wish: list[str], data: st.DataObject) -> None:
    """Broken off after any line, a change is gone on with or taken back to the very list, and it is never empty."""
    filters = AsaFilters()
    strange = [line for line in was if line == RULES[-1]]
    known = [line for line in wish if line != RULES[-1]]
    before, after = read(was), read(known if any(line in RULES for line in known) else [*known, RULES[0]])
    lines = filters.edit_list(before, after)
    whole = device(was)
    whole.type(lines)
    goal = [*whole.order[NAME]]
    assert [line for line in goal if line == RULES[-1]] == strange, "what nobody understands stays"
    reached = device(was)
    reached.type(lines[: data.draw(st.integers(0, len(lines)), label="broken off after")])
    halfway = [*reached.order[NAME]]
    through(reached, filters.settle(before, after, back=False))
    assert reached.order[NAME] == goal
    back = device(halfway)
    through(back, filters.settle(before, after, back=True))
    assert back.order[NAME] == was
    broken = device(goal)
    undo = filters.settle(before, after, back=True)
    through(broken, undo[: data.draw(st.integers(0, len(undo)), label="the way back broken off after")])
    through(broken, undo)
    assert broken.order[NAME] == was
