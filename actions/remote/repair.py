"""`repair`: put right what interrupted programs are known to leave behind, and nothing else.

Each repair asks once more on the host whether its residue is there, and tells what it did in a line:
`server` SERVER points at the host itself and no flatcar-update runs · `staged` status was reset, and the GPT
still boots the never confirmed other slot · `marks` update_engine waits for a reboot, and the GPT boots the
running slot · `locksmithd` an order of ours held it, and nothing is staged any more.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from actions.orders import Verb
from actions.remote import words
from actions.remote.conf import UPDATES
from actions.remote.order import order_text
from actions.remote.shell import LOCKSMITHD


class Residue(StrEnum):
    SERVER = "server"
    STAGED = "staged"
    MARKS = "marks"
    LOCKSMITHD = "locksmithd"


_FORMS = {
    **{residue.value: words.YES_NO for residue in Residue},
    "restore_server": words.SERVER_OR_NONE,
    "remove_marker": words.YES_NO,
}

_SCRIPT = r"""
check() {
case ${I[operation]} in
-|UPDATE_STATUS_IDLE|UPDATE_STATUS_UPDATED_NEED_REBOOT) ;;
*) refuse busy ;;
esac
updater && refuse updater-running
[ "${I[staged]}${I[marks]}" = nono ] || running >/dev/null || refuse running-unknown
}
wanted() {
[ "${I[$1]}" = yes ]
}
local_server() {
grep -aEq "^SERVER=[\"']?https?://(localhost|127[.])" "$CONF" 2>/dev/null
}
server() {
local_server || {
tell server: no residue
return 0
}
if [ "${I[restore_server]}" = - ]; then
rewrite SERVER - "[\"']\\?https\\?://\\(localhost\\|127[.]\\)"
else
rewrite SERVER "${I[restore_server]}"
fi
! local_server && tell server: residue removed
}
staged() {
local r n
r=$(running) && n=$(next) || return 1
if [ "$n" = "$r" ] || [ "$(operation)" != UPDATE_STATUS_IDLE ] || [[ $(flags "$n") != *successful=0 ]]; then
tell staged: no residue
return 0
fi
[[ $(flags "$r") == *successful=1 ]] && first "$r" && tell staged: next boot is "$r"
}
marks() {
local r n
r=$(running) && n=$(next) || return 1
if [ "$n" != "$r" ] || [ "$(operation)" != UPDATE_STATUS_UPDATED_NEED_REBOOT ]; then
tell marks: no residue
return 0
fi
engine ResetStatus >/dev/null || return 1
[ "${I[remove_marker]}" = no ] || rm -f /run/reboot-required
tell marks: status reset
}
locksmithd() {
give_back -
}
body() {
local k r=0
for k in server staged marks locksmithd; do
wanted "$k" || continue
"$k" || {
tell "$k: failed"
r=81
}
done
drop
return $r
}
after() {
local f
f=$(readlink -f "$CONF") && rm -f -- "${f%/*}/.${f##*/}.fleetctl-$O"
drop
}
"""

REPAIR = order_text(Verb.REPAIR, _FORMS, _SCRIPT, UPDATES, LOCKSMITHD)


def repair_values(
    residues: Collection[Residue], *, server: str | None = None, remove_marker: bool = False
) -> dict[str, str]:
    """Values of REPAIR; `server` takes the place of a residue, None: its line goes. Raises Unsendable."""
    values = {residue.value: "yes" if residue in residues else "no" for residue in Residue}
    values |= {"restore_server": server or "-", "remove_marker": "yes" if remove_marker else "no"}
    return words.checked(values, _FORMS)
