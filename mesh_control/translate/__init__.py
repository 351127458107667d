# SPDX-License-Identifier: Apache-2.0
"""Istio's API -> Envoy's resources: pure functions, no input or output, no clock.

translate(snapshot, proxy)   all resources of a proxy
Translator(snapshot)         the same for many proxies, which share what is equal
problems(document)           what could not be translated of a document's values
SUPPORTED                    kind -> paths of the fields that are translated
"""

from mesh_control.translate.supported import SUPPORTED, problems
from mesh_control.translate.translator import Resources, Translator, translate

__all__ = ["SUPPORTED", "Resources", "Translator", "problems", "translate"]
