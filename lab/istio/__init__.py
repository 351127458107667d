# SPDX-License-Identifier: Apache-2.0
"""The Istio mesh that a lab's user has already: an API server and istiod on one of the hosts.

`make demo CONTROL_PLANE=istiod` joins the other hosts to it. Only `lab_cluster` asks for it.
"""
