"""Workloads of three makes, with SPIFFE's libraries for Rust and Python and with grpc-js, speak mTLS from agents' sockets."""

import collections
import json
import os
import pathlib
import queue
import shutil
import socket
import ssl
import subprocess
import sys
import threading

import pytest
from conftest import BIN
from cryptography import x509
from meshes import Workload
from peers import PACE, Material, wait_for
from test_mtls_check import fetch
from test_rotation import LIMIT, mesh  # noqa: F401  (a fixture)

HERE = pathlib.Path(__file__).parent
MODULES = os.environ.get("SIGNET_INTEROP_NODE_MODULES", "/nowhere")
KINDS = ["rust", "python", "node"]


def spiffe(name, domain="cluster.local"):
    return f"spiffe://{domain}/ns/shop/sa/{name}"


def command(kind, endpoint, expected):
    return {
        "rust": [BIN / "spiffe_peer", endpoint, expected],
        "python": [sys.executable, HERE / "spiffe_peer.py", endpoint, expected],
        "node": ["node", HERE / "spiffe_peer.cjs", endpoint, expected, "proto/proto/spiffe/workload.proto"],
    }[kind]


class Peer:
    """One workload; it listens, and connects to where it is told."""

    def __init__(self, kind, endpoint, expected, log):
        self.kind, self._said = kind, queue.Queue()
        with open(log, "ab") as stderr:
            self.process = subprocess.Popen(
                command(kind, endpoint, ",".join(expected)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True,
                env=os.environ | {"NODE_PATH": MODULES})
        threading.Thread(target=self._listen, daemon=True).start()
        self.port = self._hear()["port"]

    def _listen(self):
        for line in self.process.stdout:
            self._said.put(json.loads(line))

    def _hear(self):
        try:
            return self._said.get(timeout=LIMIT)
        except queue.Empty:
            raise AssertionError(f"{self.kind} says nothing more, status {self.process.poll()}") from None

    def connect(self, port):
        self.process.stdin.write(f"{port}\n")
        self.process.stdin.flush()
        return self._hear()

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def peers(tmp_path):
    """Starts a workload of each make, open to all three, on the socket of its own agent."""
    if not shutil.which("node") or not pathlib.Path(MODULES, "@grpc/grpc-js").is_dir():
        pytest.skip("no node with @grpc/grpc-js")
    running = []

    def begin(serve):
        for kind in KINDS:
            expected = [spiffe(name) for name in KINDS]
            running.append(Peer(kind, serve(kind), expected, tmp_path / f"{kind}-peer.log"))
        return running

    yield begin
    for peer in running:
        peer.stop()


class Traffic:
    """Everybody connects to everybody, itself too, all the time, until stopped."""

    def __init__(self, peers):
        self.peers, self.made, self.failed = peers, collections.Counter(), []
        # Rounds in which leaves of two issuers were shown.
        self.across = 0
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(peer,), daemon=True) for peer in peers]
        for thread in self._threads:
            thread.start()

    def _run(self, client):
        while not self._over.wait(PACE):
            try:
                issuers = {self._connect(client, server) for server in self.peers}
                self.across += len(issuers - {None}) > 1
            except (AssertionError, OSError, ValueError) as why:
                self.failed.append(repr(why))
                return

    def _connect(self, client, server):
        """The issuer of what was shown."""
        pair, said = f"{client.kind} to {server.kind}", client.connect(server.port)
        if "refused" in said:
            self.failed.append(f"{pair}: {said}")
            return None
        leaf = x509.load_der_x509_certificate(bytes.fromhex(said["leaf"]))
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.UniformResourceIdentifier) == [spiffe(server.kind)], pair
        assert said["seen"] == spiffe(client.kind), pair
        self.made[pair] += 1
        return leaf.issuer

    def goes_on(self, times=10):
        """So many more connections of each pair, if none fails."""
        before = dict(self.made)
        enough = lambda: len(self.made) == len(self.peers) ** 2 and all(
            count >= before.get(pair, 0) + times for pair, count in dict(self.made).items())
        wait_for(LIMIT, lambda: self.failed or enough(), "more connections")
        assert not self.failed, "\n".join(self.failed[:20])

    def stop(self):
        self._over.set()
        for thread in self._threads:
            thread.join()


def take(mesh, traffic, step):
    """The step of a rotation, as soon as its gate opens."""
    def taken():
        run = subprocess.run([BIN / "ca-server", "rotate", step, "--data-dir", mesh.server.data], capture_output=True)
        return traffic.failed or run.returncode == 0

    wait_for(LIMIT, taken, f"the gate of {step}")


def test_three_makes_speak_with_each_other_before_during_and_after_an_unrelated_root(mesh, peers, capsys):
    def serve(name):
        endpoint = mesh.work / f"{name}.sock"
        # A peer takes what its agent gave it within the time to settle, also on a busy machine.
        mesh.agent(name, "--workload-api-socket", endpoint, settle="2s")
        return endpoint

    traffic = Traffic(peers(serve))
    try:
        traffic.goes_on()
        # Without its key the old root signs the new one not across.
        (mesh.server.data / "ca" / "root-key.pem").unlink()
        before = mesh.server.fetch_roots().decode()
        for step in ("start", "activate", "retire"):
            take(mesh, traffic, step)
            traffic.goes_on()
        last = mesh.server.fetch_roots().decode()
        outs = [mesh.work / kind / "certs" for kind in KINDS]
        wait_for(LIMIT, lambda: all(Material.read(out).roots == last for out in outs), "the last root alone")
        assert last.count("BEGIN CERTIFICATE") == 1 and last != before
        traffic.goes_on()
    finally:
        traffic.stop()
    assert not traffic.failed, "\n".join(traffic.failed[:20])
    assert traffic.across, "nobody saw leaves of both roots"
    with capsys.disabled():
        print("\n" + ", ".join(f"{pair} {count}" for pair, count in sorted(traffic.made.items())), end="")


@pytest.fixture
def agent(tmp_path):
    """Starts agents; says where their Workload API is."""
    running = []

    def begin(server, name):
        endpoint = tmp_path / f"{name}.sock"
        running.append(Workload(server, tmp_path, name, ["--workload-api-socket", endpoint]))
        running[-1].start_agent()
        wait_for(LIMIT, endpoint.is_socket, "the socket")
        return endpoint

    yield begin
    for workload in running:
        workload.stop()


class Door:
    """A server that has these files and lets everybody in."""

    def __init__(self, certs):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certs / "cert-chain.pem", certs / "key.pem")
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            plain.settimeout(LIMIT)
            try:
                with self._context.wrap_socket(plain, server_side=True) as connection:
                    connection.sendall(b"welcome\n")
                    connection.recv(1)
            except OSError:
                plain.close()


def knock(port, certs):
    """What a server says to a client that has these files and takes any server; nothing where it is not let in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(certs / "cert-chain.pem", certs / "key.pem")
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as plain:
            with context.wrap_socket(plain) as connection:
                return connection.makefile().readline().strip()
    except TimeoutError:
        raise
    except OSError:
        return ""


def test_each_make_refuses_another_name_root_and_trust_domain_on_both_sides(start, peers, agent, tmp_path):
    ours, strangers, theirs = start(), start(), start(flags=["--trust-domain", "other.test"])
    workloads = peers(lambda name: agent(ours, name))
    guests = {
        "one of them": (ours, spiffe("node")),
        "one of them by another root": (strangers, spiffe("node")),
        "another name": (ours, spiffe("desk")),
        "another trust domain": (theirs, spiffe("node", "other.test")),
    }
    for number, (guest, (server, spiffe_id)) in enumerate(guests.items()):
        work = tmp_path / f"guest{number}"
        work.mkdir()
        certs = fetch(server, work, spiffe_id)
        door = Door(certs)
        for peer in workloads:
            came, went = knock(peer.port, certs), peer.connect(door.port)
            welcome = guest == "one of them"
            assert came == (spiffe_id if welcome else ""), (peer.kind, guest, came)
            assert ("seen" in went) == welcome, (peer.kind, guest, went)
        door.listener.close()
