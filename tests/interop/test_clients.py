"""Clients of other people's making get certificates that other people's code believes."""

import datetime
import pathlib
import socket
import ssl
import subprocess
import threading

import grpc
import pytest
from conftest import BIN, csr_of, key_pem, new_key
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

CART = "spiffe://cluster.local/ns/shop/sa/cart"


def uris(pem):
    leaf = x509.load_pem_x509_certificate(pem.encode())
    san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return san.value.get_values_for_type(x509.UniformResourceIdentifier)


def test_a_grpcio_client_gets_a_leaf_with_a_jwt(server):
    chain = server.create(csr_of(new_key("p256")), bearer=server.jwt())
    assert uris(chain[0]) == [CART]
    assert chain[-1].encode() == server.roots


def test_a_grpcio_client_renews_with_its_own_certificate(server):
    key = new_key("p256")
    first = server.create(csr_of(key), bearer=server.token(CART))
    identity = (key_pem(key), "".join(first[:-1]).encode())
    second = server.create(csr_of(new_key("p256"), "spiffe://cluster.local/ns/other/sa/name"), identity=identity)
    assert uris(second[0]) == [CART]


def test_a_grpcio_client_without_evidence_is_not_recognised(server):
    with pytest.raises(grpc.RpcError) as refused:
        server.create(csr_of(new_key("p256")))
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert refused.value.details() == "request authenticate failure"


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa"])
def test_pyca_verifies_the_chain_for_a_tls_client(server, kind):
    chain = server.create(csr_of(new_key(kind)), bearer=server.jwt())
    certificates = [x509.load_pem_x509_certificate(pem.encode()) for pem in chain[:-1]]
    store = Store(x509.load_pem_x509_certificates(server.roots))
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    verifier = PolicyBuilder().store(store).time(now).build_client_verifier()
    verified = verifier.verify(certificates[0], certificates[1:])
    assert len(verified.chain) == 3


def test_s_client_sees_leaf_ca_and_root_of_a_python_server(start, tmp_path):
    bundle = pathlib.Path("testdata/bundles/sample-shape")
    server = start(root_ca_dir=bundle)
    (tmp_path / "token").write_text(server.token(CART))
    out = tmp_path / "out"
    roots = tmp_path / "roots.pem"
    roots.write_bytes(server.roots)
    subprocess.run([BIN / "ca-client", "fetch", "--ca-addr", server.grpc_addr, "--ca-roots", roots,
                    "--token-file", tmp_path / "token", "--out", out], check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(out / "cert-chain.pem", out / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def accept_one():
            connection, _ = listener.accept()
            with context.wrap_socket(connection, server_side=True) as tls:
                tls.recv(1)
        thread = threading.Thread(target=accept_one)
        thread.start()
        port = listener.getsockname()[1]
        shown = subprocess.run(
            ["openssl", "s_client", "-showcerts", "-connect", f"127.0.0.1:{port}", "-CAfile", out / "root-cert.pem"],
            input="Q\n", capture_output=True, text=True)
        thread.join()
    _, ca, root = x509.load_pem_x509_certificates(shown.stdout.encode())
    for seen, name in [(ca, "ca-cert.pem"), (root, "root-cert.pem")]:
        assert seen == x509.load_pem_x509_certificate((bundle / name).read_bytes()), name
    assert "Verify return code: 0 (ok)" in shown.stdout
