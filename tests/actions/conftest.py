"""Real networks of namespaces, one for each packet filter, lent to tests and replaced when a test leaves traces."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.worlds.real import ADDRESSES, World


class Pool:
    """Worlds that are at their start, by packet filter."""

    def __init__(self) -> None:
        """None yet."""
        self._free: dict[str, World] = {}

    def take(self, tool: str) -> World:
        """A world at its start."""
        return self._free.pop(tool, None) or World(tool)

    def give(self, world: World) -> None:
        """Take a world back, for the next test if nothing of this one is left in it."""
        world.session.close()
        world.connection = f"198.18.3.1 50022 {ADDRESSES[0]} 22"
        reusable = False
        try:
            reusable = world.snapshot() == world.start and world.tool not in self._free
        finally:
            if reusable:
                self._free[world.tool] = world
            else:
                world.close()

    def close(self) -> None:
        """End them all."""
        for world in self._free.values():
            world.close()


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """The worlds of this run of the tests."""
    if os.geteuid():
        pytest.fail("these tests make network namespaces: run them as root")
    made = Pool()
    yield made
    made.close()


@pytest.fixture(params=["nft", "iptables"])
def world(request: pytest.FixtureRequest, pool: Pool) -> Iterator[World]:
    """A world at its start, whose target filters with nft, or with iptables alone."""
    taken = pool.take(request.param)
    yield taken
    pool.give(taken)


@pytest.fixture
def nft_world(pool: Pool) -> Iterator[World]:
    """A world at its start, whose target filters with nft."""
    taken = pool.take("nft")
    yield taken
    pool.give(taken)


@pytest.fixture
def iptables_world(pool: Pool) -> Iterator[World]:
    """A world at its start, whose target filters with iptables alone."""
    taken = pool.take("iptables")
    yield taken
    pool.give(taken)
