# SPDX-License-Identifier: Apache-2.0
"""Names: mesh names are answered here, all others by the host's own resolvers.

names       text <-> wire form of domain names (pure)
table       the control plane's name table as an index: which host does a question mean (pure)
wire        DNS messages: questions to answers as bytes (pure, the hot path)
resolvconf  resolv.conf(5): nameservers and search list (pure)
forward     questions that are not ours, to the upstreams
transport   one question to one upstream
datagrams   many datagrams a system call; one_by_one where the kernel cannot
server      the UDP and TCP sockets
store       the last good name table on disk
service     the parts together
"""
