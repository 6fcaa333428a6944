#!/usr/bin/env python3
"""moto's S3 server with one request at a time: `s3.py HOST PORT`.

S3 decides "create if absent" and "replace if unchanged" in one step. moto looks and then writes, and its threads come in between (49 of 50
counted steps were seen). A body is read before its turn, so that a slow sender holds up nobody.
"""

import io
import os
import sys
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple


def one_at_a_time(app):
    turn = threading.Lock()

    def in_turn(environ, start_response):
        if environ.get("CONTENT_LENGTH"):
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        with turn:
            return list(app(environ, start_response))

    return in_turn


def main():
    host, port = sys.argv[1], int(sys.argv[2])
    os.environ.setdefault("MOTO_PORT", str(port))
    app = one_at_a_time(DomainDispatcherApplication(create_backend_app))
    run_simple(host, port, app, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    main()
