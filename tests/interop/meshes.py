"""Two services, each with an application, `ca-client agent` and the Envoy that `ca-client envoy` describes, on the agent's socket."""

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import threading
import time

from conftest import BIN
from envoys import Application, Sidecars, bootstrap
from peers import wait_for
from test_envoy import ENVOY, free_port, shown_serial

LIMIT = 60
PACE = 0.02


def spiffe(name):
    return f"spiffe://cluster.local/ns/shop/sa/{name}"


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Workload:
    """An application with all that stands beside it; each part stops and starts by itself."""

    def __init__(self, server, work, name, agent_flags=()):
        self.server, self.name, self.work = server, name, work / name
        self.work.mkdir()
        self.application = Application()
        self.port, self.out, self.admin = free_port(), free_port(), free_port()
        self.socket = self.work / "sds.sock"
        self.agent = self.envoy = self.identity = None
        self.parents, self.epoch = [], 0
        (self.work / "token").write_text(server.token(spiffe(name)))
        (self.work / "roots.pem").write_bytes(server.roots)
        self.agent_flags = agent_flags

    def start_agent(self):
        with open(self.work / "agent.log", "ab") as log:
            self.agent = subprocess.Popen(
                [BIN / "ca-client", "agent", "--ca-addr", self.server.grpc_addr, "--ca-roots", "roots.pem", "--token-file", "token",
                 "--out", "certs", "--sds-socket", "sds.sock", "--settle", "200ms", *self.agent_flags], cwd=self.work, stderr=log)
        wait_for(LIMIT, self.answers, f"the socket of {self.name}'s agent")

    def answers(self):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def stop_agent(self, how=signal.SIGTERM):
        self.agent.send_signal(how)
        self.agent.wait()

    def describe(self, *flags):
        named = ["--identity", self.identity] if self.identity else []
        printed, _ = bootstrap("--sds-socket", self.socket, *named, "--node", self.name, "--admin", f"127.0.0.1:{self.admin}", *flags)
        (self.work / "envoy.json").write_text(json.dumps(printed))

    def start_envoy(self):
        """Cold; the next ones by `hot_restart` know it by its base id."""
        self.epoch = 0
        self._begin("--use-dynamic-base-id", "--base-id-path", self.work / "base-id")

    def hot_restart(self):
        """The next one takes the sockets over, and the one before goes when its connections had time to end."""
        self.epoch += 1
        self.parents.append(self.envoy)
        self._begin("--base-id", (self.work / "base-id").read_text())
        wait_for(LIMIT, lambda: self.parents[-1].poll() is not None, "the end of the Envoy before")

    def _begin(self, *base):
        self.begun = time.monotonic()
        with open(self.work / "envoy.log", "ab") as log:
            self.envoy = subprocess.Popen(
                [ENVOY, "-c", self.work / "envoy.json", "--concurrency", "1", "-l", "warning", "--restart-epoch", str(self.epoch),
                 "--drain-time-s", "2", "--parent-shutdown-time-s", "4", *base], stdout=log, stderr=log)

    def kill_envoy(self):
        self.envoy.kill()
        self.envoy.wait()

    def is_ready(self):
        return Sidecars.admin(self.admin, "/ready") == b"LIVE\n"

    def has_admin(self):
        return Sidecars.admin(self.admin, "/ready") is not None

    def stats(self, part):
        stats = json.loads(Sidecars.admin(self.admin, f"/stats?format=json&filter={part}"))["stats"]
        return {stat["name"]: stat["value"] for stat in stats if "name" in stat}

    def stop(self):
        for process in filter(None, [self.agent, self.envoy, *self.parents]):
            process.kill()
            process.wait()


class Pair:
    """cart and ratings; each calls the other through both sidecars."""

    def __init__(self, server, work, agent_flags=()):
        self.server = server
        self.cart, self.ratings = self.both = [Workload(server, work, name, agent_flags) for name in ("cart", "ratings")]

    def start_agents(self):
        for workload in self.both:
            workload.start_agent()

    def start_envoys(self, *flags, are_named=True):
        """Each expects the other's SPIFFE ID, if they are named."""
        for one, other in (self.both, self.both[::-1]):
            whom = f",{spiffe(other.name)}" if are_named else ""
            peer = f"127.0.0.1:{other.port}{whom},service={other.name}.shop.svc.cluster.local"
            one.describe("--listen", f"127.0.0.1:{one.port}", "--upstream", one.application.address,
                         "--outbound", f"127.0.0.1:{one.out}={peer}", *flags)
            one.start_envoy()
        for workload in self.both:
            wait_for(LIMIT, workload.is_ready, f"{workload.name}'s Envoy")

    def stop(self):
        for workload in self.both:
            workload.stop()


class Requests:
    """Requests both ways, on a new connection each and on one that is kept, all the time but when paused."""

    def __init__(self, pair):
        self.made, self.again, self.failed = {}, 0, []
        self._over, self._go = threading.Event(), threading.Event()
        self._idle = []
        self._threads = [
            threading.Thread(target=self._run, args=(one, other, kept), daemon=True)
            for one, other in (pair.both, pair.both[::-1]) for kept in (False, True)]
        for thread in self._threads:
            thread.start()
        self.resume()

    def _run(self, one, other, kept):
        what, connection, idle = f"{one.name} to {other.name}, {'kept' if kept else 'new'}", None, threading.Event()
        self._idle.append(idle)
        while not self._over.wait(PACE):
            if not self._go.is_set():
                connection = connection and connection.close()
                idle.set()
                self._go.wait(PACE)
                continue
            idle.clear()
            try:
                connection = self._ask(connection, one, kept)
                self.made[what] = self.made.get(what, 0) + 1
            except (OSError, AssertionError, http.client.HTTPException) as why:
                connection = None
                self.failed.append(f"{what} at {time.time():.3f}: {why!r}")

    def _ask(self, connection, one, kept):
        if connection and connection.sock:
            # Whoever keeps a connection must ask again when it was closed in between (RFC 9112 section 9.3.1).
            with contextlib.suppress(http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                return self._exchange(connection, one, kept)
            self.again += 1
        return self._exchange(http.client.HTTPConnection("127.0.0.1", one.out, timeout=10), one, kept)

    @staticmethod
    def _exchange(connection, one, kept):
        connection.request("GET", "/")
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (answer.status, body)
        seen = json.loads(body).get("x-forwarded-client-cert", "")
        assert seen.endswith(f"URI={spiffe(one.name)}"), seen
        if kept:
            return connection
        connection.close()

    def pause(self):
        self._go.clear()
        wait_for(LIMIT, lambda: all(idle.is_set() for idle in self._idle), "the requests under way")

    def resume(self):
        self._go.set()

    def stop(self):
        self._over.set()
        for thread in self._threads:
            thread.join()


class Presented:
    """Which certificate an Envoy presents, from when on: a handshake every few milliseconds, while there is a listener."""

    def __init__(self, port, pace=0.005):
        self.first, self.port, self.pace = {}, port, pace
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._over.wait(self.pace):
            with contextlib.suppress(OSError):
                serial = shown_serial(self.port)
                self.first.setdefault(serial, time.time())

    def stop(self):
        self._over.set()
        self._thread.join()
