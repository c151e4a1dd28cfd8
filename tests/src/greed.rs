//! How could a peer of the SDS socket take more than its share? All the ways that we know, at once.

use std::path::Path;
use std::time::Duration;

use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use h2::SendStream;
use h2::client::Builder;
use h2::client::ResponseFuture;
use h2::client::SendRequest;
use http::Request;
use prost::Message;
use prost::bytes::Bytes;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::envoy::TYPE_URL;
use crate::envoy::asking;

/// What is sent on every stream of a connection, and how much of the answer is let in.
#[derive(Clone, Debug)]
struct Way {
    method: &'static str,
    said: Bytes,
    window: u32,
}

/// Goes on until it is dropped.
pub async fn be_greedy(path: &Path) {
    let mut lines = JoinSet::new();
    for way in ways() {
        for _ in 0..CONNECTIONS {
            lines.spawn(insist(path.to_owned(), way.clone()));
        }
    }
    for _ in 0..DEAF {
        lines.spawn(never_read(path.to_owned()));
    }
    while lines.join_next().await.is_some() {}
}

fn ways() -> Vec<Way> {
    let names: Vec<String> = (0..4000)
        .map(|number| format!("spiffe://x/{number:0>20}"))
        .collect();
    let wishes = DiscoveryRequest {
        resource_names: names.clone(),
        type_url: TYPE_URL.to_owned(),
        ..DiscoveryRequest::default()
    };
    let empty = DiscoveryRequest {
        resource_names: vec![String::new(); 120_000],
        ..wishes.clone()
    };
    let have = DeltaDiscoveryRequest {
        resource_names_subscribe: vec!["ROOTCA".to_owned()],
        initial_resource_versions: names
            .into_iter()
            .map(|name| (name, String::new()))
            .collect(),
        type_url: TYPE_URL.to_owned(),
        ..DeltaDiscoveryRequest::default()
    };
    let half = framed(&wishes).slice(..100_000);
    let way = |method, said, window| Way {
        method,
        said,
        window,
    };
    vec![
        way("StreamSecrets", half.clone(), WIDE),
        way("FetchSecrets", half, WIDE),
        way("StreamSecrets", framed(&wishes), WIDE),
        way("FetchSecrets", framed(&empty), WIDE),
        way("DeltaSecrets", framed(&have), WIDE),
        way(
            "StreamSecrets",
            framed(&asking(&["default", "ROOTCA"])),
            NARROW,
        ),
        way(
            "FetchSecrets",
            framed(&asking(&["default", "ROOTCA"])),
            NARROW,
        ),
    ]
}

/// Takes all the streams that it is given, and holds them for a while, again and again.
async fn insist(path: std::path::PathBuf, way: Way) {
    loop {
        let mut held = Vec::new();
        if let Some(line) = dial(&path, way.window).await {
            while held.len() < STREAMS
                && let Ok(Some((answer, mut body))) =
                    timeout(PATIENCE, open(&line, way.method)).await
                && body.send_data(way.said.clone(), false).is_ok()
            {
                held.push((answer, body));
            }
        }
        sleep(HOLD).await;
    }
}

async fn dial(path: &Path, window: u32) -> Option<SendRequest<Bytes>> {
    let stream = UnixStream::connect(path).await.ok()?;
    let mut builder = Builder::new();
    let shaken = builder.initial_window_size(window).handshake(stream).await;
    let (line, connection) = shaken.ok()?;
    tokio::spawn(connection);
    Some(line)
}

async fn open(
    line: &SendRequest<Bytes>,
    method: &str,
) -> Option<(ResponseFuture, SendStream<Bytes>)> {
    let request = Request::post(format!("http://localhost{SERVICE}/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .ok()?;
    let mut ready = line.clone().ready().await.ok()?;
    ready.send_request(request, false).ok()
}

/// Asks on many streams, and never takes a byte from the socket.
async fn never_read(path: std::path::PathBuf) {
    let said = spoken();
    loop {
        if let Ok(mut stream) = UnixStream::connect(&path).await {
            drop(timeout(HOLD, stream.write_all(&said)).await);
            sleep(HOLD).await;
        }
        sleep(PATIENCE).await;
    }
}

/// A connection's bytes: fetches, one stream after the other, each ended.
fn spoken() -> Vec<u8> {
    let literal = |name: &str, value: &str| {
        let mut field = vec![0x40, u8::try_from(name.len()).unwrap()];
        field.extend(name.as_bytes());
        field.push(u8::try_from(value.len()).unwrap());
        field.extend(value.as_bytes());
        field
    };
    let first = [
        literal(":path", &format!("{SERVICE}/FetchSecrets")),
        literal(":authority", "localhost"),
        literal(":method", "POST"),
        literal(":scheme", "http"),
        literal("content-type", "application/grpc"),
        literal("te", "trailers"),
    ]
    .concat();
    // The same again, out of the table: 62 is what came last.
    let again = vec![0xc3, 0xc2, 0xc1, 0xc0, 0xbf, 0xbe];
    let request = framed(&DiscoveryRequest {
        resource_names: vec!["default".to_owned()],
        ..DiscoveryRequest::default()
    });
    let mut said = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for number in 0..ASKED {
        let stream = (2 * number + 1).to_be_bytes();
        let block = if number == 0 { &first } else { &again };
        for (kind, flags, payload) in [(1, 4, block.as_slice()), (0, 1, &request)] {
            let [.., high, low] = u32::try_from(payload.len()).unwrap().to_be_bytes();
            said.extend([0, high, low, kind, flags]);
            said.extend(stream);
            said.extend(payload);
        }
    }
    said
}

fn framed(message: &impl Message) -> Bytes {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, &message].concat().into()
}

const SERVICE: &str = "/envoy.service.secret.v3.SecretDiscoveryService";
/// For each way.
const CONNECTIONS: usize = 4;
/// Connections that never read.
const DEAF: usize = 10;
/// Wanted on each connection.
const STREAMS: usize = 100;
/// Asked for by one that never reads.
const ASKED: u32 = 900;
const HOLD: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_millis(300);
const WIDE: u32 = 65_535;
const NARROW: u32 = 1;
