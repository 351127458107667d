# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

from mesh_agent.status.standard import standard

SOURCE = (
    'reporter="source",source_peer="web;shop;web;latest;c1;web;",'
    'destination_services="api.shop.svc.cluster.local;api;shop",'
    'source_principal="spiffe://cluster.local/ns/shop/sa/web",'
    'destination_principal="spiffe://cluster.local/ns/shop/sa/api",'
    'destination_peer="api-1;shop;api;;c2",response_flags="-",response_code="200",'
    'grpc_response_status=""'
)
DESTINATION = (
    'reporter="destination",destination_peer="api-1;shop;api;v1;c2;api;v1",'
    'destination_services=";InboundPassthroughCluster;",'
    'source_principal="spiffe://cluster.local/ns/other/sa/web",destination_principal="",'
    'response_flags="UF,URX"'
)


def labels(text: bytes) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="([^"]*)"', text.decode()))


def test_the_calling_side() -> None:
    text = standard(f"envoy_istio_requests_total{{{SOURCE}}} 3\n".encode())
    assert text.startswith(b"istio_requests_total{")
    assert text.endswith(b"} 3\n")
    assert labels(text) == {
        "reporter": "source",
        "source_workload": "web",
        "source_workload_namespace": "shop",
        "source_canonical_service": "web",
        "source_canonical_revision": "latest",
        "source_cluster": "c1",
        "source_app": "web",
        "source_version": "unknown",
        "source_principal": "spiffe://cluster.local/ns/shop/sa/web",
        "destination_workload": "api-1",
        "destination_workload_namespace": "shop",
        "destination_canonical_service": "api",
        "destination_canonical_revision": "latest",
        "destination_cluster": "c2",
        "destination_app": "unknown",
        "destination_version": "unknown",
        "destination_principal": "spiffe://cluster.local/ns/shop/sa/api",
        "destination_service": "api.shop.svc.cluster.local",
        "destination_service_name": "api",
        "destination_service_namespace": "shop",
        "request_protocol": "http",
        "response_code": "200",
        "response_flags": "-",
        "connection_security_policy": "unknown",
    }


def test_the_side_that_is_called_knows_its_peer_by_identity() -> None:
    found = labels(standard(f"envoy_istio_tcp_sent_bytes_total{{{DESTINATION}}} 7\n".encode()))
    assert found["source_workload"] == "unknown"
    assert found["source_workload_namespace"] == "other"
    assert found["source_canonical_revision"] == "unknown"
    assert found["destination_version"] == "v1"
    assert found["destination_service_name"] == "InboundPassthroughCluster"
    assert found["destination_service"] == "unknown"
    assert found["request_protocol"] == "tcp"
    assert found["connection_security_policy"] == "mutual_tls"
    assert found["response_flags"] == "UF,URX"
    assert "response_code" not in found
    plain = DESTINATION.replace("spiffe://cluster.local/ns/other/sa/web", "")
    found = labels(standard(f"envoy_istio_tcp_sent_bytes_total{{{plain}}} 7\n".encode()))
    assert found["connection_security_policy"] == "none"


def test_the_side_that_is_called_knows_of_a_caller_what_it_said() -> None:
    raw = DESTINATION + ',source_peer="web;forged;web;v2;c3;web;v2"'
    found = labels(standard(f"envoy_istio_requests_total{{{raw}}} 1\n".encode()))
    assert found["source_workload"] == found["source_app"] == "web"
    assert found["source_version"] == "v2"
    assert found["source_cluster"] == "c3"
    assert found["source_workload_namespace"] == "other"  # its identity proves that
    raw = DESTINATION + ',source_peer="-"'
    found = labels(standard(f"envoy_istio_requests_total{{{raw}}} 1\n".encode()))
    assert found["source_workload"] == found["source_app"] == "unknown"


def test_samples_that_get_the_same_labels_become_one() -> None:
    other = SOURCE.replace("api-1;shop;api;;c2", "api-2;shop;api;;c2")
    without = ',without="destination_workload,request_protocol"'
    text = (
        "# TYPE envoy_istio_request_bytes histogram\n"
        f'envoy_istio_request_bytes_bucket{{{SOURCE}{without},le="0.5"}} 1\n'
        f"envoy_istio_request_bytes_sum{{{SOURCE}{without}}} 12.5\n"
        f'envoy_istio_request_bytes_bucket{{{other}{without},le="0.5"}} 2\n'
        f"envoy_istio_request_bytes_sum{{{other}{without}}} 1.25\n"
        f"envoy_istio_request_bytes_sum{{{other}}} 4\n"
        "envoy_server_live{} 1\n"
    )
    kind, bucket, total, apart, live = standard(text.encode()).decode().splitlines()
    assert kind == "# TYPE istio_request_bytes histogram"
    assert bucket.endswith(',le="0.5"} 3')
    assert "destination_workload=" not in bucket
    assert "request_protocol=" not in bucket
    assert total.endswith("} 13.75")
    assert apart.endswith("} 4")
    assert live == "envoy_server_live{} 1"


def test_large_counts_stay_exact() -> None:
    lines = [f"envoy_istio_requests_total{{{SOURCE}}} {2**53 - 1}\n" for _ in range(3)]
    assert standard("".join(lines).encode()).endswith(f"}} {3 * (2**53 - 1)}\n".encode())


def test_grpc_is_told_by_its_status() -> None:
    raw = SOURCE.replace('grpc_response_status=""', 'grpc_response_status="14"')
    found = labels(standard(f"envoy_istio_requests_total{{{raw}}} 1\n".encode()))
    assert (found["request_protocol"], found["grpc_response_status"]) == ("grpc", "14")


def test_a_histogram_keeps_its_bounds_and_its_type() -> None:
    text = (
        "# TYPE envoy_istio_request_bytes histogram\n"
        f'envoy_istio_request_bytes_bucket{{{SOURCE},le="0.5"}} 0\n'
        f'envoy_istio_request_bytes_bucket{{{SOURCE},le="+Inf"}} 3\n'
        f"envoy_istio_request_bytes_sum{{{SOURCE}}} 12.5\n"
        f"envoy_istio_request_bytes_count{{{SOURCE}}} 3\n"
    )
    kind, first, last, total, count = standard(text.encode()).decode().splitlines()
    assert kind == "# TYPE istio_request_bytes histogram"
    assert first.endswith(',le="0.5"} 0')
    assert last.endswith(',le="+Inf"} 3')
    assert total.startswith("istio_request_bytes_sum{")
    assert total.endswith('"} 12.5')
    assert count.endswith('"} 3')


def test_a_quoted_label_stays_quoted() -> None:
    raw = SOURCE.replace("web;shop;web", r"w\"eb;shop;web")
    assert rb'source_workload="w\"eb"' in standard(
        f"envoy_istio_requests_total{{{raw}}} 1\n".encode()
    )


def test_a_label_that_is_no_text_takes_no_other_with_it() -> None:
    raw = SOURCE.encode().replace(b"sa/api", b"sa/\xff")
    found = labels(standard(b"envoy_istio_requests_total{%b} 1\n" % raw))
    assert found["destination_principal"] == "spiffe://cluster.local/ns/shop/sa/\ufffd"
    assert found["response_code"] == "200"


def test_other_metrics_stay_as_they_are() -> None:
    text = (
        b"# TYPE envoy_istio_build gauge\n"
        b'envoy_istio_build{component="proxy"} 1\n'
        b"# TYPE envoy_server_live gauge\n"
        b"envoy_server_live{} 1\n"
        b"# TYPE envoy_istio_plain gauge\n"
        b"envoy_istio_plain 1\n"
    )
    assert standard(text) == (
        b"# TYPE istio_build gauge\n"
        b'istio_build{component="proxy"} 1\n'
        b"# TYPE envoy_server_live gauge\n"
        b"envoy_server_live{} 1\n"
        b"# TYPE istio_plain gauge\n"
        b"istio_plain 1\n"
    )
    assert standard(b"envoy_server_live{} 1\n") == b"envoy_server_live{} 1\n"
