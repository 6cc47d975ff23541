"""One device as a process: `python -m remedy.lab.devices CONFIG.json`.

Writes `ready PORT` and a newline to stdout once it answers; ends with its parent, or on SIGTERM. The file, all but the
first three optional:

    {"face": "secpath", "name": "FW01", "accounts": {"admin": ["password", "admin"], "guest": ["password", "operator"]},
     "host": "192.0.2.1", "port": 22, "state": "/run/lab/fw01/flash", "control": "/run/lab/fw01/control",
     "host_key": "/run/lab/fw01/key", "startup": "/run/lab/fw01/first.cfg", "ports": ["GigabitEthernet1/0/1"],
     "prefix": "RBM_P", "secrets": {"super": "…"}, "minute": 60.0, "faults": {"save_fails": true}, "keyboard": false,
     "legacy": false, "encoding": "utf-8", "cr_nul": false,
     "enforcer": "package.module:Class", "enforcing": {"argument": "value"}}

`startup` is a configuration that is put into the stores when they have none; `enforcer` is called with `enforcing`.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from remedy.lab.devices import named
from remedy.lab.devices.device import Device
from remedy.lab.devices.enforce import Enforcer, Remembering
from remedy.lab.devices.faults import Control, Faults
from remedy.lab.devices.serve import Access, Account, Server, host_key
from remedy.lab.syscalls import die_with_parent

__all__ = ["Running", "main", "start"]


class Running:
    """A device that answers."""

    def __init__(self, device: Device, server: Server, control: Control) -> None:
        """As `start` made it."""
        self.device = device
        self.server = server
        self.control = control

    async def stop(self) -> None:
        """Cut every session and switch it off."""
        await self.server.close()
        await self.control.close()
        await self.device.off()


def _enforcer(options: Mapping[str, Any]) -> Enforcer:
    if "enforcer" not in options:
        return Remembering()
    module, _, name = str(options["enforcer"]).partition(":")
    made: Enforcer = getattr(importlib.import_module(module), name)(**options.get("enforcing", {}))
    return made


async def start(options: Mapping[str, Any], *, enforcer: Enforcer | None = None) -> Running:
    """Switch a device on as the file's fields say, and listen. Raises OSError, KeyError and ValueError for bad ones."""
    faults = Faults()
    faults.change(options.get("faults", {}))
    device = Device(
        named(options["face"]),
        name=options["name"],
        enforcer=enforcer or _enforcer(options),
        faults=faults,
        folder=Path(options["state"]) if options.get("state") else None,
        minute=float(options.get("minute", 60.0)),
        secrets=dict(options.get("secrets", {})),
        ports=tuple(options.get("ports", ())),
        prefix=str(options.get("prefix", "")),
    )
    if options.get("startup") and device.stores.read(device.face.startup) is None:
        text = await asyncio.to_thread(Path(options["startup"]).read_text, "utf-8")
        device.stores.write(device.face.startup, text)
    accounts = {user: Account(*fields) for user, fields in options["accounts"].items()}
    legacy = bool(options.get("legacy", False))
    access = Access(
        accounts,
        keyboard=bool(options.get("keyboard", False)),
        legacy=legacy,
        encoding=str(options.get("encoding", "utf-8")),
        cr_nul=bool(options.get("cr_nul", False)),
    )
    key = host_key(Path(options["host_key"]), legacy=legacy) if options.get("host_key") else None
    await device.boot()
    server = Server(device, access, key)
    await server.listen(str(options.get("host", "127.0.0.1")), int(options.get("port", 0)))
    control = _control(device, server)
    if options.get("control"):
        await control.listen(Path(options["control"]))
    return Running(device, server, control)


def _control(device: Device, server: Server) -> Control:
    """What the control socket answers and does."""

    async def settled() -> bool:
        await device.settled()
        return True

    def cut() -> int:
        visitors = list(device.visitors.values())
        for visitor in visitors:
            visitor.cut()
        return len(visitors)

    asked: dict[str, Callable[[], object]] = {
        "running": device.face.running,
        "saved": lambda: device.stores.read(device.face.startup),
        "settled": settled,
        "users": lambda: [visitor.user for visitor in device.visitors.values()],
        "complaints": lambda: device.complaints,
        "log": lambda: device.logged,
        "port": lambda: server.port,
    }
    done: dict[str, Callable[[], object]] = {
        "reboot": lambda: device.later(device.reboot()),
        "cut": cut,
        "log": lambda: device.log("IFNET/3/PHY_UPDOWN", "Physical state on the interface changed to down."),
    }
    return Control(device.faults, asked, done)


async def main(path: Path) -> None:
    """Run until told to end."""
    running = await start(json.loads(await asyncio.to_thread(path.read_text, "utf-8")))
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    sys.stdout.write(f"ready {running.server.port}\n")
    sys.stdout.flush()
    await ended.wait()
    await running.stop()


if __name__ == "__main__":
    die_with_parent()
    asyncio.run(main(Path(sys.argv[1])))
