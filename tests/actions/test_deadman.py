"""The dead-man timer as a process on a host: found, replaced, ended, by each shell that hosts have."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from typing import Final

import pytest
from tests.worlds.namespaces import Host

from remedy.actions.containment import deadman, nft
from remedy.actions.containment.paths import Paths
from remedy.core.values import Command, Context, Guard

PATHS: Final = Paths(("198.18.3.1",), 22)


def guard(seconds: int = 60) -> Guard:
    """The timer of run R1."""
    context = Context("R1", "INC-1", "0")
    rules = nft.rules(PATHS, context, before="", after="", fallen="", bridge=False, reopen=False)
    return deadman.guard("web01", rules, context, seconds=seconds, reopen=False)


class Console:
    """A host, and a shell on it that is dash or busybox's with busybox's tools alone."""

    def __init__(self, shell: str) -> None:
        """Start the host."""
        self.host = Host("web01")
        self.path = ""
        if shell == "busybox":
            self.path = "/run/bb"
            self.host.run("mkdir /run/bb; busybox --install -s /run/bb; ln -s $(command -v nft) /run/bb/nft")

    def do(self, command: Command) -> tuple[int, str]:
        """Run a command as the transport does; its status and what it says."""
        argv = command.argv if not self.path else ("env", f"PATH={self.path}", *command.argv)
        done = subprocess.run(
            self.host.enter(*argv), input=command.stdin, capture_output=True, text=True, check=False, timeout=20
        )
        return done.returncode, (done.stdout + done.stderr).strip()

    def state(self) -> str:
        """What the timer's probe says."""
        return self.do(guard().state.command)[1]

    def timers(self) -> set[str]:
        """The sessions of the timer's processes, shells and sleeps."""
        script = "ps -eo sid=,user=,args= | grep 'remedy-[d]eadman\\|sleep [67]0' | grep -v nobody || :"
        return {line.split()[0] for line in self.host.run(script).splitlines()}


@pytest.fixture(params=["dash", "busybox"])
def console(request: pytest.FixtureRequest) -> Iterator[Console]:
    """A fresh host."""
    made = Console(request.param)
    yield made
    made.host.close()


def test_armed_and_disarmed(console: Console) -> None:
    """Armed it is seen to tick; disarmed nothing of it is left, its sleep included; a second disarming says so."""
    assert console.state() == "off"
    assert console.do(guard().arm) == (0, "")
    assert console.state() == "armed"
    assert console.do(guard().disarm) == (0, "")
    assert console.state() == "off"
    assert console.timers() == set()
    assert console.do(guard().disarm) == (3, "no timer of this run is ticking")


def test_arming_again_starts_anew(console: Console) -> None:
    """Arming ends the run's earlier timer and starts a new one, so that a resumed run has its full time again."""
    assert console.do(guard(60).arm)[0] == 0
    first = console.timers()
    assert console.do(guard(70).arm)[0] == 0
    second = console.timers()
    assert len(first) == len(second) == 1, "one timer, with what it has started"
    assert first != second
    assert console.do(guard().disarm)[0] == 0
    assert console.timers() == set()


def test_impostor_does_not_count(console: Console) -> None:
    """A process of another user that bears the run's name is no timer: not seen, not believed, and left alone."""
    argv = ("setpriv", "--reuid", "65534", "--clear-groups", "sh", "-c", "sleep 60; :", "remedy-deadman-R1")
    impostor = subprocess.Popen(console.host.enter(*argv))
    end = time.monotonic() + 5
    while not re.search("^nobody .*remedy-deadman-R1", console.host.run("ps -eo user=,args="), re.MULTILINE):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert console.state() == "off"
    assert console.do(guard().disarm)[0] == 3
    assert console.do(guard().arm) == (0, "")
    assert console.state() == "armed"
    assert console.do(guard().disarm) == (0, "")
    assert console.state() == "off"
    assert impostor.poll() is None
    impostor.terminate()
    impostor.wait(10)


SYSTEMD_RUN: Final = """#!/bin/sh
echo "$*" >> /run/scopes
[ -e /run/broken ] && exit 1
while :; do case $1 in --*) shift ;; *) exec "$@" ;; esac; done
"""


@pytest.mark.parametrize("works", [True, False])
def test_scope_of_its_own_under_systemd(works: bool) -> None:  # noqa: FBT001 -- a parameter
    """Under systemd the timer runs in a scope of its own, and without one where systemd-run gives none."""
    console = Console("dash")
    try:
        console.host.run(
            'mkdir -p /run/systemd/system /run/bin; printf %s "$1" > /run/bin/systemd-run; '
            "chmod +x /run/bin/systemd-run",
            SYSTEMD_RUN,
        )
        if not works:
            console.host.run(": > /run/broken")
        console.path = "/run/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        assert console.do(guard().arm) == (0, "")
        asked = console.host.run("cat /run/scopes")
        assert ("--scope setsid sh" in asked) == works
        assert console.state() == "armed"
        assert len(console.timers()) == 1
        assert console.do(guard().disarm) == (0, "")
        assert console.timers() == set()
    finally:
        console.host.close()
