"""`hostvars` of Ansible's templates: other hosts' variables, rendered when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remedy.inventory.inventory import Inventory


class HostVars(Mapping[str, Mapping[str, object]]):
    """`hostvars` of a template: other hosts' variables, rendered when asked for."""

    def __init__(self, inventory: Inventory) -> None:
        """Of this inventory."""
        self._inventory = inventory

    def __getitem__(self, host: str) -> Mapping[str, object]:
        """One host's. Raises KeyError."""
        if host not in self._inventory.hosts:
            raise KeyError(host)
        return _OneHost(self._inventory, host)

    def __iter__(self) -> Iterator[str]:
        """All hosts."""
        return iter(self._inventory.hosts)

    def __len__(self) -> int:
        """How many hosts."""
        return len(self._inventory.hosts)


class _OneHost(Mapping[str, object]):
    """One host's entry of `hostvars`."""

    def __init__(self, inventory: Inventory, host: str) -> None:
        self._renderer = inventory.renderer(host)
        self._names = inventory.located(host)

    def __getitem__(self, name: str) -> object:
        return self._renderer.variable(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
