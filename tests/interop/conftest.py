"""A real ca-server with a token issuer of our own, for clients that Signet's authors did not write."""

import datetime
import json
import pathlib
import subprocess

import grpc
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from istio.v1.auth import ca_pb2, ca_pb2_grpc

BIN = pathlib.Path("target/debug").resolve()
ISSUER = "https://issuer.test"
AUDIENCE = "istio-ca"


class Server:
    """One process, its ports, its data directory."""

    def __init__(self, work, root_ca_dir=None, flags=()):
        self.work = work
        self.data = work / "data"
        self.signing_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.signing_key.public_key()))
        (work / "jwks.json").write_text(json.dumps({"keys": [jwk | {"kid": "k1", "use": "sig"}]}))
        (work / "issuers.yaml").write_text(
            f"- issuer: {ISSUER}\n  audiences: [{AUDIENCE}]\n  jwks_file: {work}/jwks.json\n"
        )
        self.log = work / "server.log"
        self.command = [BIN / "ca-server", "serve", "--log-format", "json", "--data-dir", self.data, "--issuers",
                        work / "issuers.yaml", "--root-ca-dir", root_ca_dir or work / "none", *flags]
        self.grpc_addr = self.http_addr = "127.0.0.1:0"
        self.launch()
        self.roots = self.fetch_roots()

    def launch(self):
        """Starts it, where it was before if it was."""
        self.process = subprocess.Popen(
            [*self.command, "--grpc-addr", self.grpc_addr, "--http-addr", self.http_addr], stderr=subprocess.PIPE, text=True)
        self.grpc_addr = self._wait_for("grpc")
        with open(self.log, "ab") as log:
            self.drain = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=log)

    def events(self):
        """What it logged since it listened."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]

    def _wait_for(self, key):
        lines = []
        for line in self.process.stderr:
            lines.append(line)
            event = json.loads(line) if line.startswith("{") else {}
            if key in event:
                self.http_addr = event["http"]
                return event[key]
        raise AssertionError("ca-server did not start:\n" + "".join(lines))

    def fetch_roots(self):
        import urllib.request
        with urllib.request.urlopen(f"http://{self.http_addr}/ca.pem") as answer:
            return answer.read()

    def jwt(self, account="shop:cart", **claims):
        now = datetime.datetime.now(datetime.timezone.utc)
        body = {"iss": ISSUER, "aud": [AUDIENCE], "sub": f"system:serviceaccount:{account}",
                "exp": now + datetime.timedelta(minutes=10)} | claims
        return jwt.encode(body, self.signing_key, algorithm="RS256", headers={"kid": "k1"})

    def token(self, spiffe_id):
        return self.operator("token", "create", "--spiffe-id", spiffe_id).strip()

    def operator(self, *args):
        run = subprocess.run([BIN / "ca-server", *args, "--data-dir", self.data],
                             capture_output=True, text=True, check=True)
        return run.stdout

    def create(self, csr, bearer=None, identity=None, ttl=3600, roots=None):
        """Calls CreateCertificate as Istio's agent does, through grpcio's C core."""
        key, chain = identity or (None, None)
        credentials = grpc.ssl_channel_credentials(roots or self.roots, key, chain)
        target = self.grpc_addr.replace("127.0.0.1", "localhost")
        metadata = [("clusterid", "Kubernetes")]
        if bearer:
            metadata.append(("authorization", f"Bearer {bearer}"))
        with grpc.secure_channel(target, credentials) as channel:
            stub = ca_pb2_grpc.IstioCertificateServiceStub(channel)
            request = ca_pb2.IstioCertificateRequest(csr=csr, validity_duration=ttl)
            request.metadata.update({"CertSigner": ""})
            return list(stub.CreateCertificate(request, metadata=metadata, timeout=10).cert_chain)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.drain.wait()


@pytest.fixture
def server(tmp_path):
    running = Server(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def start(tmp_path):
    """Starts servers with bundles and flags."""
    started = []

    def begin(root_ca_dir=None, flags=()):
        work = tmp_path / f"server{len(started)}"
        work.mkdir()
        started.append(Server(work, root_ca_dir, flags))
        return started[-1]

    yield begin
    for running in started:
        running.stop()


def new_key(kind):
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key({"p256": ec.SECP256R1(), "p384": ec.SECP384R1()}[kind])


def csr_of(key, spiffe_id="spiffe://cluster.local/ns/shop/sa/cart"):
    """A CSR as Istio's Go agent makes it: an empty organisation, a critical URI SAN."""
    builder = x509.CertificateSigningRequestBuilder(
        x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "", _validate=False)]))
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.UniformResourceIdentifier(spiffe_id)]), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())
