# SPDX-License-Identifier: Apache-2.0
"""A cluster for an Envoy without Istio's extensions. Pure.

Istio's ALPN filter tells the other side at run time which protocol comes over mutual TLS. Here
each cluster says it in its metadata, by the protocol that it speaks upstream, and a filter of
Envoy's own takes it from there (`mesh_agent.adapt.chains`).
"""

from __future__ import annotations

from typing import Any, Final

from mesh_agent.adapt import words
from mesh_agent.adapt.abilities import type_of
from mesh_agent.adapt.views import Cluster, HttpProtocolOptions, UpstreamTlsContext

_HTTP10: Final = "istio-http/1.0,istio,http/1.0"
_HTTP11: Final = "istio-http/1.1,istio,http/1.1"
_HTTP2: Final = "istio-h2,istio,h2"
_ISTIO: Final = "istio"
_SERVICE: Final = ("host", "name", "namespace")


def adapt_cluster(body: bytes, *, exchange: bool, alpn: bool) -> bytes:
    """Return the cluster fitted.

    ``exchange``: Envoy has metadata exchange over TCP; ``alpn``: it has Istio's ALPN filter.
    """
    cluster = Cluster.FromString(body)
    if not exchange:
        _drop_exchange(cluster)
    known = {**_service(cluster), **({} if alpn else _protocols(cluster))}
    if _is_told(cluster):
        known["exchange"] = True
    cluster.metadata.filter_metadata[words.METADATA].update(known)
    return bytes(cluster.SerializeToString(deterministic=True))


def _drop_exchange(cluster: Any) -> None:
    kept = [each for each in cluster.filters if type_of(each.typed_config) not in words.ISTIOS]
    if len(kept) != len(cluster.filters):
        del cluster.filters[:]
        cluster.filters.extend(kept)
    for socket in _sockets(cluster):
        if words.PEER_EXCHANGE.encode() not in socket.typed_config.value:
            continue
        tls = UpstreamTlsContext.FromString(socket.typed_config.value)
        drop_protocol(tls.common_tls_context)
        socket.typed_config.value = tls.SerializeToString()


def drop_protocol(tls: Any) -> None:
    """Offer no metadata exchange in a CommonTlsContext."""
    kept = [each for each in tls.alpn_protocols if each != words.PEER_EXCHANGE]
    del tls.alpn_protocols[:]
    tls.alpn_protocols.extend(kept)


def _sockets(cluster: Any) -> list[Any]:
    found = [match.transport_socket for match in cluster.transport_socket_matches]
    if cluster.HasField("transport_socket"):
        found.append(cluster.transport_socket)
    return [each for each in found if type_of(each.typed_config) == words.UPSTREAM_TLS]


def _in_mesh(cluster: Any) -> bool:
    """Whether a cluster's endpoints may be called over Istio's mutual TLS."""
    return any(
        words.MESH
        in UpstreamTlsContext.FromString(each.typed_config.value).common_tls_context.alpn_protocols
        for each in _sockets(cluster)
    )


def _is_told(cluster: Any) -> bool:
    """Whether a cluster is told who calls: never the outside world."""
    fields = _istio(cluster)
    against = any(name in fields and fields[name].bool_value for name in ("external", "disable_mx"))
    return _in_mesh(cluster) and not against


def _istio(cluster: Any) -> Any:
    kept = cluster.metadata.filter_metadata
    return kept[_ISTIO].fields if _ISTIO in kept else {}


def _service(cluster: Any) -> dict[str, Any]:
    """Return the service behind a cluster as HOST;NAME;NAMESPACE, from istiod's metadata.

    A cluster without one is its own service name, as in Istio: PassthroughCluster and the like.
    """
    fields = _istio(cluster)
    services = fields["services"].list_value.values if "services" in fields else []
    if not services:
        return {"services": f";{cluster.name};"}
    service = services[0].struct_value.fields
    names = (service[key].string_value if key in service else "" for key in _SERVICE)
    return {"services": ";".join(names)}


def _protocols(cluster: Any) -> dict[str, Any]:
    """Return the ALPN protocols to offer, by the protocol of the request; none for plaintext."""
    fields = _istio(cluster)
    if "alpn_override" in fields and fields["alpn_override"].string_value == "false":
        return {}
    if not _in_mesh(cluster):
        return {}
    http2 = cluster.HasField("http2_protocol_options")
    if words.HTTP_OPTIONS in cluster.typed_extension_protocol_options:
        packed = cluster.typed_extension_protocol_options[words.HTTP_OPTIONS]
        options = HttpProtocolOptions.FromString(packed.value)
        if options.HasField("use_downstream_protocol_config"):
            both = options.use_downstream_protocol_config.HasField("http2_protocol_options")
            second = _HTTP2 if both else _HTTP11
            return {"alpn": {"HTTP/1.0": _HTTP10, "HTTP/1.1": _HTTP11, "HTTP/2": second}}
        http2 = options.explicit_http_config.HasField("http2_protocol_options")
    offer = _HTTP2 if http2 else _HTTP11
    return {"alpn": dict.fromkeys(("HTTP/1.0", "HTTP/1.1", "HTTP/2"), offer)}
