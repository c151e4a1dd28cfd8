"""Services that speak mTLS from the files that are kept for them, judged by OpenSSL alone.

Each connection makes new contexts from files read anew, as a service does that loads its files for each connection. The
bytes go from one side to the other in memory, so that nothing but certificates can fail.
"""

import collections
import dataclasses
import datetime
import itertools
import pathlib
import ssl
import threading
import time

from cryptography import x509

PACE = 0.01
# X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN and X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY.
UNKNOWN_ISSUER = {19, 20}


def wait_for(seconds, ask, what):
    """Polls until `ask` answers with something true, and returns that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {what}")


@dataclasses.dataclass(frozen=True)
class Material:
    """What a service read at one moment."""

    directory: pathlib.Path
    roots: str
    leaf: x509.Certificate

    @classmethod
    def read(cls, out):
        """Looks at `..data` once, and takes everything from where it points."""
        directory = out / (out / "..data").readlink()
        leaf = x509.load_pem_x509_certificate((directory / "cert-chain.pem").read_bytes())
        return cls(directory, (directory / "root-cert.pem").read_text(), leaf)

    @property
    def root_count(self):
        return self.roots.count("BEGIN CERTIFICATE")

    def context(self, protocol):
        """Demands a certificate of the other side, under these roots and by the strict reading of RFC 5280."""
        context = ssl.SSLContext(protocol)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_verify_locations(cadata=self.roots)
        context.load_cert_chain(self.directory / "cert-chain.pem", self.directory / "key.pem")
        return context


def handshake(client, server):
    """Each proves who it is to the other; raises what OpenSSL has against it."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.context(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(to_client, to_server),
        server.context(ssl.PROTOCOL_TLS_SERVER).wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(10):
        # The server is done only when it has judged the client, also in TLS 1.3.
        ends = [end for end in ends if not is_done(end)]
        if not ends:
            return
    raise AssertionError("the handshake does not end")


def is_done(end):
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


class Traffic:
    """Everybody connects to everybody, all the time, until stopped."""

    def __init__(self, directories):
        self.directories = directories
        self.made = collections.Counter()
        self.failed = []
        self.with_two_roots = 0
        self.across_roots = 0
        self.unknown_issuers = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._over.wait(PACE):
            for client, server in itertools.permutations(self.directories, 2):
                pair = f"{client.parent.name} to {server.parent.name}"
                try:
                    self._connect(pair, Material.read(client), Material.read(server))
                except (OSError, ValueError) as why:
                    self.failed.append(f"{pair}: {why}")

    def _connect(self, pair, client, server):
        try:
            handshake(client, server)
        except (ssl.SSLError, AssertionError) as why:
            ends = [side.leaf.not_valid_after_utc.time() for side in (client, server)]
            now = datetime.datetime.now(datetime.timezone.utc).time()
            self.failed.append(f"{pair} at {now}, leaves end {ends[0]} and {ends[1]}: {why}")
            self.unknown_issuers += getattr(why, "verify_code", None) in UNKNOWN_ISSUER
            return
        self.made[pair] += 1
        self.with_two_roots += client.root_count == 2 and server.root_count == 2
        self.across_roots += client.leaf.issuer != server.leaf.issuer

    def stop(self):
        self._over.set()
        self._thread.join()
