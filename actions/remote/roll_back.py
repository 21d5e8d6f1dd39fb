"""`roll-back`: the older slot boots next, for one try that falls back by itself, and updates stay off.

Updates off first, or the host reinstalls what it leaves at its next check; then the target unconfirmed with
one try (GRUB would start a damaged confirmed slot again and again), then first, then the reboot. A step that
fails puts back both slots' flags and update.conf, also where the unit was killed in between.
"""

from __future__ import annotations

from actions.orders import Verb
from actions.remote import words
from actions.remote.conf import UPDATES
from actions.remote.order import order_text
from actions.remote.reboot import MAY_REBOOT
from actions.remote.shell import KEEPING

_FORMS = {"slot": words.SLOT}

_SCRIPT = (
    MAY_REBOOT
    + r"""
check() {
case ${I[operation]} in
UPDATE_STATUS_IDLE|UPDATE_STATUS_UPDATED_NEED_REBOOT) ;;
*) refuse busy ;;
esac
[ "${I[slot_a]}" != - ] && [ "${I[slot_b]}" != - ] || refuse slots-unread
may_reboot
[ "$R" != "${I[slot]}" ] || refuse runs-already
}
put_back() {
local r=0
if [ -e "$D/$O.flags" ]; then
set_flags A "${I[slot_a]}" && set_flags B "${I[slot_b]}" && rm -f "$D/$O.flags" &&
tell both slots as they were || {
tell flags NOT restored
r=82
}
fi
restore_conf || {
tell update.conf NOT restored
r=82
}
leave
return $r
}
failed() {
tell "$1" failed
put_back || exit 82
exit 81
}
body() {
sleep 2
check
keep_conf || failed keep
updates off - || failed updates-off
tell updates off
: >"$D/$O.flags" || failed note
timeout -k 1 20 cgpt add -S0 -T1 "$L${I[slot]}" </dev/null || failed one-try
[[ $(flags "${I[slot]}") == *" tries=1 successful=0" ]] || failed one-try
tell slot "${I[slot]}" has one try
first "${I[slot]}" || failed prioritize
tell next boot is "${I[slot]}"
go || failed reboot
}
after() {
[ -e "$D/$O.going" ] || put_back
}
"""
)

ROLL_BACK = order_text(Verb.ROLL_BACK, _FORMS, _SCRIPT, UPDATES, KEEPING)


def roll_back_values(slot: str) -> dict[str, str]:
    """Values of ROLL_BACK: the slot to go back to. Raises Unsendable."""
    return words.checked({"slot": slot}, _FORMS)
