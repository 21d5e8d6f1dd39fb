"""Foreign inventories -> a fleet file to review, for `fleetctl init`. Pure: text in, text out.

Whatever comes out parses as a fleet file; what of a source is not taken is named in its comments.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from collectors.errors import ConfigError
from collectors.inventory import parse_fleet
from collectors.sources.ansible import found_in
from collectors.sources.ansible_data import parse_list, parse_yaml
from collectors.sources.ansible_ini import parse_ini
from collectors.sources.found import Finds, Found
from collectors.sources.hosts_file import parse_hosts_file
from collectors.sources.kubernetes import parse_kubernetes
from collectors.sources.ssh_hosts import parse_ssh_hosts
from collectors.sources.writing import fleet_text, toml_text


class SourceKind(StrEnum):
    SSH_CONFIG = "ssh-config"
    ANSIBLE = "ansible"
    KUBERNETES = "kubernetes"
    HOSTS_FILE = "hosts-file"


@dataclass(frozen=True, slots=True)
class SourceText:
    """A source as it was read."""

    kind: SourceKind
    text: str
    label: str
    """The file's name, for messages and comments."""
    ssh_config: str | None = None
    """For SSH_CONFIG: the path that the fleet file is to name; None for the default one."""


def read_source(source: SourceText) -> Found:
    """The hosts of a source. Raises ConfigError if it is not in its form, or names none."""
    match source.kind:
        case SourceKind.SSH_CONFIG:
            return parse_ssh_hosts(source.text, file=source.label)
        case SourceKind.ANSIBLE:
            return _ansible(source.text, source.label)
        case SourceKind.KUBERNETES:
            return parse_kubernetes(source.text, file=source.label)
        case SourceKind.HOSTS_FILE:
            return parse_hosts_file(source.text, file=source.label)


def _ansible(text: str, label: str) -> Found:
    """The form is told by the text: JSON begins with a brace, YAML with a mapping's key.

    JSON in a file that is named as YAML is YAML: `--list` prints lists of hosts, the file holds mappings.
    """
    lines = (line.rstrip() for line in text.split("\n"))
    first = next((line for line in lines if line.strip() and line.lstrip()[0] not in "#;"), "")
    if first.startswith("$ANSIBLE_VAULT"):
        raise ConfigError(label, "", "is encrypted; decrypt it with `ansible-vault view` and read that")
    if first.startswith("{") and not label.endswith((".yml", ".yaml")):
        inventory = parse_list(text, file=label)
    elif first.startswith(("---", "%YAML", "{")) or (not first.startswith("[") and _is_yaml_key(first)):
        inventory = parse_yaml(text, file=label)
    else:
        inventory = parse_ini(text, file=label)
    return found_in(inventory, Finds(label), file=label)


def _is_yaml_key(line: str) -> bool:
    return line.startswith("plugin:") or ("=" not in line and line.partition("#")[0].rstrip().endswith(":"))


def write_fleet(source: SourceText, found: Found, *, file: str) -> str:
    """Text of the fleet file `file`, checked as one. Raises ConfigError with what keeps it from being one."""
    hosts, left = len(found.hosts), len(found.left_out)
    head = [
        f"Written by `fleetctl init --from {source.kind}` from {source.label}.",
        f"Taken: {_count(hosts, 'host')}. Left out: {_count(left, 'entry', 'entries')}.",
        "Read it through, add what you want of the hosts (channel, updates), then run `fleetctl doctor`.",
    ]
    ssh: dict[str, str] = {}
    if source.kind is SourceKind.SSH_CONFIG:
        head.append("How each host is reached (HostName, Port, User, keys, ProxyJump) stays in ssh_config.")
        if source.ssh_config is not None:
            ssh["config"] = toml_text(source.ssh_config)
    else:
        ssh["user"] = toml_text("core")
    text = fleet_text(found, head=head, ssh=ssh)
    parse_fleet(text, file=file)
    return text


def _count(number: int, one: str, many: str = "") -> str:
    return f"1 {one}" if number == 1 else f"{number} {many or f'{one}s'}"
