"""The whole story, told by the real commands on the real lab: nothing in it is prepared or faked.

Every command is shown and run as an administrator would type it, in a process of its own. Whatever was brought up is
taken down at the end, also after Ctrl-C; a lab that was up before is used and left up.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from remedy.core.errors import RemedyError
from remedy.lab import Lab

_PAUSE: Final = 1.6
HOST: Final = "web01"
DATABASE_HOST: Final = "db01"
FIREWALL: Final = "fw01"
ATTACKER: Final = "198.18.0.66"
#: Longer than the window in which `remedy lab attack --status` counts a beacon as heard.
_SILENCE: Final = 2.5


@dataclass(slots=True)
class Stage:
    """Where the story is told: the lab's inventory, a record of its own, and how long to pause for reading."""

    folder: Path
    inventory: Path
    pause: float

    def tell(self, text: str) -> None:
        """A line of the narrator's."""
        click.echo()
        click.secho(f"── {text}", fg="cyan", bold=True)
        time.sleep(self.pause)

    def remedy(self, *words: str, expect: Sequence[int] = (0,)) -> None:
        """Show and run one command; raises RemedyError when it ends in another way than the story needs."""
        click.secho(f"$ remedy {shlex.join(words)}", bold=True)
        environment = {
            **os.environ,
            "REMEDY_INVENTORY": str(self.inventory),
            "REMEDY_RECORD": str(self.folder / "record.db"),
        }
        sys.stdout.flush()
        done = subprocess.run([sys.executable, "-m", "remedy", *words], env=environment, check=False)
        if done.returncode not in expect:
            raise RemedyError(
                f"`remedy {' '.join(words)}` ended with {done.returncode}; the story cannot go on",
                hint="the lines above say why",
            )
        time.sleep(self.pause)

    def incident(self) -> str:
        """Open the story's incident and return its id."""
        words = [sys.executable, "-m", "remedy", "incident", "open", f"page of {HOST} defaced", "-q"]
        environment = {**os.environ, "REMEDY_RECORD": str(self.folder / "record.db")}
        click.secho(f'$ remedy incident open "page of {HOST} defaced"', bold=True)
        done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
        click.echo(done.stdout.strip())
        return done.stdout.strip()

    def bags(self, incident: str) -> list[str]:
        """The names of the bags that were sealed under an incident."""
        return sorted(path.name for path in (self.folder / "evidence" / incident).glob("bag-*"))


def tell(*, keep: bool, fast: bool) -> int:
    """Tell the story; returns 0 when every step ended as it should. Raises RemedyError otherwise."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lab, ours = Lab(), False
    folder = Path(tempfile.mkdtemp(prefix="remedy-demo-"))
    try:
        if not lab.is_up:
            text = "Bringing up the lab: web servers, a database, a router, an attacker; all on this machine."
            click.secho(f"── {text}", fg="cyan", bold=True)
            ours = True
            lab.up(inventory=folder / "inventory", progress=lambda line: click.echo(f"   {line}"))
        stage = Stage(folder, lab.inventory, 0.0 if fast or not sys.stdout.isatty() else _PAUSE)
        _story(stage)
        click.echo()
        text = "That was all real: sshd, nftables, power loss, a firewall's terminal, databases, signatures."
        click.secho(f"── {text}", fg="cyan", bold=True)
        click.echo("   Next: docs/tutorial.md walks through it slowly; README.md takes you to your own hosts.")
        if keep:
            click.echo(f"   The lab stays up. export REMEDY_INVENTORY={lab.inventory}; `remedy lab down` ends it.")
        return 0
    finally:
        if ours and not keep:
            click.echo("   taking the lab down")
            lab.down()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _story(stage: Stage) -> None:
    stage.tell(f"An intruder breaks into {HOST}: page defaced, beacons calling home, a live shell.")
    stage.remedy("lab", "attack", HOST)
    stage.tell("Three in the morning. First: open an incident; everything from here on is on record.")
    name = stage.incident()
    stage.tell("What that would end is taken first: connections, processes, who is logged in. Sealed and signed.")
    stage.remedy("evidence", "collect", HOST)
    stage.tell(f"Cut {HOST} off: what will be done, then each step, then the proof.")
    stage.remedy("isolate", HOST, "--yes")
    stage.tell("So the certificate says. What has the intruder heard within the last two seconds?")
    time.sleep(_SILENCE)
    stage.remedy("lab", "attack", "--status", HOST)
    stage.tell(f"Pull the plug on {HOST} and let it boot again: is it still cut off?")
    stage.remedy("lab", "fault", "power-cycle", HOST)
    stage.remedy("watch", name, "--once")
    stage.tell("Clean up, then give it back, exactly as it was.")
    stage.remedy("lab", "attack", "--stop", HOST)
    stage.remedy("release", HOST, "--yes")
    _block(stage)
    _recover(stage)
    stage.tell("What happened, who did it, and can anybody have rewritten it?")
    stage.remedy("incident", "show", name)
    stage.remedy("incident", "close", name, "--summary", "released, restored and verified")
    stage.remedy("incident", "verify")
    stage.tell("And the evidence, is it what was taken then? VERIFY.txt in it says how to ask without remedy.")
    stage.remedy("evidence", "verify", *stage.bags(name))


def _block(stage: Stage) -> None:
    """The firewall part: its drop rule set up, the intruder's address on it and off again."""
    stage.tell("Keep the intruder's address out, at the firewall. Once: a drop rule on an empty group, on top.")
    stage.remedy("acl", "prepare", FIREWALL, "--yes")
    stage.tell("From now on only members come and go. The intruder itself is asked whether it still gets through.")
    stage.remedy("block", ATTACKER, "--for", "24h", "--yes")
    stage.tell("And off again: it has to get through as before.")
    stage.remedy("unblock", ATTACKER, "--yes")


def _recover(stage: Stage) -> None:
    """The database part: ruined, its newest backups damaged, restored from what is still good."""
    stage.tell("The intruder was in the database too: its rows are overwritten, and the newest backups with them.")
    stage.remedy("lab", "attack", DATABASE_HOST, "--ruin", "rows")
    for copy in ("db01", "backup01", "offsite"):
        stage.remedy("lab", "fault", "backup-flip", copy, "3")
    stage.tell("Which backup is good? Every copy is read to its end; nothing is changed.")
    stage.remedy("restore", "site", "--latest-valid", "--dry-run", expect=(10,))
    stage.tell("Restore it: staged beside production, compared with the backup, swapped in one moment.")
    stage.remedy("restore", "site", "--latest-valid", "--yes")
    stage.tell("Is the database what the backup said, table by table, row by row?")
    stage.remedy("verify", "site")
    stage.tell("The data before is still there, until somebody says that it may go.")
    stage.remedy("release", "site", "--yes")
