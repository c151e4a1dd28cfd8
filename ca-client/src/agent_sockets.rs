//! Which sockets do the settings ask for, and can they be had?

use ca_client::socket::LocalSocket;
use ca_client::socket::LocalSocketError;

use crate::agent_error::AgentError;
use crate::cli::AgentOptions;

/// Where others are served.
#[derive(Default)]
pub(crate) struct Sockets {
    pub(crate) sds: Option<LocalSocket>,
    pub(crate) workload_api: Option<LocalSocket>,
}

impl Sockets {
    /// Where nobody is served, or others do that.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// Refuses at once what no time will cure.
    pub(crate) async fn checked(options: &AgentOptions) -> Result<Self, AgentError> {
        let sds = options.sds_socket.as_ref();
        let sds = sds.map(|path| LocalSocket::new(path, options.sds_mode, options.sds_group));
        let workload_api = options.workload_api_socket.as_ref().map(|path| {
            LocalSocket::new(path, options.workload_api_mode, options.workload_api_group)
        });
        let sds = fitting(SDS, sds)?;
        let socket = fitting(WORKLOAD_API, workload_api)?;
        if let (Some(sds), Some(socket)) = (&sds, &socket)
            && sds.path() == socket.path()
        {
            return Err(AgentError::SameSocket);
        }
        claim(SDS, sds.as_ref()).await?;
        claim(WORKLOAD_API, socket.as_ref()).await?;
        Ok(Self {
            sds,
            workload_api: socket,
        })
    }
}

fn fitting(
    flag: &'static str,
    socket: Option<Result<LocalSocket, LocalSocketError>>,
) -> Result<Option<LocalSocket>, AgentError> {
    let socket = socket.transpose();
    socket.map_err(|source| AgentError::Socket { flag, source })
}

async fn claim(flag: &'static str, socket: Option<&LocalSocket>) -> Result<(), AgentError> {
    let Some(socket) = socket else {
        return Ok(());
    };
    let claimed = socket.claim().await;
    claimed.map_err(|source| AgentError::SocketInTheWay { flag, source })
}

const SDS: &str = "--sds-socket";
const WORKLOAD_API: &str = "--workload-api-socket";
