# SPDX-License-Identifier: Apache-2.0
"""Redirection: which connections of this host go through Envoy, as one nftables table.

settings  what the operator wants
node      what it is on a Kubernetes node, where almost nothing is captured (pure)
facts     what the host is like (the only part that looks)
plan      settings and facts to a plan (pure)
render    the plan as nftables text and as words (pure)
nft       the programs that are run, and their errors
record    what was applied, for drift and for the agent's status
deadman   the timer that takes the table away when nobody confirms
apply     the verbs: plan, apply, remove, check, repair, confirm
"""
