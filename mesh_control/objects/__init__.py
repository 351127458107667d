# SPDX-License-Identifier: Apache-2.0
"""Istio's and Kubernetes' API objects: read from YAML, checked, handed on as documents."""
