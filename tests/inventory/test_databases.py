"""Databases: `remedy_databases`, typed; wrong values name file, line and key; secrets stay references."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remedy.backups.values import Copy, Database, Keys, Promises, Question, Unit
from remedy.core.canon import canonical, decode, encode
from remedy.core.errors import InventoryError, UnknownTarget
from remedy.core.values import Secret
from remedy.inventory import Inventory, databases, load

Loader = Callable[..., Inventory]
EXAMPLE = Path(__file__).parents[2] / "inventories" / "example"

FULL = """
remedy_databases:
  site:
    schema: site-数据
    timezone: Asia/Shanghai
    defaults_file: /root/.my.cnf
    staging: backup01
    copies:
      - {name: local, path: /var/backups/mariadb/, place: machine room}
      - {name: building-b, host: backup01, path: /srv/backups/db01, place: building B}
      - name: off-site
        endpoint: https://s3.example.net:9000/
        bucket: backups
        prefix: db01/
        region: cn-east-1
        versioned: true
        place: other city
        off_site: "yes"
        access_key: {env: BACKUP_KEY}
        secret_key: {file: secrets/s3}
    units: [{host: web01, name: php8.2-fpm}, "web01:cron"]
    questions: [{sql: SELECT COUNT(*) FROM notice, at_least: 5}, "SELECT MAX(id) FROM page;"]
    promises: {daily: "03:30", off_site_days: 7, copies: 3, places: 2}
    keys:
      gpg_home: keys/gnupg
      gpg_passphrase: {command: [pass, show, gpg]}
      openssl: {keyring: [remedy, backups]}
      openssl_options: [-aes-256-cbc, -pbkdf2, -iter, 100000, -md, sha512]
      age_identity: ~/age.txt
    binlogs: /var/lib/mysql
    keep_days: 14
"""


def with_one(text: str, host: str = "db01") -> dict[str, str]:
    """An inventory of three hosts, these variables for one of them."""
    return {"hosts": "db01\nweb01\nbackup01\n", f"host_vars/{host}.yml": text}


def test_all_keys(inventory: Loader, tmp_path: Path) -> None:
    """Every key reaches its field; local paths start at the inventory, secrets stay references."""
    root = tmp_path / "inv"
    assert inventory(with_one(FULL)).databases() == (
        Database(
            name="site",
            schema="site-数据",
            host="db01",
            copies=(
                Copy("local", place="machine room", host="db01", path="/var/backups/mariadb"),
                Copy("building-b", place="building B", host="backup01", path="/srv/backups/db01"),
                Copy(
                    "off-site",
                    place="other city",
                    off_site=True,
                    endpoint="https://s3.example.net:9000",
                    bucket="backups",
                    prefix="db01/",
                    region="cn-east-1",
                    versioned=True,
                    access_key=Secret("env:BACKUP_KEY"),
                    secret_key=Secret(f"file:{root}/secrets/s3"),
                ),
            ),
            timezone="Asia/Shanghai",
            defaults_file="/root/.my.cnf",
            staging="backup01",
            units=(Unit("web01", "php8.2-fpm"), Unit("web01", "cron")),
            questions=(Question("SELECT COUNT(*) FROM notice", 5), Question("SELECT MAX(id) FROM page;")),
            promises=Promises("03:30", 7, 3, 2),
            keys=Keys(
                gpg_home=f"{root}/keys/gnupg",
                gpg_passphrase=Secret('command:["pass", "show", "gpg"]'),
                openssl=Secret('keyring:["remedy", "backups"]'),
                openssl_options=("-aes-256-cbc", "-pbkdf2", "-iter", "100000", "-md", "sha512"),
                age_identity=str(tmp_path / "home" / "age.txt"),
            ),
            binlogs="/var/lib/mysql",
            keep_days=14,
        ),
    )


def test_defaults(inventory: Loader) -> None:
    """A database that only has a name has that schema, no copies and the plans' promises."""
    assert inventory(with_one("remedy_databases: {shop: {}}")).databases() == (Database("shop", "shop", "db01"),)
    assert inventory(with_one("remedy_databases:")).databases() == ()


def test_ini_spelling(inventory: Loader) -> None:
    """An INI inventory writes the map as a literal."""
    text = "db01 remedy_databases=\"{'shop': {'copies': [{'name': 'local', 'path': '/b'}], 'keep_days': '3'}}\"\n"
    (found,) = inventory({"h.ini": text}).databases()
    assert (found.copies, found.keep_days) == ((Copy("local", host="db01", path="/b"),), 3)


@pytest.mark.parametrize(
    ("text", "key", "line", "words"),
    [
        ("remedy_databases: [a]", "remedy_databases", 1, "a map"),
        ("remedy_databases: {a/b: {}}", "remedy_databases.a/b", 1, "a name of letters"),
        ("remedy_databases: {1: {}}", "remedy_databases", 1, "names as keys"),
        ("remedy_databases: {-a: {}}", "remedy_databases.-a", 1, "a name of letters"),
        ("remedy_databases: {a: b}", "remedy_databases.a", 1, "a map, got 'b'"),
        ("remedy_databases:\n  a:\n    shema: b", "remedy_databases.a", 3, "did you mean schema?"),
        ("remedy_databases:\n  a:\n    colour: b", "remedy_databases.a", 3, "known are: schema"),
        ("remedy_databases:\n  a:\n    schema: mysql", "remedy_databases.a.schema", 3, "a schema of the site's own"),
        ("remedy_databases:\n  a:\n    schema: " + "x" * 59, "remedy_databases.a.schema", 3, "at most 58 characters"),
        ("remedy_databases:\n  a:\n    schema: 'b '", "remedy_databases.a.schema", 3, "at most 58 characters"),
        ("remedy_databases:\n  a:\n    schema: 5", "remedy_databases.a.schema", 3, "put it in quotes"),
        ('remedy_databases:\n  a:\n    schema: "a\\eb"', "remedy_databases.a.schema", 3, "the name of a schema"),
        ("remedy_databases:\n  sys: {}", "remedy_databases.sys", 2, "a schema of the site's own"),
        ("remedy_databases:\n  a:\n    timezone: Shanghai", "remedy_databases.a.timezone", 3, "no time zone is called"),
        ("remedy_databases:\n  a:\n    timezone: ../x", "remedy_databases.a.timezone", 3, "no time zone is called"),
        ("remedy_databases:\n  a:\n    staging: backup1", "remedy_databases.a.staging", 3, "did you mean backup01?"),
        (
            "remedy_databases:\n  a:\n    defaults_file: my.cnf",
            "remedy_databases.a.defaults_file",
            3,
            "an absolute path",
        ),
        ("remedy_databases:\n  a:\n    binlogs: /var/../etc", "remedy_databases.a.binlogs", 3, "without '..'"),
        ("remedy_databases:\n  a:\n    binlogs: /", "remedy_databases.a.binlogs", 3, "an absolute path"),
        ("remedy_databases:\n  a:\n    keep_days: -1", "remedy_databases.a.keep_days", 3, "a whole number"),
        ("remedy_databases:\n  a:\n    keep_days: 1.5", "remedy_databases.a.keep_days", 3, "a whole number"),
        ("remedy_databases:\n  a:\n    keep_days: 99999", "remedy_databases.a.keep_days", 3, "from 0 to 36500"),
    ],
)
def test_wrong_values(text: str, key: str, line: int, words: str, inventory: Loader) -> None:
    """A wrong value is an error with key, file and line, and says what is expected."""
    with pytest.raises(InventoryError) as caught:
        inventory(with_one(text)).databases()
    assert caught.value.message.startswith(f"{key}:") or caught.value.message.startswith(key)
    assert caught.value.where.endswith(f"host_vars/db01.yml:{line}")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("copy", "words"),
    [
        ("{path: /b}", "has no name"),
        ("{name: a b, path: /b}", "a name of letters"),
        ("{name: '', path: /b}", "a name of letters"),
        ("{name: x}", "neither a folder nor a bucket"),
        ("{name: x, path: /b, bucket: c}", "neither a folder nor a bucket"),
        ("{name: x, path: /b, versioned: true}", "neither a folder nor a bucket"),
        ("{name: x, host: web01, bucket: c1}", "neither a folder nor a bucket"),
        ("{name: x, path: b}", "an absolute path"),
        ("{name: x, host: web1, path: /b}", "did you mean web01?"),
        ("{name: x, bucket: -c}", "the name of a bucket"),
        ("{name: x, bucket: c1, prefix: /p}", "a prefix without"),
        ("{name: x, bucket: c1, prefix: a/../b}", "a prefix without"),
        ("{name: x, bucket: c1, endpoint: s3.example.net}", "a URL such as"),
        ("{name: x, bucket: c1, endpoint: 'ftp://s3.example.net'}", "a URL such as"),
        ("{name: x, bucket: c1, endpoint: 'https://s3/path'}", "a URL such as"),
        ("{name: x, bucket: c1, endpoint: 'https://s3:x'}", "a URL such as"),
        ("{name: x, bucket: c1, access_key: {env: K}}", "one key of two"),
        ("{name: x, path: /b, off_site: perhaps}", "true or false"),
        ("{name: x, path: /b, plase: here}", "did you mean place?"),
        ("{name: local, path: /b}", "two copies are called 'local'"),
    ],
)
def test_wrong_copies(copy: str, words: str, inventory: Loader) -> None:
    """What is neither a folder nor a bucket, or says too little or too much, is refused at its own line."""
    text = f"remedy_databases:\n  a:\n    copies:\n      - {{name: local, path: /a}}\n      - {copy}\n"
    with pytest.raises(InventoryError, match=r"remedy_databases\.a\.copies\[1\]") as caught:
        inventory(with_one(text)).databases()
    assert words in str(caught.value)
    assert caught.value.where.endswith("db01.yml:5")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("units", "[web01]", "{host: HOST, name: UNIT}, or HOST:UNIT"),
        ("units", "['web1:cron']", "did you mean web01?"),
        ("units", "['web01:--now']", "the name of a service"),
        ("units", "[{host: web01}]", "a map with host and name"),
        ("units", "[{host: web01, name: 'a b'}]", "the name of a service"),
        ("questions", "['DELETE FROM a']", "one SELECT"),
        ("questions", "['SELECT 1; DROP TABLE a']", "one SELECT"),
        ("questions", "[{at_least: 1}]", "a map with sql"),
        ("questions", "[{sql: SELECT 1, at_least: -1}]", "a whole number"),
        ("promises", "{daily: 02:00}", None),
        ("promises", "{daily: 12:30}", 'write "02:00", in quotes'),
        ("promises", "{daily: '24:00'}", "a time HH:MM"),
        ("promises", "{copies: 0}", "from 1 to 3660"),
        ("promises", "{weekly: 1}", "there is no key 'weekly'"),
        ("keys", "hunter2", "expected a map, got a value"),
        ("keys", "{openssl_options: -aes-256-cbc -pbkdf2}", None),
        ("keys", "{openssl_options: [-aes-256-ctr, -md, sha256, -a, -nosalt]}", None),
        ("keys", "{openssl_options: [-pbkdf2]}", "exactly one cipher"),
        ("keys", "{openssl_options: [-aes-256-cbc, -aes-128-cbc]}", "exactly one cipher"),
        ("keys", "{openssl_options: [-des3]}", "-aes-256-cbc or alike"),
        ("keys", "{openssl_options: [-aes-256-cbc, -out, /etc/passwd]}", "-aes-256-cbc or alike"),
        ("keys", "{openssl_options: [-aes-256-cbc, -iter, 0]}", "a value after -iter"),
        ("keys", "{openssl_options: [-aes-256-cbc, -iter]}", "a value after -iter"),
        ("keys", "{openssl_options: [-aes-256-cbc, -md, '-in']}", None),
        ("keys", "{openssl_options: [-aes-256-cbc, -engine, x]}", "-aes-256-cbc or alike"),
    ],
)
def test_wrong_parts(key: str, value: str, words: str | None, inventory: Loader) -> None:
    """Units, questions, promises and keys are read strictly."""
    found = inventory(with_one(f"remedy_databases:\n  a:\n    {key}: {value}\n"))
    if words is None:
        assert found.databases()
        return
    with pytest.raises(InventoryError, match=rf"remedy_databases\.a\.{key}") as caught:
        found.databases()
    assert words in str(caught.value)
    assert caught.value.where.endswith("db01.yml:3")


@pytest.mark.parametrize(
    "text",
    [
        "keys: {openssl: hunter2}",
        "keys: {gpg_passphrase: hunter2}",
        "keys: {openssl: '{{ other }}'}",
        "keys: {openssl: {env: hunter2, file: x}}",
        "copies: [{name: x, bucket: b1, access_key: {env: K}, secret_key: hunter2}]",
        "copies: [{name: x, bucket: b1, endpoint: 'https://me:hunter2@s3'}]",
        "keys: hunter2",
        "keys: [hunter2]",
    ],
)
def test_secrets_in_clear_are_refused(text: str, inventory: Loader) -> None:
    """A secret that stands in the inventory is refused, and no message shows it."""
    found = inventory(with_one(f"other: hunter2\nremedy_databases:\n  a:\n    {text}\n"))
    with pytest.raises(InventoryError) as caught:
        found.databases()
    assert "hunter2" not in str(caught.value)
    assert not any(
        "hunter2" in f"{one.message} {one.hint}" for one in found.check() if "remedy_databases" in one.message
    )


def test_secrets_of_other_forms(inventory: Loader) -> None:
    """Ansible's lookups, vaulted values and references to other variables stay references too."""
    text = """
s3_key: !vault |
  $ANSIBLE_VAULT;1.1;AES256
  6162
gpg: {env: GPG}
remedy_databases:
  a:
    copies: [{name: x, bucket: b1, access_key: "{{ lookup('env', 'KEY') }}", secret_key: "{{ s3_key }}"}]
    keys: {gpg_passphrase: "{{ gpg }}"}
"""
    (found,) = inventory(with_one(text), environ={"KEY": "hunter2", "GPG": "hunter2"}).databases()
    key, secret = found.copies[0].access_key, found.copies[0].secret_key
    assert key == Secret("env:KEY")
    assert secret
    assert secret.reference.startswith("vault:remedy_databases.a.copies[0].secret_key at ")
    assert found.keys.gpg_passphrase == Secret("env:GPG")
    stored = canonical(encode(found))
    assert b"hunter2" not in stored
    assert decode(Database, encode(found)) == found


def test_references_to_other_variables(inventory: Loader) -> None:
    """Parts may be those of another variable; what is wrong there is said where it stands."""
    shared = "usual: [{name: local, path: '/b/{{ inventory_hostname }}'}]\n"
    text = 'zone: UTC\nremedy_databases:\n  a: {copies: "{{ usual }}", timezone: "{{ zone }}"}\n'
    (found,) = inventory({**with_one(text), "group_vars/all.yml": shared}).databases()
    assert found.copies == (Copy("local", host="db01", path="/b/db01"),)
    wrong = inventory({**with_one(text), "group_vars/all.yml": "x: 1\n" + shared.replace("path", "paht")})
    with pytest.raises(InventoryError, match="did you mean path") as caught:
        wrong.databases()
    assert caught.value.where.endswith("group_vars/all.yml:2")
    circle = inventory(with_one('a: "{{ b }}"\nb: "{{ a }}"\nremedy_databases: "{{ a }}"\n'))
    with pytest.raises(InventoryError, match="refers to itself"):
        circle.databases()


TWO = {
    "hosts": "[db]\ndb01\ndb02\n",
    "group_vars/db.yml": "remedy_databases: {site: {}}\n",
    "host_vars/db02.yml": "remedy_databases: {site: {}, shop: {schema: boutique}}\n",
}


def test_names(inventory: Loader) -> None:
    """A name that two hosts use is told apart by the host; each can be asked for both ways where that is clear."""
    found = inventory(TWO)
    assert [one.name for one in found.databases()] == ["db01/site", "db02/site", "shop"]
    assert found.database("db01/site").host == "db01"
    assert found.database("shop") == found.database("db02/shop") == Database("shop", "boutique", "db02")
    for name in ("site", "sites", "db01/shop"):
        with pytest.raises(UnknownTarget, match=f"there is no database '{name}'") as caught:
            found.database(name)
        assert caught.value.hint == "there is db01/site, db02/site, shop"
    with pytest.raises(UnknownTarget, match="remedy_databases is not set"):
        inventory({"hosts": "w\n"}).database("x")


def test_another_databases_mistake_is_no_obstacle(inventory: Loader) -> None:
    """In an emergency what is wrong with another database does not matter; what is wrong with this one does."""
    files = {**TWO, "host_vars/db02.yml": "remedy_databases: {good: {}, bad: {shema: x}}\n", "group_vars/db.yml": ""}
    found = inventory({**files, "host_vars/db01.yml": "remedy_databases: [nonsense]\n"})
    assert found.database("good").host == "db02"
    for name in ("bad", "unknown"):
        with pytest.raises(InventoryError):
            found.database(name)
    with pytest.raises(InventoryError):
        found.databases()


@pytest.mark.parametrize(
    ("text", "severity", "words"),
    [
        ("{shema: x}", "error", "there is no key 'shema'"),
        ("{}", "warning", "has no copies"),
        ("{copies: [{name: a, path: /b}]}", "warning", "has 1 of the 2 copies promised"),
        ("{copies: [{name: a, path: /b, place: x}, {name: c, path: /d}]}", "warning", "in 1 of the 2 places promised"),
        ("{copies: [{name: a, path: /b}]}", "warning", "no copy off site"),
        ("{copies: [{name: a, bucket: b1, endpoint: 'http://s3.example.net'}]}", "warning", "without TLS"),
    ],
)
def test_findings(text: str, severity: str, words: str, inventory: Loader) -> None:
    """Check says at the line of each database what is wrong with it or will be missed."""
    found = inventory(with_one(f"remedy_databases:\n  a: {text}\n")).check()
    assert any(one.severity == severity and words in one.message and one.where.endswith("db01.yml:2") for one in found)


def test_a_good_database_has_no_findings(inventory: Loader) -> None:
    """Copies as the plans promise them, reached safely, raise nothing; nor does the key itself."""
    found = inventory(with_one(FULL)).check()
    assert not [one for one in found if "database" in one.message]
    near = inventory(with_one("remedy_database: {}\n")).check()
    assert any("did you mean remedy_databases?" in one.hint for one in near)


def test_the_example_is_right() -> None:
    """The example inventory's database can be read and raises nothing."""
    found = load(EXAMPLE, user="ops")
    (site,) = found.databases()
    assert {copy.off_site for copy in site.copies} == {False, True}
    assert not list(databases.risks(site, ""))


def test_every_key_is_documented() -> None:
    """The reference names every key below remedy_databases."""
    text = (Path(__file__).parents[2] / "docs" / "reference" / "inventory.md").read_text()
    section = text.partition("## Databases")[2].partition("\n## ")[0]
    missing = [key for keys in databases.KEYS.values() for key in keys if f"`{key}`" not in section]
    assert missing == []
    assert f"`{databases.KEY}`" in section


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


ENTRIES = st.dictionaries(
    st.sampled_from([key for keys in databases.KEYS.values() for key in keys]), VALUES, max_size=4
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entry=ENTRIES)
def test_nonsense_is_an_error_of_the_inventory(entry: dict[str, object], tmp_path: Path) -> None:
    """Whatever stands there, reading ends with a database or with an InventoryError that has a place."""
    path = tmp_path / "h.json"
    path.write_text(json.dumps({"all": {"hosts": {"db01": {"remedy_databases": {"a": entry}}}}}), encoding="utf-8")
    found = load(path, user="x")
    try:
        names = [one.name for one in found.databases()]
    except InventoryError as error:
        names = ["a"] if str(path) in error.where else []
    assert names == ["a"]
