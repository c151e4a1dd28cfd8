//! Large messages lose their node, and nothing else is changed, however the bytes come.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use hyper::body::Body;
use hyper::body::Bytes;
use hyper::body::Frame;
use prost::Message;

use crate::sds::slim::Slim;

/// A body in pieces.
struct Pieces(VecDeque<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

/// All that comes out where `bytes` go in, `size` at a time.
async fn through(bytes: &[u8], size: usize, is_delta: bool) -> Vec<u8> {
    let pieces = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
    let mut slim = Slim::new(Pieces(pieces), is_delta);
    let mut out = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut slim).poll_frame(cx)).await {
        out.extend_from_slice(&frame.unwrap().into_data().unwrap());
    }
    out
}

fn frame(message: &impl Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, &message].concat()
}

fn node(size: usize) -> Option<Node> {
    Some(Node {
        id: "me".to_owned(),
        cluster: "x".repeat(size),
        ..Node::default()
    })
}

fn request(size: usize) -> DiscoveryRequest {
    DiscoveryRequest {
        node: node(size),
        resource_names: vec!["default".to_owned()],
        response_nonce: "n".to_owned(),
        ..DiscoveryRequest::default()
    }
}

#[tokio::test]
async fn a_large_message_keeps_all_but_its_node() {
    let said = [frame(&request(60_000)), frame(&request(10))].concat();
    let kept = [frame(&request(0)), frame(&request(10))].concat();
    for size in [1, 7, 1000, said.len()] {
        assert_eq!(through(&said, size, false).await, kept, "{size}");
    }
    let delta = |size| DeltaDiscoveryRequest {
        node: node(size),
        resource_names_subscribe: vec!["ROOTCA".to_owned()],
        ..DeltaDiscoveryRequest::default()
    };
    assert_eq!(
        through(&frame(&delta(60_000)), 999, true).await,
        frame(&delta(0))
    );
}

#[tokio::test]
async fn what_is_no_message_goes_through_as_it_is() {
    let half = frame(&request(60_000))[..30_000].to_vec();
    let too_large = [&[0, 1, 0, 0, 0][..], &[7; 100]].concat();
    let compressed = [&[1, 0, 0, 0, 2][..], &[7; 2]].concat();
    let nonsense = [&[0, 0, 0, 0x20, 0][..], &[0xff; 0x2000]].concat();
    for said in [half, too_large, compressed, nonsense] {
        assert_eq!(through(&said, 64, false).await, said);
    }
}
