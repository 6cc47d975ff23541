"""Step files: what one may say, and that each of those that come with remedy says it."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from remedy.core.errors import UsageError
from remedy.evidence import steps
from remedy.evidence.steps import Step

GOOD = """\
title: Sockets
why: >-
  Says who
  talks to whom.
profiles: [triage]
seconds: 60
cap: 64M
run: ss -an
"""
EVERY = steps.registered()
#: Programs that write, or that start something which does; what a step calls is none of them.
WRITERS = "tee|touch|mkdir|mktemp|rm|mv|cp|install|chmod|chown|truncate|sed -i|sort|mount|umount|logger|crontab|sysctl"


def test_a_step_is_read_as_it_stands() -> None:
    """Number and name come from the file's name, everything else from its keys, with the defaults of the rest."""
    assert steps.read("21-sockets.yml", GOOD) == Step(
        21, "sockets", "Sockets", "Says who talks to whom.", ("triage",), "ss -an", 60, 64 * 2**20
    )


def test_a_newcomer_adds_one_file(tmp_path: Path) -> None:
    """A file put into the folder is a step, in its place in the order; nothing else has to know."""
    for file in resources.files(steps).iterdir():
        if file.name.endswith(".yml"):
            (tmp_path / file.name).write_text(file.read_text(encoding="utf-8"))
    (tmp_path / "45-newcomer.yml").write_text(GOOD)
    found = steps.load(tmp_path)
    assert [step.name for step in found if step not in EVERY] == ["newcomer"]
    assert [step.order for step in found] == sorted(step.order for step in found)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("sockets.yml", GOOD, "is no name of a step"),
        ("2-sockets.yml", GOOD, "is no name of a step"),
        ("21-Sockets.yml", GOOD, "is no name of a step"),
        ("21-sockets.yml", "title: [", "is no YAML"),
        ("21-sockets.yml", "- a", "a map of keys and values"),
        ("21-sockets.yml", GOOD + "title: again\n", "'title' stands there twice"),
        ("21-sockets.yml", GOOD + "colour: red\n", "colour: is no key"),
        ("21-sockets.yml", GOOD.replace("title: Sockets\n", ""), "title: is missing"),
        ("21-sockets.yml", GOOD.replace("title: Sockets", "title: 7"), "title: text is expected"),
        ("21-sockets.yml", GOOD.replace("title: Sockets", "title: |\n  a\n  b"), "title: is one line"),
        ("21-sockets.yml", GOOD.replace("[triage]", "[fast]"), "'fast' is none of"),
        ("21-sockets.yml", GOOD.replace("[triage]", "[full]"), "every step is in full"),
        ("21-sockets.yml", GOOD.replace("[triage]", "triage"), "a list of words"),
        ("21-sockets.yml", GOOD.replace("seconds: 60", "seconds: 0"), "a number of seconds"),
        ("21-sockets.yml", GOOD.replace("seconds: 60", "seconds: true"), "a number of seconds"),
        ("21-sockets.yml", GOOD.replace("seconds: 60", "seconds: 1000000"), "a number of seconds"),
        ("21-sockets.yml", GOOD.replace("seconds: 60\n", ""), "seconds: is missing"),
        ("21-sockets.yml", GOOD.replace("64M", "64 MB"), "a number of bytes"),
        ("21-sockets.yml", GOOD.replace("64M", "-1"), "a number of bytes"),
        ("21-sockets.yml", GOOD.replace("cap: 64M\n", ""), "cap: a number of bytes"),
        ("21-sockets.yml", GOOD.replace("run: ss -an", "run: ''"), "run: text is expected"),
        ("21-sockets.yml", GOOD + "root: maybe\n", "root: is one of no, better, needed"),
        ("21-sockets.yml", GOOD + "kind: zip\n", "kind: is one of"),
        ("21-sockets.yml", GOOD + "check: magic\n", "check: is one of hidden"),
        ("21-sockets.yml", GOOD + "kind: tar\ncheck: hidden\n", "check: goes with"),
        ("21-sockets.yml", GOOD + "appends: true\n", "appends: goes with"),
        ("21-sockets.yml", GOOD + "kind: tar\nappends: 'yes'\nplaces: [/a]\n", "appends: true or false"),
        ("21-sockets.yml", GOOD + "at: home\n", "at: is one of host, outside"),
        ("21-sockets.yml", GOOD + "at: outside\nroot: better\n", "at: outside goes without"),
        ("21-sockets.yml", GOOD + "places: [var/log]\n", "does not begin with /"),
        ("21-sockets.yml", GOOD + "run: !!python/object/apply:os.system [id]\n", "is no YAML"),
    ],
)
def test_a_slip_is_told_with_file_and_key(file: str, text: str, said: str) -> None:
    """Whatever is wrong with a step file, the message names the file and what it is, and where the reference is."""
    with pytest.raises(UsageError, match=re.escape(said)) as caught:
        steps.read(file, text)
    assert caught.value.where == file
    assert caught.value.hint


def test_one_name_is_one_step(tmp_path: Path) -> None:
    """Two files of one name are refused, whatever their numbers: the ledger knows steps by name."""
    for number in ("21", "22"):
        (tmp_path / f"{number}-sockets.yml").write_text(GOOD)
    with pytest.raises(UsageError, match="another step called 'sockets'"):
        steps.load(tmp_path)


def test_profiles_are_nested_in_full() -> None:
    """Every profile has steps, all of them in `full`, and each begins with the clock; an unknown one is told."""
    full = steps.chosen("full")
    assert full == EVERY
    for name in steps.PROFILES:
        chosen = steps.chosen(name)
        assert chosen[0].name == "identity"
        assert set(chosen) <= set(full)
    assert {step.name for step in steps.chosen("web")} > {step.name for step in steps.chosen("triage")}
    with pytest.raises(UsageError, match="no profile is called 'fast'"):
        steps.chosen("fast")


def test_order_of_volatility() -> None:
    """What is gone first is asked first, and no file's content before the times of all files were taken."""
    names = [step.name for step in EVERY]
    wanted = ["identity", "network", "processes", "deleted-programs", "kernel", "memory-files", "timeline", "logs"]
    assert [name for name in names if name in wanted] == wanted
    late = names[names.index("timeline") :]
    assert {"logs", "persistence", "web-root"} <= set(late)


@pytest.mark.parametrize("step", EVERY, ids=lambda step: step.name)
class TestContract:
    """What is demanded of every step, without its author doing anything."""

    @pytest.mark.parametrize("shell", [("dash",), ("bash", "--posix"), ("busybox", "sh")], ids=" ".join)
    def test_every_shell_can_read_it(self, step: Step, shell: tuple[str, ...]) -> None:
        """dash, bash and busybox parse the step with what comes before it."""
        assert shutil.which(shell[0])
        for script in filter(None, (step.run, step.expand)):
            text = f"{steps.prelude()}\n{script}"
            done = subprocess.run((*shell, "-n"), input=text, text=True, capture_output=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")

    def test_it_writes_nothing(self, step: Step) -> None:
        """No step calls a program that writes, or redirects to anything but another descriptor or /dev/null."""
        for script in (steps.prelude(), step.run, step.expand):
            code = "\n".join(line for line in script.splitlines() if not line.lstrip().startswith("#"))
            assert not re.findall(rf"(?:^|[;&|({{]|\bthen|\bdo)\s*(?:{WRITERS})\b", code, re.MULTILINE)
            to = re.findall(r"(?<![<-])>{1,2}\s*([^\s;)]+)", re.sub(r"'[^']*'|\"[^\"]*\"", "", code))
            assert set(to) <= {"/dev/null", "&1", "&2", "&3", "&4", "&-"}
            assert "<<" not in code

    def test_it_is_bounded_and_explained(self, step: Step) -> None:
        """A step can neither run nor fill a disk for ever, and says why it is there."""
        assert 0 < step.idle <= step.seconds <= 4 * 3600
        assert 0 < step.cap <= 2**40
        assert len(step.title) < 90
        assert len(step.why) > 40

    def test_the_reference_names_it(self, step: Step) -> None:
        """The list in docs/ has a row for it, with its profiles."""
        page = Path(__file__).parents[2] / "docs" / "reference" / "evidence-steps.md"
        [row] = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{step.name}` ")]
        cells = [cell.strip() for cell in row.split("|")]
        assert cells[2] == f"{step.order:02}"
        assert tuple(cells[3].split(", ")) == (*step.profiles, "full")
        assert cells[4] == step.root
