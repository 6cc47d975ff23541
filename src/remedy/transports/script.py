r"""Several commands as one shell script.

Decides how argument vectors, standard input and elevation are written so that dash, bash and busybox ash all run
them alike, and how the end of each command is marked. Pure text in, bytes out. Leaves to others: sending the script
(to the standard input of `sh`, never as an argument, where `ps` would show it) and reading the answer (`replies`).

    {
    n=5f1c…                                            # 128 random bits
    m(){ printf '%s %s %s %s\n' "$n" "$1" "$2" "$3"; printf '%s %s %s 0\n' "$n" "$1" "$2" >&2; }
    m s 0 0                                            # the shell runs: what came before was its greeting
    (exec nft -j list ruleset) </dev/null; m e 0 $?
    { printf %s 'add table inet x'; } 2>/dev/null | (exec nft -f -); m e 1 $?
    m d 0 0; exit 0
    }

The braces make the shell parse everything before it runs anything: a script cut short in transit does nothing.
Standard input is piped from the shell's own printf, not a here-document, which some shells keep in a temporary
file. `(exec …)` runs the program of that name even where the shell has a builtin, and keeps the shell's own state
out of reach.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from remedy.core.errors import UsageError
from remedy.core.values import Command

#: Bytes of script accepted for one batch.
LIMIT: Final = 16 * 1024 * 1024
# One argument may have 128 KiB on Linux (MAX_ARG_STRLEN), should printf not be built into the shell.
_PIECE: Final = 30_000
# The sbin directories hold nft, ss and ip, and are not on an ordinary user's path. LC_ALL: parsers read English.
_PROLOGUE: Final = (
    'PATH="${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin"; LC_ALL=C; export PATH LC_ALL\n'
    'm(){ printf \'%s %s %s %s\\n\' "$n" "$1" "$2" "$3"; printf \'%s %s %s 0\\n\' "$n" "$1" "$2" >&2; }\n'
)
# Skips a password that sudo did not need because it remembered an earlier one, then reads the script itself.
# The shell's read takes single bytes, so nothing of the script is lost to it.
_BOOT: Final = 'while IFS= read -r l; do [ "$l" = "$0" ] && exec sh; done; exit 1'


@dataclass(frozen=True, slots=True)
class Elevation:
    """How root commands become root: sudo, with the password when one is known.

    `ask_first` is False once sudo is known to want the password; asking again would fill the target's log.
    """

    password: str | None = None
    ask_first: bool = True


def build(commands: Sequence[Command], nonce: str, elevation: Elevation | None = None) -> bytes:
    """The script that runs `commands` in order and marks their ends with `nonce` (32 hexadecimal digits).

    Without `elevation` every command runs as the login user. Raises UsageError for what no shell can pass on:
    an empty argument vector, a program name that is empty or starts with "-", a NUL, text that is not Unicode.
    """
    for command in commands:
        _check(command)
    body = "".join(_groups(commands, nonce, elevation))
    text = f"{{\nn={nonce}\n{_PROLOGUE}m s 0 0\n{body}m d 0 0\nexit 0\n}}\n"
    try:
        script = text.encode()
    except UnicodeEncodeError as error:
        raise UsageError("a command holds text that is not valid Unicode") from error
    if len(script) > LIMIT:
        raise UsageError(f"the commands of one batch come to {len(script)} bytes, more than {LIMIT}")
    return script


def _check(command: Command) -> None:
    if not command.argv or not command.argv[0] or command.argv[0].startswith("-"):
        raise UsageError(f"a command needs a program to run, not {command.argv[:1]!r}")
    if any("\0" in text for text in (*command.argv, command.stdin)):
        raise UsageError(
            f"{command.argv[0]}: arguments and standard input cannot hold NUL", hint="encode it, as base64 for example"
        )


def _groups(commands: Sequence[Command], nonce: str, elevation: Elevation | None) -> Iterator[str]:
    """The commands in order, neighbours of the same elevation together: one sudo each group, not each command."""
    numbered = list(enumerate(commands))
    if elevation is not None and any(command.root for command in commands):
        yield _prepare(elevation)
    for root, members in groupby(numbered, key=lambda item: elevation is not None and item[1].root):
        group = list(members)
        lines = "".join(f"{_line(command)}; m e {index} $?\n" for index, command in group)
        yield _elevated(group[0][0], lines, nonce, elevation) if root and elevation else lines


def _line(command: Command) -> str:
    words = "(exec " + " ".join(shlex.quote(word) for word in command.argv) + ")"
    return f"{{ {_spell(command.stdin)} }} 2>/dev/null | {words}" if command.stdin else f"{words} </dev/null"


def _spell(text: str) -> str:
    """Shell commands that write `text` as it is."""
    pieces = (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
    return " ".join(f"printf %s {shlex.quote(piece)};" for piece in pieces)


def _prepare(elevation: Elevation) -> str:
    """Find out how sudo wants to be called, and check the password with a single attempt.

    sudo asks again after a wrong password; here it meets the end of its input instead, so that one mistake in the
    inventory counts as one failure and does not lock the account.
    """
    if elevation.password is None:
        return "s=-n\nm h 0 0\n"
    if not elevation.password or set(elevation.password) & {"\0", "\n"}:
        raise UsageError("the sudo password is empty or holds a line break", hint="see where its secret comes from")
    ask = "sudo -n true </dev/null >/dev/null 2>&1" if elevation.ask_first else "false"
    return (
        f"p={shlex.quote(elevation.password)}\n"
        f"if {ask}; then s=-n; m h 0 0\n"
        'elif printf \'%s\\n\' "$p" | sudo -S -p "" -v; then s=-S; m h 0 1\n'
        "else m x 0 1; m d 0 0; exit 0; fi\n"
    )


def _elevated(first: int, lines: str, nonce: str, elevation: Elevation) -> str:
    """One sudo for a group of commands, which come as a script on its standard input.

    The script is parsed as a whole before it runs, so whatever sudo might take from it for a second password
    leaves nothing that could run.
    """
    script = f"{{\nn={nonce}\n{_PROLOGUE}m u {first} 0\n{lines}exit 0\n}}\n"
    # The line that ends the password part is seen by `ps`; it must not be the nonce.
    fence = f"remedy-{first}"
    password = "[ $s = -n ] || printf '%s\\n' \"$p\"; " if elevation.password is not None else ""
    return (
        f"{{ {password}printf '%s\\n' {fence}; {_spell(script)} }} 2>/dev/null | "
        f'sudo $s -p "" -- sh -c {shlex.quote(_BOOT)} {fence}; r=$?\n'
        f"[ $r -eq 0 ] || {{ m x {first} $r; m d 0 0; exit 0; }}\n"
    )
