#!/bin/sh
# Every check that reads the code without running it. The first that fails ends it.
set -eu
cd "$(dirname "$0")/.."
phase=$PWD/scripts/phase.sh
# A copy in which the collection stands where Ansible's tools look for it.
tree=.cache/lint/ansible_collections/hybrid/mesh

"$phase" "ruff check" ruff check .
"$phase" "ruff format" ruff format --check .
"$phase" "mypy" mypy
PYTHONPATH=. "$phase" "import rules" lint-imports
"$phase" "yamllint" yamllint --strict .
"$phase" "shellcheck" scripts/shellcheck.sh
"$phase" "changelog" antsibull-changelog lint
scripts/collection-tree.sh "$tree"
export ANSIBLE_COLLECTIONS_PATH="$PWD/.cache/lint"
cd "$tree"
"$phase" "documentation of the modules" antsibull-docs lint-collection-docs --plugin-docs .
"$phase" "ansible-lint" ansible-lint --offline --strict
