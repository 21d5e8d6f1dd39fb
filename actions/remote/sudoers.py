"""The sudoers lines of orders: each allows one user one text, byte for byte."""

from __future__ import annotations

from collections.abc import Iterable

from actions.orders import Verb
from actions.remote.aftermath import AFTERMATH_ARGV
from actions.remote.cancel import CANCEL
from actions.remote.channel import CHANNEL
from actions.remote.order import VerbText
from actions.remote.preflight import PREFLIGHT_ARGV
from actions.remote.reboot import ACTIVATE, REBOOT
from actions.remote.repair import REPAIR
from actions.remote.roll_back import ROLL_BACK
from actions.remote.shell import sudoers_line
from actions.remote.slot_proof import PROOF_ARGV
from actions.remote.stage import STAGE
from actions.remote.updates import UPDATES_ORDER
from actions.remote.upload import UPLOAD_ARGV

TEXTS: dict[Verb, VerbText] = {
    item.verb: item for item in (STAGE, CANCEL, ACTIVATE, REBOOT, ROLL_BACK, CHANNEL, UPDATES_ORDER, REPAIR)
}
"""Every verb that sends something, and what it sends."""

_PROVED = (Verb.STAGE, Verb.ROLL_BACK)


def orders_sudoers(user: str, verbs: Iterable[Verb]) -> str:
    """Lines for sudoers: the verbs, preflight, the slot proof and the boot before where a verb needs them."""
    wanted = [verb for verb in Verb if verb in set(verbs)]
    argvs = [TEXTS[verb].argv for verb in wanted]
    if wanted:
        argvs.append(PREFLIGHT_ARGV)
    if any(verb.reboots for verb in wanted):
        argvs.append(AFTERMATH_ARGV)
    if Verb.STAGE in wanted:
        argvs.append(UPLOAD_ARGV)
    if any(verb in _PROVED for verb in wanted):
        argvs.append(PROOF_ARGV)
    return "".join(sudoers_line(user, argv) for argv in argvs)
