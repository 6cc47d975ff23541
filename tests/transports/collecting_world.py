"""What the tests of collections share: a collection over a real sshd into a bag, and what is then in it."""

from __future__ import annotations

import contextlib
import json
import tarfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remedy.backups.containers import zst
from remedy.backups.ports import Damaged
from remedy.core.values import Target
from remedy.evidence import ledger, steps
from remedy.evidence.bag import Info
from remedy.evidence.ledger import Line
from remedy.evidence.resuming import Held
from remedy.evidence.steps import Step
from remedy.transports.bags.writing import Writing
from remedy.transports.bulk import Bulk
from remedy.transports.collecting import Collecting, Outside, reach

from .conftest import LIMITS, reveal

BY_NAME = {step.name: step for step in steps.registered()}


def step(run: str, order: int = 21, name: str = "try", **more: Any) -> Step:  # noqa: ANN401 -- fields of a step
    """A step of the test's own."""
    given: dict[str, Any] = {"seconds": 20, "cap": 2**30, "idle": 10, **more}
    return Step(order, name, "A title", "why", (), run, **given)


@dataclass
class Bag:
    """What one collection came to."""

    folder: Path
    lines: dict[str, Line]
    lacking: tuple[str, ...]

    def data(self, name: str) -> bytes:
        """What one step answered, unpacked."""
        [file] = self.lines[name].files
        return self.read(file)

    def data_of(self, name: str, suffix: str) -> bytes:
        """What one of a step's files holds, unpacked."""
        [file] = [file for file in self.lines[name].files if file.endswith(f"-{name}{suffix}")]
        return self.read(file)

    def members_of(self, name: str, size: int) -> dict[str, bytes]:
        """The files of a tar that may be cut off, by name, at most `size` bytes of each."""
        found = {}
        raw = b""
        with contextlib.suppress(Damaged):
            for chunk in zst.opened([(self.folder / self.lines[name].files[0]).read_bytes()]):
                raw += chunk
        at = 0
        while at + 512 <= len(raw) and raw[at : at + 512].strip(b"\0"):
            member = tarfile.TarInfo.frombuf(raw[at : at + 512], "utf-8", "surrogateescape")
            found[member.name] = raw[at + 512 : at + 512 + min(size, member.size)]
            at += 512 + (member.size + 511) // 512 * 512
        return found

    def read(self, file: str) -> bytes:
        """A file of the bag, unpacked."""
        raw = (self.folder / file).read_bytes()
        return b"".join(zst.opened([raw])) if file.endswith(".zst") else raw

    def meta(self, name: str) -> dict[str, Any]:
        """What the bag says of a step."""
        found: dict[str, Any] = json.loads(next(self.folder.rglob(f"*-{name}.meta.json")).read_bytes())
        return found


@dataclass
class Site:
    """Where collections go, and what a test may want to hear of them."""

    folder: Path
    stop: threading.Event = field(default_factory=threading.Event)
    told: Callable[[str, int], None] = lambda _what, _done: None
    count: int = 0

    def collect(
        self,
        target: Target,
        planned: Sequence[Step],
        *,
        root: bool = True,
        held: Mapping[str, tuple[Held, ...]] | None = None,
        place: Path | None = None,
        outside: Outside | None = None,
    ) -> Bag:
        """Collect from one host, and seal what came."""
        self.count += 1
        info = Info(f"E{self.count}", "INC", "t", "me", "2026-11-20T08:00:00Z", "0", "k\n", "f", "a", (target.name,))
        with Bulk(lambda _: target, reveal, limits=LIMITS) as bulk:
            root, _ = reach(bulk, target.name, root=root)
            bag = Writing.begin(place or self.folder, info)
            tell = self.told
            made = Collecting(
                bulk,
                target.name,
                bag,
                root,
                self.stop,
                lambda what, done, _: tell(what, done),
                held=held or {},
                outside=outside or Outside(),
            )
            lines = made.run(planned)
            sealed = bag.seal(lambda _: "signature\n", lacking=ledger.lacking(lines))
        return Bag(bag.final, {line.step: line for line in lines}, sealed.lacking)
