"""systemd-sysext on a live host: what is merged at boot and by hand, and what its commands say.

Compatibility is systemd's rule (`collectors.compat`). Images that come with the OS, its OEM and the official
ones are there for each release; all others stay what they are.
Source: systemd/systemd:src/sysext/sysext.c@009abdc; flatcar/bootengine:dracut/99setup-root@6c2fba4.
"""

from __future__ import annotations

from dataclasses import replace

from collectors.compat import fits
from collectors.facts import Unit
from collectors.parse.os_release import parse_extension_release, parse_os_release
from console.demo import files, tools
from console.demo.live.kinds import Reply, What
from console.demo.live.machine import SYSEXT_UNIT, Machine
from console.demo.tools import NOT_FOUND
from console.demo.world import Extension, SimulatedHost

_BUILTIN = ("containerd-flatcar", "docker-flatcar")
_COMES_WITH = {
    "docker.service": "docker-flatcar",
    "docker.socket": "docker-flatcar",
    "containerd.service": "containerd-flatcar",
    "kubelet.service": "kubernetes",
}


class Sysexts:
    """The merge of a host's extensions."""

    def __init__(self, machine: Machine) -> None:
        self._m = machine
        self._units = {name: unit for name, unit in machine.state.units.items() if name in _COMES_WITH}
        """As they are when their extension is merged."""
        self.is_broken = machine.unit(SYSEXT_UNIT).active == "failed"
        """One image cannot be read."""
        self.lost: frozenset[str] = frozenset()
        self._containers = machine.state.containers

    def boot(self, *, updated: bool) -> None:
        """What a boot makes of the images: those of the OS are the new release's, the rest must fit it."""
        machine = self._m
        self.lost |= machine.faults.loses_extension if updated else frozenset()
        found = machine.state.extensions
        if updated:
            found = _of_release(machine.state)
        before = {item.name for item in found if item.merged_image is not None}
        machine.state = replace(machine.state, extensions=found)
        after = self._merge()
        containers = self._containers if machine.state.has_program("containerd") else None
        machine.state = replace(machine.state, containers=containers)
        if self.is_broken:
            machine.fail_unit(SYSEXT_UNIT)
        elif not machine.unit(SYSEXT_UNIT).is_masked and machine.state.foreign_os is None:
            machine.set_unit(SYSEXT_UNIT, Unit("loaded", "active", "exited", "disabled", "success"))
        for name in sorted(before - after):
            machine.record(What.EXTENSION_LOST, name)

    def _merge(self) -> set[str]:
        machine = self._m
        state = machine.state
        merged = set()
        extensions = []
        for item in state.extensions:
            does_fit = not self.is_broken and item.name not in self.lost and _fits(item, state)
            extensions.append(replace(item, merged_image=item.target if does_fit else None))
            if does_fit:
                merged.add(item.name)
        machine.state = replace(state, extensions=tuple(extensions))
        self._bring_units(merged)
        return merged

    def _bring_units(self, merged: set[str]) -> None:
        machine = self._m
        is_in_usr = not machine.state.release.has_builtin_extensions
        for name, unit in self._units.items():
            owner = _COMES_WITH[name]
            known = any(item.name == owner for item in machine.state.extensions)
            is_there = owner in merged or not known or (is_in_usr and owner in _BUILTIN)
            current = machine.unit(name)
            if not is_there:
                machine.set_unit(name, NOT_FOUND)
            elif current == NOT_FOUND:
                machine.set_unit(name, unit if unit != NOT_FOUND else NOT_FOUND)

    # -- commands -----------------------------------------------------------------------------

    def refresh(self) -> Reply:
        """`systemd-sysext refresh`: one image that cannot be read spoils it, and the old merge stays."""
        machine = self._m
        if self.is_broken:
            text = "Failed to read metadata for image broken: Package not installed\n"
            return Reply(b"", text.encode(), 1)
        had = bool(machine.state.merged)
        merged = sorted(self._merge())
        ignored = len(machine.state.extensions) - len(merged)
        lines = []
        if merged:
            lines.append(f"Using extensions {', '.join(repr(name + '.raw') for name in merged)}.")
        else:
            lines.append(f"No suitable extensions found ({ignored} ignored due to incompatible image(s)).")
        lines += ["Unmerged '/usr'."] if had else []
        lines += ["Merged extensions into '/usr'."] if merged else []
        return Reply(b"", ("\n".join(lines) + "\n").encode(), 0)

    def unmerge(self) -> Reply:
        machine = self._m
        gone = tuple(replace(item, merged_image=None) for item in machine.state.extensions)
        machine.state = replace(machine.state, extensions=gone)
        self._bring_units(set())
        return Reply(b"", b"Unmerged '/usr'.\n", 0)

    def run(self, argv: tuple[str, ...], uid: int) -> Reply:
        """`systemd-sysext VERB [--json=short]`."""
        words = [word for word in argv if not word.startswith("-")]
        verb = words[0] if words else "status"
        is_json = "--json=short" in argv
        state = self._m.state
        if verb == "status" and is_json:
            return Reply(tools.sysext_status(state).content)
        if verb == "list" and is_json:
            return Reply(tools.sysext_list(state).content)
        if verb == "status":
            return Reply(_status_table(state).encode())
        if verb == "list":
            return _list_table(state)
        if uid != 0:
            return Reply(b"", b"Need to be privileged.\n", 1)
        if verb == "merge" and state.merged:
            return Reply(b"", b"Hierarchy '/usr' is already merged.\n", 1)
        if verb in ("merge", "refresh"):
            return self.refresh()
        if verb == "unmerge":
            return self.unmerge()
        return Reply(b"", f"Unknown command verb '{verb}'.\n".encode(), 1)


def _fits(item: Extension, state: SimulatedHost) -> bool:
    host = parse_os_release(files.os_release(state))
    meta = parse_extension_release(item.metadata)
    return bool(fits(meta, host.id, host.id_like, host.version_id, host.sysext_level, host.arch))


def _of_release(state: SimulatedHost) -> tuple[Extension, ...]:
    """The extensions' images after the boot of another release."""
    version, arch = state.version, state.hardware.arch
    found = []
    for item in state.extensions:
        if item.name in _BUILTIN:
            if not state.release.has_builtin_extensions:
                continue
            own = state.release.docker if item.name.startswith("docker") else state.release.containerd
            meta = files.bound_metadata(version, arch, item.name, own_version=own)
            found.append(replace(item, metadata=meta))
        elif item.name.startswith(("oem-", "flatcar-")):
            folder = item.target.rpartition("/")[0]
            meta = files.bound_metadata(version, arch, item.name)
            found.append(replace(item, metadata=meta, target=f"{folder}/{item.name}-{version}.raw"))
        else:
            found.append(item)
    names = {item.name for item in found}
    if state.release.has_builtin_extensions:
        for name, own in (("containerd", state.release.containerd), ("docker", state.release.docker)):
            if f"{name}-flatcar" not in names:
                image = f"/usr/share/flatcar/sysext/{name}-flatcar.raw"
                meta = files.bound_metadata(version, arch, f"{name}-flatcar", own_version=own)
                found.append(Extension(f"{name}-flatcar", image, meta, image))
    return tuple(found)


def _status_table(state: SimulatedHost) -> str:
    names = sorted(item.name for item in state.merged) or ["none"]
    since = f"{state.booted_at:%a %Y-%m-%d %H:%M:%S} UTC" if state.merged else "-"
    width = max(len("EXTENSIONS"), *(len(name) for name in names))
    lines = [f"HIERARCHY {'EXTENSIONS':{width}} SINCE", f"/opt      {'none':{width}} -"]
    for index, name in enumerate(names):
        lines.append(f"{'' if index else '/usr':9} {name:{width}} {'' if index else since}")
    return "\n".join(lines) + "\n"


def _list_table(state: SimulatedHost) -> Reply:
    found = sorted(state.extensions, key=lambda item: item.name)
    if not found:
        return Reply(b"", b"No OS extensions found.\n")
    names = max(len("NAME"), *(len(item.name) for item in found))
    paths = max(len("PATH"), *(len(item.link) for item in found))
    time = f"{state.hardware.installed_at:%a %Y-%m-%d %H:%M:%S} UTC"
    lines = [f"{'NAME':{names}} TYPE {'PATH':{paths}} TIME"]
    lines += [f"{item.name:{names}} raw  {item.link:{paths}} {time}" for item in found]
    return Reply(("\n".join(lines) + "\n").encode())
