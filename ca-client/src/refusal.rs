//! What does it mean that there is no answer? One table from gRPC's status, and what has none, to [`Error`].

use std::time::Duration;

use crate::client::CaClient;
use crate::error::Error;
use crate::error::Step;
use crate::pushback::pushback;

impl CaClient {
    /// What `status` means, of an answer that may be `limit` bytes long.
    pub(crate) fn refusal(&self, status: tonic::Status, limit: usize) -> Error {
        let ca = self.address.clone();
        let message = status.message().to_owned();
        match status.code() {
            _ if comes_of_timeout(&status) => self.too_late(Step::Answer, self.deadlines.answer),
            // tonic gives a broken connection a status with a source; what a server sends has none.
            _ if std::error::Error::source(&status).is_some() => self.broken(Box::new(status)),
            tonic::Code::OutOfRange if message.contains("decoded message length too large") => {
                Error::AnswerTooLarge { ca, limit }
            }
            tonic::Code::Unauthenticated => Error::Unauthenticated {
                ca,
                credential: self.credential.to_string(),
                message,
            },
            code => Error::Refused {
                ca,
                code,
                message,
                retry_after: pushback(&status),
            },
        }
    }

    pub(crate) fn broken(&self, source: Box<dyn std::error::Error + Send + Sync>) -> Error {
        Error::Transport {
            ca: self.address.clone(),
            source,
        }
    }

    pub(crate) fn too_late(&self, step: Step, limit: Duration) -> Error {
        Error::Deadline {
            ca: self.address.clone(),
            step,
            limit,
        }
    }
}

/// tonic watches the deadline that it sends to the server as well, and may be the first to notice.
fn comes_of_timeout(status: &tonic::Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if error.is::<tonic::TimeoutExpired>() {
            return true;
        }
        cause = error.source();
    }
    false
}
