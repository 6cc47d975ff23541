r"""OpenPGP (RFC 4880), by GnuPG 2.2 and later: to a key or with a passphrase, binary or in ASCII armour.

    85 01 0c 03 …                    old packet format: a session key for a public key, version 3
    8c 0d 04 …                       the same for a passphrase, version 4; new format: c1 …, c3 …
    -----BEGIN PGP MESSAGE-----

What GnuPG says on its status lines counts (doc/DETAILS), not its exit status: that is 0 for a file cut within its first
packet, and 2 for a sound one whose signer is unknown.

    [GNUPG:] ENC_TO 3480498349FC3E06 1 0
    [GNUPG:] DECRYPTION_OKAY
    [GNUPG:] GOODMDC
"""

from __future__ import annotations

import re
from typing import Final

from remedy.backups.seals import DESCRIPTOR, Complaint, End, Opening
from remedy.backups.values import Keys

SUFFIXES: Final = (".gpg", ".pgp", ".asc")
#: Every message that GnuPG opens carries a hash (MDC) or is authenticated block by block.
CHECKED: Final = True

_ARMOUR: Final = b"-----BEGIN PGP M"
# Versions that a packet of each tag can begin with (sections 5.1, 5.3, 5.13; RFC 9580).
_VERSIONS: Final = {1: (3, 6), 3: (4, 5, 6), 18: (1, 2)}
_PARTIAL: Final = 224
_TWO_OCTETS: Final = 192
_FIVE_OCTETS: Final = 255
_TINY: Final = 1024

_KEY: Final = re.compile(r"^\[GNUPG:\] ENC_TO (?!0{16})([0-9A-F]{16})", re.MULTILINE)
_CUT: Final = re.compile(
    "read error|pending bytes|length invalid|length byte missing|malformed CRC|premature eof|unexpected end"
)
_NO_KEY: Final = re.compile(
    "(?:BAD|MISSING)_PASSPHRASE|NO_SECKEY|No secret key|Bad session key|Bad passphrase|No pinentry|No passphrase"
)


def recognises(head: bytes) -> bool:
    """Whether `head` begins an OpenPGP message that is encrypted."""
    if head.startswith(_ARMOUR):
        return True
    if len(head) < 7 or not head[0] & 0x80:  # noqa: PLR2004 -- tag, length of at most five octets, version
        return False
    if head[0] & 0x40:
        tag, first = head[0] & 0x3F, head[1]
        size = 5 if first == _FIVE_OCTETS else 1 if first < _TWO_OCTETS or first >= _PARTIAL else 2
    else:
        tag, size = (head[0] >> 2) & 0x0F, (1, 2, 4, 0)[head[0] & 0x03]
    return head[1 + size] in _VERSIONS.get(tag, ())


def opening(keys: Keys) -> Opening:
    """By the secret keys of `keys.gpg_home` (the operator's own where it is empty), or with the passphrase alone."""
    home = ("--homedir", keys.gpg_home) if keys.gpg_home else ()
    passphrase = ("--pinentry-mode", "loopback", "--passphrase-fd", DESCRIPTOR)
    return Opening(
        (
            "gpg",
            *home,
            # Nothing asks, nothing is looked up on the network, no configuration changes what is done.
            *(
                "--no-options",
                "--batch",
                "--no-tty",
                "--disable-dirmngr",
                "--no-auto-key-retrieve",
                "--no-symkey-cache",
            ),
            *(passphrase if keys.gpg_passphrase else ("--pinentry-mode", "error")),
            *("--status-fd", "2", "--decrypt"),
        ),
        "gnupg",
        keys.gpg_passphrase,
        (
            ("gpg-connect-agent", *home, "--no-autostart", "GETINFO pid", "/bye"),
            ("gpgconf", *home, "--kill", "gpg-agent"),
        ),
    )


def doubt(head: bytes) -> Complaint | None:  # noqa: ARG001 -- the interface of every seal
    """None: GnuPG itself tells a wrong key."""
    return None


def complaint(end: End) -> Complaint | None:
    """What GnuPG's status lines say. Names that the sender chose are on some of them, and decide nothing."""
    lines = end.err.decode("utf-8", "replace").splitlines()
    told = {words[1]: line for line in lines if len(words := line.split()) > 1 and words[0] == "[GNUPG:]"}
    own = "\n".join([*(line for line in lines if line.startswith("gpg: ")), told.get("ERROR", ""), *told])
    if "DECRYPTION_OKAY" in told and "BADMDC" not in told:
        if "BADSIG" in told:
            return Complaint("corrupt", "it is signed, and the signature does not fit")
        if end.status == 0 or "NO_PUBKEY" in told:
            return None
    if _NO_KEY.search(own):
        return _no_key("\n".join(lines), considered="KEY_CONSIDERED" in told)
    if _CUT.search(own) or not ({"DECRYPTION_OKAY", "DECRYPTION_FAILED"} & told.keys() or end.given >= _TINY):
        return Complaint("truncated", "it is cut short")
    if {"BADMDC", "DECRYPTION_FAILED", "DECRYPTION_OKAY", "NODATA"} & told.keys() or "Fatal: " in own:
        return Complaint("corrupt", "it was changed after it was encrypted: GnuPG's check does not fit")
    words = [line.removeprefix("gpg: ") for line in lines if line.startswith("gpg: ")]
    return Complaint("", f"gpg failed: {words[-1] if words else f'status {end.status}'}")


def _no_key(status: str, *, considered: bool) -> Complaint:
    wanted = list(dict.fromkeys(_KEY.findall(status)))
    see = "see gpg_passphrase in the inventory"
    if not wanted:
        return Complaint("wrong-key", "it is encrypted with a passphrase, which is another one", see)
    names = " or ".join(f"0x{key}" for key in wanted)
    if considered:
        return Complaint("wrong-key", f"the secret key {names} is there, but does not open it", see)
    return Complaint(
        "wrong-key",
        f"it is encrypted to {names}, and there is no such secret key",
        f"gpg --homedir DIR --import the secret key {names}, and name DIR as gpg_home in the inventory",
    )
