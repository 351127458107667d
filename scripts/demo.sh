#!/bin/sh
# demo.sh INVENTORY: brings the lab up, joins it to one mesh, proves the mesh, and says how to look around.
set -u
cd "$(dirname "$0")/.." || exit
inventory=$1
report=$PWD/.lab/verify
times=""

run() {
    name=$1
    start=$(date +%s)
    scripts/phase.sh "$@" || return
    times="$times$(printf '  %-10s %4s s' "$name" "$(($(date +%s) - start))")
"
}

run lab python -m lab up --inventory "$inventory" || exit
run site ansible-playbook --inventory "$inventory" playbooks/site.yml || exit
run verify ansible-playbook --inventory "$inventory" playbooks/verify.yml \
    --extra-vars "mesh_verify_directory=$report"
status=$?

if [ "$status" -eq 0 ]; then
    verdict="The mesh is proved. The calls, the identities and the paths they took:"
else
    verdict="The mesh is NOT proved; the reports say which calls failed:"
fi
cluster=""
if [ -e .lab/cluster/admin.kubeconfig ]; then
    cluster='
  .venv/bin/python -m lab kubectl get workloadentries --all-namespaces'
fi
cat <<EOF

$verdict
  $report/verify.html    a page with a picture, for a person
  $report/verify.json    the same for a program; verify.xml for a CI

The hosts stay up. To look around:
  .venv/bin/python -m lab status
  .venv/bin/python -m lab ssh web curl -s http://api.shop.svc.cluster.local/
  .venv/bin/python -m lab ssh api-1 PGPASSWORD=shop psql -h db.shop.svc.cluster.local -U shop -c "'SELECT * FROM orders'"
  .venv/bin/python -m lab ssh outsider curl -sv -m 3 http://10.231.1.21:8080/
  .venv/bin/python -m lab ssh web mesh-agent status$cluster
  make demo-down         removes them

Time:
$times
EOF
exit "$status"
