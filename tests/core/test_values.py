"""Expectations and cells: what counts as an answer, and the error tree with its exit codes."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.core import errors
from remedy.core.canon import Json
from remedy.core.values import BLOCKED, REACHED, Cell, Command, Context, Expect, Probe, Secret, wanted

CELL = Cell("web02", "peer", "in", "IPv4", "TCP", "198.18.1.11", 80, "open")
STATES = [*sorted(REACHED | BLOCKED), "unable", "", "OPEN"]


def expect(*wishes: str) -> Expect:
    """An expectation with a cell for every wish."""
    return Expect(
        "cut off", "web02", Probe(Command(("x",)), "reach.states"), wanted([*wishes]), cells=(CELL,) * len(wishes)
    )


@given(st.lists(st.tuples(st.sampled_from(["reached", "blocked"]), st.sampled_from(STATES)), min_size=1))
def test_cells_hold_only_in_the_right_state(pairs: list[tuple[str, str]]) -> None:
    """A cell holds in a state of its own kind; one that could not be told never does, in either direction."""
    made = expect(*(wish for wish, _ in pairs))
    states = [state for _, state in pairs]
    right = [state in (REACHED if wish == "reached" else BLOCKED) for wish, state in pairs]
    assert made.cell_holds(cast("Json", states)) == tuple(right)
    assert made.holds(cast("Json", states)) == all(right)


@pytest.mark.parametrize("answer", [None, [], ["silent"], "silent", {"0": "silent"}, 1])
def test_missing_states_never_hold(answer: Json) -> None:
    """An answer that is too short, or none, proves nothing."""
    made = expect("blocked", "blocked")
    assert not made.holds(answer)
    assert len(made.cell_holds(answer)) == 2


def test_more_states_than_cells_prove_nothing_more() -> None:
    """Surplus states of a hostile answer are ignored."""
    assert expect("blocked").cell_holds(["open", "silent", "silent"]) == (False,)


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.text()))
def test_plain_expectations_compare_exactly(value: Json) -> None:
    """Without cells the answer has to be the wanted value, and one is not true."""
    made = Expect("why", "web01", Probe(Command(("x",)), "x.y"), wanted(value))
    assert made.holds(value)
    assert not made.holds([value])
    assert Expect("why", "web01", made.probe, wanted(1)).holds(value) == (value == 1 and value is not True)


@pytest.mark.parametrize("evil", ['x" accept; comment "', "a b", "R1\n", "R1;reboot", "../x", "\u0661", "x" * 65])
def test_words_of_a_context_cannot_be_part_of_a_rule(evil: str) -> None:
    """Run, incident and anchor, which are written into rules, are letters, digits and hyphens, or refused."""
    good = ("R7f3a9c01", "INC-20261120-1", "0123456789abcdef")
    assert Context(*good).run == good[0]
    assert Context("R1", "dry-run", "").anchor == ""
    for place in range(3):
        words = [evil if n == place else word for n, word in enumerate(good)]
        with pytest.raises(ValueError, match="cannot stand in a comment"):
            Context(*words)


def test_secrets_do_not_show() -> None:
    """Neither text nor repr of a secret has its value."""
    secret = Secret("env:SUDO", "hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"


def classes() -> list[type[errors.RemedyError]]:
    """Every class of the tree."""
    return [getattr(errors, name) for name in errors.__all__ if name != "EXIT_CODES"]


@pytest.mark.parametrize("kind", classes())
def test_every_error_has_a_documented_exit_code(kind: type[errors.RemedyError]) -> None:
    """Each class ends the process with a code of the table, and the tree drawn in the module names it."""
    assert kind.exit_code in errors.EXIT_CODES
    assert kind.__name__ in (errors.__doc__ or "")


def test_the_drawn_tree_is_the_tree() -> None:
    """Each line of the drawing has the class's real exit code."""
    drawn = [line for line in (errors.__doc__ or "").splitlines() if "──" in line]
    assert len(drawn) == len(classes()) - 1
    for line in drawn:
        name, code = line.replace("│", " ").replace("├──", " ").replace("└──", " ").split()[:2]
        assert getattr(errors, name).exit_code == int(code)


def test_messages_say_where_what_and_next() -> None:
    """An error reads as one line: place, what, what to do next."""
    error = errors.TargetUnfit("no packet filter", where="web01", hint="install nftables")
    assert str(error) == "web01: no packet filter (install nftables)"
    assert str(errors.TargetUnfit("no packet filter")) == "no packet filter"
