"""Time stamps of an authority (RFC 3161): asked for over HTTP, verified before they are kept, verified again later.

Decides what a token must be to count: granted, over these very bytes, of a signer whose certificate is for time stamps
alone and leads to one of the given roots, and written to the last byte as DER. A request states only the SHA-256 of
what is stamped, and a fresh number that the answer has to repeat.
Needs rfc3161-client 1.0.6 or newer: older ones could be led to take another certificate of the token for the signer's.
Leaves to others: which authority is trusted (its root certificates are given), and where a token is kept (`writing`).
"""

from __future__ import annotations

import http.client
import importlib
import queue
import ssl
import threading
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from remedy.core.errors import AnswerUnusable, ConnectFailed, RemedyError, UsageError
from remedy.core.text import printable
from remedy.transports.bags.writing import Stamp, Token

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LARGEST", "asking", "checked", "roots_of"]

#: Bytes of a response that are read; real ones have 2 to 8 kB.
LARGEST: Final = 64 * 1024
_QUERY, _REPLY = "application/timestamp-query", "application/timestamp-reply"
_OK: Final = 200


def asking(url: str, roots: str, *, seconds: float = 30.0) -> Stamp:
    """What asks the authority at `url` (http or https). `roots` are its root certificates in PEM.

    Raises UsageError when the URL, the certificates or the library cannot be used. The stamp raises ConnectFailed when
    the whole answer is not there after `seconds`, and AnswerUnusable when it is no token that counts. Redirections are
    not followed.
    """
    client = _client()
    trusted = roots_of(roots)
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"{printable(url, 200, one_line=True)!r} is no URL of an authority", hint="http://HOST/PATH")

    def stamp(data: bytes) -> Token:
        builder = client.TimestampRequestBuilder().data(data).hash_algorithm(client.HashAlgorithm.SHA256)
        request = builder.build()
        der = _in_time(url, request.as_bytes(), seconds)
        return Token(der, _verified(client, client.VerifierBuilder.from_request(request), trusted, der, data))

    return stamp


def checked(der: bytes, data: bytes, roots: str) -> str:
    """When this token stamped `data`, in UTC. Raises AnswerUnusable, UsageError without the library."""
    client = _client()
    return _verified(client, client.VerifierBuilder(), roots_of(roots), der, data)


def roots_of(pem: str) -> Sequence[Any]:
    """The certificates in a PEM text. Raises UsageError when there is none."""
    from cryptography import x509  # noqa: PLC0415 -- costs start-up time

    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise UsageError("there is no certificate in PEM", where="the authority's root certificates") from error


def _client() -> Any:  # noqa: ANN401 -- a library that is only there when it is asked for
    try:
        return importlib.import_module("rfc3161_client")
    except ImportError as error:
        hint = "pip install 'remedy[stamp]'; or `openssl ts -verify` as VERIFY.txt says"
        raise UsageError("time stamps need the package rfc3161-client", hint=hint) from error


def _verified(client: Any, builder: Any, roots: Sequence[Any], der: bytes, data: bytes) -> str:  # noqa: ANN401 -- as above
    for root in roots:
        builder = builder.add_root_certificate(root)
    try:
        response = client.decode_timestamp_response(der)
        if response.as_bytes() != der:
            raise AnswerUnusable("the time stamp is not written in the one way that DER allows")
        builder.build().verify_message(response, data)
        time = response.tst_info.gen_time
    except RemedyError:
        raise
    except (client.VerificationError, ValueError, OverflowError) as error:
        said = printable(str(error), 300, one_line=True)
        raise AnswerUnusable(f"the time stamp does not verify: {said}") from error
    return str(time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def _in_time(url: str, request: bytes, seconds: float) -> bytes:
    """As `_posted`, given up after so many seconds: a socket's time-out begins anew with every byte."""
    answers: queue.SimpleQueue[bytes | RemedyError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(_posted(url, request, seconds))
        except RemedyError as error:
            answers.put(error)

    threading.Thread(target=ask, name="time-stamp", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty as error:
        where = printable(url, 200, one_line=True)
        raise ConnectFailed(f"no whole time stamp within {seconds:g} s", where=where) from error
    if isinstance(answer, RemedyError):
        raise answer
    return answer


def _posted(url: str, request: bytes, seconds: float) -> bytes:
    """The body of the answer (RFC 3161, section 3.4)."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    where = printable(url, 200, one_line=True)
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=seconds)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", path, request, {"Content-Type": _QUERY, "Accept": _REPLY})
            with connection.getresponse() as answer:
                body = answer.read(LARGEST + 1)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ssl.SSLError, ValueError) as error:
        said = printable(str(error) or type(error).__name__, 300, one_line=True)
        raise ConnectFailed(f"the time stamp authority does not answer: {said}", where=where) from error
    if answer.status != _OK or len(body) > LARGEST or answer.getheader("Content-Type", "").partition(";")[0] != _REPLY:
        said = f"HTTP {answer.status} {printable(answer.reason, 80, one_line=True)}, {len(body)} bytes"
        raise AnswerUnusable(f"the time stamp authority gave no token: {said}", where=where)
    return body
