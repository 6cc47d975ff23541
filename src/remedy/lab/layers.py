"""What is on the hosts' disks beyond the shared image: a layer common to all, and each host's own files.

Decides files, accounts and the boot sequence. Leaves to others: mounting (container.py) and power (supervisor.py).

Boot of a host: busybox init runs /etc/init.d/rcS, which empties /tmp, runs every executable /etc/rcS.d/S* with the
argument `start`, and only then brings up the network; after that init keeps sshd and the host's service running.
So whatever a tool installs in /etc/rcS.d is in force before the first packet, as on a real machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from remedy.lab import history, perimeter, services, site_content
from remedy.lab.credentials import Credentials
from remedy.lab.topology import ZONES, Host, Topology

__all__ = ["SECOND_COPY", "copy_backups", "write_common", "write_disk"]

#: Where backup01 keeps its copy of db01's backups.
SECOND_COPY = "srv/backups/db01"


_SSHD_CONFIG = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication yes
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
MaxStartups 200
MaxSessions 200
LoginGraceTime 30
PrintMotd no
PrintLastLog no
X11Forwarding no
Subsystem sftp internal-sftp
"""

_RCS = """\
#!/bin/sh
# What a machine does between power-on and its services: clean up, boot hooks in order, then the network.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
for left in /tmp/* /tmp/.[!.]*; do
  [ -e "$left" ] && rm -rf "$left"
done
mkdir -p /run/lock /run/sshd
[ -f /etc/remedy-lab/site.sql ] && install -d -o mysql -g mysql /run/mysqld
for hook in /etc/rcS.d/S*; do
  [ -x "$hook" ] && "$hook" start </dev/null >>/var/log/boot.log 2>&1
done
. /usr/local/sbin/lab-network >>/var/log/boot.log 2>&1
"""

_NETWORK = """\
#!/bin/sh
# Brings up the host's addresses and, on the router, forwarding and the perimeter's rules.
[ -f /etc/remedy-lab/perimeter.nft ] && nft -f /etc/remedy-lab/perimeter.nft
[ -f /etc/remedy-lab/sysctl ] && sysctl -q -p /etc/remedy-lab/sysctl
exec ip -force -batch /etc/remedy-lab/network
"""

#: The accounts of this lab, made at every start of the server; everything else comes with history.py's layer.
_MARIADB = """\
[mysqld]
init_file = /etc/remedy-lab/site.sql
"""

_NETWORK_UNIT = """\
[Unit]
Description=Addresses of this lab host
DefaultDependencies=no
After=network-pre.target systemd-sysctl.service
Before=network.target
Wants=network-pre.target network.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/lab-network

[Install]
WantedBy=multi-user.target
"""

_FORWARDING = """\
net.ipv4.ip_forward=1
net.ipv6.conf.all.forwarding=1
"""

_BRIDGED = """\
-net.bridge.bridge-nf-call-iptables=0
-net.bridge.bridge-nf-call-ip6tables=0
-net.bridge.bridge-nf-call-arptables=0
"""


def write_common(layer: Path, image: Path, credentials: Credentials) -> None:
    """Write the layer all hosts of this lab share: accounts, sshd's settings, the boot sequence, the programs."""
    _accounts(layer, image, credentials)
    _put(layer, "etc/ssh/sshd_config", _SSHD_CONFIG)
    _put(layer, "etc/init.d/rcS", _RCS, 0o755)
    _put(layer, "usr/local/sbin/lab-network", _NETWORK, 0o755)
    _put(layer, "usr/local/sbin/lab-service", services.LAB_SERVICE, 0o755)
    _put(layer, "etc/systemd/system/lab-network.service", _NETWORK_UNIT)
    pam = (image / "etc/pam.d/common-auth").read_text(encoding="utf-8")
    _put(layer, "etc/pam.d/common-auth", pam.replace("pam_unix.so nullok", "pam_unix.so nullok nodelay"))
    for program in (Path(__file__).parent / "programs").glob("[a-z]*.py"):
        _put(layer, f"{services.PROGRAMS}/{program.name}", program.read_text(encoding="utf-8"), 0o755)


def _accounts(layer: Path, image: Path, credentials: Credentials) -> None:
    password = credentials.sudo_password.read_text(encoding="ascii")
    hashed = subprocess.run(
        ["/usr/sbin/chroot", str(image), "/usr/bin/openssl", "passwd", "-6", "-stdin"],
        input=password,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    people = (("ops", 1000, "*"), ("opspw", 1001, hashed))
    texts = {name: (image / "etc" / name).read_text(encoding="utf-8") for name in ("passwd", "group", "shadow")}
    for name, number, secret in people:
        texts["passwd"] += f"{name}:x:{number}:{number}::/home/{name}:/bin/bash\n"
        texts["group"] += f"{name}:x:{number}:\n"
        texts["shadow"] += f"{name}:{secret}:19800:0:99999:7:::\n"
    _put(layer, "etc/passwd", texts["passwd"])
    _put(layer, "etc/group", texts["group"])
    _put(layer, "etc/shadow", texts["shadow"], 0o640, group=42)
    _put(layer, "etc/sudoers.d/remedy-lab", "ops ALL=(ALL) NOPASSWD: ALL\nopspw ALL=(ALL) ALL\n", 0o440)
    key = credentials.controller_key.with_name("controller.pub").read_text(encoding="ascii")
    for home, owner in (("root", 0), ("home/ops", 1000), ("home/opspw", 1001)):
        _put(layer, f"{home}/.ssh/authorized_keys", key, 0o600, owner=owner, group=owner)
        for folder in (layer / home / ".ssh", layer / home):
            folder.chmod(0o700)
            os.chown(folder, owner, owner)


def write_disk(
    upper: Path, host: Host, topology: Topology, *, image: Path, credentials: Credentials, past: Path
) -> None:
    """Write the files only `host` has, as they are before its first boot; `past` is the layer of db01's last days."""
    zone = ZONES[host.zone]
    _put(upper, "etc/hostname", f"{host.name}\n")
    _put(upper, "etc/hosts", f"127.0.0.1 localhost {host.name}\n::1 localhost ip6-localhost ip6-loopback\n")
    resolvers = "".join(f"nameserver {address}\n" for address in zone.resolvers)
    _put(upper, "etc/resolv.conf", f"search {perimeter.DOMAIN}\n{resolvers}options timeout:1 attempts:1\n")
    key = credentials.host_key(host.name)
    _put(upper, "etc/ssh/ssh_host_ed25519_key", key.read_text(encoding="ascii"), 0o600)
    public = key.with_name(key.name + ".pub").read_text(encoding="ascii")
    _put(upper, "etc/ssh/ssh_host_ed25519_key.pub", public)
    _put(upper, "etc/remedy-lab/network", _network(host, topology))
    _put(upper, "etc/inittab", services.inittab(host))
    _write_router(upper, host, topology)
    for name, unit in services.units(host).items():
        _put(upper, f"etc/init.d/{unit.name}", services.init_script(name, unit), 0o755)
    if "http" in host.services or host.systemd:
        _put(upper, "srv/site/page.html", site_content.PAGE)
        settings = {
            "host": topology["db01"].v4,
            "user": "site",
            "password": credentials.database_password.read_text(encoding="ascii"),
            "database": "site",
        }
        _put(upper, "etc/remedy-lab/site.json", json.dumps(settings), 0o640, group=_number(image, "group", "www-data"))
    if "till" in services.units(host):
        _put(upper, f"{services.STOPPED}/till", "")
    if "mysql" in host.services:
        password = credentials.database_password.read_text(encoding="ascii")
        script = site_content.accounts_script(password, ("198.18.1.%", "2001:db8:0:1:%"))
        _put(upper, "etc/remedy-lab/site.sql", script, 0o600, owner=_number(image, "passwd", "mysql"))
        _put(upper, "etc/mysql/mariadb.conf.d/91-accounts.cnf", _MARIADB)
    if host.name == "backup01":
        copy_backups(upper / SECOND_COPY, past)
    if host.iptables_only:
        _leave_only_legacy_iptables(upper)
    if host.systemd:
        units = upper / "etc/systemd/system"
        (units / "multi-user.target.wants").mkdir(parents=True)
        (units / "multi-user.target.wants/lab-network.service").symlink_to("/etc/systemd/system/lab-network.service")
        (units / "mariadb.service").symlink_to("/dev/null")
        name, text = services.systemd_unit("http")
        _put(upper, f"etc/systemd/system/{name}", text)
        _put(upper, "etc/systemd/system/ssh.service.d/lab.conf", "[Service]\nEnvironment=FAKETIME_SKIP_CMDS=sshd\n")
    else:
        for name in ("reboot", "poweroff", "halt"):
            _link(upper, f"usr/local/sbin/{name}", "/bin/busybox")


def _write_router(upper: Path, host: Host, topology: Topology) -> None:
    """The files of hosts that forward or bridge; none for others."""
    if host.is_router:
        _put(upper, "etc/remedy-lab/perimeter.nft", perimeter.ruleset(topology))
        _put(upper, "etc/remedy-lab/hosts", perimeter.hosts_file(topology))
        _put(upper, "etc/remedy-lab/dnsmasq.conf", perimeter.dnsmasq_conf())
    if host.carries:
        _put(upper, "etc/remedy-lab/sysctl", _FORWARDING + _BRIDGED)
    elif host.is_switch:
        _put(upper, "etc/remedy-lab/sysctl", _BRIDGED)


def copy_backups(folder: Path, past: Path) -> None:
    """The second copy: the same files with the same times, as rsync would have left them."""
    folder.mkdir(parents=True)
    folder.chmod(0o750)
    for path in history.backups(past):
        shutil.copy2(path, folder)


def _network(host: Host, topology: Topology) -> str:
    """The host's addresses and routes as an ip(8) batch; fw01's are those of its bridges, with no way out."""
    lines = ["link set lo up"]
    for zone in host.carries:
        lines.append(f"link set {zone.bridge} up")
        lines.append(f"address add {zone.gateway4}/{zone.prefix} dev {zone.bridge}")
        lines.append(f"address add {zone.gateway6}/64 dev {zone.bridge} nodad")
    if host.is_router:
        for other in topology.hosts:
            for zone in other.carries if other is not host else ():
                lines.append(f"route add {zone.v4} via {other.v4} dev {ZONES[other.zone].bridge} onlink")
                lines.append(f"route add {zone.v6} via {other.v6} dev {ZONES[other.zone].bridge} onlink")
    else:
        zone = ZONES[host.zone]
        lines.append("link set eth0 up")
        lines.append(f"address add {host.v4}/{zone.prefix} dev eth0")
        lines.append(f"address add {host.v6}/64 dev eth0 nodad")
        lines.append(f"route add default via {zone.gateway4} dev eth0")
        lines.append(f"route add default via {zone.gateway6} dev eth0")
    return "\n".join(lines) + "\n"


def _leave_only_legacy_iptables(upper: Path) -> None:
    """No nft of any kind: overlay white-outs (a 0/0 device, see the kernel's overlayfs text) hide the programs."""
    binaries = upper / "usr/sbin"
    binaries.mkdir(parents=True, exist_ok=True)
    for name in ("nft", "xtables-nft-multi"):
        os.mknod(binaries / name, 0o020000, 0)
    alternatives = upper / "etc/alternatives"
    alternatives.mkdir(parents=True, exist_ok=True)
    for family in ("iptables", "ip6tables"):
        for suffix in ("", "-save", "-restore"):
            (alternatives / f"{family}{suffix}").symlink_to(f"/usr/sbin/{family}-legacy{suffix}")


def _number(image: Path, table: str, name: str) -> int:
    """The uid or gid of `name` in the image's passwd or group file."""
    for line in (image / "etc" / table).read_text(encoding="utf-8").splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return int(fields[2])
    raise KeyError(name)


def _link(root: Path, name: str, target: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def _put(root: Path, name: str, text: str, mode: int = 0o644, *, owner: int = 0, group: int = 0) -> None:
    """Write one file of a layer; folders on the way are made with the usual mode."""
    path = root / name.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    if owner or group:
        os.chown(path, owner, group)
