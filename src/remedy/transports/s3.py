"""Requests to an S3 service: when they are made again, and what its errors mean.

Decides nothing about backups. Leaves to others: HTTP and signatures (boto3, imported only here and only when a copy is
in S3), which requests are made (`objects`). Error codes are those of the Amazon S3 API reference, "Error responses",
with some of MinIO and Ceph.
"""

from __future__ import annotations

import importlib
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from remedy.backups.ports import Damaged
from remedy.backups.values import Copy
from remedy.core.errors import (
    AuthenticationFailed,
    ConnectFailed,
    ConnectionLost,
    Refused,
    RemedyError,
    TimedOut,
    UsageError,
)
from remedy.core.text import printable
from remedy.core.values import Secret

Answer = Mapping[str, Any]

_FORBIDDEN: Final = 403
_NOT_IMPLEMENTED: Final = 501
_SERVER_ERROR: Final = 500
_AGAIN: Final = frozenset(
    {
        *("SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "TooManyRequests", "429"),
        # Somebody writes or deletes the same object right now; only 412 says that there is one.
        *("ConditionalRequestConflict", "OperationAborted", "409"),
    }
)

#: Codes, and what they are called below.
_MEANINGS: Final = (
    ("RequestTimeTooSkewed", "clock"),
    (
        "InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|TokenRefreshRequired|InvalidClientTokenId",
        "key",
    ),
    ("NoSuchBucket", "bucket"),
    ("PermanentRedirect|301|AuthorizationHeaderMalformed|IllegalLocationConstraintException", "region"),
    ("InvalidObjectState", "archived"),
    ("NoSuchKey|NoSuchVersion|NotFound|404", "gone"),
    ("PreconditionFailed|412", "changed"),
    ("InvalidRange|416", "short"),
    ("QuotaExceeded|XMinioStorageFull|InsufficientStorage|EntityTooLarge|507", "full"),
    ("NotImplemented|InvalidArgument|InvalidRequest|UnsupportedArgument|501|400", "unknown"),
)
_PERMISSIONS: Final = {
    "list_objects_v2": "s3:ListBucket",
    "list_object_versions": "s3:ListBucketVersions",
    "delete_object": "s3:DeleteObject",
    "abort_multipart_upload": "s3:AbortMultipartUpload",
    "get_object": "s3:GetObject",
    "head_object": "s3:GetObject",
}


class Unknown(Refused):
    """The service does not know something that was asked of it."""


class Taken(Refused):
    """There is an object of that name already."""


class Service:
    """One copy's service and bucket. May be shared by threads."""

    def __init__(
        self,
        copy: Copy,
        resolve_secret: Callable[[Secret], str],
        *,
        tries: int,
        idle: float,
        connect: float,
        wait: Callable[[float], None],
    ) -> None:
        """`tries` is how often a request is made, `idle` and `connect` are seconds. Nothing is asked yet."""
        self._copy = copy
        self._resolve_secret = resolve_secret
        self._tries = tries
        self._idle = idle
        self._connect = connect
        self._wait = wait
        self._bucket = printable(copy.bucket, 100, one_line=True)
        self._where = f"s3://{self._bucket}"
        self._lock = threading.Lock()
        self._made: Any = None

    def call(self, operation: str, name: str = "", /, **options: object) -> Answer:
        """One request to the bucket, made again while the service has passing troubles; `name` is for messages.

        Raises Unreachable (AuthenticationFailed, ConnectFailed, ConnectionLost, TimedOut), Damaged("changed" or
        "short") when the object is not the one meant, Taken, Unknown, and Refused for all else; UsageError without
        boto3.
        """
        client = self._client()
        errors = importlib.import_module("botocore.exceptions")
        for attempt in range(1, self._tries + 1):
            try:
                answer: Answer = getattr(client, operation)(Bucket=self._copy.bucket, **options)
            except errors.ClientError as error:
                if attempt == self._tries or not _passing(error):
                    raise self._meaning(error, operation, name) from error
            except errors.BotoCoreError as error:
                dead = isinstance(error, errors.ConnectionError)
                if attempt == self._tries or dead or not isinstance(error, errors.HTTPClientError):
                    raise self._failure(error) from error
            else:
                return answer
            self._wait(pause(attempt))
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close the connections; never raises. They open again when needed."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.close()

    def _client(self) -> Any:  # noqa: ANN401 -- boto3 has no types
        with self._lock:
            if self._made is None:
                try:
                    boto3, config = importlib.import_module("boto3"), importlib.import_module("botocore.config")
                except ImportError as error:
                    raise UsageError(
                        "copies in S3 need boto3, which is not installed",
                        where=self._where,
                        hint="pip install 'remedy[s3]'",
                    ) from error
                self._made = self._new(boto3.session.Session(), config.Config)
            return self._made

    def _new(self, session: Any, config: Any) -> Any:  # noqa: ANN401 -- as above
        copy = self._copy
        keys = {
            name: self._resolve_secret(secret)
            for name, secret in (("aws_access_key_id", copy.access_key), ("aws_secret_access_key", copy.secret_key))
            if secret is not None
        }
        settings = config(
            connect_timeout=self._connect,
            read_timeout=self._idle,
            retries={"total_max_attempts": 1},  # `call` decides
            # Else every request carries a checksum that other services than Amazon's take for an error.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path" if copy.endpoint else "auto", "payload_signing_enabled": True},
        )
        region = copy.region or "us-east-1"
        try:
            return session.client("s3", endpoint_url=copy.endpoint or None, region_name=region, config=settings, **keys)
        except ValueError as error:
            raise UsageError(
                printable(str(error), 300, one_line=True),
                where=self._where,
                hint="see the copy's endpoint in the inventory",
            ) from error

    def _meaning(self, error: Any, operation: str, name: str) -> RemedyError:  # noqa: ANN401 -- botocore has no types
        """What an answer that is an error means for whoever asked."""
        code, status = _code(error), _status(error)
        message = printable(str(error.response.get("Error", {}).get("Message", "")), 300, one_line=True)
        said = ": ".join(part for part in (printable(code, 60, one_line=True), message) if part)
        where = f"{self._where}/{printable(name, one_line=True)}" if name else self._where
        meaning = next((meaning for pattern, meaning in _MEANINGS if re.fullmatch(pattern, code)), "")
        if not meaning and status == _FORBIDDEN:
            needed = _PERMISSIONS.get(operation, "s3:PutObject")
            if self._copy.versioned and needed in {"s3:GetObject", "s3:DeleteObject"}:
                needed += "Version"
            return Refused(f"access denied ({said})", where=where, hint=f"the key needs {needed} on {self._bucket}")
        if not meaning and (status >= _SERVER_ERROR or code in _AGAIN):
            return ConnectionLost(f"the service answered {self._tries} times: {said}", where=where, hint=_LATER)
        writes = operation.startswith(("put", "create", "upload", "complete"))
        if meaning in {"gone", "changed"} and writes:
            meaning = "taken" if meaning == "changed" else ""
        kind, text, hint = _ERRORS.get(meaning, (Refused, "", ""))
        text = text.format(bucket=self._bucket) or said
        if kind is Damaged:
            return Damaged("short" if meaning == "short" else "changed", text, where=where, hint=hint)
        return kind(f"{text} ({said})" if meaning in _EXPLAINED else text, where=where, hint=hint)

    def _failure(self, error: Exception) -> RemedyError:
        """What it means that there was no answer."""
        kind, said = type(error).__name__, printable(str(error), 300, one_line=True)
        place = printable(self._copy.endpoint, 100, one_line=True) or "the service"
        for pattern, made, text in (
            (".*Credential.*", AuthenticationFailed, "there is no access key; give the copy access_key and secret_key"),
            ("SSLError", ConnectFailed, f"TLS with {place} failed: {said}"),
            ("ConnectTimeoutError", ConnectFailed, f"no answer from {place} within {self._connect:g} s"),
            ("EndpointConnectionError|ProxyConnectionError", ConnectFailed, f"{place} cannot be reached: {said}"),
            ("ReadTimeoutError", TimedOut, f"{place} sent nothing for {self._idle:g} s, {self._tries} times"),
            ("ConnectionClosedError|HTTPClientError", ConnectionLost, f"the connection to {place} broke: {said}"),
        ):
            if re.fullmatch(pattern, kind):
                return made(text, where=self._where)
        return UsageError(said, where=self._where, hint="see the copy in the inventory")


_LATER: Final = "try again later, or take another copy"
_ERRORS: Final[dict[str, tuple[type[RemedyError], str, str]]] = {
    "clock": (AuthenticationFailed, "", "set this machine's clock"),
    "key": (AuthenticationFailed, "", "see the copy's access_key and secret_key in the inventory"),
    "bucket": (Refused, "there is no bucket {bucket}", "see the copy's endpoint and bucket in the inventory"),
    "region": (Refused, "the bucket is in another region", "see the copy's region in the inventory"),
    "archived": (Refused, "the object is archived", "have it restored (aws s3api restore-object), then try again"),
    "gone": (Damaged, "it is no longer there", "list it again"),
    "changed": (Damaged, "it is no longer the object that was listed", "list it again"),
    "short": (Damaged, "it has fewer bytes than are listed", "take the backup from another copy"),
    "full": (Refused, "no space", "make room there, or name another copy"),
    "unknown": (Unknown, "", "the service does not know this request"),
    "taken": (Taken, "there is something of that name, which stays", "take another name"),
}
_EXPLAINED: Final = frozenset({"region", "full"})


def broken() -> tuple[type[Exception], ...]:
    """What reading the body of an answer raises when the connection breaks."""
    errors = importlib.import_module("botocore.exceptions")
    network = importlib.import_module("urllib3.exceptions")
    return (errors.HTTPClientError, errors.IncompleteReadError, network.HTTPError, OSError)


def pause(attempt: int) -> float:
    """Seconds before the next try: more each time, and not the same for all who wait."""
    return float(0.25 * 2**attempt * (0.5 + secrets.randbelow(1000) / 1000))


def _passing(error: Any) -> bool:  # noqa: ANN401 -- botocore has no types
    status = _status(error)
    return (status >= _SERVER_ERROR and status != _NOT_IMPLEMENTED) or _code(error) in _AGAIN


def _status(error: Any) -> int:  # noqa: ANN401 -- as above
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: Any) -> str:  # noqa: ANN401 -- as above
    return str(error.response.get("Error", {}).get("Code", "")) or str(_status(error))
