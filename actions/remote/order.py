"""How every order reaches a host: take the host, compare it with the plan, start a unit that does the work.

One text per verb, the same on all hosts; what differs comes on stdin, `key=value` a line, closed by `end`.
The text runs in three ways: on the channel (no argument), as the main process of its unit (`body ORDER`)
and as what systemd runs when that one ended badly (`after ORDER`). Between them stand files of root in
/run/fleetctl: `order` (who holds the host), ORDER.sh (the text), ORDER.in (the values), ORDER.log (steps).

The channel's answer is one line, `fleetctl ORDER WORD DETAIL`, and an exit status of `words.Exit`:
`started` · `running` (this order's unit is there already; nothing is compared or done) · `taken …` ·
`moved KEY FOUND` · `refused CODE` · `malformed KEY` · `not-started WHY`. Everything after `started` is
independent of the channel; whether it worked is seen at the host, never here.

An order is over at its `until` (host's clock) or with the boot; one that another of the same console
`follows` is replaced once its unit has ended, and holds the host again where the other did nothing or undid
all. RuntimeMaxSec ends a unit at `until`. A unit that ended well stays as `active (exited)`, so that its name
cannot be started again in this boot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from actions.orders import Guard, Verb
from actions.remote import words
from actions.remote.shell import SETTING, STATE, login_command, one_line, root_argv
from collectors.parse.text import clean

ORDER_VERSION = 1

_COMMON: Mapping[str, str] = {
    "order": words.ORDER,
    "actor": words.PERSON,
    "console": words.PERSON,
    "lasts": words.SECONDS,
    "follows": words.ORDER_OR_NONE,
    "boot_id": words.BOOT_ID,
    "slot_a": words.FLAGS_OR_NONE,
    "slot_b": words.FLAGS_OR_NONE,
    "operation": words.OPERATION,
    "conf": words.DIGEST,
}
"""Lines of every verb, in this order, before its own."""


@dataclass(frozen=True, slots=True)
class Order:
    """Who asks, and for how long the host is theirs."""

    id: str
    actor: str
    console: str
    lasts_s: int
    """From its start, by the host's clock: a console whose clock is wrong holds no host for ever."""
    follows: str | None = None
    """An earlier order of this console that this one may replace."""


@dataclass(frozen=True, slots=True)
class VerbText:
    """A verb's fixed text and the values it takes."""

    verb: Verb
    forms: Mapping[str, str]
    """Key on stdin -> expression that its value must match."""
    text: str

    @property
    def argv(self) -> tuple[str, ...]:
        """What runs as root on the host: constant."""
        return root_argv(self.text, f"fleetctl-order-{self.verb}/{ORDER_VERSION}")

    @property
    def command(self) -> str:
        """The command line for the SSH channel: constant."""
        return login_command(self.argv)

    def stdin(self, order: Order, guard: Guard, values: Mapping[str, str]) -> str:
        """What the command reads. Raises Unsendable, naming the key."""
        common = {
            "order": order.id,
            "actor": words.person(order.actor),
            "console": words.person(order.console),
            "lasts": str(order.lasts_s),
            "follows": order.follows or "-",
            "boot_id": guard.boot_id,
            "slot_a": guard.slot_a,
            "slot_b": guard.slot_b,
            "operation": guard.operation,
            "conf": guard.conf_digest,
        }
        lines = words.checked(common, _COMMON) | words.checked(values, self.forms)
        return "".join(f"{key}={value}\n" for key, value in lines.items()) + "end\n"


class Word(StrEnum):
    """What the channel answered."""

    STARTED = "started"
    RUNNING = "running"
    TAKEN = "taken"
    MOVED = "moved"
    REFUSED = "refused"
    MALFORMED = "malformed"
    NOT_STARTED = "not-started"


@dataclass(frozen=True, slots=True)
class Reply:
    word: Word | None
    """None: no answer of ours; what happened is only seen by a look, but for exit status NOT_ALLOWED."""
    detail: str = ""
    """One printable line: what moved, who holds the host, why it is refused."""

    @property
    def nothing_done(self) -> bool:
        return self.word not in (None, Word.STARTED, Word.RUNNING)


def read_reply(stdout: bytes, order_id: str) -> Reply:
    """The channel's answer among whatever else a login prints; total. Two different answers are none."""
    text = stdout[:65536].decode("utf-8", "replace")
    found = re.findall(rf"^fleetctl (?:{re.escape(order_id)}|-) ([a-z-]+)(?: ([^\n]*))?$", text, re.MULTILINE)
    replies = {(word, detail) for word, detail in found if word in set(Word)}
    if len(replies) != 1:
        return Reply(None)
    ((word, detail),) = replies
    return Reply(Word(word), clean(detail, 400))


_TALK = r"""
O=-
M=
declare -A I
reply() {
printf "fleetctl %s %s\\n" "$O" "$*"
}
tell() {
reply "$@"
printf "%s\\n" "$*" >>"$D/$O.log"
}
bad() {
reply malformed "$1"
exit 65
}
held_by() {
sed -n "s/^$1=//p" "$D/order" 2>/dev/null | head -n 1
}
drop() {
[ -z "$M" ] || [ "$(held_by order)" != "$O" ] || rm -f "$D/order"
}
leave() {
if [ -n "$M" ] && [ -e "$D/$O.before" ] && [ "$(held_by order)" = "$O" ]; then
mv -T -f "$D/$O.before" "$D/order"
else
drop
fi
}
refuse() {
leave
tell refused "$1"
exit 77
}
loaded() {
[ "$(systemctl show -p LoadState --value "fleetctl-$1.service" 2>/dev/null)" = loaded ]
}
busy() {
case $(systemctl show -p SubState --value "fleetctl-$1.service" 2>/dev/null) in
dead|exited|failed) return 1 ;;
*) return 0 ;;
esac
}
need() {
[[ ${I[$1]-} =~ $2 ]] || bad "$1"
}
"""

_TAKE = r"""
take() {
local h u n
mkdir -p -m 755 "$D" && exec 9>"$D/lock" && flock -w 20 9 || {
reply not-started lock
exit 69
}
loaded "$O" && {
reply running
exit 0
}
printf -v n "%(%s)T" -1
printf "%s\\n" "order=$O" "actor=${I[actor]}" "console=${I[console]}" \
"verb=$V" "boot_id=${I[boot_id]}" "until=$((n+I[lasts]))" >"$D/order.new" || {
reply not-started file
exit 69
}
if ln -T "$D/order.new" "$D/order" 2>/dev/null; then
M=1
rm -f "$D/order.new"
return
fi
h=$(held_by order)
[ "$h" != "$O" ] || {
rm -f "$D/order.new"
return 0
}
u=$(held_by until)
if [[ $h =~ ^o-[0-9a-z]{6,20}$ && $u =~ ^[1-9][0-9]{8,10}$ ]] &&
{ (( u <= n )) || [ "$h" = "${I[follows]}" ]; } && ! busy "$h"; then
cp "$D/order" "$D/$O.before" && mv -T -f "$D/order.new" "$D/order" && M=1 && return
fi
rm -f "$D/order.new"
reply taken "$(head -c 400 "$D/order" | tr -c "[:alnum:]=@._+?-" " ")"
exit 75
}
guard() {
local k v
for k in boot_id slot_a slot_b operation conf; do
case $k in
boot_id) v=$(</proc/sys/kernel/random/boot_id) ;;
slot_a) v=$(flags A) || v=- ;;
slot_b) v=$(flags B) || v=- ;;
operation) v=$(operation) || v=- ;;
conf) v=$(digest) || v=unread ;;
esac
[ "$v" = "${I[$k]}" ] || {
leave
reply moved "$k $v"
exit 87
}
done
}
begin() {
local s=$D/$O.sh k why
rm -f "$D/$O.log"
(umask 077; printf "%s\\n" "$BASH_EXECUTION_STRING" >"$s" &&
for k in $K; do printf "%s=%s\\n" "$k" "${I[$k]}"; done >"$D/$O.in" && printf "end\\n" >>"$D/$O.in") || {
leave
reply not-started file
exit 69
}
why=$(systemd-run --quiet --unit="fleetctl-$O" --description="fleetctl $V by ${I[actor]}" \
-p RemainAfterExit=yes -p "RuntimeMaxSec=${I[lasts]}" \
-p "ExecStopPost=/bin/bash --norc --noprofile $s after $O" \
/bin/bash --norc --noprofile "$s" body "$O" </dev/null 2>&1 >/dev/null 9>&-) || {
if loaded "$O"; then
reply running
exit 0
fi
leave
reply not-started "$(printf %s "${why:0:300}" | tr -c "[:alnum:]=@._+?:-" " ")"
exit 69
}
reply started
}
"""

_MAIN = r"""
case ${1-} in
body|after)
[[ ${2-} =~ ^o-[0-9a-z]{6,20}$ ]] || exit 65
ask <"$D/$2.in" || exit 65
O=$2
M=1
if [ "$1" = body ]; then
body
r=$?
else
after
r=$?
fi
exit $r
;;
esac
ask
take
guard
check
begin
"""


def order_text(verb: Verb, forms: Mapping[str, str], script: str, *parts: str) -> VerbText:
    """A verb's text. `script` defines `check` (refuses on the channel), `body` and `after`; `parts` are
    shell functions of `actions.remote.shell` beside those that all verbs have."""
    every = dict(_COMMON) | dict(forms)
    keys = " ".join(every)
    needs = "\n".join(f"need {key} '{form}'" for key, form in every.items() if key != "order")
    ask = f"""
    ask() {{
    local l e=
    while IFS= read -r -t 20 -n 700 l; do
    case $l in
    end)
    e=1
    break
    ;;
    {"|".join(f"{key}=*" for key in every)}) I[${{l%%=*}}]=${{l#*=}} ;;
    *) bad line ;;
    esac
    done
    [ -n "$e" ] || bad end
    need order '{words.ORDER}'
    O=${{I[order]}}
    {needs}
    }}
    """
    head = f"V={verb}\nK='{keys}'\n"
    lines = (SETTING, head, _TALK, ask, STATE, *parts, _TAKE, script, _MAIN)
    return VerbText(verb, forms, one_line("\n".join(lines)))
