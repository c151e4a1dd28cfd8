"""Every kind of leaf passes pkilint's PKIX linter."""

import json
import pathlib
import ssl
import subprocess
import sys

import pytest
from conftest import csr_of, new_key

LINTER = pathlib.Path(sys.executable).parent / "lint_pkix_cert"
# pkilint's URI pattern does not know that a SPIFFE ID has no port and no query.
KNOWN_FALSE_POSITIVES = {"pkix.invalid_uri_syntax"}


def lint(path):
    run = subprocess.run([LINTER, "lint", "-s", "WARNING", "-f", "JSON", path], capture_output=True, text=True)
    report = json.loads(run.stdout)
    findings = {finding["code"] for result in report["results"] for finding in result["finding_descriptions"]}
    return findings - KNOWN_FALSE_POSITIVES


@pytest.mark.parametrize("issuer", [None, "rsa2048", "rsa4096", "p256", "p384", "sample-shape"])
def test_workload_leaves_of_every_kind_of_issuer_and_key_are_clean(start, tmp_path, issuer):
    server = start(root_ca_dir=issuer and pathlib.Path("testdata/bundles", issuer))
    for kind in ["p256", "p384", "rsa"]:
        leaf = tmp_path / f"{kind}.pem"
        leaf.write_text(server.create(csr_of(new_key(kind)), bearer=server.jwt())[0])
        assert lint(leaf) == set(), kind


def test_the_serving_leaf_is_clean(start, tmp_path):
    # pkilint wants a dot in every DNS name, which localhost and most host names lack.
    server = start(flags=["--serving-name", "istiod.istio-system.svc", "--serving-name", "127.0.0.1"])
    leaf = tmp_path / "serving.pem"
    host, port = server.grpc_addr.split(":")
    leaf.write_text(ssl.get_server_certificate((host, int(port))))
    assert lint(leaf) == set()


def test_the_self_signed_cas_are_clean(server, tmp_path):
    for name in ["ca-cert.pem", "root-cert.pem"]:
        found = next(pathlib.Path(server.data).rglob(name))
        assert lint(found) == set(), name


def test_the_linter_can_fail(tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "k",
                    "-out", tmp_path / "bad.pem", "-subj", "/CN=x", "-addext", "subjectAltName=DNS:a b", "-days", "1"], check=True, capture_output=True)
    assert lint(tmp_path / "bad.pem") != set()
