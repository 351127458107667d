# SPDX-License-Identifier: Apache-2.0
"""The ADS relay: Envoy's configuration stream, carried to the control plane and back.

subscriptions  what Envoy asked for, holds and has not yet judged (pure)
lastgood       resources that Envoy accepted, kept on disk
local          answers from these while no control plane answers (pure)
dialect        the two forms of the discovery messages, and what the agent itself says in them
inbound        when a new stream should bring what the first one forgot
fit            responses fitted to the Envoy in use
world          delta spoken to a control plane that has only the state of the world (pure)
upstream       streams to the control plane: addresses in turn, back-off
session        one stream of Envoy and, behind it, one upstream stream after the other
service        the server of these sessions, their status and metrics
"""
