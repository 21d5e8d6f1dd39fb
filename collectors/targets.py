"""Fleet file and ssh_config -> a Target for each host, once per start.

What the fleet file says wins over ssh_config, this over ssh's own defaults. Nothing is looked up later
and nothing is run here. Blocking: reads files; callers on an event loop use a thread.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv6Address
from pathlib import Path
from typing import NamedTuple

from collectors.errors import ConfigError
from collectors.fleet_model import Fleet, FleetHost, SshSettings
from collectors.host_names import Hop, HostTextInvalid, parse_jump, split_port
from collectors.known_hosts import why_unreadable
from collectors.ssh_config import SshConfig, Value, expand_home, read_ssh_config, seconds
from collectors.transport import Target

_DEFAULT_USER = "core"
_DEFAULT_PORT = 22
_DEFAULT_CONNECT_TIMEOUT_S = 10.0
_DEFAULT_IDENTITIES = ("id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk")
_GLOBAL_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"
_TOKEN = re.compile(r"%(.?)")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SHELL_WORD = re.compile(r"[|&;<>]+|[0-9]*[<>].*|.*(?:\$\(|`|\$[A-Za-z_{]).*")

Said = Mapping[str, tuple[Value, ...]]


class Operator(NamedTuple):
    """Who runs fleetctl: for `~`, `%u` and the agent."""

    home: Path
    login: str
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ResolvedTargets:
    """Targets by host name, in the fleet's order, and what was passed over on the way."""

    targets: dict[str, Target]
    warnings: tuple[str, ...]


def resolve_targets(fleet: Fleet, file: Path, operator: Operator) -> ResolvedTargets:
    """The targets of all hosts of `fleet`, read from `file`: relative paths are beside it.

    Raises ConfigError for jumps that go in a circle, for two hosts at one place, for an ssh_config that is
    missing (unless it is the default one) or wrong, and for a known_hosts file that cannot be read.
    """
    resolver = _Resolver(fleet, file, operator)
    by_name = {host.name: resolver.host(host) for host in fleet.hosts}
    _refuse_same_place(by_name, file)
    return ResolvedTargets(by_name, resolver.all_warnings())


def _refuse_same_place(targets: Mapping[str, Target], file: Path) -> None:
    seen: dict[tuple[object, ...], str] = {}
    for name, target in targets.items():
        place = (target.address.lower(), target.port, target.jump, target.proxy_command)
        other = seen.setdefault(place, name)
        if other != name:
            where = f"{target.address} port {target.port}"
            raise ConfigError(str(file), f"host {name}", f"is the same machine as {other}: both are {where}")


class _Place(NamedTuple):
    """What tokens stand for, once host, port and user are known."""

    name: str
    address: str
    port: int
    user: str


class _Resolver:
    def __init__(self, fleet: Fleet, file: Path, operator: Operator) -> None:
        self._file = file
        self._operator = operator
        self._hosts = {host.name: host for host in fleet.hosts}
        self._configs: dict[str | None, SshConfig] = {}
        self._hops: dict[tuple[tuple[Hop, ...], SshSettings], Target] = {}
        self._exists: dict[str, bool] = {}
        self._unreadable: dict[str, str] = {}
        self._warnings: dict[str, None] = {}

    def all_warnings(self) -> tuple[str, ...]:
        read = [warning for config in self._configs.values() for warning in config.warnings]
        return tuple(dict.fromkeys((*read, *self._warnings)))

    # Targets

    def host(self, host: FleetHost) -> Target:
        return self._fleet_host(host, host.ssh, ())

    def _fleet_host(self, host: FleetHost, settings: SshSettings, above: tuple[str, ...]) -> Target:
        address = host.address if host.address_given else None
        return self._target(host.name, address, settings, _DEFAULT_USER, above)

    def _target(
        self, name: str, address: str | None, ssh: SshSettings, default_user: str, above: tuple[str, ...]
    ) -> Target:
        if name in above:
            circle = " -> ".join((*above, name))
            raise ConfigError(str(self._file), "jump", f'{circle} is a circle; say jump = "none" for one')
        said = self._config(ssh).lookup(name)
        place = self._place(name, address, ssh, said, default_user)
        jump, proxy_command = self._way(ssh, said, place, (*above, name))
        identities = self._identities(ssh, said, place)
        return Target(
            name=name,
            address=place.address,
            port=place.port,
            user=place.user,
            identities=identities,
            certificates=self._certificates(said, place, identities),
            agent=self._agent(ssh, said, place),
            known_hosts=self._known_hosts(ssh),
            host_key_alias=_text(said, "hostkeyalias"),
            jump=jump,
            proxy_command=proxy_command,
            connect_timeout_s=_connect_timeout_s(ssh, said),
        )

    def _place(
        self, name: str, address: str | None, ssh: SshSettings, said: Said, default_user: str
    ) -> _Place:
        port = ssh.port or int(_text(said, "port") or _DEFAULT_PORT)
        user = ssh.user or _text(said, "user") or default_user
        if not re.fullmatch(r"[^-\s]\S*", user):
            raise said["user"][0].wrong("is not a login name")
        for value in said.get("hostname", ()) if address is None else ():
            address = _hostname(value, self._tokens(value, value.text, {"h": name, "%": "%"}) or name)
        return _Place(name, address or name, port, user)

    def _config(self, ssh: SshSettings) -> SshConfig:
        config = self._configs.get(ssh.config)
        if config is None:
            config = self._configs[ssh.config] = self._read_config(ssh.config)
        return config

    def _read_config(self, typed: str | None) -> SshConfig:
        usual = self._operator.home / ".ssh" / "config"
        if typed == "none":
            return SshConfig()
        path = usual if typed is None else Path(self._beside(typed))
        if path.exists():
            return read_ssh_config(path, home=self._operator.home)
        if path == usual:
            return SshConfig()
        remedy = 'say config = "none" to do without'
        raise ConfigError(str(self._file), "config", f"{path} does not exist; {remedy}")

    # The way there

    def _way(
        self, ssh: SshSettings, said: Said, place: _Place, above: tuple[str, ...]
    ) -> tuple[Target | None, tuple[str, ...]]:
        """The last jump host, or the argv of a proxy command."""
        if ssh.jump is not None:
            return self._through(parse_jump(ssh.jump), ssh, above), ()
        for value in said.get("proxy", ()):
            if value.text.lower() == "none":
                continue
            if value.keyword == "proxycommand":
                return None, self._proxy_command(value, place)
            try:
                hops = parse_jump(self._tokens(value, value.text, self._words(place)) or "none")
            except HostTextInvalid as error:
                raise value.wrong(str(error)) from error
            return self._through(hops, ssh, above), ()
        return None, ()

    def _through(self, hops: tuple[Hop, ...], ssh: SshSettings, above: tuple[str, ...]) -> Target | None:
        """The last of `hops`, each reached through the one before; the first goes its own way.

        A jump host outside of the fleet logs in with its ssh_config, then with what holds for the host
        behind it; its user is the operator's own unless typed or in ssh_config, as with ssh.
        """
        if not hops:
            return None
        key = (hops, replace(ssh, user=None, port=None, jump=None))
        target = self._hops.get(key)
        if target is None:
            target = self._hops[key] = self._hop(hops, key[1], above)
        return target

    def _hop(self, hops: tuple[Hop, ...], ssh: SshSettings, above: tuple[str, ...]) -> Target:
        hop = hops[-1]
        before = self._through(hops[:-1], ssh, above)
        known = self._hosts.get(hop.host)
        own = ssh if known is None else known.ssh
        settings = replace(own, user=hop.user or own.user, port=hop.port or own.port)
        if before is not None:
            settings = replace(settings, jump="none")  # the way to it is `before`, whatever else is said
        if known is not None:
            target = self._fleet_host(known, settings, above)
        else:
            address = hop.host if ":" in hop.host else None
            target = self._target(hop.host, address, settings, self._operator.login, above)
        return target if before is None else replace(target, jump=before)

    def _proxy_command(self, value: Value, place: _Place) -> tuple[str, ...]:
        try:
            words = shlex.split(value.text)
        except ValueError as error:
            raise value.wrong(f"{error}") from error
        if words and words[0] == "exec":
            words = words[1:]  # a word for the shell, which is not asked
        if not words:
            raise value.wrong("no program")
        if any(_SHELL_WORD.fullmatch(word) for word in words):
            self._warn(value, "is run without a shell: what only a shell understands goes to the program")
        tokens = self._words(place)
        argv = [self._tokens(value, expand_home(word, self._operator.home), tokens) for word in words]
        if None in argv:
            raise value.wrong("cannot be run with a token that is not known")
        return tuple(word for word in argv if word is not None)

    # Keys

    def _identities(self, ssh: SshSettings, said: Said, place: _Place) -> tuple[str, ...]:
        typed = "identityfile" in said
        from_config = self._paths(said.get("identityfile", ()), place)
        is_jump = place.name not in self._hosts
        if ssh.identities is not None and not (is_jump and typed):
            paths = tuple(self._beside(path) for path in ssh.identities)
            for path in paths:
                if not self._is_there(path):
                    self._warnings.setdefault(f"{self._file}: identities: {path} does not exist")
            return paths
        if typed:
            return from_config
        usual = (str(self._operator.home / ".ssh" / name) for name in _DEFAULT_IDENTITIES)
        return tuple(path for path in usual if self._is_there(path))

    def _certificates(self, said: Said, place: _Place, identities: tuple[str, ...]) -> tuple[str, ...]:
        """Those named, else the ones beside the keys, as ssh finds them."""
        if "certificatefile" in said:
            return self._paths(said["certificatefile"], place)
        beside = (f"{identity}-cert.pub" for identity in identities)
        return tuple(path for path in beside if self._is_there(path))

    def _agent(self, ssh: SshSettings, said: Said, place: _Place) -> str | None:
        if ssh.agent is False:
            return None
        if isinstance(ssh.agent, str):
            return self._beside(ssh.agent)
        for value in said.get("identityagent", ()):
            if value.text == "SSH_AUTH_SOCK":
                break
            if re.fullmatch(r"\$[A-Za-z_][A-Za-z0-9_]*", value.text):
                return self._operator.environ.get(value.text[1:]) or None
            return next(iter(self._paths((value,), place)), None)
        return self._operator.environ.get("SSH_AUTH_SOCK") or None

    def _known_hosts(self, ssh: SshSettings) -> tuple[str, ...]:
        """Files with host keys. One that the fleet file names may be missing, until `trust` makes it; one
        that is there and cannot be read would make every host a stranger."""
        if ssh.known_hosts is not None:
            paths = tuple(self._beside(path) for path in ssh.known_hosts)
            for path in paths:
                if why := self._why_unreadable(path):
                    words = f"{path} cannot be read: {why}; let yourself read it, or name another file"
                    raise ConfigError(str(self._file), "known_hosts", words)
            return paths
        own = str(self._operator.home / ".ssh" / "known_hosts")
        usual = (own, _GLOBAL_KNOWN_HOSTS) if self._is_there(_GLOBAL_KNOWN_HOSTS) else (own,)
        for path in usual:
            if why := self._why_unreadable(path):
                self._warnings[f"{path} cannot be read: {why}; the host keys in it are passed over"] = None
        return tuple(path for path in usual if not self._why_unreadable(path)) or (own,)

    def _why_unreadable(self, path: str) -> str:
        """What the system says, "" where it can be read or is not there."""
        if path not in self._unreadable:
            self._unreadable[path] = why_unreadable(path)
        return self._unreadable[path]

    # Texts

    def _beside(self, text: str) -> str:
        """Absolute path of what the fleet file names."""
        return os.path.normpath(self._file.parent / expand_home(text, self._operator.home))

    def _is_there(self, path: str) -> bool:
        if path not in self._exists:
            self._exists[path] = Path(path).exists()
        return self._exists[path]

    def _words(self, place: _Place) -> dict[str, str]:
        return {
            "%": "%",
            "d": str(self._operator.home),
            "h": place.address,
            "n": place.name,
            "p": str(place.port),
            "r": place.user,
            "u": self._operator.login,
        }

    def _paths(self, values: tuple[Value, ...], place: _Place) -> tuple[str, ...]:
        """Absolute paths of ssh_config; "none" is none, and what cannot be filled in is left out."""
        paths: list[str] = []
        for value in values:
            text = self._environment(value)
            filled = None if text is None else self._tokens(value, text, self._words(place))
            if filled and value.text.lower() != "none":
                paths.append(os.path.abspath(expand_home(filled, self._operator.home)))
        return tuple(dict.fromkeys(paths))

    def _environment(self, value: Value) -> str | None:
        for name in _VARIABLE.findall(value.text):
            if name not in self._operator.environ:
                self._warn(value, f"is not used: ${{{name}}} is not set")
                return None
        return _VARIABLE.sub(lambda match: self._operator.environ[match[1]], value.text)

    def _tokens(self, value: Value, text: str, words: Mapping[str, str]) -> str | None:
        """`text` with its %tokens filled in; None, with a warning, if one is not known."""
        for token in _TOKEN.findall(text):
            if token not in words:
                self._warn(value, f"is not used: %{token} is not known to fleetctl")
                return None
        return _TOKEN.sub(lambda match: words[match[1]], text)

    def _warn(self, value: Value, message: str) -> None:
        self._warnings.setdefault(f"{value.file}:{value.line}: {value.keyword} {message}")


def _hostname(value: Value, text: str) -> str:
    """A host name or address of ssh_config; unlike those of the fleet file it may be ::1 or have a zone."""
    with suppress(AddressValueError):
        return str(IPv6Address(text.removeprefix("[").removesuffix("]")))
    try:
        address, port = split_port(text)
    except HostTextInvalid as error:
        raise value.wrong(str(error)) from error
    if port is not None:
        raise value.wrong("has a port; that is for Port to say")
    return address


def _text(said: Said, keyword: str) -> str | None:
    values = said.get(keyword)
    return values[0].text if values else None


def _connect_timeout_s(ssh: SshSettings, said: Said) -> float:
    if ssh.connect_timeout_s is not None:
        return float(ssh.connect_timeout_s)
    values = said.get("connecttimeout")
    return (seconds(values[0]) if values else None) or _DEFAULT_CONNECT_TIMEOUT_S
