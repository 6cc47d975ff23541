r"""The shell script of a cut-over, which runs on the database host to its end whatever becomes of the session.

Decides the order inside the moment in which writes are held, and what is done about every step that fails. Its texts
(SQL, definitions) come on standard input, each after a line that begins with the cut mark: a hash of all of them, so
that none can hold it. See `swap` for what the steps are for. For dash, bash and busybox ash.
"""

from __future__ import annotations

from typing import Final

from remedy.actions.recovery.staging import LOGIN_FILE
from remedy.probes.database import CLIENT

#: The text after which nothing more comes.
END: Final = "end"

SCRIPT: Final = (
    r"""
set -u
trap '' HUP PIPE
f=$1 run=$2 live=$3 aside=$4 hold=$5 print=$6 new=$7 old=$8 cut=$9
run_client() ( """
    + CLIENT
    + r""" )
sql() { run_client "$f" --batch --raw --skip-column-names --binary-mode --default-character-set=utf8mb4 "$@"; }
say() { printf '%s\n' "$*" >&2; }
now() { read -r up rest < /proc/uptime; printf '%s0' "${up%.*}${up#*.}"; }
leave() { exit "$1"; }
# One at a time: one that was sent over a session that broke may still be at work, and is waited for.
if command -v flock > /dev/null; then
  (umask 077; : >> /run/remedy-swap.lock) && exec 9> /run/remedy-swap.lock &&
    { flock -w 120 9 2> /dev/null || flock -n 9; } ||
    { say "another cut-over is at work on this host; nothing was moved"; leave 3; }
  rm -rf "/run/remedy-swap.$run".*
fi
d=$(mktemp -d "/run/remedy-swap.$run.XXXXXX") || leave 3
trap 'rm -rf "$d"' EXIT
# The texts of standard input, one file each.
awk -v d="$d" -v cut="$cut" '$1 == cut { file = d "/" $2; printf "" > file; next } { print > file }'
[ -e "$d/"""
    + END
    + r"""" ] || { say "the script's texts did not arrive; nothing was moved"; leave 3; }
user=remedy_swap_$run
"""
    + LOGIN_FILE
    + r"""
make_login "$user" "$d/cnf" || leave 3
sed "s/@PASSWORD@/$p/g; s/@HOST@/$h/g" "$d/account" > "$d/account.sql"
definitions() {
  run_client "$d/cnf" --batch --binary-mode --comments --force --default-character-set=utf8mb4 "--database=$live" "$@"
}
# Writes go on first; then the account and the settings, last the file that would hold a restarted server.
thaw() {
  n=0
  until sql < "$d/thaw" 2> "$d/err.thaw"; do
    n=$((n + 1))
    [ $n -lt 20 ] || { errors "$d/err.thaw"; say "writes are still held; by hand: SET GLOBAL read_only=0"; return 1; }
    sleep 0.5
  done
  [ -z "$hold" ] || { rm -f "$hold"; sync "${hold%/*}" 2> /dev/null || sync; }
}
# The list is complete before the first is ended, or whoever reads it could end itself.
end_sessions() {
  echo "SELECT CONCAT('KILL ', id, ';') FROM information_schema.processlist WHERE id <> CONNECTION_ID()
    AND user NOT IN ('system user', 'event_scheduler') AND command NOT LIKE 'Binlog Dump%' $1 ORDER BY id;" |
    sql > "$d/kill" && sql --force < "$d/kill"
} 2> /dev/null
ours="AND (db = $(cat "$d/live") OR id IN (SELECT trx_mysql_thread_id FROM information_schema.innodb_trx))"
# Does something, again after everybody who might be in the way has been ended; each try waits a second for a lock.
insist() {
  tries=0
  until "$@" 2> "$d/err"; do
    tries=$((tries + 1))
    [ $tries -lt 2 ] || { [ $tries -lt 10 ] && grep -qE '^ERROR (1205|1969)' "$d/err"; } ||
      { errors "$d/err"; return 1; }
    end_sessions ""
  done
}
# What the server said; not the statements, which the client repeats, nor a password in them.
errors() { { grep '^ERROR' "$1" || cat "$1"; } | sed "s/$p/…/g" | head -5 >&2; }
text() { sql < "$d/$1"; }
same() { [ "$(text print)" = "$print" ]; }
# Writes a generated script and runs it.
generated() { text "$1" > "$d/$1.sql" && sql < "$d/$1.sql"; }
create() {  # $1 the definitions, $2 how many there must be in the end
  insist generated drop || return 1
  before=-1
  while :; do
    definitions < "$d/$1" > /dev/null 2> "$d/err"
    made=$(text "count.$1") || return 1
    [ "$made" != "$2" ] || return 0
    [ "$made" -gt "$before" ] || return 1
    before=$made
  done
}
# What an execution that was cut short has dropped is made again; what is there already is left alone.
put_back() { definitions < "$d/old" > /dev/null 2>&1; }
stay() { text unmark || say "the mark could not be written"; thaw; leave "$1"; }
stop() { say "$2; nothing was moved"; leave "$1"; }
[ "$(text finished)" != 1 ] || { thaw; leave $?; }
moved=$(text moved) || stop 3 "the database does not answer"
begun=$(text begun)
changed="views, triggers, routines or events have changed since the plan"
if [ "$moved$begun" = 00 ]; then
  same || stop 5 "$changed"
  [ "$(text theirs)" = 0 ] || stop 5 "somebody else has made the server read-only"
fi
# What ends here ends before anything is held; but what an earlier execution has held stays held.
unready() { rm -f "$d/cnf"; [ "$moved$begun" != 00 ] || text away; stop 4 "$1"; }
# 1. hold writes
insist text account.sql || unready "the account for the definitions could not be made"
run_client "$d/cnf" --batch -e 'DO 0' || unready "the account for the definitions cannot log in"
if [ -n "$hold" ]; then
  printf '# remedy run %s holds writes during a cut-over; remedy resume %s ends it
[mysqld]\nread_only=1\nevent_scheduler=OFF\n' "$run" "$run" > "$hold" && chmod 644 "$hold" ||
    { [ "$moved$begun" != 00 ] || rm -f "$hold"; unready "cannot write $hold"; }
  sync "$hold" "${hold%/*}" 2> /dev/null || sync
fi
started=$(now)
if ! insist text freeze; then
  # Half of a cut-over must not be written into.
  [ "$moved" != 1 ] || { say "writes could not be held"; leave 8; }
  thaw; stop 4 "writes could not be held"
fi
if [ "$moved" != 1 ]; then
  end_sessions "$ours"
  # 2. still those of the plan?
  [ "$begun" != 1 ] || put_back
  same || { say "$changed; nothing was moved"; stay 5; }
  # 3. one rename
  insist text begin || { say "the mark could not be written; nothing was moved"; stay 4; }
  if ! insist generated move; then
    say "the tables could not be moved; none was"
    create old "$old" || say "and not every definition could be put back: they are kept in the plan"
    stay 6
  fi
fi
# 4. definitions
if ! create new "$new"; then
  say "not every view, trigger, routine and event could be created; everything was moved back:"
  grep '^ERROR' "$d/err" | grep -v 'already exists' > "$d/errs" || cp "$d/err" "$d/errs"; errors "$d/errs"
  insist generated back || { say "and could not be moved back; writes are still held"; leave 8; }
  create old "$old" || say "and not every old one could be put back: they are kept in the plan"
  stay 7
fi
# 5. done
ms=$(($(now) - started))
sed "s/@MS@/$ms/g" "$d/mark" > "$d/mark.sql"
insist text mark.sql || { say "the mark could not be written; writes are still held"; leave 8; }
thaw || leave 8
leave 0
"""
)
