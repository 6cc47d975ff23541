"""Targets behind jump hosts, all of them real servers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from remedy.core.errors import ConnectFailed, HostKeyError
from remedy.core.values import Command, Target
from remedy.transports.ssh import SshConnection, SshConnector

from .conftest import Keys, Sshd, free_port

Connect = Callable[[Target], SshConnection]


def test_a_chain_of_two_jump_hosts(sshd: Sshd, connect: Connect, connector: SshConnector) -> None:
    """The target sees the last jump host; the sessions with both are shared and closed with the last user."""
    first, second, last = sshd(), sshd(), sshd()
    target = replace(last.target, jump=(first.target, second.target))
    one, two = connect(target), connect(target)
    assert one.run([Command(("echo", "through"))])[0].out == b"through\n"
    assert two.run([Command(("echo", "too"))])[0].out == b"too\n"
    hops = [hop.session for hop in connector._hops.values()]
    assert len(hops) == 2
    one.close()
    assert all(hop.is_active() for hop in hops)
    two.close()
    assert not any(hop.is_active() for hop in hops)
    assert connector._hops == {}


def test_each_jump_host_is_checked(sshd: Sshd, connect: Connect, keys: Keys, connector: SshConnector) -> None:
    """A jump host with a changed key is refused, and nothing is left open."""
    first, second, last = sshd(), sshd(), sshd()
    wrong = replace(second.known(f"NAME {keys.public('rsa')}"), name="jump02")
    with pytest.raises(HostKeyError, match="jump02"):
        connect(replace(last.target, jump=(first.target, wrong)))
    assert connector._hops == {}


def test_a_jump_host_that_cannot_reach_the_target(sshd: Sshd, connect: Connect, connector: SshConnector) -> None:
    """The message says which jump host cannot reach what; forbidden forwarding looks the same."""
    closed = Target("db01", "127.0.0.1", free_port())
    for server in (sshd(), sshd("AllowTcpForwarding no")):
        jump = replace(server.target, name="jump01")
        with pytest.raises(ConnectFailed, match=r"db01: the jump host jump01 cannot reach 127.0.0.1 port"):
            connect(replace(closed, jump=(jump,)))
    assert connector._hops == {}


def test_a_dead_jump_host_is_entered_again(sshd: Sshd, connect: Connect, connector: SshConnector) -> None:
    """A new connection does not fail because an older one's jump host session has died."""
    jump, last = sshd(), sshd()
    target = replace(last.target, jump=(jump.target,))
    first = connect(target)
    next(iter(connector._hops.values())).session.close()
    assert connect(target).run([Command(("echo", "x"))])[0].out == b"x\n"
    first.close()
    assert len(connector._hops) == 1
