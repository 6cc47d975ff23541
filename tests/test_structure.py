"""Rules about the code itself: which way imports point, how long a module may be, what start-up may load."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from remedy.backups import containers, formats, naming, seals

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "remedy").rglob("*.py"))
HEAVY = {"paramiko", "rich", "yaml", "cryptography", "sqlite3", "jinja2"}


def test_imports_point_down() -> None:
    """Layers import only what lies below them, and nothing below transports and record can do I/O."""
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Contracts: [2-9]\d* kept, 0 broken", done.stdout)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_are_short_and_explained(path: Path) -> None:
    """Every module has fewer than 400 lines, a docstring, and no work left for later."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 400
    assert re.match(r'\s*r?"""\S', text), "a module says what it decides"
    assert not re.search(r"\b(TODO|FIXME|XXX|NotImplementedError|HACK)\b", text)
    assert not re.search(r"(utils|helpers?|manager)\.py$", path.name)


@pytest.mark.parametrize("name", ["naming", "catalog", "assemble"])
def test_what_is_said_of_all_formats_names_none(name: str) -> None:
    """How backups lie in a folder is decided without the name or suffix of any single format, packing or encryption."""
    registries = (formats, containers, seals)
    names = {module for registry in registries for module in registry.registered()}
    suffixes = {suffix.strip(".") for suffix in (*naming.suffixes(), *formats.suffixes())}
    assert {"dump", "mydumper", "gz", "gpg", "sql", "xb"} <= names | suffixes
    tree = ast.parse((ROOT / "src" / "remedy" / "backups" / f"{name}.py").read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    said = [
        node.value if isinstance(node, ast.Constant) else ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant | ast.Attribute | ast.alias) and id(node) not in docs
    ]
    words = {word for text in said if isinstance(text, str) for word in re.findall(r"[a-z0-9]+", text.lower())}
    assert not words & (names | suffixes)


def loaded(*args: str) -> set[str]:
    """The modules that a call of the command line has loaded at its end."""
    code = (
        "import sys, json, remedy.cli.main as m\n"
        "try: m.main(sys.argv[1:])\n"
        "finally: sys.stderr.write(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout
    return set(json.loads(done.stderr))


@pytest.mark.parametrize("args", [("--help",), ("--version",)])
def test_start_up_loads_nothing_heavy(args: tuple[str, ...]) -> None:
    """Help and version pay for no library that draws, connects, parses, signs or stores, nor for any command."""
    modules = loaded(*args)
    assert not modules & HEAVY
    assert not {name for name in modules if name.startswith("remedy.cli.commands.")}


@pytest.mark.parametrize("name", ["isolate", "release", "undo", "resume", "apply", "watch", "incident", "inventory"])
def test_help_of_a_command_loads_nothing_heavy(name: str) -> None:
    """A command's help comes before anything it would need to act."""
    assert not loaded(name, "--help") & (HEAVY - {"rich"})


def test_the_version_is_said_once() -> None:
    """The command line says the version that the package has."""
    from remedy import __version__  # noqa: PLC0415 -- beside its only use

    code = "from remedy.cli.main import run; run(['--version'])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout == f"remedy {__version__}\n"
