"""Which layers an isolation gets, from the inventory and from --layers."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from remedy.actions.containment.places import Firewall, Plug
from remedy.cli.commands.isolate import network
from remedy.cli.options import Common
from remedy.cli.world import World
from remedy.devices import Gate

INVENTORY: Final = """\
all:
  hosts:
    web01: {ansible_host: 198.18.1.11, remedy_switch: {device: sw01, port: GigabitEthernet1/0/3}}
    web02: {ansible_host: 198.18.1.12}
    sw01:
      ansible_host: 198.18.3.2
      remedy_platform: h3c_comware
      remedy_quarantine_vlan: 999
      remedy_quarantine_management: true
    fw01: {ansible_host: 198.18.3.3, remedy_platform: h3c_secpath, remedy_gates: [{zone: Untrust}]}
"""
WALL: Final = Firewall("fw01", "h3c_secpath", (Gate(zone="Untrust"),))
PLUG: Final = Plug("sw01", "h3c_comware", "GigabitEthernet1/0/3", 999, management=True)
FOUND: Final = Plug("sw01", "h3c_comware", "", 999, management=True)


@pytest.mark.parametrize(
    ("host", "given", "layers", "walls", "plugs"),
    [
        ("web01", "", ("host", "perimeter", "switch"), (WALL,), (PLUG,)),
        ("web02", "", ("host", "perimeter"), (WALL,), ()),
        ("web02", "host,switch", ("host", "switch"), (), (FOUND,)),
        ("web01", "host", ("host",), (), ()),
        ("web01", "perimeter, switch", ("perimeter", "switch"), (WALL,), (PLUG,)),
    ],
)
def test_layers_follow_from_the_inventory(  # noqa: PLR0917 -- a table
    tmp_path: Path,
    host: str,
    given: str,
    layers: tuple[str, ...],
    walls: tuple[Firewall, ...],
    plugs: tuple[Plug, ...],
) -> None:
    """By default every layer that the inventory gives; a switch is searched only when it is asked for by name."""
    path = tmp_path / "hosts.yml"
    path.write_text(INVENTORY)
    found = network(World(Common(inventory=str(path))), host, given)
    assert found == {"layers": layers, "named": bool(given), "firewalls": walls, "plugs": plugs}


def test_without_devices_nothing_changes(tmp_path: Path) -> None:
    """An inventory of servers alone gives the host layer, as ever."""
    path = tmp_path / "hosts.yml"
    path.write_text("all: {hosts: {web01: {ansible_host: 198.18.1.11}}}\n")
    found = network(World(Common(inventory=str(path))), "web01", "")
    assert found == {"layers": ("host",), "named": False, "firewalls": (), "plugs": ()}
