"""Backups gone bad on demand: faults of the hosts that keep a copy of db01's backups.

Decides which folder or bucket a host keeps them in. Leaves to others: what spoiling does to a file (programs/spoil.py,
which runs on the host) and remembering who has which fault (supervisor.py).

The copies are db01's own, backup01's in the other building, and offsite's bucket. There the file is fetched, spoiled on
offsite's disk, and put back as a new version, which is what an intruder with the keys could do; mending removes the
versions made that way.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from remedy.core.errors import RemedyError, UsageError
from remedy.lab import offsite
from remedy.lab.inside import run_inside
from remedy.lab.machine import Machine
from remedy.lab.services import PROGRAMS

__all__ = ["FOLDERS", "KEPT", "mend", "spoil"]

#: Where hosts keep their copies.
FOLDERS: Final = {"db01": "/var/backups/mariadb", "backup01": "/srv/backups/db01"}
#: Where programs/spoil.py keeps what it spoiled.
KEPT: Final = "/var/lib/remedy-lab/kept"
_BENCH: Final = "/srv/bench"
_BESIDE: Final = ("", ".sha256", ".manifest.json")
_WRITE: Final = 'mkdir -p "${1%/*}" && cat >"$1"'
_PATIENCE: Final = 120.0


def spoil(machine: Machine, what: str, number: float) -> None:
    """Do to the newest backup of this host's copy what programs/spoil.py calls `what`.

    Raises UsageError for a host without a copy, RemedyError when it cannot be done.
    """
    words = (what, str(int(number)))
    if "s3" in machine.host.services:
        _spoil_bucket(machine, words)
    else:
        _run(machine, _folder(machine), *words)


def mend(machine: Machine) -> None:
    """Put back what spoiling took; fine when there is nothing to put back."""
    if "s3" in machine.host.services:
        while machine.versions:
            key, version = machine.versions.pop()
            offsite.client().delete_object(Bucket=offsite.BUCKET, Key=key, VersionId=version)
    else:
        _run(machine, _folder(machine), "mend")


def _folder(machine: Machine) -> str:
    if machine.host.name not in FOLDERS:
        known = ", ".join((*FOLDERS, "offsite"))
        raise UsageError(f"{machine.host.name} keeps no copy of the backups", hint=f"hosts with one: {known}")
    return FOLDERS[machine.host.name]


def _run(machine: Machine, folder: str, *words: str) -> str:
    argv = ["/usr/bin/python3", "-I", f"{PROGRAMS}/spoil.py", folder, *words]
    status, out, err = run_inside(machine.host.name, machine.running, argv, timeout=_PATIENCE)
    if status != 0:
        raise RemedyError(err.decode("utf-8", "replace").strip()[-300:], where=machine.host.name)
    return out.decode("utf-8", "replace").strip()


def _spoil_bucket(machine: Machine, words: tuple[str, ...]) -> None:
    s3 = _ready(machine)
    found = list(_objects(s3))
    keys = {entry["Key"] for entry in found}
    backups = [entry for entry in found if not entry["Key"].endswith(_BESIDE[1:])]
    if not backups:
        raise RemedyError("the bucket holds no backup", where=machine.host.name)
    newest = max(backups, key=lambda entry: (entry["LastModified"], entry["Key"]))["Key"]
    together = [newest + suffix for suffix in _BESIDE if newest + suffix in keys]
    _inside(machine, ["rm", "-rf", _BENCH])
    before = {}
    for key in together:
        before[key] = s3.get_object(Bucket=offsite.BUCKET, Key=key)["Body"].read()
        _inside(machine, ["/bin/sh", "-c", _WRITE, "spoil", _bench(key)], before[key])
    _run(machine, _BENCH, *words)
    for key in together:
        status, after, _ = run_inside(machine.host.name, machine.running, ["cat", _bench(key)])
        if status != 0:
            answer = s3.delete_object(Bucket=offsite.BUCKET, Key=key)
        elif after != before[key]:
            answer = s3.put_object(Bucket=offsite.BUCKET, Key=key, Body=after)
        else:
            continue
        machine.versions.append((key, answer["VersionId"]))
    _inside(machine, ["rm", "-rf", _BENCH, KEPT])


def _ready(machine: Machine) -> Any:  # noqa: ANN401 -- boto3 makes its classes at run time
    if not machine.services().get("s3"):
        raise RemedyError(
            "the store does not answer",
            where=machine.host.name,
            hint="it takes seconds to start; see remedy lab status",
        )
    return offsite.client()


def _objects(s3: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 -- as above
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=offsite.BUCKET, Prefix=offsite.PREFIX):
        yield from page.get("Contents", ())


def _bench(key: str) -> str:
    return f"{_BENCH}/{PurePosixPath(key).name}"


def _inside(machine: Machine, argv: list[str], stdin: bytes = b"") -> None:
    status, _, err = run_inside(machine.host.name, machine.running, argv, stdin, _PATIENCE)
    if status != 0:
        raise RemedyError(err.decode("utf-8", "replace").strip()[-300:], where=machine.host.name)
