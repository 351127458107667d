# SPDX-License-Identifier: Apache-2.0
"""Envoy's secrets: certificate and root over a unix socket (SDS), pushed when they change."""
