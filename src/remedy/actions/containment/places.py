"""Where a host can be cut off besides on itself: a switch and its port, firewalls and their gates.

Decides what an isolation has to be told about the network, as small values that fit into a plan.
"""

from __future__ import annotations

from dataclasses import dataclass

from remedy.devices import Gate


@dataclass(frozen=True, slots=True)
class Plug:
    """A switch that a host may be plugged into. `vendor` is its platform, `port` the inventory's, empty to search.

    `vlan` is its quarantine VLAN, 0 where it has none. `management` says that management still reaches a host there.
    """

    device: str
    vendor: str
    port: str = ""
    vlan: int = 0
    management: bool = False


@dataclass(frozen=True, slots=True)
class Firewall:
    """A device that lets the outside in, with the gates of the inventory (`remedy_gates`)."""

    device: str
    vendor: str
    gates: tuple[Gate, ...] = ()


@dataclass(frozen=True, slots=True)
class Network:
    """What the inventory gives around a host, and what the operator allows there.

    `named`: its layers were asked for by name, so that what cannot be done there is refused; else it is left out, and
    said. `alone`: the host itself is left as it is. `shut_port` allows to shut a port down where there is no quarantine
    VLAN, `force_port` a port that is not plainly the host's, `unreachable_ok` that management does not reach the host
    any more. `seconds` is the devices' own timer.
    """

    plugs: tuple[Plug, ...] = ()
    firewalls: tuple[Firewall, ...] = ()
    named: bool = False
    alone: bool = False
    shut_port: bool = False
    force_port: bool = False
    unreachable_ok: bool = False
    seconds: int = 120
