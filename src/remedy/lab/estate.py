"""All machines of the lab and their power: who boots, who dies, who boots again.

Decides the order of power and cables, and when a host counts as ready. Leaves to others: one host's own life
(machine.py, container.py, systemd_host.py), cables (cabling.py), faults (faults.py), talking (supervisor.py).

Must run in one thread: a host dies with the thread that forked it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from remedy.core.errors import RemedyError, UsageError
from remedy.lab import (
    appliances,
    cabling,
    container,
    device_guard,
    faults,
    history,
    layers,
    offsite,
    ruin,
    services,
    spoiling,
    syscalls,
    systemd_host,
)
from remedy.lab.credentials import Credentials
from remedy.lab.inside import run_inside
from remedy.lab.machine import Machine
from remedy.lab.topology import CONTROLLER, Host, Topology, topology
from remedy.lab.wiring import Wiring

__all__ = ["Estate", "s3_installed"]

#: How often readiness is looked at while hosts boot, and how long they may take, in seconds.
_GLANCE = 0.02
_PATIENCE = 60.0
#: How long after its boot a ruined database server is waited for: somebody may have repaired it.
_RUINED_PATIENCE = 3.0
#: What an interrupted restore or a rebuild leaves on db01's disk beside the database.
_LEFT_BY_RESTORES = ("etc/mysql/mariadb.conf.d/zz-remedy-*", "var/lib/mysql.*", "var/lib/remedy")
#: Services nobody waits for.
_IN_BACKGROUND = ("s3",)


def s3_installed() -> bool:
    """Whether this Python can run the off-site S3 endpoint."""
    return importlib.util.find_spec("moto") is not None


class Estate:
    """All machines. `settings` is lab.json as the client wrote it; `stopping` ends every wait."""

    def __init__(self, state: Path, settings: dict[str, Any]) -> None:
        """Nothing runs yet."""
        self.state = state
        self.settings = settings
        self.image = Path(settings["image"])
        self.credentials = Credentials(state)
        self.topology: Topology = topology(settings["hosts"], tuple(settings["extra"]))
        self.past = state / history.PLACE
        #: There once the S3 endpoint holds its copy of the backups.
        self.offsite_ready = state / "offsite-ready"
        lowers = (state / "common", self.image)
        self.machines = {
            host.name: Machine(
                host,
                container.Rootfs(
                    state / "disks" / host.name, (self.past, *lowers) if "mysql" in host.services else lowers
                ),
            )
            for host in self.topology.hosts
        }
        #: The machine itself, as far as cable faults are concerned.
        self.cable = Machine(Host(CONTROLLER, "management", 1), container.Rootfs(state, ()), pid=os.getpid())
        self.cable.sysfs = state / "sys"
        self.wiring = Wiring(self.machines, self.topology, (self.cable.host,))
        self.stopping = False

    def scene(self, machine: Machine) -> faults.Scene:
        """What faults of a machine act in."""
        return faults.Scene(self.wiring.router_of(machine).running, self.credentials)

    def start(self) -> None:
        """Write all disks, cable everything, switch everything on. Raises RemedyError, OSError."""
        device_guard.create()
        sysfs = self.state / "sys"
        sysfs.mkdir()
        syscalls.mount("sysfs", sysfs, "sysfs", syscalls.MS_RDONLY)
        layers.write_common(self.state / "common", self.image, self.credentials)
        for machine in self.machines.values():
            machine.create_disk()
            layers.write_disk(
                machine.rootfs.upper,
                machine.host,
                self.topology,
                image=self.image,
                credentials=self.credentials,
                past=self.past,
            )
        appliances.write(self.state, self.topology, self.credentials)
        self.power_on_router()
        rest = [machine for machine in self.machines.values() if not machine.host.is_router]
        first = [machine for machine in rest if machine.host.carries or machine.host.is_switch]
        self.power_on(first)
        self.power_on([machine for machine in rest if machine not in first])

    def power_on_router(self) -> None:
        """Boot fw01 and plug every running host and this machine into it; at `start` no host runs yet."""
        cabling.wait_unplugged()
        router = self.machines["fw01"]
        waiting = container.prepare("fw01", router.rootfs)
        router.pid = waiting.pid
        router.boots += 1
        cabling.build_bridges(waiting.pid, router.host.carries)
        cabling.attach_controller(waiting.pid, os.getpid())
        running = self.wiring.behind(router)
        self.wiring.plug_all(running)
        self.start_device(router)
        container.release(waiting)
        self.replug(running)
        faults.restore_cable_faults(self.cable, self.scene(self.cable))

    def replug(self, machines: list[Machine]) -> None:
        """Give hosts whose cables were plugged in anew their addresses and their cables' faults."""
        for machine in machines:
            run_inside(machine.host.name, machine.running, ["/usr/local/sbin/lab-network"])
            faults.restore_cable_faults(machine, self.scene(machine))

    def start_device(self, machine: Machine) -> None:
        """Start the command line of a host that is a network device."""
        pid = appliances.start(self.state, machine.host, machine.running)
        if pid is not None:
            machine.companions.append(pid)

    def power_on(self, machines: list[Machine]) -> None:
        """Boot these hosts together, none behind another of them. Those with systemd boot their own way."""
        router = self.machines["fw01"].running
        plain = [machine for machine in machines if not machine.host.systemd]
        waiting = []
        for machine in plain:
            prepared = container.prepare(machine.host.name, machine.rootfs, router)
            machine.pid = prepared.pid
            waiting.append(prepared)
            if machine.host.carries:
                cabling.build_bridges(prepared.pid, machine.host.carries)
            self.start_device(machine)
        self.wiring.plug_all(plain)
        for prepared in waiting:
            container.release(prepared)
        for machine in machines:
            if machine.host.systemd:
                systemd_host.boot(machine, router, functools.partial(self.wiring.plug_one, machine))
            machine.boots += 1
            machine.booted = time.monotonic()
            if self.wiring.router_of(machine).pid is not None:
                faults.restore_cable_faults(machine, self.scene(machine))
            behind = self.wiring.behind(machine)
            if behind:
                self.wiring.plug(machine, [(m.host, m.running) for m in behind])
                self.replug(behind)

    def power_off(self, machine: Machine) -> None:
        """Cable first, so that nothing the dying host sends gets out; then everything in it at once."""
        if machine.pid is None:
            return
        machine.end_wire()
        with contextlib.suppress(RemedyError):  # a host that died by itself has taken its cable with it
            cabling.detach(self.wiring.router_of(machine).running, machine.host)
            if machine.host.is_switch:
                cabling.detach_switch(self.machines["fw01"].running)
        for behind in self.wiring.behind(machine):
            behind.end_wire()
            with contextlib.suppress(RemedyError):
                cabling.detach(machine.pid, behind.host)
        machine.kill()

    def start_s3(self) -> None:
        """Start the S3 endpoint in offsite's network; it is this machine's Python, not the host's."""
        machine = self.machines["offsite"]
        if not s3_installed() or machine.pid is None or machine.companions:
            return
        self.offsite_ready.unlink(missing_ok=True)
        machine.versions.clear()  # what was stored before is forgotten, and with it what was spoiled
        argv = [sys.executable, "-m", "remedy.lab.offsite", str(self.offsite_ready)]
        argv += [str(path) for path in history.backups(self.past)]
        with (self.state / "s3.log").open("ab") as log:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *cabling.in_network(machine.pid, argv)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        machine.companions.append(process.pid)
        process.returncode = 0  # waited for by pid

    def reset_database(self) -> None:
        """Put back db01's database and all copies of its backups as they were when the lab came up.

        db01 loses its power for it, since a disk is best changed while nobody looks. Raises RemedyError.
        """
        database, second = self.machines["db01"], self.machines["backup01"]
        self.power_off(database)
        for name in ("var/lib/mysql", history.BACKUPS, spoiling.KEPT, services.STOPPED + "/mysql", ruin.MARK):
            _remove(database.rootfs.upper / name.lstrip("/"))
        for pattern in _LEFT_BY_RESTORES:
            for path in database.rootfs.upper.glob(pattern):
                _remove(path)
        self.power("power-on", database)
        if second.pid is not None:
            root = Path(f"/proc/{second.pid}/root")
            for name in (layers.SECOND_COPY, spoiling.KEPT):
                shutil.rmtree(root / name.lstrip("/"), ignore_errors=True)
            layers.copy_backups(root / layers.SECOND_COPY, self.past)
        for machine in (database, second, self.machines["offsite"]):
            for kind in [kind for kind in machine.faults if kind.startswith("backup-")]:
                del machine.faults[kind]
        self.refill_s3()

    def is_broken(self, machine: Machine) -> bool:
        """Whether its database server was ruined once and, some time after the boot, has not been repaired."""
        ruined = (machine.rootfs.upper / ruin.MARK.lstrip("/")).exists()
        return ruined and machine.pid is not None and time.monotonic() - machine.booted > _RUINED_PATIENCE

    def refill_s3(self) -> None:
        """Put back what the store holds at the start; one that does not answer begins anew, in the background."""
        machine = self.machines["offsite"]
        if self.services(machine)["s3"]:
            try:
                offsite.refill(offsite.client(), history.backups(self.past))
            except Exception as error:  # noqa: BLE001 -- boto3's, made at run time; whatever it was, it begins anew
                traceback.print_exception(error)
            else:
                machine.versions.clear()
                return
        machine.end_companions()
        self.start_s3()

    def wait_ready(self, machines: Iterable[Machine], patience: float = _PATIENCE) -> None:
        """Return when every service of these hosts answers. Raises RemedyError naming those that do not."""
        until = time.monotonic() + patience
        pending = list(machines)
        while pending and not self.stopping:
            if not self.unready(pending[-1]):
                pending.pop()
            elif time.monotonic() > until:
                waiting = [(machine.host.name, self.unready(machine)) for machine in pending]
                text = ", ".join(f"{name} ({' '.join(services)})" for name, services in waiting if services)
                raise RemedyError(f"not ready after {patience:g} s: {text}", hint=f"see the logs in {self.state}")
            else:
                time.sleep(_GLANCE)

    def services(self, machine: Machine) -> dict[str, bool]:
        """Which services of a host answer; the store off site only once its copy is complete."""
        up = machine.services()
        return up | {"s3": up["s3"] and self.offsite_ready.exists()} if "s3" in up else up

    def unready(self, machine: Machine) -> list[str]:
        """The services of a host that should answer and do not, and `link` when no frame passes its cable."""
        up = machine.services() if machine is not self.cable else {}
        expected = {name for name in up if not up[name] and name not in _IN_BACKGROUND}
        stopped = machine.rootfs.upper / services.STOPPED.lstrip("/")
        expected -= {name for name in expected if (stopped / name).exists()}
        if "sshd-stop" in machine.faults:
            expected.discard("ssh")
        if self.is_broken(machine):
            expected.discard("mysql")
        router = self.wiring.router_of(machine)
        cabled = not machine.host.is_router and "link-cut" not in machine.faults and router.pid is not None
        if cabled and not machine.link_up(router.running):
            expected.add("link")
        if (machine.host.is_router or machine.host.is_switch) and not self.wiring.trunks_up():
            expected.add("trunk")
        return sorted(expected)

    def stop(self) -> None:
        """Take everything down; returns when no process, link or route of the lab is left."""
        cabling.detach_controller()
        for machine in (*self.machines.values(), self.cable):
            machine.end_wire()
        for machine in self.machines.values():
            if machine.pid is not None:
                os.kill(machine.pid, signal.SIGKILL)
        for machine in self.machines.values():
            machine.kill()
        device_guard.kill()
        device_guard.remove()

    def reap(self) -> None:
        """Take note of dead children: a host that rebooted itself boots again, one that halted stays off."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for machine in (*self.machines.values(), self.cable):
                if pid == machine.wire:
                    machine.wire = None
                    machine.faults.pop("delay", None)
                    faults.replug(machine, self.scene(machine))
                if pid in machine.companions:
                    machine.companions.remove(pid)
                if machine is not self.cable and pid in (machine.child, machine.pid):
                    self.host_died(machine, status)

    def reap_safely(self) -> None:
        """Reap; a host that then does not boot again stays off (status shows it), the others must not suffer."""
        try:
            self.reap()
        except (RemedyError, OSError) as error:
            traceback.print_exception(error)

    def host_died(self, machine: Machine, status: int) -> None:
        """A host ended by itself: boot it again if that was a reboot, else it stays off."""
        machine.pid = machine.child = None
        machine.end_wire()
        if machine.host.is_router and machine.companions:
            appliances.let_go(machine.companions[0])
        machine.end_companions()
        machine.faults["power-off"] = 0.0
        if machine.host.is_router:
            self.lose_cables()
        else:
            with contextlib.suppress(RemedyError):  # the cable may be gone with the host's network already
                cabling.detach(self.wiring.router_of(machine).running, machine.host)
            for behind in self.wiring.behind(machine):
                behind.end_wire()
        if machine.host.is_router or systemd_host.wants_reboot(machine, status):
            self.power("power-on", machine)

    def lose_cables(self) -> None:
        """fw01 is off, so all forwarders and cables are gone with its network."""
        for machine in (*self.machines.values(), self.cable):
            machine.end_wire()

    def power(self, kind: str, machine: Machine) -> None:
        """Switch a host off, on, or off and on again."""
        if machine is self.cable:
            raise UsageError("this machine is not part of the lab and stays on")
        if machine.host.is_router and kind == "power-off":
            raise UsageError("fw01 carries all cables and cannot stay off", hint="power-cycle it instead")
        if kind in ("power-cycle", "power-off"):
            if machine.host.is_router:
                if machine.pid is not None:
                    appliances.let_go(machine.pid)
                self.lose_cables()
                machine.kill()
            else:
                self.power_off(machine)
            machine.faults["power-off"] = 0.0
        if kind in ("power-cycle", "power-on") and machine.pid is None:
            machine.faults.pop("power-off", None)
            if machine.host.is_router:
                self.power_on_router()
            else:
                self.power_on([machine])
            self.wait_ready([machine])
            if machine.host.name == "offsite":
                self.start_s3()


def _remove(path: Path) -> None:
    """A file, a link or a folder with all that is in it; fine when it is not there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
