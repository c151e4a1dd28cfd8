//! How does a CA tell of new roots by itself? One `WatchTrustBundle` stream over mutual TLS, with a deadline for each
//! step and pings, so that a peer that died in silence is noticed.

use std::time::Duration;

use proto::signet::InUse;
use proto::signet::TrustBundle;
use proto::signet::WatchTrustBundleRequest;
use proto::signet::trust_service_client::TrustServiceClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::client::CaClient;
use crate::error::Error;
use crate::error::Step;
use crate::instance::InstanceId;

/// An open stream.
#[derive(Debug)]
pub(crate) struct TrustStream {
    client: CaClient,
    instance: InstanceId,
    answers: Streaming<TrustBundle>,
    requests: mpsc::Sender<WatchTrustBundleRequest>,
    /// The stream ends with its connection.
    _channel: Channel,
}

impl CaClient {
    /// Opens the stream, says who we are and what is in use, and waits for the first message.
    ///
    /// # Errors
    /// Why there is no stream.
    pub(crate) async fn watch(
        &self,
        instance: &InstanceId,
        in_use: Option<InUse>,
    ) -> Result<(TrustStream, TrustBundle), Error> {
        let stream = self.connect(self.moment()).await?.stream;
        let limit = self.deadlines.answer;
        let opened = async {
            let channel = self
                .channel(stream, |endpoint| {
                    endpoint
                        .http2_keep_alive_interval(limit * PINGS_APART)
                        .keep_alive_timeout(limit)
                        .keep_alive_while_idle(true)
                })
                .await?;
            let mut stream = self.open(channel, instance, in_use).await?;
            let first = stream.next().await?;
            Ok((stream, first))
        };
        match tokio::time::timeout(limit, opened).await {
            Ok(opened) => opened,
            Err(_elapsed) => Err(self.too_late(Step::Answer, limit)),
        }
    }

    async fn open(
        &self,
        channel: Channel,
        instance: &InstanceId,
        in_use: Option<InUse>,
    ) -> Result<TrustStream, Error> {
        let (requests, queued) = mpsc::channel(QUEUE);
        // An empty queue takes it.
        drop(requests.try_send(message(instance, in_use)));
        let mut client =
            TrustServiceClient::new(channel.clone()).max_decoding_message_size(MAX_BUNDLE_LEN);
        let answers = client
            .watch_trust_bundle(ReceiverStream::new(queued))
            .await
            .map_err(|status| self.refusal(status, MAX_BUNDLE_LEN))?
            .into_inner();
        Ok(TrustStream {
            client: self.clone(),
            instance: instance.clone(),
            answers,
            requests,
            _channel: channel,
        })
    }
}

impl TrustStream {
    /// The next state. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When the stream has ended, whichever way.
    pub(crate) async fn next(&mut self) -> Result<TrustBundle, Error> {
        match self.answers.message().await {
            Ok(Some(bundle)) => Ok(bundle),
            Ok(None) => Err(self.client.broken("the CA ended the stream".into())),
            Err(status) => Err(self.client.refusal(status, MAX_BUNDLE_LEN)),
        }
    }

    /// Tells what is in use.
    ///
    /// # Errors
    /// When the CA does not take what it is told.
    pub(crate) fn tell(&self, in_use: InUse) -> Result<(), Error> {
        let told = self
            .requests
            .try_send(message(&self.instance, Some(in_use)));
        told.map_err(|refused| {
            self.client.broken(match refused {
                mpsc::error::TrySendError::Full(_) => "the CA does not read".into(),
                mpsc::error::TrySendError::Closed(_) => "the CA ended the stream".into(),
            })
        })
    }

    /// Ends the stream and waits a little until the CA has, too, so that it never sees two of one agent.
    pub(crate) async fn close(self) {
        let Self {
            mut answers,
            requests,
            ..
        } = self;
        drop(requests);
        let ended = async { while let Ok(Some(_)) = answers.message().await {} };
        // Who does not end it has to notice by the connection's end.
        drop(tokio::time::timeout(FAREWELL, ended).await);
    }
}

fn message(instance: &InstanceId, in_use: Option<InUse>) -> WatchTrustBundleRequest {
    WatchTrustBundleRequest {
        instance: instance.to_string(),
        in_use,
    }
}

/// In answer deadlines.
const PINGS_APART: u32 = 3;
const QUEUE: usize = 16;
/// Roots of all trust domains and their revocation lists fit; a larger message is not read.
const MAX_BUNDLE_LEN: usize = 4 * 1024 * 1024;
const FAREWELL: Duration = Duration::from_secs(1);
