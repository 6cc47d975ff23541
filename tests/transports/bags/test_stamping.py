"""Tokens of a real authority: asked for over HTTP, verified before they are kept, and by openssl as well."""

from __future__ import annotations

import http.server
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from tests.worlds import bags
from tests.worlds.authorities import Authority

from remedy.core.errors import AnswerUnusable, ConnectFailed, UsageError
from remedy.evidence import bag
from remedy.transports.bags import stamping
from remedy.transports.bags.writing import Stamp, Token

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "hand-over-evidence.md"


@contextmanager
def answering(status: int, kind: str, body: bytes) -> Iterator[str]:
    """The URL of a server that says the same to everybody."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


def test_a_stamped_bag(tmp_path: Path, authority: Authority) -> None:
    """The token is kept, its time is now, the authority's root makes it a proof and the bag's own leaves a doubt."""
    stamp = stamping.asking(authority.url, authority.root)
    made = bags.make(tmp_path, stamp=stamp, authority=authority.url, authority_ca=authority.root)
    assert {bag.TOKEN, bag.AUTHORITY} <= set(made.paths())
    found = made.verify(roots=authority.root)
    assert found.proven, found.findings
    assert abs((datetime.now(UTC) - datetime.fromisoformat(found.stamped)).total_seconds()) < 60
    doubted = made.verify()
    assert [one.kind for one in doubted.findings] == ["unknown-authority"]
    assert doubted.ok
    done = subprocess.run(("sh", "VERIFY.txt"), cwd=made.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Verification: OK" in done.stdout + done.stderr
    assert "the time stamp says" in done.stdout


def test_every_bit_of_a_token_counts(tmp_path: Path, authority: Authority) -> None:
    """A flipped bit at any byte of token or root certificate is found, meaningless ones too; so is a removed token."""
    stamp = stamping.asking(authority.url, authority.root)
    made = bags.make(tmp_path, stamp=stamp, authority=authority.url, authority_ca=authority.root)
    for name in (bag.TOKEN, bag.AUTHORITY):
        path = made.folder / name
        with made.changed(name) as data:
            for at in range(len(data)):
                data[at] ^= 1 << at % 8
                path.write_bytes(data)
                assert ("changed", name) in {(one.kind, one.path) for one in made.verify(roots=authority.root).findings}
                data[at] ^= 1 << at % 8
    assert made.verify(roots=authority.root).proven
    (made.folder / bag.TOKEN).unlink()
    assert ("missing", bag.TOKEN) in {(one.kind, one.path) for one in made.verify(roots=authority.root).findings}


def short_lived(folder: Path, authority: Authority, seconds: int) -> Stamp:
    """Stamps as the authority does, with a signer's certificate that expires in so many seconds."""
    shutil.copytree(authority.root_file.parent, folder)
    settings = folder / "authority.cnf"
    settings.write_text(settings.read_text().replace(str(authority.root_file.parent), str(folder)))
    signer = x509.load_pem_x509_certificate((folder / "signer.pem").read_bytes())
    root = serialization.load_pem_private_key((folder / "root.key").read_bytes(), None)
    assert isinstance(root, RSAPrivateKey)
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(signer.issuer, signer.subject, signer.public_key(), 7)
    made = made.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(seconds=seconds))
    for one in signer.extensions:
        made = made.add_extension(one.value, one.critical)
    (folder / "signer.pem").write_bytes(made.sign(root, SHA256()).public_bytes(serialization.Encoding.PEM))

    def stamp(data: bytes) -> Token:
        (folder / "data").write_bytes(data)
        query, reply = ("openssl", "ts", "-query", "-data", "data"), ("openssl", "ts", "-reply", "-queryfile", "q")
        for argv in ((*query, "-sha256", "-cert", "-out", "q"), (*reply, "-config", settings, "-out", "r")):
            subprocess.run(argv, cwd=folder, check=True, capture_output=True)
        return Token((folder / "r").read_bytes(), "")

    return stamp


def test_a_token_outlives_its_signers_certificate(tmp_path: Path, authority: Authority) -> None:
    """When its certificate has expired, a token verifies by VERIFY.txt, how-to and remedy; a wrong one by none."""
    stamp = short_lived(tmp_path / "tsa", authority, 3)
    made = bags.make(tmp_path, stamp=stamp, authority=authority.url, authority_ca=authority.root)
    other = stamp(b"something else").der
    time.sleep(4)
    shutil.copy(authority.root_file, made.folder.parent / "root.pem")
    plain = "openssl ts -verify -data bag-info.txt -in bag-info.txt.tsr -CAfile ../root.pem"
    text = HOW_TO.read_text(encoding="utf-8").replace("tsa-root.pem", "../root.pem")
    [typed] = re.findall(r"^ +at=.*\n +openssl ts -verify .*$", text, re.MULTILINE)

    def said(script: str) -> int:
        return subprocess.run(("sh", "-ec", script), cwd=made.folder, capture_output=True, check=False).returncode

    assert said(plain)  # it has expired
    assert [said("sh VERIFY.txt"), said(typed)] == [0, 0]
    assert made.verify(roots=authority.root).proven
    (made.folder / bag.TOKEN).write_bytes(other)
    made.resign()
    assert said("sh VERIFY.txt")
    assert said(typed)
    assert not made.verify(roots=authority.root).ok


def test_a_token_of_another_bag(tmp_path: Path, authority: Authority) -> None:
    """A good token over something else, signed for with the right key, is found."""
    stamp = stamping.asking(authority.url, authority.root)
    made = bags.make(tmp_path, stamp=stamp, authority=authority.url, authority_ca=authority.root)
    (made.folder / bag.TOKEN).write_bytes(stamp(b"something else").der)
    made.resign()
    found = made.verify(roots=authority.root)
    assert [(one.kind, one.path) for one in found.of("damage")] == [("token", bag.TOKEN)]
    assert not found.stamped


def test_another_authority(tmp_path: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A token whose signer does not lead to the given root is refused, when it is asked for and when it is verified."""
    other = tmp_path_factory.mktemp("other")
    argv = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", other / "k", "-out", other / "c")
    subprocess.run((*argv, "-subj", "/CN=Another root", "-days", "30"), check=True, capture_output=True)
    root = (other / "c").read_text()
    with pytest.raises(AnswerUnusable, match="does not verify"):
        stamping.asking(authority.url, root)(b"data")
    made = bags.make(
        tmp_path, stamp=stamping.asking(authority.url, authority.root), authority=authority.url, authority_ca="x"
    )
    found = made.verify(roots=root)
    assert [(one.kind, one.path) for one in found.of("damage")] == [("token", bag.TOKEN)]


def test_altered_tokens(authority: Authority) -> None:
    """A token that is cut, prolonged, empty, or in which the certificate's purpose was altered is refused."""
    token = stamping.asking(authority.url, authority.root)(b"data").der
    assert stamping.checked(token, b"data", authority.root)
    for_time_stamps, for_servers = (bytes.fromhex(f"06082b060105050703{last}") for last in ("08", "01"))
    assert for_time_stamps in token
    for altered in (token[:-1], token + b"\0", b"", b"0", token.replace(for_time_stamps, for_servers)):
        with pytest.raises(AnswerUnusable):
            stamping.checked(altered, b"data", authority.root)
    with pytest.raises(AnswerUnusable):
        stamping.checked(token, b"Data", authority.root)


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (200, "text/html", b"<html>log in first</html>"),
        (302, "application/timestamp-reply", b""),
        (500, "application/timestamp-reply", b"x"),
        (200, "application/timestamp-reply", b"\x30\x03\x02\x01\x02"),
        (200, "application/timestamp-reply", b"x" * (stamping.LARGEST + 1)),
    ],
)
def test_answers_that_are_no_token(authority: Authority, status: int, kind: str, body: bytes) -> None:
    """A captive portal, a redirection, an error, a rejection and a flood are no token."""
    with answering(status, kind, body) as url, pytest.raises(AnswerUnusable):
        stamping.asking(url, authority.root, seconds=5)(b"data")


def test_an_old_token_for_a_new_question(authority: Authority) -> None:
    """A genuine token that was made for an earlier request over the same data is refused: its number is another."""
    token = stamping.asking(authority.url, authority.root)(b"data").der
    with answering(200, "application/timestamp-reply", token) as url, pytest.raises(AnswerUnusable, match="Nonce"):
        stamping.asking(url, authority.root, seconds=5)(b"data")


def test_an_answer_that_drips(authority: Authority) -> None:
    """An authority that sends a byte now and then, for ever, is given up when the time is over."""
    ended = threading.Event()

    class Drip(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.wfile.write(b"HTTP/1.0 200 OK\r\n")
            while not ended.wait(0.1):
                self.wfile.write(b"X-A: b\r\n")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Drip) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        began = time.monotonic()
        try:
            with pytest.raises(ConnectFailed, match="within 1 s"):
                stamping.asking(f"http://127.0.0.1:{server.server_address[1]}/", authority.root, seconds=1)(b"data")
            assert 0.9 < time.monotonic() - began < 5
        finally:
            ended.set()
            server.shutdown()
            thread.join()


def test_nobody_there(authority: Authority) -> None:
    """An authority that cannot be reached is said so; nonsense is a usage error."""
    with pytest.raises(ConnectFailed):
        stamping.asking("http://127.0.0.1:1/", authority.root, seconds=2)(b"data")
    for url in ("ftp://x/", "tsa", "http://"):
        with pytest.raises(UsageError):
            stamping.asking(url, authority.root)
    with pytest.raises(UsageError, match="no certificate"):
        stamping.asking(authority.url, "")
