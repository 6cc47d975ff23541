"""`acl show`, `diff` and `push` as they are typed, against two devices of the lab in processes of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from tests.worlds.firewalls import OTHERS, Firewall, firewall

from remedy import devices as vendors
from remedy.actions import params
from remedy.actions.perimeter import device as typing
from remedy.actions.push import Push
from remedy.cli import acl_view
from remedy.cli.headline import headline
from remedy.core.values import Plan
from remedy.devices.acl import Acl
from remedy.engine.outcome import Outcome

from .conftest import Console, Said

FACES: Final = {"fw01": "secpath", "sw01": "comware"}
GATES: Final = {"secpath": "{zone: Untrust}", "comware": "{interface: GigabitEthernet1/0/1}"}
INVENTORY: Final = """\
all:
  children:
    servers:
      hosts:
        web01: {ansible_host: 192.0.2.11, remedy_management: [198.18.3.0/24], remedy_resolvers: [198.18.0.53]}
        log01: {ansible_host: 192.0.2.98, remedy_protected: true}
    firewalls:
      vars:
        ansible_connection: ansible.netcommon.network_cli
        ansible_host: 127.0.0.1
        ansible_user: admin
        ansible_password: {env: DEVICE_PASSWORD}
      hosts:
"""
RULES: Final = """\
deny   203.0.113.0/28             # brute force
deny   203.0.113.9
permit tcp from 198.51.100.0/24 to 192.0.2.0/24 port 443
deny   198.51.100.0/24
"""


@dataclass
class Site:
    """Two devices that are on, and an operator with a file of rules."""

    console: Console
    devices: dict[str, Firewall]
    file: Path

    def __call__(self, *args: str, text: str = RULES) -> Said:
        """Run `remedy acl ARGS`, FILE being the rules."""
        self.file.write_text(text)
        return self.console("acl", *(str(self.file) if word == "FILE" else word for word in args))


@pytest.fixture
def site(bare: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Both devices, each with an administrator's own rules."""
    monkeypatch.setenv("DEVICE_PASSWORD", "Admin-1")
    made: dict[str, Firewall] = {}
    (tmp_path / "fw01").mkdir()
    (tmp_path / "sw01").mkdir()
    with firewall(tmp_path / "fw01", "secpath") as fw01, firewall(tmp_path / "sw01", "comware") as sw01:
        text = INVENTORY
        for name, one in (("fw01", fw01), ("sw01", sw01)):
            made[name] = one
            reply = one.sessions.send(typing.configure(OTHERS[one.face]), at="fw01")
            assert reply.status == 0, reply
            reply = one.sessions.send(typing.save("fw01", vendors.named(one.vendor)).do, at="fw01")
            assert reply.status == 0, reply
            settings = {
                "ansible_port": one.target.port,
                "remedy_known_hosts": one.target.known_hosts,
                "remedy_platform": one.vendor,
                "remedy_gates": f"[{GATES[one.face]}]",
            }
            text += f"        {name}:\n" + "".join(f"          {key}: {value}\n" for key, value in settings.items())
        bare.inventory.write_text(text)
        yield Site(bare, made, tmp_path / "edge.rules")


def targets(said: Said) -> dict[str, dict[str, Any]]:
    """Each device's part of the document."""
    return {one["target"]: one for one in said.document["targets"]}


def test_the_whole_way(site: Site) -> None:
    """Compared, pushed on both, compared again, shown, and taken back: the exit codes say what there is to do."""
    start = {name: one.asked("running") for name, one in site.devices.items()}
    on = ("--on", "sw01", "--list", "EDGE-IN")
    said = site("diff", "FILE", *on)
    assert said.code == 10, said.err
    assert "acl advanced name EDGE-IN" in said.out
    assert "rule 0 deny ip source 203.0.113.0 0.0.0.15" in said.out
    assert not site.console.record.exists() or site.devices["sw01"].asked("running") == start["sw01"]
    assert site("diff", "FILE", "--on", "fw01", "--json").code == 10
    pushed = site("push", "FILE", *on, "--yes", "--json")
    assert pushed.code == 0, pushed.err
    assert pushed.target["status"] == "verified"
    assert site("diff", "FILE", *on).code == 0
    assert site("push", "FILE", *on, "--yes", "--json").target["status"] == "unchanged"

    saved = site.file.with_name("plan.json")
    assert site("push", "FILE", "--on", "fw01", "--out", str(saved)).code == 10
    both = site.console("apply", str(saved), "--yes", "--json")
    assert both.code == 0, both.err
    shown = site("show", "--json")
    assert shown.code == 0
    [policy] = [one for one in targets(shown)["fw01"]["lists"] if one["name"] == "ip"]
    assert [rule["source"] for rule in policy["rules"]][:2] == ["203.0.113.0/28", "198.51.100.0/24"]
    assert policy["rules"][-1]["rest"][0] == "name office"

    for run in (pushed.target["run"], both.target["run"]):
        assert site.console("undo", run, "--yes").code == 0
    assert {name: one.asked("running") for name, one in site.devices.items()} == start


def test_show(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rule is a line with its words and what never decides; a device that cannot be asked is told."""
    site.devices["sw01"].sessions.send(typing.configure(("acl advanced 3000", "rule 30 deny tcp", "quit")), at="fw01")
    said = site("show", "sw01", "--list", "3000")
    assert said.code == 0, said.err
    rows = [" ".join(line.split()) for line in said.out.splitlines()]
    assert "3000 IPv4 advanced, 3 rules" in rows
    assert "10 permit tcp any any port 80" in rows
    assert "30 deny tcp any any <- SHADOWED: 20 decides before it" in rows
    assert site("show", "web01").code == 2, "no network device"
    monkeypatch.setenv("DEVICE_PASSWORD", "Wrong-1")
    assert site("show", "--json").code == 21


def test_refused(site: Site) -> None:
    """What would cut off who must stay is 25 with the reason, before anything is typed; so is another's list."""
    start = {name: one.asked("running") for name, one in site.devices.items()}
    port = site.devices["sw01"].target.port
    for text, said in (
        ("deny 192.0.2.98\npermit any\n", "log01, which is protected"),
        ("deny 198.18.3.7\npermit any\n", "management of web01"),
        ("deny 198.18.0.0/24\npermit any\n", "name servers of web01"),
        (f"deny tcp from any to any port {port}\npermit any\n", "our own way to the device"),
        ("deny any\n", "would let nothing"),
    ):
        for command in (("push", "FILE", "--yes"), ("diff", "FILE")):
            got = site(*command, "--on", "sw01", "--list", "EDGE-IN", text=text)
            assert got.code == 25, (text, got.out, got.err)
            assert said in " ".join(got.err.split()), got.err
    other = site("push", "FILE", "--on", "sw01", "--list", "3000", "--yes")
    assert other.code == 25
    assert "--replace" in other.err
    assert {name: one.asked("running") for name, one in site.devices.items()} == start


def test_saved_plan_asks_again_who_must_stay(site: Site) -> None:
    """A saved push is refused (25) when the inventory protects somebody by now whom its plan did not know."""
    start = site.devices["sw01"].asked("running")
    saved = site.file.with_name("plan.json")
    assert site("push", "FILE", "--on", "sw01", "--list", "EDGE-IN", "--out", str(saved)).code == 10
    text = site.console.inventory.read_text()
    more = "        mail01: {ansible_host: 203.0.113.9, remedy_protected: true}\n        log01:"
    site.console.inventory.write_text(text.replace("        log01:", more))
    refused = site.console("apply", str(saved), "--yes")
    assert refused.code == 25, refused.out
    assert "does not know of mail01, which is protected" in refused.err
    assert site.devices["sw01"].asked("running") == start


def test_slips(site: Site) -> None:
    """A slip in the file is told by file and line before any device is dialled."""
    for one in site.devices.values():
        one.do("cut")
    got = site("push", "FILE", "--yes", text="deny 203.0.113.7\ndeny tcp from nobody\n")
    assert got.code == 2
    assert f"{site.file}:2" in got.err
    assert site.console("acl", "push", str(site.file.parent / "none.rules")).code == 2
    assert site("diff", "FILE", "--on", "sw01").code == 2, "no list is named"
    for raw, code in (
        (b"\xef\xbb\xbfdeny 203.0.113.7\r\npermit any\r\n", 10),
        (b"deny 203.0.113.7 # x\rpermit any\n", 2),
        ("deny 203.0.113.7  # 攻击\n".encode("gbk"), 2),
    ):
        site.file.write_bytes(raw)
        assert site.console("acl", "diff", str(site.file), "--on", "fw01").code == code, raw
    nowhere = str(site.file.parent / "nowhere" / "plan.json")
    assert site("push", "FILE", "--on", "fw01", "--out", nowhere).code == 2


def test_rules_that_end(site: Site) -> None:
    """`watch`, `resume` and `unblock --expired` take off what has ended by our clock, and nothing that others typed."""
    for one, years in zip(site.devices.values(), (-1, 1), strict=True):
        one.set(clock_offset=years * 400 * 86400.0)
    policy = ("security-policy ip", "rule 90 name guests", "action drop", "source-ip-host 192.0.2.66", "quit", "quit")
    theirs = {"fw01": policy, "sw01": ("acl advanced name EDGE-IN", "rule 7 deny ip source 192.0.2.66 0", "quit")}
    for ways, command in (
        (("fw01", "sw01"), ("watch", "INC", "--once", "--json")),
        (("sw01",), ("resume", "--json")),
        (("fw01",), ("unblock", "--expired", "--yes", "--json")),
    ):
        ends = {}
        for name in ways:
            ends[name] = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
            timed = f"deny 203.0.113.128/28 until {ends[name].isoformat()}\ndeny 203.0.113.64/28 for 24h\n"
            to = ("--on", name, *(("--list", "EDGE-IN") if name == "sw01" else ()))
            pushed = site("push", "FILE", *to, "--yes", "--json", text=RULES + timed)
            assert pushed.code == 0, pushed.err
            typed(site.devices[name], *theirs[name])
        incident = pushed.document["incident"]
        started = {name: site.devices[name].asked("running") for name in ways}
        assert all("203.0.113.128" in text for text in started.values())
        time.sleep(max(0.0, (max(ends.values()) - datetime.now(UTC)).total_seconds()))
        done = site.console(*(incident if word == "INC" else word for word in command))
        assert done.code == 0, done.out + done.err
        assert {one["target"]: one["status"] for one in done.document["targets"]} == dict.fromkeys(ways, "verified")
        for name in ways:
            one = site.devices[name]
            left = one.asked("running")
            assert "203.0.113.64" in left
            assert "192.0.2.66" in left
            assert gone(started[name], left) == gone(
                started[name], left, "203.0.113.128", ends[name].isoformat()[:19], "name remedy-"
            )
            assert one.asked("saved") == left
        assert site.console("unblock", "--expired", "--yes", "--json").document["targets"] == []
    assert site.console("incident", "verify").code == 0


def test_the_last_line_of_a_push() -> None:
    """A push that took off what has ended does not say that the file's rules are there."""
    for ended, said in (
        ("", "filtering as the file says"),
        ("2026-11-20T00:00:00Z", "rid of the rules that have ended"),
    ):
        plan = Plan("push", "sw01", "R1", "INC-1", "0", params(Push("h3c_comware", RULES, ended=ended)))
        assert headline(Outcome(plan, "verified"))[0] == f"sw01 is {said}: verified"


def gone(before: str, after: str, *words: str) -> list[str]:
    """The lines that are no longer there; with words, only those that have one of them."""
    left = after.splitlines()
    return [one for one in before.splitlines() if one not in left and any(word in one for word in words or ("",))]


def typed(one: Firewall, *lines: str) -> None:
    """Somebody else types these, and saves."""
    for command in (typing.configure(lines), typing.save("fw01", vendors.named(one.vendor)).do):
        assert one.sessions.send(command, at="fw01").status == 0


def test_hits_are_of_their_own_list() -> None:
    """Hits are told for the rule that they stand behind, and for no rule of another list with the same number."""
    text = (
        "Extended IP access list A\n    10 permit tcp any any eq 80 (20 matches)\n    20 deny ip any any\n"
        "Extended IP access list B\n    10 deny ip any any (3 matches)\n"
        "IPv6 access list C\n    permit tcp any any (8 matches) sequence 10\n"
    )
    filters = vendors.named("cisco_ios").filters
    assert filters is not None
    lists = filters.read_lists([text])
    assert acl_view.hits(lists, [text]) == {(0, 10): 20, (1, 10): 3, (2, 10): 8}
    assert acl_view.hits((Acl("D", 4),), [text]) == {}


@pytest.mark.parametrize("platform", ["h3c_comware", "cisco_ios"])
def test_what_nobody_understands_is_shown(platform: str) -> None:
    """A line that is no rule stands in the table and in the document, as it was said."""
    text = {
        "h3c_comware": "Advanced IPv4 ACL 3001, 1 rule,\nACL's step is 5\n rule 0 permit ip\n something odd\n",
        "cisco_ios": "Extended IP access list 101\n    10 permit ip any any\n    something odd\n",
    }[platform]
    filters = vendors.named(platform).filters
    assert filters is not None
    [acl] = filters.read_lists([text])
    assert ("  ? something odd", "yellow") in list(acl_view.lines(acl, {}))
    assert acl_view.document(acl, {})["unknown"] == ["something odd"]
