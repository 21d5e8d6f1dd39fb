"""Machines to ask, on loopback alone: a simulated fleet in a process of its own, or one sshd as many hosts.

The simulated fleet is light: it shows what the console costs. The sshd pays for logins and for the probe's
processes as a real host does, but all on this machine; it answers as what this machine is.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from asyncssh.kex import get_default_kex_algs

from benchmarks.costs import BenchmarkFailed
from collectors.fleet_file import load_fleet, targets
from collectors.transport import Target
from console.demo.server import Key

FANOUT = 64
"""As the demo's fleet file has it; all contestants ask so many hosts at once."""
START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 20
SSHD_PORT = 2222
_IN_NAMESPACE = "FLEETCTL_BENCHMARK_NAMESPACE"


@dataclass(frozen=True, slots=True)
class Farm:
    """What answers, and the fleet file that names it."""

    fleet_file: Path
    pid: int
    """Of the process whose CPU is the hosts'."""
    exchanges: tuple[str, ...]
    """Key exchanges that it offers."""

    def targets(self) -> list[Target]:
        return list(targets(load_fleet(self.fleet_file)).targets.values())


@contextmanager
def simulated(directory: Path, hosts: int) -> Iterator[Farm]:
    """A demo fleet whose hosts are all current."""
    argv = [sys.executable, "-m", "console.cli", "demo", "--serve", str(directory)]
    argv += ["--hosts", str(hosts), "--scenario", f"current={hosts}"]
    with _process(argv) as server:
        late = threading.Timer(START_TIMEOUT_S, server.kill)
        late.start()
        ready = server.stdout.readline() if server.stdout else b""
        late.cancel()
        if ready.strip() != b"ready":
            raise BenchmarkFailed("the simulated hosts did not start")
        yield Farm(directory / "fleet.toml", server.pid, library_exchanges())


@contextmanager
def real_sshd(directory: Path, hosts: int) -> Iterator[Farm]:
    """One OpenSSH server that answers on every address of loopback; only inside of `own_namespace`."""
    login, host_key = Key.new(), Key.new()
    addresses = [f"127.30.{number // 250}.{number % 250 + 1}" for number in range(hosts)]
    _write(directory / "login_key", login.private_text)
    _write(directory / "host_key", host_key.private_text)
    _write(directory / "authorized_keys", login.public_text + "\n")
    lines = [f"[{address}]:{SSHD_PORT} {host_key.public_text}\n" for address in addresses]
    _write(directory / "known_hosts", "".join(lines))
    _write(directory / "fleet.toml", _fleet_text(addresses))
    (directory / "home").mkdir()
    config = directory / "sshd_config"
    exchange = _common_exchange()
    _write(config, _sshd_config(directory, exchange))
    os.makedirs("/run/sshd", exist_ok=True)  # sshd wants it, and leaves it empty
    with _process([_sshd(), "-D", "-e", "-f", str(config)]) as server:
        _wait_for_port(server, addresses[-1])
        yield Farm(directory / "fleet.toml", server.pid, (exchange,))


def library_exchanges() -> tuple[str, ...]:
    """Key exchanges of the console's SSH library (and so of the simulated hosts), the preferred first."""
    names = [name.decode("ascii") for name in get_default_kex_algs()]
    return tuple(name for name in names if not name.startswith("gss-"))


def program_exchanges() -> tuple[str, ...]:
    """Key exchanges of the ssh program, the preferred first."""
    told = subprocess.run(["ssh", "-F", "/dev/null", "-G", "localhost"], capture_output=True, text=True)
    lines = [line.partition(" ") for line in told.stdout.splitlines()]
    return next((tuple(rest.split(",")) for key, _, rest in lines if key == "kexalgorithms"), ())


def agreed(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """The key exchange of a login: the client's first that the server knows."""
    return next((name for name in ours if name in theirs), "none")


def own_namespace(argv: Sequence[str]) -> None:
    """Start this program again inside of new namespaces, where only its own loopback exists.

    Its mounts are its own too: the machine id is hidden there, or all hosts would be one machine and each
    be judged again with every other. Returns inside. Raises BenchmarkFailed where the system does not let us.
    """
    if os.environ.get(_IN_NAMESPACE):
        return
    tools = [shutil.which(name) for name in ("unshare", "ip", "mount")]
    if os.geteuid() != 0 or None in tools:
        raise BenchmarkFailed("a real sshd needs root, unshare, ip and mount: it gets namespaces of its own")
    unshare = ["unshare", "--net", "--mount"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
        raise BenchmarkFailed("this system does not let us make a network namespace")
    hide = "{ [ ! -e /etc/machine-id ] || mount --bind /dev/null /etc/machine-id; }"
    script = f'ip link set lo up && {hide} && exec "$@"'
    os.environ[_IN_NAMESPACE] = "1"
    os.execvp("unshare", [*unshare, "sh", "-c", script, "sh", *argv])


@contextmanager
def _process(argv: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A server until the block ends; its error output is shown, since it is quiet when all is well."""
    server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
    try:
        yield server
    finally:
        server.terminate()
        try:
            server.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        if server.stdout:
            server.stdout.close()


def _wait_for_port(server: subprocess.Popen[bytes], address: str) -> None:
    ends = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < ends and server.poll() is None:
        try:
            socket.create_connection((address, SSHD_PORT), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise BenchmarkFailed("sshd did not start; what it said stands above")


def _sshd() -> str:
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise BenchmarkFailed("there is no sshd on this machine")
    return found


def _sshd_config(directory: Path, exchange: str) -> str:
    """No login but with the one key; no limit that would refuse many logins at once."""
    return f"""Port {SSHD_PORT}
ListenAddress 0.0.0.0
HostKey {directory}/host_key
PidFile none
AuthorizedKeysFile {directory}/authorized_keys
SetEnv HOME={directory}/home
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UseDNS no
PrintMotd no
PrintLastLog no
LogLevel FATAL
KexAlgorithms {exchange}
MaxStartups 9000:100:9000
MaxSessions 200
{_without_penalties()}"""


def _common_exchange() -> str:
    """One key exchange for all contestants, so that none pays for another's: the best that all know.

    OpenSSH's server knows what its client of the same version does.
    """
    known = program_exchanges()
    return next((name for name in library_exchanges() if name in known), "curve25519-sha256")


def _without_penalties() -> str:
    """OpenSSH 9.8 and later hold many connections from one address against it."""
    told = subprocess.run([_sshd(), "-V"], capture_output=True, text=True)
    number = (told.stderr + told.stdout).partition("OpenSSH_")[2].partition("p")[0]
    major, _, minor = number.partition(".")
    is_new = major.isdigit() and minor.isdigit() and (int(major), int(minor)) >= (9, 8)
    return "PerSourcePenalties no\n" if is_new else ""


def _fleet_text(addresses: Sequence[str]) -> str:
    hosts = "\n".join(
        f'[[hosts]]\nname = "h{number:05}"\naddress = "{address}"' for number, address in enumerate(addresses)
    )
    return (
        'name = "sshd"\ndatabase = "demo.db"\n'
        f'[ssh]\nuser = "root"\nport = {SSHD_PORT}\nidentities = ["login_key"]\nagent = false\n'
        'known_hosts = "known_hosts"\nconfig = "none"\nconnect_timeout = "20s"\nprobe_timeout = "60s"\n'
        f"connections = {FANOUT}\n[feeds]\noffline = true\n{hosts}\n"
    )


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
