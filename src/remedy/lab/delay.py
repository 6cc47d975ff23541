"""Delay on a host's cable, for kernels without netem: a forwarder between its port and the bridge.

Run inside fw01's network as `python -m remedy.lab.delay PORT TAP BRIDGE SECONDS`. The host's port leaves the bridge
and a TAP device takes its place; every frame waits SECONDS on its way from the one to the other, in both directions.
Frames keep their virtio-net header, so check-sum and segmentation offloads pass through unharmed. Writes `ready` and a
newline to stdout once it forwards; ends with its parent.

See the kernel's Documentation/networking/tuntap.rst and packet(7).
"""

from __future__ import annotations

import collections
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable

from remedy.lab.syscalls import die_with_parent

__all__ = ["main"]

_TUNSETIFF = 0x400454CA
_TUNSETOFFLOAD = 0x400454D0
_TUNSETVNETHDRSZ = 0x400454D8
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000
_IFF_VNET_HDR = 0x4000
_OFFLOADS = 0x01 | 0x02 | 0x04  # check sums, TSO for IPv4 and IPv6
_VNET_HEADER = 10
_ETH_P_ALL = 0x0003
_SOL_PACKET = 263
_PACKET_VNET_HDR = 15
_FRAME = 1 << 17
_QUEUE = 20000  # frames waiting per direction; more are dropped, as a switch would


class Lane:
    """One direction: frames with the time at which each is due."""

    def __init__(self, receive: Callable[[], bytes | None], send: Callable[[bytes], object]) -> None:
        """`receive` gives one frame or None when there is none now."""
        self.receive = receive
        self.send = send
        self.waiting: collections.deque[tuple[float, bytes]] = collections.deque()

    def take(self, seconds: float) -> None:
        """Queue all frames there are. The wait counts from when each was read, so it is never shorter than asked."""
        while (frame := self.receive()) is not None:
            if frame and len(self.waiting) < _QUEUE:
                self.waiting.append((time.monotonic() + seconds, frame))

    def deliver(self, now: float) -> None:
        """Send on what is due; a frame the device refuses is lost, as on a cable."""
        while self.waiting and self.waiting[0][0] <= now:
            _, frame = self.waiting.popleft()
            try:
                self.send(frame)
            except OSError as error:
                sys.stderr.write(f"delay: frame of {len(frame)} bytes lost: {error}\n")


def _open_tap(name: str) -> int:
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR))
    fcntl.ioctl(tap, _TUNSETVNETHDRSZ, struct.pack("i", _VNET_HEADER))
    fcntl.ioctl(tap, _TUNSETOFFLOAD, _OFFLOADS)
    return tap


def _open_port(name: str) -> socket.socket:
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    port.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    port.bind((name, _ETH_P_ALL))
    port.setblocking(False)
    return port


def _from_port(port: socket.socket) -> bytes | None:
    try:
        frame, (_, _, kind, *_) = port.recvfrom(_FRAME)
    except BlockingIOError:
        return None
    return frame if kind != socket.PACKET_OUTGOING else b""


def _from_tap(tap: int) -> bytes | None:
    try:
        return os.read(tap, _FRAME)
    except BlockingIOError:
        return None


def _take_the_ports_place(port: str, tap: str, bridge: str) -> None:
    """Swap the two on the bridge."""
    lines = f"link set {port} nomaster\nlink set {tap} master {bridge} up\n"
    subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True)


def main(port_name: str, tap_name: str, bridge: str, seconds: float) -> None:
    """Forward for ever."""
    die_with_parent()
    port, tap = _open_port(port_name), _open_tap(tap_name)
    lanes = {
        port.fileno(): Lane(lambda: _from_port(port), lambda frame: os.write(tap, frame)),
        tap: Lane(lambda: _from_tap(tap), port.send),
    }
    _take_the_ports_place(port_name, tap_name, bridge)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        due = [lane.waiting[0][0] for lane in lanes.values() if lane.waiting]
        pause = max(0.0, min(due) - time.monotonic()) if due else None
        readable, _, _ = select.select(list(lanes), [], [], pause)
        for descriptor in readable:
            lanes[descriptor].take(seconds)
        for lane in lanes.values():
            lane.deliver(time.monotonic())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))
