# SPDX-License-Identifier: Apache-2.0
"""Istio's API -> Envoy's resources: pure functions, no input or output, no clock.

translate(snapshot, proxy)   all resources of a proxy
SharedTranslate()            the same function, quick for many proxies of one snapshot
problems(document)           what could not be translated of a document's values
SUPPORTED                    kind -> paths of the fields that are translated
"""

from mesh_control.translate.supported import SUPPORTED, problems
from mesh_control.translate.translator import Resources, SharedTranslate, Translator, translate

__all__ = ["SUPPORTED", "Resources", "SharedTranslate", "Translator", "problems", "translate"]
