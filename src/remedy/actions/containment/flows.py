"""Cutting what is already open: sockets of the host, and tracked flows that pass through it.

The rules alone stop every packet of a live session; but a session that merely stalls comes back to life when the host
is released. `ss -K` (ss(8), kernel option INET_DIAG_DESTROY) ends the sockets, those of containers too: in every
network namespace that a process of the host is in (nsenter(1)). `conntrack -D` (conntrack(8)) forgets tracked flows;
it ends with 1 when nothing matched: no failure.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from remedy.actions.containment.paths import Paths
from remedy.core.values import Change, Command, wanted
from remedy.probes import sockets

#: `set -f`: the filter's brackets are no patterns to the shell. conntrack's listing has a flow a line:
#: ``ipv4 2 tcp 6 431999 ESTABLISHED src=… dst=… sport=… dport=… src=… …``; the first four fields name it.
_CUT = r"""
PATH="$PATH:/usr/sbin:/sbin"; set -f
keep=$1 port=$2; shift 2
ss -H -K -t state connected $keep >/dev/null; ok=$?
ss -H -K -u state connected $keep >/dev/null || ok=$?
set +f; own=$(readlink /proc/self/ns/net)
find /proc/[0-9]*/ns/net -printf '%l %p\n' 2>/dev/null | sort -u -k 1,1 | while read -r name place; do
  [ "$name" = "$own" ] || nsenter --net="$place" ss -H -K state connected not dst 127.0.0.0/8 and not dst '[::1]'
done >/dev/null 2>&1
set -f
command -v conntrack >/dev/null 2>&1 || exit $ok
conntrack -L -o extended 2>/dev/null | awk -v own="$*" -v port="$port" '
BEGIN { n = split(own, k, " "); for (i = 1; i <= n; i++) mine[k[i]] = 1 }
NR <= 20000 && ($3 == "tcp" || $3 == "udp") {
  s = d = sp = dp = ""
  for (i = 4; i <= NF; i++) {
    split($i, a, "=")
    if (a[1] == "src" && s == "") s = a[2]
    if (a[1] == "dst" && d == "") d = a[2]
    if (a[1] == "sport" && sp == "") sp = a[2]
    if (a[1] == "dport" && dp == "") dp = a[2]
  }
  if (s ~ /^127\./ || s == "::1") next
  if (dp == port && (d in mine) || (s in mine) && (d in mine)) next
  print $1, $3, s, d, sp, dp
}' | while read -r f p s d sp dp; do
  conntrack -D -f "$f" -p "$p" -s "$s" -d "$d" --sport "$sp" --dport "$dp" >/dev/null 2>&1
done
exit $ok
"""


def cut(target: str, paths: Paths, own: Sequence[str]) -> Change:
    """The step that ends every live flow except management's to sshd, loopback's, and those of the host with itself.

    `own` are the host's own addresses.
    """
    spared = [f"dst {_ss(net)} and sport = :{paths.port}" for net in paths.management]
    keep = " and ".join(f"not ( {one} )" for one in ("dst 127.0.0.0/8", "dst [::1]", *map(_own, own), *spared))
    return Change(
        why="end live sessions, so that none comes back to life on release",
        at=target,
        do=Command(("sh", "-c", _CUT, "remedy-cut", keep, str(paths.port), *own)),
        seen=sockets.foreign(paths.management, paths.port),
        after=wanted([]),
        essential=False,
    )


def _own(address: str) -> str:
    return f"dst {_ss(address)}"


def _ss(address: str) -> str:
    """An address or prefix as ss's filter takes it; ss matches IPv4-mapped peers by their IPv4 address."""
    net = ipaddress.ip_network(address)
    text = f"{net.network_address}/{net.prefixlen}"
    return f"[{text}]" if net.version == 6 else text  # noqa: PLR2004 -- the IP version
