"""What all tests share: no deadline for Hypothesis, since a busy machine is no defect; the long files first."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("remedy", deadline=None)
settings.load_profile("remedy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the lab's files first: they take longest, and no worker shall wait for the last of them alone."""
    items.sort(key=lambda item: "/lab/" not in item.nodeid)
