//! Large messages lose their node, and nothing else is changed, however the bytes come.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use hyper::body::Body;
use hyper::body::Bytes;
use hyper::body::Frame;
use prost::Message;
use tonic::Code;
use tonic::Status;

use super::octets;
use crate::sds::slim::Slim;
use crate::sds::slim::Speech;
use crate::socket::Party;
use crate::socket::Room;

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
async fn through(bytes: &[u8], size: usize, speech: Speech) -> Vec<u8> {
    let pieces = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
    let place = octets(1 << 20)
        .take_many(Party::Process(1, Some(1)), 0)
        .unwrap();
    let mut slim = Slim::new(Pieces(pieces), speech, place, PATIENCE);
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
        assert_eq!(through(&said, size, Speech::Whole).await, kept, "{size}");
    }
    let delta = |size| DeltaDiscoveryRequest {
        node: node(size),
        resource_names_subscribe: vec!["ROOTCA".to_owned()],
        ..DeltaDiscoveryRequest::default()
    };
    assert_eq!(
        through(&frame(&delta(60_000)), 999, Speech::Delta).await,
        frame(&delta(0))
    );
}

#[tokio::test]
async fn a_message_of_more_names_than_anybody_has_is_refused_before_it_is_decoded() {
    for (count, is_taken) in [(4000, true), (5000, false), (120_000, false)] {
        let names = DiscoveryRequest {
            resource_names: vec![String::new(); count],
            ..request(5000)
        };
        let mut slim = saying(&octets(1 << 20), 1, frame(&names), Speech::Whole);
        assert_eq!(next(&mut slim).await.unwrap().is_ok(), is_taken, "{count}");
    }
}

#[tokio::test]
async fn what_is_no_message_goes_through_as_it_is() {
    let half = frame(&request(60_000))[..30_000].to_vec();
    let too_large = [&[0, 1, 0, 0, 0][..], &[7; 100]].concat();
    let compressed = [&[1, 0, 0, 0, 2][..], &[7; 2]].concat();
    let nonsense = [&[0, 0, 0, 0x20, 0][..], &[0xff; 0x2000]].concat();
    for said in [half, too_large, compressed, nonsense] {
        assert_eq!(through(&said, 64, Speech::Whole).await, said);
    }
}

/// A body that says so much, and then nothing more.
struct Silent(Option<Bytes>);

impl Body for Silent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(said) => Poll::Ready(Some(Ok(Frame::data(said)))),
            None => Poll::Pending,
        }
    }
}

/// A stream that says so much in a room.
fn saying(room: &Arc<Room>, pid: i32, said: Vec<u8>, speech: Speech) -> Slim<Silent> {
    let place = room.take_many(Party::Process(1, Some(pid)), 0).unwrap();
    Slim::new(Silent(Some(said.into())), speech, place, PATIENCE)
}

async fn next(slim: &mut Slim<Silent>) -> Option<Result<Frame<Bytes>, Status>> {
    std::future::poll_fn(|cx| Pin::new(&mut *slim).poll_frame(cx)).await
}

#[tokio::test]
async fn what_is_begun_must_be_whole_in_time_and_silence_between_is_no_matter() {
    let whole = frame(&request(10));
    let half = [&whole[..], &whole[..20]].concat();
    let table = [
        (Speech::Delta, half, 1),
        (Speech::Whole, whole[..3].to_vec(), 0),
        (Speech::Fetch, whole.clone(), 1),
        (Speech::Whole, Vec::new(), 0),
    ];
    let room = octets(1 << 20);
    for (speech, bytes, messages) in table {
        let mut slim = saying(&room, 1, bytes, speech);
        for _ in 0..messages {
            next(&mut slim).await.unwrap().unwrap();
        }
        let status = next(&mut slim).await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{speech:?}");
    }
    let mut slim = saying(&room, 1, whole, Speech::Whole);
    next(&mut slim).await.unwrap().unwrap();
    assert!(is_silent(&mut slim).await);
}

async fn is_silent(slim: &mut Slim<Silent>) -> bool {
    tokio::time::timeout(QUIET, next(slim)).await.is_err()
}

#[tokio::test]
async fn half_messages_share_one_room_and_none_takes_that_of_others() {
    let room = octets(100_000);
    let half = frame(&request(60_000))[..40_000].to_vec();
    let mut kept = Vec::new();
    for (pid, is_kept) in [(1, true), (1, false), (2, true), (3, false)] {
        let place = room.take_many(Party::Process(1, Some(pid)), 0).unwrap();
        let body = Silent(Some(half.clone().into()));
        let mut slim = Slim::new(body, Speech::Whole, place, Duration::from_secs(60));
        match is_kept {
            true => assert!(is_silent(&mut slim).await),
            false => {
                let status = next(&mut slim).await.unwrap().unwrap_err();
                assert_eq!(status.code(), Code::ResourceExhausted);
            }
        }
        kept.push(slim);
    }
    kept.clear();
    assert!(room.take_many(Party::Process(1, Some(1)), 50_000).is_some());
}

#[tokio::test]
async fn a_large_message_that_stays_large_takes_of_the_room_as_long_as_its_stream_lasts() {
    let room = octets(200_000);
    let names = DiscoveryRequest {
        resource_names: vec!["x".repeat(90_000)],
        ..DiscoveryRequest::default()
    };
    let mut large = saying(&room, 1, frame(&names), Speech::Whole);
    next(&mut large).await.unwrap().unwrap();
    assert!(room.take_many(Party::Process(1, Some(1)), 20_000).is_none());
    drop(large);
    let mut slim = saying(&room, 1, frame(&request(60_000)), Speech::Whole);
    next(&mut slim).await.unwrap().unwrap();
    assert!(
        room.take_many(Party::Process(1, Some(1)), 100_000)
            .is_some()
    );
}

const PATIENCE: Duration = Duration::from_millis(50);
/// Longer than that.
const QUIET: Duration = Duration::from_millis(300);
