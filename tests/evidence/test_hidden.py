"""Processes that listings do not show, found in what a host answers, whatever it puts between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from remedy.evidence import clocks
from remedy.evidence.hidden import Hidden

FENCE = "5f1c0a"


def said(*sections: tuple[str, str]) -> bytes:
    """An output of these sections."""
    return "".join(f"\n{FENCE} {title}\n{body}\n" for title, body in sections).encode()


def views(when: str, numbers: str, ps: str | None = None) -> list[tuple[str, str]]:
    """What the three listings show."""
    return [(f"glob {when}", numbers), (f"ls {when}", numbers + " version"), (f"ps {when}", ps or numbers)]


def process(number: int, exe: str = "/usr/bin/x") -> tuple[str, str]:
    """What is said of one process."""
    return f"process {number}", f"lrwxrwxrwx 1 root root 0 Nov 20 08:00 /proc/{number}/exe -> {exe}\nls: cannot\n"


WALK = [process(1), process(17), process(4242, "/home/u/.x (deleted)")]


def findings(data: bytes, size: int = 1 << 20) -> tuple[str, ...]:
    """What is found in an output that comes in pieces of `size` bytes."""
    hidden = Hidden(FENCE)
    for start in range(0, len(data), size):
        hidden.feed(data[start : start + size])
    return hidden.findings()


@given(st.integers(1, 300))
def test_a_process_that_no_listing_shows(size: int) -> None:
    """One that answers to its number and is in no listing is named with its program, however the bytes arrive."""
    data = said(*views("before", "1 17"), *WALK, *views("after", "1 17"), ("still", "1\n17\n4242"))
    [text] = findings(data, size)
    assert text.startswith("process 4242 (/home/u/.x (deleted)) is hidden: it answers, and is not listed by ")
    assert text.endswith("the shell's look into /proc or ls or ps")


def test_a_replaced_ps_alone() -> None:
    """When only ps leaves it out, that is said."""
    both = [*views("before", "1 17 4242", "1 17"), *WALK, *views("after", "1 17 4242", "1 17")]
    [text] = findings(said(*both, ("still", "1\n17\n4242")))
    assert text.endswith("is not listed by ps")


def test_what_comes_and_goes_is_not_hidden() -> None:
    """A process that began after the first listing, or ended before the end, is none."""
    walk = [*WALK, process(5000), process(5001)]
    data = said(
        *views("before", "1 17 4242 5000"), *walk, *views("after", "1 17 4242 5001"), ("still", "1 17 4242 5001")
    )
    assert findings(data) == ()


def test_a_walk_that_did_not_end_says_so() -> None:
    """Without the end of the walk nothing is claimed."""
    [text] = findings(said(*views("before", "1"), *WALK))
    assert "is unknown" in text


def test_a_command_line_cannot_pass_for_a_section() -> None:
    """What a process calls itself is no listing: it does not know the fence."""
    name = "\n0000 ps after\n4242\n"
    walk = [*WALK[:2], (WALK[2][0], WALK[2][1] + name)]
    data = said(*views("before", "1 17"), *walk, *views("after", "1 17"), ("still", "1 17 4242"))
    assert len(findings(data)) == 1


@given(st.binary(max_size=2000), st.integers(1, 64))
def test_anything_may_come(data: bytes, size: int) -> None:
    """No output, fence included, ends in anything but findings of which every one is harmless on a screen."""
    lines = findings(data.replace(b"F", f"\n{FENCE} process 7\n".encode()).replace(b"S", said(("still", "7"))), size)
    assert lines is not None
    assert all(line.isprintable() for line in lines)


def test_many_hidden_processes_are_counted() -> None:
    """Of a thousand hidden processes the first are named, the others counted."""
    numbers = " ".join(str(n) for n in range(2, 1002))
    walk = [process(n) for n in range(1, 1002)]
    lines = findings(said(*views("before", "1"), *walk, *views("after", "1"), ("still", "1 " + numbers)))
    assert lines[-1] == "980 more processes are hidden"
    assert len(lines) == 21


def test_clocks() -> None:
    """A clock is said to agree, to be ahead or behind, with the bound that the round trip sets."""
    assert clocks.difference(b"1000\nx", 1000.2, 1000.4) == "the host's clock agrees with ours to within 0.6 s"
    assert (
        clocks.difference(b"1060\n", 1000.0, 1000.0) == "the host's clock is 60.5 s ahead of ours, give or take 0.5 s"
    )
    assert clocks.difference(b"940\n", 1000.0, 1002.0).startswith("the host's clock is 60.5 s behind ours")
    assert clocks.difference(b"no clock\n", 1000.0, 1000.0) == ""
    assert clocks.difference(b"9" * 400 + b"\n", 1000.0, 1000.0) == ""
