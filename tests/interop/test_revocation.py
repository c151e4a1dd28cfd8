"""Revocation lists that an operator puts beside the CA's certificates reach Envoys over SDS, and do there what they say."""

import datetime
import json
import signal
import socket
import ssl
import subprocess
import time
import urllib.request

import pytest
from conftest import BIN
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from envoys import ask
from meshes import LIMIT, Pair, Requests, spiffe
from peers import Material, wait_for
from test_envoy import ENVOY
from test_envoy_modes import nameless
from test_mtls_check import TYPE, fetch, free_ports, http, is_open, listener, tls
from test_sidecars import make_bundle, went_on

OTHER_KEY = bytes(range(20))
# Of certificates, in seconds, where a root is to go.
LIFE = 12


class Lists:
    """An operator's bundle, and lists of the two CAs of its chain."""

    def __init__(self, work, name="acme"):
        self.bundle = make_bundle(work, name)
        root = work / f"{name}-root"
        self.signers = {"issuer": (self.bundle / "ca-cert.pem", self.bundle / "ca-key.pem"),
                        "root": (root / "root-cert.pem", root / "root-key.pem")}

    def make(self, of=("issuer", "root"), revoked=(), ends_in=3600, other_key=False):
        return "".join(self._make(*self.signers[ca], revoked if ca == "issuer" else (), ends_in, other_key) for ca in of)

    @staticmethod
    def _make(certificate, key, revoked, ends_in, other_key):
        ca = x509.load_pem_x509_certificate(certificate.read_bytes())
        now, second = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(seconds=1)
        own_key = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        named = x509.AuthorityKeyIdentifier(OTHER_KEY if other_key else own_key, None, None)
        builder = x509.CertificateRevocationListBuilder().issuer_name(ca.subject)
        # It begins before the certificates do that were made a moment ago.
        builder = builder.last_update(now - 7200 * second).next_update(now + ends_in * second)
        builder = builder.add_extension(named, critical=False).add_extension(x509.CRLNumber(1), critical=False)
        for serial in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
            builder = builder.add_revoked_certificate(entry.build())
        signed = builder.sign(serialization.load_pem_private_key(key.read_bytes(), None), hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM).decode()

    def publish(self, text):
        """As a whole, or none where there is no text."""
        path = self.bundle / "ca-crl.pem"
        if not text:
            path.unlink()
            return
        (self.bundle / "next").write_text(text)
        (self.bundle / "next").rename(path)

    def judged(self):
        """The rules that `bundle check` finds broken in the lists, and its exit status."""
        run = subprocess.run([BIN / "ca-server", "bundle", "check", "--output", "json", self.bundle], capture_output=True, text=True)
        findings = json.loads(run.stdout)["findings"]
        return {it["rule"] for it in findings if it["file"] == "ca-crl.pem" and it["severity"] == "error"}, run.returncode


@pytest.fixture
def lists(tmp_path):
    return Lists(tmp_path)


def as_client(certs):
    """With these files, whoever the server is."""
    context = nameless()
    context.load_cert_chain(certs / "cert-chain.pem", certs / "key.pem")
    return context


def alert(port, certs):
    """By which alert a server refuses who has these files. Nothing is sent: that might fail before the alert is read."""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as plain:
        with as_client(certs).wrap_socket(plain) as connection, pytest.raises(ssl.SSLError) as refused:
            connection.recv(1)
    return refused.value.reason


def serial(certs):
    return Material.read(certs).leaf.serial_number


def by_default(roots, crls, work):
    (work / "lists.pem").write_text(crls)
    return {"trusted_ca": {"filename": str(roots)}, "crl": {"filename": str(work / "lists.pem")}}


def by_trust_domain(roots, crls, work):
    (work / "bundle.pem").write_text(roots.read_text() + crls)
    domain = {"name": "cluster.local", "trust_bundle": {"filename": str(work / "bundle.pem")}}
    config = {"@type": f"{TYPE}.transport_sockets.tls.v3.SPIFFECertValidatorConfig", "trust_domains": [domain]}
    return {"custom_validator_config": {"name": "envoy.tls.cert_validator.spiffe", "typed_config": config}}


# What the lists are; by which alert Envoy's usual validator refuses who is not listed; what the check says.
TABLE = {
    "each CA's": ({}, None, set()),
    "the issuer's alone": ({"of": ["issuer"]}, "TLSV1_ALERT_UNKNOWN_CA", {"crl-of-each-ca"}),
    "the root's alone": ({"of": ["root"]}, "TLSV1_ALERT_UNKNOWN_CA", {"crl-of-each-ca"}),
    "of another key, by their word": ({"other_key": True}, "TLSV1_ALERT_UNKNOWN_CA", {"crl-authority-key", "crl-of-each-ca"}),
    "ended": ({"ends_in": -60}, "SSLV3_ALERT_CERTIFICATE_EXPIRED", {"crl-current"}),
}
# The other one has a word for all.
REFUSED = {by_default: None, by_trust_domain: "SSLV3_ALERT_CERTIFICATE_UNKNOWN"}


def test_lists_for_which_envoy_refuses_everybody_do_not_pass_the_check(start, lists, tmp_path):
    server, certs = start(lists.bundle), {}
    for name in ("cart", "desk", "mole"):
        (tmp_path / name).mkdir()
        certs[name] = fetch(server, tmp_path / name, spiffe(name))
    cases = [(what, validator) for what in TABLE for validator in (by_default, by_trust_domain)]
    ports, listeners = free_ports(len(cases)), []
    for port, (what, validator) in zip(ports, cases):
        work = tmp_path / str(port)
        work.mkdir()
        crls = lists.make(**TABLE[what][0], revoked=[serial(certs["mole"])])
        chain = tls(certs["cart"]) | http()
        chain["transport_socket"]["typed_config"]["common_tls_context"]["validation_context"] = validator(
            certs["cart"] / "root-cert.pem", crls, work)
        listeners.append(listener(str(port), port, [chain]))
    (tmp_path / "envoy.json").write_text(json.dumps({"static_resources": {"listeners": listeners}}))
    envoy = subprocess.Popen([ENVOY, "-c", tmp_path / "envoy.json", "--disable-hot-restart", "--concurrency", "1", "-l", "error"])
    try:
        wait_for(LIMIT, lambda: all(map(is_open, ports)), "the listeners")
        for port, (what, validator) in zip(ports, cases):
            _, expected, _ = TABLE[what]
            seen = None if ask(port, tls=as_client(certs["desk"])) == 503 else alert(port, certs["desk"])
            assert seen == (expected and (REFUSED[validator] or expected)), (what, validator.__name__)
            assert ask(port, tls=as_client(certs["mole"])) != 503, (what, validator.__name__)
    finally:
        envoy.kill()
        envoy.wait()
    for what, (how, _, rules) in TABLE.items():
        lists.publish(lists.make(**how))
        assert lists.judged() == (rules, 4 if rules else 0), what


@pytest.fixture
def services(start, lists, tmp_path):
    """cart and ratings under lists that name nobody, and a caller."""
    lists.publish(lists.make())
    pair = Pair(start(lists.bundle, ["--reload-interval=1s"]), tmp_path)
    try:
        pair.start_agents()
        # Connections that stand are not judged again: they end.
        pair.start_envoys("--mtls", "strict", "--max-connection-duration", "1s")
        (tmp_path / "desk").mkdir()
        pair.desk = fetch(pair.server, tmp_path / "desk", spiffe("desk"))
        wait_for(LIMIT, lambda: speak(pair), "the first requests")
        yield pair
    finally:
        pair.stop()


def speak(pair):
    """Whether each of both gets through to the other."""
    return all(isinstance(ask(it.out), dict) for it in pair.both)


def is_told_revoked(pair, name):
    """Whether cart's and ratings' sidecars say that the certificate of `name` is revoked, and no other's."""
    holders = {it.name: it.work / "certs" for it in pair.both} | {"desk": pair.desk}
    for holder, certs in holders.items():
        for sidecar in pair.both:
            answer = ask(sidecar.port, tls=as_client(certs))
            if holder != name:
                assert isinstance(answer, dict), (holder, answer)
            elif isinstance(answer, dict):
                return False
            else:
                assert alert(sidecar.port, certs) == "SSLV3_ALERT_CERTIFICATE_REVOKED"
    return True


def nobody_speaks(pair):
    return not any(isinstance(ask(it.out), dict) for it in pair.both)


def test_who_is_listed_is_refused_until_it_renews_or_the_list_names_it_no_longer(services, lists):
    ratings = services.ratings
    listed = serial(ratings.work / "certs")
    lists.publish(lists.make(revoked=[listed]))
    wait_for(LIMIT, lambda: is_told_revoked(services, "ratings"), "the list at both sidecars")
    # As a server too: its caller's sidecar reads the same list.
    wait_for(LIMIT, lambda: nobody_speaks(services), "the end of connections that stand")
    ratings.agent.send_signal(signal.SIGHUP)
    wait_for(LIMIT, lambda: speak(services), "a certificate that is not listed")
    assert serial(ratings.work / "certs") != listed
    listed = serial(services.cart.work / "certs")
    lists.publish(lists.make(revoked=[listed]))
    wait_for(LIMIT, lambda: is_told_revoked(services, "cart"), "the next list at both sidecars")
    lists.publish(lists.make())
    wait_for(LIMIT, lambda: speak(services), "the list that names nobody")
    assert serial(services.cart.work / "certs") == listed


def test_a_list_of_another_key_is_refused_by_the_ca_and_nobody_hears_of_it(services, lists):
    lists.publish(lists.make(other_key=True, revoked=[serial(services.desk)]))
    wait_for(LIMIT, lambda: "crl-authority-key" in services.server.log.read_text(), "the CA's word on the list")
    assert speak(services) and isinstance(ask(services.cart.port, tls=as_client(services.desk)), dict)
    lists.publish(lists.make(revoked=[serial(services.desk)]))
    wait_for(LIMIT, lambda: is_told_revoked(services, "desk"), "the list of the right key")


def let_one_end(services, lists):
    """Gives out a list with a short life, and another where that ended before the CA had read it."""
    def ended():
        lists.publish(lists.make(ends_in=6))
        until = time.monotonic() + 12
        while time.monotonic() < until:
            if nobody_speaks(services):
                return True
            time.sleep(0.1)

    wait_for(LIMIT, ended, "the end of the list")


def test_a_list_that_ends_stops_everybody_until_there_is_another_or_none(services, lists):
    for remedy in (lists.make(), ""):
        let_one_end(services, lists)
        # Agents and CA do not mind: new certificates are had meanwhile.
        was = serial(services.cart.work / "certs")
        services.cart.agent.send_signal(signal.SIGHUP)
        wait_for(LIMIT, lambda: serial(services.cart.work / "certs") != was, "a renewal")
        lists.publish(remedy)
        wait_for(LIMIT, lambda: speak(services), "the remedy")


def blocks(text):
    return {"".join(block.split()) for block in text.split("-----END X509 CRL-----")}


def served(server):
    with urllib.request.urlopen(f"http://{server.http_addr}/ca-crl.pem") as answer:
        return blocks(answer.read().decode())


def has_moved(server, to):
    status = json.loads(server.operator("rotate", "status", "--output", "json"))
    return status["phase"] == "steady" and server.fetch_roots() == (to.bundle / "root-cert.pem").read_bytes()


def test_a_new_root_comes_with_its_lists_and_no_request_fails(start, lists, tmp_path):
    lists.publish(lists.make())
    where, first = tmp_path / "cacerts", tmp_path / "acme"
    where.symlink_to(first)
    server = start(where, ["--reload-interval=1s", "--min-ttl=1s", f"--default-ttl={LIFE}s", f"--max-ttl={LIFE}s"])
    pair = Pair(server, tmp_path, ["--ttl", f"{LIFE}s"])
    try:
        pair.start_agents()
        pair.start_envoys("--mtls", "strict", "--max-connection-duration", "1s")
        wait_for(LIMIT, lambda: speak(pair), "the first requests")
        traffic = Requests(pair)
        try:
            went_on(traffic)
            second = Lists(tmp_path, "second")
            second.publish(second.make())
            (tmp_path / "next").symlink_to(second.bundle)
            (tmp_path / "next").rename(where)
            wait_for(LIMIT + LIFE, lambda: traffic.failed or has_moved(server, second), "the new root alone")
            went_on(traffic)
        finally:
            traffic.stop()
        assert not traffic.failed, "\n".join(traffic.failed[:20])
        assert served(server) == blocks((second.bundle / "ca-crl.pem").read_text())
    finally:
        pair.stop()
