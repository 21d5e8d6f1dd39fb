"""Fleet file text -> Fleet: the documented example, effective settings, names and node sets."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest

from collectors.fleet_model import (
    Cohort,
    Fleet,
    FleetHost,
    Follow,
    Gate,
    GateKind,
    Share,
    TakeKind,
    WantedUpdates,
    Window,
)
from collectors.host_names import Hop, HostSpec, HostTextInvalid, host_specs, parse_jump, split_port
from collectors.inventory import expand_hosts, parse_fleet

DOC = Path(__file__).parents[2] / "docs" / "fleet-file.md"
EXAMPLE = DOC.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]


def fleet(text: str) -> Fleet:
    return parse_fleet(text, file="prod.toml")


def host(text: str, name: str) -> FleetHost:
    return next(host for host in fleet(text).hosts if host.name == name)


def test_the_documented_example_is_read_whole() -> None:
    prod = fleet(EXAMPLE)
    assert (prod.name, prod.accent, prod.database, prod.connections) == ("prod", "#4fd0c3", "prod.db", 256)
    assert [group.name for group in prod.groups] == ["canary", "edge", "db"]
    assert len(prod.hosts) == 5 + 36 + 1
    edge = prod.hosts[0]
    assert edge.name == edge.address == edge.node == "edge-01.example.net"
    assert (edge.channel, edge.updates, edge.labels) == (
        "beta",
        WantedUpdates.MANAGED,
        {"zone": "a", "role": "edge"},
    )
    assert (edge.reboot_deadline_s, edge.confirm_deadline_s) == (1200, 300)
    assert (edge.ssh.user, edge.ssh.jump, edge.ssh.connect_timeout_s) == (
        "core",
        "ops@bastion.example.net",
        10,
    )
    six = next(host for host in prod.hosts if host.name == "2001:db8::7")
    assert (six.address, six.port, six.url_address) == ("2001:db8::7", 2222, "[2001:db8::7]")
    database = prod.hosts[-1]
    assert (database.name, database.address, database.node) == ("db-1", "10.0.3.11", "k8s-db-1")
    assert (database.groups, database.hold, database.ssh.jump) == (
        ("db",),
        "no reboots before the migration, ops-1432",
        "none",
    )
    assert (prod.sweep.interval_s, prod.sweep.stale_after_s, prod.sweep.keep_s) == (60, 900, 400 * 86400)
    assert prod.windows == {
        "night": Window("night", (1, 2, 3), time(2), length_s=3 * 3600, timezone="Europe/Berlin")
    }
    assert prod.health.units == ("containerd.service", "kubelet.service")
    assert prod.hooks.before_reboot == ("kubectl", "drain", "{node}", "--ignore-daemonsets")
    assert prod.fleetlock is not None
    assert prod.fleetlock.group == "workers"


def test_the_documented_rollout_is_read_whole() -> None:
    default = fleet(EXAMPLE).rollouts["default"]
    assert default.cohorts == (
        Cohort("canary", TakeKind.SELECTION, "@canary", None, soak_s=86400, tolerance=0),
        Cohort("wave-1", TakeKind.SHARE, None, Share(10, is_percent=True), soak_s=7200, tolerance=2),
        Cohort("rest", TakeKind.REST, None, None, soak_s=0, tolerance=2),
    )
    assert (str(default.budget), default.per_label, default.settle_s) == ("10%", {"zone": 1}, 600)
    assert (default.windows, default.follow) == (("night",), Follow("beta", 14))
    assert default.gates == (
        Gate(
            name="errors",
            kind=GateKind.PROMETHEUS,
            cohort="canary",
            url="http://prometheus.example.net:9090",
            query="sum(rate(errors[5m])) < 1",
            for_s=600,
        ),
    )


def test_a_fleet_of_one_line_has_the_documented_defaults() -> None:
    small = fleet('hosts = [{ name = "a" }]')
    assert (small.name, small.database, small.connections, small.accent) == ("prod", "prod.db", 256, None)
    (only,) = small.hosts
    assert (only.groups, only.labels, only.hold, only.channel) == ((), {}, None, None)
    assert (only.updates, only.port, only.address_given) == (WantedUpdates.AS_FOUND, 22, False)
    assert (only.reboot_deadline_s, only.confirm_deadline_s) == (1200, 300)
    assert (small.sweep.stale_after_s, small.feeds.url) == (900, "https://www.flatcar.org/releases-json")
    assert (small.fleetlock, small.rollouts, small.windows) == (None, {}, {})


def test_a_file_name_that_is_no_name_gives_a_plain_one() -> None:
    assert parse_fleet('hosts = [{ name = "a" }]', file="/etc/my fleet.toml").database == "fleet.db"


def test_a_host_entry_wins_over_groups_and_these_over_ssh() -> None:
    text = """
    ssh = { user = "top", port = 1, connect_timeout = "1s" }
    groups = [{ name = "g", hosts = ["a", "b"], user = "group", port = 2, channel = "beta" }]
    hosts = [{ name = "a", user = "own", channel = "lts-2024", labels = { x = "1" } }]
    """
    a, b = host(text, "a"), host(text, "b")
    assert (a.ssh.user, a.port, a.ssh.connect_timeout_s, a.channel) == ("own", 2, 1, "lts-2024")
    assert (b.ssh.user, b.port, b.channel, b.labels) == ("group", 2, "beta", {})
    assert a.labels == {"x": "1"}


def test_a_host_may_be_in_groups_that_agree_or_decide_for_itself() -> None:
    text = """
    [[groups]]
    name = "one"
    hosts = ["a", "b"]
    channel = "beta"
    labels = { zone = "1", rack = "x" }
    [[groups]]
    name = "two"
    hosts = ["c"]
    channel = "stable"
    labels = { zone = "2", rack = "x" }
    [[hosts]]
    name = "a"
    groups = ["two"]
    channel = "edge"
    labels = { zone = "3" }
    """
    a = host(text, "a")
    assert (a.groups, a.channel, a.labels) == (("one", "two"), "edge", {"zone": "3", "rack": "x"})
    assert fleet(text).groups[1].hosts == ("c", "a")


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("gw", HostSpec("gw")),
        ("gw:2222", HostSpec("gw", None, 2222)),
        ("[2001:db8::7]", HostSpec("2001:db8::7", "2001:db8::7")),
        ("[2001:db8::7]:23", HostSpec("2001:db8::7", "2001:db8::7", 23)),
    ],
)
def test_a_list_item_may_have_a_port(item: str, expected: HostSpec) -> None:
    assert host_specs(item) == [expected]


def test_a_port_beside_a_node_set_is_that_of_each_host() -> None:
    text = 'groups = [{ name = "g", hosts = ["n[1-2]:2200"], port = 5 }]'
    assert [(host.name, host.port, host.ssh.port) for host in fleet(text).hosts] == [
        ("n1", 2200, 2200),
        ("n2", 2200, 2200),
    ]


@pytest.mark.parametrize("address", ["[2001:db8::7]:2222", "10.0.0.1:2222", "gw.example.net:2222"])
def test_an_address_may_have_a_port(address: str) -> None:
    only = host(f'hosts = [{{ name = "a", address = "{address}" }}]', "a")
    assert only.port == 2222
    assert f"{only.url_address}:2222" == address
    assert only.address_given


def test_the_same_private_address_behind_another_jump_host_is_another_machine() -> None:
    text = """
    hosts = [
      { name = "a", address = "10.0.0.1", jump = "x" },
      { name = "b", address = "10.0.0.1", jump = "y" },
    ]
    """
    assert len(fleet(text).hosts) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", ["web"]),
        ("n[1-3]", ["n1", "n2", "n3"]),
        ("n[08-11].example.net", [f"n{number:02}.example.net" for number in range(8, 12)]),
        ("n[1-3,9]", ["n1", "n2", "n3", "n9"]),
        ("n[0-8/4]", ["n0", "n4", "n8"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
        ("n7[8-9]", ["n78", "n79"]),
        ("n[8-11]7", ["n87", "n97", "n107", "n117"]),
        ("10.0.0.[9-11]", ["10.0.0.9", "10.0.0.10", "10.0.0.11"]),
    ],
)
def test_node_sets_are_expanded(text: str, expected: list[str]) -> None:
    assert expand_hosts(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "@canary",
        "a,b",
        "a!b",
        "n[1-3]&n[2-5]",
        "n[1-3]^n2",
        "n*",
        "n?",
        "n[1-3",
        "n1-3]",
        "n[]",
        "n[3-1]",
        "n[01-5]",
        "n[1-5/0]",
        "n[a-c]",
        "n[[1-2]]",
        "-n[1-2]",
        "n[1-2] m",
        "n[0-99999999]",
        "n[0-999]m[0-999]",
        "n7[8-11]",
        "n7[8,9,10,11]",
        "n9999999999[0-10000]",
        "a[1-2]b7[8-11]",
        "",
        "%s[1-2]",
    ],
)
def test_what_is_no_node_set_is_refused(text: str) -> None:
    with pytest.raises(HostTextInvalid):
        expand_hosts(text)


@pytest.mark.parametrize(
    "text", ["a:b", "a:0", "a:65536", "[::1]", "[2001:db8::7", "[a]:1", "a b", "fe80::1%eth0"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(HostTextInvalid):
        split_port(text)


def test_jump_hosts_are_read_as_ssh_does() -> None:
    assert parse_jump("a, ops@b:2222,ssh://[2001:db8::1]:23/") == (
        Hop("a"),
        Hop("b", "ops", 2222),
        Hop("2001:db8::1", None, 23),
    )
    assert parse_jump("None") == ()


@pytest.mark.parametrize("text", ["", "a,", "@a", "-o@a", "a b", "a:x"])
def test_what_is_no_jump_host_is_refused(text: str) -> None:
    with pytest.raises(HostTextInvalid):
        parse_jump(text)


@pytest.mark.parametrize(
    ("share", "total", "expected"),
    [
        (Share(10, is_percent=True), 1000, 100),
        (Share(10, is_percent=True), 19, 1),
        (Share(10, is_percent=True), 5, 1),
        (Share(7, is_percent=False), 5, 7),
    ],
)
def test_a_share_is_rounded_down_and_at_least_one(share: Share, total: int, expected: int) -> None:
    assert share.of(total) == expected
