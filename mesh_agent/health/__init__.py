# SPDX-License-Identifier: Apache-2.0
"""Whether the application is well: probed here, reported to the control plane.

settings  Istio's ReadinessProbe
state     results to reports, by thresholds (pure)
connect   where probes come from
probes    the four kinds of probe
service   the loop
"""
