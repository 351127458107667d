# SPDX-License-Identifier: Apache-2.0
"""The part of Istio's API that is translated, as dataclasses; what is not here is not supported."""
