"""Dry-run and saved plans on real hosts: nothing is changed, the very bytes are sent, anything else is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.lab.contain import Console, Remedy, plain_inventory, restored

from remedy.lab import Lab

pytestmark = pytest.mark.lab

NAME = "host014"


@pytest.fixture
def remedy(lab: Lab, tmp_path: Path) -> Iterator[Remedy]:
    """An operator; the host is as before afterwards."""
    (tmp_path / "record").mkdir()
    made = Remedy(plain_inventory(lab, tmp_path / "inventory", (NAME,)), tmp_path / "record" / "record.db")
    (tmp_path / "cleaning").mkdir()
    yield from _given_back(lab, made, Remedy(made.inventory, tmp_path / "cleaning" / "record.db"))


def _given_back(lab: Lab, made: Remedy, cleaner: Remedy) -> Iterator[Remedy]:
    for _ in restored(lab, (NAME,), cleaner):
        yield made


@pytest.fixture
def host(lab: Lab) -> Console:
    """The host at the centre."""
    return Console(lab, NAME)


@pytest.fixture
def saved(remedy: Remedy, tmp_path: Path) -> Path:
    """A saved plan."""
    path = tmp_path / "plan.json"
    said = remedy("isolate", NAME, "--out", str(path))
    assert said.code == 10, said.err
    return path


def processes(host: Console) -> set[str]:
    """The programs that run on the host, those of logins left out."""
    lines = host.sh("ps -eo pid,args --no-headers").splitlines()
    return {line for line in lines if not any(word in line for word in ("sshd:", "ps -eo", "sh -c", "sftp"))}


def test_a_dry_run_changes_nothing(remedy: Remedy, host: Console) -> None:
    """Rules, files and processes are the same after a dry-run, which ends with 10 and is recorded as what it is."""
    before = host.state(), processes(host), host.sh("cat /proc/net/ip_tables_names /proc/net/ip6_tables_names; :")
    said = remedy("isolate", NAME, "--dry-run", "--json")
    assert said.code == 10, said.err
    assert (said.target["status"], said.target["changed"]) == ("would-change", False)
    assert (host.state(), processes(host)) == before[:2]
    assert host.sh("cat /proc/net/ip_tables_names /proc/net/ip6_tables_names; :") == before[2]
    assert [entry["kind"] for entry in remedy.entries("dry-run", "plan", "approval", "intent")] == ["dry-run"]
    assert remedy("release", NAME, "--dry-run").code == 0, "a clean host has nothing to release"


def test_a_dry_run_of_a_release_changes_nothing(remedy: Remedy, host: Console) -> None:
    """On an isolated host, too: the release is shown with exit 10, and the isolation stays."""
    assert remedy("isolate", NAME, "--yes").code == 0
    before = host.state()
    assert remedy("release", NAME, "--dry-run", "--json").code == 10
    assert host.state() == before


def test_without_a_yes_and_a_terminal_nothing_is_changed(remedy: Remedy, host: Console) -> None:
    """--json never implies --yes: 24, and nothing is changed."""
    assert remedy("isolate", NAME, "--json").code == 24
    assert not host.left()


def test_apply_sends_exactly_the_saved_bytes_and_only_once(remedy: Remedy, host: Console, saved: Path) -> None:
    """What the record says was sent is what the file says, byte for byte; a second apply is refused with 25."""
    (item,) = json.loads(saved.read_text())["plans"]
    said = remedy("apply", str(saved), "--yes", "--json")
    assert said.code == 0, said.err
    sent = remedy.entries("plan")[0]["body"]["plan"]
    for part in ("changes", "keep"):
        assert [c["do"] for c in sent[part]] == [c["do"] for c in item["plan"][part]]
    rules = host.state().rules
    assert f"run={item['plan']['run']}" in rules
    again = remedy("apply", str(saved), "--yes", "--json")
    assert again.code == 25, again.out
    assert host.state().rules == rules


def _bridge(lab: Lab, host: Console) -> None:  # noqa: ARG001 -- one form for all
    host.sh("ip link add br9 type bridge")


def _tool_gone(lab: Lab, host: Console) -> None:  # noqa: ARG001 -- one form for all
    host.sh("mv /usr/sbin/conntrack /usr/sbin/conntrack.away")


def _isolated_by_hand(lab: Lab, host: Console) -> None:  # noqa: ARG001 -- one form for all
    host.sh("nft add table inet remedy_isolation")


@pytest.mark.parametrize("drift", [_bridge, _tool_gone, _isolated_by_hand])
def test_apply_refuses_when_the_host_has_changed(
    remedy: Remedy, host: Console, lab: Lab, saved: Path, drift: Callable[[Lab, Console], None]
) -> None:
    """A new bridge, a missing tool, a table by hand: the plan is stale, 25, and nothing is sent."""
    drift(lab, host)
    before = host.state()
    said = remedy("apply", str(saved), "--yes", "--json")
    after = host.state()
    host.sh("nft delete table inet remedy_isolation; ip link delete br9", ok=False)
    host.sh("mv /usr/sbin/conntrack.away /usr/sbin/conntrack", ok=False)
    assert said.code == 25, said.out
    assert after == before


def test_apply_refuses_when_the_inventory_has_changed(remedy: Remedy, host: Console, saved: Path) -> None:
    """Another management network means other bytes: refused with 25."""
    text = remedy.inventory.read_text()
    remedy.inventory.write_text(text.replace("- 198.18.3.1", "- 198.18.3.1\n        - 198.18.3.9"))
    said = remedy("apply", str(saved), "--yes", "--json")
    assert said.code == 25, said.out
    assert not host.left()


def _edited(path: Path, edit: Callable[[dict[str, Any]], None], *, rehash: bool = False) -> None:
    """Edit the plan in a file; with `rehash` the hash is made to fit."""
    content = json.loads(path.read_text())
    edit(content)
    if rehash:
        plan = content["plans"][0]["plan"]
        text = json.dumps(plan, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        content["plans"][0]["hash"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(content))


def _open_everything(content: dict[str, Any]) -> None:
    change = content["plans"][0]["plan"]["changes"][0]
    change["do"]["stdin"] = change["do"]["stdin"].replace("policy drop", "policy accept")


def _other_version(content: dict[str, Any]) -> None:
    content["remedy"] = "99.0"


def _other_schema(content: dict[str, Any]) -> None:
    content["plans"][0]["plan"]["schema"] = 99


def _unknown_option(content: dict[str, Any]) -> None:
    content["plans"][0]["plan"]["surprise"] = True


@pytest.mark.parametrize(
    ("edit", "rehash", "codes"),
    [
        (_open_everything, False, {2}),
        (_open_everything, True, {2, 25}),
        (_other_version, False, {2}),
        (_other_schema, True, {2}),
        (_unknown_option, True, {2}),
    ],
)
def test_a_plan_file_that_was_touched_is_not_carried_out(  # noqa: PLR0917 -- the cases' columns
    remedy: Remedy,
    host: Console,
    saved: Path,
    edit: Callable[[dict[str, Any]], None],
    rehash: bool,  # noqa: FBT001 -- a column
    codes: set[int],
) -> None:
    """Altered, from another version, with an unknown option: a usage error naming the file, nothing is sent."""
    _edited(saved, edit, rehash=rehash)
    said = remedy("apply", str(saved), "--yes", "--json")
    assert said.code in codes, said.err
    assert not host.left()
