"""Collections over real SSH sessions: what comes is kept, what goes wrong is said, and the host is left as it was."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.worlds import busybox_host
from tests.worlds.children import child

from remedy.core.errors import AnswerUnusable, TimedOut
from remedy.evidence import resuming, steps
from remedy.transports import held as earlier
from remedy.transports.collecting import Outside

from . import test_sudo
from .collecting_world import BY_NAME, Site, step
from .conftest import Keys, Server, Sshd

pytestmark = pytest.mark.lab

sudo = test_sudo.sudo
MIB = 2**20
AFTER = step("echo still here", 99, "after")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Where bags go."""
    return Site(tmp_path / "bags")


def programs(folder: Path, **scripts: str) -> str:
    """A folder of programs that stand before the host's own; the server's option for it."""
    folder.mkdir()
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return f"SetEnv PATH={folder}:/usr/bin:/bin HOME={folder}"


def running(word: str) -> list[int]:
    """Processes that have a word among their arguments."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if word.encode() in line.read_bytes().split(b"\0"):
                found.append(int(line.parent.name))
    return found


def gone(word: str, seconds: float = 5.0) -> bool:
    """Whether no process has this word any more, soon."""
    end = time.monotonic() + seconds
    while running(word) and time.monotonic() < end:
        time.sleep(0.02)
    return not running(word)


def test_output_errors_and_status_are_apart(sshd: Sshd, site: Site) -> None:
    """What a step says, what it complains of and how it ends are kept separately, with what was asked and when."""
    talk = step("printf 'out\\0\\377'; echo err >&2; exit 3")
    bag = site.collect(sshd().target, [talk, AFTER])
    assert bag.data("try") == b"out\0\xff"
    assert (bag.folder / "data/web01/0021-try.err").read_bytes() == b"err\n"
    line = bag.lines["try"]
    assert (line.state, line.cause, line.why) == ("truncated", "status", "it ended with status 3: err")
    meta = bag.meta("try")
    [stream] = meta["streams"]
    assert (stream["status"], stream["run"], stream["root"], stream["errors"]) == (3, talk.run, True, 4)
    assert bag.lines["after"].state == "ok"
    assert (bag.folder / "data/web01/prelude.sh").read_text() == steps.prelude()
    ledger = json.loads((bag.folder / "data/web01/ledger.json").read_bytes())
    assert [one["state"] for one in ledger["steps"]] == ["truncated", "ok"]


def test_endless_output(sshd: Sshd, site: Site) -> None:
    """Of an output without end the cap is kept, to the byte; the program ends, and the next step is asked."""
    bag = site.collect(sshd().target, [step("exec yes", cap=3 * MIB + 1), AFTER])
    assert bag.data("try") == (b"y\n" * 2 * MIB)[: 3 * MIB + 1]
    assert (bag.lines["try"].state, bag.lines["try"].cause) == ("truncated", "cap")
    assert bag.lines["after"].state == "ok"
    assert bag.lacking == ("try: truncated: more came than the step's `cap`",)


def test_endless_errors(sshd: Sshd, site: Site) -> None:
    """Complaints without end are counted and not kept, and end at the silence of the output."""
    bag = site.collect(sshd().target, [step("yes >&2", idle=1), AFTER])
    assert (bag.lines["try"].state, bag.lines["try"].cause) == ("timeout", "idle")
    assert (bag.folder / "data/web01/0021-try.err").stat().st_size <= 64 * 1024
    assert bag.lines["after"].state == "ok"


def test_silence_and_dripping(sshd: Sshd, site: Site) -> None:
    """A step that says nothing ends at its idle limit, one that drips at its total one; what came is kept."""
    silent = step("echo first; sleep 41.41", idle=1)
    drip = step("while :; do echo x; sleep 0.3; : 41.42; done", 22, "drip", seconds=2, idle=1)
    began = time.monotonic()
    bag = site.collect(sshd().target, [silent, drip, AFTER])
    assert time.monotonic() - began < 15
    assert (bag.lines["try"].state, bag.lines["try"].cause, bag.data("try")) == ("timeout", "idle", b"first\n")
    assert (bag.lines["drip"].state, bag.lines["drip"].cause) == ("timeout", "total")
    assert 3 <= len(bag.data("drip").split()) <= 8
    assert bag.lines["after"].state == "ok"
    assert gone("41.41")


def test_a_fifo_that_nobody_writes_to(sshd: Sshd, site: Site, tmp_path: Path) -> None:
    """A step that waits at a fifo is broken off, and the program that waited is gone from the host."""
    os.mkfifo(tmp_path / "fifo")
    bag = site.collect(sshd().target, [step(f"cat {tmp_path}/fifo", idle=1), AFTER])
    assert bag.lines["try"].state == "timeout"
    assert bag.lines["after"].state == "ok"
    assert gone(f"{tmp_path}/fifo")


def test_something_left_running_is_not_waited_for(sshd: Sshd, site: Site) -> None:
    """A program that goes on in the background and holds the output open does not hold the step."""
    began = time.monotonic()
    bag = site.collect(sshd().target, [step("echo done; sleep 9.17 &")])
    assert time.monotonic() - began < 6
    assert (bag.lines["try"].state, bag.data("try")) == ("ok", b"done\n")


def test_interrupted(sshd: Sshd, site: Site) -> None:
    """When it is asked to stop, what came is kept, the rest has its line each, and the bag can be sealed."""
    site.told = lambda what, done: site.stop.set() if what == "try" and done > MIB else None
    bag = site.collect(sshd().target, [AFTER, step("exec yes"), step("echo x", 30, "next")])
    assert bag.lines["after"].state == "ok"
    assert (bag.lines["try"].state, bag.lines["try"].cause) == ("truncated", "stopped")
    assert bag.lines["try"].received >= MIB
    assert (bag.lines["next"].state, bag.lines["next"].cause) == ("truncated", "not-begun")
    assert len(bag.lacking) == 2


def test_the_host_goes_away(sshd: Sshd, site: Site) -> None:
    """A host that is cut off in the middle of a stream leaves what came; the other steps were not begun."""
    server = sshd()

    def cut(_what: str, done: int) -> None:
        if done > MIB and server.process.poll() is None:
            own = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
            for pid in (server.process.pid, *map(int, own)):
                os.kill(pid, signal.SIGKILL)
            server.process.wait()

    site.told = cut
    bag = site.collect(server.target, [AFTER, step("exec yes"), step("echo x", 30, "next"), step("echo y", 31, "last")])
    assert bag.lines["after"].state == "ok"
    assert (bag.lines["try"].state, bag.lines["try"].cause) == ("truncated", "lost")
    assert bag.read(bag.lines["try"].files[0])[:4] == b"y\ny\n"
    assert bag.lines["next"].cause in {"lost", "not-begun"}
    assert bag.lines["last"].cause == "not-begun"


def test_our_own_disk_is_full(sshd: Sshd, site: Site, tmp_path: Path) -> None:
    """When the disk for evidence fills up, what came is sealed with its ledger, and the bag says what it lacks."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", small), check=True)
    try:
        bag = site.collect(sshd().target, [AFTER, step("exec yes"), step("echo x", 30, "next")], place=small)
        assert (bag.lines["try"].state, bag.lines["try"].cause) == ("truncated", "disk")
        assert 6 * MIB < bag.lines["try"].kept < 9 * MIB
        assert bag.lines["next"].cause == "not-begun"
        assert bag.data("after") == b"still here\n"
        assert (bag.folder / "data/web01/ledger.json").exists()
        shutil.copytree(bag.folder, tmp_path / "copy")
    finally:
        subprocess.run(("umount", small), check=True)
    sums = subprocess.run(("sha256sum", "-c", "--quiet", "manifest-sha256.txt"), cwd=tmp_path / "copy", check=False)
    assert sums.returncode == 0


@pytest.mark.parametrize(
    "greeting", ["echo welcome; printf 'no line break'", "echo err >&2", "cd /; umask 077; set -u"]
)
def test_a_login_shell_that_talks(sshd: Sshd, site: Site, greeting: str) -> None:
    """Whatever start-up files print or set, the answers are those of the steps alone."""
    bag = site.collect(sshd(bashrc=greeting).target, [step("echo answer")])
    assert (bag.lines["try"].state, bag.data("try")) == ("ok", b"answer\n")


@pytest.mark.parametrize(
    ("bashrc", "error"),
    [
        ("sleep 60.5", TimedOut),
        ("exec cat", TimedOut),
        ("exec yes", AnswerUnusable),
        ("exit 0", AnswerUnusable),
        ("exec echo 0000 s 0 0", AnswerUnusable),
    ],
)
def test_a_login_shell_that_does_not_obey(sshd: Sshd, site: Site, bashrc: str, error: type[Exception]) -> None:
    """A shell that sleeps, or answers other than asked, ends the collection before it begins, with a reason."""
    with pytest.raises(error) as caught:
        site.collect(sshd(bashrc=bashrc).target, [AFTER])
    assert str(caught.value)


def test_a_login_shell_that_stops_to_obey(sshd: Sshd, site: Site, tmp_path: Path) -> None:
    """When steps are no longer run, two are tried; every other has its line."""
    server = sshd(bashrc=f"[ -e {tmp_path}/obey ] || exec echo no")
    (tmp_path / "obey").write_text("")
    first = step(f"rm {tmp_path}/obey; echo x")
    bag = site.collect(server.target, [first, *(step("echo y", n, f"s{n}") for n in (31, 32, 33, 34))])
    causes = [line.cause for line in bag.lines.values()]
    assert causes[0] == ""
    assert set(causes[1:3]) <= {"shell", "lost"}
    assert set(causes[3:]) == {"not-begun"}


LOGS = r"""
set -e
mount -t tmpfs -o size=64m logs /var/log
mount -t tmpfs -o size=8m data /mnt; mkdir /var/log/separate; mount -t tmpfs -o size=8m more /var/log/separate
cd /var/log
printf 'hello\n' > syslog; printf 'inside\n' > separate/app.log; printf 'data\n' > /mnt/file
mkfifo fifo; mknod disk b 7 99; mknod endless c 1 5
truncate -s 1T sparse.log; printf 'end' >> sparse.log
python3 - <<'END'
import os, socket
for name in (b"line\nbreak", b"\x1b]0;owned\x07", b"-rf", b"--checkpoint-action=exec=sh", b"$(touch pwned)`id`",
             b"n" * 255, b"\xff\xfe\x80", b"a|b|77|-rw", b" leading", b"..."):
    with open(b"/var/log/" + name, "wb") as f:
        f.write(b"content of " + name)
os.mkdir(b"/var/log/dir\nwith break"); open(b"/var/log/dir\nwith break/inner", "w").close()
os.symlink("/etc/shadow", "/var/log/link"); os.symlink("/nowhere", "/var/log/dangling")
socket.socket(socket.AF_UNIX).bind("/var/log/socket")
END
exec "$@"
"""


@pytest.fixture
def nasty(sshd: Sshd) -> Server:
    """A host with a log directory that an intruder has prepared."""
    return sshd(wrap=("unshare", "--mount", "--propagation", "private", "sh", "-c", LOGS, "sh"))


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    """The members of a tar, by name; nothing is unpacked."""
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape", ignore_zeros=True) as tar:
        return {member.name: member for member in tar.getmembers()}


@pytest.mark.parametrize("busybox", [False, True], ids=["gnu", "busybox"])
def test_a_log_directory_made_by_an_intruder(sshd: Sshd, site: Site, tmp_path: Path, busybox: bool) -> None:  # noqa: FBT001 -- pytest's
    """Fifos and devices are not opened, holes take no room, no name does anything, other file systems are left out."""
    options: tuple[str, ...] = ()
    if busybox:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in subprocess.run(("busybox", "--list"), capture_output=True, text=True, check=True).stdout.split():
            (folder / name).symlink_to("/usr/bin/busybox")
        options = (f"SetEnv PATH={folder} HOME={folder}",)
    server = sshd(*options, wrap=("unshare", "--mount", "--propagation", "private", "sh", "-c", LOGS, "sh"))
    planned = [BY_NAME["timeline"], BY_NAME["strange-names"], BY_NAME["logs"]]
    began = time.monotonic()
    bag = site.collect(server.target, planned)
    assert time.monotonic() - began < 60
    found = members(bag.data("logs"))
    assert found["var/log/fifo"].type == tarfile.FIFOTYPE
    assert found["var/log/disk"].type == tarfile.BLKTYPE
    assert found["var/log/endless"].type == tarfile.CHRTYPE
    assert found["var/log/link"].linkname == "/etc/shadow"
    names = {name.encode("utf-8", "surrogateescape") for name in found}
    for odd in (b"line\nbreak", b"\x1b]0;owned\x07", b"-rf", b"n" * 255, b"\xff\xfe\x80", b"$(touch pwned)`id`"):
        assert b"var/log/" + odd in names
    assert b"var/log/separate/app.log" not in names
    if busybox:
        assert (bag.lines["logs"].state, bag.lines["logs"].cause) == ("truncated", "left-out")
        assert "var/log/sparse.log" not in found
    else:
        assert bag.lines["logs"].state == "ok", bag.lines["logs"]
        assert found["var/log/sparse.log"].size == 2**40 + 3
    assert bag.lines["logs"].kept < MIB
    check_times(bag.data("timeline"), bag.data("strange-names"))
    assert not list(Path("/var/log").glob("pwned"))
    assert all(path.name.isascii() and "pwned" not in path.name for path in bag.folder.rglob("*"))


def check_times(timeline: bytes, strange: bytes) -> None:
    """The timeline has one line a file, whatever it is called; mounts are named; odd names are elsewhere."""
    lines = timeline.split(b"\n")
    for line in lines:
        assert not line or line.startswith((b"# ", b"0|/", b"0|(a name with a line break)|")), line
        assert line.startswith(b"# ") or not line or len(line.split(b"|")) >= 11
    assert sum(line.startswith(b"0|(a name") for line in lines) >= 3
    assert any(line.startswith(b"# mount /var/log type tmpfs") for line in lines)
    assert any(line.startswith(b"# mount /var/log/separate type tmpfs") for line in lines)
    assert any(line.startswith(b"# not walked, of the kernel: /proc") for line in lines)
    assert sum(line.startswith(b"0|/var/log/separate/app.log|") for line in lines) == 1
    assert sum(line.startswith(b"0|/var/log/syslog|") for line in lines) == 1
    assert sum(line.startswith(b"0|/mnt/file|") for line in lines) == 1
    assert {b"/var/log/line\nbreak", b"/var/log/dir\nwith break/inner"} <= set(strange.split(b"\0"))


def test_times_are_taken_before_contents(nasty: Server, site: Site) -> None:
    """The time of last access in the timeline is from before the collection read the file."""
    log = Path("/proc") / str(nasty.process.pid) / "root/var/log/syslog"
    os.utime(log, (1_000_000_000, 1_700_000_000))
    bag = site.collect(nasty.target, [BY_NAME["timeline"], BY_NAME["logs"]])
    [line] = [line for line in bag.data("timeline").split(b"\n") if line.startswith(b"0|/var/log/syslog|")]
    assert line.split(b"|")[7].split(b".")[0] == b"1000000000"
    assert members(bag.data("logs"))["var/log/syslog"].mtime == 1_700_000_000


def forged() -> bytes:
    """A tar with everything that must never be unpacked."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in ("/etc/cron.d/owned", "../../../etc/owned", "twice", "twice", "a/../../b", "x" * 4000):
            member = tarfile.TarInfo(name)
            member.size = 5
            tar.addfile(member, io.BytesIO(b"owned"))
        for kind, name, link in (
            (tarfile.SYMTYPE, "out", "/"),
            (tarfile.LNKTYPE, "hard", "/etc/passwd"),
            (tarfile.BLKTYPE, "sda", ""),
            (tarfile.SYMTYPE, "out", "/etc"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            tar.addfile(member)
    return out.getvalue()


def test_a_tar_that_must_not_be_unpacked(sshd: Sshd, site: Site, tmp_path: Path) -> None:
    """Members with absolute paths, ways out, links and devices are kept as they came, and never followed."""
    (tmp_path / "forged").write_bytes(forged())
    option = programs(
        tmp_path / "bin",
        tar=f'case $1 in --version) echo "tar (GNU tar) 1.34";; *) cat {tmp_path}/forged; exit 2;; esac',
    )
    bag = site.collect(sshd(option).target, [BY_NAME["timeline"], BY_NAME["logs"]])
    assert bag.data("logs") == forged()
    assert (bag.lines["logs"].state, bag.lines["logs"].cause) == ("truncated", "status")
    before = sorted(tmp_path.rglob("*"))
    assert earlier.read(bag.folder, "web01", [BY_NAME["logs"]]).held == {}
    assert sorted(tmp_path.rglob("*")) == before
    assert not Path("/etc/owned").exists()


@pytest.mark.parametrize(
    ("script", "states"),
    [
        ("exec yes", {"truncated", "timeout"}),
        ("sleep 600.25", {"timeout"}),
        ("exit 0", {"ok"}),
        ("kill -9 $$", {"truncated"}),
        ("echo 'x: Permission denied' >&2; exit 1", {"denied"}),
        ("kill -9 $PPID", {"truncated", "timeout"}),
    ],
)
def test_replaced_programs(sshd: Sshd, site: Site, tmp_path: Path, script: str, states: set[str]) -> None:
    """A tar, cat or find that is endless, mute, dead or a liar costs its own steps, and nobody else's."""
    option = programs(tmp_path / "bin", tar=script, cat=script, find=script)
    names = ["identity", "network", "logs"]
    planned = [replace(BY_NAME[name], seconds=4, idle=2, cap=MIB) for name in names]
    bag = site.collect(sshd(option).target, [*planned, AFTER])
    assert {bag.lines[name].state for name in names} & states
    assert bag.lines["after"].state == "ok"
    assert gone("600.25")


HOOK = """\
#define _GNU_SOURCE
struct dirent { unsigned long d_ino; long d_off; unsigned short d_reclen; unsigned char d_type; char d_name[256]; };
extern void *dlsym(void *, const char *);
extern int strcmp(const char *, const char *);
extern char *getenv(const char *);
static struct dirent *(*real)(void *);
struct dirent *readdir(void *dir) {
  struct dirent *entry;
  if (!real) real = dlsym((void *)-1L, "readdir");
  do entry = real(dir);
  while (entry && getenv("HIDE") && !strcmp(entry->d_name, getenv("HIDE")));
  return entry;
}
struct dirent *readdir64(void *dir) { return readdir(dir); }
"""


@pytest.fixture
def hook(tmp_path: Path) -> Path:
    """A library that hides a process from everything that lists /proc, as rootkits do it."""
    if not shutil.which("gcc"):
        pytest.fail("this test needs a compiler: apt-get install gcc")
    (tmp_path / "hook.c").write_text(HOOK)
    subprocess.run(
        ("gcc", "-shared", "-fPIC", "-nostdlib", "-o", tmp_path / "hook.so", tmp_path / "hook.c"), check=True
    )
    return tmp_path / "hook.so"


@pytest.mark.parametrize("name", ["processes", "all-process-numbers"])
def test_a_hidden_process_is_found(sshd: Sshd, site: Site, hook: Path, name: str) -> None:
    """A process that a preloaded library keeps from ls, ps and the shell is named, with its program; no other is."""
    with subprocess.Popen(("sleep", "300")) as secret:
        try:
            server = sshd(f"SetEnv LD_PRELOAD={hook} HIDE={secret.pid} HOME={hook.parent}")
            seen = site.collect(server.target, [step("ls /proc; ps -e -o pid=; cd /proc; echo [0-9]*")])
            assert str(secret.pid) not in seen.data("try").decode().split()
            found = site.collect(server.target, [BY_NAME[name]]).lines[name]
        finally:
            secret.kill()
    assert found.state == "ok"
    [text] = found.findings
    assert f"process {secret.pid} (" in text
    assert "sleep" in text
    assert text.endswith("is not listed by the shell's look into /proc or ls or ps")


def test_a_replaced_ps_is_found(sshd: Sshd, site: Site, tmp_path: Path) -> None:
    """A ps that leaves a process out is found by what ls and the shell see."""
    with subprocess.Popen(("sleep", "300")) as secret:
        try:
            option = programs(tmp_path / "bin", ps=f"/usr/bin/ps -e -o pid= | grep -vw {secret.pid}")
            [text] = site.collect(sshd(option).target, [BY_NAME["processes"]]).lines["processes"].findings
        finally:
            secret.kill()
    assert text.startswith(f"process {secret.pid} (")
    assert text.endswith("is not listed by ps")


def test_an_honest_host_hides_nothing(sshd: Sshd, site: Site) -> None:
    """While processes come and go all the time, none is called hidden."""
    with subprocess.Popen(("sh", "-c", "while :; do sleep 0.01 & wait; done"), start_new_session=True) as busy:
        try:
            target = sshd().target
            for _ in range(3):
                assert site.collect(target, [BY_NAME["processes"]]).lines["processes"].findings == ()
        finally:
            os.killpg(busy.pid, signal.SIGKILL)


MEMFD = (
    "import os,sys;f=os.memfd_create('kworker');os.write(f,open('/bin/sleep','rb').read());os.execve(f,['kw','300'],{})"
)


def test_programs_without_a_file_are_recovered(sshd: Sshd, site: Site, tmp_path: Path) -> None:
    """A program whose file was deleted, and one that never had any, are in the bag byte for byte."""
    shutil.copy("/bin/sleep", tmp_path / "implant")
    wanted = hashlib.sha256(Path("/bin/sleep").read_bytes()).hexdigest()
    argv: tuple[tuple[str | Path, ...], ...] = ((tmp_path / "implant", "300"), ("python3", "-c", MEMFD))
    with contextlib.ExitStack() as ends:
        alive = [ends.enter_context(subprocess.Popen(one)) for one in argv]
        for process in alive:
            ends.callback(process.kill)
        while b"kw" not in Path(f"/proc/{alive[1].pid}/cmdline").read_bytes().split(b"\0"):
            time.sleep(0.01)
        (tmp_path / "implant").unlink()
        bag = site.collect(sshd().target, [BY_NAME["deleted-programs"]])
    line = bag.lines["deleted-programs"]
    assert line.state == "ok"
    for process in alive:
        [file] = [file for file in line.files if file.endswith(f"-{process.pid}.bin.zst")]
        assert hashlib.sha256(bag.read(file)).hexdigest() == wanted
        assert any(text.startswith(f"process {process.pid} runs a program") for text in line.findings)


def test_without_root(sudo: Callable[..., Server], site: Site) -> None:
    """A login that may not become root gets what it may see, and what it may not is called denied."""
    server = sudo("op ALL=(ALL) ALL", options=("UsePAM no",))
    target = replace(server.target, become=False, become_password=None)
    bag = site.collect(target, steps.chosen("triage"), root=False)
    states = {name: line.state for name, line in bag.lines.items()}
    assert {states[name] for name in ("identity", "kernel", "sessions")} == {"ok"}, bag.lines
    assert {states[name] for name in ("network", "processes", "persistence")} == {"denied"}
    assert b"uid=4242(op)" in bag.data("identity")
    assert "truncated" not in states.values()
    assert "timeout" not in states.values()


def test_with_sudo(sudo: Callable[..., Server], site: Site) -> None:
    """A login that becomes root by sudo, with a password, collects as root."""
    server = sudo("op ALL=(ALL) ALL", options=("UsePAM no",))
    target = replace(server.target, become_password=test_sudo.RIGHT)
    bag = site.collect(target, [BY_NAME["identity"], BY_NAME["processes"], BY_NAME["deleted-programs"]])
    assert b"uid=0(root)" in bag.data("identity")
    assert bag.lines["processes"].state == "ok"


def test_sudo_that_refuses(sudo: Callable[..., Server], site: Site) -> None:
    """When sudo refuses, the collection goes on with what the login itself may see."""
    server = sudo("root ALL=(ALL) ALL", options=("UsePAM no",))
    bag = site.collect(server.target, [BY_NAME["identity"], BY_NAME["processes"]])
    assert b"uid=4242(op)" in bag.data("identity")
    assert (bag.lines["processes"].state, bag.lines["processes"].cause) == ("denied", "no-root")


def test_a_host_with_busybox_alone(sshd: Sshd, keys: Keys, site: Site, tmp_path: Path) -> None:
    """On a host that has busybox and sshd and nothing else, every step of every profile ends well."""
    root = busybox_host.build(tmp_path / "root")
    server = sshd(wrap=busybox_host.wrap(root, keys.folder, tmp_path / "sshd0"))
    bag = site.collect(server.target, steps.chosen("full"))
    states = {name: (line.state, line.why) for name, line in bag.lines.items()}
    expected = {"packet-filter", "deleted-programs", "registers", "page"}
    assert {name for name, (state, _) in states.items() if state != "ok"} <= expected, bag.lacking
    assert {state for state, _ in states.values()} <= {"ok", "absent"}
    assert members(bag.data("logs"))["var/log/nginx/access.log"].size == 6000
    assert "var/www/html/index.html" in members(bag.data("web-root"))
    lines = bag.data("timeline").split(b"\n")
    assert sum(line.startswith(b"0|/var/log/messages|") for line in lines) == 1
    assert bag.lines["processes"].findings == ()


def test_several_at_once_into_one_place(sshd: Sshd, site: Site) -> None:
    """Several hosts at the same time have a bag each, and none takes another's bytes."""
    servers = [sshd() for _ in range(4)]
    bags = {}

    def one(number: int) -> None:
        target = replace(servers[number].target, name=f"host{number}")
        bags[number] = site.collect(target, [step(f"yes {number} | head -c {MIB}"), AFTER])

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: set(bag.data("try").split()) for number, bag in bags.items()} == {
        number: {str(number).encode()} for number in range(4)
    }


GROWING = r"""
set -e
mount -t tmpfs -o size=256m logs /var/log
cd /var/log
yes 'a line of the first log' | head -c 20000000 > app.log
yes 'another' | head -c 3000000 > other.log
echo small > small.log
exec "$@"
"""


def test_logs_are_continued(sshd: Sshd, site: Site) -> None:
    """A log that was cut off, and rotated meanwhile, is continued: the two bags together have the file."""
    server = sshd(
        programs(site.folder.parent / "bin", zstd="exec cat"),
        wrap=("unshare", "--mount", "--propagation", "private", "sh", "-c", GROWING, "sh"),
    )
    logs = Path("/proc") / str(server.process.pid) / "root/var/log"
    timeline, step_ = BY_NAME["timeline"], BY_NAME["logs"]
    first = site.collect(server.target, [timeline, replace(step_, cap=21_000_000)])
    assert first.lines["logs"].cause == "cap"
    known = earlier.read(first.folder, "web01", [timeline, step_])
    assert known.done == {"timeline"}
    (logs / "app.log").rename(logs / "app.log.1")
    (logs / "app.log").write_text("new\n")
    with (logs / "app.log.1").open("ab") as file:
        file.write(b"the last line\n")
    second = site.collect(server.target, [step_], held=known.held)
    line = second.lines["logs"]
    assert line.state == "ok"
    assert line.received < 10_000_000
    rest = members(second.data_of("logs", ".tar.zst"))
    assert "var/log/app.log" in rest
    assert "var/log/small.log" in rest
    assert "var/log/app.log.1" not in rest
    streams = {one["name"]: one for one in second.meta("logs")["streams"]}
    joined = {}
    inode = (logs / "app.log.1").stat().st_ino
    more = second.data_of("logs", "-continued.bin.zst")
    for section in more.split(f"\n{streams['continued']['fence']} continued ".encode())[1:]:
        head, _, body = section.partition(b"\n")
        joined[head] = body
    [had] = [one for one in known.held["logs"] if one.inode == inode]
    assert (
        first.members_of("logs", had.size)["var/log/app.log"] + joined[f"{inode} {had.size}".encode()]
        == (logs / "app.log.1").read_bytes()
    )


def test_a_log_that_was_rewritten_is_taken_whole(sshd: Sshd, site: Site) -> None:
    """When what the earlier bag has is not how the file begins, nothing is left out."""
    server = sshd(
        programs(site.folder.parent / "bin", zstd="exec cat"),
        wrap=("unshare", "--mount", "--propagation", "private", "sh", "-c", GROWING, "sh"),
    )
    logs = Path("/proc") / str(server.process.pid) / "root/var/log"
    timeline, step_ = BY_NAME["timeline"], BY_NAME["logs"]
    known = earlier.read(
        site.collect(server.target, [timeline, replace(step_, cap=21_000_000)]).folder, "web01", [timeline, step_]
    )
    with (logs / "app.log").open("r+b") as file:
        file.write(b"X")
    second = site.collect(server.target, [step_], held=known.held)
    assert any("are not what the earlier bag has" in text for text in second.lines["logs"].findings)
    assert members(second.data_of("logs", ".tar.zst"))["var/log/app.log"].size == 20_000_000


def test_nothing_is_promised_of_a_forged_hash(sshd: Sshd, site: Site) -> None:
    """Held parts that no file fits lead to the whole tar."""
    server = sshd(wrap=("unshare", "--mount", "--propagation", "private", "sh", "-c", GROWING, "sh"))
    nobody = {"logs": (resuming.Held(b"var/log/app.log", 100_000, "00" * 32, 12),)}
    bag = site.collect(server.target, [BY_NAME["logs"]], held=nobody)
    assert members(bag.data("logs"))["var/log/app.log"].size == 20_000_000


@pytest.mark.parametrize("sessions", [1, 2])
def test_a_server_with_few_sessions(sshd: Sshd, site: Site, sessions: int) -> None:
    """Where a connection may have but one session, steps get a connection each."""
    bag = site.collect(sshd(f"MaxSessions {sessions}").target, [AFTER, step("echo x")])
    assert {line.state for line in bag.lines.values()} == {"ok"}


def test_a_page_over_tls(sshd: Sshd, site: Site, tmp_path: Path) -> None:
    """A page is kept with its headers and the certificate it came with; a port where nobody answers does not matter."""
    key = ("req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2")
    subprocess.run(("openssl", *key, "-subj", "/CN=owned.example"), cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "index.html").write_text("<h1>owned</h1>")
    serve = (
        "openssl",
        "s_server",
        "-accept",
        "127.0.0.1:8443",
        "-cert",
        "cert.pem",
        "-key",
        "key.pem",
        "-WWW",
        "-quiet",
    )
    look = Outside("web01", "127.0.0.1", (8443, 8081))
    with child(serve, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        bag = site.collect(sshd().target, [AFTER, BY_NAME["page"]], outside=look)
    assert (bag.lines["page"].state, bag.lines["page"].findings) == ("ok", ("as seen from web01",))
    cert = (tmp_path / "cert.pem").read_bytes()
    assert cert.strip() in bag.data("page")
    assert b"HTTP/1.0 " in bag.data("page")
    assert bag.meta("page")["streams"][0]["arguments"] == ["127.0.0.1", "8443", "8081"]
    assert site.collect(sshd().target, [BY_NAME["page"]], outside=look).lines["page"].state == "absent"


def test_a_log_that_is_cut_meanwhile(sshd: Sshd, site: Site) -> None:
    """A log that became shorter than what is held, after the two were compared, is told: the step is not whole."""
    server = sshd(wrap=("unshare", "--mount", "--propagation", "private", "sh", "-c", GROWING, "sh"))
    logs = Path("/proc") / str(server.process.pid) / "root/var/log"
    whole = resuming.Held(b"", 3_000_000 - 8, "", (logs / "other.log").stat().st_ino)
    cut = resuming.Held(b"", 100_000, "", (logs / "small.log").stat().st_ino)
    line = site.collect(server.target, [resuming.continuing(BY_NAME["logs"], [cut, whole])])
    assert line.data("logs").endswith(b"another\n")
    found = line.lines["logs"]
    assert (found.state, found.cause) == ("truncated", "left-out")
    assert f"inode {cut.inode} was cut short" in found.why
