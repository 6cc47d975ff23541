"""One step of a collection, the logs, from one host into a sealed bag: through remedy's transport, without a record.

Usage: collect_logs.py ADDRESS PORT KEY KNOWN_HOSTS LOGS BAGS PACKED. LOGS is the folder on the host; PACKED is `host`
(its zstd) or `here` (a raw tar, compressed where it is kept). Prints the bytes that are kept.
"""

from __future__ import annotations

import secrets
import sys
import threading
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remedy.core.values import Target
from remedy.evidence import bag, ledger, steps
from remedy.record import sshsig
from remedy.transports.bags.writing import Writing
from remedy.transports.bulk import Bulk
from remedy.transports.collecting import Collecting, reach


def main(argv: list[str]) -> None:
    """Do it."""
    address, port, key_file, known_hosts, logs, bags, packed = argv
    target = Target("host", address, int(port), "root", key_file=key_file, known_hosts=known_hosts)
    [step] = [step for step in steps.registered() if step.name == "logs"]
    step = replace(step, places=(logs,), run=step.run if packed == "host" else f"squeeze() {{ cat; }}\n{step.run}")
    key = Ed25519PrivateKey.generate()
    public = sshsig.public_key(key)
    signer = public.allowed_signer(bag.IDENTITY, bag.NAMESPACE)
    name = f"E{secrets.token_hex(4)}"
    info = bag.Info(name, "INC", "bench", "bench", "2026-11-20T08:00:00Z", "0", signer, public.fingerprint, "bench")
    with Bulk(lambda _: target, lambda secret: secret.value) as bulk:
        root, _ = reach(bulk, target.name, root=True)
        made = Writing.begin(Path(bags), info)
        done = Collecting(bulk, target.name, made, root, threading.Event(), lambda _what, _done, _total: None)
        lines = done.run([step])
    made.seal(lambda data: sshsig.sign(key, data, namespace=bag.NAMESPACE), lacking=ledger.lacking(lines))
    if any(line.state != "ok" for line in lines):
        raise SystemExit(f"not whole: {lines}")
    print(f"kept {lines[0].kept}")


if __name__ == "__main__":
    main(sys.argv[1:])
