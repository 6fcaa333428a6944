#!/usr/bin/env python3
"""Tails a stream over a WebSocket over TLS, pushes a line meanwhile, and fails unless it comes.

    tests/tail_over_tls.py HOST PORT CA_FILE READ_TOKEN WRITE_TOKEN
"""

import base64
import json
import os
import socket
import ssl
import sys
import time
import urllib.parse
import urllib.request


def frame(connection):
    """Reads one unfragmented frame of the server's (RFC 6455, 5.2)."""
    head = exactly(connection, 2)
    length = head[1] & 0x7F
    if length == 126:
        length = int.from_bytes(exactly(connection, 2), "big")
    elif length == 127:
        length = int.from_bytes(exactly(connection, 8), "big")
    return head[0] & 0x0F, exactly(connection, length)


def exactly(connection, count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            sys.exit("the server hung up")
        data += piece
    return data


def main():
    host, port, authority, read_token, write_token = sys.argv[1:]
    context = ssl.create_default_context(cafile=authority)
    context.set_alpn_protocols(["http/1.1"])
    connection = context.wrap_socket(socket.create_connection((host, int(port)), timeout=20), server_hostname=host)
    key = base64.b64encode(os.urandom(16)).decode()
    query = urllib.parse.quote('{app="tailed"}')
    connection.sendall(
        f"GET /loki/api/v1/tail?query={query} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nAuthorization: Bearer {read_token}\r\n\r\n".encode()
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += exactly(connection, 1)
    if not answer.startswith(b"HTTP/1.1 101"):
        sys.exit(f"no WebSocket: {answer[:100]}")
    body = {"streams": [{"stream": {"app": "tailed"}, "values": [[str(time.time_ns()), "over tls"]]}]}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {write_token}"}
    push = urllib.request.Request(f"https://{host}:{port}/loki/api/v1/push", json.dumps(body).encode(), headers)
    urllib.request.urlopen(push, timeout=20, context=ssl.create_default_context(cafile=authority)).close()
    while True:
        kind, payload = frame(connection)
        if kind == 1 and b"over tls" in payload:
            return


if __name__ == "__main__":
    main()
