"""A bag is verified with stock tools alone, by the very commands that it and the documentation give."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.worlds import bags
from tests.worlds.bags import Made

from remedy.evidence import bag
from remedy.record import sealing
from remedy.transports.bags.writing import add_file

TOOLS = (
    "sh",
    "sha256sum",
    "find",
    "sort",
    "sed",
    "cut",
    "date",
    "xargs",
    "ssh-keygen",
    "openssl",
    "diff",
    "mktemp",
    "rm",
)
HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "hand-over-evidence.md"


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of programs in which there is neither remedy nor Python."""
    folder = tmp_path_factory.mktemp("tools")
    for name in TOOLS:
        found = shutil.which(name)
        assert found, f"this test needs {name}"
        (folder / name).symlink_to(found)
    return folder


def run(made: Made, tools: Path, script: str) -> tuple[int, str]:
    """What a shell says to a script in the bag, with these programs and nothing else."""
    done = subprocess.run(
        (str(tools / "sh"), "-c", script),
        cwd=made.folder,
        env={"PATH": str(tools), "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def verified(made: Made, tools: Path) -> str:
    """What VERIFY.txt says, the last line VERIFIED exactly when it ends well."""
    code, said = run(made, tools, "sh VERIFY.txt")
    assert (code == 0) == said.rstrip().endswith("\nVERIFIED"), said
    return said if code else "VERIFIED"


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A bag that a witness has signed too."""
    made = bags.make(tmp_path)
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "li"), check=True)
    witness = sealing.of_file(tmp_path / "li", bag.WITNESS_NAMESPACE)
    tags = (made.folder / bag.TAG_MANIFEST).read_bytes()
    add_file(made.folder, "witness-li.sig", witness.sign(tags).encode())
    return made


def test_verify_txt(made: Made, tools: Path) -> None:
    """VERIFY.txt verifies a bag where remedy is not installed, and names the keys of signer and witness."""
    code, said = run(made, tools, "sh VERIFY.txt")
    assert code == 0, said
    assert said.rstrip().endswith("\nVERIFIED")
    assert made.signer.public.fingerprint in said
    assert said.count("SHA256:") == 2
    assert subprocess.run(("sh", "-c", "command -v remedy python3"), env={"PATH": str(tools)}, check=False).returncode


def test_an_empty_bag(tmp_path: Path, tools: Path) -> None:
    """A bag without any payload verifies too."""
    made = bags.make(tmp_path, {})
    assert verified(made, tools) == "VERIFIED"
    assert made.verify().proven


def test_without_sm3(tmp_path: Path, tools: Path) -> None:
    """A bag without SM3 verifies without openssl."""
    made = bags.make(tmp_path, digests=("sha256",))
    fewer = tmp_path / "tools"
    shutil.copytree(tools, fewer, symlinks=True)
    (fewer / "openssl").unlink()
    assert verified(made, fewer) == "VERIFIED"


def test_every_file_counts(made: Made, tools: Path) -> None:
    """A flipped bit in any file is found by the stock commands too."""
    for name in made.paths():
        with made.changed(name) as data:
            if not data:
                continue
            data[len(data) // 2] ^= 1
            (made.folder / name).write_bytes(data)
            if name == bag.INSTRUCTIONS:
                code, said = run(made, tools, "sha256sum --strict --quiet -c tagmanifest-sha256.txt")
                assert code, said
            else:
                assert "NOT VERIFIED" in verified(made, tools), name
    assert verified(made, tools) == "VERIFIED"


@pytest.mark.parametrize("name", ["planted", "data/planted", "data/web01/tree/x", "witness-x/evil.sig", "data/a b"])
def test_a_planted_file(made: Made, tools: Path, name: str) -> None:
    """sha256sum is content with a planted file; the comparison of names is not."""
    path = made.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"planted")
    for manifest in (bag.TAG_MANIFEST, bag.manifest("sha256")):
        assert run(made, tools, f"sha256sum --strict --quiet -c {manifest}") == (0, "")
    assert "files were added or removed" in verified(made, tools)


def test_sm3_that_differs(made: Made, tools: Path) -> None:
    """A signed SM3 manifest that says another digest, or names a file less, is found by openssl and the shell."""
    path = made.folder / bag.manifest("sm3")
    lines = path.read_text().splitlines(keepends=True)
    for wrong, said in ((["0" * 64 + lines[0][64:], *lines[1:]], "(SM3)"), (lines[1:], "name different files")):
        path.write_text("".join(wrong))
        made.resign()
        (made.folder / "witness-li.sig").unlink(missing_ok=True)
        assert said in verified(made, tools)


def test_a_link_in_the_place_of_a_file(made: Made, tools: Path, tmp_path: Path) -> None:
    """A link to the same bytes elsewhere is not the file."""
    path = made.folder / "data" / "zeta.out"
    path.rename(tmp_path / "aside")
    path.symlink_to(tmp_path / "aside")
    assert "links or devices" in verified(made, tools)


def test_missing_renamed_and_swapped(made: Made, tools: Path) -> None:
    """Removing, renaming and swapping files are found by the stock commands."""
    one, two = made.folder / "data" / "zeta.out", made.folder / "data" / "web01" / "0001-clock.out"
    one.rename(one.with_name("beta.out"))
    assert "added or removed" in verified(made, tools)
    one.with_name("beta.out").rename(one)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    assert "evidence was changed" in verified(made, tools)


def test_another_key(made: Made, tools: Path, tmp_path: Path) -> None:
    """A signature by a key that allowed_signers does not name is refused."""
    other = bags.signer(tmp_path / "other")
    (made.folder / bag.SIGNATURE).write_text(other.sign((made.folder / bag.TAG_MANIFEST).read_bytes()))
    assert "the signature is wrong" in verified(made, tools)


def commands(text: str) -> list[str]:
    """The shell blocks of the how-to that are typed inside a bag."""
    return re.findall(r"```sh bag\n(.*?)```", text, re.DOTALL)


def test_the_commands_of_the_documentation(made: Made, tools: Path) -> None:
    """What the how-to tells a third party to type verifies a good bag, and fails on each bad one."""
    script = "set -e\n" + "".join(commands(HOW_TO.read_text(encoding="utf-8")))
    assert "ssh-keygen -Y verify" in script
    assert "sha256sum" in script
    code, said = run(made, tools, script)
    assert code == 0, said
    for name in made.paths():
        with made.changed(name) as data:
            if data:
                data[0] ^= 1
                (made.folder / name).write_bytes(data)
                assert run(made, tools, script)[0], name
    (made.folder / "data" / "planted").write_bytes(b"")
    assert run(made, tools, script)[0]
