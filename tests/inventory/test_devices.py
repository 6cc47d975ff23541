"""Network devices of the inventory: told from servers, typed, checked; wrong values name file, line and key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remedy.core.errors import InventoryError
from remedy.devices import Gate, registered
from remedy.inventory import Device, Inventory, SwitchPort, devices, load

Loader = Callable[..., Inventory]
EXAMPLE = Path(__file__).parents[2] / "inventories" / "example"
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "inventory.md"

DEVICES = """
all:
  children:
    switches:
      vars:
        ansible_connection: ansible.netcommon.network_cli
        ansible_become: true
        ansible_become_method: enable
      hosts:
        sw01:
          remedy_platform: h3c_comware
          remedy_encoding: GB18030
          remedy_quarantine_vlan: 999
          remedy_gates:
            - {acl: 3000, interface: GigabitEthernet1/0/1, direction: in}
            - {acl: remedy-edge, interface: "GigabitEthernet 0/1", direction: out, matches: destination}
        core01:
          ansible_network_os: cisco.ios.ios
          remedy_gates: [{acl: edge-in, interface: GigabitEthernet0/1}]
    web:
      hosts:
        web01:
          remedy_switch: {device: sw01, port: GigabitEthernet1/0/3}
        web02: {}
"""


def one(inventory: Loader, text: str, host: str = "sw01") -> Device | None:
    """The device of an inventory with a single host, its variables as given."""
    lines = "".join(f"      {line}\n" for line in text.splitlines())
    return inventory({"hosts.yml": f"all:\n  hosts:\n    {host}:\n{lines}"}).device(host)


def test_a_device_is_read(inventory: Loader) -> None:
    """Platform, gates, encoding and quarantine VLAN are what the variables say."""
    found = inventory({"hosts.yml": DEVICES})
    assert found.device("sw01") == Device(
        "sw01",
        registered()["h3c_comware"],
        gates=(
            Gate("3000", "GigabitEthernet1/0/1", "in"),
            Gate("remedy-edge", "GigabitEthernet 0/1", "out", matches="destination"),
        ),
        encoding="gb18030",
        quarantine_vlan=999,
    )
    assert [device.name for device in found.devices()] == ["sw01", "core01"]


def test_ansible_says_whose_a_device_is(inventory: Loader) -> None:
    """Without `remedy_platform`, `ansible_network_os` names the vendor; with it, remedy's own word counts."""
    found = inventory({"hosts.yml": DEVICES}).device("core01")
    assert found
    assert (found.vendor.name, found.encoding) == ("cisco_ios", "utf-8")
    both = one(inventory, "ansible_network_os: cisco.ios.ios\nremedy_platform: h3c_comware")
    assert both
    assert both.vendor.name == "h3c_comware"


def test_a_server_is_no_device(inventory: Loader) -> None:
    """A host over ssh is none, whatever `ansible_network_os` says; network_cli or a platform makes it one."""
    found = inventory({"hosts.yml": DEVICES})
    assert (found.device("web01"), found.is_device("web02")) == (None, False)
    assert one(inventory, "ansible_network_os: cisco.ios.ios") is None
    assert one(inventory, "remedy_platform: cisco_ios") is not None


def test_a_host_is_plugged_in(inventory: Loader) -> None:
    """`remedy_switch` names a device of the inventory and a port; without it nothing is said."""
    found = inventory({"hosts.yml": DEVICES})
    assert found.switch_port("web01") == SwitchPort("sw01", "GigabitEthernet1/0/3")
    assert found.switch_port("web02") is None


def test_values_may_be_templates(inventory: Loader) -> None:
    """Gates and platforms follow references to other variables, and errors name the place of those."""
    text = (
        'remedy_platform: "{{ whose }}"\nwhose: cisco_ios\nremedy_gates: "{{ usual }}"\nusual: [{acl: in, zone: a b}]'
    )
    with pytest.raises(InventoryError, match=r"hosts\.yml:7: remedy_gates\[0\]\.zone: expected the name of a zone"):
        one(inventory, text)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("remedy_platform: cisco", 4, "remedy_platform: no device platform is called 'cisco'"),
        ("remedy_platform: [a]", 4, "remedy_platform: expected the name of a platform"),
        ("ansible_connection: network_cli", 4, "nothing says of which platform"),
        ("ansible_connection: network_cli\nansible_network_os: eos", 5, "ansible_network_os: no device platform"),
        ("remedy_platform: cisco_ios\nremedy_gates: {acls: x}", 5, "there is no key 'acls' (did you mean acl?)"),
        ("remedy_platform: cisco_ios\nremedy_gates:\n- acl: ok\n- direction: inbound", 7, "expected 'in' or 'out'"),
        ("remedy_platform: cisco_ios\nremedy_gates: [{matches: both}]", 5, "'source' or 'destination'"),
        ("remedy_platform: cisco_ios\nremedy_gates: [{acl: true}]", 5, "the name or number of an access list"),
        ("remedy_platform: cisco_ios\nremedy_gates: [{acl: a}, {acl: a}]", 5, "gates that differ"),
        ("remedy_platform: cisco_ios\nremedy_gates: nowhere", 5, "expected a map"),
        ('remedy_platform: cisco_ios\nremedy_gates: [{interface: "x\\ny"}]', 5, "an interface as the device writes it"),
        ("remedy_platform: cisco_ios\nremedy_gates: [{acl: 'a ?'}]", 5, "it is typed at the device"),
        ("remedy_platform: cisco_ios\nremedy_encoding: utf-16", 5, "an encoding that has ASCII in it"),
        ("remedy_platform: cisco_ios\nremedy_encoding: base64", 5, "an encoding that has ASCII in it"),
        ("remedy_platform: cisco_ios\nremedy_encoding: klingon", 5, "an encoding that has ASCII in it"),
        ("remedy_platform: cisco_ios\nremedy_quarantine_vlan: 4095", 5, "a number from 1 to 4094"),
        ("remedy_platform: cisco_ios\nremedy_quarantine_vlan: blue", 5, "a whole number"),
    ],
)
def test_wrong_values_name_their_place(inventory: Loader, text: str, line: int, said: str) -> None:
    """A value of the wrong type is an error with file, line and key, and says what is expected."""
    with pytest.raises(InventoryError) as caught:
        one(inventory, text)
    assert caught.value.where.endswith(f"hosts.yml:{line}")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{device: sw01}", "expected a map with device and port"),
        ("{device: sw02, port: x}", "did you mean sw01?"),
        ("{device: web02, port: x}", "expected a network device"),
        ("{device: sw01, port: 'a; reboot'}", "the port as the device writes it"),
        ("{device: sw01, port: ''}", "the port as the device writes it"),
        ("{switch: sw01, port: x}", "there is no key 'switch'"),
    ],
)
def test_wrong_switch_ports_are_named(inventory: Loader, value: str, said: str) -> None:
    """A host is plugged into a port of a device of this inventory, or it is an error with its place."""
    text = DEVICES.replace("{device: sw01, port: GigabitEthernet1/0/3}", value)
    with pytest.raises(InventoryError) as caught:
        inventory({"hosts.yml": text}).switch_port("web01")
    assert caught.value.where.endswith(":23")
    assert said in str(caught.value)


def test_a_device_is_elevated_in_its_own_way(inventory: Loader) -> None:
    """On devices `enable` and `super` are ways to become, and what was set for servers does no harm; others are not."""
    found = inventory({"hosts.yml": DEVICES})
    assert found.target("sw01").become
    ini = "sw01 remedy_platform=cisco_ios ansible_become=yes ansible_become_user=postgres ansible_become_method={}\n"
    for method in ("enable", "super", "sudo", "ansible.netcommon.enable"):
        assert inventory({"hosts.ini": ini.format(method)}).target("sw01").become
    with pytest.raises(InventoryError, match="elevated with enable or super"):
        inventory({"hosts.ini": ini.format("runas")}).target("sw01")
    with pytest.raises(InventoryError, match="remedy becomes root, with sudo"):
        inventory({"hosts.ini": "web01 ansible_become=yes ansible_become_method=enable\n"}).target("web01")


def test_check_finds_what_a_device_lacks(inventory: Loader) -> None:
    """Nothing to do at a device, keys of devices on servers, ports shared, no VLAN to move to: each is said once."""
    text = DEVICES + (
        "        web03: {remedy_gates: [], remedy_quarantine_vlan: 5}\n"
        "        web04: {remedy_switch: {device: sw01, port: GigabitEthernet1/0/3}}\n"
        "        web05: {remedy_switch: {device: core01, port: GigabitEthernet0/2}}\n"
        "    bare: {hosts: {fw01: {remedy_platform: cisco_ios}, fw02: {ansible_connection: network_cli}}}\n"
    )
    said = [(f.severity, f.message) for f in inventory({"hosts.yml": text}).check()]
    for severity, part in [
        ("error", "fw02 is a network device, and nothing says of which platform"),
        ("warning", "device fw01 has neither gates nor a quarantine VLAN"),
        ("warning", "remedy_gates has no effect: web03 is no network device"),
        ("warning", "remedy_quarantine_vlan has no effect: web03 is no network device"),
        ("warning", "web04 has the switch port of web01"),
        ("info", "core01 has no quarantine VLAN: to isolate web05 there shuts GigabitEthernet0/2 down"),
    ]:
        assert len([1 for level, text in said if level == severity and part in text]) == 1, part
    assert not [text for _, text in said if "no known key" in text or "sw01 has" in text]


def test_the_example_has_devices() -> None:
    """The example inventory's devices are read, and nothing about them is to be found."""
    found = load(EXAMPLE, user="ops")
    names = {device.name for device in found.devices()}
    assert {"fw01", "core01", "sw01"} <= names
    assert found.switch_port("web01") is not None
    assert [f for f in found.check() if f.severity == "error"] == []
    assert [f for f in found.check() if any(name in f"{f.where} {f.message}" for name in names)] == []


def test_the_reference_names_every_key() -> None:
    """Every key of devices is in the inventory's reference."""
    _, _, section = REFERENCE.read_text().partition("## Network devices")
    section = section.partition("\n## ")[0]
    keys = [*devices.KEYS, *(key for keys in devices.KEYS.values() for key in keys)]
    assert [key for key in keys if f"`{key}`" not in section] == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 5000) | st.text(max_size=8) | st.sampled_from(["in", "out", "source"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*devices.KEYS[devices.GATES], "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gates=VALUES, vlan=VALUES, encoding=VALUES)
def test_whatever_is_written_is_read_or_refused(tmp_path: Path, gates: object, vlan: object, encoding: object) -> None:
    """Any value gives a device whose words can be typed on one line, or an error with its place; nothing else."""
    import yaml  # noqa: PLC0415 -- for this test alone

    host = {
        "remedy_platform": "cisco_ios",
        "remedy_gates": gates,
        "remedy_quarantine_vlan": vlan,
        "remedy_encoding": encoding,
    }
    file = tmp_path / "hosts.yml"
    file.write_text(yaml.safe_dump({"all": {"hosts": {"sw01": host}}}, allow_unicode=True))
    try:
        found = load(file, user="ops").device("sw01")
    except InventoryError as error:
        where, found = error.where, None
    if found is None:
        assert str(file) in where
        return
    words = [word for gate in found.gates for word in (gate.acl, gate.interface, gate.zone)]
    assert all(word.isprintable() and not set(word) & set("?;|<>\"'") for word in words)
    assert found.quarantine_vlan == 0 or 1 <= found.quarantine_vlan <= 4094
