"""The lab as its users see it: up, down, status, exec, attack, fault, clear.

Decides the order of bringing it up and that nothing is left behind. Leaves to others: the running lab (supervisor.py).
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from remedy.core.errors import HeldByOther, Refused, RemedyError, UsageError
from remedy.lab import appliances, cabling, device_guard, filling, history, intrusion, protocol, ruin, writers
from remedy.lab.credentials import Credentials
from remedy.lab.devices import faults as device_faults
from remedy.lab.image import ensure_image, require_machine
from remedy.lab.inside import run_inside
from remedy.lab.intrusion import AttackStatus
from remedy.lab.inventory_files import require_own_folder, write_inventory
from remedy.lab.topology import topology

__all__ = ["Lab"]

_STATE = "/var/lib/remedy-lab"
_SETTINGS = "lab.json"


def _silent(_line: str) -> None:
    """No progress wanted."""


class Lab:
    """The one lab of this machine. Making the object starts nothing and needs no root."""

    def __init__(self, state: Path | None = None) -> None:
        """`state` is where keys and disks are kept: by default $REMEDY_LAB_STATE or /var/lib/remedy-lab."""
        self.state = (state or Path(os.environ.get("REMEDY_LAB_STATE", _STATE))).absolute()
        self.credentials = Credentials(self.state)

    @property
    def inventory(self) -> Path:
        """The folder with the inventory of the lab that is up. Raises Refused when none is."""
        return Path(protocol.ask({"op": "status"})["inventory"])

    @property
    def is_up(self) -> bool:
        """Whether a lab is up on this machine, whoever brought it up."""
        try:
            protocol.ask({"op": "status"})
        except protocol.LabDown:
            return False
        return True

    def up(
        self,
        hosts: int = 0,
        extra: Sequence[str] = (),
        inventory: Path | None = None,
        progress: Callable[[str], None] = _silent,
    ) -> None:
        """Bring it up: `hosts` plain hosts besides the fixed ones, and the named extra ones; returns when all answer.

        The inventory goes to the folder `inventory`, by default ./inventories/lab. `progress` receives one line per
        stage. Raises HeldByOther when a lab is up, TargetUnfit when the machine lacks something, RemedyError when it
        fails; nothing is left behind then, nor after Ctrl-C.
        """
        require_machine()
        if self.is_up:
            found = protocol.ask({"op": "status"})
            raise HeldByOther(
                f"a lab is already up: by {found['owner']} since {found['since']}, state in {found['state']}",
                hint="use it, or take it down with: remedy lab down",
            )
        chosen = topology(hosts, tuple(extra))
        folder = (inventory or Path("inventories/lab")).absolute()
        require_own_folder(folder)
        self._require_own_state()
        image = ensure_image(progress)
        past = history.ensure_history(image, progress)
        self._sweep()
        try:
            settings = {
                "hosts": hosts,
                "extra": list(extra),
                "image": str(image),
                "inventory": str(folder),
                "since": datetime.now(UTC).isoformat(timespec="seconds"),
                "owner": f"{os.environ.get('SUDO_USER') or getpass.getuser()} (process {os.getpid()})",
            }
            self.state.mkdir(parents=True, exist_ok=True)
            self.state.chmod(0o711)
            (self.state / _SETTINGS).write_text(json.dumps(settings), encoding="utf-8")
            progress(f"making keys for {len(chosen.hosts)} hosts")
            self.credentials.create(chosen.hosts)
            history.link(past, self.state / history.PLACE)
            self._start_supervisor(progress)
            write_inventory(folder, chosen, self.credentials)
            self._give_to_caller(folder)
        except BaseException:
            self.down()
            raise
        progress(f"the lab is up: {len(chosen.hosts)} hosts, inventory in {folder}")

    def _give_to_caller(self, folder: Path) -> None:
        """Under sudo, let the person who called use keys and inventory without it."""
        if "SUDO_UID" not in os.environ or "SUDO_GID" not in os.environ:
            return
        owner = int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
        keys, secrets = self.credentials.controller_key, self.credentials.sudo_password.parent
        own = self.credentials
        readable = (
            own.sudo_password,
            own.store_access_key,
            own.store_secret_key,
            own.device_password,
            own.device_enable,
        )
        for path in (keys.parent, keys, secrets, *readable):
            os.chown(path, *owner)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, *owner)

    def _require_own_state(self) -> None:
        """Raise Refused when the state folder is somebody's: it is emptied at `down`."""
        if self._supervisor() is not None:
            raise HeldByOther(
                f"{self.state} belongs to a lab in another network namespace", hint="set REMEDY_LAB_STATE"
            )
        if self.state.is_dir() and any(self.state.iterdir()) and not (self.state / _SETTINGS).exists():
            raise Refused(
                f"{self.state} holds something that is not a lab's", hint="set REMEDY_LAB_STATE to a new folder"
            )

    def _supervisor(self) -> int | None:
        """The pid of the living supervisor that uses this state folder."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.state / "supervisor.pid").read_text(encoding="ascii"))
            if b"remedy.lab.supervisor" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        return None

    def _start_supervisor(self, progress: Callable[[str], None]) -> None:
        """Start it and follow what it says until it is ready. Raises RemedyError."""
        with (self.state / "supervisor.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "remedy.lab.supervisor", str(self.state)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        (self.state / "supervisor.pid").write_text(str(process.pid), encoding="ascii")
        try:
            self._follow(process, progress)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        process.returncode = 0  # it outlives this process; nobody waits for it here

    def _follow(self, process: subprocess.Popen[bytes], progress: Callable[[str], None]) -> None:
        """Pass on its progress until it says it is ready. Raises RemedyError with its reason when it fails."""
        with process.stdout or contextlib.nullcontext(()) as lines:
            for line in lines:
                said = json.loads(line)
                if "error" in said:
                    raise RemedyError(said["error"], where=said["where"], hint=said["hint"])
                if "ready" in said:
                    return
                progress(said["progress"])
        last = (self.state / "supervisor.log").read_text(encoding="utf-8", errors="replace").strip()
        raise RemedyError(f"the lab's supervisor died: {' | '.join(last.splitlines()[-3:])}")

    def down(self) -> None:
        """Take it down and leave nothing; fine when there is nothing, or when its supervisor was killed."""
        try:
            found = protocol.ask({"op": "status"})
            self.state = Path(found["state"])
            protocol.ask({"op": "down"})
        except protocol.LabDown:
            pass
        except RemedyError:
            self._kill_supervisor()
        self._wait_supervisor()
        self._sweep()

    def _wait_supervisor(self, patience: float = 5.0) -> None:
        """Return when the supervisor has ended, which it does some time after its last answer."""
        until = time.monotonic() + patience
        while self._supervisor() is not None and time.monotonic() < until:
            time.sleep(0.005)

    def _kill_supervisor(self) -> None:
        """The last resort for one that does not answer: its hosts die with it."""
        pid = self._supervisor()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    def _sweep(self) -> None:
        """Remove what a dead lab left: processes, link, guard, state. Raises RemedyError when something stays."""
        device_guard.kill()
        device_guard.remove()
        cabling.detach_controller()
        cabling.wait_unplugged()
        if (self.state / _SETTINGS).exists():
            shutil.rmtree(self.state)

    def status(self) -> dict[str, Any]:
        """What is up, per host: pid, addresses, which services answer, which faults it has. Raises Refused."""
        return protocol.ask({"op": "status"})

    def exec(
        self, host: str, argv: Sequence[str], stdin: bytes = b"", timeout: float = 30.0
    ) -> tuple[int, bytes, bytes]:
        """Run `argv` as root on `host`, from its console, not through the network; exit status, stdout, stderr.

        Raises TimedOut after `timeout` seconds, UsageError for an unknown host, Refused when it is off.
        """
        return run_inside(host, self._pid(host), argv, stdin, timeout)

    def fault(self, kind: str, host: str, value: float | None = None, **named: float) -> None:
        """Give `host` (or `controller`, for cable faults) a fault; its number by position or by its name.

        The kinds are those of faults.FAULTS and power-cycle, power-off, power-on. Returns when it is in force; a
        power-cycle or power-on when all the host's services answer again. Raises UsageError, Refused.
        """
        given = next(iter(named.values()), value)
        protocol.ask({"op": "fault", "kind": kind, "host": host, "value": given})

    def clear(self, host: str | None = None) -> None:
        """Undo every fault of `host`, or of all hosts and the controller."""
        protocol.ask({"op": "clear", "host": host})

    def attack(self, host: str) -> None:
        """Intrude: the page defaced, a beacon calling home, shell sessions from the attacker held open."""
        intrusion.start(self.exec, self._target(host))

    def attack_status(self, host: str, within: float = 2.0) -> AttackStatus:
        """What the attacker saw in the last `within` seconds."""
        return intrusion.status(self.exec, self._target(host), within)

    def attack_stop(self, host: str) -> None:
        """Remove every trace of the intrusion, on the host and at the attacker's; a ruined database is put back."""
        intrusion.stop(self.exec, self._target(host))
        if self.exec(host, ("test", "-e", ruin.MARK))[0] == 0:
            self.reset_database()

    def ruin(self, host: str, kind: str) -> None:
        """What an intruder does to the database of `host`: `tables` dropped, `rows` overwritten, `server` broken.

        Returns when it is done. Raises UsageError for another kind or a host without a database.
        """
        _ = self._target(host)
        ruin.ruin(self.exec, host, kind)

    def reset_database(self) -> None:
        """Put back db01's database and all copies of its backups as they were when the lab came up, in a second.

        db01 is switched off and on for it. A store off site that answers is refilled at once; else it follows in the
        background: see `status`.
        """
        protocol.ask({"op": "reset-database"})

    def fill_database(self, size: int, progress: Callable[[str], None] = _silent, *, back_up: bool = True) -> None:
        """Add about `size` bytes of rows, as counted in a dump; then, with `back_up`, make tonight's backup of it.

        The backup is copied to backup01 and, if it is up, to the store off site. Raises RemedyError.
        """
        filling.fill(self.exec, self._pid(filling.HOST), size, progress)
        if back_up:
            progress("backing it up")
            self.back_up_database()

    def back_up_database(self) -> str:
        """Run db01's nightly backup program now and copy what it made to the other places; the name of the file."""
        roots = {name: self.root(name) for name in (filling.HOST, "backup01")}
        return filling.back_up(self.exec, roots, s3=self.status()["hosts"]["offsite"]["services"]["s3"])

    def ask_device(self, host: str, wish: Mapping[str, object]) -> dict[str, Any]:
        """Send a wish to a network device's control socket: its faults, what it runs (`remedy.lab.devices.faults`).

        Raises UsageError for a host that is no device, OSError when it does not answer, ValueError for a bad wish.
        """
        self._require_device(host)
        return device_faults.ask(appliances.control(self.state, host), wish)

    def reset_device(self, host: str) -> None:
        """Give a network device its factory configuration again; the host is switched off and on for it."""
        self._require_device(host)
        appliances.forget(self.state, host)
        self.fault("power-cycle", host)

    def _require_device(self, host: str) -> None:
        if host not in appliances.APPLIANCES:
            names = ", ".join(appliances.APPLIANCES)
            raise UsageError(f"{host} is no network device of the lab", hint=f"its devices are {names}")

    def writers_start(self, tills: int = 3, pause: float = 0.005) -> None:
        """Let that many tills on web01 write receipts into the database, each resting `pause` seconds in between."""
        writers.start(self.exec, tills, pause)

    def writers_stop(self) -> None:
        """Stop the tills; what they were told stays known until the next start."""
        writers.stop(self.exec)

    def writers_seen(self) -> writers.Seen:
        """What the tills were told so far."""
        return writers.seen(self.exec, self.root(writers.HOST))

    def writers_audit(self) -> writers.Audit:
        """Look for every receipt the tills were told is written, in every schema of the database server."""
        return writers.audit(self.exec, self.root(writers.HOST))

    def root(self, host: str) -> Path:
        """The root folder of a running host as this machine sees it. Raises UsageError, Refused."""
        return Path(f"/proc/{self._pid(host)}/root")

    def _pid(self, host: str) -> int:
        return int(protocol.ask({"op": "pid", "host": host})["pid"])

    def _target(self, name: str) -> intrusion.Target:
        found = protocol.ask({"op": "status"})["hosts"]
        if name not in found:
            names = ", ".join(found)
            raise UsageError(f"the lab has no host {name!r}", hint=f"its hosts are {names}")
        host = found[name]
        return intrusion.Target(name, host["v4"], host["v6"], "http" in host["services"], host["zone"] == "dmz")
