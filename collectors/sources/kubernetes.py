"""`kubectl get nodes -o json` -> hosts: Flatcar nodes with their InternalIP, role and zone. Pure.

A node's name becomes the host's and so its `node`. Nodes that run another system are left out.
Source of the form: kubernetes/api:core/v1/types.go (NodeStatus, NodeAddress, NodeSystemInfo).
"""

from __future__ import annotations

import json
from typing import Any

from collectors.errors import ConfigError
from collectors.parse.text import clean
from collectors.sources.found import Finds, Found, FoundHost

ZONE = "topology.kubernetes.io/zone"
OLD_ZONE = "failure-domain.beta.kubernetes.io/zone"
CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
SYSTEM = "Flatcar"
LONGEST_LABEL = 200


def parse_kubernetes(text: str, *, file: str) -> Found:
    """Raises ConfigError for a text that is no list of nodes, and if no Flatcar node is in it."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        remedy = "write it with `kubectl get nodes -o json`"
        raise ConfigError(file, "", f"not JSON ({error}); {remedy}") from error
    items = _dict(document).get("items")
    if not isinstance(items, list):
        items = [document] if _dict(document).get("kind") == "Node" else None
    if items is None:
        raise ConfigError(file, "items", "not a list of nodes; write it with `kubectl get nodes -o json`")
    finds = Finds(file)
    for number, item in enumerate(items):
        _add(finds, _dict(item), f"items[{number}]")
    return finds.done()


def _add(finds: Finds, node: dict[str, Any], place: str) -> None:
    metadata, status = _dict(node.get("metadata")), _dict(node.get("status"))
    name, labels = metadata.get("name"), _dict(metadata.get("labels"))
    if not isinstance(name, str):
        finds.leave_out(place, "has no name")
        return
    image = _dict(status.get("nodeInfo")).get("osImage")
    if not isinstance(image, str) or not image.startswith(SYSTEM):
        finds.leave_out(name, f"runs {clean(str(image), 60) if image else 'a system that it does not tell'}")
        return
    address = _internal_ip(status.get("addresses"))
    if address is None:
        finds.leave_out(name, "has no InternalIP")
        return
    role = "control-plane" if any(label in labels for label in CONTROL_PLANE) else "worker"
    zone = labels.get(ZONE) or labels.get(OLD_ZONE)
    is_fit = isinstance(zone, str) and len(zone) <= LONGEST_LABEL and zone.isprintable()
    finds.add(FoundHost(name, address=address, groups=(role,), labels={"zone": str(zone)} if is_fit else {}))


def _internal_ip(addresses: object) -> str | None:
    """The first one, as kubectl shows it."""
    for item in addresses if isinstance(addresses, list) else ():
        entry = _dict(item)
        if entry.get("type") == "InternalIP" and isinstance(entry.get("address"), str):
            return str(entry["address"])
    return None


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
