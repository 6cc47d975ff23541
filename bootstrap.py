#!/usr/bin/env python3
"""From a fresh Debian to the demo or the tests, in one command: `sudo python3 bootstrap.py demo|test|setup`.

Installs the Debian packages that are missing (through the machine's own apt sources), makes the virtual environment
`.venv` beside this file with the pinned Python packages of requirements/, and runs what was asked for.
Needs Python 3.11 and nothing else, so it imports only the standard library. Running it again does only what is left.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
OLDEST = (3, 11)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: A program each, and the Debian package it comes in.
FOR_DEMO = {
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "systemd-nspawn": "systemd-container",
    "ssh-keygen": "openssh-client",
}
FOR_TEST = {
    **FOR_DEMO,
    "sshd": "openssh-server",
    "iptables-legacy": "iptables",
    "conntrack": "conntrack",
    "busybox": "busybox",
    "sudo": "sudo",
    "openssl": "openssl",
    "git": "git",
    "tmux": "tmux",
    "mariadbd": "mariadb-server",
    "mariadb-dump": "mariadb-client",
    "mariadb-backup": "mariadb-backup",
    "mydumper": "mydumper",
    "zstd": "zstd",
    "xz": "xz-utils",
    "bzip2": "bzip2",
    "gpg": "gnupg",
    "age": "age",
    "gcc": "gcc",
}


def main(argv: list[str]) -> int:
    """Do what the first word says; the rest of the words go to pytest or to the demo."""
    what, rest = (argv[0], argv[1:]) if argv else ("", [])
    if what not in {"demo", "test", "setup"}:
        print(__doc__)
        return 2
    if sys.version_info < OLDEST:
        print(f"bootstrap: Python {OLDEST[0]}.{OLDEST[1]} or later is needed; this is {sys.version.split()[0]}")
        return 2
    if os.geteuid() != 0:
        print(f"bootstrap: the lab needs root; run: sudo python3 {Path(sys.argv[0]).name} {' '.join(argv)}")
        return 2
    packages(FOR_DEMO if what == "demo" else FOR_TEST)
    environment("demo" if what == "demo" else "test")
    if what == "setup":
        print("bootstrap: ready; try .venv/bin/remedy --help")
        return 0
    program = [str(VENV / "bin" / "remedy"), "lab", "demo"] if what == "demo" else [str(VENV / "bin" / "just"), "test"]
    return run_on(program + rest)


def packages(wanted: dict[str, str]) -> None:
    """Install the Debian packages whose programs are missing, without starting any service of theirs."""
    missing = sorted({package for name, package in wanted.items() if shutil.which(name, path=PATH) is None})
    try:
        import ensurepip  # noqa: F401, PLC0415 -- Debian ships Python without it
        import venv  # noqa: F401, PLC0415
    except ImportError:
        missing.append("python3-venv")
    if not missing:
        return
    if shutil.which("apt-get") is None:
        print(f"bootstrap: install the packages that provide: {' '.join(missing)} (no apt-get on this machine)")
        raise SystemExit(2)
    print(f"bootstrap: installing Debian packages: {' '.join(missing)}")
    options = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with no_services():
        say(["apt-get", "update", "-q"], options)
        say(["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing], options)


@contextlib.contextmanager
def no_services() -> Iterator[None]:
    """Keep packages from starting daemons on this machine: invoke-rc.d asks policy-rc.d, which says no (101)."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


def environment(which: str) -> None:
    """Make .venv with the pinned packages, unless it is there with exactly these."""
    pins = HERE / "requirements" / f"{which}.txt"
    mark = VENV / f"made-from-{which}"
    digest = hashlib.sha256(pins.read_bytes() + (HERE / "pyproject.toml").read_bytes()).hexdigest()
    if mark.exists() and mark.read_text(encoding="ascii") == digest:
        return
    if not (VENV / "bin" / "python").exists():
        print("bootstrap: making the virtual environment .venv")
        say([sys.executable, "-m", "venv", str(VENV)], dict(os.environ))
    python = str(VENV / "bin" / "python")
    print(f"bootstrap: installing the Python packages of requirements/{pins.name}")
    say([python, "-m", "pip", "install", "-q", "--require-hashes", "-r", str(pins)], dict(os.environ))
    build = [python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "-e", str(HERE)]
    say(build, dict(os.environ))
    mark.write_text(digest, encoding="ascii")


def say(argv: list[str], env: dict[str, str]) -> None:
    """Run a program; show what it said only when it fails."""
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stdout[-4000:], done.stderr[-4000:], sep="\n")
        print(f"bootstrap: {argv[0]} failed with {done.returncode}; nothing of the demo or the tests has run")
        raise SystemExit(1)


def run_on(argv: list[str]) -> int:
    """Become the program, in the project's folder, with its own tools first on PATH."""
    os.chdir(HERE)
    os.environ["PATH"] = f"{VENV / 'bin'}:{os.environ.get('PATH', PATH)}:/usr/sbin:/sbin"
    sys.stdout.flush()
    os.execv(argv[0], argv)  # noqa: S606 -- an argument vector, no shell
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
