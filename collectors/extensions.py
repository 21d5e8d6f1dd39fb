"""What links, loop devices and metadata together say of a host's extensions. Pure.

Sources: systemd-sysext of systemd 252 to 262; places and names: flatcar/scripts:build_library@ab6d76d,
flatcar/sysext-bakery@80959c1.
"""

from __future__ import annotations

import re

from collectors.compat import drops_on_update
from collectors.facts import Extensions, HostFacts
from collectors.parse.sysext_links import image_version, kind_of

_AFTER_NAME = re.compile(r"\.|-v?[0-9]|-initial\.")


def dangling(extensions: Extensions) -> tuple[str, ...]:
    """Names whose link leads nowhere: systemd-sysext passes over them without a word."""
    links = extensions.links.items()
    return tuple(
        name for name, link in links if not (link.exists or link.is_mask or name in extensions.merged)
    )


def lost(facts: HostFacts, extensions: Extensions) -> tuple[str, ...]:
    """Built-in extensions that are linked while their unit is not there at all."""
    pairs = (("docker-flatcar", "docker.service"), ("containerd-flatcar", "containerd.service"))
    return tuple(
        name
        for name, unit in pairs
        if name in extensions.links
        and not extensions.links[name].is_mask
        and unit in facts.units
        and facts.units[unit].load == "not-found"
    )


def staged_images(extensions: Extensions) -> dict[str, str]:
    """Name -> image that its link names while another image of it is merged.

    Only where a loop device shows the merged one: directories and some images have none.
    """
    staged = {}
    for name in extensions.merged:
        link = extensions.links.get(name)
        if link is None or not link.exists or _backing(extensions, link.target):
            continue
        folder = link.target.rpartition("/")[0]
        beside = (loop for loop in extensions.loops if _stem(loop, name))
        if any(folder.endswith(loop.rpartition("/")[0]) for loop in beside):
            staged[name] = link.target
    return staged


def _backing(extensions: Extensions, image: str) -> str | None:
    """The loop device's word for an image.

    The kernel names a file as seen from the file system it lies on: for /usr/share/x.raw, where /usr is a
    mount of its own, that is /share/x.raw.
    """
    return next((loop for loop in extensions.loops if image.endswith(loop)), None)


def merged_image(extensions: Extensions, name: str) -> str | None:
    """The image that is merged now under this name, where a loop device tells."""
    link = extensions.links.get(name)
    if link is not None and _backing(extensions, link.target):
        return link.target
    return next((loop for loop in extensions.loops if _stem(loop, name)), None)


def _stem(image: str, name: str) -> bool:
    """Whether an image file is one of this name: NAME.raw, NAME-1.2.raw, NAME-v1.2.raw, NAME-initial.raw."""
    file = image.rpartition("/")[2]
    return file.startswith(name) and _AFTER_NAME.match(file[len(name) :]) is not None


def will_drop(extensions: Extensions, name: str) -> bool:
    meta = extensions.meta.get(name)
    link = extensions.links.get(name)
    image = merged_image(extensions, name) or (link.target if link else extensions.candidates.get(name, ""))
    return meta is not None and drops_on_update(name, kind_of(name, image), meta)


def version_of(extensions: Extensions, name: str) -> str | None:
    meta = extensions.meta.get(name)
    link = extensions.links.get(name)
    image = merged_image(extensions, name) or (link.target if link else extensions.candidates.get(name, ""))
    return (meta.version if meta else None) or image_version(name, image)
