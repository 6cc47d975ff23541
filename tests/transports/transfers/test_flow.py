"""Claims about flows: bounded, in order, ended from either side, never without a sign of life."""

from __future__ import annotations

import threading
import time

import pytest

from remedy.core.errors import Interrupted
from remedy.transports.transfers.flow import Flow, Progress, Stopped, in_thread, together


def test_everything_arrives_in_order_and_little_waits() -> None:
    """What is put is taken in order, and never more than the limit lies between."""
    flow: Flow[int] = Flow(10)
    most = 0

    def give() -> None:
        nonlocal most
        for number in range(1000):
            flow.put(number, 3)
            most = max(most, flow.waiting)
        flow.close()

    in_thread(give, "giver")
    assert list(flow) == list(range(1000))
    assert 0 < most <= 10


def test_an_item_larger_than_the_limit_passes_alone() -> None:
    """A single row of 64 MB goes through a queue of 8 MB."""
    flow: Flow[str] = Flow(10)
    flow.put("large", 1000)
    assert not flow.room(1)
    flow.close()
    assert list(flow) == ["large"]


def test_an_error_comes_after_what_came_before_it() -> None:
    """The taker gets every item, then the error the giver broke with."""
    flow: Flow[int] = Flow(10)
    flow.put(1, 1)
    flow.close(ValueError("broke"))
    taken = flow.take()
    assert next(taken) == 1
    with pytest.raises(ValueError, match="broke"):
        next(taken)


def test_a_taker_that_stops_frees_the_giver() -> None:
    """A giver that waits for room learns that no more is wanted."""
    flow: Flow[int] = Flow(1)
    flow.put(1, 1)
    ended: list[str] = []

    def give() -> None:
        try:
            flow.put(2, 1)
        except Stopped:
            ended.append("stopped")

    giver = in_thread(give, "giver")
    flow.stop()
    giver.join(5)
    assert ended == ["stopped"]
    assert list(flow) == []


@pytest.mark.parametrize("full", [True, False])
def test_whoever_waits_is_asked_whether_to_go_on(full: bool) -> None:  # noqa: FBT001 -- one case each
    """Waiting for room or for an item calls `tick`, which may take its time, use the flow, and raise."""
    flow: Flow[int] = Flow(1)
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        other = threading.Thread(target=lambda: flow.room(1))
        other.start()
        other.join(5)
        assert not other.is_alive()
        if ticks == 3:
            raise Interrupted("enough")

    if full:
        flow.put(1, 1)
    with pytest.raises(Interrupted):
        flow.put(1, 1, tick) if full else next(flow.take(tick))
    assert ticks == 3


def test_progress_is_told_ten_times_a_second() -> None:
    """However often it is asked for, a sign of life is given at most every tick; news of a phase at once."""
    told: list[tuple[str, int]] = []
    progress = Progress(lambda what, done, _: told.append((what, done)))
    begun = time.monotonic()
    count = 0
    while time.monotonic() - begun < 0.35:
        count += 1
        progress.at("read", count, 0)
    assert 2 <= len(told) <= 4
    progress("load", 0, 0)
    assert told[-1] == ("load", 0)


def test_the_first_failure_of_several_threads_ends_all() -> None:
    """One thread's exception is raised once the others were told to stop and have ended."""
    stopped = threading.Event()
    left: list[int] = []
    numbers = iter(range(3))

    def work() -> None:
        if next(numbers) == 1:
            raise ValueError("the second")
        stopped.wait(5)
        left.append(1)

    with pytest.raises(ValueError, match="the second"):
        together(3, work, lambda: None, stopped.set)
    assert left == [1, 1]
