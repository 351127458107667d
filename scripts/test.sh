#!/bin/sh
# All checks of the project, the quick ones first; stops at the first that fails and names it.
set -u
cd "$(dirname "$0")/.." || exit
passed=0
for phase in lint sanity unit tools cluster wire nodes molecule real istiod; do
    if ! scripts/phase.sh "$phase" make --no-print-directory "$phase"; then
        printf '\nStopped at: make %s\nphases: %s passed, 1 failed\n' "$phase" "$passed"
        exit 1
    fi
    passed=$((passed + 1))
done
printf '\nphases: %s passed, 0 failed\n' "$passed"
