"""Files on a target: what they hold (as a hash) or where they point. Nothing is read into memory whole."""

from __future__ import annotations

import re

from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable
from remedy.core.values import Command, Probe, Reply
from remedy.probes import text

_STATE = (
    'for p in "$@"; do '
    'if [ -L "$p" ]; then printf "link:%s\\n" "$(readlink "$p" | cut -c1-300)"; '
    'elif [ -f "$p" ]; then printf "sha256:%s\\n" "$(sha256sum < "$p" | cut -c1-64)"; '
    'elif [ -e "$p" ]; then printf "other:\\n"; else printf "absent:\\n"; fi; done'
)


def state(*paths: str) -> Probe:
    """For each path: "absent:", "sha256:HEX", "link:TARGET" or "other:"."""
    return Probe(Command(("sh", "-c", _STATE, "remedy", *paths)), "files.state")


def parse_state(reply: Reply) -> Json:
    """Read one line per path.

    Sample::

        sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
        link:../init.d/remedy-isolation
        absent:
    """
    lines = text(reply, "looking at files").splitlines()
    if not all(re.fullmatch(r"absent:|other:|link:[^\x00-\x1f]*|sha256:[0-9a-f]{64}", line) for line in lines):
        raise AnswerUnusable("the target's answer about its files makes no sense", hint="nothing was decided from it")
    return list(lines)


def content(path: str) -> Probe:
    """The text of a small file, "" when it is absent."""
    return Probe(Command(("sh", "-c", 'if [ -f "$1" ]; then cat "$1"; fi', "remedy", path)), "files.content")


def parse_content(reply: Reply) -> Json:
    """The file's text as it is; at most what the transport's cap lets through."""
    return text(reply, "reading a file")


PARSERS = {"state": parse_state, "content": parse_content}
