"""What a verb must know of a host beyond the probe: one exec, read-only. `extra` reads the answer.

The answer comes in the probe's frame. Everything is asked as root; where sudo refuses nothing is answered and
all of `Extra` is None. Unlike the probe it may wake the automount of /boot. The order's unit is first:
where that is over, all that follows was read after its end.
stdin: the mark, then an order id or `-`, a line each.
"""

from __future__ import annotations

from actions.remote.shell import SETTING, login_command, one_line, root_argv
from actions.remote.words import ORDER_OR_NONE, checked
from collectors.probe import _FRAME, _JOURNAL_LINES, PROBE_VERSION

JOURNAL_BYTES = 48 * 1024

_TEXT = rf"""
{SETTING}
N=0
IFS= read -r -t 10 -n 200 M && IFS= read -r -t 10 -n 200 O || exit 65
[[ $M =~ ^[A-Za-z0-9@-]{{8,100}}$ && $O =~ ^(-|o-[0-9a-z]{{6,20}})$ ]] || exit 65
{_FRAME}
printf "%s V {PROBE_VERSION} %s\\n" "$M" "$UID"
lines() {{
timeout -k 1 20 journalctl -q -b "$1" -u update-engine.service -o short-unix </dev/null 2>/dev/null
}}
journal() {{
local f t w=whole
B "$1"
f=$(lines "$2" | head -n 1)
[[ $f == *"]: Start"* || $f == *" Engine starting"* ]] || w=part
t=$(lines "$2" | grep -aE "{_JOURNAL_LINES}"; exit "${{PIPESTATUS[0]}}")
r=$?
[ "${{#t}}" -le {JOURNAL_BYTES} ] || w=part
printf "%s\\n" "$w"
printf "%s\\n" "$t" | tail -c {JOURNAL_BYTES}
E $r
}}
if [ "$O" != - ]; then
B unit
timeout -k 1 6 systemctl show -p LoadState,ActiveState,SubState,Result,ExecMainStatus \
"fleetctl-$O.service" </dev/null
E $?
B log
r=1
[ ! -e "$D/$O.log" ] || {{
tail -c 4096 "$D/$O.log"
r=$?
}}
E $r
fi
journal journal 0
timeout 10 journalctl -q -b -1 -n 1 </dev/null >/dev/null 2>&1 && journal before -1
B boot
ls /boot/. >/dev/null 2>&1
m=unmounted
while read -r d p t o; do
if [ "$p" = /boot ] && [ "$t" != autofs ]; then
m=$t
fi
done </proc/self/mounts
printf "mount\\t%s\\n" "$m"
printf "space\\t%s\\n" "$(stat -f -c "%S %b %a" /boot)"
for f in /boot/flatcar/vmlinuz-a /boot/flatcar/vmlinuz-b /boot/coreos/vmlinuz-a /boot/coreos/vmlinuz-b; do
[ ! -f "$f" ] || printf "%s\\t%s\\n" "$f" "$(stat -c %s "$f")"
done
for f in /boot/flatcar/first_boot /boot/coreos/first_boot; do
[ ! -e "$f" ] || printf "first_boot\\t1\\n"
done
E 0
B inhibitors
timeout -k 1 6 busctl --system --timeout=5 --json=short call \
org.freedesktop.login1 /org/freedesktop/login1 \
org.freedesktop.login1.Manager ListInhibitors </dev/null 2>/dev/null
E $?
B updater
pgrep -f "[/]flatcar-update" >/dev/null
E $?
B order
r=1
[ ! -e $D/order ] || {{
head -c 1000 $D/order && printf "now=%(%s)T\\n" -1
r=$?
}}
E $r
B conf
r=1
[ ! -e $CONF ] || {{
head -c 65536 $CONF
r=$?
}}
E $r
B conf_sum
sha256sum <$CONF 2>/dev/null
E $?
B locksmithd
for d in run etc; do
f=/$d/systemd/system/locksmithd.service
k=absent
if [ "$(readlink -f $f)" = /dev/null ]; then
k=mask
elif [ -e $f ] || [ -L $f ]; then
k=file
fi
printf "%s\\t%s\\n" $d $k
done
[ ! -e $D/locksmithd ] || printf "held_by\\t%s\\n" "$(sed -n "s/^order=//p" $D/locksmithd)"
printf "active\\t%s\\n" "$(systemctl is-active locksmithd.service)"
E 0
B marks
for f in /run/reboot-required /selective-os-reset /sys/fs/cgroup/cgroup.controllers; do
if [ -e $f ] || [ -L $f ]; then
printf "%s\\t1\\n" $f
else
printf "%s\\t0\\n" $f
fi
done
E 0
B var_tmp
stat -f -c "%S %b %a" /var/tmp
E $?
printf "%s Z %s\\n" "$M" "$N"
"""

PREFLIGHT_ARGV = root_argv(one_line(_TEXT), "fleetctl-preflight/1")
"""What sudo is asked to run. A sudoers rule allows exactly this."""
PREFLIGHT_COMMAND = login_command(PREFLIGHT_ARGV)


def preflight_stdin(mark: str, order_id: str | None = None) -> str:
    """What PREFLIGHT_COMMAND reads; `mark` is made anew for each run. Raises Unsendable."""
    values = checked(
        {"mark": mark, "order": order_id or "-"}, {"mark": "[A-Za-z0-9@-]{8,100}", "order": ORDER_OR_NONE}
    )
    return "".join(f"{value}\n" for value in values.values())
