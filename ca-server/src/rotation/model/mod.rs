//! Is the order of things right whatever happens when? An exhaustive search of a small world that drives the real
//! record, gates and steps.
//!
//! Two clients hold leaves that live for two ticks. Between any two events anything else may happen: answers are late
//! or lost, the server is killed, files are dropped in. The world is cut down to what gates compare: bundle numbers
//! are ranks, times are ticks, journals are empty. `worlds` says which worlds there are, `rules` what can be left out.

mod clients;
mod conductor;
mod events;
mod evidence;
mod promises;
mod records;
mod rules;
mod search;
mod state;
mod ways;
mod worlds;

#[cfg(test)]
mod tests;
