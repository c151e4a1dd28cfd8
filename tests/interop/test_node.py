"""One agent for all workloads of a machine: two sidecars that ask for their certificates by name, users told apart by the system."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest
from conftest import BIN
from envoys import ask
from meshes import LIMIT, Pair, Presented, Requests, spiffe
from peers import wait_for
from test_sidecars import drop_in, make_bundle, refused, rotate, went_on

SHORT_LIVES = ["--min-ttl=1s", "--default-ttl=6s", "--max-ttl=6s", "--reload-interval=1s"]
# It is imported before the user changes, who may not read where it lies.
AS_USER = """
import os, sys
from spiffe import WorkloadApiClient
client = WorkloadApiClient(socket_path=sys.argv[1])
os.setgroups([])
os.setgid(int(sys.argv[3]))
os.setuid(int(sys.argv[2]))
try:
    print(*[svid.spiffe_id for svid in client.fetch_x509_context().x509_svids])
except Exception as why:
    print("refused:", why)
"""


class Node:
    """The agent of a pair of workloads, on the sockets of one directory."""

    def __init__(self, server, work, allow):
        self.work = work / "node"
        self.work.mkdir()
        # The directories of tests are for their own user only.
        self.open = pathlib.Path(tempfile.mkdtemp())
        self.open.chmod(0o755)
        entries = []
        for name, rule in allow.items():
            (self.work / f"{name}.token").write_text(server.token(spiffe(name)))
            entries.append(f"- {{name: {name}, allow: '{rule}', token_file: {name}.token, out: {name}, spiffe_id: {spiffe(name)}}}\n")
        (self.work / "workloads.yaml").write_text("".join(entries))
        (self.work / "roots.pem").write_bytes(server.roots)
        self.sds, self.api = self.work / "sds.sock", self.open / "api.sock"
        with open(self.work / "agent.log", "ab") as log:
            self.process = subprocess.Popen(
                [BIN / "ca-client", "agent", "--node", "workloads.yaml", "--ca-addr", server.grpc_addr, "--ca-roots", "roots.pem",
                 "--sds-socket", "sds.sock", "--workload-api-socket", self.api, "--workload-api-mode", "0666", "--settle", "200ms",
                 "--ttl", "6s"], cwd=self.work, stderr=log)
        wait_for(LIMIT, lambda: all((self.work / name / "key.pem").exists() for name in allow), "the certificates")
        wait_for(LIMIT, self.sds.exists, "the SDS socket")

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.open)


@pytest.fixture
def node(tmp_path):
    """Begins nodes, and ends them."""
    running = []

    def begin(server, **allow):
        running.append(Node(server, tmp_path, allow))
        return running[-1]

    yield begin
    for it in running:
        it.stop()


def test_two_sidecars_have_their_own_names_from_one_agent_through_renewals_and_a_new_root(start, node, tmp_path, capsys):
    where = tmp_path / "cacerts"
    where.mkdir()
    drop_in(make_bundle(tmp_path, "first"), where)
    server = start(where, SHORT_LIVES)
    agent = node(server, cart=f"uid={os.getuid()}", ratings=f"uid={os.getuid()}")
    services = Pair(server, tmp_path)
    traffic, watch = None, []
    try:
        for workload in services.both:
            workload.socket, workload.identity = agent.sds, spiffe(workload.name)
        services.start_envoys("--mtls", "strict", "--max-connection-duration", "5s")
        wait_for(LIMIT, lambda: all(isinstance(ask(it.out), dict) for it in services.both), "the first requests")
        watch, traffic = [Presented(it.port, 0.05) for it in services.both], Requests(services)
        went_on(traffic)
        took = rotate(server, where, make_bundle(tmp_path, "second"))
        wait_for(2 * LIMIT, lambda: traffic.failed or all(len(it.first) > 5 for it in watch), "renewals")
        went_on(traffic)
    finally:
        for it in filter(None, [traffic, *watch]):
            it.stop()
        seen = [refused(it) for it in services.both] if traffic else None
        services.stop()
    assert not traffic.failed, "\n".join(traffic.failed[:20])
    assert seen == [{}, {}]
    with capsys.disabled():
        print(f"\n{sum(traffic.made.values())} requests from one agent's two names; a new root in {took:.1f} s; "
              f"{[len(it.first) for it in watch]} certificates", end="")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be other users")
def test_users_and_groups_are_given_what_the_rules_say(start, node):
    agent = node(start(None, SHORT_LIVES), cart="uid=4001", ratings="uid=4002, gid=4242")
    table = [
        ((4001, 4001), spiffe("cart")),
        ((4002, 4002), spiffe("ratings")),
        ((4001, 4242), f"{spiffe('cart')} {spiffe('ratings')}"),
        ((4003, 4242), spiffe("ratings")),
        ((4003, 4003), None),
    ]
    for (uid, gid), expected in table:
        run = subprocess.run([sys.executable, "-c", AS_USER, f"unix://{agent.api}", str(uid), str(gid)],
                             capture_output=True, text=True, timeout=LIMIT)
        said = run.stdout.strip()
        is_refused = said.startswith("refused:") and "not among those whom the agent serves" in said
        assert said == expected if expected else is_refused, (uid, gid, said, run.stderr)
