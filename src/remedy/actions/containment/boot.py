"""What makes the isolation come back after a reboot: one file with the rules, and one hook of the init system.

systemd: a unit ordered before the network that nftables.service pulls along when it is restarted or reloaded, since
that service begins with `flush ruleset` (systemd.unit(5): PartOf=, ReloadPropagatedFrom=).
SysV init: a script below /etc/init.d and a link in /etc/rcS.d (insserv(8)), run before the network comes up.
"""

from __future__ import annotations

import hashlib

from remedy.actions.containment.rules import HostRules
from remedy.core.values import Change, Command, wanted
from remedy.probes import files

_UNIT_PATH = "/etc/systemd/system/remedy-isolation.service"
_WANT_PATH = "/etc/systemd/system/sysinit.target.wants/remedy-isolation.service"
_INIT_PATH = "/etc/init.d/remedy-isolation"
_LINK_PATH = "/etc/rcS.d/S01remedy-isolation"

#: Each file is complete under its name or absent; the directory entry is on disk before the step counts as done.
_INSTALL = (
    "umask 077; set -e; "
    'put() { mkdir -p "${1%/*}"; printf %s "$3" > "$1.remedy-new"; chmod "$2" "$1.remedy-new"; '
    'mv -f "$1.remedy-new" "$1"; }; '
    'put "$1" 600 "$2"; put "$3" "$4" "$5"; mkdir -p "${6%/*}"; ln -sfn "$7" "$6"; sync "$1" "$3" 2>/dev/null || sync; '
    'if [ -n "$8" ]; then systemctl daemon-reload && systemctl start "$8"; fi'
)
_REMOVE = (
    'if [ -n "$4" ]; then systemctl stop "$4" 2>/dev/null; fi; rm -f -- "$3" "$2" "$1" "$1.remedy-new" '
    '"$2.remedy-new"; rmdir "${1%/*}" 2>/dev/null; if [ -n "$4" ]; then systemctl daemon-reload; fi; '
    'for p in "$1" "$2" "$3"; do [ ! -e "$p" ] || exit 1; done'
)


def paths(rules_path: str, init: str) -> tuple[str, ...]:
    """The files the hook consists of; empty when the init system is not known."""
    if init == "systemd":
        return (rules_path, _UNIT_PATH, _WANT_PATH)
    if init == "sysv":
        return (rules_path, _INIT_PATH, _LINK_PATH)
    return ()


def hook(target: str, rules: HostRules, init: str) -> Change:
    """The step that makes the isolation permanent. `init` is "systemd" or "sysv"."""
    places = paths(rules.boot_path, init)
    content = _unit(rules) if init == "systemd" else _script(rules)
    there = [f"sha256:{_sha(rules.boot)}", f"sha256:{_sha(content)}", f"link:{_link(init)}"]
    return Change(
        why=f"come back after a reboot: {places[0]} loaded by {places[1]} before the network is up",
        at=target,
        do=installation(places, init, rules.boot, content),
        undo=removal(places, init),
        seen=files.state(*places),
        before=wanted(["absent:", "absent:", "absent:"]),
        after=wanted([*there]),
        essential=False,
    )


def installation(places: tuple[str, ...], init: str, rules: str, hook: str) -> Command:
    """Put both files and the link in place; with systemd, start the unit so that it follows nftables' restarts."""
    mode = "644" if init == "systemd" else "755"
    rules_path, hook_path, link_path = places
    words = (rules_path, rules, hook_path, mode, hook, link_path, _link(init), _unit_name(init))
    return Command(("sh", "-c", _INSTALL, "remedy-install", *words), seconds=60)


def removal(places: tuple[str, ...], init: str) -> Command:
    """Take both files and the link away, and the directory when it is empty then."""
    return Command(("sh", "-c", _REMOVE, "remedy-remove", *places, _unit_name(init)), seconds=60)


def _unit_name(init: str) -> str:
    return "remedy-isolation.service" if init == "systemd" else ""


def _link(init: str) -> str:
    return "../remedy-isolation.service" if init == "systemd" else "../init.d/remedy-isolation"


def card(rules_path: str, init: str) -> tuple[str, ...]:
    """The commands that take the hook away by hand."""
    found = paths(rules_path, init)
    if not found:
        return ()
    stop = ("systemctl stop remedy-isolation.service",) if init == "systemd" else ()
    reload = ("systemctl daemon-reload",) if init == "systemd" else ()
    return (*stop, "rm -f " + " ".join(reversed(found)), f"rmdir {rules_path.rpartition('/')[0]}", *reload)


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _unit(rules: HostRules) -> str:
    return f"""\
[Unit]
Description=Isolation of this host, placed by remedy (take away with: remedy release)
DefaultDependencies=no
Before=network-pre.target shutdown.target
Wants=network-pre.target
After=local-fs.target nftables.service
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
Environment=PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=/bin/sh -c '{rules.loader}'
ExecReload=/bin/sh -c '{rules.loader}'

[Install]
WantedBy=sysinit.target
"""


def _script(rules: HostRules) -> str:
    return f"""\
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
