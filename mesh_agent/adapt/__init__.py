# SPDX-License-Identifier: Apache-2.0
"""Configuration made for Istio's own proxy, fitted to the Envoy in use. Pure.

Istiod takes it for granted that Envoy has Istio's extensions. An Envoy says in its first request
what it has; what it lacks is left out or put into words that it knows. Listeners and clusters are
opened for that and for captured IPv6, nothing else; an Envoy that lacks nothing gets the bytes as
they came.

views      the few fields that are looked at, as small messages
abilities  what an Envoy says of itself and of its host
adapter    one resource in, one resource out
chains     filters and access logs of a listener
clusters   filters and protocols of a cluster
exchange   who calls and who is called, told in headers
families   captured IPv6 under a control plane that gives IPv4 only
program    how it is read, as Envoy runs it at each request
metrics    Istio's standard metrics, told by Envoy's own statistics logger
overrides  what an operator's Telemetry changes in them
labels     which of their labels are told from which at the scrape
expressions  which of Telemetry's expressions Envoy's loggers understand
"""
