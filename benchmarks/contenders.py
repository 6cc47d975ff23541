"""Who is measured: for each, how it is called, what its exit says, how it is seen to be done, how it is undone.

A newcomer adds one function here. All do the same: read the host's ruleset, load the same rules, and read them back
over a connection opened after the change.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.estate import REMEDY, BrokenRun, Estate

PARTS: Final = Path(__file__).parent / "parts"
PYTHON: Final = str(Path(REMEDY).with_name("python"))
ANSIBLE: Final = str(Path(REMEDY).with_name("ansible"))
PYINFRA: Final = str(Path(__file__).parent / ".venv" / "bin" / "pyinfra")
AT_ONCE: Final = 50
CONNECT_SECONDS: Final = 5
#: Every contender's output says when a host is "done": applied and checked over a new connection.
_VERIFIED: Final = {"done": r"^verified (\S+)"}
_EVENT: Final = r'"event": ?"{}".*"target": ?"([^"]+)".*"text": ?"{}'
_STORY: Final = {
    "loaded": _EVENT.format("reply", "cut "),
    "confirmed": _EVENT.format("reply", "disarm the dead-man timer"),
    "done": _EVENT.format("outcome", ""),
}


def _nothing(_names: Sequence[str]) -> None:
    """Nothing to do."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to isolate hosts. `before` and `undo` are not timed; `slow` asks for fewer rounds."""

    name: str
    argv: Sequence[str]
    undo: Callable[[Sequence[str]], None]
    environment: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[Sequence[str]], None] = _nothing
    marks: Mapping[str, str] = field(default_factory=lambda: _VERIFIED)
    status: int = 0
    slow: bool = False


Maker = Callable[[Estate, Sequence[str]], Contender]


def remedy(estate: Estate, names: Sequence[str]) -> Contender:
    """`remedy isolate`, whole. Exit 22 (applied, unverified) is right: this inventory has no vantage points."""
    return _isolate("remedy isolate", estate, estate.inventory, names, status=22)


def remedy_full(estate: Estate, names: Sequence[str]) -> Contender:
    """`remedy isolate` with every vantage point of the lab."""
    return _isolate("remedy isolate, full certificate", estate, estate.full_inventory, names, status=0)


def _isolate(name: str, estate: Estate, inventory: Path, names: Sequence[str], *, status: int) -> Contender:
    record, incident = estate.new_record()
    common = [REMEDY, "-i", str(inventory), "--record", str(record)]
    options = ["--incident", incident, "--yes", "--jsonl"]

    def release(hosts: Sequence[str]) -> None:
        done = subprocess.run(
            [*common, "release", *hosts, *options], capture_output=True, check=False, timeout=300, text=True
        )
        if done.returncode not in {0, 22}:
            raise BrokenRun(f"release ended with {done.returncode}: {done.stderr[-500:]}{done.stdout[-500:]}")

    return Contender(
        name,
        [*common, "isolate", *names, *options],
        release,
        marks=_STORY,
        slow=len(names) > 1,
        status=status,
    )


def transport(estate: Estate, names: Sequence[str]) -> Contender:
    """The three steps by remedy's transport alone."""
    words = [str(estate.inventory), str(estate.rules), str(estate.wanted_normal), *names]
    return Contender("remedy's transport alone", [PYTHON, str(PARTS / "transport.py"), *words], estate.clean)


def transport_open(estate: Estate, names: Sequence[str]) -> Contender:
    """The three steps by remedy's transport over connections already open; see `steps` in its output."""
    made = transport(estate, names)
    return Contender("remedy's transport, connections open", [*made.argv[:2], "--open", *made.argv[2:]], estate.clean)


def floor(estate: Estate, names: Sequence[str]) -> Contender:
    """Plain OpenSSH: three connections a host, 50 hosts at once."""
    return Contender("ssh, three steps", _steps(estate, names), estate.clean, _ssh(estate))


def floor_open(estate: Estate, names: Sequence[str]) -> Contender:
    """Plain OpenSSH over connections already open (ControlMaster)."""
    sockets = estate.folder / "masters"
    options = _options(estate)

    def connect(_names: Sequence[str]) -> None:
        sockets.mkdir(exist_ok=True)
        addresses = "\n".join(estate.hosts[name] for name in names)
        argv = ["xargs", f"-P{AT_ONCE}", "-I{}", "ssh", "-M", "-N", "-f", *options]
        argv += ["-o", f"ControlPath={sockets}/%h", "root@{}"]
        # The masters keep every stream they are given: none may be a pipe that somebody reads to its end.
        null = subprocess.DEVNULL
        subprocess.run(argv, input=addresses, text=True, stdout=null, stderr=null, check=True, timeout=120)

    def undo(hosts: Sequence[str]) -> None:
        close_masters(sockets)
        estate.clean(hosts)

    environment = {**_ssh(estate), "SSH_REUSE": str(sockets)}
    return Contender("ssh, three steps, connections open", _steps(estate, names), undo, environment, before=connect)


def close_masters(folder: Path) -> None:
    """End the OpenSSH masters whose sockets are in a folder: each its own, by its socket."""
    for path in folder.glob("*"):
        argv = ["ssh", "-F", "none", "-o", f"ControlPath={path}", "-O", "exit", "any"]
        subprocess.run(argv, capture_output=True, check=False, timeout=20)


def ansible(estate: Estate, names: Sequence[str]) -> Contender:
    """ansible-core with pipelining and 50 forks. Its ControlPersist daemons' CPU is not in its figures."""
    sockets = estate.folder / "cp"
    arguments = ["-o", "ControlMaster=auto", "-o", "ControlPersist=60s", *_options(estate)]

    def undo(hosts: Sequence[str]) -> None:
        close_masters(sockets)
        estate.clean(hosts)

    return Contender(
        "ansible-core",
        [
            ANSIBLE + "-playbook",
            *("-i", str(estate.inventory), "-l", _listed(estate, names), str(PARTS / "isolate.yml")),
            *("-e", f"rules={estate.rules}", "-e", f"wanted={estate.wanted}"),
        ],
        undo,
        {
            "ANSIBLE_PIPELINING": "True",
            "ANSIBLE_FORKS": str(AT_ONCE),
            "ANSIBLE_TIMEOUT": str(CONNECT_SECONDS),
            "ANSIBLE_SSH_ARGS": " ".join(arguments),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_CONFIG": str(estate.folder / "ansible.cfg"),
            "ANSIBLE_HOME": str(estate.folder / "ansible"),
        },
        marks={"done": r"^changed: \[([^]]+)\]"},
        slow=True,
    )


def pyinfra(estate: Estate, names: Sequence[str]) -> Contender:
    """Pyinfra, 50 hosts at once, no questions."""
    return Contender(
        "pyinfra",
        [
            *(PYINFRA, "-y", "--parallel", str(AT_ONCE), "--config", f"CONNECT_TIMEOUT={CONNECT_SECONDS}"),
            *("--limit", _listed(estate, names), str(estate.folder / "pyinfra_hosts.py")),
            str(PARTS / "pyinfra_isolate.py"),
        ],
        estate.clean,
    )


def _listed(estate: Estate, names: Sequence[str]) -> str:
    """A limit for tools that take an inventory: all of it, or a single host."""
    if len(names) not in {1, len(estate.hosts)}:
        raise BrokenRun("either one host or all of them")
    return names[0] if len(names) == 1 else "bench"


def _options(estate: Estate) -> list[str]:
    settings = {
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": estate.known_hosts,
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
        "KexAlgorithms": "curve25519-sha256",
        "ConnectTimeout": str(CONNECT_SECONDS),
        "LogLevel": "ERROR",
    }
    words = ["-F", "none", "-i", estate.key]
    for name, value in settings.items():
        words += ["-o", f"{name}={value}"]
    return words


def _ssh(estate: Estate) -> dict[str, str]:
    return {
        "SSH_OPTIONS": " ".join(_options(estate)),
        "SSH_REUSE": "",
        "RULES": str(estate.rules),
        "WANTED": str(estate.wanted),
    }


def _steps(estate: Estate, names: Sequence[str]) -> list[str]:
    script = ["sh", str(PARTS / "three_steps.sh")]
    pairs = [f"{name}={estate.hosts[name]}" for name in names]
    if len(pairs) == 1:
        return [*script, *pairs]
    file = estate.folder / "pairs"
    file.write_text("\n".join(pairs) + "\n", encoding="utf-8")
    return ["xargs", "-a", str(file), f"-P{AT_ONCE}", "-n1", *script]
