"""Real Envoys from what `ca-client envoy` prints: each mode lets in whom it should, and nobody else."""

import http.client
import concurrent.futures
import re
import socket
import ssl
import subprocess

import grpc
import pytest

from conftest import BIN
from envoys import Application, SecretServer, Sidecars, ask, sidecars  # noqa: F401
from peers import wait_for
from test_envoy import free_port, shown_serial

RATINGS = "spiffe://cluster.local/ns/shop/sa/ratings"
CART = "spiffe://cluster.local/ns/shop/sa/cart"

# As the documents of OpenShift Service Mesh have them, with names in place of their placeholders.
STRICT_MESH = """
apiVersion: security.istio.io/v1beta1
kind: PeerAuthentication
metadata:
  name: default
  namespace: istio-system
spec:
  mtls:
    mode: STRICT
"""
STRICT_NAMESPACE = STRICT_MESH.replace("istio-system", "shop")
STRICT_WORKLOAD = STRICT_NAMESPACE.replace("spec:", "spec:\n  selector:\n    matchLabels:\n      app: ratings")
MUTUAL_MESH = """
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata:
  name: default
  namespace: istio-system
spec:
  host: "*.local"
  trafficPolicy:
   tls:
    mode: ISTIO_MUTUAL
"""
MUTUAL_NAMESPACE = MUTUAL_MESH.replace("istio-system", "shop").replace("*.local", "*.shop.svc.cluster.local")
MUTUAL_SERVICE = MUTUAL_NAMESPACE.replace("*.shop", "ratings.shop")
OLDER_MESH = """
apiVersion: "authentication.maistra.io/v1"
kind: "ServiceMeshPolicy"
metadata:
  name: "default"
spec:
  peers:
  - mtls: {}
"""
OLDER_NAMESPACE = """
apiVersion: "authentication.maistra.io/v1"
kind: "Policy"
metadata:
  name: default
  namespace: shop
spec:
  peers:
  - mtls: {}
"""
OLDER_SERVICE = OLDER_NAMESPACE.replace("spec:", "spec:\n  targets:\n  - name: ratings")
OLDER_PORT = OLDER_SERVICE.replace("- name: ratings", "- name: ratings\n    ports:\n    - number: 9080")
DISABLED = STRICT_NAMESPACE.replace("STRICT", "DISABLE")
PERMISSIVE = STRICT_NAMESPACE.replace("STRICT", "PERMISSIVE")
PLAIN_MESH = MUTUAL_MESH.replace("ISTIO_MUTUAL", "DISABLE")


def nameless():
    """TLS without a certificate, and without a look at theirs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def behaviour(sidecars, *inbound, outbound=(), protocol="http"):
    """Whether a caller over mutual TLS, and one in plain text, reaches the application; `outbound` is told to the former's sidecar."""
    application, port, mutual = Application(), free_port(), free_port()
    sidecars.envoy(*inbound, *sidecars.certs("ratings"), "--protocol", protocol,
                   "--listen", f"127.0.0.1:{port}", "--upstream", application.address)
    sidecars.envoy(*sidecars.certs("cart"), "--protocol", protocol, *outbound,
                   "--outbound", f"127.0.0.1:{mutual}=127.0.0.1:{port},{RATINGS},service=ratings.shop.svc.cluster.local")
    assert not isinstance(ask(port, tls=nameless()), dict), "a caller without a certificate came in over TLS"
    over_tls, plain = ask(mutual), ask(port, {"x-forwarded-client-cert": f"URI={CART}"})
    if isinstance(over_tls, dict) and protocol == "http":
        assert over_tls.get("x-forwarded-client-cert", "").endswith(f"URI={CART}"), over_tls
    if isinstance(plain, dict) and protocol == "http":
        assert "x-forwarded-client-cert" not in plain, "a caller without a certificate named itself"
    return isinstance(over_tls, dict), isinstance(plain, dict)


MODES = {"strict": (True, False), "permissive": (True, True), "disable": (False, True)}


@pytest.mark.parametrize("protocol", ["http", "tcp"])
@pytest.mark.parametrize("mode", MODES)
def test_each_mode_lets_in_whom_it_should(sidecars, mode, protocol):  # noqa: F811
    assert behaviour(sidecars, "--mtls", mode, protocol=protocol) == MODES[mode]


@pytest.mark.parametrize(("mode", "policies"), [
    ("strict", [STRICT_MESH]),
    ("strict", [STRICT_NAMESPACE]),
    ("strict", [OLDER_NAMESPACE]),
    ("permissive", [STRICT_MESH, PERMISSIVE]),
    ("disable", [STRICT_MESH, DISABLED]),
    ("permissive", ["# nothing at all\n"]),
])
def test_the_policies_of_the_openshift_documents_mean_what_they_say(sidecars, tmp_path, mode, policies):  # noqa: F811
    assert behaviour(sidecars, *of_ratings(tmp_path, policies)) == MODES[mode]


@pytest.mark.parametrize("callers", [MUTUAL_MESH, MUTUAL_NAMESPACE, MUTUAL_SERVICE])
@pytest.mark.parametrize("services", [
    STRICT_MESH, STRICT_NAMESPACE, STRICT_WORKLOAD, OLDER_MESH, OLDER_NAMESPACE, OLDER_SERVICE, OLDER_PORT,
])
def test_each_pair_of_the_openshift_documents_holds_on_both_sides(sidecars, tmp_path, services, callers):  # noqa: F811
    inbound = of_ratings(tmp_path, [services, callers])
    outbound = ["--policies", inbound[1], "--namespace", "shop", "--labels", "app=cart"]
    assert behaviour(sidecars, *inbound, outbound=outbound) == MODES["strict"]


@pytest.mark.parametrize(("policies", "refusal"), [
    ([STRICT_NAMESPACE, PLAIN_MESH], "strict-without-mtls"),
    ([MUTUAL_MESH], "mtls-without-policy"),
    ([STRICT_NAMESPACE.replace("shop", "bank"), MUTUAL_MESH], "mtls-without-policy"),
    ([STRICT_NAMESPACE, DISABLED], "same-scope"),
    ([DISABLED], "not-honoured"),
])
def test_what_cannot_be_meant_is_refused_to_the_caller_by_file_and_line(tmp_path, policies, refusal):
    path = tmp_path / "policies.yaml"
    path.write_text("---".join(policies))
    run = subprocess.run([BIN / "ca-client", "envoy", "--policies", path, "--namespace", "shop", "--outbound",
                          f"127.0.0.1:1=127.0.0.1:2,{RATINGS},service=ratings.shop.svc.cluster.local"], capture_output=True, text=True)
    assert run.returncode == 3 and not run.stdout, run
    assert re.search(rf"^  {path}:[0-9]+: {refusal}: ", run.stderr, re.MULTILINE), run.stderr


def of_ratings(work, policies):
    """The flags of ratings' sidecar in the mesh that has these policies."""
    path = work / "policies.yaml"
    path.write_text("---".join(policies))
    return ["--policies", path, "--namespace", "shop", "--labels", "app=ratings", "--service", "ratings", "--service-port", "9080"]


def test_a_peer_with_another_name_gets_no_request_and_no_caller_with_another_gets_in(sidecars):  # noqa: F811
    application, port, wrong, right, till = Application(), *(free_port() for _ in range(4))
    inbound, _ = sidecars.envoy("--mtls", "strict", *sidecars.certs("ratings"), "--allow", CART,
                                "--listen", f"127.0.0.1:{port}", "--upstream", application.address)
    outbound, _ = sidecars.envoy(*sidecars.certs("cart"), "--outbound", f"127.0.0.1:{wrong}=127.0.0.1:{port},{CART}",
                                 "--outbound", f"127.0.0.1:{right}=127.0.0.1:{port},spiffe://cluster.local/ns/shop/*")
    sidecars.envoy(*sidecars.certs("till"), "--outbound", f"127.0.0.1:{till}=127.0.0.1:{port},{RATINGS}")
    assert isinstance(ask(right), dict)
    assert ask(wrong) == 503 and sidecars.stat(outbound, "ssl.fail_verify_san") > 0
    assert sidecars.stat(inbound, "ssl.fail_verify_san") == 0
    assert ask(till) == 503 and sidecars.stat(inbound, "ssl.fail_verify_san") > 0


def test_grpc_goes_through_two_sidecars(sidecars):  # noqa: F811
    application = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    echo = grpc.unary_unary_rpc_method_handler(lambda request, _: request)
    application.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Echo", {"Say": echo})])
    upstream = application.add_insecure_port("127.0.0.1:0")
    application.start()
    port, mutual = free_port(), free_port()
    sidecars.envoy("--mtls", "strict", "--protocol", "http2", *sidecars.certs("ratings"),
                   "--listen", f"127.0.0.1:{port}", "--upstream", f"127.0.0.1:{upstream}")
    sidecars.envoy(*sidecars.certs("cart"), "--outbound", f"127.0.0.1:{mutual}=127.0.0.1:{port},{RATINGS},protocol=http2")
    with grpc.insecure_channel(f"127.0.0.1:{mutual}") as channel:
        assert channel.unary_unary("/test.Echo/Say")(b"five stars", timeout=10, wait_for_ready=True) == b"five stars"
    application.stop(None)


def test_certificates_come_from_the_agents_socket(sidecars, tmp_path):  # noqa: F811
    application, port, mutual = Application(), free_port(), free_port()
    secrets = SecretServer(tmp_path / "sds.sock", sidecars.agent("ratings"))
    sidecars.envoy("--mtls", "strict", "--sds-socket", tmp_path / "sds.sock",
                   "--listen", f"127.0.0.1:{port}", "--upstream", application.address)
    sidecars.envoy(*sidecars.certs("cart"), "--outbound", f"127.0.0.1:{mutual}=127.0.0.1:{port},{RATINGS}")
    assert isinstance(ask(mutual), dict)
    assert sorted(secrets.asked) == ["ROOTCA", "default"]


def test_one_agents_socket_serves_each_sidecar_by_its_spiffe_id(sidecars, tmp_path):  # noqa: F811
    application, port, out = Application(), free_port(), free_port()
    agents = {RATINGS: sidecars.agent("ratings"), CART: sidecars.agent("cart")}
    secrets = SecretServer(tmp_path / "sds.sock", agents[CART], agents)
    shared = ["--sds-socket", tmp_path / "sds.sock"]
    sidecars.envoy("--mtls", "strict", *shared, "--identity", RATINGS, "--allow", CART,
                   "--listen", f"127.0.0.1:{port}", "--upstream", application.address)
    sidecars.envoy(*shared, "--identity", CART, "--outbound", f"127.0.0.1:{out}=127.0.0.1:{port},{RATINGS}")
    assert ask(out)["x-forwarded-client-cert"].endswith(f"URI={CART}")
    assert sorted(secrets.asked) == ["ROOTCA", "ROOTCA", CART, RATINGS]


def test_an_agents_socket_knows_its_certificate_by_its_spiffe_id_too(sidecars, tmp_path):  # noqa: F811
    application, port, mutual = Application(), free_port(), free_port()
    sidecars.agent("ratings", "--sds-socket", tmp_path / "ratings.sock")
    sidecars.envoy("--mtls", "strict", "--sds-socket", tmp_path / "ratings.sock", "--identity", RATINGS,
                   "--listen", f"127.0.0.1:{port}", "--upstream", application.address)
    sidecars.envoy(*sidecars.certs("cart"), "--outbound", f"127.0.0.1:{mutual}=127.0.0.1:{port},{RATINGS}")
    assert isinstance(ask(mutual), dict)


def test_a_sidecar_that_starts_before_its_agent_gets_the_first_certificate(sidecars, tmp_path):  # noqa: F811
    application, port, mutual, certs = Application(), free_port(), free_port(), tmp_path / "ratings"
    certs.mkdir()
    sidecars.envoy("--mtls", "strict", "--certs", certs, "--secrets-dir", tmp_path / "sds",
                   "--listen", f"127.0.0.1:{port}", "--upstream", application.address)
    sidecars.envoy(*sidecars.certs("cart"), "--outbound", f"127.0.0.1:{mutual}=127.0.0.1:{port},{RATINGS}")
    assert ask(mutual) == 503
    sidecars.agent("ratings")
    wait_for(20, lambda: isinstance(ask(mutual), dict), "the first certificate")


def test_a_connection_ends_and_the_next_one_has_the_new_certificate(start, tmp_path):
    running = Sidecars(start(flags=["--min-ttl", "4s"]), tmp_path)
    try:
        application, port, mutual = Application(), free_port(), free_port()
        files = running.certs("ratings", "--ttl", "6s")
        inbound, _ = running.envoy("--mtls", "permissive", *files, "--max-connection-duration", "2s",
                                   "--listen", f"127.0.0.1:{port}", "--upstream", application.address)
        running.envoy(*running.certs("cart"), "--outbound", f"127.0.0.1:{mutual}=127.0.0.1:{port},{RATINGS}")
        first = shown_serial(port)
        assert isinstance(ask(mutual), dict)
        wait_for(20, lambda: running.stat(inbound, "inbound_mtls.downstream_cx_max_duration_reached") > 0, "the end of a connection")
        serials = {first}
        wait_for(40, lambda: serials.add(shown_serial(port)) or len(serials) > 4, "four more certificates")
        assert running.stat(inbound, "key_rotation_failed") == 0
        assert isinstance(ask(mutual), dict)
    finally:
        running.stop()


def test_a_workload_that_speaks_first_is_heard_in_permissive_mode(sidecars):  # noqa: F811
    with socket.create_server(("127.0.0.1", 0)) as application:
        port, address = free_port(), application.getsockname()
        sidecars.envoy("--mtls", "permissive", "--protocol", "tcp", *sidecars.certs("ratings"),
                       "--listen", f"127.0.0.1:{port}", "--upstream", f"127.0.0.1:{address[1]}")
        with socket.create_connection(("127.0.0.1", port), timeout=20) as caller:
            application.settimeout(20)
            workload, _ = application.accept()
            with workload:
                workload.sendall(b"220 ready\r\n")
                assert caller.recv(100) == b"220 ready\r\n"


def test_no_session_is_resumed_past_its_certificate(sidecars):  # noqa: F811
    application, port = Application(), free_port()
    sidecars.envoy("--mtls", "strict", *sidecars.certs("ratings"), "--listen", f"127.0.0.1:{port}", "--upstream", application.address)
    cart = sidecars.agent("cart")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = nameless()
        context.load_cert_chain(cart / "cert-chain.pem", cart / "key.pem")
        context.minimum_version = context.maximum_version = version
        session = None
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
                with context.wrap_socket(plain, session=session) as tls:
                    tls.sendall(b"GET / HTTP/1.1\r\nhost: ratings\r\n\r\n")
                    assert tls.recv(4096).startswith(b"HTTP/1.1 200")
                    assert not tls.session_reused, version
                    session = tls.session


def test_envoy_accepts_every_bootstrap(tmp_path, sidecars):  # noqa: F811
    for protocol in ("http", "http2", "tcp"):
        for mode in MODES:
            sidecars.envoy("--mtls", mode, "--protocol", protocol, *sidecars.certs("ratings"),
                           "--listen", f"127.0.0.1:{free_port()}", "--upstream", "localhost:8080",
                           "--outbound", f"127.0.0.1:{free_port()}=localhost:9080,{CART},protocol=http2",
                           "--outbound", f"127.0.0.1:{free_port()}=[::1]:9080,mtls=off")
