"""Bad days of a device, on the faces whose own words and ways they are: each ends with what it was and what to do."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.worlds.acting import Settled
from tests.worlds.firewalls import OTHERS, Firewall, firewall

from remedy import devices
from remedy.actions.block import Block
from remedy.actions.perimeter import device as typing
from remedy.actions.prepare import Prepare
from remedy.core.errors import AnswerUnusable, ConnectFailed, ElevationFailed, Refused, TargetUnfit, Unreachable
from remedy.core.values import Command, Plan
from remedy.engine.job import Event
from remedy.engine.outcome import Outcome
from remedy.lab.devices import named

ATTACKER: Final = "203.0.113.7"
CISCO: Final = ("asa", "ios")
#: Events at which something happens: the timer runs, everything was typed.
ARMED: Final = ("reply", "arm the dead-man timer")
CONFIRMING: Final = ("phase", "confirming over a fresh login")
#: What a real terminal does besides answering.
NOISE: Final = {"monitor": True, "log_every": 3, "log_at_prompt": 4, "page": 10}


def typed(fw: Firewall, *lines: str) -> None:
    """Somebody else types this, and saves."""
    for command in (typing.configure(lines), typing.save("fw01", devices.named(fw.vendor)).do):
        reply = fw.sessions.send(command, at="fw01")
        assert (reply.status, reply.err) == (0, b""), reply


@contextlib.contextmanager
def prepared(folder: Path, face: str, **options: Any) -> Iterator[Firewall]:  # noqa: ANN401 -- the device's
    """A device with an administrator's rules, set up for blocking, saved."""
    with firewall(folder, face, **options) as fw:
        typed(fw, *OTHERS[face])
        outcome = fw.act(Prepare(fw.vendor, fw.gate, 4, seconds=3600), "P4")
        assert outcome.status == "verified", outcome.doubts
        yield fw


@pytest.fixture(params=CISCO)
def fw(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Firewall]:
    """Each of Cisco's faces."""
    with prepared(tmp_path, request.param) as made:
        yield made


def block(fw: Firewall, *, seconds: int = 30) -> Block:
    """The action."""
    return Block(fw.vendor, (fw.gate,), (ATTACKER,), seconds=seconds)


def said(outcome: Outcome) -> str:
    """All its doubts."""
    return "; ".join(outcome.doubts)


def test_a_wrong_enable_password(fw: Firewall) -> None:
    """It is 21 with which password it was and where that comes from; the password itself is not shown."""
    fw.log_in_as("admin", "Admin-1", become="Wrong-1")
    with pytest.raises(ElevationFailed, match="enable was refused") as caught:
        fw.plan(block(fw))
    assert "ansible_become_password" in caught.value.hint
    assert "Wrong-1" not in str(caught.value) + caught.value.hint


def test_an_account_without_enable(fw: Firewall) -> None:
    """An account that cannot read the configuration decides nothing, and is told what it lacks."""
    fw.log_in_as("guest", "Guest-1")
    with pytest.raises(AnswerUnusable, match="refused to show") as caught:
        fw.plan(block(fw))
    assert "may the account read" in caught.value.hint


def test_commands_that_are_not_authorized(fw: Firewall) -> None:
    """Where each command is authorized, one that is not is named, and nothing was changed."""
    before = fw.asked("running")
    fw.set(refuse="^configure", refusal="Command authorization failed.")
    outcome = fw.act(block(fw), "B1")
    assert outcome.exit_code == 20
    assert "Command authorization failed" in said(outcome)
    assert fw.asked("running") == before == fw.asked("saved")


def test_held_by_another_administrator(fw: Firewall) -> None:
    """While somebody else has the configuration to himself nothing is changed, and he is named."""
    before = fw.asked("running")
    fw.set(locked_by="ann")
    outcome = fw.act(block(fw), "B1")
    assert outcome.exit_code == 20
    assert "user 'ann'" in said(outcome)
    assert fw.asked("running") == before
    fw.set(locked_by="")
    assert fw.act(block(fw), "B2").status == "verified"


def test_all_sessions_taken(fw: Firewall) -> None:
    """It is 21 with the device's words, and whom to log off."""
    words = named(fw.face).crowded.strip()
    fw.sessions.close()
    fw.set(sessions=0)
    with pytest.raises(ConnectFailed) as caught:
        fw.plan(block(fw))
    assert words in caught.value.message
    assert "log another user off" in caught.value.hint


def test_a_device_that_falls_silent(tmp_path: Path) -> None:
    """A device that stops answering in the middle is asked anew; what has no effect so far is left to its timer."""
    with prepared(tmp_path, "ios") as fw:
        before = fw.asked("running")
        plan = fw.plan(block(fw), "B1")
        engine = fw.engine()
        fw.sessions.renew("fw01")
        fw.set(mute_after=10)  # in the line that enters the group, six after the login's
        outcome = engine.apply(fw.job(Settled(plan), "B1"), plan, engine.approve(plan, "ops"))
        assert (outcome.status, outcome.exit_code) == ("failed", 20)
        assert "has no effect so far" in said(outcome)
        assert "no prompt came back" in said(outcome)
        assert fw.asked("running") == before
        with pytest.raises(Refused, match="waits to be confirmed"):
            fw.plan(block(fw), "B2")


@pytest.mark.parametrize("face", [*CISCO, "comware", "secpath"])
def test_the_link_is_lost_while_a_gate_is_prepared(tmp_path: Path, face: str) -> None:
    """Cut off after any line, `resume` ends the preparation and `undo` leaves no trace of it."""
    with firewall(tmp_path, face) as fw:
        typed(fw, *OTHERS[face])
        start, broken = fw.asked("running"), 0
        for lost in range(6, 28, 3):
            plan = fw.plan(Prepare(fw.vendor, fw.gate, (4, 6)[lost % 2]), f"P{lost}")
            engine = fw.engine()
            fw.set(drop_after=lost)
            try:
                engine.apply(fw.job(Settled(plan), plan.run), plan, engine.approve(plan, "ops"))
            except Unreachable:
                broken += 1
            fw.set(drop_after=0)
            if lost % 4:
                assert [one.status for one in fw.resume()] in ([], ["verified"]), lost
            undone = fw.undo(plan, f"U{lost}")
            assert undone.status in {"verified", "unchanged"}, (lost, undone.doubts)
            assert fw.asked("running") == start, lost
        assert broken, "it was lost while it was typed, at least once"


@pytest.mark.parametrize("typed", [True, False], ids=["once typed", "before it is saved"])
def test_a_restart(fw: Firewall, typed: bool) -> None:  # noqa: FBT001 -- pytest's
    """A device that restarts and forgets what was not saved is blocked, and saved, by `resume`."""
    life = fw.killed(whole := fw.plan(block(fw), "B0"), 10_000)
    assert fw.undo(whole, "U0").status == "verified"
    plan = fw.plan(block(fw), "B1")
    fw.killed(plan, life.changes[1 if plan.guard else 0] if typed else life.changes[-1] - 1)
    assert ATTACKER in fw.asked("running")
    assert ATTACKER not in fw.asked("saved")
    fw.do("reboot")
    wait(lambda: ATTACKER not in fw.asked("running") and answers(fw))
    assert [one.status for one in fw.resume()] == ["verified"]
    assert ATTACKER in fw.asked("saved")
    assert fw.asked("saved") == fw.asked("running")


def answers(fw: Firewall) -> bool:
    """Whether it is there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", fw.target.port), 1):
        return True
    return False


def wait(until: Callable[[], bool]) -> None:
    """For at most 20 s."""
    end = time.monotonic() + 20
    while not until():
        assert time.monotonic() < end
        time.sleep(0.02)


def carried(fw: Firewall, plan: Plan, when: tuple[str, str], then: Callable[[], None]) -> Outcome:
    """Carry a plan out, and do something when the engine first tells of this: the kind of event, and its words."""
    engine, due = fw.engine(), [then]

    def observe(event: Event) -> None:
        if due and event.kind == when[0] and when[1] in event.text:
            due.pop()()

    engine.observe = observe
    return engine.apply(fw.job(Settled(plan), plan.run), plan, engine.approve(plan, "ops"))


def gone_back(fw: Firewall) -> Callable[[], None]:
    """Waits until the device has gone back by itself once more than now."""
    before = sum("rollback finished" in line for line in fw.asked("log"))
    return lambda: wait(lambda: sum("rollback finished" in line for line in fw.asked("log")) > before)


def test_the_timer_fires_while_we_look(tmp_path: Path) -> None:
    """IOS goes back before it was confirmed: 23, the configuration as before, nothing saved."""
    with prepared(tmp_path, "ios", minute=3.0) as fw:
        before = fw.asked("running")
        outcome = carried(fw, fw.plan(block(fw), "B1"), CONFIRMING, gone_back(fw))
        assert (outcome.status, outcome.exit_code) == ("reverted", 23), said(outcome)
        assert any(step.name == "1" and step.ok for step in outcome.steps), "it was typed"
        assert "the configuration is what it was before" in said(outcome)
        assert fw.asked("running") == before
        assert fw.asked("saved") == before


def test_the_timer_fires_before_anything_is_typed(tmp_path: Path) -> None:
    """A timer that has gone off, by the device's own word, protects nothing: nothing is typed, and it is said."""
    with prepared(tmp_path, "ios", minute=1.0) as fw:
        before = fw.asked("running")
        outcome = carried(fw, fw.plan(block(fw), "B1"), ARMED, gone_back(fw))
        assert (outcome.status, outcome.exit_code) == ("reverted", 23), said(outcome)
        assert "nothing was: try again with more than 30 s" in said(outcome)
        assert not any(step.name == "1" for step in outcome.steps)
        assert fw.asked("running") == before
        assert fw.asked("saved") == before


def test_our_own_clock_says_that_the_timer_may_be_over(tmp_path: Path) -> None:
    """Comware does not say whether its timer runs: nothing is typed once it may be over, and it is ended."""
    with prepared(tmp_path, "comware") as fw:
        before = fw.asked("running")
        plan = fw.plan(block(fw, seconds=1), "B1")
        outcome = carried(fw, plan, ARMED, lambda: time.sleep(1.1))
        assert (outcome.status, outcome.exit_code) == ("reverted", 23), said(outcome)
        assert "nothing was: try again with more than 1 s" in said(outcome)
        assert not any(step.name == "1" for step in outcome.steps)
        assert fw.asked("running") == before
        reply = fw.sessions.send(typing.configure(("configuration commit",)), at="fw01")
        assert reply.status == 1, "none runs"


def test_a_timer_that_somebody_has_ended(tmp_path: Path) -> None:
    """IOS says that its timer is gone, while the change stands, read back: nothing takes it away, and it is saved."""
    with prepared(tmp_path, "ios") as fw:

        def confirm() -> None:
            ended = Command(("exec",), "configure confirm\n", root=False)
            assert fw.sessions.send(ended, at="fw01").status == 0

        outcome = carried(fw, fw.plan(block(fw), "B1"), CONFIRMING, confirm)
        assert (outcome.status, outcome.doubts) == ("verified", ())
        assert ATTACKER in fw.asked("saved")


def test_somebody_elses_change_waits_to_be_confirmed(tmp_path: Path) -> None:
    """IOS has one timer: while it runs for somebody else nothing is begun, and his is neither ended nor prolonged."""
    with prepared(tmp_path, "ios") as fw:
        armed = Command(("exec",), "configure terminal revert timer 10\nend\n", root=False)
        assert fw.sessions.send(armed, at="fw01").status == 0
        with pytest.raises(Refused, match="waits to be confirmed") as caught:
            fw.plan(block(fw))
        assert "remedy resume" in caught.value.hint
        ended = Command(("exec",), "configure confirm\n", root=False)
        assert fw.sessions.send(ended, at="fw01").status == 0
        assert fw.act(block(fw), "B1").status == "verified"


@pytest.mark.parametrize("face", ["comware", "secpath"])
def test_no_room_in_hardware(tmp_path: Path, face: str) -> None:
    """A rule that the device marks as without effect is taken back; one that loses its effect later blocks nobody."""
    with firewall(tmp_path, face) as fw:
        typed(fw, *OTHERS[face])
        start = fw.asked("running")
        fw.set(failed=["*"])
        outcome = fw.act(Prepare(fw.vendor, fw.gate, 4), "P1")
        assert (outcome.status, outcome.exit_code) == ("failed", 20)
        assert "read over a fresh login: no" in said(outcome)
        assert fw.asked("running") == start
        fw.set(failed=[])
        assert fw.act(Prepare(fw.vendor, fw.gate, 4), "P2").status == "verified"
        fw.set(failed=["*"])
        with pytest.raises(TargetUnfit, match="is not prepared to block"):
            fw.plan(block(fw))


def test_room_that_the_device_does_not_speak_of(fw: Firewall) -> None:
    """Cisco's devices mark no rule as without effect: the plan says that no packet is tried, and that is all it has."""
    fw.set(failed=["*"])
    outcome = fw.act(block(fw), "B1")
    assert outcome.status == "verified"
    assert any("no packet is tried" in note for note in outcome.plan.notes)


@pytest.mark.parametrize(
    ("face", "lines", "words"),
    [
        (
            "ios",
            (
                "object-group network remedy-block",
                "host 192.0.2.9",
                "exit",
                "ip access-list extended OUTSIDE-IN",
                "15 permit tcp object-group remedy-block any",
                "exit",
            ),
            "another line on remedy-block",
        ),
        (
            "asa",
            (
                "object-group network remedy-block",
                "network-object host 192.0.2.9",
                "access-list outside_in extended permit tcp object-group remedy-block any",
            ),
            "another line on remedy-block",
        ),
    ],
)
def test_a_name_that_is_taken(tmp_path: Path, face: str, lines: tuple[str, ...], words: str) -> None:
    """A group or rule of remedy's name that is not remedy's is refused, with what to do; nothing is touched."""
    with firewall(tmp_path, face) as fw:
        typed(fw, *OTHERS[face], *lines)
        before = fw.asked("running")
        with pytest.raises(Refused, match=words) as caught:
            fw.plan(Prepare(fw.vendor, fw.gate, 4))
        assert "rename or remove" in caught.value.hint
        assert fw.asked("running") == before


def test_a_name_of_another_kind(tmp_path: Path) -> None:
    """A group of that name that holds something else is said to be in the way, and not called unreadable."""
    with firewall(tmp_path, "ios") as fw:
        typed(fw, *OTHERS["ios"], "object-group v6-network remedy-block", "host 2001:db8::1", "exit")
        for action in (Prepare(fw.vendor, fw.gate, 4), block(fw)):
            with pytest.raises(AnswerUnusable, match="name remedy-block is taken") as caught:
                fw.plan(action)
            assert "rename or remove" in caught.value.hint


def test_members_that_are_not_understood(fw: Firewall) -> None:
    """Somebody's line in our group that is no address decides nothing, and is shown."""
    group = "object-group network"
    inner = ("network-object host 192.0.2.9",) if fw.face == "asa" else ("host 192.0.2.9",)
    typed(fw, f"{group} partners", *inner, "exit", f"{group} remedy-block", "group-object partners", "exit")
    with pytest.raises(AnswerUnusable, match="group-object partners"):
        fw.plan(block(fw))


def test_a_wrong_clock_and_a_slow_device(fw: Firewall) -> None:
    """The device's idea of the time changes nothing, and neither does the time that it takes."""
    fw.set(clock_offset=-86400.0 * 400, slow=0.02, save_seconds=0.5)
    assert fw.act(block(fw), "B1").status == "verified"
    assert ATTACKER in fw.asked("saved")


@pytest.mark.parametrize("face", CISCO)
def test_a_terminal_that_does_all_it_can(tmp_path: Path, face: str) -> None:
    """Log lines amid output, pages, CR NUL LF and a keyboard-interactive login come in nobody's way."""
    with prepared(tmp_path, face, faults=NOISE, cr_nul=True, keyboard=True) as fw:
        assert fw.act(block(fw), "B1").status == "verified"
        assert ATTACKER in fw.asked("saved")


def test_a_gate_without_an_address(tmp_path: Path) -> None:
    """IOS shows no list of an interface that has no IPv4 address; its configuration does, and the rule stands there."""
    with firewall(tmp_path, "ios") as fw:
        typed(fw, *(line for line in OTHERS["ios"] if not line.startswith("ip address")))
        start = fw.asked("running")
        prepare = fw.act(Prepare(fw.vendor, fw.gate, 4), "P4")
        assert (prepare.status, prepare.doubts) == ("verified", ())
        blocked = fw.act(block(fw), "B1")
        assert (blocked.status, blocked.doubts) == ("verified", ())
        for outcome in (blocked, prepare):
            assert fw.undo(outcome.plan, f"U{outcome.plan.run}").status == "verified"
        assert fw.asked("running") == start
