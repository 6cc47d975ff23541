"""The store in the other city: an S3 endpoint over real HTTP (moto), with the copy of db01's backups in it.

Decides the bucket, and when the store is ready: once the backups are in it. Run in offsite's network by the estate as
`python -m remedy.lab.offsite READY FILE…`; it is this machine's Python, not the host's. What was stored is forgotten
when it ends, and stored anew when it starts.

The bucket is versioned: what is overwritten or deleted through S3 is still there as an older version.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from remedy.lab.topology import topology

__all__ = ["BUCKET", "ENDPOINT", "PREFIX", "client", "refill", "store"]

BUCKET: Final = "backups"
PREFIX: Final = "db01/"
_HOST: Final = topology()["offsite"]
_PORT: Final = _HOST.services["s3"]
ENDPOINT: Final = f"http://{_HOST.v4}:{_PORT}"


def client(endpoint: str = ENDPOINT) -> Any:  # noqa: ANN401 -- boto3 makes its classes at run time
    """An S3 client; moto takes any key. It asks each thing once and gives up after seconds."""
    import boto3  # noqa: PLC0415 -- slow to import, and only the lab extra has it
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="lab",
        aws_secret_access_key="lab",  # noqa: S106 -- moto asks for one and does not look at it
        config=Config(connect_timeout=3, read_timeout=20, retries={"max_attempts": 0}),
    )


def store(s3: Any, files: Sequence[Path]) -> None:  # noqa: ANN401 -- as above
    """Put files into the bucket under their names."""
    for path in files:
        with path.open("rb") as content:
            s3.put_object(Bucket=BUCKET, Key=PREFIX + path.name, Body=content)


def refill(s3: Any, files: Sequence[Path]) -> None:  # noqa: ANN401 -- as above
    """Put the bucket back to these files alone: every version of everything is gone."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
        for entry in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            s3.delete_object(Bucket=BUCKET, Key=entry["Key"], VersionId=entry["VersionId"])
    store(s3, files)


def _main(ready: Path, files: Sequence[Path]) -> None:
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 -- as above

    server = ThreadedMotoServer("::", _PORT, verbose=False)
    server.start()
    s3 = client(f"http://[::1]:{_PORT}")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    store(s3, files)
    ready.touch()
    while True:
        signal.pause()


if __name__ == "__main__":
    _main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
