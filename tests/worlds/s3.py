"""An S3 service over real HTTP (moto), with accounts and permissions when they are asked for."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.config import Config
from tests.worlds.children import child

from remedy.core.values import Secret

KEY, SECRET = Secret("env:KEY", "AKIAEXAMPLE"), Secret("env:SECRET", "secret")
_COUNT = itertools.count()


def free_port() -> int:
    """A TCP port nobody uses."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def service(port: int = 0) -> Iterator[str]:
    """A moto server, at this port if one is named; its URL."""
    port = port or free_port()
    program = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with child((sys.executable, "-c", program), gently=10, **silent) as process:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            assert process.poll() is None
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"


def client(url: str, kind: str = "s3", key: str = KEY.value, secret: str = SECRET.value) -> Any:  # noqa: ANN401 -- boto3
    """Somebody else who uses the service."""
    plain = Config(request_checksum_calculation="when_required", retries={"total_max_attempts": 1})
    return boto3.client(
        kind,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=plain,
    )


def account(iam: Any, *actions: str) -> dict[str, Any]:  # noqa: ANN401 -- boto3
    """Keys that allow these actions, everywhere; they count once permissions are `enforced`."""
    name = f"u{next(_COUNT)}"
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
    found = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "access_key": Secret("env:KEY", found["AccessKeyId"]),
        "secret_key": Secret("env:SECRET", found["SecretAccessKey"]),
    }


@contextlib.contextmanager
def enforced(url: str) -> Iterator[None]:
    """From now on everybody needs a permission, until the end of the block."""

    def count(value: str) -> None:
        request = urllib.request.Request(  # noqa: S310 -- our own server
            f"{url}/moto-api/reset-auth", value.encode(), {"Content-Type": "text/plain"}
        )
        urllib.request.urlopen(request).close()  # noqa: S310 -- as above

    count("0")
    try:
        yield
    finally:
        count("inf")
