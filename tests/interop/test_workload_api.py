"""Workloads with SPIFFE's own Python client and with grpc-js get their identity from an agent's socket."""

import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import threading

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from peers import wait_for
from spiffe import SpiffeId, TrustDomain, WorkloadApiClient, X509Source
from spiffe._proto import workload_pb2, workload_pb2_grpc
from test_rotation import LIMIT, mesh  # noqa: F401  (a fixture)

HERE = pathlib.Path(__file__).parent
HEADER = [("workload.spiffe.io", "true")]


def serve(mesh, name):
    path = mesh.work / f"{name}.sock"
    mesh.agent(name, "--workload-api-socket", f"unix://{path}")
    return f"unix://{path}"


def pem(certificates):
    return "".join(ssl.DER_cert_to_PEM_cert(it) for it in certificates)


def der(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


def mine(source):
    return source.get_x509_context().default_svid


def verify(svid, authorities, work):
    """By openssl, under these roots alone."""
    leaf, *above = [der(it) for it in svid.cert_chain]
    for name, certificates in (("leaf", [leaf]), ("above", above), ("roots", [der(it) for it in authorities])):
        (work / f"{name}.pem").write_text(pem(certificates))
    subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", "roots.pem", "-untrusted", "above.pem", "leaf.pem"],
                   cwd=work, check=True, capture_output=True)


def test_spiffes_python_client_follows_renewals_and_new_roots(mesh, tmp_path):
    endpoint = serve(mesh, "cart")
    domain = TrustDomain("cluster.local")
    with WorkloadApiClient(endpoint) as client:
        svid = client.fetch_x509_svid()
        assert svid.spiffe_id == SpiffeId("spiffe://cluster.local/ns/shop/sa/cart")
        assert len(svid.cert_chain) == 2, "leaf and issuer, not the root"
        bundles = client.fetch_x509_bundles()
        verify(svid, bundles.get_bundle_for_trust_domain(domain).x509_authorities, tmp_path)
    seen, most = set(), [0]

    def look(source):
        roots = source.get_bundle_for_trust_domain(domain).x509_authorities
        verify(mine(source), roots, tmp_path)
        seen.add(mine(source).leaf.serial_number)
        most[0] = max(most[0], len(roots))

    with X509Source(socket_path=endpoint) as source:
        first = {der(it) for it in source.get_bundle_for_trust_domain(domain).x509_authorities}
        wait_for(LIMIT, lambda: look(source) or len(seen) >= 3, "two renewals")
        mesh.server.operator("rotate", "start", "--auto")

        def has_moved():
            look(source)
            now = {der(it) for it in source.get_bundle_for_trust_domain(domain).x509_authorities}
            return len(now) == 1 and now != first

        wait_for(2 * LIMIT, has_moved, "the new root alone")
        assert most[0] >= 2, "both roots before the new one alone"


def context(source, protocol, work):
    """A context of what a source has at this moment."""
    made = ssl.SSLContext(protocol)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    roots = source.get_bundle_for_trust_domain(TrustDomain("cluster.local")).x509_authorities
    made.load_verify_locations(cadata=pem(der(it) for it in roots))
    chain = work / f"{mine(source).leaf.serial_number}.pem"
    key = mine(source).private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain.write_text(pem(der(it) for it in mine(source).cert_chain) + key.decode())
    made.load_cert_chain(chain)
    return made


def test_two_python_workloads_prove_themselves_to_each_other(mesh, tmp_path):
    endpoints = [serve(mesh, name) for name in ("cart", "desk")]
    with X509Source(socket_path=endpoints[0]) as cart, X509Source(socket_path=endpoints[1]) as desk:
        before = mine(cart).leaf.serial_number
        made = 0
        while mine(cart).leaf.serial_number == before or made < 20:
            near, far = socket.socketpair()
            server = context(cart, ssl.PROTOCOL_TLS_SERVER, tmp_path)

            def greet():
                with server.wrap_socket(far, server_side=True) as connection:
                    connection.sendall(b"hello")

            thread = threading.Thread(target=greet)
            thread.start()
            with context(desk, ssl.PROTOCOL_TLS_CLIENT, tmp_path).wrap_socket(near) as connection:
                assert connection.recv(5) == b"hello"
                san = connection.getpeercert()["subjectAltName"]
            thread.join()
            assert san == (("URI", "spiffe://cluster.local/ns/shop/sa/cart"),)
            made += 1


def test_the_codes_are_the_standards(mesh):
    endpoint = serve(mesh, "cart")
    with grpc.insecure_channel(endpoint) as channel:
        stub = workload_pb2_grpc.SpiffeWorkloadAPIStub(channel)
        for metadata in ([], [("workload.spiffe.io", "True")], HEADER * 2):
            with pytest.raises(grpc.RpcError) as refused:
                next(stub.FetchX509SVID(workload_pb2.X509SVIDRequest(), metadata=metadata, timeout=10))
            assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT, metadata
        with pytest.raises(grpc.RpcError) as missing:
            stub.FetchJWTSVID(workload_pb2.JWTSVIDRequest(audience=["x"]), metadata=HEADER, timeout=10)
        assert missing.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert "JWT" in missing.value.details()
        health = health_pb2_grpc.HealthStub(channel)
        answer = health.Check(health_pb2.HealthCheckRequest(service="SpiffeWorkloadAPI"), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        services = set(ProtoReflectionDescriptorDatabase(channel).get_services())
        assert {"SpiffeWorkloadAPI", "grpc.health.v1.Health"} <= services
        assert not any(name.startswith(("signet", "istio")) for name in services), services


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed, and only root can be one")
def test_another_user_is_refused_unless_the_rule_names_it(mesh):
    ask = ("import os, sys, grpc\n"
           "from spiffe._proto import workload_pb2 as pb, workload_pb2_grpc\n"
           "os.setgroups([]), os.setgid(int(sys.argv[2])), os.setuid(int(sys.argv[2]))\n"
           "stub = workload_pb2_grpc.SpiffeWorkloadAPIStub(grpc.insecure_channel(sys.argv[1]))\n"
           "try:\n"
           "    call = stub.FetchX509SVID(pb.X509SVIDRequest(), metadata=[('workload.spiffe.io', 'true')], timeout=10)\n"
           "    print(next(call).svids[0].spiffe_id)\n"
           "except grpc.RpcError as why:\n"
           "    print(why.code().name, why.details())\n")
    nobody = 65534
    said = {}
    for name, more in (("cart", ()), ("desk", ("--workload-api-allow", f"uid=1,uid={nobody}"))):
        directory = pathlib.Path(f"/tmp/signet-{os.getpid()}-{name}")
        directory.mkdir(mode=0o755)
        try:
            path = directory / "api.sock"
            mesh.agent(name, "--workload-api-socket", path, "--workload-api-mode", "0666", *more)
            run = subprocess.run([sys.executable, "-c", ask, f"unix://{path}", str(nobody)],
                                 capture_output=True, text=True, timeout=LIMIT)
            said[name] = run.stdout.strip() or run.stderr
        finally:
            shutil.rmtree(directory)
    assert said["cart"].startswith(f"PERMISSION_DENIED no identity issued: uid {nobody}"), said
    assert said["desk"] == "spiffe://cluster.local/ns/shop/sa/desk"
    log = (mesh.work / "cart" / "log").read_text()
    assert "no rule names it (--workload-api-allow" in log and f"uid={nobody}" in log


def test_grpc_js_follows_renewals(mesh):
    modules = os.environ.get("SIGNET_INTEROP_NODE_MODULES")
    if not shutil.which("node") or not pathlib.Path(modules or "/nowhere", "@grpc/grpc-js").is_dir():
        pytest.skip("no node with @grpc/grpc-js")
    endpoint = serve(mesh, "cart")
    run = subprocess.run(["node", HERE / "workload_api.cjs", endpoint, "proto/proto/spiffe/workload.proto", "3"],
                         env=os.environ | {"NODE_PATH": modules}, capture_output=True, text=True, timeout=LIMIT)
    assert run.returncode == 0, run.stderr
    seen = [json.loads(line) for line in run.stdout.splitlines()]
    assert {it["id"] for it in seen} == {"spiffe://cluster.local/ns/shop/sa/cart"}
    assert len({it["serial"] for it in seen}) == 3
    assert all(it["verified"] and it["key"] for it in seen), seen


def test_envoys_socket_is_open_to_grpcs_c_core_too(mesh):
    path = mesh.work / "sds.sock"
    mesh.agent("cart", "--sds-socket", path)
    wait_for(LIMIT, path.is_socket, "the socket")
    with grpc.insecure_channel(f"unix://{path}") as channel:
        fetch = channel.unary_unary("/envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets")
        # DiscoveryRequest: resource_names is field 3.
        answer = fetch(b"\x1a\x06ROOTCA", timeout=10)
    assert b"BEGIN CERTIFICATE" in answer
