"""What makes the isolation come back after a reboot: a file with the rules, and a hook of the init system.

systemd: a unit ordered before the network, and a drop-in for nftables.service, whose start, reload and stop all flush
every table (systemd.service(5): ExecStartPost=, ExecReload=, ExecStopPost=): each loads the isolation again.
SysV init: a script below /etc/init.d and a link in /etc/rcS.d (insserv(8)), run before the network comes up.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from remedy.actions.containment.rules import HostRules
from remedy.core.values import Change, Command, wanted
from remedy.probes import files

_UNIT: Final = "remedy-isolation.service"
_UNIT_PATH: Final = f"/etc/systemd/system/{_UNIT}"
_WANT_PATH: Final = f"/etc/systemd/system/sysinit.target.wants/{_UNIT}"
_DROP_IN_PATH: Final = "/etc/systemd/system/nftables.service.d/remedy-isolation.conf"
_INIT_PATH: Final = "/etc/init.d/remedy-isolation"
_LINK_PATH: Final = "/etc/rcS.d/S01remedy-isolation"

#: Arguments: unit, link, what it points to, then path, mode and content of each file. Each file is complete under its
#: name or absent, and on the disk before the step counts as done; a disk that fills up leaves no half of one.
_INSTALL: Final = r"""
umask 077; set -e
unit=$1 link=$2 to=$3 new=; shift 3
trap 'rm -f -- "$new"; rmdir /etc/remedy /etc/systemd/system/nftables.service.d 2>/dev/null || :' EXIT
while [ $# -gt 0 ]; do
  new=$1.remedy-new
  mkdir -p "${1%/*}"; printf %s "$3" > "$new"; chmod "$2" "$new"; mv -f "$new" "$1"
  sync "$1" 2>/dev/null || sync
  shift 3
done
mkdir -p "${link%/*}"; ln -sfn "$to" "$link"; sync "${link%/*}" 2>/dev/null || sync
if [ -n "$unit" ]; then systemctl daemon-reload; systemctl start "$unit"; fi
"""
#: Arguments: unit, then every path. Directories that only remedy makes go when they are empty.
_REMOVE: Final = r"""
unit=$1; shift
[ -z "$unit" ] || systemctl stop "$unit" 2>/dev/null
for p in "$@"; do rm -f -- "$p" "$p.remedy-new"; done
rmdir /etc/remedy /etc/systemd/system/nftables.service.d 2>/dev/null
[ -z "$unit" ] || systemctl daemon-reload
for p in "$@"; do [ ! -e "$p" ] && [ ! -L "$p" ] || exit 1; done
"""


@dataclass(frozen=True, slots=True)
class _Hook:
    """The files of one init system's hook, and the link that enables it."""

    unit: str
    files: tuple[tuple[str, str, str], ...]
    link: str
    points_to: str


def paths(rules_path: str, init: str) -> tuple[str, ...]:
    """Everything the hook consists of, the link last; empty when the init system is not known."""
    if init == "systemd":
        return (rules_path, _UNIT_PATH, _DROP_IN_PATH, _WANT_PATH)
    if init == "sysv":
        return (rules_path, _INIT_PATH, _LINK_PATH)
    return ()


def hook(target: str, rules: HostRules, init: str) -> Change:
    """The step that makes the isolation permanent. `init` is "systemd" or "sysv"."""
    made = _systemd(rules) if init == "systemd" else _sysv(rules)
    words = [made.unit, made.link, made.points_to, *(word for file in made.files for word in file)]
    places = paths(rules.boot_path, init)
    there = [f"sha256:{hashlib.sha256(content.encode()).hexdigest()}" for _, _, content in made.files]
    return Change(
        why=f"come back after a reboot: {places[0]} loaded by {places[1]} before the network is up",
        at=target,
        do=Command(("sh", "-c", _INSTALL, "remedy-install", *words), seconds=60),
        undo=removal(places, init),
        seen=files.state(*places),
        before=wanted(["absent:"] * len(places)),
        after=wanted([*there, f"link:{made.points_to}"]),
        essential=False,
    )


def removal(places: tuple[str, ...], init: str) -> Command:
    """Take the files and the link away, the link first, and remedy's directories when they are empty then."""
    unit = _UNIT if init == "systemd" else ""
    return Command(("sh", "-c", _REMOVE, "remedy-remove", unit, *reversed(places)), seconds=60)


def card(rules_path: str, init: str) -> tuple[str, ...]:
    """The commands that take the hook away by hand."""
    found = paths(rules_path, init)
    if not found:
        return ()
    systemd = init == "systemd"
    directories = ("/etc/systemd/system/nftables.service.d " if systemd else "") + "/etc/remedy"
    return (
        *((f"systemctl stop {_UNIT}",) if systemd else ()),
        "rm -f " + " ".join(reversed(found)),
        f"rmdir {directories}",
        *(("systemctl daemon-reload",) if systemd else ()),
    )


def _systemd(rules: HostRules) -> _Hook:
    load = f"/bin/sh -c 'PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin {rules.loader}'"
    unit = f"""\
[Unit]
Description=Isolation of this host, placed by remedy (take away with: remedy release)
DefaultDependencies=no
Before=network-pre.target shutdown.target
Wants=network-pre.target
After=local-fs.target nftables.service netfilter-persistent.service iptables.service ip6tables.service firewalld.service
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={load}
ExecReload={load}

[Install]
WantedBy=sysinit.target
"""
    drop_in = f"[Service]\nExecStartPost={load}\nExecReload={load}\nExecStopPost={load}\n"
    both = ((rules.boot_path, "600", rules.boot), (_UNIT_PATH, "644", unit), (_DROP_IN_PATH, "644", drop_in))
    return _Hook(_UNIT, both, _WANT_PATH, f"../{_UNIT}")


def _sysv(rules: HostRules) -> _Hook:
    script = f"""\
#!/bin/sh
### BEGIN INIT INFO
# Provides:          remedy-isolation
# Required-Start:    $local_fs
# Required-Stop:
# X-Start-Before:    networking
# Default-Start:     S
# Default-Stop:
# Short-Description: isolation of this host, placed by remedy
### END INIT INFO
PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
case "$1" in
start|restart|reload|force-reload) {rules.loader} ;;
stop|status) ;;
esac
"""
    both = ((rules.boot_path, "600", rules.boot), (_INIT_PATH, "755", script))
    return _Hook("", both, _LINK_PATH, "../init.d/remedy-isolation")
