"""Scenarios of who reboots a host: kured, FLUO, locksmithd under a lock in etcd, and two of them at once.

A demo has them when it is asked for by name. Names of pods are those that the projects' own manifests give:
kubereboot/kured:kured-ds.yaml@4beddb5, flatcar/flatcar-linux-update-operator:examples/deploy@ff6cd6b.
"""

from __future__ import annotations

from dataclasses import replace

from collectors.facts import Coordinator, CoordinatorState, LockState, Unit
from console.demo import healthy
from console.demo.healthy import Flavour, HostSpec, with_unit
from console.demo.scene import Scenario, scene
from console.demo.world import SimulatedHost, hex_of, uuid_of

SCENES: dict[str, Scenario] = {}
HOLDER = "edge-ams-01"
"""The host that holds the lock: of a demo with two hosts of the scenario or more, the second."""
_K8S = Flavour(kubernetes=True)
_MASKED = Unit("masked", "inactive", "dead", "masked", "success")
_UP = Unit("loaded", "active", "running", "disabled", "success")
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
"""What Kubernetes makes random names of."""


@scene(SCENES, "current", _K8S)
def kured(spec: HostSpec) -> SimulatedHost:
    """Its daemon set runs here, and locksmithd is masked as it must be."""
    host = with_unit(healthy.healthy(spec), "locksmithd.service", _MASKED)
    return replace(host, pods=(_pod(spec, "kube-system", "kured"), *_plain_pods(spec)))


@scene(SCENES, "current", _K8S)
def fluo(spec: HostSpec) -> SimulatedHost:
    host = with_unit(healthy.healthy(spec), "locksmithd.service", _MASKED)
    agent = _pod(spec, "reboot-coordinator", "flatcar-linux-update-agent")
    return replace(host, pods=(*_plain_pods(spec), agent))


@scene(SCENES, "current")
def etcd_lock(spec: HostSpec) -> SimulatedHost:
    """locksmithd may reboot only with the lock, of which another host holds the only place."""
    host = _with_locksmithd(healthy.healthy(spec), "etcd-lock")
    return replace(host, lock=LockState(0, 1, (hex_of(HOLDER, "machine"),)))


@scene(SCENES, "current", _K8S)
def two_owners(spec: HostSpec) -> SimulatedHost:
    """kured was installed and locksmithd left as it was."""
    host = _with_locksmithd(healthy.healthy(spec), "reboot")
    return replace(host, pods=(_pod(spec, "kube-system", "kured"), *_plain_pods(spec)))


def _with_locksmithd(host: SimulatedHost, strategy: str) -> SimulatedHost:
    host = with_unit(host, "locksmithd.service", _UP)
    coordinator = Coordinator("locksmithd", strategy, CoordinatorState.RUNNING)
    return replace(host, conf=f"REBOOT_STRATEGY={strategy}\n", coordinator=coordinator)


def _plain_pods(spec: HostSpec) -> tuple[str, ...]:
    return _pod(spec, "kube-system", "kube-proxy"), _pod(spec, "monitoring", "node-exporter")


def _pod(spec: HostSpec, namespace: str, name: str) -> str:
    """NAMESPACE_POD_UID, as the kubelet names a directory."""
    letters = "".join(_SUFFIX[spec.number(f"{name}{place}", len(_SUFFIX))] for place in range(5))
    return f"{namespace}_{name}-{letters}_{uuid_of(spec.name, name)}"
