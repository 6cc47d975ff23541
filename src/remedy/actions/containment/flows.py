"""Cutting what is already open: sockets of the host, and tracked flows that pass through it.

The rules alone stop every packet of a live session; but a session that merely stalls comes back to life when the host
is released. `ss -K` (ss(8), kernel option INET_DIAG_DESTROY) ends the sockets, `conntrack -D` (conntrack(8)) forgets
the flows of containers. conntrack ends with 1 when nothing matched: no failure.
"""

from __future__ import annotations

import ipaddress

from remedy.actions.containment.paths import Paths
from remedy.core.values import Change, Command, wanted
from remedy.probes import sockets

#: `set -f`: the filter's brackets are no patterns to the shell. conntrack's listing has a flow a line:
#: ``ipv4 2 tcp 6 431999 ESTABLISHED src=… dst=… sport=… dport=… src=… …``; the first four fields name it.
_CUT = r"""
PATH="$PATH:/usr/sbin:/sbin"; set -f
keep=$1; shift
ss -H -K -t state connected $keep >/dev/null; ok=$?
ss -H -K -u state connected $keep >/dev/null || ok=$?
command -v conntrack >/dev/null 2>&1 || exit $ok
conntrack -L -o extended 2>/dev/null | awk -v keep="$*" '
BEGIN { n = split(keep, k, " ") }
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
  for (i = 1; i <= n; i++) if (s == k[i] || d == k[i]) next
  print $1, $3, s, d, sp, dp
}' | while read -r f p s d sp dp; do
  conntrack -D -f "$f" -p "$p" -s "$s" -d "$d" --sport "$sp" --dport "$dp" >/dev/null 2>&1
done
exit $ok
"""


def cut(target: str, paths: Paths) -> Change:
    """The step that ends every live flow except management's and loopback's."""
    hosts = tuple(a for a in paths.management if "/" not in a)
    keep = " ".join(["not dst 127.0.0.0/8 and not dst [::1]", *map(_not, paths.management)])
    return Change(
        why="end live sessions, so that none comes back to life on release",
        at=target,
        do=Command(("sh", "-c", _CUT, "remedy-cut", keep, *hosts)),
        seen=sockets.foreign(paths.management, paths.port),
        after=wanted([]),
        essential=False,
    )


def _not(address: str) -> str:
    """The ss filter that spares a management address or prefix; ss matches IPv4-mapped peers by their IPv4 address."""
    net = ipaddress.ip_network(address)
    if net.version == 6:  # noqa: PLR2004 -- the IP version
        return f"and not dst [{net.network_address}/{net.prefixlen}]"
    return f"and not dst {net.network_address}/{net.prefixlen}"
