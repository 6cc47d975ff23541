"""Hostile text on its way to a reader."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from remedy.core.text import printable


def test_escape_sequences_become_visible() -> None:
    """Terminal control, by ESC or by its C1 form, is shown and not obeyed."""
    assert printable(b"\x1b]0;owned\x07 \xc2\x9b31m") == "\\x1b]0;owned\\x07 \\x9b31m"


def test_bidirectional_and_zero_width_controls_become_visible() -> None:
    """Text cannot be reordered or hidden from the reader."""
    assert printable("a\u202eb\u200bc\u2066d\ufeff") == "a\\u202eb\\u200bc\\u2066d\\ufeff"


def test_invalid_utf8_and_nul_are_shown_as_bytes() -> None:
    """Bytes that are no text appear in hexadecimal."""
    assert printable(b"a\x00b\xff\xe6\x97") == "a\\x00b\\xff\\xe6\\x97"


def test_ordinary_text_is_untouched() -> None:
    """Words, newlines, tabs and Chinese pass as they are."""
    assert printable("web01\tok\n隔离完成 é\n") == "web01\tok\n隔离完成 é\n"


def test_one_line_stays_one_line() -> None:
    """A message for one line cannot forge a second one."""
    assert printable("a\nb\rc\td", one_line=True) == "a\\nb\\x0dc\\td"


def test_long_text_says_its_size() -> None:
    """Shortening is visible and names the size of the whole."""
    assert printable(b"x" * 10_000, 40) == "x" * 18 + "… (10000 bytes in all)"


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300)), st.integers(30, 200))
def test_nothing_unprintable_and_never_too_long(value: bytes | str, limit: int) -> None:
    """Whatever comes in, what goes out is bounded, encodable and free of control and format characters."""
    text = printable(value, limit)
    assert len(text) <= limit
    text.encode()
    assert not {c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs"}} - {"\n", "\t"}


def test_every_format_character_is_shown_as_an_escape() -> None:
    """Nothing that Unicode calls a control, a format or a line separator comes through, newline and tab apart."""
    hostile = (chr(n) for n in range(0x110000) if unicodedata.category(chr(n)) in {"Cc", "Cf", "Cs", "Zl", "Zp"})
    assert {c for c in hostile if printable(c) == c} == {"\n", "\t"}
