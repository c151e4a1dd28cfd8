"""Java takes keystore.p12 and truststore.p12 as they are. Needs a JDK; skipped where there is none."""

import pathlib
import shutil
import subprocess

import pytest

from conftest import BIN

CART = "spiffe://cluster.local/ns/shop/sa/cart"
PROGRAM = pathlib.Path(__file__).parent / "Handshake.java"

pytestmark = pytest.mark.skipif(
    not (shutil.which("javac") and shutil.which("keytool")), reason="no Java development kit")


def java(*command):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


def fetch(server, work, password):
    (work / "token").write_text(server.token(CART))
    (work / "roots.pem").write_bytes(server.roots)
    (work / "password").write_text(password + "\n")
    subprocess.run(
        [BIN / "ca-client", "fetch", "--ca-addr", server.grpc_addr, "--ca-roots", work / "roots.pem",
         "--token-file", work / "token", "--out", work / "out", "--pkcs12-password-file", work / "password"],
        check=True, capture_output=True)
    return work / "out"


@pytest.mark.parametrize("password", ["changeit", "x", "with space and $igns \"'\\", "y" * 256])
def test_keytool_lists_the_key_and_the_roots_by_the_password_alone(server, tmp_path, password):
    out = fetch(server, tmp_path, password)
    for store, entry in [("keystore.p12", "workload, "), ("truststore.p12", "root-")]:
        listing = java("keytool", "-J-Duser.language=en", "-list", "-keystore", out / store, "-storepass", password)
        kind = "PrivateKeyEntry" if store == "keystore.p12" else "trustedCertEntry"
        assert listing.returncode == 0 and kind in listing.stdout and entry in listing.stdout, listing.stdout
        refused = java("keytool", "-list", "-keystore", out / store, "-storepass", password + "x")
        assert refused.returncode != 0


def test_java_speaks_mutual_tls_by_the_two_stores(server, tmp_path):
    out = fetch(server, tmp_path, "between us")
    run = java("java", PROGRAM, out, "between us")
    assert run.returncode == 0, run.stderr
    expected = {"roots 1", f"client sees {CART} by 2 certificates", f"server sees {CART} by 2 certificates"}
    assert set(run.stdout.splitlines()) == expected
