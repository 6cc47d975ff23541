"""What is said of a nasty backup: the verdict, when it is known, and by which finding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

__all__ = ["ACCEPTED", "Case", "Expected", "Stage", "Verdict", "doubtful", "rejected"]

Verdict = Literal["accepted", "doubtful", "rejected"]
Stage = Literal["", "listing", "container", "structure", "plausibility"]


class Expected(NamedTuple):
    """See Case."""

    verdict: Verdict
    stage: Stage
    code: str


ACCEPTED: Final = Expected("accepted", "", "")


def rejected(stage: Stage, code: str = "") -> Expected:
    """No option accepts it."""
    return Expected("rejected", stage, code)


def doubtful(stage: Stage, code: str) -> Expected:
    """Somebody has to accept the finding by its name."""
    return Expected("doubtful", stage, code)


@dataclass(frozen=True, slots=True)
class Case:
    """One backup, a file or a folder, alone in the folder `path.parent` with what lies beside it.

    `verdict`: "accepted" needs nobody, "doubtful" has to be accepted by the name of a finding, "rejected" cannot be.
    `stage` is the earliest at which that is known, "" for nothing wrong: by listing the copy, by decoding the container
    and comparing checksums, by reading the statements, or by comparing with the server or the last good backup. What a
    comparison says beside that is left open: mydumper leaves packages out, a data directory does not tell its routines.
    `code` is a regular expression for the code of one finding (what listing tells has none).
    `why` says what it is. `passphrase` is tried on it. `good` is another copy of the same backup that is sound.
    """

    path: Path
    verdict: Verdict
    stage: Stage
    code: str
    why: str
    passphrase: str = ""
    good: Path | None = None
