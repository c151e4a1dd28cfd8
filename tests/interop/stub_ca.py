"""A CA that knows other trust domains, and tells agents of them and of its revocation lists; it signs whatever it is asked to."""

import concurrent.futures
import datetime
import ipaddress
import threading
import urllib.parse

import grpc
from conftest import new_key, key_pem
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from istio.v1.auth import ca_pb2, ca_pb2_grpc
from signet.v1 import trust_pb2, trust_pb2_grpc

DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM
NO_NAME = x509.Name([])


def usage(**what):
    kinds = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{kind: what.get(kind, False) for kind in kinds})


class Authority:
    """A root or an issuing CA; without an issuer it is its own."""

    def __init__(self, name, issuer=None):
        self.key = new_key("p256")
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        extensions = [(x509.BasicConstraints(ca=True, path_length=None), True), (usage(key_cert_sign=True, crl_sign=True), True)]
        self.certificate = (issuer or self).sign(self.key.public_key(), self.name, extensions)

    def sign(self, key, subject, extensions):
        now, hour = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(hours=1)
        builder = x509.CertificateBuilder(self.name, subject, key, x509.random_serial_number(), now - hour / 60, now + hour)
        own_key = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        named = [(x509.SubjectKeyIdentifier.from_public_key(key), False),
                 (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own_key), False)]
        for extension, critical in extensions + named:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA256())

    def leaf(self, key, *names):
        both = [x509.ExtendedKeyUsageOID.SERVER_AUTH, x509.ExtendedKeyUsageOID.CLIENT_AUTH]
        return self.sign(key, NO_NAME, [
            (x509.SubjectAlternativeName(names), True), (x509.BasicConstraints(ca=False, path_length=None), True),
            (usage(digital_signature=True), True), (x509.ExtendedKeyUsage(both), False)])

    def revocation_list(self, revoked):
        now, hour = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(hours=1)
        builder = x509.CertificateRevocationListBuilder(self.name, now - hour, now + hour)
        for serial in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build())
        builder = builder.add_extension(x509.CRLNumber(1), critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(DER)


class StubCa(ca_pb2_grpc.IstioCertificateServiceServicer, trust_pb2_grpc.TrustServiceServicer):
    """One trust domain's."""

    def __init__(self, domain):
        self.domain = domain
        self.root = Authority(f"root of {domain}")
        self.issuer = Authority(f"issuer of {domain}", self.root)
        self.roots = self.root.certificate.public_bytes(PEM)
        self._changed, self._number = threading.Condition(), 0
        self.tell()
        key = new_key("p256")
        shown = self.issuer.leaf(key.public_key(), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
        ca_pb2_grpc.add_IstioCertificateServiceServicer_to_server(self, self._server)
        trust_pb2_grpc.add_TrustServiceServicer_to_server(self, self._server)
        credentials = grpc.ssl_server_credentials([(key_pem(key), self.chain(shown).encode())])
        self.grpc_addr = f"127.0.0.1:{self._server.add_secure_port('127.0.0.1:0', credentials)}"
        self._server.start()

    def chain(self, leaf):
        return "".join(it.public_bytes(PEM).decode() for it in (leaf, self.issuer.certificate))

    def spiffe(self, name):
        return f"spiffe://{self.domain}/ns/shop/sa/{name}"

    def token(self, spiffe_id):
        """It is the name that it is good for, in this trust domain whatever was asked for."""
        return f"spiffe://{self.domain}{urllib.parse.urlparse(spiffe_id).path}"

    def certs(self, work, spiffe_id):
        """Files of somebody of whatever name."""
        work.mkdir()
        key = new_key("p256")
        (work / "key.pem").write_bytes(key_pem(key))
        leaf = self.issuer.leaf(key.public_key(), x509.UniformResourceIdentifier(spiffe_id))
        (work / "cert-chain.pem").write_text(self.chain(leaf))
        return work

    def tell(self, others=(), crls=()):
        """What agents know from now on."""
        roots = {ca.domain: trust_pb2.Roots(certificates=[ca.root.certificate.public_bytes(DER)]) for ca in (self, *others)}
        with self._changed:
            self._number += 1
            self._bundle = trust_pb2.TrustBundle(number=self._number, domains=roots, trust_domain=self.domain, crls=crls)
            self._changed.notify_all()

    def CreateCertificate(self, request, context):
        token = dict(context.invocation_metadata())["authorization"].removeprefix("Bearer ")
        key = x509.load_pem_x509_csr(request.csr.encode()).public_key()
        leaf = self.issuer.leaf(key, x509.UniformResourceIdentifier(token))
        chain = [leaf.public_bytes(PEM).decode(), self.issuer.certificate.public_bytes(PEM).decode(), self.roots.decode()]
        context.send_initial_metadata([("signet-bundle", str(self._number))])
        return ca_pb2.IstioCertificateResponse(cert_chain=chain)

    def WatchTrustBundle(self, requests, context):
        told = 0
        while context.is_active():
            with self._changed:
                self._changed.wait_for(lambda: self._number > told, timeout=1)
                if self._number == told:
                    continue
                told, bundle = self._number, self._bundle
            yield bundle

    def stop(self):
        self._server.stop(None)
