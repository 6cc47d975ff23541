"""The controller dies, or is told to stop, at every step: what is left is finished by resume or taken back by undo."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.lab.contain import Console, Remedy, State, eventually, plain_inventory

from remedy.lab import Lab

pytestmark = pytest.mark.lab

_DYING = str(Path(__file__).parent / "dying.py")
_HOSTS = tuple(f"host{n:03d}" for n in range(1, 7))


@dataclass(frozen=True)
class Scene:
    """One host, one operator with a record of their own, and how the host was before."""

    host: Console
    remedy: Remedy
    before: State

    @property
    def name(self) -> str:
        """The host's name."""
        return self.host.name

    def killed(self, number: int, when: str, how: str = "SIGKILL", verb: str = "isolate") -> tuple[str, str]:
        """Run `verb` until the process is sent a signal at an entry; (run id or "", standard error)."""
        words = ("--confirm-within", "60") if verb == "isolate" else ()
        said = self.remedy(verb, self.name, *words, "--yes", wrapped=(_DYING, str(number), when, how))
        assert said.code == (-signal.SIGKILL if how == "SIGKILL" else 130), (number, when, said.code, said.err)
        plans = self.remedy.entries("plan")
        return (plans[-1]["run"] if plans else ""), said.err

    def assert_clean(self, what: str) -> None:
        """Fail unless the host is exactly as before."""
        assert not self.host.left(), what
        assert self.host.state() == self.before, what


@pytest.fixture(scope="module")
def before(lab: Lab) -> Iterator[dict[str, State]]:
    """How the hosts of these tests were; they have to be so in the end, too."""
    states = {name: Console(lab, name).state() for name in _HOSTS}
    yield states
    lab.clear()
    assert {name: Console(lab, name).state() for name in _HOSTS} == states


@pytest.fixture
def scene(lab: Lab, before: dict[str, State], tmp_path: Path) -> Iterator[Callable[[int], Scene]]:
    """Makes scenes, by number, on the hosts in turn; every host is clean afterwards."""
    source = plain_inventory(lab, tmp_path / "inventory", _HOSTS)

    def make(number: int) -> Scene:
        name = _HOSTS[number % len(_HOSTS)]
        folder = tmp_path / f"scene{number}"
        folder.mkdir()
        return Scene(Console(lab, name), Remedy(source, folder / "record.db"), before[name])

    yield make
    lab.clear()
    left = {name: Console(lab, name).left() for name in _HOSTS}
    (tmp_path / "cleaning").mkdir()
    other = Remedy(source, tmp_path / "cleaning" / "record.db")
    for name in (name for name, traces in left.items() if traces):
        Console(lab, name).end_timers()
        other("release", name, "--yes", "--force")
    assert not "".join(left.values()), left


def spread(work: Callable[[int], None], points: Sequence[object]) -> None:
    """Do the work for every point, several hosts at once, one point at a time on each; all failures are told."""

    def column(first: int) -> list[str]:
        failures = []
        for number in range(first, len(points), len(_HOSTS)):
            try:
                work(number)
            except (AssertionError, ValueError) as error:
                failures.append(f"{points[number]}: {type(error).__name__}: {error}")
        return failures

    with ThreadPoolExecutor(len(_HOSTS)) as pool:
        failures = [text for texts in pool.map(column, range(len(_HOSTS))) for text in texts]
    assert not failures, "\n\n".join(failures)


def appended(scene: Scene, verb: str) -> list[str]:
    """What an uninterrupted run of `verb` appends, in order, as "kind step"."""
    listing = scene.remedy.record.parent / f"{verb}.txt"
    said = scene.remedy(verb, scene.name, "--yes", wrapped=(_DYING, "0", "list", str(listing)))
    assert said.code == 0, said.err
    return listing.read_text(encoding="utf-8").splitlines()


def points(kinds: Sequence[str]) -> list[tuple[int, str, str]]:
    """Where to die: after every entry, and before every reply is on disk (then the change has been sent)."""
    after = [(n, "after", kind) for n, kind in enumerate(kinds, 1)]
    return after + [(n, "before", kind) for n, kind in enumerate(kinds, 1) if kind.startswith(("sent", "outcome"))]


@pytest.mark.parametrize("then", ["resume", "undo"])
def test_killed_at_every_entry_of_an_isolation(scene: Callable[[int], Scene], then: str) -> None:
    """Killed at any entry, resume ends verified and undo ends as before, and neither is ever taken back by resume."""
    whole = scene(1000)
    kinds = appended(whole, "isolate")
    assert {"intent arm", "sent arm", "sent 1", "sent 2", "sent disarm", "sent k1", "verify", "outcome"} <= set(kinds)
    assert whole.remedy("release", whole.name, "--yes").code == 0
    where = points(kinds)

    def work(number: int) -> None:
        made = scene(number)
        run, _ = made.killed(*where[number][:2])
        if then == "resume":
            _resumed(made, where[number], run)
        else:
            _undone(made, where[number], run)
        assert made.remedy("resume", "--json").document["targets"] == [], "nothing may be left to resume"
        made.assert_clean("and resume must not bring it back")
        assert made.remedy("incident", "verify").code == 0

    spread(work, where)


def _resumed(made: Scene, where: tuple[int, str, str], run: str) -> None:
    number, when, kind = where
    said = made.remedy("resume", "--json")
    ended = when == "after" and kind == "outcome"
    begun = bool(run) and not (kind == "plan" and when == "after")
    assert said.code == 0, (said.out, said.err)
    if begun and not ended:
        assert said.target["status"] == "verified", said.target["doubts"]
    else:
        assert said.document["targets"] == [], number
    assert made.host.is_cut == begun
    assert bool(made.host.boot_files) == begun
    assert not [line for line in made.host.left().splitlines() if "cmdline" in line], "no timer is left ticking"
    released = made.remedy("release", made.name, "--yes", "--json")
    assert released.code == 0, released.err
    made.assert_clean("released after resume")


def _undone(made: Scene, where: tuple[int, str, str], run: str) -> None:
    if not run:
        return
    said = made.remedy("undo", run, "--yes", "--json")
    assert said.code == 0, (where, said.out, said.err)
    assert said.target["status"] in {"verified", "unchanged"}
    made.assert_clean("undone")


def test_killed_at_every_entry_of_a_release(scene: Callable[[int], Scene]) -> None:
    """Killed at any entry, an interrupted release is finished by resume, and the host is as it was before isolation."""
    whole = scene(1000)
    assert whole.remedy("isolate", whole.name, "--yes").code == 0
    kinds = appended(whole, "release")
    assert {"sent 1", "sent 2", "outcome"} <= set(kinds)
    where = points(kinds)

    def work(number: int) -> None:
        made = scene(number)
        assert made.remedy("isolate", made.name, "--yes").code == 0
        made.killed(*where[number][:2], verb="release")
        said = made.remedy("resume", "--json")
        assert said.code == 0, (said.out, said.err)
        begun = said.document["targets"] != [] or where[number][2] == "outcome"
        if not begun:
            assert made.host.is_cut
            assert made.remedy("release", made.name, "--yes").code == 0
        made.assert_clean("released")
        assert made.remedy("resume", "--json").document["targets"] == []

    spread(work, where)


def test_interrupted_at_every_entry(scene: Callable[[int], Scene]) -> None:
    """Ctrl-C at any entry ends with 130 and names the way on; then resume ends well, and so does undo."""
    whole = scene(1000)
    kinds = appended(whole, "isolate")
    assert whole.remedy("release", whole.name, "--yes").code == 0
    first = kinds.index("approval") + 1
    last = kinds.index("sent k1") + 1
    where = [(n, "after", then) for n in range(first, last) for then in ("resume", "undo")]

    def work(number: int) -> None:
        made = scene(number)
        point, when, then = where[number]
        run, told = made.killed(point, when, "SIGINT")
        assert f"remedy resume {run}" in told, told
        assert f"remedy undo {run}" in told, told
        said = made.remedy("resume", run, "--json") if then == "resume" else made.remedy("undo", run, "--yes", "--json")
        assert (said.code, said.target["status"]) in {(0, "verified"), (0, "unchanged")}, (said.out, said.err)
        if then == "resume":
            assert made.host.boot_files
            assert made.remedy("release", made.name, "--yes").code == 0
        made.assert_clean("taken back")

    spread(work, where)


def test_ctrl_c_twice_ends_at_once_and_still_names_the_way_on(scene: Callable[[int], Scene], lab: Lab) -> None:
    """While it waits for a login that does not come, a second Ctrl-C ends it at once, naming resume and undo."""
    made = scene(0)
    process = made.remedy.start("isolate", made.name, "--confirm-within", "60", "--yes")
    assert eventually(lambda: made.host.is_cut, 20)
    lab.fault("link-cut", made.name)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    said = made.remedy.finish(process, 30)
    assert said.code == 130, said.err
    assert time.monotonic() - began < 8
    run = made.remedy.run_id()
    assert f"remedy resume {run}" in said.err
    lab.clear(made.name)
    assert made.remedy("resume", "--json").target["status"] == "verified"
    assert made.remedy("release", made.name, "--yes").code == 0


def test_a_release_settles_what_was_interrupted(scene: Callable[[int], Scene]) -> None:
    """After an interrupted isolation was released, resume has nothing to do and does not cut the host off again."""
    made = scene(1)
    run, _ = made.killed(10, "after")
    assert made.host.is_cut
    assert made.remedy("release", made.name, "--yes").code == 0
    assert made.remedy("resume", "--json").document["targets"] == []
    assert made.remedy("resume", run).code in {2, 25}
    made.host.end_timers()  # it ticks on, and finds nothing to do: see the next test
    made.assert_clean("after release and resume")


def test_a_new_isolation_is_safe_from_an_old_timer(scene: Callable[[int], Scene]) -> None:
    """The timer of a run that died before its rules were loaded does nothing to the isolation of a later run."""
    made = scene(0)
    said = made.remedy(
        "isolate", made.name, "--confirm-within", "5", "--yes", wrapped=(_DYING, "6", "after", "SIGKILL")
    )
    assert said.code == -signal.SIGKILL
    assert "cmdline" in made.host.left(), "the timer ticks"
    assert made.remedy("isolate", made.name, "--yes").code == 0
    rules = made.host.state().rules
    assert eventually(lambda: "cmdline" not in made.host.left(), 10)
    time.sleep(0.5)
    assert made.host.state().rules == rules
    assert made.remedy("release", made.name, "--yes").code == 0


def test_a_host_power_cycled_in_the_middle_is_resumed(scene: Callable[[int], Scene], lab: Lab) -> None:
    """When the host lost power between the rules and what makes them permanent, resume isolates it again."""
    made = scene(0)
    made.killed(10, "after")
    assert made.host.is_cut
    assert not made.host.boot_files
    lab.fault("power-cycle", made.name)
    assert not made.host.is_cut
    said = made.remedy("resume", "--json")
    assert (said.code, said.target["status"]) == (0, "verified"), said.out
    assert made.host.is_cut
    assert made.host.boot_files
    assert made.remedy("release", made.name, "--yes").code == 0
