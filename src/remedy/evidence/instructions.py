"""The two texts in a bag that are written for whoever opens it: how to verify it, and that it was never sealed.

Decides the stock commands that verify a bag where remedy is not installed: sh, GNU sha256sum, find, sort, sed, cut,
xargs, diff, ssh-keygen (OpenSSH 8.1 or newer), openssl and GNU date. VERIFY.txt is a shell script and its commands are
meant to be read, and typed one by one by whoever does not trust a script that came with the evidence. The first one
compares the list of files, because `sha256sum -c` is content when a file was planted that no manifest names.
Leaves to others: the layout (`bag`).
"""

from __future__ import annotations

from typing import Final

from remedy.core.text import printable
from remedy.evidence import bag
from remedy.evidence.bag import Info

_SHORT: Final = 80

_HEAD: Final = """\
# EVIDENCE, bag {id} of incident {incident}
#
# It was signed by the key
#   {fingerprint}
# A key inside this folder proves nothing by itself: compare this fingerprint with the one you were told by another way
# (the opening of the incident, the printed papers), or give ssh-keygen a list of signers of your own.
#
# Check it with:   cd THIS_FOLDER && sh VERIFY.txt
# Whoever doubts this file too types its commands by hand; they are in remedy's documentation as well.
# It needs sh, sha256sum, find, sort, sed, ssh-keygen{needs}; remedy need not be installed.
# Nothing is proven unless the last line it prints is:   VERIFIED
set -eu
export LC_ALL=C
fail() { echo "NOT VERIFIED: $1"; exit 1; }

# 1. Nothing but files and folders, and no file more or less than the manifests name. (sha256sum alone would not notice
#    a file that was added.)
test -z "$(find . ! -type d ! -type f)" || fail "there are links or devices"
test "$(find . -type f ! -path ./{sig} ! \\( -path './witness-*.sig' ! -path './*/*' \\) | sort)" = \\
  "$({ echo ./{tags}; sed 's|^[0-9a-f]*  |./|' {tags} manifest-sha256.txt; } | sort)" \\
  || fail "files were added or removed"

# 2. Every file is as it was sealed.
sha256sum --strict --quiet -c {tags} || fail "a file of the bag was changed"
test ! -s manifest-sha256.txt || sha256sum --strict --quiet -c manifest-sha256.txt || fail "evidence was changed"
"""
_SM3: Final = """
# 3. The same by SM3 (GB/T 32905-2016), where openssl has it.
if openssl dgst -sm3 -r /dev/null >/dev/null 2>&1; then
  sed 's|^[0-9a-f]*  ||' manifest-sm3.txt | xargs -r openssl dgst -sm3 -r | sed 's| [*]|  |' \\
    | diff manifest-sm3.txt - || fail "evidence was changed (SM3)"
  test "$(sed 's|^[0-9a-f]*  ||' manifest-sm3.txt)" = "$(sed 's|^[0-9a-f]*  ||' manifest-sha256.txt)" \\
    || fail "the two manifests name different files"
else
  echo "openssl has no SM3 here: checked by SHA-256 alone"
fi
"""
_SIGNED: Final = """
# 4. The list of hashes is signed.
ssh-keygen -Y verify -f allowed_signers -I {identity} -n {namespace} \\
  -s {sig} < {tags} || fail "the signature is wrong"
"""
_STAMPED: Final = """
# 5. It was all there at the time that an authority states.
#    ca.pem inside this folder proves nothing by itself either: take the authority's own. Its certificates have to be
#    good at the time that the token states: by today they may have expired.
at=$(openssl ts -reply -in {token} -text 2>/dev/null | sed -n 's/^Time stamp: //p')
test "$(sed -n 's/^{label}sha256: //p' {info})" = "$(sha256sum manifest-sha256.txt | cut -c 1-64)" \\
  || fail "{info} is of another bag"
openssl ts -verify -attime "$(date -u -d "$at" +%s)" -data {info} -in {token} -CAfile ca.pem \\
  || fail "the time stamp is wrong"
echo "the time stamp says: $at"
"""
_WITNESSED: Final = """
# {number}. Who else signed: compare each fingerprint with the one on the papers. It has to differ from the one above.
for each in witness-*.sig; do
  test ! -e "$each" || ssh-keygen -Y check-novalidate -n {witness} -s "$each" < {tags} \\
    || fail "$each is wrong"
done
echo "Compare the fingerprints above with those you were told."
echo VERIFIED
"""

_UNSEALED: Final = """\
THIS BAG IS NOT SEALED.

Bag {id} of incident {incident} was begun at {began} and has not been finished.
Either it is being written at this moment, or writing broke off: the process or the machine was stopped, or the disk
was full. What is in `data` is what had arrived; nothing of it is signed, and a file may end in the middle.
"""


def verify(info: Info, digests: tuple[str, ...], *, stamped: bool) -> str:
    """VERIFY.txt of a bag with these payload manifests, with a time stamp or without."""
    sm3 = bag.SM3 in digests
    parts = [_HEAD, _SM3 if sm3 else "", _SIGNED, _STAMPED if stamped else "", _WITNESSED]
    words = {
        "id": info.id,
        "incident": printable(info.incident, _SHORT, one_line=True).replace("{", "("),
        "fingerprint": info.fingerprint,
        "needs": ", xargs, diff" * sm3 + ", cut, date" * stamped + ", openssl" * (sm3 or stamped),
        "tags": bag.TAG_MANIFEST,
        "sig": bag.SIGNATURE,
        "token": bag.TOKEN,
        "info": bag.BAG_INFO,
        "label": bag.MANIFEST_LABEL,
        "identity": bag.IDENTITY,
        "namespace": bag.NAMESPACE,
        "witness": bag.WITNESS_NAMESPACE,
        "number": "6" if stamped else "5",
    }
    text = "".join(parts)
    for name, word in words.items():
        text = text.replace(f"{{{name}}}", word)
    return text


def unsealed(info: Info) -> str:
    """PARTIAL.txt, in the folder until it is sealed."""
    return _UNSEALED.format(id=info.id, incident=info.incident, began=info.began)
