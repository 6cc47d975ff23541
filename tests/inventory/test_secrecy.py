"""Secrets that stand in an inventory in clear: whatever they are called, wherever they stand, nobody is shown them."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from remedy.core.errors import InventoryError
from remedy.inventory import secrecy

from .conftest import Loader

MASK = secrecy.MASK


@pytest.mark.parametrize(
    "name",
    [
        *("ansible_password", "ansible_become_pass", "x_passwd", "api_key", "db_token", "remedy_secret_store"),
        *("secret_key", "access_key", "AWS_SECRET_ACCESS_KEY", "aws_access_key_id", "s3AccessKey", "private_key"),
        *(
            "PASSWORD",
            "db-password",
            "dbpassword",
            "password2",
            "password_hash",
            "mysql.root.password",
            "gpg_passphrase",
        ),
        *("credentials", "clientSecret", "encryption_key", "passwords", "psk"),
    ],
)
def test_names_of_secrets(name: str) -> None:
    """Names of passwords, tokens and keys are secret in every way of writing them."""
    assert secrecy.is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        *("ansible_ssh_private_key_file", "bypass", "compass_dir", "tokens_per_day", "ansible_user", "public_key"),
        *("primary_key", "authorized_keys", "passwordless", "vault_password_file", "key", "openssl", "secretary"),
    ],
)
def test_other_names(name: str) -> None:
    """Names that only sound like it are not."""
    assert not secrecy.is_secret(name)


def test_openssl_is_a_secret_below_keys_alone() -> None:
    """The passphrase of a backup is called as a package is elsewhere."""
    assert secrecy.is_secret("openssl", "keys")
    assert secrecy.is_secret("openssl", "backup_keys")
    assert not secrecy.is_secret("openssl", "packages")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://AKIA7:wJalr/XUtn@backups/db01", f"s3://{MASK}@backups/db01"),
        ("https://ops:hunter2@mirror/, http://b", f"https://{MASK}@mirror/, http://b"),
        ("https://ghp_0123456789abcdef@git.example/x", f"https://{MASK}@git.example/x"),
        ("mysql://u:p@ss@db/site", f"mysql://{MASK}@db/site"),
        ("host=db user=web password=hunter2", f"host=db user=web password={MASK}"),
        ("https://x/?a=1&token=abc&b=2", f"https://x/?a=1&token={MASK}&b=2"),
        ("ssh -o ProxyCommand='sshpass -p hunter2 ssh gate'", f"ssh -o ProxyCommand='sshpass -p {MASK} ssh gate'"),
        ("mysqldump -u root -phunter2 site", f"mysqldump -u root -p{MASK} site"),
        ("restic --secret-key hunter2 --verbose", f"restic --secret-key {MASK} --verbose"),
        ("curl -H 'Authorization: Bearer abcdefghijk'", f"curl -H 'Authorization: Bearer {MASK}'"),
        ("x -----BEGIN OPENSSH PRIVATE KEY-----\nab\n-----END OPENSSH PRIVATE KEY----- y", f"x {MASK} y"),
        ("AGE-SECRET-KEY-1QQQ", MASK),
    ],
)
def test_forms_of_secrets(text: str, shown: str) -> None:
    """Logins in URLs, passwords among options and settings, tokens and private keys are masked, the rest stays."""
    assert secrecy.masked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        *(
            "ssh://git@host/x",
            "https://deploy@git.example/x",
            "https://host:8080/path",
            "-o PasswordAuthentication=no -p 22",
            "ops@198.18.1.11",
        ),
        *("https://{{ user }}:{{ password }}@host/", "a password is needed", "mysql -p 3306x", "a=b c: d"),
    ],
)
def test_other_texts(text: str) -> None:
    """What shows no secret stays as it is; so does a template that only refers to one."""
    assert secrecy.masked(text) == text


INVENTORY = """
all:
  vars:
    ansible_password: SECRET
    mirror: "https://ops:SECRET@mirror.example/debian"
    usual_keys: {openssl: SECRET, gpg_passphrase: SECRET}
    spare: [{name: a, secret_key: SECRET, access_key: SECRET}, [[{db-password: SECRET}]]]
    motd: "the password is SECRET, tell nobody"
    SECRET: under this name
    remedy_databases:
      site:
        copies: [{name: off-site, bucket: b1, access_key: SECRET, secret_key: SECRET}]
        keys: {openssl: SECRET}
  hosts:
    web01: {note: SECRET}
"""


@pytest.mark.parametrize("secret", ["hunter2", "tr0ub4dor&3", "+Zm9v/YmE=", "密码四个", "p@ss:w/rd", "100000007"])
def test_a_secret_in_clear_is_nowhere(secret: str, inventory: Loader) -> None:
    """By name, at any depth, in a URL, by its value elsewhere: neither listing, findings, target nor error has it."""
    found = inventory({"h.yml": INVENTORY.replace("SECRET", secret).replace(f"    {secret}: under", "    x: under")})
    with pytest.raises(InventoryError) as caught:
        found.databases()
    texts = [json.dumps(found.listing(), ensure_ascii=False), str(found.check()), str(caught.value)]
    assert [text for text in texts if secret in text] == []
    shown = found.shown("web01")
    assert shown["spare"] == [{"name": "a", "secret_key": MASK, "access_key": MASK}, [[{"db-password": MASK}]]]
    assert shown["usual_keys"] == {"openssl": MASK, "gpg_passphrase": MASK}
    assert shown["mirror"] == f"https://{MASK}@mirror.example/debian"
    assert shown["note"] == MASK
    assert shown["motd"] == f"the password is {MASK}, tell nobody"
    kept = json.loads(found.target("web01").vars)
    assert kept["spare"] == [{"name": "a"}, [[{}]]]
    assert kept["mirror"] == f"https://{MASK}@mirror.example/debian"
    assert secret in str(found.raw())
    assert secret in found.in_clear()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("h.ini", "w ansible_password=my hunter2 there\n"),
        ("h.ini", "[web:vars]\nansible_password: hunter2\n[web]\n"),
        ("h.ini", "w ansible_ssh_common_args='-o ProxyCommand=\"sshpass -p hunter2 ssh gate\"'\n"),
        ("h.ini", "w ansible_port=https://u:hunter2@x\n"),
        ("h.yml", "all: {vars: {db_password: *hunter2}}\n"),
        ("h.yml", "all: {vars: {db_password: !hunter2 x}}\n"),
        ("h.yml", "all: {vars: {db_password: !!int hunter2}}\n"),
        ("h.yml", "all: {hosts: {w: {ansible_password: [hunter2]}}}\n"),
        ("h.yml", "all: {hosts: {w: {ansible_host: [hunter2], x_token: hunter2}}}\n"),
        ("h.yml", "all: {hosts: {w: {remedy_dns: hunter2, x_token: hunter2}}}\n"),
        ("h.yml", "all: {hosts: {w: {remedy_databases: {a: {copies: 's3://AKIA:hunter2@b1'}}}}}\n"),
        ("h.yml", "all: {hosts: {w: {remedy_databases: {a: {schema: mysql, timezone: hunter2}}, pass: hunter2}}}\n"),
        ("h.yml", "all: {hosts: {w: {ansible_password: \"{{ 'hunter2' + }}\"}}}\n"),
    ],
)
def test_no_error_shows_a_secret(name: str, text: str, inventory: Loader) -> None:
    """What is wrong near a secret, or with it, is said without it: while reading the file, and by the check."""
    said = ""
    try:
        found = inventory({name: text})
        said = str(found.check())
        found.policy("w"), found.databases(), found.target("w")
    except InventoryError as error:
        cause = error.__cause__ or error.__context__ if not error.__suppress_context__ else None
        said += f"{error} {error.where} {error.hint} {cause}"
    assert said
    assert "hunter2" not in said


def test_what_everybody_knows_is_not_looked_for(inventory: Loader) -> None:
    """A password that is a host's name, a variable's, or very short is masked where it stands, and nowhere else."""
    found = inventory({"h.ini": "web01 ansible_password=web0 a_pass=abc b_pass=3306 c_pass=2026 d=3306 pass_port=1\n"})
    assert found.in_clear() == frozenset()
    assert found.shown("web01") == {**dict.fromkeys(("ansible_password", "a_pass", "b_pass", "c_pass"), MASK)} | {
        "d": 3306,
        "pass_port": 1,
    }


TEXTS = st.text(min_size=1, max_size=12)


@given(st.sets(TEXTS, max_size=12), st.lists(TEXTS, max_size=4))
@example({"abcd", "abc", "b"}, ["", "abcd"])
def test_removing_leaves_none_of_them(secrets: set[str], between: list[str]) -> None:
    """Whatever the secrets are made of, in one pass each of them is out of a text, the longest first."""
    text = "\x00".join([*between, *secrets, *between])
    left = secrecy.remover(secrets)(text).replace(MASK, "\x01")
    assert [secret for secret in secrets if secret in left and "\x01" not in secret and "\x00" not in secret] == []


def test_long_hostile_texts_cost_little() -> None:
    """The cost of looking for forms is linear in the text, whatever is in it."""
    began = time.process_time()
    for part in (
        "mysql ",
        "a.b-",
        "x://a:b",
        "a",
        "a='b=\"",
        "password ",
        "a = ",
        "https://",
        "-----BEGIN A PRIVATE KEY-----",
    ):
        secrecy.masked(part * (100_000 // len(part)))
    assert time.process_time() - began < 10
