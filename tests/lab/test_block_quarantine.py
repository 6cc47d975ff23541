"""The switch layer in the lab: root flushes its rules and stays contained, and nobody is both isolated and unreachable.

What is done there, and in which order, is in `tests.lab.quarantine`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.lab

ALL, NONE = {"attacker": 2, "web02": 2}, {"attacker": 0, "web02": 0}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401 -- JSON
    """What became of it all, in a lab with the switch."""
    argv = ["unshare", "--net", sys.executable, "-m", "tests.lab.quarantine", str(tmp_path_factory.mktemp("switch"))]
    root = Path(__file__).parents[2]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=240, cwd=root)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["prepare"][0] == 0, found["prepare"]
    return found


def test_all_layers_hold_and_the_certificate_says_so(said: Any) -> None:  # noqa: ANN401 -- JSON
    """With a way for management into the quarantine VLAN the isolation is verified, in three layers."""
    one = said["with"]
    assert one["before"] == ALL
    assert (one["isolate"]["code"], one["isolate"]["doubts"]) == (0, []), one["isolate"]
    assert one["isolate"]["layers_held"] == ["host", "perimeter", "switch"]
    assert one["isolate"]["withstands_root"] is True


def test_root_flushes_its_rules_and_stays_contained(said: Any) -> None:  # noqa: ANN401 -- JSON
    """Neither neighbour nor attacker reaches it, it reaches nobody, and management does."""
    for way in ("with", "without"):
        flushed = said[way]["flushed"]
        assert (flushed["reached"], flushed["gets out"]) == (NONE, []), way
        assert flushed["managed"] is (way == "with")


def test_release_brings_every_layer_back(said: Any) -> None:  # noqa: ANN401 -- JSON
    """The devices run what they did before, and have it saved; on the host nothing is left; its visitors are back."""
    one = said["with"]
    assert (one["release"]["code"], one["release"]["doubts"]) == (0, []), one["release"]
    assert one["as before"]
    assert one["saved"]
    assert one["after"] == ALL


def test_without_a_way_it_is_refused(said: Any) -> None:  # noqa: ANN401 -- JSON
    """Isolated and unreachable is nobody, unless named: nothing is changed at any layer."""
    code, error = said["without"]["refused"]
    assert code == 25, error
    assert "isolated and unreachable" in error
    assert "--unreachable-ok web01" in error
    assert said["without"]["untouched"]


def test_with_consent_it_is_done_and_graded(said: Any) -> None:  # noqa: ANN401 -- JSON
    """What devices do holds; the host's own layer cannot be read back, is not graded, and is the only doubt."""
    one = said["without"]["isolate"]
    assert one["code"] == 22, one
    assert one["layers_held"] == ["perimeter", "switch"]
    assert one["withstands_root"] is True
    assert one["doubts"] == ["web01 cannot be asked behind its switch: its own rules are loaded, and not read back"]


def test_what_nobody_reached_is_released_in_two_goes(said: Any) -> None:  # noqa: ANN401 -- JSON
    """The devices first, saying that the host's own rules are left; once more, and all is as it was, proven so."""
    one = said["without"]
    first, second = one["release"]
    assert (first["code"], first["layers_left"]) == (22, ["host"]), first
    assert [doubt.partition(" (")[0] for doubt in first["doubts"]] == ["web01 does not answer"]
    assert (second["code"], second["layers_left"], second["doubts"]) == (0, [], []), second
    assert one["as before"]
    assert one["after"] == ALL


def test_a_wrong_inventory_cuts_nobody_off(said: Any) -> None:  # noqa: ANN401 -- JSON
    """Said to lead to management, and leading nowhere: the port goes back, the other layers hold."""
    one = said["wrong"]
    assert one["isolate"]["code"] == 22, one["isolate"]
    assert any("management does not reach web01 any more" in doubt for doubt in one["isolate"]["doubts"])
    assert one["isolate"]["layers_held"] == ["host", "perimeter"]
    assert one["managed"]
    assert one["switch as before"]
    assert one["release"]["code"] == 0, one["release"]
