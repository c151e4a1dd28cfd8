"""Two trust domains that know each other's roots: Envoys of both speak mTLS, and nobody names the one with the root of the other."""

import http.server
import ssl
import threading

import pytest
from cryptography import x509
from envoys import Application, ask
from meshes import LIMIT, Workload
from peers import wait_for
from spiffe import TrustDomain, X509Source
from stub_ca import StubCa
from test_envoy import free_port
from test_envoy_modes import nameless
from test_spiffe_peers import Peer, knock


class Door(http.server.ThreadingHTTPServer):
    """A service that shows what it is given, and lets everybody in."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Application.Handler)
        self.port, self._context = self.server_address[1], ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.socket = self._context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def show(self, certs):
        """To whoever comes from now on."""
        self._context.load_cert_chain(certs / "cert-chain.pem", certs / "key.pem")


class Domains:
    """cart in the east and ratings in the west, each with an agent of its own CA and an Envoy that is open to both."""

    def __init__(self, work):
        self.east, self.west = StubCa("east.test"), StubCa("west.test")
        self.api = {name: work / f"{name}-api.sock" for name in ("cart", "ratings")}
        self.cart, self.ratings = (
            Workload(ca, work, name, ["--workload-api-socket", self.api[name]])
            for ca, name in ((self.east, "cart"), (self.west, "ratings")))
        self.door, self.way_to_door = Door(), free_port()
        self.both = [(self.cart, self.east), (self.ratings, self.west)]

    def start(self):
        for (one, ca), (other, elsewhere) in (self.both, self.both[::-1]):
            one.start_agent()
            allowed = [flag for it in (self.east, self.west) for flag in ("--allow", f"spiffe://{it.domain}/*")]
            to_door = f"127.0.0.1:{self.way_to_door}=127.0.0.1:{self.door.port},{self.west.spiffe('desk')},service=door.test"
            one.describe(
                "--outbound", to_door, "--mtls", "strict", "--listen", f"127.0.0.1:{one.port}", "--upstream", one.application.address, *allowed,
                "--max-connection-duration", "1s",
                "--outbound", f"127.0.0.1:{one.out}=127.0.0.1:{other.port},{elsewhere.spiffe(other.name)},service=any.test")
            one.start_envoy()
        for workload, _ in self.both:
            wait_for(LIMIT, workload.is_ready, f"{workload.name}'s Envoy")

    def know_each_other(self):
        self.east.tell([self.west])
        self.west.tell([self.east])

    def stop(self):
        for workload, ca in self.both:
            workload.stop()
            ca.stop()


@pytest.fixture
def domains(tmp_path):
    running = Domains(tmp_path)
    try:
        running.start()
        yield running
    finally:
        running.stop()


def is_in(port, certs):
    context = nameless()
    context.load_cert_chain(certs / "cert-chain.pem", certs / "key.pem")
    answer = ask(port, tls=context)
    assert isinstance(answer, (dict, ssl.SSLError)), answer
    return isinstance(answer, dict)


def get_through(domains):
    """Whether each gets through to the other, under its own name."""
    seen = [ask(workload.out) for workload, _ in domains.both]
    if not all(isinstance(it, dict) for it in seen):
        return False
    for it, (workload, ca) in zip(seen, domains.both):
        assert it["x-forwarded-client-cert"].endswith(f"URI={ca.spiffe(workload.name)}"), it
    return True


def test_envoys_of_two_trust_domains_speak_as_long_as_they_know_each_other(domains, tmp_path):
    ours = domains.east.certs(tmp_path / "ours", domains.east.spiffe("desk"))
    theirs = domains.west.certs(tmp_path / "theirs", domains.west.spiffe("desk"))
    assert is_in(domains.cart.port, ours) and not is_in(domains.cart.port, theirs)
    assert not get_through(domains)
    domains.know_each_other()
    wait_for(LIMIT, lambda: get_through(domains), "the roots of the other at both")
    assert is_in(domains.cart.port, ours) and is_in(domains.cart.port, theirs)
    domains.east.tell()
    wait_for(LIMIT, lambda: not is_in(domains.cart.port, theirs), "the end of the roots of the other")
    assert is_in(domains.cart.port, ours)


def test_a_root_makes_nobody_of_the_other_trust_domain(domains, tmp_path):
    domains.know_each_other()
    wait_for(LIMIT, lambda: get_through(domains), "the roots of the other at both")
    for number, (workload, ca) in enumerate(domains.both):
        _, other = domains.both[1 - number]
        for signer, named, welcome in ((ca, ca, True), (other, other, True), (other, ca, False), (ca, other, False)):
            certs = signer.certs(tmp_path / f"{ca.domain}-{signer.domain}-{named.domain}", named.spiffe("desk"))
            assert is_in(workload.port, certs) == welcome, (ca.domain, signer.domain, named.domain)


def test_a_service_is_held_against_the_root_of_the_trust_domain_that_it_names(domains, tmp_path):
    east, west = domains.east, domains.west
    domains.know_each_other()
    wait_for(LIMIT, lambda: get_through(domains), "the roots of the other at both")
    for number, (signer, named, answer) in enumerate([
            (west, west.spiffe("desk"), dict), (east, west.spiffe("desk"), int), (west, east.spiffe("desk"), int),
            (west, west.spiffe("till"), int), (west, west.spiffe("desk"), dict)]):
        domains.door.show(signer.certs(tmp_path / str(number), named))
        # One that stands from before is not judged again.
        wait_for(LIMIT, lambda: isinstance(ask(domains.way_to_door), answer), f"what comes of {named} by {signer.domain}")


def test_spiffes_libraries_get_the_roots_of_both_and_hold_each_against_its_own(domains, tmp_path):
    east, west = domains.east, domains.west
    domains.know_each_other()
    with X509Source(socket_path=f"unix://{domains.api['cart']}") as source:
        bundle = lambda ca: source.get_bundle_for_trust_domain(TrustDomain(ca.domain))
        wait_for(LIMIT, lambda: bundle(west), "the roots of the other in Python")
        assert [set(bundle(ca).x509_authorities) for ca in (east, west)] == [{ca.root.certificate} for ca in (east, west)]
    peer = Peer("rust", domains.api["cart"], [east.spiffe("desk"), west.spiffe("desk")], tmp_path / "peer.log")
    try:
        for signer in (east, west):
            for named in (east, west):
                certs = signer.certs(tmp_path / f"{signer.domain}-{named.domain}", named.spiffe("desk"))
                seen = knock(peer.port, certs)
                assert seen == (named.spiffe("desk") if signer == named else ""), (signer.domain, named.domain)
    finally:
        peer.stop()


def test_a_revocation_list_of_ours_counts_for_ours_alone(domains, tmp_path):
    listed = domains.east.certs(tmp_path / "listed", domains.east.spiffe("desk"))
    ours = domains.east.certs(tmp_path / "ours", domains.east.spiffe("desk"))
    theirs = domains.west.certs(tmp_path / "theirs", domains.west.spiffe("desk"))
    domains.know_each_other()
    wait_for(LIMIT, lambda: get_through(domains), "the roots of the other at both")
    assert is_in(domains.cart.port, listed)
    serial = x509.load_pem_x509_certificate((listed / "cert-chain.pem").read_bytes()).serial_number
    crls = [domains.east.root.revocation_list([]), domains.east.issuer.revocation_list([serial])]
    domains.east.tell([domains.west], crls)
    wait_for(LIMIT, lambda: not is_in(domains.cart.port, listed), "the lists at cart's Envoy")
    assert is_in(domains.cart.port, ours) and is_in(domains.cart.port, theirs)
    assert get_through(domains)
