"""Sidecars from what `ca-client envoy` prints, an application behind them, and an SDS server for those that want one."""

import concurrent.futures
import contextlib
import http.client
import http.server
import json
import pathlib
import subprocess
import threading

import grpc
import pytest

from conftest import BIN
from peers import wait_for
from test_envoy import ENVOY, free_port


def bootstrap(*flags):
    """What the command prints, and what it says on stderr; it must succeed."""
    run = subprocess.run([BIN / "ca-client", "envoy", "--output", "json", *map(str, flags)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout), run.stderr


class Application(http.server.ThreadingHTTPServer):
    """Answers with the headers it was asked with."""

    daemon_threads = True

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Header and body in one piece: else Nagle holds the second back until the first is acknowledged.
        wbufsize = -1

        def do_GET(self):
            body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.server_address[1]}"


def ask(port, headers=None, tls=None):
    """The application's view of the request, or the status or error that came instead."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    if tls:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=tls)
    try:
        connection.request("GET", "/", headers=headers or {})
        answer = connection.getresponse()
        return json.loads(answer.read()) if answer.status == 200 else answer.status
    except (OSError, http.client.HTTPException) as why:
        return why
    finally:
        connection.close()


class Sidecars:
    """Runs agents and Envoys, and stops them."""

    def __init__(self, server, work):
        self.server, self.work, self.running, self.ids = server, work, [], {}
        (work / "roots.pem").write_bytes(server.roots)

    def agent(self, name, *flags):
        """Keeps a certificate for `name`; returns its directory."""
        spiffe_id, out = f"spiffe://cluster.local/ns/shop/sa/{name}", self.work / name
        if not (out / "key.pem").exists():
            (self.work / f"{name}.token").write_text(self.server.token(spiffe_id))
            self._start([BIN / "ca-client", "agent", "--ca-addr", self.server.grpc_addr, "--ca-roots", self.work / "roots.pem",
                         "--token-file", self.work / f"{name}.token", "--out", out, *flags])
            wait_for(20, (out / "key.pem").exists, f"the certificate of {name}")
        return out

    def certs(self, name, *flags):
        """The flags that make a sidecar use the files of `name`."""
        return ["--certs", self.agent(name, *flags), "--secrets-dir", self.work / f"{name}-sds"]

    def envoy(self, *flags):
        """Starts the Envoy that the command describes; returns its admin port and what was said on stderr."""
        admin = free_port()
        printed, said = bootstrap("--admin", f"127.0.0.1:{admin}", *flags)
        path = self.work / f"envoy-{admin}.json"
        path.write_text(json.dumps(printed))
        valid = subprocess.run([ENVOY, "--mode", "validate", "-c", path, "-l", "error"], capture_output=True, text=True)
        assert valid.returncode == 0, valid.stderr
        self._start([ENVOY, "-c", path, "--disable-hot-restart", "--concurrency", "1", "-l", "error"])
        wait_for(20, lambda: self.admin(admin, "/ready") == b"LIVE\n", "Envoy to be ready")
        return admin, said

    @staticmethod
    def admin(port, path):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.suppress(OSError), contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read()

    def stat(self, port, suffix):
        """The sum of all counters that end so."""
        stats = json.loads(self.admin(port, "/stats?format=json"))["stats"]
        return sum(stat["value"] for stat in stats if stat.get("name", "").endswith(suffix))

    def _start(self, command):
        self.running.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))

    def stop(self):
        for process in self.running:
            process.kill()
            process.wait()


def field(number, content):
    """A length-delimited field of protobuf."""
    size, content = [], content.encode() if isinstance(content, str) else content
    length = len(content)
    while length > 127:
        size.append(length & 127 | 128)
        length >>= 7
    return bytes([number << 3 | 2, *size, length]) + content


class SecretServer:
    """Envoy's SecretDiscoveryService on a Unix socket, as far as a client in good health needs it, from an agent's files."""

    TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"

    def __init__(self, socket, out, others=None):
        """`default` is served from the directory `out`, and each name of `others` from its own."""
        self.out, self.asked = out, []
        self.leaves = {"default": out, **(others or {})}
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
        stream = grpc.stream_stream_rpc_method_handler(self._stream)
        service = "envoy.service.secret.v3.SecretDiscoveryService"
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {"StreamSecrets": stream})])
        self.server.add_insecure_port(f"unix:{socket}")
        self.server.start()

    def _stream(self, requests, _context):
        for request in requests:
            for name in (*self.leaves, "ROOTCA"):
                # Acknowledgements carry a nonce and get no answer.
                if field(3, name) in request and b"nonce" not in request:
                    self.asked.append(name)
                    secret = field(1, self.TYPE) + field(2, self._secret(name))
                    yield field(1, "1") + field(2, secret) + field(4, self.TYPE) + field(5, "nonce")

    def _secret(self, name):
        source = lambda file: field(2, pathlib.Path(self.leaves.get(name, self.out), file).read_bytes())
        if name == "ROOTCA":
            return field(1, name) + field(4, field(1, source("root-cert.pem")))
        pair = field(1, source("cert-chain.pem")) + field(2, source("key.pem"))
        return field(1, name) + field(2, pair)


@pytest.fixture
def sidecars(server, tmp_path):
    running = Sidecars(server, tmp_path)
    yield running
    running.stop()
