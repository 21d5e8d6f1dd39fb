"""Which pods of a reboot manager run on a node, from the kubelet's own directories of their logs.

One directory for each pod, NAMESPACE_POD_UID; names of Kubernetes hold no underscore, so the cut is sure. The
kubelet takes it away when it has forgotten the pod.
Source: kubernetes/kubernetes:pkg/kubelet/kuberuntime/helpers.go@e2cf0fe.
"""

from __future__ import annotations

import re

from collectors.errors import ParseError
from collectors.parse.text import clean, lines

MOST_PODS = 20
"""As many as the probe prints."""
_NAME = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?"
_POD = re.compile(rf"({_NAME})_({_NAME})_[0-9a-f-]{{32,36}}")


def parse_pods(text: str) -> tuple[str, ...] | None:
    """`namespace/pod` in the order of names; None where the kubelet has no such directory.

    Raises ParseError where a line is no name of a pod's directory.
    """
    head, *names = lines(text) or [""]
    if head != "dir":
        if text.strip():
            raise ParseError(f"no list of pods: {clean(head)}")
        return None
    found = [_POD.fullmatch(name) for name in names[:MOST_PODS]]
    if None in found:
        raise ParseError(f"no pod's directory: {clean(names[found.index(None)])}")
    return tuple(sorted({f"{match[1]}/{match[2]}" for match in found if match}))
