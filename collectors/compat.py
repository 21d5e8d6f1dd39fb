"""Whether an extension fits an OS, by systemd's own rule, and whether the next OS will drop it.

Source: systemd/systemd:src/shared/extension-util.c@009abdc; older releases may not look at ID_LIKE.
"""

from __future__ import annotations

from dataclasses import dataclass

from collectors.facts import ExtensionMeta

_ANY = "_any"
_SYSTEMD_ARCH = {
    "amd64": "x86-64",
    "x86_64": "x86-64",
    "x86-64": "x86-64",
    "arm64": "arm64",
    "aarch64": "arm64",
}


@dataclass(frozen=True, slots=True)
class Fit:
    """True where the extension fits; `reason` says why it does not."""

    reason: str | None = None

    def __bool__(self) -> bool:
        return self.reason is None


def fits(
    meta: ExtensionMeta,
    host_id: str | None,
    host_id_like: tuple[str, ...],
    host_version_id: str | None,
    host_sysext_level: str | None,
    host_arch: str | None,
) -> Fit:
    """Whether systemd-sysext would merge an extension with this metadata on this host.

    The host's architecture may be spelled as by the board, uname or systemd; None is not held against
    the extension. The extension must spell its own as systemd does: `amd64` fits no host.
    """
    arch = _SYSTEMD_ARCH.get(host_arch or "", host_arch)
    if meta.architecture not in (None, _ANY) and arch is not None and meta.architecture != arch:
        return Fit(_wrong_arch(meta.architecture or "", arch))
    if meta.id is None:
        return Fit("its extension-release has no ID")
    if meta.id == _ANY:
        return Fit()
    if meta.id != host_id and meta.id not in host_id_like:
        return Fit(f"made for the OS {meta.id}, the host is {host_id or 'unknown'}")
    if meta.sysext_level is not None and host_sysext_level is not None:
        if meta.sysext_level == host_sysext_level:
            return Fit()
        return Fit(f"made for SYSEXT_LEVEL {meta.sysext_level}, the host has {host_sysext_level}")
    if host_version_id is None or meta.version_id == host_version_id:
        return Fit()
    if meta.version_id is None:
        return Fit("its extension-release has neither VERSION_ID nor a SYSEXT_LEVEL that the host has too")
    return Fit(f"made for {meta.version_id}, the host runs {host_version_id}")


def drops_on_update(name: str, kind: str, meta: ExtensionMeta) -> bool:
    """Whether a merged extension will silently not be merged after an OS update: bound to this VERSION_ID.

    Built-in, OEM and official ones are bound too, but the update brings theirs along.
    """
    if kind in ("builtin", "oem", "official") or name.startswith("flatcar-"):
        return False
    return meta.version_id is not None and meta.sysext_level is None and meta.id != _ANY


def _wrong_arch(extension: str, host: str) -> str:
    if _SYSTEMD_ARCH.get(extension) == host:
        return f"its ARCHITECTURE is spelled {extension}; systemd knows it as {host}"
    return f"made for {extension}, the host is {host}"
