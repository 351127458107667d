# SPDX-License-Identifier: Apache-2.0
"""Istio's wire protocols: type URLs, messages and the gRPC glue."""
