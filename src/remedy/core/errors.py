"""The one error tree, each class with the exit code the process ends with.

Decides what went wrong in the caller's terms and which exit code that is.
Leaves to others: printing (the CLI) and wrapping foreign exceptions (the transports, the record, the inventory).

    RemedyError                        1   internal error
    ├── UsageError                     2   the call cannot be understood
    │   ├── InventoryError             2   … because of an inventory file
    │   ├── UnknownTarget              2   … no such host or group
    │   └── PlanFileError              2   … because of a plan file
    ├── Partial                       20   some of what was asked was not done
    │   └── ChangeFailed              20   a change was refused by the target
    ├── Unreachable                   21   no usable session with a target
    │   ├── ConnectFailed             21   no TCP connection, no SSH banner
    │   ├── AuthenticationFailed      21   key or password refused
    │   ├── HostKeyError              21   host key unknown or changed
    │   ├── ElevationFailed           21   sudo refused
    │   ├── ConnectionLost            21   the session broke in the middle
    │   └── TimedOut                  21   the target went silent
    ├── ApprovalNeeded                24   nobody approved, or it was denied
    ├── Refused                       25   a safety limit says no; nothing was changed
    │   ├── StalePlan                 25   the world differs from the plan's
    │   ├── HeldByOther               25   another operator or run holds the target
    │   ├── TargetUnfit               25   the target lacks what the action needs
    │   ├── AnswerUnusable            25   the target's answer cannot be understood
    │   └── RecordUnavailable         25   the incident record cannot be written
    ├── RecordBroken                  26   the incident record or evidence does not verify
    ├── NoValidBackup                 27   every backup of every copy was rejected; nothing was touched
    └── Interrupted                  130   the operator pressed Ctrl-C
"""

from __future__ import annotations

from typing import ClassVar, Final

__all__ = [
    "EXIT_CODES",
    "AnswerUnusable",
    "ApprovalNeeded",
    "AuthenticationFailed",
    "ChangeFailed",
    "ConnectFailed",
    "ConnectionLost",
    "ElevationFailed",
    "HeldByOther",
    "HostKeyError",
    "Interrupted",
    "InventoryError",
    "NoValidBackup",
    "Partial",
    "PlanFileError",
    "RecordBroken",
    "RecordUnavailable",
    "Refused",
    "RemedyError",
    "StalePlan",
    "TargetUnfit",
    "TimedOut",
    "UnknownTarget",
    "Unreachable",
    "UsageError",
]

#: Every exit code the process can end with and its meaning; the reference in docs/ is checked against it.
EXIT_CODES: Final[dict[int, str]] = {
    0: "done and verified",
    1: "internal error",
    2: "usage: the command line, the inventory or a plan file cannot be understood",
    10: "dry-run: the plan has changes",
    20: "partial: some of what was asked was not done",
    21: "unreachable: no usable session with a target",
    22: "applied, unverified",
    23: "rolled back by the dead-man timer: management is back, the host stays cut off (unless --on-timeout open)",
    24: "approval needed or denied (also: would have to ask, and there is no terminal)",
    25: "refused by a safety limit; nothing was changed",
    26: "the incident record or evidence does not verify",
    27: "no valid backup: nothing was touched",
    130: "interrupted",
}


class RemedyError(Exception):
    """Anything remedy refuses or fails to do.

    `message` says what happened, `where` at which host, file or line, `hint` what to do next.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        """Keep the three parts apart so that the CLI and `--json` can show each."""
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        """Where, what, and what to do next, on one line."""
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} ({self.hint})" if self.hint else text


class UsageError(RemedyError):
    """The call cannot be understood."""

    exit_code = 2


class InventoryError(UsageError):
    """An inventory file is malformed; `where` is `file:line`."""


class UnknownTarget(UsageError):
    """No host or group matches."""


class PlanFileError(UsageError):
    """A plan file is malformed, altered, or from another version."""


class Partial(RemedyError):
    """Some of what was asked was not done."""

    exit_code = 20


class ChangeFailed(Partial):
    """The target refused a change."""


class Unreachable(RemedyError):
    """No usable session with a target."""

    exit_code = 21


class ConnectFailed(Unreachable):
    """No TCP connection or no SSH banner within the connect time-out."""


class AuthenticationFailed(Unreachable):
    """The target refused every key and password offered."""


class HostKeyError(Unreachable):
    """The host key is unknown or is not the one on file."""


class ElevationFailed(Unreachable):
    """sudo refused: wrong password, no permission, or it wants a terminal."""


class ConnectionLost(Unreachable):
    """The session broke in the middle; whether the command ran is unknown."""


class TimedOut(Unreachable):
    """The target sent nothing for longer than the idle time-out, or ran past the total one."""


class ApprovalNeeded(RemedyError):
    """The plan needs a person's yes and has none."""

    exit_code = 24


class Refused(RemedyError):
    """A safety limit says no. Nothing was changed."""

    exit_code = 25


class StalePlan(Refused):
    """The facts the plan was computed from have changed since."""


class HeldByOther(Refused):
    """Another run or operator holds the target."""


class TargetUnfit(Refused):
    """The target lacks what the action needs (no nft and no iptables, too old, disk full)."""


class AnswerUnusable(Refused):
    """A target's answer to a read-only question cannot be understood, so nothing is decided from it."""


class RecordUnavailable(Refused):
    """The incident record cannot be written: locked, read-only, disk full. No record, no change."""


class RecordBroken(RemedyError):
    """The incident record or evidence does not verify."""

    exit_code = 26


class NoValidBackup(RemedyError):
    """No backup of any copy reaches the level that was asked for. Nothing was touched."""

    exit_code = 27


class Interrupted(RemedyError):
    """The operator pressed Ctrl-C."""

    exit_code = 130
