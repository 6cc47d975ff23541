"""The command line over real SSH against a real target: exit codes, documents, saved plans, the record."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from remedy import __version__
from remedy.actions import params
from remedy.actions.isolate import Isolate
from remedy.cli import act
from remedy.core.canon import digest
from remedy.core.values import Plan

from .conftest import Console


def test_dry_run_then_isolate_then_release(console: Console) -> None:
    """The whole story: 10 and nothing changed, 0 and proven, 0 again, 0 and given back, and a record that verifies."""
    assert console.world
    dry = console("isolate", "web01", "--dry-run", "--json")
    assert (dry.code, dry.document["exit_code"], dry.target["status"]) == (10, 10, "would-change")
    assert "remedy_isolation" not in console.world.target.run("nft list ruleset")
    done = console("isolate", "web01", "--yes", "--json")
    assert done.code == 0, done.out
    target = done.target
    assert (target["status"], target["verified"], target["layers_held"]) == ("verified", True, ["host"])
    assert not target["withstands_root"]
    assert all(cell["held"] for cell in target["certificate"])
    assert {cell["vantage"] for cell in target["certificate"]} == {"controller", "web02", "attacker", "web01"}
    for key in ("run", "undo_id", "evidence_hash", "steps", "expectations", "rollback_deadline", "doubts", "card"):
        assert key in target
    again = console("isolate", "web01", "--yes", "--json")
    assert (again.code, again.target["status"], again.target["changed"]) == (0, "unchanged", False)
    close = console("incident", "close", done.document["incident"])
    assert (close.code, "still isolated" in close.err) == (25, True)
    back = console("release", "web01", "--yes", "--json")
    assert (back.code, back.target["status"]) == (0, "verified")
    assert back.document["incident"] == done.document["incident"]
    assert console("incident", "verify").code == 0
    with contextlib.closing(sqlite3.connect(console.record)) as book:
        kinds = {kind for (kind,) in book.execute("SELECT kind FROM entry")}
    assert {"dry-run", "plan", "approval", "intent", "sent", "verify", "outcome"} <= kinds


def test_for_people(console: Console) -> None:
    """A person reads plan, certificate, grade, recovery card; no escape byte reaches a pipe, from anywhere."""
    said = console("isolate", "web01", "--yes")
    assert said.code == 0
    for words in ("containment", "host layer only", "recovery card", "remedy undo R", "\\x1b]0;owned\\x07"):
        assert words in said.out, said.out
    assert not {"\x1b", "\x07"} & set(said.out + said.err)
    run = said.out.partition("   run ")[2].split()[0]
    undone = console("undo", run, "--yes")
    assert undone.code == 0
    assert not {"\x1b", "\x07"} & set(undone.out + undone.err)
    assert console("resume").err.strip().endswith("no run was interrupted")


def test_no_terminal_and_no_yes(console: Console) -> None:
    """Where nobody can be asked the answer is no: 24, nothing changed, recorded; --json implies no --yes."""
    assert console.world
    for extra in ((), ("--json",), ("--jsonl",)):
        said = console("isolate", "web01", *extra)
        assert said.code == 24
    assert "remedy_isolation" not in console.world.target.run("nft list ruleset")
    listed = json.loads(console("incident", "list", "--json").out)["incidents"]
    entries = json.loads(console("incident", "show", listed[0]["id"], "--json").out)["entries"]
    assert [e["body"]["exit_code"] for e in entries if e["kind"] == "refusal"] == [24, 24, 24]


def test_partial(console: Console) -> None:
    """One host done and one that does not answer is 20, each with its own end."""
    said = console("isolate", "web01", "gone01", "--yes", "--json")
    assert said.code == 20
    ends = {t["target"]: t["exit_code"] for t in said.document["targets"]}
    assert ends == {"web01": 0, "gone01": 21}


def test_nonsense_of_one_host(console: Console) -> None:
    """A host on which an intruder's programs answer nonsense is 25 for itself, and the other one is planned."""
    assert console.world
    peer = console.world.hosts["web02"]
    place = peer.run("command -v id").strip()
    peer.run("printf '#!/bin/sh\\necho evil\\n' > /run/id; chmod +x /run/id; mount --bind /run/id $1", place)
    try:
        said = console("isolate", "web01", "web02", "--dry-run", "--json")
    finally:
        peer.run("umount $1", place)
    assert said.code == 20
    ends = {t["target"]: t["exit_code"] for t in said.document["targets"]}
    assert ends == {"web01": 10, "web02": 25}


def test_stream(console: Console) -> None:
    """--jsonl is one JSON object a line, each with the schema's version, the whole document last."""
    said = console("isolate", "web01", "--yes", "--jsonl")
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert all(line["schema_version"] == 1 for line in lines)
    assert lines[-1]["targets"][0]["status"] == "verified"
    assert {"phase", "step", "reply", "verdict", "outcome"} <= {line["event"] for line in lines[:-1]}


def test_isolated_by_hand_is_refused(console: Console) -> None:
    """A table of the same name that is not ours is 25, with what to do about it."""
    assert console.world
    console.world.target.run("nft add table inet remedy_isolation")
    try:
        said = console("isolate", "web01", "--yes", "--json")
    finally:
        console.world.target.run("nft delete table inet remedy_isolation")
    assert (said.code, said.target["error"]["kind"]) == (25, "HeldByOther")
    assert said.target["error"]["hint"]


def save(console: Console) -> Path:
    """A saved plan."""
    file = console.folder / "plan.json"
    assert console("isolate", "web01", "--out", str(file)).code == 10
    assert file.stat().st_mode & 0o77 == 0
    return file


def test_saved_plan_is_carried_out_once(console: Console) -> None:
    """A saved plan does what it says, and a second time it is refused."""
    file = save(console)
    first = console("apply", str(file), "--yes", "--json")
    assert first.code == 0, first.out
    assert first.target["run"] == json.loads(file.read_text())["plans"][0]["plan"]["run"]
    second = console("apply", str(file), "--yes")
    assert second.code == 25
    assert "has been carried out already" in second.err


def test_saved_plan_of_another_world(console: Console) -> None:
    """A saved plan is refused when what it was computed from has changed, and nothing is sent."""
    assert console.world
    file = save(console)
    console.world.target.run("ip link add br9 type bridge")
    try:
        said = console("apply", str(file), "--yes", "--json")
    finally:
        console.world.target.run("ip link del br9")
    assert (said.code, said.target["error"]["kind"]) == (25, "StalePlan")
    assert "its facts" in said.target["error"]["message"]
    assert "remedy_isolation" not in console.world.target.run("nft list ruleset")


def test_saved_plan_whose_proof_has_changed(console: Console) -> None:
    """A path that answered when the plan was saved, and does not now, makes the end unverified, not the plan stale."""
    assert console.world
    file = save(console)
    console.world.target.run(
        "nft add rule inet handmade input iifname out0 ip6 daddr 2001:db8:0:1::11 tcp dport 80 drop"
    )
    console.world.target.run(
        "nft add rule inet handmade input iifname out0 ip6 daddr 2001:db8:0:1::11 tcp dport 22 drop"
    )
    try:
        said = console("apply", str(file), "--yes", "--json")
    finally:
        console.world.target.run(
            "nft -a list chain inet handmade input | sed -n 's/.*out0.*handle /delete rule inet "
            "handmade input handle /p' | nft -f -"
        )
    assert (said.code, said.target["status"]) == (22, "unverified")
    [doubt] = said.target["doubts"]
    assert doubt.startswith("TCP/IPv6 to web01, asked beyond the perimeter: nothing answered before")
    assert console.world.target.run("nft list tables").count("remedy_isolation") == 2


#: One plan, and the folder with the record that knows it, is enough: no forgery changes the host it was made for.
SAVED: list[Path] = []


def forge(data: dict[str, Any], way: str) -> None:
    """Change a plan file, its hash too where a careful forger would."""
    plan = data["plans"][0]["plan"]
    if way == "byte":
        plan["changes"][0]["do"]["stdin"] += " "
        return
    if way == "hash":
        plan["changes"][0]["do"]["argv"] = ["sh", "-c", "touch /tmp/owned"]
    elif way == "parameter":
        plan["params"] = plan["params"].replace('"dns"', '"dnsx"')
    elif way == "type":
        plan["guard"]["seconds"] = "60"
    elif way == "version":
        data["remedy"] = "99.0"
    else:
        plan[way] = FORGED[way]
    for item in data["plans"]:
        item["hash"] = digest(item["plan"])


FORGED = {"extra": 1, "schema": 99, "action": "os.system", "run": 'R1" accept; comment "', "target": "gone01"}


@pytest.mark.parametrize(
    ("way", "code", "said"),
    [
        ("byte", 2, "altered since it was written"),
        ("hash", 2, "the record knows no plan"),
        ("extra", 2, "unknown option 'extra'"),
        ("parameter", 2, "the record knows no plan"),
        ("action", 2, "the record knows no plan"),
        ("run", 2, "the record knows no plan"),
        ("target", 2, "the record knows no plan"),
        ("schema", 2, "plan format 99"),
        ("version", 2, "was written by remedy '99.0'"),
        ("type", 2, "int is expected here, not str"),
    ],
)
def test_forged_plan(console: Console, way: str, code: int, said: str) -> None:
    """A plan file changed in any way is refused, even with its hash computed anew, and nothing is sent."""
    assert console.world
    if not SAVED:
        SAVED.append(save(console).parent)
    console.folder = SAVED[0]
    data = json.loads((console.folder / "plan.json").read_text())
    forge(data, way)
    file = console.folder / "forged.json"
    file.write_text(json.dumps(data))
    got = console("apply", str(file), "--yes")
    assert got.code == code, got.err
    assert said in got.err
    assert "remedy_isolation" not in console.world.target.run("nft list ruleset")


def test_foreign_plan(bare: Console) -> None:
    """A plan that this record did not make is refused before anybody is asked: the host's silence does not show."""
    file = bare.folder / "plan.json"
    plan = Plan("isolate", "web01", "R7f3a9c01", "INC-1", "0", params(Isolate()))
    act.save(file, [plan])
    for _ in range(2):
        got = bare("apply", str(file), "--yes", "--json")
        assert (got.code, got.document["error"]["kind"]) == (2, "PlanFileError")
        assert "--record" in got.document["error"]["hint"]
        assert bare("isolate", "web01", "--dry-run").code == 21, "asking would have shown"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        '{"remedy": "0", "plans": 1}',
        "\x00\xff",
        '{"plans": []}',
        json.dumps({"remedy": __version__, "plans": []}),
    ],
)
def test_no_plan_at_all(bare: Console, text: str) -> None:
    """A file that is no plan is a usage error that names the file."""
    file = bare.folder / "plan.json"
    file.write_text(text, encoding="latin-1")
    said = bare("apply", str(file), "--yes")
    assert said.code == 2
    assert str(file) in said.err
    assert bare("apply", str(file) + ".missing").code == 2
