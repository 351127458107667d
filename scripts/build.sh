#!/bin/sh
# Builds the collection's archive into dist/ from a clean copy, so that nothing of a working day gets into it.
set -eu
cd "$(dirname "$0")/.."
scripts/collection-tree.sh .cache/build
mkdir -p dist
ansible-galaxy collection build --force --output-path dist .cache/build
rm -rf .cache/build
