#!/usr/bin/env python3
"""A service of the sample: service.py NAME PORT [PEER]. Says its name, who asked, and what its peer answers.

It speaks plain HTTP on loopback and knows nothing of certificates: that is its sidecar's work.
"""

import http.server
import json
import re
import sys
import urllib.error
import urllib.request

NAME, PORT, *PEER = sys.argv[1:]


def ask(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)
    except (OSError, ValueError) as why:
        return {"error": str(why)}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        # The sidecar writes this header from the caller's certificate, and removes it from whoever has none.
        caller = re.search(r"URI=([^;,]+)", self.headers.get("x-forwarded-client-cert", ""))
        said = {"service": NAME, "caller": caller.group(1) if caller else "nobody knows: plain text"}
        for peer in PEER:
            said["peer"] = ask(peer)
        body = (json.dumps(said) + "\n").encode()
        self.send_response(502 if "error" in said.get("peer", {}) else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(PORT)), Handler).serve_forever()
