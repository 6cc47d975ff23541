"""Whether a service of a host runs: systemd units, init scripts."""

from __future__ import annotations

from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable
from remedy.core.text import printable
from remedy.core.values import Command, Probe, Reply

_ASK = (
    'if [ -d /run/systemd/system ]; then s=$(systemctl is-active -- "$1" 2>/dev/null); echo "${s:-unknown}"; '
    'elif [ -x "/etc/init.d/$1" ]; then if "/etc/init.d/$1" status >/dev/null 2>&1; then echo active; '
    "else echo inactive; fi; else echo unknown; fi"
)
_DO = (
    'if [ -d /run/systemd/system ]; then exec systemctl "$2" -- "$1"; '
    'elif [ -x "/etc/init.d/$1" ]; then exec "/etc/init.d/$1" "$2"; '
    'else echo "no service called $1 here" >&2; exit 5; fi'
)
_STATES = frozenset({"active", "inactive", "failed", "activating", "deactivating", "reloading", "unknown"})


def state(name: str) -> Probe:
    """The word systemd has for it ("active", "inactive", "failed", …), "unknown" when there is no such service."""
    return Probe(Command(("sh", "-c", _ASK, "remedy", name)), "services.state")


def order(name: str, what: str) -> Command:
    """The command that starts or stops a service."""
    return Command(("sh", "-c", _DO, "remedy", name, what), seconds=120)


def parse_state(reply: Reply) -> Json:
    """Read one word.

    Sample::

        active
    """
    word = reply.out.decode("ascii", "backslashreplace").strip()
    if word not in _STATES:
        raise AnswerUnusable(f"the state of a service makes no sense: {printable(word, 80, one_line=True)}")
    return word


PARSERS = {"state": parse_state}
