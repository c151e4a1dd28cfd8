"""Agents and Envoys as they stand in a mesh: certificates over the agents' own sockets, bootstraps by `ca-client envoy`."""

import datetime
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest
from conftest import BIN
from envoys import ask
from meshes import LIMIT, Pair, Presented, Requests, Workload, listens, spiffe
from peers import wait_for
from test_envoy import ENVOY
from test_envoy_modes import MODES, nameless
from test_rotation import BUNDLE

SAMPLE_SHAPE = pathlib.Path("testdata/bundles/sample-shape")
# Renewed after a twentieth of its life: fifty renewals in a minute, and an outage of half a life is a short one.
LIFE = 24
SHORT_LIVES = ["--min-ttl=1s", f"--default-ttl={LIFE}s", f"--max-ttl={LIFE}s", "--reload-interval=1s"]
EAGER = ["--ttl", f"{LIFE}s", "--grace-period-ratio", "0.95", "--grace-period-ratio-jitter", "0"]
RENEWALS = int(os.environ.get("SIGNET_SIDECAR_RENEWALS", "50"))
TIMED = int(os.environ.get("SIGNET_SIDECAR_TIMED", "120"))


@pytest.fixture
def pair(tmp_path, request):
    """Begins pairs of services, and ends them."""
    running = []

    def begin(server, agent_flags=()):
        running.append(Pair(server, tmp_path, agent_flags))
        running[-1].start_agents()
        return running[-1]

    yield begin
    for it in running:
        it.stop()


@pytest.fixture
def say(capsys):
    """Prints what was measured, also where pytest keeps what tests print to itself."""
    def aloud(text):
        with capsys.disabled():
            print(f"\n{text}", end="")

    return aloud


def make_bundle(work, name):
    """An operator's bundle under a root of its own."""
    for made in (["root", "--out", f"{name}-root"], ["issuer", "--root", f"{name}-root", "--out", name, "--name", name]):
        subprocess.run([BIN / "ca-server", "bundle", "create", *made], cwd=work, check=True, capture_output=True)
    return work / name


def drop_in(bundle, where):
    for file in BUNDLE:
        shutil.copy(bundle / file, where)


def policies(mode):
    """What a mesh says for all of it."""
    callers = "DISABLE" if mode == "disable" else "ISTIO_MUTUAL"
    meta = {"name": "default", "namespace": "istio-system"}
    return "\n---\n".join(map(json.dumps, [
        {"apiVersion": "security.istio.io/v1beta1", "kind": "PeerAuthentication", "metadata": meta,
         "spec": {"mtls": {"mode": mode.upper()}}},
        {"apiVersion": "networking.istio.io/v1alpha3", "kind": "DestinationRule", "metadata": meta,
         "spec": {"host": "*.local", "trafficPolicy": {"tls": {"mode": callers}}}}]))


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_lets_in_whom_it_should_and_looks_so_from_outside(server, pair, tmp_path, mode):
    services = pair(server)
    path = tmp_path / "policies.yaml"
    path.write_text(policies(mode))
    services.start_envoys("--policies", path, "--namespace", "shop", "--labels", "app=any", "--service", "any",
                          are_named=mode != "disable")
    cart, ratings = services.both
    through = ask(cart.out)
    # In the mesh callers are told by the same policies: with DISABLE the way out is in plain text.
    assert through.get("x-forwarded-client-cert", "").endswith(f"URI={spiffe('cart')}") == (mode != "disable")
    over_tls, plain = MODES[mode]
    assert isinstance(ask(ratings.port), dict) == plain
    assert not isinstance(ask(ratings.port, tls=nameless()), dict), "a caller without a certificate came in over TLS"
    ours = nameless()
    ours.load_cert_chain(cart.work / "certs/cert-chain.pem", cart.work / "certs/key.pem")
    assert isinstance(ask(ratings.port, tls=ours), dict) == over_tls
    check = subprocess.run(
        [BIN / "ca-client", "mtls", "check", "--certs", cart.work / "certs", "--output", "json", f"127.0.0.1:{ratings.port}"],
        capture_output=True, text=True)
    expected = {"strict": ("strict", 0), "permissive": ("permissive", 3), "disable": ("disabled", 4)}[mode]
    assert (json.loads(check.stdout)["targets"][0]["mode"], check.returncode) == expected, check.stdout


def test_an_envoy_that_stood_long_before_its_agent_hears_it_soon(server, tmp_path, say):
    workload = Workload(server, tmp_path, "cart")
    try:
        workload.describe("--mtls", "permissive", "--listen", f"127.0.0.1:{workload.port}", "--upstream", workload.application.address)
        workload.start_envoy()
        wait_for(LIMIT, lambda: workload.has_admin(), "Envoy's admin port")
        wait_for(LIMIT, lambda: sum(workload.stats("sds-grpc.upstream_cx_connect_fail").values()) > 20, "Envoy to have failed often")
        assert not listens(workload.port), "it lets callers in without a certificate"
        begun = time.monotonic()
        workload.start_agent()
        there = time.monotonic()
        wait_for(LIMIT, lambda: isinstance(ask(workload.port), dict), "the first request")
        say(f"after {begun - workload.begun:.1f} s without an agent: heard {time.monotonic() - there:.1f} s after it was there")
    finally:
        workload.stop()


def openssl(*args, **kwargs):
    return subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, **kwargs)


def presented(port):
    """The certificates that a sidecar shows to `openssl s_client -showcerts`, in that order."""
    shown = openssl("s_client", "-showcerts", "-connect", f"127.0.0.1:{port}", stdin=subprocess.DEVNULL).stdout
    end = "-----END CERTIFICATE-----\n"
    # The leaf is repeated after the chain.
    chain = shown.split("Server certificate")[0]
    return ["-----BEGIN" + part.rpartition("-----BEGIN")[2] + end for part in chain.split(end)[:-1]]


@pytest.mark.parametrize("made_by", ["bundle create", "openssl, in the shape of the sample"])
def test_the_procedure_of_the_openshift_documents_holds_of_a_sidecar(start, pair, tmp_path, made_by):
    where = tmp_path / "cacerts"
    where.mkdir()
    drop_in(make_bundle(tmp_path, "acme") if made_by == "bundle create" else SAMPLE_SHAPE, where)
    services = pair(start(where))
    services.start_envoys("--mtls", "strict")
    for workload in services.both:
        chain = presented(workload.port)
        assert len(chain) == 3, chain
        text = lambda pem: openssl("x509", "-text", "-noout", input=pem, check=True).stdout
        assert text(chain[2]) == text((where / "root-cert.pem").read_text())
        assert text(chain[1]) == text((where / "ca-cert.pem").read_text())
        (tmp_path / "leaf.pem").write_text(chain[0])
        (tmp_path / "both.pem").write_text((where / "ca-cert.pem").read_text() + (where / "root-cert.pem").read_text())
        judged = openssl("verify", "-CAfile", tmp_path / "both.pem", tmp_path / "leaf.pem")
        assert judged.stdout.endswith("leaf.pem: OK\n"), judged
        assert f"URI:{spiffe(workload.name)}" in text(chain[0])


def rotate(server, where, bundle):
    """Another root from start to retire; says how long that took."""
    status = lambda: json.loads(server.operator("rotate", "status", "--output", "json"))
    begun, last = time.monotonic(), (bundle / "root-cert.pem").read_bytes()
    drop_in(bundle, where)
    wait_for(LIMIT + 2 * LIFE, lambda: server.fetch_roots() == last and status()["phase"] == "steady", "the last root alone")
    return time.monotonic() - begun


def cold_restart(traffic, workload, agent_is_late=False):
    """From the moment that something listens again, nothing fails."""
    traffic.pause()
    workload.kill_envoy()
    if agent_is_late:
        workload.stop_agent(signal.SIGKILL)
    workload.start_envoy()
    if agent_is_late:
        workload.start_agent()
    wait_for(LIMIT, lambda: listens(workload.port) and listens(workload.out), f"the listeners of {workload.name}")
    made = dict(traffic.made)
    traffic.resume()
    went_on(traffic, made)


def went_on(traffic, made=None):
    """Twenty more requests on each way, if none fails."""
    made = made or dict(traffic.made)
    wait_for(LIMIT, lambda: traffic.failed or all(count > made.get(way, 0) + 20 for way, count in dict(traffic.made).items()), "more requests")
    assert not traffic.failed, "\n".join(traffic.failed[:20])


def refused(workload):
    """What Envoy has to say against what it was given, and whom it turned away; who looks without a certificate is not counted."""
    parts = ("key_rotation_failed", "update_rejected", "fail_verify_error", "fail_verify_san")
    return {name: value for part in parts for name, value in workload.stats(part).items() if value}


def test_no_request_fails_through_renewals_a_new_root_restarts_and_an_outage(start, pair, tmp_path, say):
    where = tmp_path / "cacerts"
    where.mkdir()
    drop_in(make_bundle(tmp_path, "first"), where)
    server = start(where, SHORT_LIVES)
    services = pair(server, EAGER)
    # Connections end often: neither that may cost a request.
    services.start_envoys("--mtls", "strict", "--max-connection-duration", "5s")
    wait_for(LIMIT, lambda: all(isinstance(ask(it.out), dict) for it in services.both), "the first requests")
    watch, traffic = [Presented(it.port, 0.05) for it in services.both], Requests(services)
    try:
        through_everything(server, services, traffic, where, make_bundle(tmp_path, "second"), say)
        wait_for(2 * LIMIT, lambda: traffic.failed or all(len(it.first) > RENEWALS for it in watch), "renewals")
    finally:
        traffic.stop()
        for it in watch:
            it.stop()
    assert not traffic.failed, "\n".join(traffic.failed[:20])
    assert [refused(it) for it in services.both] == [{}, {}]
    say(f"{sum(traffic.made.values())} requests, {traffic.again} of them again after a kept connection was closed; "
        f"{[len(it.first) for it in watch]} certificates")


def through_everything(server, services, traffic, where, bundle, say):
    cart, ratings = services.both
    went_on(traffic)
    say(f"a new root, start to retire: {rotate(server, where, bundle):.1f} s")
    went_on(traffic)
    for how in (signal.SIGTERM, signal.SIGKILL):
        for workload in services.both:
            workload.stop_agent(how)
            workload.start_agent()
            went_on(traffic)
    for workload in services.both:
        workload.hot_restart()
        went_on(traffic)
        cold_restart(traffic, workload)
    server.stop()
    down = time.monotonic()
    ratings.stop_agent(signal.SIGKILL)
    ratings.start_agent()
    cold_restart(traffic, ratings)
    cold_restart(traffic, cart, agent_is_late=True)
    ratings.hot_restart()
    wait_for(LIFE, lambda: time.monotonic() > down + LIFE / 2 + 1 or traffic.failed, "the end of the outage")
    server.launch()
    say(f"the CA was away for {time.monotonic() - down:.1f} s of a life of {LIFE} s")
    went_on(traffic)


def issued(server, name):
    """When the CA had issued what, by its log."""
    at = lambda event: datetime.datetime.fromisoformat(event["timestamp"]).timestamp()
    return {int(event["serial"], 16): at(event) for event in server.events()
            if event["message"] == "issued" and event["name"] == spiffe(name)}


def test_how_long_a_certificate_takes_from_the_ca_to_envoy(start, pair, say):
    server = start(None, ["--min-ttl=1s", "--default-ttl=10s", "--max-ttl=10s"])
    services = pair(server, ["--ttl", "10s", "--grace-period-ratio", "0.97", "--grace-period-ratio-jitter", "0"])
    services.start_envoys("--mtls", "strict")
    watch = Presented(services.ratings.port)
    try:
        wait_for(3 * LIMIT, lambda: len(watch.first) > TIMED, f"{TIMED} renewals")
    finally:
        watch.stop()
    at = issued(server, "ratings")
    # What Envoy presented at the first look at it may have been there for a while.
    _, *seen = sorted(watch.first.items(), key=lambda it: it[1])
    taken = sorted(1000 * (moment - at[serial]) for serial, moment in seen if serial in at)
    assert len(taken) >= TIMED - 1 and taken[0] > 0, taken
    share = lambda percent: taken[min(len(taken) - 1, len(taken) * percent // 100)]
    say(f"from issued to presented, {len(taken)} of {len(at)} certificates: "
        + ", ".join(f"p{percent} {share(percent):.0f} ms" for percent in (50, 90, 99)) + f", longest {taken[-1]:.0f} ms")
    for low in range(0, int(taken[-1]) + 10, 10):
        if count := sum(low <= it < low + 10 for it in taken):
            say(f"{low:4} to {low + 10:4} ms  {count:4}  {'#' * count}")


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
@pytest.mark.parametrize("certs", [None, SAMPLE_SHAPE])
def test_the_sample_runs(certs):
    settings = {"ENVOY": str(ENVOY), "SIGNET_BIN": str(BIN)} | ({"CERTS": str(certs)} if certs else {})
    run = subprocess.run(["examples/sidecars/run"], env=os.environ | settings, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    for said in ("proxy-cert-1.pem: OK", "mesh: closed", "mesh: half", "mesh: open", "all of it came out as it should"):
        assert said in run.stdout, run.stdout
