# SPDX-License-Identifier: Apache-2.0
"""Configuration made for Istio's own proxy, fitted to the Envoy in use. Pure.

Istiod takes it for granted that Envoy has Istio's extensions. An Envoy says in its first request
what it has; what it lacks is left out or put into words that it knows. Listeners and clusters are
opened for that, nothing else, and an Envoy that lacks nothing gets the bytes as they came.

views      the few fields that are looked at, as small messages
abilities  what an Envoy says of itself and of its host
adapter    one resource in, one resource out
chains     filters and access logs of a listener
clusters   filters and protocols of a cluster
metrics    Istio's standard metrics, told by Envoy's own statistics logger
"""
