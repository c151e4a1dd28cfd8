"""Envoy with file-based SDS on an agent's directory: it serves every certificate, and none is torn."""

import json
import os
import pathlib
import socket
import ssl
import subprocess
import time
import urllib.request

import pytest
from cryptography import x509

from conftest import BIN

envoy_module = pytest.importorskip("envoy")
ENVOY = pathlib.Path(envoy_module.__file__).parent / "_bin" / "envoy"
WANTED = int(os.environ.get("SIGNET_ENVOY_SERIALS", "500"))
SPIFFE_ID = "spiffe://cluster.local/ns/shop/sa/cart"


GIVEN = set()


def free_port():
    """A port that nobody has, and that was not given before: it may not be taken yet."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in GIVEN:
            GIVEN.add(port)
            return port


def sds(out, name, body):
    secret = {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret", "name": name} | body
    path = out.parent / f"{name}.json"
    path.write_text(json.dumps({"resources": [secret]}))
    return {"name": name, "sds_config": {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}}


def bootstrap(out, port, admin):
    certificate = sds(out, "default", {"tls_certificate": {
        "certificate_chain": {"filename": f"{out}/cert-chain.pem"},
        "private_key": {"filename": f"{out}/key.pem"}}})
    tls = {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
           "common_tls_context": {"tls_certificate_sds_secret_configs": [certificate]}}
    echo = {"@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"}
    address = lambda port: {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {
        "node": {"id": "test", "cluster": "test"},
        "admin": {"address": address(admin)},
        "static_resources": {"listeners": [{
            "name": "tls", "address": address(port),
            "filter_chains": [{
                "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
                "filters": [{"name": "envoy.filters.network.echo", "typed_config": echo}]}]}]},
    }


def shown_serial(port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        with context.wrap_socket(plain) as tls:
            return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True)).serial_number


def stats(admin):
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/stats?format=json&filter=sds") as answer:
        return {stat["name"]: stat["value"] for stat in json.load(answer)["stats"] if "name" in stat}


def wait_for(what, limit=20):
    end = time.monotonic() + limit
    while not what():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)


def answers(port):
    try:
        return shown_serial(port) > 0
    except OSError:
        return False


def test_envoy_serves_every_certificate_of_the_agent(start, tmp_path):
    server = start(flags=["--min-ttl", "4s"])
    out = tmp_path / "out"
    (tmp_path / "token").write_text(server.token(SPIFFE_ID))
    (tmp_path / "roots.pem").write_bytes(server.roots)
    agent = subprocess.Popen(
        [BIN / "ca-client", "agent", "--ca-addr", server.grpc_addr, "--ca-roots", tmp_path / "roots.pem",
         "--token-file", tmp_path / "token", "--out", out, "--ttl", "4s",
         "--grace-period-ratio", "0.97", "--grace-period-ratio-jitter", "0"], stderr=subprocess.DEVNULL)
    port, admin = free_port(), free_port()
    envoy = None
    try:
        wait_for((out / "key.pem").exists)
        (tmp_path / "envoy.json").write_text(json.dumps(bootstrap(out, port, admin)))
        envoy = subprocess.Popen(
            [ENVOY, "-c", tmp_path / "envoy.json", "--disable-hot-restart", "--concurrency", "1", "-l", "error"])
        wait_for(lambda: answers(port))
        serials, end = set(), time.monotonic() + 300
        while len(serials) < WANTED:
            serials.add(shown_serial(port))
            assert time.monotonic() < end, f"{len(serials)} serials"
        seen = stats(admin)
        failed = [value for name, value in seen.items() if name.endswith("key_rotation_failed")]
        assert failed and not any(failed), seen
        print(f"{len(serials)} serials, {seen}")
    finally:
        for process in filter(None, [envoy, agent]):
            process.kill()
            process.wait()
