"""Load from a host of the lab: HTTP requests and look-ups, counted, bounded in time.

    python3 - SECONDS < load.py     prints {"http": {"ok": N, "failed": [...]}, "names": {...}}

Ordinary clients: urllib with a new connection each, http.client on a kept-alive one, getaddrinfo.
"""

import http.client
import json
import socket
import sys
import threading
import time

HOST = "api.shop.svc.cluster.local"
NAMES = (HOST, "db.shop.svc.cluster.local", "outsider.lab.example")
END = time.monotonic() + float(sys.argv[1])
COUNTS = {"http": {"ok": 0, "failed": []}, "names": {"ok": 0, "failed": []}}
LOCK = threading.Lock()


def count(kind, error=None):
    with LOCK:
        if error is None:
            COUNTS[kind]["ok"] += 1
        else:
            COUNTS[kind]["failed"].append(f"{time.time():.3f} {error}")


def request(connection):
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise OSError(f"status {answer.status}")


def fresh():
    while time.monotonic() < END:
        connection = http.client.HTTPConnection(HOST, timeout=10)
        try:
            request(connection)
            count("http")
        except (OSError, http.client.HTTPException) as error:
            count("http", repr(error))
        finally:
            connection.close()


def kept():
    connection = http.client.HTTPConnection(HOST, timeout=10)
    while time.monotonic() < END:
        try:
            request(connection)
            count("http")
        except (OSError, http.client.HTTPException) as error:
            count("http", repr(error))
            connection.close()


def names():
    turn = 0
    while time.monotonic() < END:
        turn += 1
        try:
            socket.getaddrinfo(NAMES[turn % len(NAMES)], 80, socket.AF_INET)
            count("names")
        except OSError as error:
            count("names", f"{NAMES[turn % len(NAMES)]} {error!r}")


threads = [threading.Thread(target=work) for work in (fresh, kept, names, names)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
json.dump(COUNTS, sys.stdout)
