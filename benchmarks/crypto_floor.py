"""The bare crypto that one login costs a client at least, by the library that the console stands on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

_BLOCK_S = 0.05
_BLOCKS = 5


def login_floor_s(exchange: str) -> float:
    """CPU seconds of a key exchange, an ed25519 host key checked, an ed25519 login signed; the best of tries.

    `exchange` is SSH's name of it: x25519, and ML-KEM-768 where it says so. Ciphers and hashes are left out.
    """
    ours, theirs = X25519PrivateKey.generate(), X25519PrivateKey.generate().public_key()
    host, user, message = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate(), os.urandom(256)
    signature, public, raw = host.sign(message), host.public_key(), host.public_key().public_bytes_raw()
    steps: tuple[Callable[[], object], ...] = (
        X25519PrivateKey.generate,
        lambda: ours.exchange(theirs),
        lambda: Ed25519PublicKey.from_public_bytes(raw),
        lambda: public.verify(signature, message),
        lambda: user.sign(message),
    )
    if exchange.startswith("mlkem768"):
        steps += _mlkem_steps()
    return sum(_cpu_s(step) for step in steps)


def _mlkem_steps() -> tuple[Callable[[], object], ...]:
    key = MLKEM768PrivateKey.generate()
    _, ciphertext = key.public_key().encapsulate()
    return MLKEM768PrivateKey.generate, lambda: key.decapsulate(ciphertext)


def _cpu_s(step: Callable[[], object]) -> float:
    """CPU seconds of one call, the fastest block of calls."""
    best = float("inf")
    for _ in range(_BLOCKS):
        calls, started = 0, time.process_time()
        while (spent := time.process_time() - started) < _BLOCK_S:
            for _ in range(20):
                step()
            calls += 20
        best = min(best, spent / calls)
    return best
