"""The shop's API: an ordinary HTTP application in front of PostgreSQL.

It knows names and ports, and nothing of a mesh: plain HTTP in, plain PostgreSQL protocol out.

    GET /          {"host", "version", "order": {"id", "item", "quantity"}, "database"}, or 503
    GET /healthz   200, without touching the database
"""

from __future__ import annotations

import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg2

DATABASE = os.environ.get("DATABASE_HOST", "db.shop.svc.cluster.local")
VERSION = os.environ.get("VERSION", "unknown")
PORT = int(os.environ.get("PORT", "8080"))
QUERY = "SELECT id, item, quantity, host(inet_server_addr()) FROM orders ORDER BY random() LIMIT 1"


class Orders(threading.local):
    """A connection to the database for each thread, opened when first used or when it broke."""

    connection: Any = None

    def pick(self) -> dict[str, Any]:
        """Some order of the table, and the address at which the database says it was reached."""
        try:
            return self._query()
        except psycopg2.OperationalError:
            # The connection may simply have grown old: a fresh one tells.
            self.connection = None
            return self._query()

    def _query(self) -> dict[str, Any]:
        if self.connection is None:
            self.connection = psycopg2.connect(
                host=DATABASE,
                dbname="shop",
                user="shop",
                password="shop",
                connect_timeout=3,
                options="-c statement_timeout=3000",
                tcp_user_timeout=5000,
            )
            self.connection.autocommit = True
        with self.connection.cursor() as cursor:
            cursor.execute(QUERY)
            number, item, quantity, address = cursor.fetchone()
        return {
            "order": {"id": number, "item": item, "quantity": quantity},
            "database": f"{DATABASE} ({address})",
        }


ORDERS = Orders()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        about = {"host": socket.gethostname(), "version": VERSION}
        if self.path == "/healthz":
            self._answer(200, about)
            return
        try:
            self._answer(200, about | ORDERS.pick())
        except psycopg2.Error as error:
            self._answer(503, about | {"error": str(error).strip()})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """One line for each request is more than the journal of a loaded test host needs."""


class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6  # takes IPv4 as well
    request_queue_size = 512


Server(("::", PORT), Handler).serve_forever()
