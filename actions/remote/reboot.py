"""`activate` and `reboot`: a clean reboot into the slot that the order expects.

Asked on the host once more, on the channel and again just before: no reset or first boot armed, no inhibitor,
running slot confirmed, the expected slot next. Inhibitors come from logind itself, since the columns
of systemd-inhibit cannot be told apart from the words of who holds one.
"""

from __future__ import annotations

from actions.orders import Verb
from actions.remote import words
from actions.remote.order import VerbText, order_text

MAY_REBOOT = r"""
inhibited() {
local t
t=$(busctl --system --timeout=5 --json=short call \
org.freedesktop.login1 /org/freedesktop/login1 \
org.freedesktop.login1.Manager ListInhibitors </dev/null 2>/dev/null) || return 2
[[ $t =~ \"a\(ssssuu\)\" ]] || return 2
[[ $t =~ \[\"([a-z-]+:)*shutdown(:[a-z-]+)*\",\"([^\"\\]|\\.)*\",\"([^\"\\]|\\.)*\",\"block ]]
}
may_reboot() {
local f r
r=$(running) || refuse running-unknown
[[ $(flags "$r") == *successful=1 ]] || refuse unconfirmed
[ ! -e /selective-os-reset ] && [ ! -L /selective-os-reset ] || refuse reset-armed
[ -d /boot/flatcar/. ] || [ -d /boot/coreos/. ] || refuse boot-unread
for f in /boot/flatcar/first_boot /boot/coreos/first_boot; do
[ ! -e "$f" ] || refuse first-boot-armed
done
updater && refuse updater-running
inhibited
case $? in
0) refuse inhibited ;;
2) refuse inhibitors-unread ;;
esac
R=$r
}
go() {
: >"$D/$O.going"
tell rebooting
sync
systemctl reboot </dev/null && return 0
rm -f "$D/$O.going"
return 1
}
"""
"""`may_reboot` refuses or sets R to the running slot; `go` reboots: 1 where the host would not."""

_FORMS = {"slot": words.SLOT}

_SCRIPT = (
    MAY_REBOOT
    + r"""
check() {
case ${I[operation]} in
UPDATE_STATUS_IDLE|UPDATE_STATUS_UPDATED_NEED_REBOOT) ;;
*) refuse busy ;;
esac
may_reboot
[ "$(next)" = "${I[slot]}" ] || refuse other-slot-next
case $V in
activate) [ "$R" != "${I[slot]}" ] || refuse nothing-staged ;;
*) [ "$R" = "${I[slot]}" ] || refuse other-slot-next ;;
esac
}
body() {
sleep 2
check
go && return 0
tell reboot was refused
leave
return 81
}
after() {
[ -e "$D/$O.going" ] || leave
}
"""
)


ACTIVATE: VerbText = order_text(Verb.ACTIVATE, _FORMS, _SCRIPT)
REBOOT: VerbText = order_text(Verb.REBOOT, _FORMS, _SCRIPT)


def reboot_values(slot: str) -> dict[str, str]:
    """Values of ACTIVATE (the staged slot) and REBOOT (the running one). Raises Unsendable."""
    return words.checked({"slot": slot}, _FORMS)
