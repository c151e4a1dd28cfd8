//! How do the two forms of the protocol look on the wire? Requests in, answers out; nothing is decided here.

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryResponse;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryResponse;
use envoy_types::pb::envoy::service::discovery::v3::Resource as DeltaResource;
use envoy_types::pb::google::rpc::Status as ErrorDetail;

use super::subscription::Answer;
use super::subscription::Form;
use super::subscription::Request;
use super::subscription::Wanted;

/// What one request says.
#[derive(Debug)]
pub(super) struct Said {
    /// The id of the reader's node, where it tells.
    pub(super) node: Option<String>,
    pub(super) type_url: String,
    pub(super) request: Request,
}

/// One of the two forms.
pub(super) trait Dialect: Send + 'static {
    const FORM: Form;
    type Request: Send + 'static;
    type Response: Send + 'static;

    fn read(request: Self::Request) -> Said;
    fn write(answer: Answer) -> Self::Response;
}

/// State of the world.
#[derive(Debug)]
pub(super) struct Whole;

/// Differences.
#[derive(Debug)]
pub(super) struct Delta;

impl Dialect for Whole {
    const FORM: Form = Form::Whole;
    type Request = DiscoveryRequest;
    type Response = DiscoveryResponse;

    fn read(request: DiscoveryRequest) -> Said {
        Said {
            node: request.node.map(id),
            type_url: request.type_url,
            request: Request {
                wanted: Wanted::Exactly(request.resource_names),
                nonce: request.response_nonce,
                refusal: request.error_detail.map(text),
            },
        }
    }

    fn write(answer: Answer) -> DiscoveryResponse {
        let versions: Vec<&str> = answer.secrets.iter().map(|it| &*it.1.version).collect();
        DiscoveryResponse {
            version_info: versions.join("-"),
            resources: answer
                .secrets
                .iter()
                .map(|(name, resource)| resource.named(name))
                .collect(),
            type_url: TYPE_URL.to_owned(),
            nonce: answer.nonce,
            ..DiscoveryResponse::default()
        }
    }
}

impl Dialect for Delta {
    const FORM: Form = Form::Delta;
    type Request = DeltaDiscoveryRequest;
    type Response = DeltaDiscoveryResponse;

    fn read(request: DeltaDiscoveryRequest) -> Said {
        Said {
            node: request.node.map(id),
            type_url: request.type_url,
            request: Request {
                wanted: Wanted::Change {
                    more: request.resource_names_subscribe,
                    fewer: request.resource_names_unsubscribe,
                    have: request.initial_resource_versions.into_iter().collect(),
                },
                nonce: request.response_nonce,
                refusal: request.error_detail.map(text),
            },
        }
    }

    fn write(answer: Answer) -> DeltaDiscoveryResponse {
        let resources = answer.secrets.iter().map(|(name, resource)| DeltaResource {
            name: name.to_string(),
            version: resource.version.to_string(),
            resource: Some(resource.named(name)),
            ..DeltaResource::default()
        });
        DeltaDiscoveryResponse {
            resources: resources.collect(),
            type_url: TYPE_URL.to_owned(),
            nonce: answer.nonce,
            ..DeltaDiscoveryResponse::default()
        }
    }
}

fn id(node: Node) -> String {
    node.id
}

fn text(detail: ErrorDetail) -> String {
    detail.message
}

/// What all our resources are.
pub(super) const TYPE_URL: &str =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
