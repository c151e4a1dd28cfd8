"""Envoy gets certificate and roots from an agent's SDS socket, and speaks mTLS through renewals and new roots."""

import json
import signal
import socket
import subprocess
import threading
import time
import urllib.request

import pytest
from peers import Material, wait_for
from test_envoy import ENVOY, free_port
from test_rotation import LIMIT, mesh  # noqa: F401  (a fixture)

CART = "spiffe://cluster.local/ns/shop/sa/cart"
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
FILTERS = "type.googleapis.com/envoy.extensions.filters.network."


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def sds(name, api_type):
    return {"name": name, "sds_config": {"resource_api_version": "V3", "api_config_source": {
        "api_type": api_type, "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": {"cluster_name": "agent"}}]}}}


def common(names, api_type):
    """Our certificate, and who the other side must be."""
    matcher = {"san_type": "URI", "matcher": {"prefix": "spiffe://cluster.local/ns/shop/"}}
    return {
        "tls_certificate_sds_secret_configs": [sds(names[0], api_type)],
        "combined_validation_context": {
            "default_validation_context": {"match_typed_subject_alt_names": [matcher]},
            "validation_context_sds_secret_config": sds(names[1], api_type)}}


def listener(name, port, filter_name, config, tls=None):
    chain = {"filters": [{"name": filter_name, "typed_config": config}]}
    if tls:
        chain["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": tls}
    return {"name": name, "address": address(port), "filter_chains": [chain]}


def bootstrap(path, ports, names, api_type):
    """Bytes go in at `plain`, over mTLS to `tls` of the same Envoy, and come back."""
    server = {"@type": TLS + "DownstreamTlsContext", "require_client_certificate": True,
              "common_tls_context": common(names, api_type)}
    client = {"@type": TLS + "UpstreamTlsContext", "sni": "cart", "common_tls_context": common(names, api_type)}
    echo = {"@type": FILTERS + "echo.v3.Echo"}
    proxy = {"@type": FILTERS + "tcp_proxy.v3.TcpProxy", "stat_prefix": "proxy", "cluster": "itself"}
    http2 = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}}}}

    def cluster(name, where, **more):
        endpoint = {"endpoint": {"address": where}}
        return {"name": name, "type": "STATIC", "connect_timeout": "5s",
                "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}} | more

    return {
        "node": {"id": "cart-1", "cluster": "shop"},
        "admin": {"address": address(ports["admin"])},
        "static_resources": {
            "clusters": [
                cluster("agent", {"pipe": {"path": str(path)}}, typed_extension_protocol_options=http2),
                cluster("itself", address(ports["tls"]), transport_socket={
                    "name": "envoy.transport_sockets.tls", "typed_config": client})],
            "listeners": [
                listener("tls", ports["tls"], "envoy.filters.network.echo", echo, server),
                listener("plain", ports["plain"], "envoy.filters.network.tcp_proxy", proxy)]}}


class Envoy:
    """One process, and connections through it all the time."""

    def __init__(self, work, path, names=("default", "ROOTCA"), api_type="GRPC"):
        self.ports = {name: free_port() for name in ("admin", "tls", "plain")}
        config = work / f"envoy-{api_type}.json"
        config.write_text(json.dumps(bootstrap(path, self.ports, names, api_type)))
        self.process = subprocess.Popen(
            [ENVOY, "-c", config, "--disable-hot-restart", "--concurrency", "1", "-l", "error"])
        self.made, self.failed = 0, []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def echoes(self):
        with socket.create_connection(("127.0.0.1", self.ports["plain"]), timeout=5) as connection:
            connection.sendall(b"ping")
            return connection.recv(4) == b"ping"

    def is_up(self):
        try:
            return self.echoes()
        except OSError:
            return False

    def begin(self):
        wait_for(LIMIT, self.is_up, "the first connection through Envoy")
        self._thread.start()

    def _run(self):
        while not self._over.wait(0.01):
            try:
                assert self.echoes(), "closed before the answer"
                self.made += 1
            except (OSError, AssertionError) as why:
                self.failed.append(f"{time.time()}: {why}")

    def stats(self, part):
        url = f"http://127.0.0.1:{self.ports['admin']}/stats?format=json&filter={part}"
        with urllib.request.urlopen(url) as answer:
            return {stat["name"]: stat["value"] for stat in json.load(answer)["stats"] if "name" in stat}

    def updates(self):
        return sum(value for name, value in self.stats("ssl_context_update_by_sds").items())

    def stop(self):
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def envoys(tmp_path):
    running = []

    def begin(*args, **kwargs):
        running.append(Envoy(tmp_path, *args, **kwargs))
        return running[-1]

    yield begin
    for envoy in running:
        envoy.stop()


@pytest.mark.parametrize(("api_type", "names"), [("GRPC", ("default", "ROOTCA")),
                                                 ("DELTA_GRPC", (CART, "spiffe://cluster.local"))])
def test_envoy_speaks_mtls_through_renewals_and_a_new_root(mesh, envoys, api_type, names):
    path = mesh.work / "sds.sock"
    out = mesh.agent("cart", "--sds-socket", path)
    wait_for(LIMIT, path.is_socket, "the socket")
    envoy = envoys(path, names=names, api_type=api_type)
    envoy.begin()
    renewed = envoy.updates() + 6
    wait_for(LIMIT, lambda: envoy.updates() >= renewed, "three renewals")
    before = mesh.signer("active")
    mesh.server.operator("rotate", "start", "--auto")
    wait_for(LIMIT, lambda: mesh.is_over(before), "the end of the rotation, which waits for Envoy's word")
    last = mesh.server.fetch_roots().decode()
    wait_for(LIMIT, lambda: Material.read(out).roots == last, "the last root alone")
    made = envoy.made
    wait_for(LIMIT, lambda: envoy.made > made + 20, "connections under the new root alone")
    assert not envoy.failed, "\n".join(envoy.failed)
    assert envoy.made > 100
    for part in ("key_rotation_failed", "update_rejected", "fail_verify"):
        seen = envoy.stats(part)
        assert not any(seen.values()), seen
    log = (mesh.work / "cart" / "log").read_text()
    assert "refused" not in log, log


def test_a_frozen_envoy_holds_the_rotation_and_is_named(mesh, envoys):
    path = mesh.work / "sds.sock"
    mesh.agent("cart", "--sds-socket", path)
    wait_for(LIMIT, path.is_socket, "the socket")
    envoy = envoys(path)
    wait_for(LIMIT, envoy.is_up, "the first connection through Envoy")
    before = mesh.signer("active")
    # Without its key the old root signs the new one not across, which would let it go on without the agents.
    (mesh.server.data / "ca" / "root-key.pem").unlink()
    envoy.process.send_signal(signal.SIGSTOP)
    mesh.server.operator("rotate", "start", "--auto")
    log = mesh.work / "cart" / "log"
    wait_for(LIMIT, lambda: "node 'cart-1'" in log.read_text(), "the frozen Envoy in the agent's log")
    assert mesh.signer("active") == before
    envoy.process.send_signal(signal.SIGCONT)
    wait_for(LIMIT, lambda: mesh.is_over(before), "the end of the rotation once Envoy is back")
