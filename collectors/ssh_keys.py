"""The private keys and certificates that targets log in with, read once and kept.

A file that is missing, encrypted or no key is skipped, and named when a login fails for it. No passphrase is
ever asked for: an encrypted key is used through an agent that holds it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from collectors.errors import Reach
from collectors.known_hosts import LOOK_AGAIN_S, file_sign
from collectors.ssh_errors import failed
from collectors.transport import Target


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity file: its private key, or what is wrong with it."""

    path: str
    key: asyncssh.SSHKey | None = None
    public: bytes | None = None
    """The public key, if only that could be read: an agent may hold the private one."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a target's login has to offer."""

    identities: tuple[Identity, ...]
    certificates: tuple[asyncssh.SSHCertificate, ...]
    agent: str | None

    @property
    def keys(self) -> list[asyncssh.SSHKey]:
        return [found.key for found in self.identities if found.key is not None]

    @property
    def problems(self) -> str:
        return "; ".join(found.problem for found in self.identities if found.problem)


class Keyring:
    """Private keys and certificates: each file is read once, and again when it changed."""

    def __init__(self) -> None:
        self._offers: dict[tuple[str, ...], tuple[Offer, tuple[object, ...], float]] = {}
        self._reading = asyncio.Lock()

    async def offer(self, target: Target) -> Offer:
        """What there is for the target. Raises ConnectFailed naming the files if there is nothing."""
        files = (*target.identities, "", *target.certificates, "", target.agent or "")
        known = self._offers.get(files)
        if known is None or time.monotonic() - known[2] > LOOK_AGAIN_S:
            async with self._reading:
                known = self._offers[files] = await self._look(target, files, self._offers.get(files))
        offer = known[0]
        if offer.keys or offer.agent:
            return offer
        reason = offer.problems or "name a key in `identities`, or start ssh-agent"
        raise failed(target, f"no key to log in with: {reason}", Reach.AUTH_FAILED)

    async def _look(
        self, target: Target, files: Sequence[str], known: tuple[Offer, tuple[object, ...], float] | None
    ) -> tuple[Offer, tuple[object, ...], float]:
        now = time.monotonic()
        beside = (f"{path}-cert.pub" for path in target.identities)
        signs = tuple(file_sign(path) for path in (*files[:-1], *beside) if path)
        if known is not None and known[1] == signs:
            return known[0], signs, now
        return await asyncio.to_thread(_read_offer, target), signs, now


def _read_offer(target: Target) -> Offer:
    identities = tuple(_read_identity(path) for path in target.identities)
    beside = [f"{path}-cert.pub" for path in target.identities if os.path.exists(f"{path}-cert.pub")]
    certificates = [_read_certificate(path) for path in dict.fromkeys((*target.certificates, *beside))]
    return Offer(identities, tuple(c for c in certificates if c is not None), target.agent)


def _read_identity(path: str) -> Identity:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return Identity(path, problem=f"{path}: {(error.strerror or 'cannot be read').lower()}")
    try:
        return Identity(path, key=asyncssh.import_private_key(data))
    except asyncssh.KeyImportError as error:
        is_encrypted = str(error).startswith("Passphrase")
    public = _read_public(path) or _read_public(f"{path}.pub")
    if is_encrypted:
        return Identity(path, public=public, problem=f"{path} is encrypted: ssh-add {path}")
    if public is not None:
        return Identity(path, public=public, problem=f"{path} is a public key: ssh-add the private one")
    return Identity(path, problem=f"{path} is no private key that can be read")


def _read_public(path: str) -> bytes | None:
    try:
        return asyncssh.read_public_key(path).public_data
    except (OSError, ValueError):
        return None


def _read_certificate(path: str) -> asyncssh.SSHCertificate | None:
    try:
        return asyncssh.read_certificate(path)
    except (OSError, ValueError):
        return None
