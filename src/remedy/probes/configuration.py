"""What a device's configuration is, asked in its own words.

Decides what is made of the answer: the whole text (for who keeps it), or one word on how far it has come from one state
to another, so that a plan says nothing of it but marks of lines. Leaves to others: what sections are
(`remedy.devices.configuration`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from remedy import devices
from remedy.core.canon import Json, canonical
from remedy.core.errors import AnswerUnusable
from remedy.core.text import printable
from remedy.core.values import Command, Probe, Reply
from remedy.devices import Vendor
from remedy.devices.configuration import Sections, fingerprint, line_marks, masked, sections, whole

_SECONDS = 120
#: How each family shows the configuration that it starts with.
_SAVED = {"display": "display saved-configuration", "show": "show startup-config"}


def running(vendor: Vendor) -> Probe:
    """Ask for the running configuration, whole: text with LF line ends. It holds secrets: it goes nowhere as it is."""
    return _probe("text", vendor, vendor.terminal.running, {})


def saved(vendor: Vendor) -> Probe:
    """Ask for the configuration that the device starts with, "" where there is none."""
    return _probe("text", vendor, _SAVED[vendor.terminal.reading[0]], {"absent": True})


def progress(vendor: Vendor, now: Sections, wanted: Sections, keys: Sequence[str]) -> Probe:
    """Ask how far these sections have come: "before", "after", "halfway", or "other" when anything else is there."""
    about: dict[str, Json] = {
        "keys": [*keys],
        "rest": fingerprint(now, keys),
        "before": [cast("Json", line_marks(now.get(key))) for key in keys],
        "after": [cast("Json", line_marks(wanted.get(key))) for key in keys],
    }
    return _probe("progress", vendor, vendor.terminal.running, about)


def state(vendor: Vendor, before: str, after: str) -> Probe:
    """Ask which of two configurations it is, by fingerprint: "before", "after" or "other"."""
    return _probe("state", vendor, vendor.terminal.running, {"before": before, "after": after})


def file(vendor: Vendor, name: str) -> Probe:
    """Ask whether the device has a file of this name in its working folder: true or false."""
    return _probe("file", vendor, "dir", {"name": name, "absent": True})


def _probe(what: str, vendor: Vendor, line: str, about: dict[str, Json]) -> Probe:
    made = canonical({"vendor": vendor.name, **about}).decode()
    return Probe(Command(("cli", line), root=False, seconds=_SECONDS), f"configuration.{what}:{made}")


def _text(reply: Reply, about: dict[str, Any]) -> str:
    """The text that the one line printed. No message has anything of it in it but a refusal."""
    vendor = devices.named(str(about["vendor"]))
    if reply.status:
        said = printable(masked((reply.err.decode("utf-8", "replace")).strip(), vendor), 200, one_line=True)
        raise AnswerUnusable(f"the device did not answer: {said}", hint="nothing was decided from it")
    try:
        said_all = json.loads(reply.out)
    except ValueError:
        said_all = None
    if not isinstance(said_all, list) or len(said_all) != 1 or not isinstance(said_all[0], str):
        raise AnswerUnusable("the device's answer came through garbled", hint="nothing was decided from it")
    if about.get("absent") and len(said_all[0].splitlines()) < 2:  # noqa: PLR2004 -- no configuration is one line
        return ""
    if about.get("absent"):
        return said_all[0].rstrip("\n") + "\n"
    return whole(said_all[0], vendor)


def parse_text(reply: Reply, informed: str) -> Json:
    """The text."""
    return _text(reply, json.loads(informed))


def parse_progress(reply: Reply, informed: str) -> Json:
    """One word, from the marks of lines."""
    about = json.loads(informed)
    now = sections(_text(reply, about))
    if fingerprint(now, about["keys"]) != about["rest"]:
        return "other"
    held = [line_marks(now.get(key)) for key in about["keys"]]
    if held == about["after"]:
        return "after"
    if held == about["before"]:
        return "before"
    strange = (
        set(there or ()) - {*(old or ()), *(new or ())}
        for there, old, new in zip(held, about["before"], about["after"], strict=True)
    )
    return "other" if any(strange) else "halfway"


def parse_state(reply: Reply, informed: str) -> Json:
    """One word."""
    about = json.loads(informed)
    found = fingerprint(sections(_text(reply, about)))
    return next((word for word in ("after", "before") if about[word] == found), "other")


def parse_file(reply: Reply, informed: str) -> Json:
    r"""Whether a line ends with the name. Sample: ``   1 -rw-         979 Nov 20 2026 14:06:23   startup.cfg\n``."""
    about = json.loads(informed)
    found = [line.split()[-1:] == [about["name"]] for line in _text(reply, about).splitlines()]
    if not found:
        raise AnswerUnusable("the device does not show its files", hint="may the account use `dir`?")
    return any(found)


INFORMED = {"file": parse_file, "progress": parse_progress, "state": parse_state, "text": parse_text}
PARSERS: dict[str, object] = {}
