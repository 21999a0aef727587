#!/bin/sh
# Runs dump.exe under Wine for all that it knows; $1 is the directory for what it writes.
# In a network namespace of its own there are no other sockets than its own.
set -eu
cd "$1"
mkdir watched
ip link set lo up
wine wineboot -i </dev/null >/dev/null 2>&1
run() { # run FILE ARGUMENTS: keep what it writes in FILE
    file=$1
    shift
    wine dump.exe "$@" </dev/null >"$file" 2>"$file.errors" || { cat "$file.errors" && exit 1; }
}
run processes processes
run tcp4 tcp 4
run tcp6 tcp 6
run udp4 udp 4
run udp6 udp 6
run changes changes "Z:$(pwd | tr / '\\')\\watched"
wineserver -k
