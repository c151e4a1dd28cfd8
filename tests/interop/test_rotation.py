"""The root of trust is replaced by an unrelated one while services speak mTLS, and OpenSSL notices nothing."""

import datetime
import json
import shutil
import signal
import subprocess
import threading

import pytest
from conftest import BIN, csr_of, key_pem, new_key
from cryptography import x509
from peers import Material, Traffic, wait_for

LIMIT = 60
SHORT_LIVES = ["--min-ttl=1s", "--default-ttl=8s", "--max-ttl=20s", "--reload-interval=1s"]
BUNDLE = ["root-cert.pem", "cert-chain.pem", "ca-cert.pem", "ca-key.pem"]


class Stranger:
    """A client of another make: it renews at half of its life, and can acknowledge nothing."""

    def __init__(self, server, work):
        self.server = server
        self.out = work / "stranger" / "certs"
        self.out.mkdir(parents=True)
        self.roots = server.roots
        self.failed = []
        self.count = 0
        self._renew()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._over.wait(self.half_life):
            try:
                self._renew()
            except Exception as why:
                self.failed.append(str(why))

    def _renew(self):
        key = new_key("p256")
        csr = csr_of(key, "spiffe://cluster.local/ns/shop/sa/stranger")
        chain = self.server.create(csr, bearer=self.server.jwt("shop:stranger"), ttl=8, roots=self.roots)
        # What it trusts, the CA's own certificate too, is what came with its last certificate and nothing else.
        self.roots = chain[-1].encode()
        ends = x509.load_pem_x509_certificate(chain[0].encode()).not_valid_after_utc
        self.half_life = (ends - datetime.datetime.now(datetime.timezone.utc)).total_seconds() / 2
        self._write({"cert-chain.pem": "".join(chain[:-1]), "key.pem": key_pem(key).decode(),
                     "root-cert.pem": chain[-1]})

    def _write(self, files):
        """A whole set in a directory of its own, and then one rename; the set before stays for who still reads it."""
        self.count += 1
        name = f"..set{self.count}"
        (self.out / name).mkdir()
        for file, text in files.items():
            (self.out / name / file).write_text(text)
        link = self.out / "..data_tmp"
        link.symlink_to(name)
        link.rename(self.out / "..data")

    def stop(self):
        self._over.set()
        self._thread.join()


class Mesh:
    """A CA whose leaves live for seconds, and the services that have certificates of it."""

    def __init__(self, start, work):
        self.work = work
        self.root_ca_dir = work / "cacerts"
        self.root_ca_dir.mkdir()
        self.server = start(self.root_ca_dir, SHORT_LIVES)
        self.processes = {"ca-server": self.server.process}

    def agent(self, name, *flags, settle="200ms"):
        """A `ca-client agent` with a certificate; says where its files are."""
        work = self.work / name
        work.mkdir()
        (work / "token").write_text(self.server.token(f"spiffe://cluster.local/ns/shop/sa/{name}"))
        (work / "roots.pem").write_bytes(self.server.roots)
        with open(work / "log", "wb") as log:
            self.processes[name] = subprocess.Popen(
                [BIN / "ca-client", "agent", "--ca-addr", self.server.grpc_addr, "--ca-roots", "roots.pem",
                 "--token-file", "token", "--out", "certs", "--ttl", "8s", "--settle", settle, *flags],
                cwd=work, stderr=log)
        wait_for(LIMIT, (work / "certs" / "..data").is_symlink, f"the first files of {name}")
        return work / "certs"

    def status(self):
        return json.loads(self.server.operator("rotate", "status", "--output", "json"))

    def signer(self, role):
        return next(it["issuer"] for it in self.status()["signers"] if it["role"] == role)

    def drop_in(self, name):
        """An unrelated root with an issuing CA; its files come one by one to where the CA looks."""
        for made in (["root", "--out", f"{name}-root"],
                     ["issuer", "--root", f"{name}-root", "--out", name, "--name", name]):
            subprocess.run([BIN / "ca-server", "bundle", "create", *made], cwd=self.work, check=True,
                           capture_output=True)
        for file in BUNDLE:
            shutil.copy(self.work / name / file, self.root_ca_dir)
        return (self.work / name / "root-cert.pem").read_text()

    def is_over(self, before):
        """Another signer is active, and nothing of the one before is left in the trust bundle."""
        status = self.status()
        active = [it["issuer"] for it in status["signers"] if it["role"] == "active"]
        return status["phase"] == "steady" and active != [before] and self.root_count() == 1

    def root_count(self):
        return self.server.fetch_roots().count(b"BEGIN CERTIFICATE")

    def stop(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture
def mesh(start, tmp_path):
    running = Mesh(start, tmp_path)
    yield running
    running.stop()


def replace_root(mesh, traffic, how):
    """One rotation: some connections must fall between two roots that are trusted, and some between two issuers."""
    before, two, across = mesh.signer("active"), traffic.with_two_roots, traffic.across_roots
    how(before)
    wait_for(LIMIT, lambda: mesh.is_over(before), "the end of the rotation")
    assert not traffic.failed, "\n".join(traffic.failed)
    assert traffic.with_two_roots > two, "nobody connected with both roots in its files"
    assert traffic.across_roots > across, "nobody connected to a leaf of the other root"


def test_three_roots_in_a_row_without_one_failed_openssl_handshake(mesh):
    stranger = Stranger(mesh.server, mesh.work)
    outs = [mesh.agent("a"), mesh.agent("b"), stranger.out]
    traffic = Traffic(outs)
    order = mesh.server.operator
    # Leaves live no longer than --renew-within meanwhile: less than 4 s leaves no time to renew on a busy machine.
    replace_root(mesh, traffic, lambda _: order("rotate", "start", "--auto"))
    replace_root(mesh, traffic, lambda active: order("rotate", "taint", active, "--renew-within", "4s"))
    replace_root(mesh, traffic, lambda _: mesh.drop_in("third"))
    last = mesh.server.fetch_roots().decode()
    assert last == (mesh.work / "third" / "root-cert.pem").read_text()
    wait_for(LIMIT, lambda: all(Material.read(out).roots == last for out in outs), "the last root alone everywhere")
    traffic.stop()
    stranger.stop()
    assert not traffic.failed, "\n".join(traffic.failed)
    assert not stranger.failed, "\n".join(stranger.failed)
    assert len(traffic.made) == 6 and min(traffic.made.values()) > 100, traffic.made
    ended = {name: process.returncode for name, process in mesh.processes.items() if process.poll() is not None}
    assert ended == {}


def test_force_breaks_the_one_that_the_status_named(mesh):
    traffic = Traffic([mesh.agent("a"), mesh.agent("b")])
    mesh.processes["b"].send_signal(signal.SIGSTOP)
    mesh.drop_in("unrelated")

    def named():
        steps = json.dumps(mesh.status()["steps"])
        return '/sa/b"' in steps and '/sa/a"' not in steps

    wait_for(LIMIT, named, "b and nobody else to be named")
    assert not traffic.failed, "\n".join(traffic.failed)
    mesh.server.operator("rotate", "activate", "--force", mesh.signer("next"), "--reason", "to see it break")
    wait_for(LIMIT, lambda: traffic.unknown_issuers, "b to refuse the new root")
    traffic.stop()
