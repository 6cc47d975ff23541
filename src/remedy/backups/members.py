"""Compressed members one after another, decoded with flat memory: what gzip, bzip2 and xz have in common.

Decides where one member ends and the next begins, and what is wrong with what is neither. Input is handed on in small
pieces and output taken in small pieces, so a file that unpacks to a thousand times its size costs no more memory than
another. Leaves to the containers: their decoders, magic numbers and padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from remedy.backups.ports import Damaged

#: The most bytes handed to a decoder at once, and the most taken from it.
INPUT: Final = 1 << 18
OUTPUT: Final = 1 << 20


class Decoder(Protocol):
    """Decodes one member; the interface of the standard library's `BZ2Decompressor` and `LZMADecompressor`."""

    @property
    def eof(self) -> bool:
        """Whether the member has ended, its checksum right."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out before more goes in."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What followed the end of the member."""
        ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Take `data`, give at most `max_length` bytes."""
        ...


def decoded(  # noqa: C901 -- one loop over input, members and output
    chunks: Iterable[bytes], begin: Callable[[], Decoder], magic: bytes, errors: type[Exception], *, padding: int = 0
) -> Iterator[bytes]:
    """The bytes inside all members, at most `OUTPUT` at a time.

    `begin` makes the decoder of a member, which begins with `magic` and raises `errors` when it is damaged; between
    members and after the last, NUL bytes in multiples of `padding` are skipped.
    Raises Damaged: "truncated" (ends inside a member), "corrupt", "trailing" (something else follows a member),
    "memory" (decoding takes more than it may).
    """
    decoder: Decoder | None = None
    data, padded, members = b"", 0, 0
    for chunk in chunks:
        for at in range(0, len(chunk), INPUT):
            data += chunk[at : at + INPUT]
            while data or (decoder and not decoder.needs_input):
                if decoder is None:
                    if padding and members:
                        padded += len(data) - len(data := data.lstrip(b"\0"))
                    if len(data) < len(magic) and magic.startswith(data):
                        break
                    if not data.startswith(magic) or (padding and padded % padding):
                        raise _trailing(members)
                    decoder, padded, members = begin(), 0, members + 1
                try:
                    out = decoder.decompress(data, OUTPUT)
                except errors as error:
                    code = "memory" if "emory" in str(error) else "corrupt"
                    raise Damaged(code, f"does not decompress: {error}", where=f"member {members}") from error
                if out:
                    yield out
                data = b""
                if decoder.eof:
                    data, decoder = decoder.unused_data, None
    if decoder is not None or not members:
        raise Damaged("truncated", "the compressed data ends before its end mark", hint="take another copy of it")
    if data or (padding and padded % padding):
        raise _trailing(members)


def _trailing(members: int) -> Damaged:
    return Damaged(
        "trailing",
        "something that is not compressed follows the compressed data",
        where=f"after member {members}",
        hint="compare the file with another copy",
    )
