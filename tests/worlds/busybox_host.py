"""A host that has nothing but busybox and sshd: a root folder of its own, entered before sshd starts.

Decides what is in it. Leaves to others: starting the server (the `sshd` fixture, with `wrap`).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

#: $1 the root, $2 and $3 folders that are seen there too; the rest is the server.
ENTER = r"""
set -e
root=$1 keys=$2 config=$3; shift 3
mkdir -p "$root/proc" "$root/dev" "$root/tmp" "$root/dev/shm"
mount -t tmpfs tmp "$root/tmp"
for seen in "$keys" "$config"; do mkdir -p "$root$seen"; mount --bind "$seen" "$root$seen"; done
mount -t proc proc "$root/proc"
mount -t tmpfs shm "$root/dev/shm"
for node in null zero urandom random; do : >"$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"; done
exec chroot "$root" "$@"
"""


def build(root: Path) -> Path:
    """Fill the root folder: busybox with a link for each of its programs, sshd with its libraries, logs and a site."""
    for name in ("bin", "usr/sbin", "etc", "run/sshd", "var/log/nginx", "var/www/html", "root", "var/tmp", "home/op"):
        (root / name).mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox, "apt-get install busybox"
    shutil.copy(busybox, root / "bin/busybox")
    for name in subprocess.run((busybox, "--list"), capture_output=True, text=True, check=True).stdout.split():
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")
    for program in ("/usr/sbin/sshd", busybox):
        said = subprocess.run(("ldd", program), capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(/\S+) \(0x", said):
            place = root / library.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, place)
    shutil.copy("/usr/sbin/sshd", root / "usr/sbin/sshd")
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "var/log/messages").write_text("boot\n" * 100)
    (root / "var/log/nginx/access.log").write_text("GET /\n" * 1000)
    (root / "var/www/html/index.html").write_text("<h1>owned</h1>\n")
    return root


def wrap(root: Path, keys: Path, config: Path) -> tuple[str, ...]:
    """What the server is started by; the folders of its keys and of its configuration are seen there too."""
    inside = ("sh", "-c", ENTER, "sh", str(root), str(keys), str(config))
    return ("unshare", "--mount", "--propagation", "private", *inside)
