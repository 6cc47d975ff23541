"""Which cable of the lab goes where: each host into its zone's router, or into the DMZ's switch where there is one.

Decides who is plugged into whom, and when a switch's trunk passes frames. Leaves to others: the cables themselves
(cabling.py), and when anything is plugged in (estate.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from remedy.lab import cabling
from remedy.lab.machine import Machine
from remedy.lab.topology import Host, Topology

__all__ = ["Wiring"]


class Wiring:
    """The cables between these machines; `ends` are further ones that a fault may be given to."""

    def __init__(self, machines: Mapping[str, Machine], topology: Topology, ends: tuple[Host, ...] = ()) -> None:
        """Nothing is plugged in yet."""
        self._machines = machines
        hosts = (*topology.hosts, *ends)
        self._routers = {host.name: machines[topology.router_of(host).name] for host in hosts}

    def router_of(self, machine: Machine) -> Machine:
        """Where its cable is plugged in."""
        return self._routers[machine.host.name]

    def behind(self, router: Machine) -> list[Machine]:
        """Those with power whose cables lead into a router or switch, itself left out."""
        if not router.host.carries and not router.host.is_switch:
            return []
        others = (machine for machine in self._machines.values() if machine is not router)
        return [machine for machine in others if machine.pid is not None and self.router_of(machine) is router]

    def plug(self, into: Machine, hosts: list[tuple[Host, int]]) -> None:
        """Plug hosts (with the process whose network each is) into their router or switch."""
        cabling.attach(into.running, hosts, switch=into.host.is_switch)

    def plug_one(self, machine: Machine, network: int) -> None:
        """Plug a host in whose network is that of process `network`."""
        self.plug(self.router_of(machine), [(machine.host, network)])

    def plug_all(self, machines: list[Machine]) -> None:
        """Plug running hosts in wherever there is power, and switches' trunks into fw01."""
        for into in {id(into): into for into in self._routers.values() if into.pid is not None}.values():
            plugged = [(machine.host, machine.running) for machine in machines if self.router_of(machine) is into]
            if plugged:
                self.plug(into, plugged)
        self.join_switches(machines)

    def join_switches(self, machines: list[Machine]) -> None:
        """Plug switches' trunks into fw01."""
        for machine in machines:
            if machine.host.is_switch:
                cabling.attach_switch(self._machines["fw01"].running, machine.running)

    def trunks_up(self) -> bool:
        """Whether frames pass the trunks of all switches that have power."""
        switches = [machine.pid for machine in self._machines.values() if machine.host.is_switch]
        fw01 = self._machines["fw01"].pid
        return all(pid is None or (fw01 is not None and cabling.trunk_up(fw01, pid)) for pid in switches)
