"""The attacker's side of an intrusion: one shell session per address, held open, asked `id` each half second.

Usage: intruder.py NAME ADDRESS... A session is opened once and never again: when it is cut, it stays dead, which is
what a rehearsal wants to see. Appends to /var/log/intruder-NAME.log, starting over at 8 MiB:

    1718000000.123 198.18.1.11 opened
    1718000000.456 198.18.1.11 uid=0(root) gid=0(root) groups=0(root)
    1718000009.012 198.18.1.11 closed ConnectionResetError
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from pathlib import Path

SHELL_PORT = 443
PAUSE = 0.5
OPENING = 30.0
LIMIT = 8 << 20
_one_writer = threading.Lock()


def note(log: Path, address: str, text: str) -> None:
    """Append one line."""
    with _one_writer, log.open("w" if log.exists() and log.stat().st_size > LIMIT else "a", encoding="utf-8") as file:
        file.write(f"{time.time():.3f} {address} {text}\n")


def opened(address: str) -> socket.socket:
    """The session's connection; the shell may still be starting, so try for OPENING seconds. Raises OSError."""
    until = time.monotonic() + OPENING
    while True:
        try:
            return socket.create_connection((address, SHELL_PORT), timeout=2)
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def session(log: Path, address: str) -> None:
    """Hold one session until it dies; silence alone does not end it."""
    try:
        sock = opened(address)
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        note(log, address, "opened")
        answers = sock.makefile("r", encoding="utf-8", errors="replace")
        while True:
            sock.sendall(b"id\n")
            for line in answers:
                if line == ".\n":
                    break
                note(log, address, line.strip())
            else:
                note(log, address, "closed by the host")
                return
            time.sleep(PAUSE)
    except OSError as error:
        note(log, address, f"closed {type(error).__name__}")


def main() -> None:
    """One thread per address."""
    log = Path(f"/var/log/intruder-{sys.argv[1]}.log")
    threads = [threading.Thread(target=session, args=(log, address)) for address in sys.argv[2:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
