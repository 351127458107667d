# SPDX-License-Identifier: Apache-2.0
"""What the agent tells: readiness, status as JSON, metrics, over HTTP on 15020."""
