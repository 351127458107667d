# SPDX-License-Identifier: Apache-2.0
"""The embedded control plane: Istio's API and protocols for meshes without Kubernetes."""
