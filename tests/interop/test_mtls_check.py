"""`ca-client mtls check` against Envoys with the listeners that Istio makes for its three modes."""

import json
import pathlib
import socket
import subprocess
import time

import pytest

from conftest import BIN

envoy_module = pytest.importorskip("envoy")
ENVOY = pathlib.Path(envoy_module.__file__).parent / "_bin" / "envoy"
ISTIO = ["istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"]
TYPE = "type.googleapis.com/envoy.extensions"
CART = "spiffe://cluster.local/ns/shop/sa/cart"
PROBE = "spiffe://cluster.local/ns/ops/sa/probe"


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def tls(certs, **more):
    """A transport socket that insists on a certificate under the bundle in `certs`."""
    file = lambda name: {"filename": f"{certs}/{name}"}
    common = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificates": [{"certificate_chain": file("cert-chain.pem"), "private_key": file("key.pem")}],
        "validation_context": {"trusted_ca": file("root-cert.pem")}}
    config = {"@type": f"{TYPE}.transport_sockets.tls.v3.DownstreamTlsContext",
              "common_tls_context": common, "require_client_certificate": True} | more
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": config}}


def http():
    routes = [{"match": {"prefix": "/"}, "direct_response": {"status": 503}}]
    router = {"name": "router", "typed_config": {"@type": f"{TYPE}.filters.http.router.v3.Router"}}
    config = {"@type": f"{TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
              "stat_prefix": "in", "http_filters": [router],
              "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]}}
    return {"filters": [{"name": "http", "typed_config": config}]}


def echo():
    return {"filters": [{"name": "echo", "typed_config": {"@type": f"{TYPE}.filters.network.echo.v3.Echo"}}]}


def nobody():
    """A proxy to a service that is gone: Envoy hangs up before it says anything of TLS."""
    config = {"@type": f"{TYPE}.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "in", "cluster": "gone"}
    return {"filters": [{"name": "proxy", "typed_config": config}]}


GONE = {"name": "gone", "connect_timeout": "1s", "type": "STATIC", "load_assignment": {"cluster_name": "gone"}}


def listener(name, port, chains):
    inspector = {"@type": f"{TYPE}.filters.listener.tls_inspector.v3.TlsInspector"}
    return {"name": name, "filter_chains": chains, "listener_filters_timeout": "0s",
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
            "listener_filters": [{"name": "inspector", "typed_config": inspector}]}


def istio_match(**more):
    return {"filter_chain_match": {"transport_protocol": "tls"} | more}


def fetch(server, work, spiffe_id):
    (work / "token").write_text(server.token(spiffe_id))
    (work / "roots.pem").write_bytes(server.roots)
    subprocess.run([BIN / "ca-client", "fetch", "--ca-addr", server.grpc_addr, "--ca-roots", work / "roots.pem",
                    "--token-file", work / "token", "--out", work / "certs"], check=True, capture_output=True)
    return work / "certs"


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_three_modes_of_istio_are_told_apart(server, tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    certs, cart = fetch(server, ours, PROBE), fetch(server, theirs, CART)
    strict, raw = istio_match(), {"filter_chain_match": {"transport_protocol": "raw_buffer"}}
    permissive = istio_match(application_protocols=ISTIO)
    listeners = {
        "strict-http": ("strict", [strict | tls(cart) | http()]),
        "strict-tcp": ("strict", [strict | tls(cart) | echo()]),
        "strict-without-tickets": (
            "strict", [strict | tls(cart, disable_stateless_session_resumption=True) | http()]),
        "strict-by-tls-alone": ("strict", [tls(cart) | echo()]),
        "permissive-http": ("permissive", [permissive | tls(cart) | http(), raw | http(), strict | echo()]),
        "permissive-tcp": ("permissive", [permissive | tls(cart) | echo(), raw | echo(), strict | echo()]),
        "strict-gone": ("unknown", [strict | tls(cart) | nobody()]),
        "permissive-gone": ("unknown", [permissive | tls(cart) | nobody(), raw | nobody(), strict | nobody()]),
        "optional-gone": ("unknown", [strict | tls(
            cart, require_client_certificate=False, disable_stateless_session_resumption=True) | nobody()]),
        "disabled-http": ("disabled", [http()]),
        "disabled-tcp": ("disabled", [echo()]),
    }
    ports = dict(zip(listeners, free_ports(len(listeners))))
    static = [listener(name, ports[name], chains) for name, (_, chains) in listeners.items()]
    (tmp_path / "envoy.json").write_text(json.dumps({"static_resources": {"listeners": static, "clusters": [GONE]}}))
    (tmp_path / "list").write_text("".join(f"127.0.0.1:{port} shop/{name}\n" for name, port in ports.items()))
    envoy = subprocess.Popen(
        [ENVOY, "-c", tmp_path / "envoy.json", "--disable-hot-restart", "--concurrency", "1", "-l", "error"])
    try:
        end = time.monotonic() + 20
        while not all(map(is_open, ports.values())):
            assert envoy.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        check = [BIN / "ca-client", "mtls", "check", "--certs", certs, "--targets", tmp_path / "list"]
        run = subprocess.run([*check, "--output", "json"], capture_output=True, text=True)
        whole = json.loads(run.stdout)
        seen = {target["name"]: target["mode"] for target in whole["targets"]}
        assert seen == {name: mode for name, (mode, _) in listeners.items()}, run.stdout
        assert run.returncode == 4
        mtls = [target for target in whole["targets"] if target["mode"] not in ("disabled", "unknown")]
        assert all(target["proved"] and target["spiffe_id"] == CART for target in mtls), mtls
        assert (whole["mesh"]["lock"], whole["mesh"]["insist_on_mtls_percent"]) == ("half", 50)
        print(subprocess.run(check, capture_output=True, text=True).stdout)
    finally:
        envoy.kill()
        envoy.wait()
