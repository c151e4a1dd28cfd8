//! How much of a reader's first words is kept? tonic's buffer keeps the size of the largest message of its stream for
//! as long as that lives, and an Envoy begins with 60 KiB on itself: all but its id is taken out before.

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

use super::host::MAX_MESSAGE;

/// A gRPC request's body, whole messages at a time, large ones without their node.
#[derive(Debug)]
pub(super) struct Slim<B> {
    body: B,
    is_delta: bool,
    unread: Vec<u8>,
    /// How much of that is passed on already.
    passed: usize,
    /// Too large or not gRPC: tonic says what is wrong.
    is_given_up: bool,
}

impl<B> Slim<B> {
    pub(super) fn new(body: B, is_delta: bool) -> Self {
        Self {
            body,
            is_delta,
            unread: Vec::new(),
            passed: 0,
            is_given_up: false,
        }
    }

    /// What can be passed on, if anything can be.
    fn ready(&mut self) -> Option<Bytes> {
        if self.is_given_up {
            let rest = self.unread.split_off(self.passed);
            self.unread.clear();
            self.passed = 0;
            return (!rest.is_empty()).then(|| rest.into());
        }
        let (head, rest) = self
            .unread
            .get(self.passed..)?
            .split_first_chunk::<HEADER>()?;
        let [compression, length @ ..] = *head;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if compression != 0 || length > MAX_MESSAGE {
            self.is_given_up = true;
            return self.ready();
        }
        let message = rest.get(..length)?;
        let slim = match length > LARGE {
            true => slimmed(message, self.is_delta),
            false => None,
        };
        let message = slim.as_deref().unwrap_or(message);
        let framed = framed(message);
        self.passed += HEADER + length;
        if self.passed == self.unread.len() {
            self.unread = Vec::new();
            self.passed = 0;
        }
        Some(framed.into())
    }
}

impl<B> Body for Slim<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        loop {
            if let Some(ready) = self.ready() {
                return Poll::Ready(Some(Ok(Frame::data(ready))));
            }
            let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => {
                    let passed = std::mem::take(&mut self.passed);
                    self.unread.drain(..passed);
                    self.unread.extend_from_slice(&data);
                }
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                // Half a message at the end is tonic's to refuse.
                None if !self.unread.is_empty() => self.is_given_up = true,
                None => return Poll::Ready(None),
            }
        }
    }
}

/// The message with nothing of its node but the id; `None` if it cannot be read.
fn slimmed(message: &[u8], is_delta: bool) -> Option<Vec<u8>> {
    let id = |node: Node| Node {
        id: node.id,
        ..Node::default()
    };
    Some(match is_delta {
        true => {
            let mut request = DeltaDiscoveryRequest::decode(message).ok()?;
            request.node = request.node.map(id);
            request.encode_to_vec()
        }
        false => {
            let mut request = DiscoveryRequest::decode(message).ok()?;
            request.node = request.node.map(id);
            request.encode_to_vec()
        }
    })
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = Vec::with_capacity(HEADER + message.len());
    framed.push(0);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(message);
    framed
}

/// Octets before each message: whether it is compressed, and how long it is.
const HEADER: usize = 5;
/// Octets from which on it is worth the trouble.
const LARGE: usize = 4 * 1024;
