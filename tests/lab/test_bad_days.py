"""Bad input and bad days, on real hosts: each with its exit code, a message that says what to do, nothing changed."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.lab.contain import Console, Remedy, State, eventually, plain_inventory

from remedy.lab import Lab

pytestmark = pytest.mark.lab

NAME, OTHER, THIRD = "host011", "host012", "host013"
_DYING = str(Path(__file__).parent / "dying.py")
_HIDE = 'for f in "$@"; do for g in /usr/sbin/$f; do mv "$g" "$g.away"; done; done'
_SHOW = 'for g in /usr/sbin/*.away; do mv "$g" "${g%.away}"; done'


@pytest.fixture(scope="module")
def pristine(lab: Lab) -> dict[str, State]:
    """How the hosts of these tests were before any of them."""
    return {name: Console(lab, name).state() for name in (NAME, OTHER, THIRD)}


Operator = Callable[..., Remedy]


@pytest.fixture
def operator(lab: Lab, pristine: dict[str, State], tmp_path: Path) -> Iterator[Operator]:
    """Makes operators: one inventory and one record each, with extra variables; every host is as before afterwards."""
    made: list[Remedy] = []

    def make(folder: str = "record", **variables: Any) -> Remedy:  # noqa: ANN401 -- inventory variables
        source = plain_inventory(lab, tmp_path / f"inventory{len(made)}", (NAME, OTHER, THIRD), **variables)
        (tmp_path / folder).mkdir(exist_ok=True)
        made.append(Remedy(source, tmp_path / folder / "record.db"))
        return made[-1]

    yield make
    lab.clear()
    cleaner = make("cleaning")
    for name in pristine:
        console = Console(lab, name)
        if console.left():
            console.end_timers()
            said = cleaner("release", name, "--yes", "--force")
            assert not console.left(), said.err
    assert {name: Console(lab, name).state() for name in pristine} == pristine


@pytest.fixture
def host(lab: Lab) -> Console:
    """The host at the centre."""
    return Console(lab, NAME)


def paused(remedy: Remedy, entry: str, *words: str) -> subprocess.Popen[str]:
    """Start remedy so that it stops itself right after the entry "kind step"; SIGCONT lets it go on."""
    process = remedy.start(*words, wrapped=(_DYING, entry, "after", "SIGSTOP"))
    stat = Path(f"/proc/{process.pid}/stat")
    stopped = eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] in {"T", "Z"}, 30)
    assert stopped
    assert process.poll() is None, process.communicate()
    return process


def go_on(remedy: Remedy, process: subprocess.Popen[str], timeout: float = 120) -> Any:  # noqa: ANN401 -- Said
    """Let a stopped remedy go on to its end."""
    process.send_signal(signal.SIGCONT)
    return remedy.finish(process, timeout)


@pytest.mark.parametrize("pattern", ["web99", "nosuchgroup:&lab", "", "lab:!lab", "host0[99:98]"])
def test_what_matches_nothing_is_a_usage_error(operator: Operator, pattern: str) -> None:
    """An unknown host or group, an empty pattern and one that matches nothing end with 2, and there is no default."""
    said = operator()("isolate", pattern, "--yes", "--json")
    assert said.code == 2, said.err
    assert "remedy: " in said.err
    assert "isolate" in operator()("isolate", "--yes").err


def test_a_malformed_inventory_names_file_and_line(operator: Operator) -> None:
    """A YAML mistake is reported with the file and the line it is on."""
    remedy = operator()
    remedy.inventory.write_text("all:\n  hosts:\n    web01: {\n  oops\n")
    said = remedy("isolate", "web01", "--yes")
    assert said.code == 2
    assert f"{remedy.inventory}:" in said.err
    assert any(f"{remedy.inventory}:{line}" in said.err for line in (3, 4, 5)), said.err


def test_a_host_without_power_is_unreachable_soon(operator: Operator, lab: Lab) -> None:
    """A host that is off ends with 21 within the connect time-out, and the refusal is in the record."""
    lab.fault("power-off", NAME)
    began = time.monotonic()
    remedy = operator()
    said = remedy("isolate", NAME, "--yes", "--json")
    assert (said.code, said.target["error"]["kind"]) == (21, "ConnectFailed")
    assert time.monotonic() - began < 9
    assert remedy.entries("refusal")[0]["body"]["exit_code"] == 21


def test_one_dead_host_does_not_hold_up_the_others(operator: Operator, lab: Lab) -> None:
    """Of three hosts one is off: the two others are isolated and verified, the whole is partial (20)."""
    lab.fault("power-off", OTHER)
    said = operator()("isolate", NAME, OTHER, THIRD, "--yes", "--json")
    assert said.code == 20, said.err
    assert {name: one["status"] for name, one in said.targets.items()} == {
        NAME: "verified",
        OTHER: "error",
        THIRD: "verified",
    }
    assert Console(lab, NAME).is_cut
    assert Console(lab, THIRD).is_cut


def test_a_refused_key(operator: Operator, host: Console, tmp_path: Path) -> None:
    """A key the host does not accept ends with 21, saying so."""
    key = tmp_path / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    said = operator(ansible_ssh_private_key_file=str(key))("isolate", NAME, "--yes", "--json")
    assert (said.code, said.target["error"]["kind"]) == (21, "AuthenticationFailed")
    assert not host.left()


def test_a_changed_host_key(operator: Operator, host: Console, lab: Lab) -> None:
    """A host key that is not the one on file ends with 21 before anything is asked of the host."""
    lab.fault("host-key", NAME)
    said = operator()("isolate", NAME, "--yes", "--json")
    assert (said.code, said.target["error"]["kind"]) == (21, "HostKeyError")
    assert not host.left()


@pytest.mark.parametrize("right", [True, False])
def test_sudo_with_a_password(operator: Operator, host: Console, lab: Lab, *, right: bool) -> None:
    """With the right sudo password a plain user isolates and releases; with a wrong one it is 21; neither is shown."""
    password = lab.credentials.sudo_password.read_text() if right else "wrong-but-long-enough"
    remedy = operator(ansible_user="opspw", ansible_become=True, ansible_become_password={"env": "THE_SUDO_PASSWORD"})
    remedy.environ["THE_SUDO_PASSWORD"] = password
    said = remedy("isolate", NAME, "--yes", "--json", "-vv")
    assert password not in said.out + said.err + json.dumps(remedy.entries())
    assert host.is_cut == right
    if right:
        assert said.code == 0, said.err
        assert remedy("release", NAME, "--yes").code == 0
    else:
        assert (said.code, said.target["error"]["kind"]) == (21, "ElevationFailed")


def test_the_timer_outlives_a_sudo_session(operator: Operator, host: Console) -> None:
    """Armed through sudo, the timer still fires after the controller died, and the host stays cut off."""
    remedy = operator(ansible_user="ops", ansible_become=True)
    words = ("isolate", NAME, "--yes", "--confirm-within", "5")
    assert remedy(*words, wrapped=(_DYING, "sent 1", "after", "SIGKILL")).code == -signal.SIGKILL
    assert eventually(lambda: "state=fallback" in host.state().rules, 9)
    assert remedy("resume", "--json").code == 23


def test_no_packet_filter_at_all(operator: Operator, host: Console) -> None:
    """Without nft and iptables the host is refused with 25, and the message names another way."""
    host.sh(_HIDE, "nft", "*tables*", "xtables*")
    said = operator()("isolate", NAME, "--yes", "--json")
    host.sh(_SHOW)
    assert (said.code, said.target["error"]["kind"]) == (25, "TargetUnfit")
    assert "switch port" in said.target["error"]["hint"]


def test_an_nft_that_is_too_old(operator: Operator, host: Console) -> None:
    """An nft that does not understand the rules is found out by rehearsal, before anything is changed."""
    host.sh(_HIDE, "nft", "*tables*", "xtables*")
    old = '#!/bin/sh\n[ "$1" = --version ] && { echo "nftables v0.8 (Joe Btfsplk)"; exit 0; }\n'
    old += 'echo "/dev/stdin:4:9-14: Error: syntax error, unexpected reject" >&2; exit 1\n'
    host.sh("cat >/usr/sbin/nft; chmod 755 /usr/sbin/nft", stdin=old.encode())
    said = operator()("isolate", NAME, "--yes", "--json")
    host.sh("rm /usr/sbin/nft")
    host.sh(_SHOW)
    assert (said.code, said.target["error"]["kind"]) == (25, "TargetUnfit")
    assert "unexpected reject" in said.target["error"]["message"]
    assert not host.left()


def test_a_full_disk_on_the_target(operator: Operator, host: Console, lab: Lab) -> None:
    """A target whose disk is full is refused before anything is changed, and the message says so."""
    lab.fault("disk-full", NAME)
    said = operator()("isolate", NAME, "--yes", "--json")
    assert (said.code, said.target["error"]["kind"]) == (25, "TargetUnfit")
    assert "disk" in said.target["error"]["message"]
    assert not host.left()


def test_a_disk_that_fills_up_in_the_middle(operator: Operator, host: Console, lab: Lab) -> None:
    """When the disk fills up after the rules are loaded, the host stays cut off; unverified, saying why."""
    remedy = operator()
    process = paused(remedy, "sent 2", "isolate", NAME, "--yes", "--json")
    lab.fault("disk-full", NAME)
    said = go_on(remedy, process)
    assert said.code == 22, said.err
    assert any("come back after a reboot" in doubt for doubt in said.target["doubts"]), said.target["doubts"]
    assert host.is_cut
    lab.clear()
    assert remedy("release", NAME, "--yes").code in {0, 22}
    assert not host.left()


def test_a_wrong_clock_on_the_target(operator: Operator, host: Console, lab: Lab) -> None:
    """With a clock that is years off isolation is verified, and the record's times are the controller's."""
    lab.fault("clock", NAME, offset=-300_000_000)
    remedy = operator()
    said = remedy("isolate", NAME, "--confirm-within", "10", "--yes", "--json")
    assert said.code == 0, said.err
    assert host.is_cut
    for entry in remedy.entries():
        assert abs((datetime.now(UTC) - datetime.fromisoformat(entry["time"])).total_seconds()) < 60
    assert remedy("release", NAME, "--yes").code == 0


def test_the_controller_itself(operator: Operator, lab: Lab, tmp_path: Path) -> None:
    """An inventory name that leads back to the machine remedy runs on is refused with 25."""
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/bin")
    assert sshd, "openssh-server is needed on this machine, as for the transport's tests"
    key = lab.credentials.host_key("host001")
    public = lab.credentials.controller_key.with_name("controller.pub")
    authorized = tmp_path / "authorized_keys"
    shutil.copy(public, authorized)
    known = tmp_path / "known_hosts"
    known.write_text(f"[198.18.3.1]:2222 {key.with_name(key.name + '.pub').read_text()}")
    options = ["Port=2222", "ListenAddress=198.18.3.1", "PidFile=none", f"AuthorizedKeysFile={authorized}"]
    options += ["StrictModes=no", "PermitRootLogin=yes", f"HostKey={key}"]
    Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen([sshd, "-D", "-f", "/dev/null", *(w for o in options for w in ("-o", o))])
    try:
        remedy = operator()
        text = remedy.inventory.read_text().replace(lab.status()["hosts"][NAME]["v4"], "198.18.3.1")
        remedy.inventory.write_text(text + "\n")
        extra = remedy.inventory.parent / "host_vars"
        extra.mkdir()
        (extra / f"{NAME}.yml").write_text(f"ansible_port: 2222\nremedy_known_hosts: {known}\n")
        said = remedy("isolate", NAME, "--yes", "--json")
    finally:
        server.terminate()
        server.wait()
    assert (said.code, said.target["error"]["kind"]) == (25, "Refused"), said.target
    assert "this very machine" in said.target["error"]["message"]
    tables = subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True).stdout
    assert "remedy_isolation" not in tables


@pytest.mark.parametrize(
    ("prefix", "told"), [("198.0.0.0/7", "too wide"), ("198.18.16.0/20", "contains"), ("::/0", "too wide")]
)
def test_a_management_network_that_isolates_nothing(operator: Operator, host: Console, prefix: str, told: str) -> None:
    """A management prefix that is too wide, or in which the perimeter's far side lies, is refused with 25."""
    said = operator(remedy_management=[prefix])("isolate", NAME, "--yes", "--json")
    assert (said.code, said.target["error"]["kind"]) == (25, "Refused")
    assert told in said.target["error"]["message"]
    assert not host.left()


def test_a_management_address_that_is_not_ours(operator: Operator, host: Console) -> None:
    """With a wrong management address in the inventory the one remedy really comes from is kept open too."""
    said = operator(remedy_management=["198.18.3.77"])("isolate", NAME, "--yes", "--json")
    assert said.code in {0, 22}
    assert "198.18.3.1" in host.state().rules


def test_an_isolation_by_hand_is_nobodys_but_its_makers(operator: Operator, host: Console) -> None:
    """A table of that name that remedy did not make is neither used nor removed, unless forced."""
    host.sh("nft add table inet remedy_isolation; nft add chain inet remedy_isolation mine")
    before = host.state()
    remedy = operator()
    for verb in ("isolate", "release"):
        said = remedy(verb, NAME, "--yes", "--json")
        assert said.code == 25, (verb, said.out)
        assert said.target["error"]["hint"]
    assert host.state() == before
    assert remedy("release", NAME, "--force", "--yes").code in {0, 22}
    assert not host.left()


def test_an_isolation_of_another_incident_is_named(operator: Operator) -> None:
    """A host that is isolated under one incident is not isolated under another: refused with 25, naming the first."""
    remedy = operator()
    first = remedy("incident", "open", "first").out.strip()
    assert remedy("isolate", NAME, "--incident", first, "--yes").code == 0
    second = remedy("incident", "open", "second").out.strip()
    said = remedy("isolate", NAME, "--incident", second, "--yes", "--json")
    assert (said.code, said.target["error"]["kind"]) == (25, "HeldByOther")
    assert first in said.target["error"]["message"]
    assert remedy("incident", "close", first).code == 25, "not while a host of it is isolated"


def test_two_operators_with_one_record(operator: Operator) -> None:
    """While one is at a host, the other is told who holds it and refused with 25; the first ends verified."""
    remedy = operator()
    process = paused(remedy, "approval", "isolate", NAME, "--yes", "--json")
    said = remedy("isolate", NAME, "--yes", "--json")
    assert (said.code, said.target["error"]["kind"]) == (25, "HeldByOther"), said.out
    assert "held by root@" in said.target["error"]["message"]
    assert go_on(remedy, process).code == 0


def test_two_operators_with_a_record_each(operator: Operator, host: Console) -> None:
    """Who comes second changes nothing: the rules stay the winner's to the byte, and no timer of the loser's ticks."""
    loser, winner = operator("loser"), operator("winner")
    process = paused(loser, "intent 1", "isolate", NAME, "--yes", "--json", "--confirm-within", "5")
    assert winner("isolate", NAME, "--yes").code == 0
    rules = host.state()
    said = go_on(loser, process)
    assert said.code == 20, said.out
    assert said.target["status"] == "failed"
    assert "cmdline" not in host.left()
    time.sleep(1)
    assert host.state() == rules


def test_budget_share_and_protection(operator: Operator, lab: Lab) -> None:
    """Protected hosts, too many within the hour and too much of a group are refused with 25, and nothing is changed."""
    assert operator(remedy_protected=True)("isolate", NAME, "--yes").code == 25
    tight = operator("a", remedy_budget={"isolations_per_hour": 1, "group_share_percent": 100})
    assert tight("isolate", NAME, "--yes").code == 0
    said = tight("isolate", OTHER, "--yes", "--json")
    assert said.code == 25
    assert "isolations_per_hour" in said.target["error"]["hint"]
    share = operator("b", remedy_budget={"isolations_per_hour": 100, "group_share_percent": 20})
    said = share("isolate", OTHER, THIRD, "--yes", "--json")
    assert said.code == 25, said.out
    assert {one["status"] for one in said.targets.values()} == {"error"}
    assert not Console(lab, OTHER).left()
    assert not Console(lab, THIRD).left()


def test_a_link_that_breaks_for_a_moment_in_the_middle(operator: Operator, host: Console, lab: Lab) -> None:
    """A cable that is out for three seconds between two steps does not matter: isolated and verified."""
    remedy = operator()
    process = paused(remedy, "sent 1", "isolate", NAME, "--yes", "--json")
    lab.fault("link-cut", NAME)
    process.send_signal(signal.SIGCONT)
    time.sleep(3)
    lab.clear(NAME)
    said = remedy.finish(process)
    assert said.code == 0, said.err
    assert host.is_cut


def test_the_dead_man_timer_restores_management_and_nothing_else(operator: Operator, host: Console, lab: Lab) -> None:
    """Unconfirmed, the host opens sshd to everybody by itself, stays cut off, and the run ends with 23."""
    remedy, peer, address = operator(), Console(lab, "mon01"), lab.status()["hosts"][NAME]["v4"]
    process = paused(remedy, "sent 2", "isolate", NAME, "--confirm-within", "5", "--yes", "--json")
    lab.fault("link-cut", NAME)
    process.send_signal(signal.SIGCONT)
    assert eventually(lambda: "state=fallback" in host.state().rules, 8)
    assert not host.connects(lab.status()["hosts"]["host030"]["v4"], 22)
    lab.clear(NAME)
    said = remedy.finish(process)
    assert said.code == 23, said.err
    assert said.target["status"] == "rolled-back"
    assert peer.connects(address, 22)
    assert not host.connects(lab.status()["hosts"]["host030"]["v4"], 22), "still cut off"
    again = remedy("isolate", NAME, "--yes", "--json")
    assert again.code == 25
    assert "timer" in again.target["error"]["message"]
    assert remedy("release", NAME, "--yes", "--json").code == 0
    assert not host.left()


def test_the_dead_man_timer_may_open_by_policy(
    operator: Operator, host: Console, lab: Lab, pristine: dict[str, State]
) -> None:
    """With --on-timeout open an unconfirmed isolation is gone altogether, with 23, and nobody says isolated."""
    remedy = operator()
    words = ("isolate", NAME, "--confirm-within", "5", "--on-timeout", "open", "--yes", "--json")
    process = paused(remedy, "sent 2", *words)
    lab.fault("link-cut", NAME)
    process.send_signal(signal.SIGCONT)
    assert eventually(lambda: not host.is_cut, 8)
    lab.clear(NAME)
    said = remedy.finish(process)
    assert said.code == 23, said.err
    assert host.state() == pristine[NAME]
    assert remedy("resume", "--json").document["targets"] == []
    assert remedy("isolate", NAME, "--yes").code == 0


def test_power_lost_in_the_middle_is_never_verified(operator: Operator, host: Console, lab: Lab) -> None:
    """A host that lost power between two steps is not called isolated, and what is left can be released."""
    remedy = operator()
    process = paused(remedy, "sent 1", "isolate", NAME, "--yes", "--json")
    lab.fault("power-cycle", NAME)
    said = go_on(remedy, process)
    assert said.code in {20, 21, 22, 23}, said.out
    assert not host.is_cut
    assert remedy("release", NAME, "--yes").code in {0, 22}
    assert not host.left()


def test_a_lossy_slow_line_ends_with_a_true_statement(operator: Operator, host: Console, lab: Lab) -> None:
    """With 20 % loss and 100 ms delay each way it takes longer; whatever is said of the host is so."""
    lab.fault("delay", NAME, ms=100)
    lab.fault("loss", NAME, percent=20)
    remedy = operator()
    said = remedy("isolate", NAME, "--confirm-within", "60", "--yes", "--json", timeout=280)
    lab.clear(NAME)
    assert said.code in {0, 20, 21, 22, 23, 25}, said.err
    address = lab.status()["hosts"][NAME]["v4"]
    if said.code in {0, 22}:
        assert host.is_cut
        assert not Console(lab, "host028").connects(address, 22)
    if said.code == 25:
        assert not host.left()
    if said.target["status"] == "verified":
        assert host.boot_files


def test_an_intruder_who_opens_the_rules_again_is_never_called_contained(operator: Operator, host: Console) -> None:
    """Root on the host adds a rule as soon as the table appears: unverified (22), and the watch says so too."""
    script = (
        "setsid sh -c 'until nft insert rule inet remedy_isolation output accept 2>/dev/null; do sleep 0.02; done' "
        "</dev/null >/dev/null 2>&1 &"
    )
    host.sh(script)
    remedy = operator()
    said = remedy("isolate", NAME, "--yes", "--json")
    assert said.code == 22, said.out
    assert not said.target["verified"]
    watched = remedy("watch", said.document["incident"], "--once", "--json")
    assert watched.code == 22


def test_the_record_is_locked(operator: Operator, host: Console) -> None:
    """While another program keeps the record locked nothing is changed: 25, naming the record."""
    remedy = operator()
    assert remedy("incident", "open", "x").code == 0
    lock = sqlite3.connect(remedy.record, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    said = remedy("isolate", NAME, "--yes")
    lock.execute("ROLLBACK")
    lock.close()
    assert said.code == 25, said.err
    assert str(remedy.record) in said.err
    assert not host.left()


def test_the_record_is_corrupt(operator: Operator, host: Console) -> None:
    """A record that was written over is never appended to: 25 or 26, and nothing is changed."""
    remedy = operator()
    assert remedy("incident", "open", "x").code == 0
    size = remedy.record.stat().st_size
    with remedy.record.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * (size - 200))
    said = remedy("isolate", NAME, "--yes")
    assert said.code in {25, 26}, said.err
    assert not host.left()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_the_record_is_read_only(operator: Operator, host: Console, small_disk: Path) -> None:
    """A record on a read-only file system means 25 and nothing changed."""
    remedy = operator("small")
    assert remedy("incident", "open", "x").code == 0
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    said = remedy("isolate", NAME, "--yes")
    assert said.code == 25, said.err
    assert not host.left()


def test_the_records_disk_is_full(operator: Operator, host: Console, small_disk: Path) -> None:
    """A record that cannot grow means 25 and nothing changed."""
    remedy = operator("small")
    assert remedy("incident", "open", "x").code == 0
    _fill(small_disk)
    said = remedy("isolate", NAME, "--yes")
    assert said.code == 25, said.err
    assert not host.left()


def test_the_records_disk_fills_up_in_the_middle(operator: Operator, host: Console, small_disk: Path) -> None:
    """When the record cannot be written after a change was sent, nobody claims that nothing was; resume ends it."""
    remedy = operator("small")
    process = paused(remedy, "sent 1", "isolate", NAME, "--yes")
    _fill(small_disk)
    said = go_on(remedy, process)
    assert host.is_cut
    assert said.code == 20, said.err
    assert "resume" in said.err
    (small_disk / "fill").unlink()
    assert remedy("resume", "--json").target["status"] == "verified"
    assert remedy("release", NAME, "--yes").code == 0


def _fill(folder: Path) -> None:
    with (folder / "fill").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 512):
            pass


def test_json_stays_one_document_when_it_goes_wrong_early(operator: Operator) -> None:
    """A usage error with --json leaves standard output empty or one document, never half of one."""
    said = operator()("isolate", "web99", "--yes", "--json")
    assert said.out == "" or said.document["exit_code"] == 2
