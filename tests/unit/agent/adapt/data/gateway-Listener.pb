
2026-11-21T14:15:54Z/2Ì0º0
5type.googleapis.com/envoy.config.listener.v3.Listener€0
0.0.0.0_15443
0.0.0.0Óx»
}RistioRistio-peer-exchangeRistio-http/1.0Ristio-http/1.1Ristio-h2Z5outbound_.443_._.kubernetes.default.svc.cluster.local;
istio.stats",
&type.googleapis.com/stats.PluginConfig0ø
envoy.filters.network.tcp_proxy"Ô
Jtype.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy…
5outbound_.443_._.kubernetes.default.svc.cluster.local5outbound_.443_._.kubernetes.default.svc.cluster.local*”
envoy.access_loggers.file"ö
Itype.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog¨
/dev/stdout*˜*•’[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%
Jš
rRistioRistio-peer-exchangeRistio-http/1.0Ristio-http/1.1Ristio-h2Z*outbound_.80_._.api.shop.svc.cluster.local;
istio.stats",
&type.googleapis.com/stats.PluginConfig0â
envoy.filters.network.tcp_proxy"¾
Jtype.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxyï
*outbound_.80_._.api.shop.svc.cluster.local*outbound_.80_._.api.shop.svc.cluster.local*”
envoy.access_loggers.file"ö
Itype.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog¨
/dev/stdout*˜*•’[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%
Jš
rRistioRistio-peer-exchangeRistio-http/1.0Ristio-http/1.1Ristio-h2Z*outbound_.90_._.api.shop.svc.cluster.local;
istio.stats",
&type.googleapis.com/stats.PluginConfig0â
envoy.filters.network.tcp_proxy"¾
Jtype.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxyï
*outbound_.90_._.api.shop.svc.cluster.local*outbound_.90_._.api.shop.svc.cluster.local*”
envoy.access_loggers.file"ö
Itype.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog¨
/dev/stdout*˜*•’[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%
Jš
rRistioRistio-peer-exchangeRistio-http/1.0Ristio-http/1.1Ristio-h2Z*outbound_.70_._.api.shop.svc.cluster.local;
istio.stats",
&type.googleapis.com/stats.PluginConfig0â
envoy.filters.network.tcp_proxy"¾
Jtype.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxyï
*outbound_.70_._.api.shop.svc.cluster.local*outbound_.70_._.api.shop.svc.cluster.local*”
envoy.access_loggers.file"ö
Itype.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog¨
/dev/stdout*˜*•’[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%
Jš
rRistioRistio-peer-exchangeRistio-http/1.0Ristio-http/1.1Ristio-h2Z*outbound_.81_._.api.shop.svc.cluster.local;
istio.stats",
&type.googleapis.com/stats.PluginConfig0â
envoy.filters.network.tcp_proxy"¾
Jtype.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxyï
*outbound_.81_._.api.shop.svc.cluster.local*outbound_.81_._.api.shop.svc.cluster.local*”
envoy.access_loggers.file"ö
Itype.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog¨
/dev/stdout*˜*•’[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%
JJ„
$envoy.filters.listener.tls_inspector\
Stype.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector€€²œ
envoy.access_loggers.fileJ
NR"ö
Itype.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog¨
/dev/stdout*˜*•’[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%
’0.0.0.0_15443"5type.googleapis.com/envoy.config.listener.v3.Listener*:2026-11-21T14:15:54Z/26f51571f-4abc-4c1c-9dde-cc8c9528a324