"""Fleet files that are wrong: each mistake names its key path, and all of a file come at once."""

from __future__ import annotations

import pytest

from collectors.errors import ConfigError
from collectors.fleet_keys import KNOWN_KEYS
from collectors.inventory import FleetFileInvalid, channel_problem, parse_fleet

ONE = '[[groups]]\nname = "g"\nhosts = ["a", "b"]\nlabels = { zone = "x" }\n'
WINDOW = '[windows.night]\nstart = "02:00"\nlength = "3h"\ntimezone = "UTC"\n'
COHORT = 'cohorts = [{ name = "c", hosts = "rest" }]\n'


def mistakes(text: str) -> dict[str, str]:
    with pytest.raises(FleetFileInvalid) as caught:
        parse_fleet(text, file="f.toml")
    return {mistake.place: mistake.message for mistake in caught.value.mistakes}


def rollout(text: str) -> str:
    return f"{ONE}[rollouts.default]\n{text}"


def gate(text: str) -> str:
    return rollout(f'{COHORT}gates = [{{ name = "g", {text} }}]')


WRONG = [
    # Names and words
    (f'nmae = "x"\n{ONE}', "nmae", 'did you mean "name"'),
    (f'name = "a b"\n{ONE}', "name", "is not a name"),
    (f"name = 5\n{ONE}", "name", "not a text"),
    (f'name = ""\n{ONE}', "name", "one line of text"),
    (f'accent = "blue"\n{ONE}', "accent", "colour"),
    (f'database = "a\\u0000b"\n{ONE}', "database", "control characters"),
    ("", "groups", "names no host"),
    ("groups = []", "groups", "names no host"),
    ("groups = 5", "groups", "not an array"),
    ('groups = ["a"]', "groups[0]", "not a table"),
    # Groups
    (f'{ONE}chanel = "beta"', "groups[0].chanel", 'did you mean "channel"'),
    (f'{ONE}channel = "bata"', "groups[0].channel", 'did you mean "beta"'),
    (f'{ONE}channel = "a b"', "groups[0].channel", "not a channel"),
    (f'{ONE}updates = "manged"', "groups[0].updates", 'did you mean "managed"'),
    (f'{ONE}reboot_deadline = "20"', "groups[0].reboot_deadline", "not a duration"),
    (f"{ONE}reboot_deadline = 20", "groups[0].reboot_deadline", "not a duration"),
    (f'{ONE}reboot_deadline = "-5m"', "groups[0].reboot_deadline", "not a duration"),
    (f'{ONE}confirm_deadline = "0s"', "groups[0].confirm_deadline", "longer than 0"),
    (f'{ONE}confirm_deadline = "999d"', "groups[0].confirm_deadline", "too long"),
    ('[[groups]]\nhosts = ["a"]', "groups[0].name", "missing"),
    ('[[groups]]\nname = "g"', "groups[0].hosts", "no hosts"),
    ('[[groups]]\nname = "g"\nhosts = []', "groups[0].hosts", "no hosts"),
    ('[[groups]]\nname = "g"\nhosts = "a"', "groups[0].hosts", "not a list"),
    ('[[groups]]\nname = "g"\nhosts = ["a", 5]', "groups[0].hosts[1]", "not a line of text"),
    ('[[groups]]\nname = "g"\nhosts = ["a", "@b"]', "groups[0].hosts[1]", "@ has no place"),
    ('[[groups]]\nname = "g"\nhosts = ["n[5-1]"]', "groups[0].hosts[0]", "goes up"),
    ('[[groups]]\nname = "g"\nhosts = ["n[0-99999999]"]', "groups[0].hosts[0]", "more than 100000"),
    ('[[groups]]\nname = "g"\nhosts = ["a:0"]', "groups[0].hosts[0]", "from 1 to 65535"),
    ('[[groups]]\nname = "g"\nhosts = ["a", "b", "a"]', "groups[0].hosts[2]", "duplicate host"),
    ('[[groups]]\nname = "g"\nhosts = ["a:[1-2]"]', "groups[0].hosts[0]", "two [[hosts]] entries"),
    (
        '[[groups]]\nname = "g"\nhosts = ["n[1-60000]", "m[1-60000]"]',
        "groups[0].hosts[1]",
        "more than 100000 hosts in all",
    ),
    (f'{ONE}[[groups]]\nname = "g"\nhosts = ["c"]', "groups[1].name", "duplicate group"),
    (f'{ONE}[[groups]]\nname = "h"\nhosts = ["A"]', "groups[1].hosts[0]", "duplicate address"),
    (f'channel = "beta"\n{ONE}', "channel", "unknown key"),
    (
        f'{ONE}channel = "beta"\n[[groups]]\nname = "h"\nhosts = ["a"]\nchannel = "stable"',
        "groups[1].channel",
        'is in "g" too',
    ),
    (
        f'{ONE}[[groups]]\nname = "h"\nhosts = ["b"]\nlabels = {{ zone = "y" }}',
        "groups[1].labels.zone",
        'host "b" is in "g" too',
    ),
    (
        f'{ONE}[[groups]]\nname = "h"\nhosts = ["b"]\nconnect_timeout = "5s"\n'
        '[[groups]]\nname = "i"\nhosts = ["b"]\nconnect_timeout = "6s"',
        "groups[2].connect_timeout",
        'is in "h" too',
    ),
    (
        '[[groups]]\nname = "g"\nhosts = ["a:5"]\n[[groups]]\nname = "h"\nhosts = ["a:6"]',
        "groups[1].hosts[0]",
        "has port 5",
    ),
    ('[[groups]]\nname = "g"\nhosts = ["a"]\nlabels = { zone = 5 }', "groups[0].labels.zone", "not a text"),
    ('[[groups]]\nname = "g"\nhosts = ["a"]\nlabels = "x"', "groups[0].labels", "not a table"),
    ('[[groups]]\nname = "g"\nhosts = ["a"]\nlabels = { "a b" = "x" }', "groups[0].labels", "not a name"),
    # Hosts
    ('[[hosts]]\naddress = "a"', "hosts[0].name", "missing"),
    ('[[hosts]]\nname = "-a"', "hosts[0].name", "not a name"),
    ('[[hosts]]\nname = "a:b"', "hosts[0].name", "no address"),
    ('[[hosts]]\nname = "a:22"', "hosts[0].name", "has a port"),
    ('[[hosts]]\nname = "a:b:c"', "hosts[0].name", "not an IPv6 address"),
    ('[[hosts]]\nname = "a"\naddress = "::1"', "hosts[0].address", "0::"),
    ('[[hosts]]\nname = "a"\naddress = "b:5"\nport = 6', "hosts[0].port", "the address says 5"),
    ('[[hosts]]\nname = "a"\ngroups = ["ed"]', "hosts[0].groups[0]", 'unknown group "ed"'),
    (
        f'{ONE}[[groups]]\nname = "edge"\nhosts = ["e"]\n[[hosts]]\nname = "a"\ngroups = ["eddge"]',
        "hosts[0].groups[0]",
        'did you mean "edge"',
    ),
    ('[[hosts]]\nname = "a"\nhold = true', "hosts[0].hold", "not a text"),
    ('[[hosts]]\nname = "a"\nnode = "a b"', "hosts[0].node", "not a name"),
    ('[[hosts]]\nname = "a"\n[[hosts]]\nname = "a"', "hosts[1].name", "duplicate host"),
    (
        '[[hosts]]\nname = "a"\naddress = "10.0.0.1"\n[[hosts]]\nname = "b"\naddress = "10.0.0.1"',
        "hosts[1].address",
        "duplicate address",
    ),
    (
        '[[hosts]]\nname = "a"\naddress = "2001:db8::1"\n[[hosts]]\nname = "b"\naddress = "[2001:DB8:0::1]"',
        "hosts[1].address",
        "duplicate address",
    ),
    # ssh
    (f'{ONE}[ssh]\nuser = "-oX"', "ssh.user", "not a login name"),
    (f"{ONE}[ssh]\nport = 0", "ssh.port", "from 1 to 65535"),
    (f"{ONE}[ssh]\nport = true", "ssh.port", "from 1 to 65535"),
    (f"{ONE}[ssh]\nport = 22.0", "ssh.port", "from 1 to 65535"),
    (f'{ONE}[ssh]\nidentities = "~/.ssh/id"', "ssh.identities", "not a list"),
    (f"{ONE}[ssh]\nknown_hosts = 5", "ssh.known_hosts", "not a list"),
    (f"{ONE}[ssh]\nagent = 5", "ssh.agent", "not a text"),
    (f'{ONE}[ssh]\njump = "a b"', "ssh.jump", "not a host name"),
    (f"{ONE}[ssh]\nconnections = 0", "ssh.connections", "from 1 to 10000"),
    (f"{ONE}connections = 5", "groups[0].connections", "unknown key"),
    (f"ssh = 5\n{ONE}", "ssh", "not a table"),
    # The rest
    (f'{ONE}[sweep]\ninterval = "1x"', "sweep.interval", "not a duration"),
    (f'{ONE}[sweep]\ninterval = "1h"', "sweep.stale_after", "longer than interval"),
    (f'{ONE}[windows.n]\nstart = "02:00"\nlength = "3h"', "windows.n.timezone", "missing"),
    (f'{ONE}{WINDOW}days = ["Tus"]', "windows.night.days[0]", 'did you mean "Tue"'),
    (f"{ONE}{WINDOW}days = []", "windows.night.days", "names no day"),
    (f'{ONE}{WINDOW}days = ["Mon", "Mon"]', "windows.night.days", "twice"),
    (ONE + WINDOW.replace("02:00", "24:00"), "windows.night.start", "time of day"),
    (ONE + WINDOW.replace("02:00", "2:00"), "windows.night.start", "time of day"),
    (ONE + WINDOW.replace("3h", "25h"), "windows.night.length", "too long"),
    (ONE + WINDOW.replace("UTC", "Europe/Berlyn"), "windows.night.timezone", 'did you mean "Europe/Berlin"'),
    (ONE + WINDOW.replace("UTC", "Europe"), "windows.night.timezone", "unknown time zone"),
    (ONE + WINDOW.replace("UTC", "../../etc/passwd"), "windows.night.timezone", "unknown time zone"),
    (f'{ONE}[health]\nunits = ["kubelet"]', "health.units[0]", "systemd unit"),
    (f'{ONE}[health]\nhttp = ["ftp://x"]', "health.http[0]", "http://"),
    (f'{ONE}[health]\nhttp = ["http://{{adress}}/"]', "health.http[0]", 'did you mean "address"'),
    (f'{ONE}[hooks]\nbefore_reboot = ["drain", "{{nod}}"]', "hooks.before_reboot[1]", 'did you mean "node"'),
    (f'{ONE}[hooks]\nbefore_reboot = ["{{host}}"]', "hooks.before_reboot[0]", "written out"),
    (f"{ONE}[hooks]\nafter_reboot = []", "hooks.after_reboot", "name a program"),
    (f'{ONE}[hooks]\nafter_reboot = "reboot {{host}}"', "hooks.after_reboot", "not a list"),
    (f"{ONE}[fleetlock]", "fleetlock.url", "missing"),
    (f'{ONE}[fleetlock]\nurl = "http://x"\ngroup = "a_b"', "fleetlock.group", "FleetLock group"),
    (f'{ONE}[feeds]\nurl = "www.flatcar.org"', "feeds.url", "http://"),
    (f'{ONE}[feeds]\nurl = "http://x:y/"', "feeds.url", "http://"),
    (f'{ONE}[feeds]\noffline = "yes"', "feeds.offline", "neither true nor false"),
    # Rollouts
    (rollout(""), "rollouts.default.cohorts", "at least one"),
    (rollout('cohorts = [{ name = "c" }]'), "rollouts.default.cohorts[0].hosts", "missing"),
    (rollout('cohorts = [{ hosts = "rest" }]'), "rollouts.default.cohorts[0].name", "missing"),
    (
        rollout('cohorts = [{ name = "c", hosts = "@canary" }]'),
        "rollouts.default.cohorts[0].hosts",
        'unknown group "canary"',
    ),
    (
        rollout('cohorts = [{ name = "c", hosts = "group:h and state:current" }]'),
        "rollouts.default.cohorts[0].hosts",
        'unknown group "h"',
    ),
    (
        rollout('cohorts = [{ name = "c", hosts = "(a or x[1-2])" }]'),
        "rollouts.default.cohorts[0].hosts",
        'unknown host "x1"',
    ),
    (rollout('cohorts = [{ name = "c", hosts = "~a" }]'), "rollouts.default.cohorts[0].hosts", "no patterns"),
    (rollout('cohorts = [{ name = "c", hosts = "a,b" }]'), "rollouts.default.cohorts[0].hosts", "no place"),
    (rollout('cohorts = [{ name = "c", hosts = 0 }]'), "rollouts.default.cohorts[0].hosts", "at least 1"),
    (rollout('cohorts = [{ name = "c", hosts = "101%" }]'), "rollouts.default.cohorts[0].hosts", "100%"),
    (
        rollout('cohorts = [{ name = "c", hosts = "rest" }, { name = "d", hosts = 1 }]'),
        "rollouts.default.cohorts[0].hosts",
        "nothing for the cohorts after",
    ),
    (
        rollout('cohorts = [{ name = "c", hosts = 1 }, { name = "c", hosts = "rest" }]'),
        "rollouts.default.cohorts[1].name",
        "duplicate cohort",
    ),
    (
        rollout('cohorts = [{ name = "c", hosts = "rest", soak = "1 h" }]'),
        "rollouts.default.cohorts[0].soak",
        "not a duration",
    ),
    (rollout(f'{COHORT}budget = "ten"'), "rollouts.default.budget", "percentage"),
    (rollout(f"{COHORT}budget = 0"), "rollouts.default.budget", "at least 1"),
    (rollout(f"{COHORT}budget = -1"), "rollouts.default.budget", "percentage"),
    (rollout(f"{COHORT}tolerance = -1"), "rollouts.default.tolerance", "from 0"),
    (
        rollout(f"{COHORT}per_label = {{ zoen = 1 }}"),
        "rollouts.default.per_label.zoen",
        'did you mean "zone"',
    ),
    (rollout(f"{COHORT}per_label = {{ zone = 0 }}"), "rollouts.default.per_label.zone", "at least 1"),
    (rollout(f'{COHORT}windows = ["nite"]\n{WINDOW}'), "rollouts.default.windows[0]", 'did you mean "night"'),
    (rollout(f'{COHORT}on_halt = "rollback"'), "rollouts.default.on_halt", 'did you mean "roll-back"'),
    (rollout(f'{COHORT}self_update = "accept"'), "rollouts.default.self_update_reason", "missing"),
    (rollout(f'{COHORT}self_update_reason = "x"'), "rollouts.default.self_update_reason", "only with"),
    (rollout(f'{COHORT}source = "exakt"'), "rollouts.default.source", 'did you mean "exact"'),
    (
        rollout(f'{COHORT}follow = {{ channel = "stabel", days = 1 }}'),
        "rollouts.default.follow.channel",
        "stable",
    ),
    (rollout(f'{COHORT}follow = {{ channel = "beta", days = 0 }}'), "rollouts.default.follow.days", "from 1"),
    (gate('kind = "prom"'), "rollouts.default.gates[0].kind", "prometheus"),
    (gate('cohort = "c"'), "rollouts.default.gates[0].kind", "missing"),
    (gate('kind = "prometheus", url = "http://x"'), "rollouts.default.gates[0].query", "missing"),
    (gate('kind = "command"'), "rollouts.default.gates[0].argv", "missing"),
    (gate('kind = "person", url = "http://x"'), "rollouts.default.gates[0].url", "http and prometheus"),
    (gate('kind = "person", cohort = "d"'), "rollouts.default.gates[0].cohort", 'unknown cohort "d"'),
    (gate('kind = "command", argv = ["x", "{host}"]'), "rollouts.default.gates[0].argv[1]", "placeholder"),
    (
        rollout(f'{COHORT}gates = [{{ name = "g", kind = "person" }}, {{ name = "g", kind = "health" }}]'),
        "rollouts.default.gates[1].name",
        "duplicate gate",
    ),
]


@pytest.mark.parametrize(("text", "place", "words"), WRONG)
def test_a_mistake_names_its_place_and_the_remedy(text: str, place: str, words: str) -> None:
    found = mistakes(text)
    assert list(found) == [place]
    assert words in found[place]


def test_all_mistakes_of_a_file_come_at_once() -> None:
    with pytest.raises(FleetFileInvalid) as caught:
        parse_fleet('accent = "red"\n[[hosts]]\nname = "a"\nport = 0\n[swep]\n', file="f.toml")
    assert [mistake.place for mistake in caught.value.mistakes] == ["swep", "hosts[0].port", "accent"]
    assert str(caught.value).splitlines() == [str(mistake) for mistake in caught.value.mistakes]
    assert str(caught.value).startswith('f.toml: swep: unknown key "swep"; did you mean "sweep"?')
    assert (caught.value.file, caught.value.place) == ("f.toml", "swep")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a = \n", "line 1, column 5"),
        ('name = "x"\n[[groups]\n', "line 2, column 9"),
        ('name = """x', "end of document"),
        ("x = " + "1" * 5000, ""),
        ("x = " + "[" * 5000, ""),
    ],
)
def test_what_is_not_toml_names_the_line(text: str, place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_fleet(text, file="f.toml")
    assert caught.value.place == place
    assert caught.value.file == "f.toml"


@pytest.mark.parametrize("path", [path for path in KNOWN_KEYS if not path.endswith("*")])
def test_every_known_key_is_read(path: str) -> None:
    """A value of no key's kind is a mistake at each of them, so none is known and passed over."""
    keys = path.replace("*", "some").split(".")
    text = f"{keys[-1]} = 1979-05-27"
    for key in reversed(keys[:-1]):
        name = key.removesuffix("[]")
        text = f"{name} = [{{ {text} }}]" if key.endswith("[]") else f"{name} = {{ {text} }}"
    assert path.replace("*", "some").replace("[]", "[0]") in mistakes(text)


@pytest.mark.parametrize(
    "channel", ["alpha", "stable", "lts", "lts-2024", "edge", "workers", "my-beta", "beta2"]
)
def test_channels_and_own_server_groups_may_be_wanted(channel: str) -> None:
    assert channel_problem(channel) is None


@pytest.mark.parametrize(
    "channel", ["bata", "stabel", "Beta", "STABLE", "alfa", "beta_", "", "a/b", "x" * 200]
)
def test_slips_are_no_channels(channel: str) -> None:
    assert channel_problem(channel) is not None
