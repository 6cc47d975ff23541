"""What the tests of bags share: a time stamp authority over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.worlds.authorities import Authority, serving


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """The lab's time stamp authority."""
    with serving(tmp_path_factory.mktemp("authority")) as made:
        yield made
