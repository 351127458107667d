# SPDX-License-Identifier: Apache-2.0
"""The aggregated discovery service, delta and state of the world, over one core.

resources    translated resources with versions, shared between streams
state        one type on one stream: what is wanted, what was sent; `diff` (pure)
rejections   what a client refused (pure)
exchange     one stream: its types, order of answers, acknowledgements (pure)
messages     the two protocols' messages to and from `Request` and `Response` (pure)
admission    who may open a stream, and as whom
sessions     the streams that are open, for pushes and for the status
translations one proxy's resources, computed once per version
push         changes gathered for a moment, then given to every stream
conversation one admitted stream: reader and writer
server       the gRPC edge
"""
