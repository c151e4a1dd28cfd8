"""Health and reflection answer the standard clients."""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

CSR_SERVICE = "istio.v1.auth.IstioCertificateService"


def channel(server):
    target = server.grpc_addr.replace("127.0.0.1", "localhost")
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(server.roots))


def test_health_says_serving(server):
    with channel(server) as open_channel:
        answer = health_pb2_grpc.HealthStub(open_channel).Check(health_pb2.HealthCheckRequest(service=CSR_SERVICE))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_what_agents_may_call_and_nothing_for_operators(server):
    with channel(server) as open_channel:
        services = set(ProtoReflectionDescriptorDatabase(open_channel).get_services())
    assert {CSR_SERVICE, "grpc.health.v1.Health"} <= services
    assert not any("Admin" in service for service in services)
