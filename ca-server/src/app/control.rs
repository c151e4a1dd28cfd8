//! How do operators' wishes get to the conductor? As orders with a way back.

use tokio::sync::mpsc;
use tokio::sync::oneshot;

use super::ca::CaError;
use super::conductor::Asked;
use super::conductor::Order;
use super::report;
use crate::api::rotation::ControlError;
use crate::api::rotation::RotationControl;
use crate::rotation::Command;
use crate::rotation::Report;

/// The operators' line to the conductor.
#[derive(Clone, Debug)]
pub(super) struct Control {
    pub(super) orders: mpsc::Sender<Order>,
}

#[tonic::async_trait]
impl RotationControl for Control {
    async fn ask(&self, command: Command, dry_run: bool) -> Result<Report, ControlError> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked {
            command,
            dry_run,
            answer,
        };
        let sent = self.orders.send(Order::Asked(asked)).await;
        sent.map_err(|_ended| stopping())?;
        let answered = answered.await.map_err(|_ended| stopping())?;
        answered.map_err(|error| control_error(&error))
    }
}

fn stopping() -> ControlError {
    ControlError::Unavailable {
        why: "the server is stopping".to_owned(),
    }
}

fn control_error(error: &CaError) -> ControlError {
    let why = report::chain_of(error);
    match error {
        CaError::Rotation(_)
        | CaError::BringFiles { .. }
        | CaError::NothingDrains
        | CaError::UnderWay { .. } => ControlError::Refused { why },
        _ => ControlError::Unavailable { why },
    }
}
