"""A workload with SPIFFE's own Python client and OpenSSL; speaks as tests/src/bin/spiffe_peer.rs does."""

import json
import os
import socket
import ssl
import sys
import tempfile
import threading

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from spiffe import X509Source

LIMIT = 20


def pem(certificates):
    return "".join(it.public_bytes(serialization.Encoding.PEM).decode() for it in certificates)


def context(source, protocol):
    """Of what there is at this moment; a certificate is held against the roots of our own trust domain alone."""
    made = ssl.SSLContext(protocol)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    held = source.get_x509_context()
    svid = held.default_svid
    bundle = held.x509_bundle_set.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
    made.load_verify_locations(cadata=pem(bundle.x509_authorities))
    key = svid.private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    # OpenSSL takes them from files alone.
    with tempfile.NamedTemporaryFile() as file:
        file.write(pem(svid.cert_chain).encode() + key)
        file.flush()
        made.load_cert_chain(file.name)
    return made


def judge(connection, expected):
    """The leaf of the other side and its SPIFFE ID, if that is one that may come in."""
    leaf = connection.getpeercert(binary_form=True)
    names = x509.load_der_x509_certificate(leaf).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    ids = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(ids) != 1 or ids[0] not in expected:
        raise ssl.SSLError(f"unexpected SPIFFE ID {ids}")
    return leaf, ids[0]


def greet(source, plain, expected):
    try:
        plain.settimeout(LIMIT)
        with context(source, ssl.PROTOCOL_TLS_SERVER).wrap_socket(plain, server_side=True) as connection:
            _, seen = judge(connection, expected)
            connection.sendall(f"{seen}\n".encode())
            # The other side has read it when it closes.
            connection.recv(1)
    except (OSError, ValueError):
        # The other side hears that it was not let in, and tells the test.
        plain.close()


def accept(source, listener, expected):
    while True:
        plain, _ = listener.accept()
        threading.Thread(target=greet, args=(source, plain, expected), daemon=True).start()


def connect(source, port, expected):
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as plain:
        with context(source, ssl.PROTOCOL_TLS_CLIENT).wrap_socket(plain) as connection:
            leaf, _ = judge(connection, expected)
            seen = connection.makefile().readline()
            if not seen.endswith("\n"):
                raise ssl.SSLError("closed without a greeting")
            return {"leaf": leaf.hex(), "seen": seen.strip()}


def main():
    endpoint, expected = sys.argv[1:]
    expected = expected.split(",")
    with X509Source(socket_path=f"unix://{endpoint}") as source:
        listener = socket.create_server(("127.0.0.1", 0))
        print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
        threading.Thread(target=accept, args=(source, listener, expected), daemon=True).start()
        for line in sys.stdin:
            try:
                said = connect(source, int(line), expected)
            except (OSError, ValueError) as why:
                said = {"refused": str(why)}
            print(json.dumps(said), flush=True)
    # Threads of the client would keep it from ending.
    os._exit(0)


if __name__ == "__main__":
    main()
