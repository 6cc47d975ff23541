"""How a host's services are kept running, stopped and started: as init scripts, and on sys01 as a systemd unit.

Decides the texts. Leaves to others: which host has which service (topology.py) and writing them (layers.py).

busybox init keeps each service running through `lab-service`. `/etc/init.d/NAME start|stop|restart|status` (LSB 5.0,
chapter 22: 0 running or done, 3 stopped) is how an operator, or remedy, stops one for good; `service NAME …` works too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from remedy.lab.topology import Host

__all__ = ["LAB_SERVICE", "PROGRAMS", "STOPPED", "WAKE", "Unit", "init_script", "inittab", "systemd_unit", "units"]

#: Where the lab's own programs lie inside hosts.
PROGRAMS: Final = "/usr/local/lib/remedy-lab"
#: A file of a service's name here keeps it from being started.
STOPPED: Final = "/etc/remedy-lab/stopped"

#: Shell words that make lab-service look at once whether sshd may start.
WAKE: Final = 'kill -USR1 "$(cat /run/lab-service/sshd.keeper)"'

LAB_SERVICE: Final = """\
#!/bin/sh
# lab-service NAME COMMAND...: keep COMMAND running unless an operator stopped NAME.
# sshd's sandbox kills it when the preloaded library of the clock fault opens its file there, so sshd is left out.
# One that ends at once is tried again after longer and longer pauses. SIGUSR1: look now whether it may start.
name=$1
shift
export FAKETIME_SKIP_CMDS=sshd
mkdir -p /run/lab-service
echo $$ >"/run/lab-service/$name.keeper"
trap : USR1
pause=0.1
while :; do
  while [ -e "/etc/remedy-lab/stopped/$name" ]; do
    sleep 2 &
    wait $!
    kill $! 2>/dev/null
    pause=0.1
  done
  read -r began _ </proc/uptime
  sh -c 'echo $$ >"/run/lab-service/$0" && exec "$@"' "$name" "$@" >>"/var/log/$name.log" 2>&1
  rm -f "/run/lab-service/$name"
  read -r ended _ </proc/uptime
  [ $((${ended%.*} - ${began%.*})) -gt 1 ] && pause=0.1
  sleep "$pause"
  case $pause in 0.1) pause=0.3 ;; 0.3) pause=1 ;; *) pause=2 ;; esac
done
"""

#: $name is filled in. The wait is long because a database may have much to write before it ends.
_INIT: Final = """\
#!/bin/sh
### BEGIN INIT INFO
# Provides:          {name}
# Required-Start:    $network
# Required-Stop:     $network
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: {about}
### END INIT INFO
mark=/etc/remedy-lab/stopped/{service}
file=/run/lab-service/{service}
running() {{ [ -e "$file" ] && kill -0 "$(cat "$file" 2>/dev/null)" 2>/dev/null; }}
stop() {{
  mkdir -p "${{mark%/*}}"
  : >"$mark"
  for _ in $(seq 600); do
    running || return 0
    kill "$(cat "$file" 2>/dev/null)" 2>/dev/null
    sleep 0.1
  done
  kill -9 "$(cat "$file")"
}}
start() {{
  rm -f "$mark"
  for _ in $(seq 300); do
    kill -USR1 "$(cat "$file.keeper")"
    if running && {ready}; then return 0; fi
    sleep 0.1
  done
  return 1
}}
case $1 in
start) start ;;
stop) stop ;;
restart | force-reload) stop && start ;;
status) if running; then echo "{name} is running"; else echo "{name} is stopped"; exit 3; fi ;;
*) echo "usage: $0 start|stop|restart|force-reload|status" >&2; exit 2 ;;
esac
"""

_UNIT: Final = """\
[Unit]
Description={about}
After=network.target

[Service]
ExecStart={command}
Restart=on-failure

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Unit:
    """A service: the name of its init script, what it is, its program and a test of being ready, both shell words."""

    name: str
    about: str
    command: str
    ready: str = ":"


_ANSWERS: Final = "mariadb-admin --silent ping >/dev/null 2>&1"

#: By the names of topology.Host.services, and what runs on the same hosts only when asked for.
_UNITS: Final[Mapping[str, Unit]] = {
    "http": Unit("site", "the public web site", f"/usr/bin/python3 -I {PROGRAMS}/site.py"),
    "c2": Unit("c2", "the attacker's listener", f"/usr/bin/python3 -I {PROGRAMS}/c2.py"),
    "mysql": Unit(
        "mariadb", "MariaDB database server", "/usr/sbin/mariadbd --user=mysql", "mariadb-admin --silent ping"
    ),
    "dns": Unit(
        "dns", "name server", "/usr/sbin/dnsmasq --keep-in-foreground --conf-file=/etc/remedy-lab/dnsmasq.conf"
    ),
    "tsa": Unit(
        "authority", "time stamp authority", f"/usr/bin/python3 -I {PROGRAMS}/authority.py /var/lib/authority 3161"
    ),
    "till": Unit("till", "the shop's tills", f"/usr/bin/python3 -I {PROGRAMS}/till.py"),
}


def units(host: Host) -> dict[str, Unit]:
    """The units of a host by service; the tills are at the first web server."""
    names = [*host.services, *(("till",) if host.name == "web01" else ())]
    return {name: _UNITS[name] for name in names if name in _UNITS}


def inittab(host: Host) -> str:
    """Busybox init's table of what to keep running."""
    lines = ["::sysinit:/etc/init.d/rcS", "::respawn:/usr/local/sbin/lab-service sshd /usr/sbin/sshd -D -e"]
    lines += [f"::respawn:/usr/local/sbin/lab-service {name} {unit.command}" for name, unit in units(host).items()]
    return "\n".join(lines) + "\n"


def init_script(service: str, unit: Unit) -> str:
    """The text of /etc/init.d/NAME."""
    return _INIT.format(name=unit.name, service=service, about=unit.about, ready=unit.ready)


def systemd_unit(service: str) -> tuple[str, str]:
    """The name and text of a systemd unit that runs the service in question."""
    unit = _UNITS[service]
    return f"{unit.name}.service", _UNIT.format(about=unit.about, command=unit.command)
