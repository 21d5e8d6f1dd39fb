"""A target -> argv of the system's own ssh: the same host, the same login, the same check of its key.

No configuration file is read (`-F none`): what of ssh_config counts is in the target already. Jump hosts are
passed by a ProxyCommand that is ssh again, each with its own settings. Pure.
Source of the options: ssh(1) and ssh_config(5) of OpenSSH 9.2.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterable

from collectors.transport import Target

Alias = Callable[[Target], str | None]
"""The name under which a target's host key is on file, where ssh would not look for it by itself."""


def ssh_argv(target: Target, alias: Alias, command: Iterable[str] = ()) -> list[str]:
    """The whole command line; `command` is joined with blanks and run by the login shell, as ssh does."""
    return ["ssh", *_options(target, alias), "--", target.address, *command]


def _options(target: Target, alias: Alias) -> list[str]:
    name = alias(target)
    files = " ".join(_quoted(path) for path in target.known_hosts) or "none"
    options = {
        "HostKeyAlias": name,
        "UserKnownHostsFile": files,
        "GlobalKnownHostsFile": "none",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "CheckHostIP": "no",
        "PreferredAuthentications": "publickey",
        "IdentityAgent": _quoted(target.agent) if target.agent else "none",
        "ConnectTimeout": str(math.ceil(target.connect_timeout_s)),
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "ProxyCommand": _proxy(target, alias),
    }
    argv = ["-F", "none", "-p", str(target.port), "-l", target.user]
    for option, value in options.items():
        if value is not None:
            argv += ["-o", f"{option}={value}"]
    for path in target.identities or ("none",):
        argv += ["-o", f"IdentityFile={_quoted(path)}"]
    for path in target.certificates:
        argv += ["-o", f"CertificateFile={_quoted(path)}"]
    return argv


def _proxy(target: Target, alias: Alias) -> str | None:
    """What carries the connection; ssh fills in %tokens and has a shell exec the rest."""
    if target.proxy_command:
        return shlex.join(target.proxy_command).replace("%", "%%")
    if target.jump is None:
        return None
    where = (
        f"[{target.address}]:{target.port}" if ":" in target.address else f"{target.address}:{target.port}"
    )
    argv = ["ssh", *_options(target.jump, alias), "-W", where, "--", target.jump.address]
    return shlex.join(argv).replace("%", "%%")


def _quoted(path: str) -> str:
    """A path as a word of ssh_config, where blanks separate and % begins a token."""
    text = path.replace("%", "%%")
    return (
        '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if set(text) & set(" \t\"'\\#") else text
    )
