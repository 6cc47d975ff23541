"""The lab's one long-running process: parent of all hosts, keeper of their disks, answering the client.

Run by the client as `python -m remedy.lab.supervisor STATE`. Decides what each request does. Leaves to others: power
and cables (estate.py), faults (faults.py), how requests travel (protocol.py).

It is a subreaper with a mount namespace of its own, so disks and mounts vanish with it; hosts die with it whatever
kills it. It is single-threaded on purpose: the parent-death signal is bound to the forking thread.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from remedy.core.errors import HeldByOther, RemedyError, UsageError
from remedy.lab import faults, protocol, syscalls
from remedy.lab.estate import Estate, s3_installed
from remedy.lab.machine import Machine
from remedy.lab.topology import CONTROLLER

__all__ = ["Supervisor", "main"]

_POWER = ("power-cycle", "power-off", "power-on")


class Supervisor:
    """Answers requests about an estate."""

    def __init__(self, estate: Estate) -> None:
        """The estate is up."""
        self.estate = estate

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a client asks. Raises RemedyError."""
        match request.get("op"):
            case "status":
                return self.status()
            case "pid":
                return {"pid": self.machine(request["host"]).running}
            case "fault":
                self.set_fault(request["kind"], request["host"], request.get("value"))
            case "clear":
                self.clear(request["host"])
            case "reset-database":
                self.estate.reset_database()
            case "down":
                self.estate.stopping = True
            case other:
                raise UsageError(f"the lab's supervisor does not know {other!r}")
        return {}

    def machine(self, name: str) -> Machine:
        """The machine called `name`. Raises UsageError."""
        return self.estate.machines[self.estate.topology[name].name]

    def status(self) -> dict[str, Any]:
        """Everything `remedy lab status` shows."""
        hosts = {
            name: {
                "pid": machine.pid,
                "v4": machine.host.v4,
                "v6": machine.host.v6,
                "zone": machine.host.zone,
                "boots": machine.boots,
                "services": self.estate.services(machine),
                "faults": machine.faults,
            }
            for name, machine in self.estate.machines.items()
        }
        return {
            "pid": os.getpid(),
            "state": str(self.estate.state),
            "since": self.estate.settings["since"],
            "owner": self.estate.settings["owner"],
            "inventory": self.estate.settings["inventory"],
            "controller_faults": self.estate.cable.faults,
            "s3_installed": s3_installed(),
            "hosts": hosts,
        }

    def set_fault(self, kind: str, name: str, given: float | None) -> None:
        """Apply one fault to one host, or act on its power."""
        machine = self.estate.cable if name == CONTROLLER else self.machine(name)
        if kind in _POWER:
            if given is not None:
                raise UsageError(f"{kind} takes no number")
            self.estate.power(kind, machine)
            return
        if kind not in faults.FAULTS:
            known = ", ".join([*faults.FAULTS, *_POWER])
            raise UsageError(f"no fault is called {kind!r}", hint=f"faults: {known}")
        fault = faults.FAULTS[kind]
        value = fault.value(given, kind)
        if fault.on_cable and machine.host.is_router:
            raise UsageError("fw01 has no cable of its own", hint="give the fault to the host at the other end")
        if kind == "delay" and self.estate.wiring.router_of(machine).host.is_switch:
            raise UsageError(
                f"{name} is plugged into a switch, and there a cable cannot be delayed",
                hint="bring the lab up without it",
            )
        if machine is self.estate.cable and not fault.on_cable:
            raise UsageError(
                f"{kind} would change this machine, not the lab", hint="only cable faults are for controller"
            )
        _ = machine.running
        if machine.faults.get(kind) == value and not fault.again:
            return
        fault.apply(machine, self.estate.scene(machine), value)
        machine.faults[kind] = value
        self.estate.wait_ready([machine])

    def clear(self, name: str | None) -> None:
        """Undo all faults of one host, or of all."""
        everyone = [*self.estate.machines.values(), self.estate.cable]
        chosen = everyone if name is None else [self.estate.cable if name == CONTROLLER else self.machine(name)]
        for machine in chosen:
            if "power-off" in machine.faults:
                self.estate.power("power-on", machine)
            for kind in list(machine.faults):
                value = machine.faults.pop(kind)
                try:
                    faults.FAULTS[kind].undo(machine, self.estate.scene(machine))
                except RemedyError:
                    machine.faults[kind] = value
                    raise
            self.estate.wait_ready([machine])

    def serve(self, server: socket.socket, wakeup: socket.socket) -> None:
        """Answer until told to stop; the last client told is answered after everything is gone."""
        ready = selectors.DefaultSelector()
        ready.register(server, selectors.EVENT_READ)
        ready.register(wakeup, selectors.EVENT_READ)
        last: socket.socket | None = None
        while not self.estate.stopping:
            for key, _ in ready.select():
                if key.fileobj is wakeup:
                    with contextlib.suppress(BlockingIOError):
                        wakeup.recv(4096)
                    self.estate.reap_safely()
                    continue
                peer, _ = server.accept()
                request = protocol.read_request(peer)
                if request is None:
                    peer.close()
                    continue
                try:
                    reply: dict[str, Any] | RemedyError = self.handle(request)
                except RemedyError as error:
                    reply = error
                except (OSError, subprocess.SubprocessError, LookupError, ValueError) as error:
                    reply = RemedyError(f"{type(error).__name__}: {error}", where="the lab's supervisor")
                if self.estate.stopping:
                    last = peer
                    break
                protocol.answer(peer, reply)
                peer.close()
        self.estate.stop()
        server.close()
        if last is not None:
            protocol.answer(last, {})
            last.close()


def _say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main(state: Path) -> None:
    """Bring the lab up, say so on stdout in JSON lines, then serve until `down`, SIGTERM or the end of the machine."""
    os.umask(0o022)
    settings = json.loads((state / "lab.json").read_text(encoding="utf-8"))
    try:
        server = protocol.listen()
    except OSError as error:
        raise HeldByOther("another lab came up first", hint="remedy lab status") from error
    syscalls.become_subreaper()
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
    estate = Estate(state, settings)
    wakeup, waker = socket.socketpair()
    wakeup.setblocking(False)
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)

    def stop(_number: int, _frame: object) -> None:
        estate.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    try:
        estate.start()
        _say(progress="hosts started, waiting for their services")
        estate.wait_ready([*estate.machines.values(), estate.cable])
    except BaseException:
        estate.stop()
        raise
    if estate.stopping:
        estate.stop()
        return
    estate.start_s3()
    _say(ready=True)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    Supervisor(estate).serve(server, wakeup)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except RemedyError as error:
        _say(error=error.message, where=error.where, hint=error.hint)
        sys.exit(1)
    except OSError as error:
        _say(error=str(error), where="the lab's supervisor", hint="")
        sys.exit(1)
