# SPDX-License-Identifier: Apache-2.0
"""The node agent: identity, SDS, ADS relay, DNS, redirection, health and status of one host."""
