"""The lab's time stamp authority: RFC 3161 over HTTP, every answer made by `openssl ts -reply`.

    python authority.py FOLDER PORT

Makes a root and a signer's certificate in FOLDER when they are not there (`root.pem` is what to trust), then serves on
every address, both families. Prints `ready` when it does. POST a request to any path; GET answers with root.pem.
"""

from __future__ import annotations

import http.server
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

SETTINGS = """\
[req]
distinguished_name = name
prompt = no
[name]
CN = Lab time stamp root
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[signer]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = lab
[lab]
serial = FOLDER/serial
crypto_device = builtin
signer_cert = FOLDER/signer.pem
signer_key = FOLDER/signer.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""
LARGEST = 64 * 1024


def openssl(*words: str) -> None:
    """Run it. Raises subprocess.CalledProcessError."""
    subprocess.run(("openssl", *words), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def prepare(folder: Path) -> None:
    """Root, signer and settings, once."""
    if (folder / "signer.pem").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "authority.cnf"
    settings.write_text(SETTINGS.replace("FOLDER", str(folder)), encoding="ascii")
    new = ("-newkey", "rsa:2048", "-nodes", "-config", str(settings))
    root, key = str(folder / "root.pem"), str(folder / "root.key")
    openssl("req", "-x509", *new, "-keyout", key, "-out", root, "-days", "3650", "-extensions", "ca")
    request, signer = str(folder / "signer.csr"), str(folder / "signer.pem")
    openssl("req", *new, "-keyout", str(folder / "signer.key"), "-out", request, "-subj", "/CN=Lab time stamps")
    issue = ("-CA", root, "-CAkey", key, "-CAcreateserial", "-extfile", str(settings), "-extensions", "signer")
    openssl("x509", "-req", "-in", request, *issue, "-days", "3650", "-out", signer)
    (folder / "serial").write_text("01\n", encoding="ascii")


class Authority(http.server.BaseHTTPRequestHandler):
    """Answers requests for time stamps, one after another: the serial numbers lie in a file."""

    timeout = 10
    folder = Path()

    def do_GET(self) -> None:
        """The root certificate."""
        self.answer(200, "application/x-pem-file", (self.folder / "root.pem").read_bytes())

    def do_POST(self) -> None:
        """A token, or what openssl makes of what is no request."""
        query = self.rfile.read(min(int(self.headers.get("Content-Length", "0")), LARGEST))
        with tempfile.TemporaryDirectory() as place:
            asked, made = Path(place, "q"), Path(place, "r")
            asked.write_bytes(query)
            try:
                config = str(self.folder / "authority.cnf")
                openssl("ts", "-reply", "-config", config, "-queryfile", str(asked), "-out", str(made))
                self.answer(200, "application/timestamp-reply", made.read_bytes())
            except (subprocess.CalledProcessError, OSError):
                self.answer(500, "text/plain", b"no time stamp\n")

    def answer(self, status: int, kind: str, content: bytes) -> None:
        """Send it."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Server(http.server.HTTPServer):
    """Dual stack."""

    address_family = socket.AF_INET6


def main() -> None:
    """Prepare, then serve."""
    Authority.folder = Path(sys.argv[1]).absolute()
    prepare(Authority.folder)
    server = Server(("::", int(sys.argv[2])), Authority)
    sys.stdout.write(f"ready {server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
