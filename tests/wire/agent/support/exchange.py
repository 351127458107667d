# SPDX-License-Identifier: Apache-2.0
"""What a host believes of callers that say who they are."""

from __future__ import annotations

import base64
import re

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from tests.wire.agent.support.app import EXCHANGE
from tests.wire.agent.support.pair import ADDRESSES, call
from tests.wire.agent.support.proxy import Envoy
from tests.wire.agent.support.scrape import metrics, value
from tests.wire.agent.support.wait import until


async def check_exchange(namespace: str, serving: Envoy) -> None:
    """A pod's sidecar calls, and somebody who only says something; neither proves who it is."""
    pod = Struct()
    pod.update(
        {
            "NAME": "reviews-6d4f-x2",
            "NAMESPACE": "books",
            "WORKLOAD_NAME": "reviews",
            "CLUSTER_ID": "east",
            "OWNER": "kubernetes://apis/apps/v1/namespaces/books/deployments/reviews",
            "LABELS": {
                "app": "old",
                "app.kubernetes.io/name": "reviews",
                "version": "v3",
                "service.istio.io/canonical-name": "book-reviews",
                "service.istio.io/canonical-revision": "v3",
                "note": 'a "quoted" \n text',
            },
        }
    )
    said = base64.b64encode(pod.SerializeToString(deterministic=True)).decode()
    pod["WORKLOAD_NAME"], pod["CLUSTER_ID"] = 'x",reporter="source', "west"
    pod["NAMESPACE"] = "n" * 64  # one more than a label of Kubernetes may have
    forged = base64.b64encode(pod.SerializeToString()).decode()
    for text in (said, forged, "garbage", said[:41], "CgcKBW" * 1000, "C" * 4096):
        header = ("-H", f"{EXCHANGE}: {text}", "-H", f"{EXCHANGE}-id: sidecar~1.2.3.4~a.b~c")
        answer = await call(namespace, "http", ADDRESSES[1], 8080, *header)
        assert "200 OK" in answer
        head, _, body = answer.partition("\r\n\r\n")
        assert body == "nobody"  # plaintext, and the application sees no header
        own = re.search(rf"^{EXCHANGE}: (\S+)", head, re.MULTILINE)
        assert own, text
        metadata = json_format.MessageToDict(Struct.FromString(base64.b64decode(own[1])))
        assert metadata["WORKLOAD_NAME"] == "api"
        assert metadata["LABELS"]["service.istio.io/canonical-name"] == "api"
    assert EXCHANGE not in await call(namespace, "http", ADDRESSES[1], 8080)  # who does not ask

    async def counted(**labels: str) -> float:
        found = await metrics(serving)
        return value(found, "istio_requests_total", source_principal="unknown", **labels)[0]

    async def all_are_counted() -> bool:
        return await counted(reporter="destination") == 7

    await until(all_are_counted, 20)
    seen = {
        "source_workload": "reviews",
        "source_workload_namespace": "books",
        "source_app": "reviews",
        "source_version": "v3",
        "source_canonical_service": "book-reviews",
        "source_canonical_revision": "v3",
        "source_cluster": "east",
        "connection_security_policy": "none",
    }
    assert await counted(**seen) == 1
    unknown = dict.fromkeys(("source_workload", "source_workload_namespace"), "unknown")
    assert await counted(**unknown, source_cluster="west") == 1
    assert await counted(source_workload="unknown", source_cluster="unknown") == 5
