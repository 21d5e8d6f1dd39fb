"""A process that works for another and ends with it, however that one ends."""

from __future__ import annotations

import os
import signal
import threading


def end_with_input() -> None:
    """From now on the end of standard input, whose other end the owner holds, interrupts this process.

    Whoever was started in the background of a script was born deaf to interrupts: this one must hear them.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_wait, name="attached", daemon=True).start()


def _wait() -> None:
    while os.read(0, 1024):  # not sys.stdin: its lock, held here, would break the interpreter's own end
        pass
    os.kill(os.getpid(), signal.SIGINT)
