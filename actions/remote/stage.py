"""`stage`: write a release to the other slot: an exact version, an uploaded payload, or the server's offer.

The unit holds locksmithd first, since it reboots a staged host by itself. flatcar-update replaces SERVER
while it runs and loses it when it is killed or cannot download; so update.conf is kept before and put back
after, byte for byte, by the unit itself or, where that was killed, by systemd. The same goes for a mask of
update-engine, which flatcar-update takes away. Its errors go to a pipe: it opens /dev/stderr, which fails
on a socket. Source: flatcar/init:bin/flatcar-update@3298243.

Where the end is not a staged slot, locksmithd is given back and the order released; where it is, both stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actions.orders import Verb
from actions.remote import words
from actions.remote.order import order_text
from actions.remote.shell import KEEPING, LOCKSMITHD

PAYLOAD_DIR = "/var/tmp/fleetctl-{order}"
"""Where the console puts payloads; the order removes it at every end."""
MOST_EXTENSIONS = 8
FILE_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_SUM = "[0-9a-f]{64}"


@dataclass(frozen=True, slots=True)
class PayloadFile:
    """An uploaded file: its name in PAYLOAD_DIR and its SHA-256 in hex."""

    name: str
    sha256: str


_FORMS = {
    "version": words.VERSION_OR_NONE,
    "hold": words.YES_NO,
    "payload": f"^(-|{FILE_NAME} {_SUM})$",
    **{
        f"extension_{number}": f"^(-|(oem|flatcar)-[a-z0-9._-]{{1,64}}[.]gz {_SUM})$"
        for number in range(1, MOST_EXTENSIONS + 1)
    },
}

_SCRIPT = r"""
W=/var/tmp/fleetctl-
check() {
[ "${I[operation]}" = UPDATE_STATUS_IDLE ] || refuse not-idle
updater && refuse updater-running
[ "${I[hold]}" = no ] || ! foreign || masked_for_good || refuse locksmithd-in-etc
}
keep_engine() {
printf "%s %s\\n" "$(systemctl is-enabled update-engine.service 2>/dev/null)" \
"$(systemctl is-active update-engine.service)" >"$D/$O.engine"
}
restore_engine() {
local e= a=
[ -e "$D/$O.engine" ] || return 0
read -r e a <"$D/$O.engine"
case $e in
masked) systemctl mask update-engine.service </dev/null || return 1 ;;
masked-runtime) systemctl mask --runtime update-engine.service </dev/null || return 1 ;;
*) a=active ;;
esac
[ "$a" = active ] || systemctl stop update-engine.service </dev/null
rm -f "$D/$O.engine"
}
undo() {
local r=0
[ ! -e "$D/$O.over" ] || return 0
restore_conf && tell update.conf as it was || {
tell update.conf NOT restored
r=82
}
restore_engine || r=82
rm -rf -- "$W$O"
if [ "$(next)" = "$(running)" ] && [ "$(operation)" = UPDATE_STATUS_IDLE ]; then
give_back "${I[conf]}"
drop
fi
[ $r != 0 ] || : >"$D/$O.over"
return $r
}
verified() {
local n=${1% *}
[ -f "$W$O/$n" ] && [ ! -L "$W$O/$n" ] && printf "%s  %s\\n" "${1#* }" "$W$O/$n" | sha256sum --status -c -
}
given() {
local k f
A=(--to-version "${I[version]}")
for k in "${!I[@]}"; do
f=${I[$k]}
[ "$f" != - ] || continue
case $k in
payload) A+=(--to-payload "$W$O/${f% *}") ;;
extension_*) A+=(--extension "$W$O/${f% *}") ;;
*) continue ;;
esac
verified "$f" || {
tell payload "${f% *}" missing or damaged
return 1
}
done
}
offered() {
local n=0 o
engine AttemptUpdate >/dev/null || return 81
tell update asked for
sleep 6
while (( n < 30 )); do
if o=$(operation); then
n=0
case $o in
UPDATE_STATUS_IDLE|UPDATE_STATUS_UPDATED_NEED_REBOOT)
tell ended as "$o"
return 0
;;
esac
else
n=$((n+1))
fi
sleep 2
done
return 81
}
end_line() {
local f
f=$(readlink -f "$CONF") && [ -s "$f" ] || return 0
[ "$(tail -c 1 "$f" | od -An -tx1)" = " 0a" ] || printf "\\n" >>"$f"
}
exact() {
local r
given || return 83
keep_conf && keep_engine || {
tell update.conf could not be kept
return 81
}
end_line || {
tell update.conf could not be written
return 81
}
tell staging "${I[version]}"
set -o pipefail
setsid -w flatcar-update "${A[@]}" </dev/null 2>&1 | cat
r=$?
tell flatcar-update ended with $r
[ $r = 0 ] || [ "$(operation)" = UPDATE_STATUS_UPDATED_NEED_REBOOT ] || return 81
}
body() {
local r=0
A=()
[ "${I[hold]}" = no ] || hold || {
tell locksmithd could not be held
r=81
}
if [ $r = 0 ]; then
if [ "${I[version]}" = - ]; then
offered
else
exact
fi
r=$?
fi
undo || r=82
return $r
}
after() {
undo
}
"""

STAGE = order_text(Verb.STAGE, _FORMS, _SCRIPT, KEEPING, LOCKSMITHD)


def stage_values(
    version: str | None,
    *,
    hold_locksmithd: bool = True,
    payload: PayloadFile | None = None,
    extensions: Sequence[PayloadFile] = (),
) -> dict[str, str]:
    """Values of STAGE; without a version what the server offers. Raises Unsendable."""
    if (payload and version is None) or (extensions and payload is None):
        raise words.Unsendable("version" if payload else "payload", "")
    if len(extensions) > MOST_EXTENSIONS:
        raise words.Unsendable(f"extension_{len(extensions)}", extensions[-1].name)
    files = [*extensions, *(None for _ in range(MOST_EXTENSIONS - len(extensions)))]
    values = {
        "version": version or "-",
        "hold": "yes" if hold_locksmithd else "no",
        "payload": _line(payload),
        **{f"extension_{number}": _line(item) for number, item in enumerate(files, 1)},
    }
    return words.checked(values, _FORMS)


def _line(item: PayloadFile | None) -> str:
    return f"{item.name} {item.sha256}" if item else "-"
