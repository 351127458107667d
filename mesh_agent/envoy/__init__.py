# SPDX-License-Identifier: Apache-2.0
"""Envoy beside the agent: what it starts with, and its administration interface.

bootstrap  the configuration that Envoy starts with, as data (pure)
node       who Envoy says it is: node id and Istio's metadata (pure)
probe      the application's probe in Istio's words (pure)
stats      which statistics Envoy keeps, and their labels (pure)
admin      questions to the running Envoy
"""
