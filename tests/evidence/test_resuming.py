"""What an earlier bag has of a host's logs, read from a tar that may be cut off or forged."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from remedy.evidence import resuming, steps
from remedy.evidence.resuming import Held

LONG = "var/log/" + "d" * 80 + "/" + "f" * 200
FILES = {"var/log/syslog": b"line\n" * 300, "var/log/empty": b"", LONG: b"x" * 1234, "var/log/naïve\n": b"y" * 512}
[LOGS] = [step for step in steps.registered() if step.name == "logs"]


def archive(form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar with those files, and with everything else that a tar can hold."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for kind, name in ((tarfile.DIRTYPE, "var/log"), (tarfile.FIFOTYPE, "var/log/f"), (tarfile.BLKTYPE, "b")):
            member = tarfile.TarInfo(name)
            member.type = kind
            tar.addfile(member)
        for kind, link in ((tarfile.SYMTYPE, "/etc/" + "l" * 150), (tarfile.LNKTYPE, "var/log/syslog")):
            member = tarfile.TarInfo("link")
            member.type, member.linkname = kind, link
            tar.addfile(member)
        for name, data in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def held(data: bytes, size: int = 700) -> list[Held]:
    """What is held of a tar that comes in pieces."""
    return list(resuming.members(data[start : start + size] for start in range(0, len(data), size)))


def entry(name: str, data: bytes) -> Held:
    """What is held of a whole file."""
    return Held(name.encode(), len(data), hashlib.sha256(data).hexdigest())


@given(st.integers(1, 5000))
def test_every_file_is_held_as_it_is(size: int) -> None:
    """Names of any length and every kind of member around it leave name, size and hash of each file right."""
    assert held(archive(), size) == [entry(name, data) for name, data in FILES.items()]


def test_two_archives_one_after_the_other() -> None:
    """What a tar without GNU's options gives, several archives in a row, is read to the end."""
    assert held(archive() * 2) == [entry(name, data) for name, data in FILES.items()] * 2


@given(st.integers(0, len(archive())))
def test_cut_anywhere(end: int) -> None:
    """Of a tar that was cut off, what is held is the beginning of what there was, and hashes are of what is there."""
    whole = list(FILES.items())
    found = held(archive()[:end])
    for got, (name, data) in zip(found, whole, strict=False):
        assert got == entry(name, data[: got.size]) or (got.name != name.encode() and got is found[-1])
    assert all(got.size == len(FILES[got.name.decode()]) for got in found[:-1])


@given(st.binary(max_size=3000))
def test_no_bytes_are_too_strange(data: bytes) -> None:
    """Anything at all is read without an error and without more memory than its own size."""
    assert len(held(data + archive() + data)) <= 2 * len(FILES)
    assert held(archive() + data)[:4] == held(archive())


def test_a_forged_size_holds_nothing_more() -> None:
    """A header that promises a terabyte gives what came; a long name that would fill memory is passed over."""
    member = tarfile.TarInfo("var/log/big")
    member.size = 2**40
    assert held(member.tobuf(tarfile.GNU_FORMAT) + b"abc") == [entry("var/log/big", b"abc")]
    member.type = b"L"
    assert held(member.tobuf(tarfile.GNU_FORMAT) + b"abc") == []


def test_sparse_files_are_not_continued() -> None:
    """The bytes that a tar has of a file with holes are not those at the beginning of the file."""
    member = tarfile.TarInfo("var/log/holes")
    member.type, member.size = tarfile.GNUTYPE_SPARSE, 512
    assert held(member.tobuf(tarfile.GNU_FORMAT) + bytes(512)) == []


def test_the_timeline_gives_the_inode() -> None:
    """A name is found in the timeline of the same bag; one that is there twice, or in no whole line, is not."""
    times = "|-rw-r-----|0|4|1500|1.5|1.5|1.5|0"
    lines = [
        f"0|/var/log/syslog|77{times}",
        f"0|/var/log/a|b|78{times}",
        f"0|/var/log/twice|79{times}",
        f"0|/var/log/twice|80{times}",
        "0|/var/log/folder|81|drwxr-xr-x|0|4|1500|1|1|1|0",
        "0|/var/log/half|82|-rw-",
        "# mount / type ext4",
    ]
    wanted = [Held(name, 9, "") for name in (b"var/log/syslog", b"var/log/a|b", b"var/log/twice", b"var/log/half")]
    found = resuming.inodes((line.encode() for line in lines), wanted)
    assert {one.name: one.inode for one in found} == {b"var/log/syslog": 77, b"var/log/a|b": 78}


def test_scripts_hold_digits_only() -> None:
    """Whatever a file is called, what is sent to the host names it by its inode."""
    evil = Held(b"var/log/$(reboot)\n;'", 70000, "ab" * 32, 4711)
    for step in (resuming.asking(LOGS, [evil]), resuming.continuing(LOGS, [evil]), resuming.without(LOGS, [evil])):
        assert "4711" in step.run + step.expand
        assert "reboot" not in step.run + step.expand
    assert resuming.without(LOGS, []) == LOGS
    assert resuming.asking(LOGS, [evil]).run == LOGS.run
    assert replace(resuming.continuing(LOGS, [evil]), run=LOGS.run, kind="tar") == LOGS


def test_only_what_is_worth_it_is_continued() -> None:
    """Small files are asked for again, and of very many the largest are continued."""
    many = [Held(b"%d" % n, resuming.LEAST + n, "") for n in range(resuming.MOST + 10)]
    chosen = resuming.largest([Held(b"small", resuming.LEAST - 1, ""), *many])
    assert len(chosen) == resuming.MOST
    assert min(one.size for one in chosen) == resuming.LEAST + 10
