//! How much of a reader's words is kept, and how long? What is half said takes of one room for all, and must be whole in
//! time. tonic's buffer keeps the size of the largest message of its stream for as long as that lives, and an Envoy
//! begins with 60 KiB on itself: all but its id is taken out before.

use std::error::Error;
use std::future::Future as _;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Node;
use hyper::body::Body;
use hyper::body::Bytes;
use hyper::body::Frame;
use prost::Message as _;
use prost::encoding;
use prost::encoding::DecodeContext;
use tokio::time::Sleep;
use tonic::Status;

use super::host::MAX_MESSAGE;
use crate::socket::Place;

/// What kind of messages comes, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    Whole,
    Delta,
    /// One message, as in a stream of whole ones.
    Fetch,
}

impl Speech {
    /// By the path of the call.
    pub(super) fn of(path: &str) -> Self {
        match path.rsplit('/').next() {
            Some("DeltaSecrets") => Self::Delta,
            Some("FetchSecrets") => Self::Fetch,
            _ => Self::Whole,
        }
    }
}

/// A gRPC request's body, whole messages at a time, large ones without their node.
#[derive(Debug)]
pub(super) struct Slim<B> {
    body: B,
    speech: Speech,
    patience: Duration,
    /// As large as what is kept here and in tonic's buffer.
    place: Place,
    /// Of a message that was large and not slim.
    largest: usize,
    has_passed: bool,
    /// When what has begun must be there.
    due: Option<Pin<Box<Sleep>>>,
    unread: Vec<u8>,
    /// How much of that is passed on already.
    passed: usize,
    /// Too large or not gRPC: tonic says what is wrong.
    is_given_up: bool,
}

impl<B> Slim<B> {
    /// Whose messages are whole within `patience`.
    pub(super) fn new(body: B, speech: Speech, place: Place, patience: Duration) -> Self {
        Self {
            body,
            speech,
            patience,
            place,
            largest: 0,
            has_passed: false,
            due: None,
            unread: Vec::new(),
            passed: 0,
            is_given_up: false,
        }
    }

    /// What can be passed on, if anything can be.
    fn ready(&mut self) -> Result<Option<Bytes>, Status> {
        if self.is_given_up {
            let rest = self.unread.split_off(self.passed);
            self.unread.clear();
            self.passed = 0;
            return Ok((!rest.is_empty()).then(|| rest.into()));
        }
        let Some((length, message)) = self.message() else {
            return Ok(None);
        };
        if length > MAX_MESSAGE {
            self.is_given_up = true;
            return self.ready();
        }
        let Some(message) = message else {
            return Ok(None);
        };
        let slim = match length > LARGE {
            true => slimmed(message, self.speech)?,
            false => None,
        };
        let framed = framed(slim.as_deref().unwrap_or(message));
        self.pass(HEADER + length, framed.len())?;
        Ok(Some(framed.into()))
    }

    /// The length of what comes next, larger than any where it is no gRPC, and that itself if it is there.
    fn message(&self) -> Option<(usize, Option<&[u8]>)> {
        let unread = self.unread.get(self.passed..)?;
        let (head, rest) = unread.split_first_chunk::<HEADER>()?;
        let [compression, length @ ..] = *head;
        let length = match compression {
            0 => usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        Some((length, rest.get(..length)))
    }

    /// So much goes on, and is so large in tonic's buffer.
    fn pass(&mut self, length: usize, framed: usize) -> Result<(), Status> {
        self.passed += length;
        if self.passed == self.unread.len() {
            self.unread = Vec::new();
            self.passed = 0;
        }
        if framed > OWN_BUFFER {
            self.largest = self.largest.max(framed);
        }
        self.has_passed = true;
        self.due = None;
        self.hold(self.unread.capacity())
    }

    fn take_in(&mut self, data: &[u8]) -> Result<(), Status> {
        let passed = std::mem::take(&mut self.passed);
        self.unread.drain(..passed);
        let needed = self.unread.len() + data.len();
        if needed > self.unread.capacity() {
            let capacity = needed.max(2 * self.unread.capacity());
            self.hold(capacity)?;
            self.unread.reserve_exact(capacity - self.unread.len());
        }
        self.unread.extend_from_slice(data);
        Ok(())
    }

    fn hold(&mut self, unread: usize) -> Result<(), Status> {
        match self.place.resize(unread + self.largest) {
            true => Ok(()),
            false => Err(Status::resource_exhausted(
                "too much is half said at once, by this process or by all; send whole messages, and shorter ones",
            )),
        }
    }

    /// Nothing comes: what is awaited must come in time, however slowly it does.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        let is_between = self.has_passed && self.unread.is_empty() && self.speech != Speech::Fetch;
        if is_between {
            return Poll::Pending;
        }
        let due = self
            .due
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(self.patience)));
        due.as_mut().poll(cx).map(|()| {
            Status::deadline_exceeded(format!(
                "a message is not whole after {} s; send it at once",
                self.patience.as_secs()
            ))
        })
    }
}

impl<B> Body for Slim<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(ready) = self.ready().transpose() {
                return Poll::Ready(Some(ready.map(Frame::data)));
            }
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                return self.wait(cx).map(|late| Some(Err(late)));
            };
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => {
                    if let Err(full) = self.take_in(&data) {
                        return Poll::Ready(Some(Err(full)));
                    }
                }
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(Status::from_error(error.into()))));
                }
                // Half a message at the end is tonic's to refuse.
                None if !self.unread.is_empty() => self.is_given_up = true,
                None => return Poll::Ready(None),
            }
        }
    }
}

/// The message with nothing of its node but the id; as it is if it cannot be read. It is walked through, not decoded: two
/// octets can be a string of 24, or an extension of hundreds.
fn slimmed(message: &[u8], speech: Speech) -> Result<Option<Vec<u8>>, Status> {
    let node = match speech {
        Speech::Delta => 1,
        Speech::Whole | Speech::Fetch => 2,
    };
    let mut slim = Vec::new();
    let mut rest = message;
    for _ in 0..MOST_FIELDS {
        if rest.is_empty() {
            return Ok(Some(slim));
        }
        let Some((tag, field)) = next_field(&mut rest) else {
            return Ok(None);
        };
        match tag == node {
            true => match only_id(field) {
                Some(node) => encoding::message::encode(tag, &node, &mut slim),
                None => return Ok(None),
            },
            false => slim.extend_from_slice(field),
        }
    }
    Err(Status::invalid_argument(format!(
        "expected a message of at most {MOST_FIELDS} names, seen more"
    )))
}

/// The tag and all octets of what comes first.
fn next_field<'a>(rest: &mut &'a [u8]) -> Option<(u32, &'a [u8])> {
    let whole = *rest;
    let (tag, wire_type) = encoding::decode_key(rest).ok()?;
    encoding::skip_field(wire_type, tag, rest, DecodeContext::default()).ok()?;
    Some((tag, whole.get(..whole.len() - rest.len())?))
}

fn only_id(mut field: &[u8]) -> Option<Node> {
    let (_tag, _type) = encoding::decode_key(&mut field).ok()?;
    let _length = encoding::decode_varint(&mut field).ok()?;
    while !field.is_empty() {
        let (tag, id) = next_field(&mut field)?;
        if tag == NODE_ID {
            // A node with nothing but this.
            return Node::decode(id).ok();
        }
    }
    Some(Node::default())
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
/// Octets that tonic's buffer has from the start.
const OWN_BUFFER: usize = 8 * 1024;
/// Names, versions and all else of a large message.
const MOST_FIELDS: usize = 4096;
const NODE_ID: u32 = 1;
