# SPDX-License-Identifier: Apache-2.0
"""What runs on the hosts of a test: Python's own library only, one text each."""

from __future__ import annotations

# What a server does: HTTP tells who it is and whom it hears; TCP greets back, or first.
SERVER = """
import http.server, json, socket, socketserver, sys
kind, port, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
class Http(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def do_GET(self):
        body = json.dumps({"host": name, "path": self.path, "source": self.client_address[0],
                           "peer": self.headers.get("x-forwarded-client-cert", "")}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
class Tcp(socketserver.BaseRequestHandler):
    def handle(self):
        if kind == "banner":
            self.request.sendall(b"banner of " + name.encode())
        while data := self.request.recv(100):
            self.request.sendall(b"%s heard %s" % (name.encode(), data))
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    address_family = socket.AF_INET6
Server(("::", port), Http if kind == "http" else Tcp).serve_forever()
"""

# What a client does: one connection, from a captured port or any (0); requests, bytes, or TLS.
CLIENT = """
import http.client, json, socket, ssl, sys
kind, address, port, source, argument = sys.argv[1:6]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
s = socket.socket(family)
s.settimeout(8)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", int(source)))
try:
    s.connect((address, int(port)))
    if kind == "http":
        count, path, host = json.loads(argument)
        c = http.client.HTTPConnection(address, int(port))
        c.sock = s
        answers = []
        for _ in range(count):
            c.request("GET", path, headers={"host": host})
            r = c.getresponse()
            answers.append([r.status, r.read().decode()])
        print(json.dumps(answers))
    elif kind == "tls":
        name, protocols = json.loads(argument)
        context = ssl._create_unverified_context()
        context.set_alpn_protocols(protocols)
        with context.wrap_socket(s, server_hostname=name) as shaken:
            print(json.dumps(shaken.version()))
    else:
        said = [s.recv(1000).decode()] if kind == "listen" else []
        s.sendall(argument.encode())
        said.append(s.recv(1000).decode() or "closed")
        print(json.dumps(said[-1] if kind == "tcp" else said))
except OSError as error:
    print(json.dumps(type(error).__name__))
"""
