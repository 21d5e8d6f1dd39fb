"""One host's whole answer -> HostFacts: every section through its parser, what failed as `unread`.

Total: whatever the bytes are, facts come back. Text is made harmless here, once: control characters
become visible escapes, lines and sections are cut to their bounds, and the section is named in `odd`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

from collectors.errors import ParseError
from collectors.facts import (
    Attempt,
    Coordinator,
    Extensions,
    Flags,
    HostFacts,
    Identity,
    OsRelease,
    Passing,
    Prefs,
    SlotName,
    SlotTable,
    Unread,
    UpdateConf,
    UpdateStatus,
)
from collectors.parse.boot import parse_cmdline
from collectors.parse.df import parse_df
from collectors.parse.journal import parse_attempt
from collectors.parse.locksmith import parse_coordinator, parse_lock
from collectors.parse.os_release import parse_os_release, parse_release
from collectors.parse.pods import parse_pods
from collectors.parse.prefs import parse_prefs
from collectors.parse.slots import parse_slots, slot_of_device
from collectors.parse.sysext import parse_sysext_list, parse_sysext_status
from collectors.parse.sysext_links import parse_links, parse_meta
from collectors.parse.units import Manager, parse_failed, parse_manager, parse_show, parse_version_line
from collectors.parse.update_conf import parse_update_conf
from collectors.parse.update_engine import StatusUnavailable, parse_status
from collectors.probe import LINE_LIMIT, SECTION_LIMIT, Frame, read_frame
from collectors.redact import redact, visible

T = TypeVar("T")

_PLAIN = bytes([*b"\t\n\r", *range(0x20, 0x7F)])
"""Bytes that need no second look."""
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JSON = frozenset({"failed", "sysext", "sysext_list"})
_JSON_CONTROL = re.compile(
    r"\\u00(?:[01][0-9a-fA-F]|7[fF]|[89][0-9a-fA-F])|\\u(?:20[0-6]|feff|[dD][89a-fA-F])"
)
_OWN_REDACTION = frozenset({"conf", "image_conf"})
"""Read by update_conf's own rules before anything is replaced in them."""
_MOST_EXTENSIONS = 256
_BINARY_CONTROL = re.compile(rb"[\x01-\x08\x0a-\x1f\x7f]")
# Hosts of a fleet say much the same: what one text means is worked out once. Facts are frozen, so they
# may be shared.
_redacted = lru_cache(maxsize=1024)(redact)
_os_release = lru_cache(maxsize=256)(parse_os_release)
_release = lru_cache(maxsize=256)(parse_release)
_update_conf = lru_cache(maxsize=1024)(parse_update_conf)
_show = lru_cache(maxsize=256)(parse_show)
_manager = lru_cache(maxsize=256)(parse_manager)
_failed = lru_cache(maxsize=256)(parse_failed)
_prefs = lru_cache(maxsize=256)(parse_prefs)
_cmdline = lru_cache(maxsize=256)(parse_cmdline)
_meta = lru_cache(maxsize=256)(parse_meta)
_coordinator = lru_cache(maxsize=64)(parse_coordinator)
_version_line = lru_cache(maxsize=64)(parse_version_line)
_slots = lru_cache(maxsize=256)(parse_slots)

_ABSENT, _NOT_READABLE, _TIMED_OUT, _NO_PROGRAM = 1, 2, 124, 127
_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}


def parse_answer(output: bytes, mark: str, *, salt: bytes) -> HostFacts:
    """Facts of a probe's raw output; `salt` keys the digests that stand for redacted secrets."""
    return _Reader(read_frame(output, mark), salt).facts()


class _Reader:
    """Reads sections one by one and keeps account of what could not be read."""

    def __init__(self, frame: Frame, salt: bytes) -> None:
        self.frame = frame
        self.salt = salt
        self.unread: list[Unread] = []
        self.odd: list[str] = []

    def status_of(self, section: str) -> int | None:
        found = self.frame.sections.get(section)
        return found.exit_status if found else None

    def text(self, section: str) -> str | None:
        """The section's text, harmless; None where it did not come."""
        found = self.frame.sections.get(section)
        if found is None:
            return None
        content = found.content[:SECTION_LIMIT]
        text = content.decode("utf-8", "replace")
        odd = len(found.content) > SECTION_LIMIT
        if content.translate(None, _PLAIN):
            shown = "".join(map(_shown, text))
            odd, text = odd or shown != text or "\ufffd" in text, shown
        if section in _JSON and _JSON_CONTROL.search(text):
            odd = True
        if len(text) > LINE_LIMIT and any(len(line) > LINE_LIMIT for line in text.split("\n")):
            odd, text = True, "\n".join(line[:LINE_LIMIT] for line in text.split("\n"))
        if odd:
            self.odd.append(section)
        return text if section in _OWN_REDACTION else _redacted(text, self.salt)

    def read(
        self, section: str, parse: Callable[[str], T], *, optional: bool = False, strict: bool = False
    ) -> T | None:
        """Parse a section that a program or a file filled; None and a note where that fails.

        `optional`: a missing file (exit 1) is an answer and no failure. `strict`: any other exit status
        than 0 is a failure, since an empty output would pass for "nothing there".
        """
        status, text = self.status_of(section), self.text(section)
        if text is None:
            if self.frame.complete:
                self.note(section, "was not answered")
            return None
        if status == _ABSENT and optional:
            return None
        if status == _NOT_READABLE and optional:
            self.note(section, "is there and not readable for the login user")
            return None
        if status in (_TIMED_OUT, _NO_PROGRAM):
            self.note(section, "timed out" if status == _TIMED_OUT else "no such program on the host")
            return None
        if strict and status != 0:
            self.note(section, f"ended with {status}")
            return None
        try:
            return parse(text)
        except StatusUnavailable as error:
            self.note(section, str(error), error.kind)
        except ParseError as error:
            self.note(section, str(error))
        return None

    def binary(self, section: str, parse: Callable[[bytes], T]) -> T | None:
        """Parse a section whose parts are ended by NUL."""
        found = self.frame.sections.get(section)
        if found is None:
            return None
        if _BINARY_CONTROL.search(found.content) and section == "links":
            self.odd.append(section)
        try:
            return parse(found.content[:SECTION_LIMIT])
        except ParseError as error:
            self.note(section, str(error))
            return None

    def note(self, section: str, reason: str, kind: str = "") -> None:
        self.unread.append(Unread(section, visible(redact(reason, self.salt), 200), kind))

    def pairs(self, section: str) -> dict[str, str]:
        """`key TAB value` lines."""
        lines = (line.partition("\t") for line in (self.text(section) or "").split("\n"))
        return {key: value.strip()[:200] for key, tab, value in lines if tab}

    # -- the parts of HostFacts ---------------------------------------------------------------

    def facts(self) -> HostFacts:
        os_release = self.read("os", _os_release) or OsRelease()
        ids = self.pairs("ids")
        manager = self.read("manager", _manager, strict=True) or Manager()
        cmdline = self.read("cmdline", _cmdline)
        conf = self.conf("conf", optional=True)
        status = self.read("status", parse_status)
        attempt = self.read("journal", self._attempt, strict=True) if self.frame.privileged else None
        prefs = self.read("prefs", _prefs) if self.frame.privileged else None
        oem = self.read("oem", _os_id, optional=True) or (cmdline.oem_id if cmdline else None)
        running = self.running() or (cmdline.slot if cmdline else None)
        extensions = self.extensions()
        system_state, failed_units = _without_orders(
            manager.system_state, self.read("failed", _failed, strict=True)
        )
        return HostFacts(
            complete=self.frame.complete,
            privileged=self.frame.privileged,
            identity=self.identity(ids, manager, oem),
            os=os_release,
            release=self.read("release", _release, optional=True),
            cmdline=cmdline,
            running=running,
            slots=self.slots(),
            operation=status.operation if status else None,
            new_version=status.new_version if status else None,
            new_size_bytes=status.new_size_bytes if status else None,
            image_conf=self.conf("image_conf", optional=True),
            conf=conf,
            flags=self.flags(),
            prefs=prefs,
            attempt=_lasting(attempt),
            coordinator=self.coordinator(),
            lock=self.read("lock", parse_lock) if "lock" in self.frame.sections else None,
            reboot_pods=self.read("pods", parse_pods) if self.frame.privileged else None,
            units=self.read("units", _show, strict=True) or {},
            system_state=system_state,
            failed_units=failed_units,
            extensions=extensions,
            foreign_order=self.order(),
            updater_running=self.updater(),
            passing=self.passing(ids, status, attempt, prefs),
            unread=tuple(self.unread),
            odd=tuple(sorted(set(self.odd))),
        )

    def _attempt(self, text: str) -> Attempt:
        """The first line tells whether the whole boot was looked through, and whether an update was offered
        in it: the lines below are only the newest."""
        head, newline, lines = text.partition("\n")
        window, _, offers = head.partition(" ")
        if not newline or window not in ("whole", "part") or offers not in ("0", "1"):
            raise ParseError(f"the journal begins with {head[:40]!r}")
        attempt = parse_attempt(lines)
        unseen = offers == "1" and attempt.offered_version is None
        return replace(attempt, reaches_boot=window == "whole", overwrote=attempt.overwrote or unseen)

    def identity(self, ids: dict[str, str], manager: Manager, oem: str | None) -> Identity:
        containerd = self.version_of("containerd")
        docker = self.version_of("docker")
        return Identity(
            machine_id=ids.get("machine_id") or None,
            boot_id=ids.get("boot_id") or None,
            install=_install(self.text("install") or ""),
            hostname=ids.get("hostname") or None,
            arch=_ARCH.get(ids.get("arch", "")),
            oem=oem,
            kernel=ids.get("kernel") or None,
            systemd=manager.systemd,
            containerd=containerd,
            docker=docker,
        )

    def version_of(self, section: str) -> str | None:
        if section not in self.frame.sections:
            return None
        return self.read(section, _version_line)

    def conf(self, section: str, *, optional: bool) -> UpdateConf | None:
        return self.read(section, lambda text: _update_conf(text, salt=self.salt), optional=optional)

    def running(self) -> SlotName | None:
        if self.status_of("usrdev") != 0:
            return None
        return slot_of_device(self.text("usrdev") or "", self.text("slotdevs") or "")

    def slots(self) -> SlotTable | None:
        if not self.frame.privileged:
            return None
        devices = (self.text("slotdevs") or "").split("\n")
        pair = [name.strip() or None for name in devices if name.strip()]
        device_a, device_b = pair if len(pair) == 2 else (None, None)
        text_b = self.text("gpt_B") or ""
        return self.read("gpt_A", lambda text_a: _slots(text_a, text_b, device_a=device_a, device_b=device_b))

    def flags(self) -> Flags:
        pairs = self.pairs("flags")
        boot = (self.text("boot") or "").strip()
        known = {"armed": True, "clear": False}
        return Flags(
            staged_marker=_claim(pairs.get("staged_marker")),
            reboot_required=_claim(pairs.get("reboot_required")),
            no_update=_claim(pairs.get("no_update")),
            reset_armed=_claim(pairs.get("reset_armed")),
            first_boot_armed=known.get(boot),
        )

    def coordinator(self) -> Coordinator | None:
        return self.read("coordinator", _coordinator, optional=True)

    def order(self) -> str | None:
        text = self.read("order", str.strip, optional=True)
        return text[:500] if text else None

    def updater(self) -> bool | None:
        status = self.status_of("updater")
        return {0: True, 1: False}.get(status) if status is not None else None

    def extensions(self) -> Extensions | None:
        status = self.read("sysext", parse_sysext_status, strict=True)
        listed = self.read("sysext_list", parse_sysext_list, strict=True)
        if status is None or listed is None:
            return None
        links, loops = self.binary("links", parse_links) or ({}, ())
        names = {name for hierarchy in status.hierarchies.values() for name in hierarchy.extensions}
        if max(len(names), len(listed), len(links), len(loops)) > _MOST_EXTENSIONS:
            self.note("links", f"more than {_MOST_EXTENSIONS} extensions")
            return None
        return Extensions(
            merged=tuple(sorted(names)),
            candidates={entry.name: entry.path for entry in listed},
            links=links,
            loops=tuple(loops),
            meta=self.binary("meta", _meta) or {},
            enabled=_enabled(self.read("enabled", str, optional=True) or ""),
        )

    def passing(
        self, ids: dict[str, str], status: UpdateStatus | None, attempt: Attempt | None, prefs: Prefs | None
    ) -> Passing:
        containers = (self.text("containers") or "").strip()
        return Passing(
            uptime_s=_first_number(ids.get("uptime", "")),
            progress=status.progress if status else None,
            last_checked_at=status.last_checked_at if status else None,
            next_check_s=attempt.next_check_s if attempt else None,
            containers=int(containers) if re.fullmatch(r"[0-9]{1,7}", containers) else None,
            disks=self.read("df", parse_df) or {},
            time_synced=_claim(ids.get("time_synced")),
            attempt_number=prefs.attempt_number if prefs else None,
        )


def _lasting(attempt: Attempt | None) -> Attempt | None:
    """Without what changes at every check and means nothing."""
    return replace(attempt, started_at=None, next_check_s=None) if attempt else None


def _shown(char: str) -> str:
    """A character as it may be stored: one that a terminal obeys, or hides, becomes its number."""
    if char in "\n\t\r" or unicodedata.category(char) not in _HIDDEN:
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _claim(value: str | None) -> bool | None:
    return {"1": True, "0": False}.get(value or "")


def _os_id(text: str) -> str | None:
    found = re.search(r"""^ID=["']?([A-Za-z0-9._-]{1,64})["']?$""", text, flags=re.MULTILINE)
    return found[1] if found else None


def _install(text: str) -> str | None:
    found = re.search(r'"provisioningBootID"\s*:\s*"([0-9a-fA-F-]{1,64})"', text)
    return found[1] if found else None


def _enabled(text: str) -> tuple[str, ...]:
    words = (line.partition("#")[0].strip() for line in text.split("\n"))
    return tuple(word[:100] for word in words if word)


def _first_number(text: str) -> float | None:
    found = re.match(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(?:\s|$)", text)
    return float(found[1]) if found else None


def _without_orders(
    state: str | None, failed: tuple[str, ...] | None
) -> tuple[str | None, tuple[str, ...] | None]:
    """Orders leave their ended units on a host until its next boot; one that failed is no illness of it."""
    kept = None if failed is None else tuple(name for name in failed if not name.startswith("fleetctl-o-"))
    is_ours = bool(failed) and not kept
    return ("running" if is_ours and state == "degraded" else state), kept
