"""Everything that can be done to a bag is found, and what was not done is not."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.worlds import bags
from tests.worlds.bags import FILES, Made

from remedy.core.errors import UsageError
from remedy.evidence import bag
from remedy.evidence.findings import KINDS, MOST, Findings
from remedy.record import signers
from remedy.record.signers import Signers
from remedy.transports.bags.verifying import verify

TAGS = (
    "VERIFY.txt", "allowed_signers", "bag-info.txt", "bagit.txt", "manifest-sha256.txt", "manifest-sm3.txt",
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A bag that every test puts back as it was."""
    return bags.make(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A bag of the test's own."""
    return bags.make(tmp_path)


def kinds(found: Findings) -> set[tuple[str, str]]:
    """Kind and path of every finding."""
    return {(one.kind, one.path) for one in found.findings}


def test_what_was_not_touched_verifies(made: Made) -> None:
    """A bag as it was sealed has no finding at all, and says what it is."""
    found = made.verify()
    assert found.proven
    assert found.findings == ()
    assert found.sha256 == made.sealed.sha256
    assert (found.size, found.count) == (sum(map(len, FILES.values())), len(FILES))
    assert found.signature
    assert found.signature.fingerprint == made.signer.public.fingerprint


@pytest.mark.parametrize("name", [*TAGS, *FILES])
def test_every_byte_of_every_file_counts(whole: Made, name: str) -> None:
    """Any one bit flipped at any byte of a tag file, and all through the payload, is found and the file is named."""
    path = whole.folder / name
    size = path.stat().st_size
    positions = range(size) if name in TAGS or size < 100 else {*range(0, size, 97), size - 1}
    with whole.changed(name) as data:
        for at in positions:
            data[at] ^= 1 << at % 8
            path.write_bytes(data)
            found = whole.verify()
            assert ("changed", name) in kinds(found), (name, at)
            assert not found.ok
            data[at] ^= 1 << at % 8
    assert whole.verify().proven


@pytest.mark.parametrize("name", [bag.TAG_MANIFEST, bag.SIGNATURE])
def test_every_bit_of_what_holds_it_together_counts(whole: Made, name: str) -> None:
    """Each of the eight bits of each byte of the tag manifest and of its signature is covered by the signature."""
    path = whole.folder / name
    with whole.changed(name) as data:
        for at, bit in itertools.product(range(len(data)), range(8)):
            data[at] ^= 1 << bit
            path.write_bytes(data)
            found = whole.verify()
            assert {bag.TAG_MANIFEST, bag.SIGNATURE} & {one.path for one in found.of("damage")}, (name, at, bit)
            assert found.signature is None, (name, at, bit)
            data[at] ^= 1 << bit
    assert whole.verify().proven


HOW = ("removed", "emptied", "longer", "shorter", "renamed", "link", "fifo", "folder", "socket")
EVERY = (*TAGS, bag.TAG_MANIFEST, bag.SIGNATURE, *FILES)


@pytest.mark.parametrize(
    ("name", "how"),
    [(name, how) for name in EVERY for how in HOW if FILES.get(name) != b"" or how not in {"emptied", "shorter"}],
)
def test_a_file_that_is_no_longer_what_it_was(made: Made, name: str, how: str, tmp_path: Path) -> None:
    """Removing, cutting, growing, renaming or replacing any single file of a bag is found under its name."""
    path = made.folder / name
    data = path.read_bytes()
    aside = tmp_path / "aside"
    aside.write_bytes(data)
    if how == "longer":
        path.write_bytes(data + b"\n")
    elif how in {"emptied", "shorter"}:
        path.write_bytes(b"" if how == "emptied" else data[:-1])
    elif how == "renamed":
        path.rename(path.with_name(f"{path.name}x"))
    else:
        path.unlink()
        replace(path, how, aside)
    found = made.verify()
    assert not found.ok
    named = {one.path.rstrip("/") for one in found.of("damage")}
    assert name in named or (name == bag.TAG_MANIFEST and bag.SIGNATURE in named), found.findings
    if how == "renamed" and name != bag.TAG_MANIFEST:  # without it nothing can be said of the rest
        assert ("added", f"{name}x") in kinds(found)


def replace(path: Path, how: str, aside: Path) -> None:
    """Put something else where a file was."""
    if how == "link":
        path.symlink_to(aside)
    elif how == "fifo":
        os.mkfifo(path)
    elif how == "folder":
        path.mkdir()
    elif how == "socket":
        bound(path)


def bound(path: Path) -> None:
    """A socket of this name; the name is too long for bind where it is, so it is given from within the folder."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


@pytest.mark.parametrize(
    "name", ["planted.txt", "data/planted", "data/web01/aaa", "data/web01/tree/deep/zzz", "data/zzz/deep/er", ".hidden",
             "data/web01/.hidden", "bag-info.txt.tsr", "ca.pem", "data/a\nb", "data/-rf", "data/\x1b[2J", "PARTIAL.txt",
             "witness-a/b.sig", "data/" + "n" * 250, "data/caf\udce9"],
)  # fmt: skip
def test_a_planted_file(made: Made, name: str) -> None:
    """A file that nobody sealed is found wherever it lies and whatever it is called, and never shown raw."""
    path = made.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"planted")
    found = made.verify()
    assert not found.ok
    assert {one.kind for one in found.findings} <= {"added", "unsealed"}
    assert all(one.path.isprintable() for one in found.findings)


def test_planted_things_that_are_no_files(made: Made) -> None:
    """Links, fifos, sockets, devices and empty folders are found without being opened or followed."""
    os.mkfifo(made.folder / "data" / "fifo")
    (made.folder / "data" / "loop").symlink_to(".")
    (made.folder / "out").symlink_to("/etc")
    os.mknod(made.folder / "data" / "web01" / "null", 0o20666, os.makedev(1, 3))
    (made.folder / "data" / "void").mkdir()
    assert kinds(made.verify()) == {
        ("unsafe", "data/fifo"),
        ("unsafe", "data/loop"),
        ("unsafe", "out"),
        ("unsafe", "data/web01/null"),
        ("added", "data/void/"),
    }


def test_swapped_files(made: Made) -> None:
    """Two files that changed places are both found, for every pair of files with different content."""
    for first, second in itertools.combinations([*TAGS, *FILES], 2):
        one, two = made.folder / first, made.folder / second
        before = one.read_bytes(), two.read_bytes()
        one.write_bytes(before[1])
        two.write_bytes(before[0])
        assert {first, second} <= {finding.path for finding in made.verify().of("damage")}
        one.write_bytes(before[0])
        two.write_bytes(before[1])
    assert made.verify().proven


def test_a_folder_that_is_a_link(made: Made, tmp_path: Path) -> None:
    """A folder that was moved away and linked to is not followed, though every byte behind it is right."""
    shutil.move(made.folder / "data" / "web01", tmp_path / "web01")
    (made.folder / "data" / "web01").symlink_to(tmp_path / "web01")
    found = made.verify()
    assert ("unsafe", "data/web01") in kinds(found)
    assert ("missing", "data/web01/0001-clock.out") in kinds(found)


def rewritten(made: Made, name: str, change: Callable[[list[str]], list[str]]) -> Findings:
    """Change the lines of a file, sign all of it anew with the right key, and verify."""
    path = made.folder / name
    path.write_text("".join(change(path.read_text().splitlines(keepends=True))))
    made.resign()
    return made.verify()


@pytest.mark.parametrize("name", ["manifest-sha256.txt", "manifest-sm3.txt"])
@pytest.mark.parametrize(
    ("how", "change"),
    [
        ("reversed", lambda lines: lines[::-1]),
        ("twice", lambda lines: [lines[0], *lines]),
        ("swapped paths", lambda lines: [lines[1], lines[0], *lines[2:]]),
        ("one less", lambda lines: lines[:-1]),
        ("none", lambda _lines: []),
        ("outside", lambda lines: [f"{lines[0][:64]}  data/../../etc/passwd\n", *lines]),
        ("absolute", lambda lines: [f"{lines[0][:64]}  /etc/passwd\n", *lines]),
        ("tag file", lambda lines: [f"{lines[0][:64]}  bagit.txt\n", *lines]),
        ("escaped", lambda lines: [f"\\{lines[0][:64]}  data/a\\nb\n", *lines]),
        ("upper case", lambda lines: [lines[0][:64].upper() + lines[0][64:], *lines[1:]]),
        ("one space", lambda lines: [lines[0].replace("  ", " "), *lines[1:]]),
        ("binary mark", lambda lines: [lines[0].replace("  ", " *"), *lines[1:]]),
        ("no end", lambda lines: [*lines[:-1], lines[-1].rstrip("\n")]),
        ("empty line", lambda lines: ["\n", *lines]),
        ("long line", lambda lines: [f"{lines[0][:64]}  data/{'a' * 5000}\n", *lines]),
        ("other digest", lambda lines: ["0" * 64 + lines[0][64:], *lines[1:]]),
    ],
)  # fmt: skip
def test_a_hostile_manifest_that_is_signed(
    made: Made, name: str, how: str, change: Callable[[list[str]], list[str]]
) -> None:
    """A manifest not as remedy writes it is found even under a good signature; no path leads out of the bag."""
    found = rewritten(made, name, change)
    assert not found.ok, how
    assert found.signature
    assert {one.kind for one in found.findings} <= {"malformed", "disagreeing", "added", "changed", "missing"}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("bag-info.txt", "Payload-Oxum: ", "Payload-Oxum: 1"),
        ("bag-info.txt", "Remedy-Signing-Key: SHA256:", "Remedy-Signing-Key: SHA256:x"),
        ("bag-info.txt", "Remedy-Manifest-sm3: ", "Remedy-Manifest-md5: "),
        ("bag-info.txt", "External-Identifier", " folded"),
        ("bagit.txt", "1.0", "0.97"),
        ("allowed_signers", "ssh-ed25519 AAAA", "ssh-ed25519 AAAB"),
    ],
)  # fmt: skip
def test_statements_that_contradict_the_bag(made: Made, name: str, old: str, new: str) -> None:
    """What a signed bag says of itself is compared with what it is."""
    found = rewritten(made, name, lambda lines: [line.replace(old, new) for line in lines])
    assert {one.kind for one in found.of("damage")} & {"disagreeing", "malformed"}
    assert name in {one.path for one in found.findings}


def test_a_tag_file_that_the_tag_manifest_leaves_out(made: Made) -> None:
    """A signed tag manifest that does not name every tag file is malformed; one that names more is too."""
    path = made.folder / bag.TAG_MANIFEST
    for lines in (path.read_text().splitlines(keepends=True)[1:], ["0" * 64 + "  data/x\n"]):
        path.write_text("".join(lines))
        path.with_name(bag.SIGNATURE).write_text(made.signer.sign(path.read_bytes()))
        assert ("malformed", bag.TAG_MANIFEST) in kinds(made.verify())


def test_keys(made: Made, tmp_path: Path) -> None:
    """Another key than those named, a revoked one, and nobody named are told apart."""
    other = bags.signer(tmp_path / "other")
    own = signers.of_lines([made.signer.public.line], "x")
    gone = frozenset({made.signer.public.blob})
    assert kinds(made.verify(bags.believing(other))) == {("wrong-key", bag.SIGNATURE)}
    assert kinds(made.verify(bags.believing(made.signer, revoked=(made.signer,)))) == {("revoked-key", bag.SIGNATURE)}
    assert kinds(made.verify(Signers(bags.NOW, None, gone))) == {("revoked-key", bag.SIGNATURE)}
    assert kinds(made.verify(Signers(bags.NOW, ()))) == {("wrong-key", bag.SIGNATURE)}
    unknown = made.verify(Signers(bags.NOW))
    assert kinds(unknown) == {("unknown-key", bag.SIGNATURE)}
    assert unknown.ok
    assert not unknown.proven
    assert made.verify(Signers(bags.NOW, own)).proven


def test_a_bag_made_anew_by_somebody_else(made: Made, tmp_path: Path) -> None:
    """Changed evidence, hashed and signed anew with another key, is signed by the wrong key."""
    forged = bags.make(tmp_path / "forged", {**FILES, "data/zeta.out": b"lost"})
    assert kinds(forged.verify(bags.believing(made.signer))) == {("wrong-key", bag.SIGNATURE)}


def test_a_signature_for_something_else(made: Made) -> None:
    """A checkpoint's or a witness's signature is none of a bag, though the key and the bytes are right."""
    from remedy.record import keys, sshsig  # noqa: PLC0415 -- beside its only use

    private = keys.load_or_make(made.folder.parents[1] / "keys", entropy=os.urandom)
    tags = (made.folder / bag.TAG_MANIFEST).read_bytes()
    for namespace in ("remedy-checkpoint-v1", bag.WITNESS_NAMESPACE, "file"):
        (made.folder / bag.SIGNATURE).write_text(sshsig.sign(private, tags, namespace=namespace))
        assert ("signature", bag.SIGNATURE) in kinds(made.verify())


def test_the_signer_is_no_witness(made: Made, tmp_path: Path) -> None:
    """A witness's signature by the key that sealed the bag is damage, by another key a remark."""
    from remedy.record import keys, sshsig  # noqa: PLC0415 -- beside its only use

    tags = (made.folder / bag.TAG_MANIFEST).read_bytes()
    for folder, kind in ((made.folder.parents[1] / "keys", "witness"), (tmp_path / "li", "unknown-witness")):
        private = keys.load_or_make(folder, entropy=os.urandom)
        signature = sshsig.sign(private, tags, namespace=bag.WITNESS_NAMESPACE)
        (made.folder / "witness-li.sig").write_text(signature)
        found = made.verify()
        assert kinds(found) == {(kind, "witness-li.sig")}
        assert bool(found.witnesses) == found.ok == (kind == "unknown-witness")


def test_a_partial_bag_is_whole_in_itself(tmp_path: Path) -> None:
    """A bag that was sealed as partial verifies and says what it has not."""
    key = bags.signer(tmp_path / "keys")
    writing = bags.begin(tmp_path / "INC-20261120-1", key)
    writing.put("data/x", b"x")
    sealed = writing.abandon("web01 went away", key.sign)
    found = Made(writing.final, key, sealed).verify()
    assert found.proven
    assert [(one.kind, "web01 went away" in one.text) for one in found.findings] == [("partial", True)]


def test_no_bag(tmp_path: Path) -> None:
    """Nothing there, a file and a link are a usage error; an empty folder is a bag without anything."""
    judge = Signers(bags.NOW).judge
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "empty").mkdir()
    for name in ("gone", "file", "link"):
        with pytest.raises(UsageError, match="no bag can be read"):
            verify(tmp_path / name, judge)
    assert kinds(verify(tmp_path / "empty", judge)) == {("missing", bag.TAG_MANIFEST)}


def test_a_sparse_giant_is_not_read(made: Made) -> None:
    """A file that was grown to a terabyte is found by its size at once."""
    os.truncate(made.folder / "data" / "zeta.out", 1 << 40)
    assert ("changed", "data/zeta.out") in kinds(made.verify())


@pytest.mark.parametrize("name", ["bagit.txt", "manifest-sha256.txt"])
def test_a_tag_file_that_was_grown_is_not_read(made: Made, name: str) -> None:
    """A tag file of a terabyte is found by its size at once, too."""
    os.truncate(made.folder / name, 1 << 40)
    assert ("changed", name) in kinds(made.verify())


def test_a_flood_of_findings_is_bounded(made: Made) -> None:
    """Of thousands of planted files a bounded number is listed, and the rest is counted."""
    for number in range(MOST + 50):
        (made.folder / "data" / f"x{number}").touch()
    found = made.verify()
    assert len(found.findings) == MOST
    assert found.more == 50
    assert not found.ok


def test_memory_does_not_grow_with_the_manifest(tmp_path: Path) -> None:
    """A manifest of 100,000 lines is read side by side with the disk, in a few megabytes."""
    made = bags.make(tmp_path)
    lines = "".join(bag.line("0" * 64, f"data/web01/{number:08d}") for number in range(100_000))
    (made.folder / "manifest-sha256.txt").write_text(lines)
    (made.folder / "manifest-sm3.txt").write_text(lines)
    made.verify()  # what is imported and cached once
    tracemalloc.start()
    found = made.verify()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.more > 98_000
    assert peak < 6_000_000


def test_a_folder_with_too_many_entries(made: Made) -> None:
    """More entries in a folder than any bag has are found, and looking ends there."""
    names = os.open(made.folder / "data" / "web01", os.O_RDONLY)
    try:
        for number in range(bag.MOST_FILES):
            os.close(os.open(f"x{number}", os.O_WRONLY | os.O_CREAT, dir_fd=names))
    finally:
        os.close(names)
    found = made.verify()
    assert "too-much" in {one.kind for one in found.findings} or found.more
    assert found.more < bag.MOST_FILES


def test_only_documented_kinds(made: Made) -> None:
    """The kinds of findings are those of the table, each with a grade."""
    assert {grade for grade, _ in KINDS.values()} == {"damage", "doubt", "remark"}
    assert not made.verify().of("damage", "doubt", "remark")
