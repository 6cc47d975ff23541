"""The page for whoever stands at a device without remedy: its lines, typed as they stand there, do what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from tests.worlds.firewalls import FACES, OTHERS, firewall

from remedy import devices
from remedy.actions.block import Block
from remedy.actions.perimeter import device as typing
from remedy.actions.prepare import Prepare
from remedy.core.values import Command

PAGE: Final = Path(__file__).parents[2] / "docs" / "how-to" / "recover-a-device.md"
SECTION: Final = re.compile(r"^### (.+?)\n(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)
BLOCK: Final = re.compile(r"^```text\n(.*?)^```", re.MULTILINE | re.DOTALL)


def cards() -> dict[str, list[tuple[str, ...]]]:
    """What the page has for each device, by its title: to look, to take one address off, to take all off."""
    found = SECTION.findall(PAGE.read_text(encoding="utf-8"))
    return {title: [tuple(block.splitlines()) for block in BLOCK.findall(text)] for title, text in found}


@pytest.mark.parametrize("face", sorted(FACES))
def test_the_page_takes_off_what_was_typed(face: str, tmp_path: Path) -> None:
    """One address goes with its lines, everything of remedy's with the others, and the rest is as it was, saved."""
    vendor = devices.named(FACES[face][0])
    look, one, everything = cards()[vendor.title]
    *lines, save = everything
    assert vendor.terminal.save == (save,)
    with firewall(tmp_path, face) as fw:

        def typed(*lines: str) -> None:
            reply = fw.sessions.send(typing.configure(lines), at="fw01")
            assert reply.status == 0, reply

        typed(*OTHERS[face])
        start = fw.asked("running")
        for family in (4, 6):
            assert fw.act(Prepare(fw.vendor, fw.gate, family), f"P{family}").status == "verified"
        block = Block(fw.vendor, (fw.gate,), ("203.0.113.7", "2001:db8:66::/64"), seconds=60)
        assert fw.act(block, "B1").status == "verified"
        shown = fw.sessions.send(Command(("cli", *look), root=False), at="fw01")
        assert shown.status == 0, shown
        assert "203.0.113.7" in shown.out.decode()
        typed(*one)
        assert "203.0.113.7" not in fw.asked("running")
        assert "2001:db8:66::" in fw.asked("running").lower()
        typed(*lines)
        assert fw.asked("running") == start
        assert fw.sessions.send(typing.save("fw01", vendor).do, at="fw01").status == 0
        assert fw.asked("saved") == start


def test_the_page_has_every_device_that_was_tried() -> None:
    """Each vendor file that an emulator has proven has its section, with the three blocks."""
    tried = {one.title for one in devices.registered().values() if one.tried == "emulator"}
    assert {title: len(blocks) for title, blocks in cards().items()} == dict.fromkeys(tried, 3)
