#!/bin/sh
# phase.sh NAME COMMAND...: runs one phase of something longer; says its name before and its time after.
set -u
name=$1
shift
printf '\n=== %s\n' "$name"
start=$(date +%s)
"$@"
status=$?
seconds=$(($(date +%s) - start))
if [ "$status" -eq 0 ]; then
    printf '=== %s: %s s\n' "$name" "$seconds"
else
    printf '=== %s: FAILED after %s s (status %s)\n' "$name" "$seconds" "$status"
fi
exit "$status"
