"""One way to type lines on a device, or only to connect to it.

Usage: device_lines.py WAY DRIVER INVENTORY DEVICE PORT [FILE]. DRIVER is netmiko's name of the platform. WAY is `paste`
(one raw SSH channel, wait for the prompt after every line), `remedy` (one `Sessions.send` of the configure command),
`netmiko` (`send_config_set` with an error pattern), or `connect-netmiko`, `connect-remedy`, which end at the prompt.
Prints "steps WALL CPU" in seconds: typing alone, without start-up and connecting; with `connect-…` connecting alone,
without start-up and imports.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

_USER = "admin"
#: What a person types: against paging, into configuration mode, and out of it.
_WORDS = {
    "hp_comware": ("screen-length disable", "system-view", "return"),
    "cisco_ios": ("terminal length 0", "configure terminal", "end"),
}


def main(argv: list[str]) -> None:
    """Do it."""
    way, driver, inventory, name, port, *files = argv
    lines = [line for file in files for line in Path(file).read_text(encoding="ascii").splitlines()]
    password = os.environ["DEVICE_PASSWORD"]
    if way.endswith("remedy"):
        _remedy(inventory, name, lines)
    elif way.endswith("netmiko"):
        _netmiko(driver, int(port), password, lines)
    else:
        _paste(driver, int(port), password, lines)


def _steps(wall: float, cpu: float) -> None:
    print(f"steps {time.monotonic() - wall:.6f} {time.process_time() - cpu:.6f}", flush=True)


def _paste(driver: str, port: int, password: str, lines: list[str]) -> None:
    """What a careful script does: a line, its prompt, the next line; a `%` in an answer ends it."""
    import paramiko  # noqa: PLC0415 -- only this way needs it

    quiet, enter, leave = _WORDS[driver]
    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect("127.0.0.1", port, _USER, password, allow_agent=False, look_for_keys=False)
        channel = client.invoke_shell(width=511, height=1000)

        def to_prompt() -> bytes:
            said = b""
            while not said.rstrip().endswith((b">", b"]", b"#")) or b"\n" not in said:
                if not (data := channel.recv(65536)):
                    raise EOFError(said)
                said += data
            return said

        def typed(line: str) -> None:
            channel.sendall(f"{line}\n".encode())
            if b"%" in (said := to_prompt()):
                raise SystemExit(f"refused: {line}: {said!r}")

        to_prompt()
        typed(quiet)
        wall, cpu = time.monotonic(), time.process_time()
        for line in (enter, *lines, leave):
            typed(line)
        _steps(wall, cpu)


def _remedy(inventory: str, name: str, lines: list[str]) -> None:
    from remedy.actions.perimeter import device as typing  # noqa: PLC0415 -- only this way needs them
    from remedy.cli.options import Common  # noqa: PLC0415
    from remedy.cli.world import World  # noqa: PLC0415
    from remedy.core.values import Command  # noqa: PLC0415
    from remedy.transports.devices import words  # noqa: F401, PLC0415 -- netmiko

    world = World(Common(inventory=inventory))
    try:
        sessions = world.sessions
        wall, cpu = time.monotonic(), time.process_time()
        reply = sessions.send(Command(("cli",), root=False), at=name)
        if lines:
            wall, cpu = time.monotonic(), time.process_time()
            reply = sessions.send(typing.configure(lines), at=name)
        _steps(wall, cpu)
    finally:
        world.close()
    if reply.status:
        raise SystemExit(reply.err.decode())


def _netmiko(driver: str, port: int, password: str, lines: list[str]) -> None:
    from netmiko import ConnectHandler  # noqa: PLC0415 -- only this way needs it

    wall, cpu = time.monotonic(), time.process_time()
    with ConnectHandler(device_type=driver, host="127.0.0.1", port=port, username=_USER, password=password) as session:
        if not lines:
            session.find_prompt()
        else:
            wall, cpu = time.monotonic(), time.process_time()
            session.send_config_set(lines, error_pattern=r"%|denied")
        _steps(wall, cpu)


if __name__ == "__main__":
    main(sys.argv[1:])
