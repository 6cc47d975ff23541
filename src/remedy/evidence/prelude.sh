# What every step of a collection begins with, and the functions that it may use. For dash, bash and busybox ash.
#
# Nothing is written here: no file, no here-document (some shells keep those in a temporary file), no sort (which may
# spill into /tmp). Exit codes of a step: 66 what was asked for is not there, 77 we may not, 65 some was left out;
# anything else but 0 means that it broke off.

# Sections of the output begin with a line of this word, which nobody on the host can have known before.
IFS= read -r fence
# When whoever listens goes away, all that this step has started goes too.
exec 9<&0 </dev/null
{ while IFS= read -r _; do :; done <&9; kill -9 0; } >/dev/null 2>&1 &
trap "kill $! 2>/dev/null" EXIT
exec 9<&-

nl='
'

# section WORDS...: a new section of the output begins.
section() { printf '\n%s %s\n' "$fence" "$*"; }

# have PROGRAM: whether it is there.
have() { command -v "$1" >/dev/null 2>&1; }

# files FILE...: each file there is, in a section of its own.
files() {
  for file; do
    [ -f "$file" ] || continue
    section "file $file"
    cat "$file"
  done
}

# each_mount FUNCTION: call it with mount point, type, device and root of every mount; the mount point as it is shown.
# A root folder that is no mount point (of a login that was changed into a folder) counts as one of unknown type.
each_mount() {
  _rooted=
  while read -r _ _ device root shown rest; do
    rest=${rest#*- }
    point=$(printf '%b.' "$shown")
    [ "$point" = /. ] && _rooted=yes
    "$1" "${point%.}" "${rest%% *}" "$device" "$root" "$shown" </dev/null
  done </proc/self/mountinfo
  [ -n "$_rooted" ] || "$1" / unknown - - / </dev/null
}

# each_process FUNCTION [all]: call it with the number of every process, asked for one by one: what is hidden from
# listings is found. A thread answers too, and is told by belonging to another number. Numbers are given out in turn, so
# that none can be higher than the last one until they have all been used once; but root can choose one, which only
# `all` finds (of 4 million numbers 15 seconds).
each_process() {
  # not by the shell's read: it takes single bytes, of which such a file has but one
  most=$(cat /proc/sys/kernel/pid_max)
  [ "${2:-}" = all ] || _last
  number=0
  while [ $((number += 1)) -le "$most" ]; do
    [ -d "/proc/$number" ] || continue
    group=
    { while read -r word value _; do
      case $word in Tgid:) group=$value && break ;; esac
    done <"/proc/$number/status"; } 2>/dev/null
    [ "$group" = "$number" ] && "$1" "$number" </dev/null
  done
  :
}
_last() {
  { while read -r word value; do
    case $word in processes) forks=$value ;; esac
  done; } </proc/stat
  read -r _ _ _ _ last </proc/loadavg
  case $forks$last in "" | *[!0-9]*) return ;; esac
  [ "$forks" -lt "$most" ] && [ $((last + 1000)) -lt "$most" ] && most=$((last + 1000))
}

# compared FUNCTION [all]: `each_process`, between two looks at what listings show, and at last which of all those are
# still there.
compared() {
  _listed before
  _walked=
  _show=$1
  each_process _noted "${2:-}"
  _listed after
  section still
  for number in $_walked; do
    [ -d "/proc/$number" ] && echo "$number"
  done
  :
}
_noted() {
  _walked="$_walked $1"
  section "process $1"
  "$_show" "$1"
}
_listed() {
  section "glob $1"
  (cd /proc && echo [0-9]*)
  section "ls $1"
  ls /proc
  section "ps $1"
  ps -e -o pid= 2>/dev/null || ps -o pid
}

# names DIR...: the names of all that lies below, on the same file system, what was written last first, each ended by
# NUL; without those that `leave`, words of find, rules out.
leave=
names() {
  # shellcheck disable=SC2086 -- words of find
  find "$@" -xdev $leave -mtime -2 -print0
  # shellcheck disable=SC2086
  find "$@" -xdev $leave ! -mtime -2 -mtime -30 -print0
  # shellcheck disable=SC2086
  find "$@" -xdev $leave ! -mtime -30 -print0
}

# squeeze: compress, where the host can; else it is done where it is kept.
squeeze() { if have zstd; then zstd -q -1 -c; else cat; fi; }

# archive DIR...: one tar of all that lies below those that are there, on the same file system. No content of a fifo, a
# device or a socket is read. Another tar than GNU's knows no holes, and gives several archives one after the other (tar -i reads them).
archive() {
  for place; do
    shift
    if [ -L "$place" ]; then set -- "$@" "$(readlink -f "$place")"; fi
    if [ -e "$place" ] || [ -L "$place" ]; then set -- "$@" "$place"; fi
  done
  [ $# -gt 0 ] || exit 66
  exec 4>&1
  ended=$({ {
    _archive "$@" 3>&- 4>&-
    echo $? >&3
  } | squeeze >&4 3>&- 4>&-; } 3>&1)
  exec 4>&-
  return "${ended:-1}"
}
_archive() {
  case $(tar --version 2>/dev/null) in
  *"GNU tar"*)
    names "$@" | tar --create --null --no-recursion --sparse --ignore-failed-read --file=- --files-from=-
    # 1: a file changed or went while it was read
    r=$? && [ "$r" -eq 1 ] && r=0
    return "$r"
    ;;
  esac
  r=0
  for age in "-mtime -2" "! -mtime -2 -mtime -30" "! -mtime -30"; do
    # shellcheck disable=SC2086 -- words
    find "$@" -xdev $leave $age ! -size +8388608 -exec tar -c -f - --no-recursion {} + || r=$?
  done
  if [ -n "$(find "$@" -xdev -type f -size +8388608)" ]; then
    echo "left out, for this host's tar knows no holes: files of more than 4 GiB" >&2
    [ "$r" -eq 0 ] && r=65
  fi
  return "$r"
}
