# SPDX-License-Identifier: Apache-2.0
"""What the control plane says of itself: status (JSON), metrics (Prometheus), health."""
