"""A small real network of namespaces behind the real session port: a target, its controller, a peer, an outsider.

Decides how the actions' very scripts run without sshd: `nsenter … sh` takes the place of the SSH channel, framing and
reading of answers are the product's own. A session lives as long as the controller really reaches the target's port
22. Rules, timers, files, sockets and reachability are the kernel's. Two things differ from a real site: silence is
waited for a quarter as long, since the cables here answer within microseconds, and no password is asked.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tests.worlds.namespaces import Host, cable

from remedy.core.errors import ConnectFailed, ConnectionLost
from remedy.core.values import Command, Context, Reply, Site, Target, Vantage
from remedy.probes import parse, reach
from remedy.transports.guard import CONTROLLER, Sessions
from remedy.transports.limits import Limits
from remedy.transports.replies import Replies
from remedy.transports.script import build

TARGET: Final = Target("web01", "198.18.1.11")
ADDRESSES: Final = ("198.18.1.11", "2001:db8:0:1::11")
SITE: Final = Site(
    addresses=ADDRESSES,
    management=("198.18.3.1", "2001:db8:0:3::1"),
    vantages=(Vantage("web02", "peer"), Vantage("attacker", "outside")),
    probe_tcp=(22, 80),
    probe_udp=(4444,),
    canaries=("198.18.0.66", "2001:db8::66"),
    canary_tcp=(4444,),
    canary_udp=(4444,),
    resolvers=("198.18.0.66",),
    impact="the public site",
)
_WAIT: Final = "0.1"

#: Somebody else's rules, which have to survive everything untouched.
_HANDMADE: Final = {
    "nft": """
nft -f - <<'END'
table inet handmade {
  set bad { type ipv4_addr; elements = { 198.19.0.9 } }
  chain input {
    type filter hook input priority filter; policy accept;
    ip saddr @bad drop
  }
}
table ip docker_like {
  chain forward {
    type filter hook forward priority filter; policy accept;
  }
}
END
""",
    "iptables": """
iptables-legacy -t mangle -A INPUT -s 198.19.0.9 -j DROP; ip6tables-legacy -t mangle -A INPUT -s 2001:db8:9::9 -j DROP
iptables-legacy -N DOCKER; iptables-legacy -A FORWARD -j DOCKER; iptables-legacy -A DOCKER -d 198.19.0.9 -j ACCEPT
""",
}
_WITHOUT_NFT: Final = """
mount --bind /dev/null "$(command -v nft)"
for t in iptables iptables-save iptables-restore; do
  ln -sfn "/usr/sbin/$(echo $t | sed 's/tables/tables-legacy/')" "/etc/alternatives/$t"
  ln -sfn "/usr/sbin/$(echo ip6${t#ip} | sed 's/tables/tables-legacy/')" "/etc/alternatives/ip6${t#ip}"
done
"""
#: Of processes without those that look, and those that are just ending, which have no command line any more.
_SNAPSHOT: Final = r"""
echo "== nft"; nft -s list ruleset 2>/dev/null || :
for t in iptables-legacy-save ip6tables-legacy-save; do
  echo "== $t"; for m in mangle filter; do $t -t $m 2>/dev/null | sed '/^#/d; s/\[[0-9:]*\]//'; done; done
echo "== files"; find /etc ! -type d -printf '%p %y %m %l\n' | sort; find /etc -type d | sort
find /etc -type f -newer /run/start -exec sha256sum {} + | sort
echo "== processes"; ps -eo stat=,args= | grep -v '^Z\| \[\|ps -eo\|sleep 1000\|== nft\|grep -v\| cut '
"""


class World:
    """The network. `session` asks and changes as over SSH; `close` ends it."""

    def __init__(self, tool: str = "nft", ports: tuple[int, ...] = (22, 80)) -> None:
        """Bring it up. `tool` is what the target filters packets with, "nft" or "iptables"; it listens on `ports`."""
        self.tool = tool
        self.hosts: dict[str, Host] = {}
        self.sockets: list[socket.socket] = []
        self._over = threading.Event()
        self._ends = contextlib.ExitStack()
        try:
            self._bring_up(ports)
        except BaseException:
            self.close()
            raise

    def _bring_up(self, ports: tuple[int, ...]) -> None:
        for name in ("web01", CONTROLLER, "web02", "attacker"):
            self.hosts[name] = Host(name)
            self._ends.callback(self.hosts[name].close)
        self._ends.callback(self._hang_up)
        self.target = self.hosts["web01"]
        cable(
            self.target,
            "seg0",
            self.hosts["web02"],
            near=("198.18.1.11/24", "2001:db8:0:1::11/64"),
            far=("198.18.1.12/24", "2001:db8:0:1::12/64"),
        )
        cable(
            self.target,
            "mgmt0",
            self.hosts[CONTROLLER],
            near=("198.18.3.11/24", "2001:db8:0:3::11/64"),
            far=("198.18.3.1/24", "2001:db8:0:3::1/64"),
        )
        cable(
            self.target,
            "out0",
            self.hosts["attacker"],
            near=("198.18.0.11/24", "2001:db8::11/64"),
            far=("198.18.0.66/24", "2001:db8::66/64"),
        )
        without = _WITHOUT_NFT if self.tool == "iptables" else ""
        self.target.run(without + _HANDMADE[self.tool] + "sleep 0.02; touch /run/start")
        self.listeners = [self._listen(self.target, port) for port in ports]
        self._listen(self.hosts["attacker"], 4444)
        services = [self.datagrams(self.hosts["attacker"], port) for port in (53, 4444)]
        echo = threading.Thread(target=self._answer, args=(services,), daemon=True)
        echo.start()
        self._ends.callback(echo.join)
        #: What sshd on the target says of the session: client's address and port, its own address and port.
        self.connection = f"198.18.3.1 50022 {ADDRESSES[0]} 22"
        self.start = self.snapshot()
        self.session = self.log_in()

    def log_in(self) -> Sessions:
        """New sessions, as a new process of the controller has them."""
        return Sessions(
            lambda target: Channel(self, target.name),
            lambda name: replace(TARGET, name=name),
            parse,
            local=Channel(self, CONTROLLER),
        )

    def context(self, run: str = "R1") -> Context:
        """A run under the test's incident."""
        return Context(run, "INC-1", "0123456789abcdef")

    def snapshot(self) -> str:
        """Everything on the target that an action may touch: rules, files, processes."""
        return self.target.run(_SNAPSHOT)

    def _listen(self, host: Host, port: int) -> socket.socket:
        made = host.inside(lambda: socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True))
        made.listen(4096)
        self.sockets.append(made)
        return made

    def datagrams(self, host: Host, port: int) -> socket.socket:
        """A UDP socket of a host, bound to a port of both families."""

        def bound() -> socket.socket:
            made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            made.bind(("::", port))
            made.settimeout(0.3)
            return made

        self.sockets.append(made := host.inside(bound))
        return made

    def _answer(self, servers: Sequence[socket.socket]) -> None:
        """The outsider's UDP services, a resolver among them: send back what they get."""
        while not self._over.is_set():
            for server in select.select(servers, [], [], 0.2)[0]:
                with contextlib.suppress(OSError):
                    data, sender = server.recvfrom(2048)
                    server.sendto(data, sender)

    def dial(self, name: str, port: int, address: str = ADDRESSES[0], seconds: float = 0.5) -> socket.socket:
        """A connection from a host to the target, kept open."""
        made = self.hosts[name].inside(lambda: socket.create_connection((address, port), timeout=seconds))
        self.sockets.append(made)
        return made

    def reaches(self, name: str, port: int, address: str = ADDRESSES[0]) -> bool:
        """Whether a host gets a TCP connection to the target."""
        try:
            self.dial(name, port, address, 0.25).close()
        except OSError:
            return False
        return True

    def close(self) -> None:
        """End every host and socket, each whatever became of the others; again does nothing."""
        self._over.set()
        self._ends.close()

    def _hang_up(self) -> None:
        for made in self.sockets:
            made.close()


class Channel:
    """One open session with a host. Implements core.ports.Connection."""

    def __init__(self, world: World, name: str) -> None:
        """Log in. Raises ConnectFailed when the target's port 22 does not answer."""
        self._world, self._name = world, name
        self._host = world.hosts[name]
        if not self._alive():
            raise ConnectFailed("no connection to port 22", where=name)

    def _alive(self) -> bool:
        """Management reaches the target; other vantages are reached by ways that are not the target's."""
        return self._name != "web01" or self._world.reaches(CONTROLLER, 22)

    def run(self, commands: Sequence[Command]) -> tuple[Reply, ...]:
        """As the port; the scripts are the product's, in the host's namespaces."""
        if not self._alive():
            raise ConnectionLost("the session broke", where=self._name)
        nonce = os.urandom(16).hex()
        script = build([_hastened(command) for command in commands], nonce, None)
        environment = {"PATH": os.environ["PATH"], "SSH_CONNECTION": self._world.connection}
        done = subprocess.run(
            self._host.enter("sh"), input=script, capture_output=True, timeout=60, check=False, env=environment
        )
        replies = Replies(len(commands), nonce, Limits(), self._name)
        replies.feed_out(done.stdout)
        replies.feed_err(done.stderr)
        return replies.result()

    def close(self) -> None:
        """Nothing stays open."""


def _hastened(command: Command) -> Command:
    """A reachability probe that waits less for silence."""
    words = command.argv
    if reach._PYTHON not in words:
        return command
    return replace(command, argv=(*words[:7], _WAIT, *words[8:]))
