"""Who may ask and who may change, and how connections are kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from remedy.core.canon import Json
from remedy.core.errors import (
    AnswerUnusable,
    ConnectFailed,
    ConnectionLost,
    Refused,
    RemedyError,
    TimedOut,
    UnknownTarget,
)
from remedy.core.ports import Connection
from remedy.core.values import Command, Probe, Reply, Target
from remedy.transports.guard import CONTROLLER, Hosts, Login, Sessions, read_only
from remedy.transports.ssh import SshConnector

from .conftest import LIMITS, Sshd, reveal


class World:
    """Hosts in memory: each connection echoes its commands' words, counts, and fails as it is told."""

    def __init__(self) -> None:
        """All hosts up."""
        self.opened: list[str] = []
        self.ran: list[tuple[str, str]] = []
        self.closed: list[str] = []
        self.dead: set[str] = set()
        self.fail: list[RemedyError] = []
        self.slow = 0.0

    def lookup(self, name: str) -> Target:
        """Every name but one is a host."""
        if name == "nobody":
            raise UnknownTarget("no such host", where=name)
        return Target(name, name)

    def connect(self, target: Target) -> Connection:
        """Open, or fail slowly."""
        if target.name in self.dead:
            time.sleep(self.slow)
            raise ConnectFailed("down", where=target.name)
        self.opened.append(target.name)
        return Wired(self, target.name)


class Wired:
    """One connection into a World."""

    user, peer, host_key = "root", "198.18.0.1 port 22", "SHA256:x"

    def __init__(self, world: World, name: str) -> None:
        """Open."""
        self.world = world
        self.name = name

    def run(self, commands: Sequence[Command]) -> tuple[Reply, ...]:
        """Echo the words, or fail as told."""
        if self.world.fail:
            raise self.world.fail.pop(0)
        self.world.ran += [(self.name, command.argv[0]) for command in commands]
        return tuple(Reply(0, " ".join(command.argv).encode()) for command in commands)

    def close(self) -> None:
        """Count it."""
        self.world.closed.append(self.name)


def parse(name: str, reply: Reply) -> Json:
    """Parsers: text gives the output; broken fails as a defect would; refused as a parser should."""
    if name == "broken":
        raise ValueError("no")
    if name == "refused":
        raise AnswerUnusable("no table")
    return reply.out.decode()


def ask(word: str, parser: str = "text") -> Probe:
    """A question that is answered by its own word."""
    return Probe(Command((word,)), parser)


def test_hosts_cannot_send() -> None:
    """The reader of a dry-run has no method that changes anything; the engine's has."""
    assert not hasattr(Hosts, "send")
    assert hasattr(Sessions, "send")


def test_read_only_refuses_a_change_loudly() -> None:
    """Sending through what a plan holds is an error, and nothing reaches the host."""
    world = World()
    guarded = read_only(Sessions(world.connect, world.lookup, parse))
    assert guarded.ask([ask("a")], at="web01") == ("a",)
    assert guarded.ask_all([("web01", [ask("b")])]) == (("b",),)
    with pytest.raises(Refused, match="nft"):
        guarded.send(Command(("nft", "flush")), at="web01")
    assert world.ran == [("web01", "a"), ("web01", "b")]


def test_one_connection_serves_a_whole_action() -> None:
    """Questions and changes share the connection, until it is renewed."""
    world = World()
    with Sessions(world.connect, world.lookup, parse) as sessions:
        assert sessions.login("web01") is None
        assert sessions.ask([ask("a"), ask("b")], at="web01") == ("a", "b")
        assert sessions.send(Command(("c",)), at="web01") == Reply(0, b"c")
        assert sessions.login("web01") == Login("root", "198.18.0.1 port 22", "SHA256:x")
        assert world.opened == ["web01"]
        sessions.renew("web01")
        sessions.renew("never-opened")
        assert sessions.ask([ask("d")], at="web01") == ("d",)
    assert world.opened == world.closed == ["web01", "web01"]


def test_a_question_without_probes_opens_nothing() -> None:
    """Nothing asked, nothing opened."""
    world = World()
    assert Hosts(world.connect, world.lookup, parse).ask([], at="web01") == ()
    assert world.opened == []


@pytest.mark.parametrize("error", [ConnectionLost("gone"), ConnectFailed("gone")])
def test_a_question_is_asked_again_when_a_kept_connection_has_died(error: RemedyError) -> None:
    """Reading twice does no harm; a fresh connection that fails is an error, though."""
    world = World()
    hosts = Hosts(world.connect, world.lookup, parse)
    hosts.ask([ask("a")], at="web01")
    world.fail = [error]
    assert hosts.ask([ask("b")], at="web01") == ("b",)
    assert world.opened == ["web01", "web01"]
    hosts.close()
    world.fail = [error]
    with pytest.raises(type(error)):
        hosts.ask([ask("c")], at="web01")


def test_a_change_in_doubt_is_never_sent_again() -> None:
    """After a break nobody knows whether the change took effect; only what surely was not sent is sent anew."""
    world = World()
    sessions = Sessions(world.connect, world.lookup, parse)
    for error in (ConnectionLost("gone"), TimedOut("silent")):
        sessions.ask([ask("a")], at="web01")
        world.ran.clear()
        world.fail = [error]
        with pytest.raises(type(error)):
            sessions.send(Command(("b",)), at="web01")
        assert world.ran == []
    sessions.ask([ask("a")], at="web01")
    world.fail = [ConnectFailed("nothing was sent")]
    assert sessions.send(Command(("c",)), at="web01") == Reply(0, b"c")


def test_unreadable_answers_name_host_and_parser() -> None:
    """A parser that fails, by intent or defect, yields an error that says where and about what."""
    world = World()
    hosts = Hosts(world.connect, world.lookup, parse)
    with pytest.raises(AnswerUnusable, match=r"web01: broken cannot read the answer of a\\x1b \(status 0\)"):
        hosts.ask([ask("a\x1b", "broken")], at="web01")
    with pytest.raises(AnswerUnusable, match="web01: no table"):
        hosts.ask([ask("a", "refused")], at="web01")


def test_dead_hosts_do_not_delay_live_ones() -> None:
    """Live hosts have answered while dead ones still wait; each dead one yields its error in its place."""
    world = World()
    world.dead, world.slow = {f"dead{n}" for n in range(50)}, 0.5
    names = [name for n in range(50) for name in (f"dead{n}", f"live{n}")]
    hosts = Hosts(world.connect, world.lookup, parse)
    finished: list[float] = []
    start = time.monotonic()

    def watch() -> None:
        while len(world.ran) < 50:
            time.sleep(0.005)
        finished.append(time.monotonic() - start)

    watcher = threading.Thread(target=watch)
    watcher.start()
    answers = hosts.ask_all([(name, [ask(name)]) for name in names])
    watcher.join()
    assert finished[0] < 0.4
    for name, answer in zip(names, answers, strict=True):
        if name in world.dead:
            assert isinstance(answer, ConnectFailed)
            assert answer.where == name
        else:
            assert answer == (name,)


def test_asking_one_host_twice_at_once_opens_one_connection() -> None:
    """Threads that need the same host wait for one login."""
    world = World()
    answers = Hosts(world.connect, world.lookup, parse).ask_all([("web01", [ask(str(n))]) for n in range(20)])
    assert answers == tuple((str(n),) for n in range(20))
    assert world.opened == ["web01"]


def test_unknown_hosts_and_no_questions() -> None:
    """A name nobody knows is that host's error alone; no questions, no answers."""
    world = World()
    hosts = Hosts(world.connect, world.lookup, parse)
    nobody, live = hosts.ask_all([("nobody", [ask("a")]), ("web01", [ask("a")])])
    assert isinstance(nobody, UnknownTarget)
    assert live == ("a",)
    assert hosts.ask_all([]) == ()


def test_the_controller_is_local() -> None:
    """What is asked of the controller runs here, without looking it up."""
    world = World()
    hosts = Hosts(world.connect, world.lookup, parse, local=Wired(world, "here"))
    assert hosts.ask([ask("a")], at=CONTROLLER) == ("a",)
    assert world.opened == []
    assert world.ran == [("here", "a")]


def test_over_real_sessions(sshd: Sshd) -> None:
    """A session whose server was restarted is opened again for the next question, and a renewed one is new."""
    server = sshd()
    target = server.target
    dead = replace(target, name="dead", port=1)
    hosts = {"web01": target, "dead": dead}
    with Sessions(SshConnector(reveal, limits=LIMITS), hosts.__getitem__, parse) as sessions:
        number = Probe(Command(("sh", "-c", "echo $SSH_CONNECTION")), "text")
        first, second = (sessions.ask([number], at="web01") for _ in range(2))
        sessions.renew("web01")
        third = sessions.ask([number], at="web01")
        assert first == second != third
        down, up = sessions.ask_all([("dead", [number]), ("web01", [number])])
        assert isinstance(down, ConnectFailed)
        assert up == third
        login = sessions.login("web01")
        assert login
        assert login.host_key.startswith("SHA256:")
