//! When may trust and issuance change? A persistent record, gates that look at evidence, and the steps between.
//!
//! Values in, values out: nothing here reads a clock or a file, signs, stores or speaks to anybody. Whoever drives it
//! keeps the order: persist the record, then the trust bundle, then the ledger's terms, then swap, then push.

mod command;
mod distrust;
mod due;
mod error;
mod evidence;
mod gate;
mod gate_time;
mod gates;
mod obstacle;
mod pace;
mod record;
mod report;
mod signer;
mod text;
mod transition;

pub use command::Command;
pub use distrust::AtHand;
pub use due::Step;
pub use due::due;
pub use error::Refusal;
pub use evidence::Evidence;
pub use evidence::Limits;
pub use gate::Gate;
pub use gate::Opening;
pub use gate_time::GateTime;
pub use gates::Candidate;
pub use gates::activate;
pub use gates::activation_obstacles;
pub use gates::publish;
pub use gates::retire;
pub use gates::retirement_obstacles;
pub use obstacle::HolderName;
pub use obstacle::Obstacle;
pub use pace::Pace;
pub use record::JournalEntry;
pub use record::Phase;
pub use record::Record;
pub use record::VERSION;
pub use report::Awaited;
pub use report::DirectoryReport;
pub use report::LeavesOf;
pub use report::Plan;
pub use report::Report;
pub use report::StepReport;
pub use report::awaited;
pub use signer::Origin;
pub use signer::Signer;
pub use transition::Forced;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod model;
