# SPDX-License-Identifier: Apache-2.0
"""What the agent and the control plane share: identities, PKI, wire messages, small helpers."""

__version__ = "0.1.0"
