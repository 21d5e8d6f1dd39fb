"""`cancel`: unstage, so that the running slot boots next; or take a prepared roll-back back.

In this order: updates off where asked · hold locksmithd, which does not look again once it saw a staged
update · running slot first in the GPT · ResetStatus, which alone would leave the other slot next · marker
away · locksmithd back, only where nothing can reboot the host into the other slot. A step that fails ends
it, and locksmithd stays held. With recorded flags both slots get these instead of a new order.
"""

from __future__ import annotations

from actions.orders import Verb
from actions.remote import words
from actions.remote.conf import UPDATES
from actions.remote.order import order_text
from actions.remote.shell import LOCKSMITHD

_FORMS = {
    "updates_off": words.YES_NO,
    "remove_marker": words.YES_NO,
    "found": words.DIGEST_OR_NONE,
    "flags_a": words.FLAGS_OR_NONE,
    "flags_b": words.FLAGS_OR_NONE,
}

_SCRIPT = r"""
check() {
case ${I[operation]} in
UPDATE_STATUS_IDLE|UPDATE_STATUS_UPDATED_NEED_REBOOT) ;;
*) refuse busy ;;
esac
updater && refuse updater-running
running >/dev/null || refuse running-unknown
! foreign || masked_for_good || refuse locksmithd-in-etc
}
failed() {
tell "$1" failed
leave
exit 81
}
reset() {
local n
[ "$(operation)" != UPDATE_STATUS_IDLE ] || return 0
engine ResetStatus >/dev/null || return 1
for n in 1 2 3 4 5; do
[ "$(operation)" != UPDATE_STATUS_IDLE ] || return 0
sleep 1
done
return 1
}
body() {
local r c=${I[found]}
[ "$c" != - ] || c=${I[conf]}
r=$(running) || failed running-slot
if [ "${I[updates_off]}" = yes ]; then
updates off - && c=$(digest) || failed updates-off
tell updates off
fi
hold || failed hold
if [ "${I[flags_a]}" != - ] && [ "${I[flags_b]}" != - ]; then
set_flags A "${I[flags_a]}" && set_flags B "${I[flags_b]}" || failed flags
tell both slots as recorded
else
first "$r" || failed prioritize
tell next boot is "$r"
fi
reset || failed reset
tell status is idle
if [ "${I[remove_marker]}" = yes ]; then
rm -f /run/reboot-required || failed marker
tell reboot marker removed
fi
give_back "$c"
drop
}
after() {
drop
}
"""

CANCEL = order_text(Verb.CANCEL, _FORMS, _SCRIPT, UPDATES, LOCKSMITHD)


def cancel_values(
    *,
    updates_off: bool = False,
    remove_marker: bool = True,
    found: str | None = None,
    flags: tuple[str, str] | None = None,
) -> dict[str, str]:
    """Values of CANCEL. Raises Unsendable.

    `found`: digest of update.conf with which locksmithd may be given back, None: the guard's, or that of
    updates just switched off. `flags`: of A and B, to put a prepared roll-back back.
    """
    flags_a, flags_b = flags or ("-", "-")
    values = {
        "updates_off": "yes" if updates_off else "no",
        "remove_marker": "yes" if remove_marker else "no",
        "found": found or "-",
        "flags_a": flags_a,
        "flags_b": flags_b,
    }
    return words.checked(values, _FORMS)
