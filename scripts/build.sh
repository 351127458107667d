#!/bin/sh
# build.sh [DIRECTORY]: builds the collection's archive into dist/, or into DIRECTORY, from a clean copy of the project's
# files, so that nothing of a working day gets into it.
set -eu
cd "$(dirname "$0")/.."
target=${1:-dist}
scripts/collection-tree.sh .cache/build
mkdir -p "$target"
ansible-galaxy collection build --force --output-path "$target" .cache/build
rm -rf .cache/build
