"""The disk image all lab hosts share, and what the machine must have to build and run it.

Decides which Debian packages are needed and when the cached image is still the right one.
Leaves to others: everything that differs between labs and hosts (layers.py).

The image is built by mmdebstrap(1) from the machine's own apt sources and cached under a name derived from the
package list, so that a changed list gives a new image and an interrupted build leaves no half one behind.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from remedy.core.errors import RemedyError, TargetUnfit

__all__ = ["CACHE", "PROGRAMS", "ensure_image", "image_path", "load_modules", "missing", "require_machine"]

CACHE = Path("/var/cache/remedy-lab")

#: The machine's programs the lab uses, and the Debian package each comes in.
PROGRAMS: Mapping[str, str] = {
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "systemd-nspawn": "systemd-container",
}

#: Loaded before the first host boots: root in a host may not load modules, and iptables' legacy tables are never
#: loaded by the kernel on its own.
_MODULES = (
    "overlay",
    "veth",
    "bridge",
    "tun",
    "nf_tables",
    "nf_conntrack",
    "ip_tables",
    "ip6_tables",
    *(f"{family}table_{table}" for family in ("ip", "ip6") for table in ("filter", "mangle", "nat", "raw")),
)

_PACKAGES = (
    "busybox",
    "bzip2",
    "ca-certificates",
    "conntrack",
    "dbus",
    "dnsmasq-base",
    "iproute2",
    "iptables",
    "iputils-ping",
    "libfaketime",
    "mariadb-backup",
    "mariadb-client",
    "mariadb-server",
    "mydumper",
    "netcat-openbsd",
    "nftables",
    "openssh-client",
    "openssh-server",
    "openssl",
    "procps",
    "python3",
    "python3-pymysql",
    "rsync",
    "sudo",
    "systemd",
    "systemd-sysv",
    "xz-utils",
    "zstd",
)

#: Run by mmdebstrap once the packages are in; "$1" is the image. Boot hooks that only make sense on real hardware and
#: the package's own host keys go, so that every host starts without any.
_FINISHING = (
    'rm -f "$1"/etc/rcS.d/* "$1"/etc/ssh/ssh_host_*',
    'rm -rf "$1"/usr/share/doc/* "$1"/usr/share/man/* "$1"/usr/share/locale/* "$1"/var/lib/apt/lists/*',
    'rm -f "$1"/etc/resolv.conf "$1"/etc/hostname "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*',
)

_FORMAT = 1  # raise it when _FINISHING changes


def missing(needed: Mapping[str, str] = PROGRAMS) -> list[str]:
    """What this machine lacks, one sentence each, the last one saying how to get it; empty when all is there.

    `needed` maps programs to the Debian packages they come in.
    """
    lacking = []
    if os.geteuid() != 0:
        lacking.append("root: network namespaces and mounts need it; run the command again with sudo")
    programs = [name for name in needed if shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") is None]
    lacking += [f"the program {name} (Debian package {needed[name]})" for name in programs]
    if not lacking:
        load_modules()
        if "overlay" not in Path("/proc/filesystems").read_text(encoding="ascii").split():
            lacking.append("a kernel with the overlay file system")
    if programs:
        packages = " ".join(dict.fromkeys(needed[name] for name in programs))
        lacking.append(f"install them: apt-get update && apt-get install --yes --no-install-recommends {packages}")
    return lacking


def load_modules() -> None:
    """Load the kernel modules hosts use but may not load themselves; those built in or absent are passed over."""
    if shutil.which("modprobe", path="/usr/sbin:/usr/bin:/sbin:/bin") is not None:
        subprocess.run(["modprobe", "--all", "--quiet", *_MODULES], check=False, capture_output=True)


def require_machine(needed: Mapping[str, str] = PROGRAMS) -> None:
    """Raise TargetUnfit naming everything `missing` names; return when nothing is."""
    lacking = missing(needed)
    if lacking:
        raise TargetUnfit("this machine cannot run the lab; missing: " + "; ".join(lacking), hint=lacking[-1])


def image_path(cache: Path = CACHE) -> Path:
    """Where the image for today's package list is, built or not."""
    text = "\n".join((str(_FORMAT), _release(), *_PACKAGES, *_FINISHING))
    return cache / f"image-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def ensure_image(progress: Callable[[str], None], cache: Path = CACHE) -> Path:
    """Return the image, building it first if need be (about half a minute, 600 MB, once).

    `progress` receives one line per stage. Raises RemedyError with mmdebstrap's last lines when it fails.
    """
    image = image_path(cache)
    if image.is_dir():
        return image
    cache.mkdir(parents=True, exist_ok=True)
    progress("building the hosts' disk image, once (about half a minute)")
    unfinished = cache / f"{image.name}.unfinished-{os.getpid()}"
    argv = ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(_PACKAGES)}"]
    argv += [f"--customize-hook={line}" for line in _FINISHING]
    argv += [_release(), str(unfinished), *_sources()]
    try:
        _build(argv, progress)
        unfinished.rename(image)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    for old in cache.glob("image-*"):
        if old != image and ".unfinished-" not in old.name:
            shutil.rmtree(old, ignore_errors=True)
    progress("disk image ready")
    return image


def _build(argv: list[str], progress: Callable[[str], None]) -> None:
    said: list[str] = []
    with subprocess.Popen(  # its own session: Ctrl-C reaches only us, and we stop it below
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as build:
        try:
            for line in build.stderr or ():
                said.append(line.strip())
                if line.startswith("I: ") and not line.startswith("I: chroot architecture"):
                    progress(f"disk image: {line[3:].strip()}")
        except BaseException:
            build.terminate()
            build.wait()
            raise
    if build.returncode != 0:
        raise RemedyError(
            f"mmdebstrap failed with {build.returncode}: {' | '.join(said[-5:])}",
            where="building the lab's disk image",
            hint="check that apt-get update works on this machine, then try again",
        )


def _release() -> str:
    """The code name of the machine's Debian, or bookworm when the machine is something else."""
    fields = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines() if "=" in line
    )
    if fields.get("ID") != "debian":
        return "bookworm"
    return fields.get("VERSION_CODENAME", "bookworm").strip('"')


def _sources() -> list[str]:
    """The machine's own Debian sources as one-line apt entries; empty means mmdebstrap's default ones."""
    shown = subprocess.run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "deb $(REPO_URI) $(RELEASE) $(COMPONENT)",
            "Created-By: Packages",
            "Origin: Debian",
        ],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    entries = [line for line in shown.stdout.splitlines() if line.split(" ")[2:3] and _release() in line.split(" ")[2]]
    return list(dict.fromkeys(line for line in entries if line.endswith(" main")))
