"""Blocking on three devices at once: each for itself, one that fails at any moment, Ctrl-C in the middle."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.worlds.firewalls import firewall

from .conftest import Console
from .test_block import Site, codes, targets

FACES: Final = {"fw01": "secpath", "fw02": "secpath", "sw01": "comware"}
ADDRESSES: Final = tuple(f"203.0.113.{number}" for number in range(1, 120, 2))
#: What goes wrong on one device, until when everything is right there: its faults, and what it says then.
MOMENTS: Final[dict[str, tuple[dict[str, object], int, str]]] = {
    "login": ({"sessions": 0}, 21, "sessions"),
    "arm": ({"refuse": "configuration commit delay"}, 20, "arm the dead-man timer"),
    "typing": ({"refuse": "203.0.113.11"}, 20, "line 7"),
    "link": ({"drop_after": 45}, 21, "the session broke"),
    "save": ({"save_fails": True}, 22, "save the configuration"),
}
WELL: Final = {"sessions": 16, "refuse": "", "drop_after": 0, "save_fails": False, "slow": 0.0}


@pytest.fixture
def site(bare: Console, tmp_path: Path, configured: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Three devices, prepared."""
    monkeypatch.setenv("DEVICE_PASSWORD", "Admin-1")
    with contextlib.ExitStack() as stack:
        made = {}
        for name, face in FACES.items():
            (tmp_path / name).mkdir()
            (tmp_path / name / "startup").write_text(configured[face])
            options = {"startup": str(tmp_path / name / "startup")}
            made[name] = stack.enter_context(firewall(tmp_path / name, face, **options))
        site = Site(bare, made)
        for name in made:
            site.settings[name] = {"remedy_budget": "{blocks_per_hour: 1000}"}
        yield site


def running(site: Site) -> dict[str, str]:
    """What every device is configured to do."""
    return {name: one.asked("running") for name, one in site.devices.items()}


def saved(site: Site) -> dict[str, str]:
    """What every device would do after a restart."""
    return {name: one.asked("saved") for name, one in site.devices.items()}


def said(document: dict[str, Any]) -> str:
    """What a device's part of a document says went wrong."""
    error = document.get("error") or {}
    return " ".join([*document.get("doubts", ()), error.get("message", ""), error.get("hint", "")])


@pytest.mark.parametrize("failing", ["fw02", "sw01"])
def test_one_that_fails_leaves_the_others(site: Site, failing: str) -> None:
    """Wherever one device fails, the others block and have saved it; the report names each, and repeating ends it."""
    start = running(site)
    others = [name for name in FACES if name != failing]
    for moment, (faults, code, why) in MOMENTS.items():
        site.devices[failing].set(**faults)
        got = site("block", *ADDRESSES, "--yes", "--json")
        site.devices[failing].set(**WELL)
        assert codes(got) == {failing: code, **dict.fromkeys(others, 0)}, (moment, got.out)
        assert got.code == (22 if code == 22 else 20), moment
        assert why in said(targets(got)[failing]), (moment, targets(got)[failing])
        for name in others:
            assert ADDRESSES[-1] in running(site)[name], moment
            assert saved(site)[name] == running(site)[name], moment
        if moment in {"login", "arm", "typing"}:
            assert running(site)[failing] == start[failing], moment
        resumed = site("resume", "--json")
        assert codes(resumed) == ({failing: 0} if moment == "link" else {}), (moment, resumed.out)
        if moment in {"link", "save"}:
            assert ADDRESSES[-1] in running(site)[failing], moment
        assert site("unblock", *ADDRESSES, "--yes", "-q").code == 0, moment
        assert running(site) == start == saved(site), moment


def test_all_or_none(site: Site) -> None:
    """Wherever one device fails, all are as before, nothing is left to resume; one that cannot save has not failed."""
    start = running(site)
    for moment, (faults, code, _) in MOMENTS.items():
        site.devices["sw01"].set(**faults)
        got = site("block", *ADDRESSES, "--all-or-none", "--yes", "--json")
        site.devices["sw01"].set(**WELL)
        others = 25 if moment == "login" else 0
        assert codes(got) == {"fw01": others, "fw02": others, "sw01": code}, (moment, got.out)
        actions = {name: targets(got)[name].get("action") for name in ("fw01", "fw02")}
        if moment == "save":
            assert set(actions.values()) == {"block"}
            assert all(ADDRESSES[-1] in text for text in running(site).values())
        else:
            assert running(site) == start, moment
            assert moment == "login" or set(actions.values()) == {"undo"}, moment
        assert site("resume", "--json").document["targets"] == [], moment


@pytest.mark.parametrize("presses", [1, 2])
def test_interrupted(site: Site, presses: int) -> None:
    """After Ctrl-C in the middle, once or twice, the record knows of every device, and `resume` ends them all."""
    for one in site.devices.values():
        one.set(slow=0.05)
    site.write()
    console = site.console
    argv = [sys.executable, "-c", "from remedy.cli.main import run; run()", "-i", str(console.inventory)]
    argv += ["--record", str(console.record), "block", *ADDRESSES, "--yes", "--json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        _wait(lambda: _typing(console.record) == len(FACES))
        if presses > 1:  # the step under way would take a minute
            for one in site.devices.values():
                one.set(slow=1.0)
        for _ in range(presses):
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        begun = time.monotonic()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert time.monotonic() - begun < 25, "a step that takes long is not waited for the second time"
    assert len(json.loads(out)) > 0
    assert "`remedy resume R" in out + err
    for one in site.devices.values():
        one.set(**WELL)
    resumed = site("resume", "--json")
    assert resumed.code == 0, resumed.out + resumed.err
    assert codes(resumed), "somebody was in the middle"
    assert set(codes(resumed).values()) == {0}, resumed.out
    assert all(ADDRESSES[-1] in text for text in running(site).values())
    assert saved(site) == running(site)
    assert site("block", *ADDRESSES, "--yes", "-q").code == 0
    assert site("resume", "--json").document["targets"] == []


def _typing(record: Path) -> int:
    """On how many devices the change is being typed."""
    if not record.exists():
        return 0
    asked = "SELECT count(DISTINCT run) FROM entry WHERE kind = 'intent' AND body LIKE '%put on the block%'"
    with contextlib.closing(sqlite3.connect(record)) as book, contextlib.suppress(sqlite3.OperationalError):
        return int(book.execute(asked).fetchone()[0])
    return 0


def _wait(until: Any) -> None:  # noqa: ANN401 -- any question
    end = time.monotonic() + 30
    while not until() and time.monotonic() < end:
        time.sleep(0.02)
