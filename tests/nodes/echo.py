# SPDX-License-Identifier: Apache-2.0
"""What hosts answer with, as the pods' application does: one line for each call.

Run as `python3 - PORT`, or as a unit.
"""

from __future__ import annotations

import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    """Says who answers, from where it was called, and what the proxy says of the caller."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        certificate = self.headers.get("X-Forwarded-Client-Cert", "none")
        peer = self.client_address[0]
        line = f"host={socket.gethostname()} version=host peer={peer} xfcc={certificate}\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(line)))
        self.end_headers()
        self.wfile.write(line.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Echo).serve_forever()
