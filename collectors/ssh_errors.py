"""What went wrong on the way to a host, in words for people and as a reach state.

Text that comes from a host is hostile: it is shown with its control characters replaced, and cut. Nothing
here decides whether a command was sent; the caller knows.
"""

from __future__ import annotations

import errno
import re
import socket

import asyncssh

from collectors.errors import ConnectFailed, Reach
from collectors.known_hosts import HostKey, OnFile
from collectors.transport import Target

MESSAGE_CHARS = 200

LIBRARY_FAULTS = (
    OSError,
    asyncssh.Error,
    ValueError,
    LookupError,
    ArithmeticError,
    TypeError,
    AttributeError,
    AssertionError,
)
"""What asyncssh lets out when a host, an agent or the network misbehaves: its own errors, and those of its
parsers on bytes that it did not foresee. A fault of one host must not end the sweep."""

_GOING_DOWN = re.compile(
    r"system is (going (down|to be)|booting up|shutting down)|unprivileged users are not permitted to log in",
    re.IGNORECASE,
)
"""pam_nologin's text while a host starts or stops, which sshd hands over as a login banner.
Source: systemd/systemd:tmpfiles.d/systemd-nologin.conf@451d691ae110a600497348d9f6288bc84efb8642."""

_WORDS = {
    errno.ECONNREFUSED: "refused the connection: is sshd running, is the port right?",
    errno.EHOSTUNREACH: "cannot be reached: no route to the host",
    errno.ENETUNREACH: "cannot be reached: no route to its network",
    errno.EHOSTDOWN: "is down",
    errno.ECONNRESET: "cut the connection before the login was done",
    errno.EPIPE: "cut the connection before the login was done",
    errno.ECONNABORTED: "cut the connection before the login was done",
}
_OURS = {
    errno.EMFILE: "too many files are open here: raise `ulimit -n` or lower `connections`",
    errno.ENFILE: "too many files are open on this machine: lower `connections`",
    errno.EADDRNOTAVAIL: "no local port is free: lower `connections`",
}


class HostKeyRefused(ConnectFailed):
    """The host offered a key that is not on file; nothing was sent and no login was tried."""

    def __init__(
        self, host: str, message: str, reach: Reach, offered: HostKey | None, on_file: OnFile
    ) -> None:
        super().__init__(host, message, reach)
        self.offered = offered
        self.on_file = on_file


def cleaned(text: str, limit: int = MESSAGE_CHARS) -> str:
    """One line of printable characters, at most `limit` long: each run of others becomes one space."""
    start = text[: 8 * limit]
    line = " ".join("".join(c if c.isprintable() else " " for c in start).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def is_going_down(text: str) -> bool:
    """True if a host says that it starts or stops and lets nobody in."""
    return _GOING_DOWN.search(text) is not None


def failed(target: Target, message: str, reach: Reach) -> ConnectFailed:
    """Nothing was sent to `target`, and why."""
    return ConnectFailed(target.name, cleaned(message), reach)


def place(target: Target) -> str:
    """Where the target is, for messages: address, port if it is not the usual one, proxy command."""
    where = target.address if target.port == 22 else f"{target.address} port {target.port}"
    return f"{where} (through {target.proxy_command[0]})" if target.proxy_command else where


def network_failed(target: Target, error: OSError | UnicodeError) -> ConnectFailed:
    """The host was not reached, or our own machine could not try."""
    where = place(target)
    if isinstance(error, socket.gaierror | UnicodeError):
        return failed(target, f"the name {target.address} does not resolve", Reach.UNREACHABLE)
    if isinstance(error, TimeoutError):
        return failed(target, f"no answer from {where}", Reach.TIMEOUT)
    if error.errno in _OURS:
        return failed(target, f"{where} was not tried: {_OURS[error.errno]}", Reach.UNREACHABLE)
    words = _WORDS.get(error.errno or 0, f"cannot be reached: {error.strerror or 'unknown reason'}")
    return failed(target, f"{where} {words}", Reach.UNREACHABLE)


def tunnel_failed(target: Target, error: asyncssh.ChannelOpenError) -> ConnectFailed:
    """The jump host answers but gives no way to the target."""
    name = target.jump.name if target.jump else "?"
    is_forbidden = error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED
    reason = "its sshd forbids it (AllowTcpForwarding, PermitOpen)" if is_forbidden else error.reason
    message = f"jump host {name} gives no way to {place(target)}: {cleaned(reason, 80)}"
    return failed(target, message, Reach.UNREACHABLE)


def login_failed(target: Target, error: Exception, said: str, tried: str) -> ConnectFailed:
    """The host answered, and the SSH connection or the login did not come about.

    `said` is what the host showed before login, `tried` which keys were offered and which could not be.
    """
    where, reason = place(target), cleaned(str(error), 100)
    if is_going_down(said) or is_going_down(str(error)):
        return failed(target, f"{where} says: {cleaned(said or str(error), 120)}", Reach.REBOOTING)
    if isinstance(error, asyncssh.PermissionDenied) or "Too many authentication failures" in reason:
        return failed(target, f"{where} does not let {target.user} in; {tried}", Reach.AUTH_FAILED)
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return failed(target, f"{where} and we agree on no SSH algorithm: {reason}", Reach.UNREACHABLE)
    if isinstance(error, asyncssh.ConnectionLost):
        hint = f", saying: {cleaned(said, 80)}" if said else "; it may be starting, or have no place left"
        return failed(
            target, f"{where} closed the connection before the login was done{hint}", Reach.UNREACHABLE
        )
    if isinstance(error, OSError):
        return network_failed(target, error)
    return failed(target, f"{where} does not speak proper SSH: {reason}", Reach.UNREACHABLE)


def host_key_refused(
    target: Target, error: Exception, offered: HostKey | None, authority: HostKey | None, on_file: OnFile
) -> HostKeyRefused:
    """Why the key or certificate that the host offered was not taken."""

    def refused(message: str, reach: Reach, key: HostKey | None) -> HostKeyRefused:
        return HostKeyRefused(target.name, cleaned(message), reach, key, on_file)

    shown = offered or authority
    if "revoked" in str(error):
        return refused(
            f"the host offers a revoked key{f': {shown}' if shown else ''}", Reach.HOST_KEY_CHANGED, shown
        )
    if shown is None or (offered is None and shown in on_file.authorities):
        words = f"the host certificate is not good: {cleaned(str(error), 120)}"
        return refused(words, Reach.HOST_KEY_UNKNOWN, shown)
    known = on_file.keys if offered else on_file.authorities
    if known and on_file.exact:
        old = known[0].fingerprint if known[0].kind == shown.kind else str(known[0])
        what = "host key changed" if offered else "host certificate is by another authority"
        words = f"{what}: was {old}, is {shown}"
        return refused(words, Reach.HOST_KEY_CHANGED, shown)
    words = f"host key not known: {shown}"
    return refused(words, Reach.HOST_KEY_UNKNOWN, shown)
