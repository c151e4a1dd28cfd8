//! How do others on this machine reach the agent? Unix sockets with HTTP/2 on them: where they are ([`LocalSocket`]), who
//! connects (`Peer`), and what each peer may cost (`Room`). What is served there is a `Host`'s business.
//!
//! gRPC's C core sends the socket's path as `:authority`, percent-encoded, which is none (RFC 3986 section 3.2): h2
//! resets such a request before anybody sees it. `authority` replaces that one header as the bytes come in.

mod authority;
mod claim;
mod fields;
mod frames;
mod hang_up;
mod hidden;
mod lines;
mod listener;
mod peer;
mod place;
mod room;
#[cfg(test)]
mod tests;
mod unmapped;

pub(crate) use hang_up::HangUp;
pub(crate) use lines::Lines;
pub(crate) use listener::Host;
pub(crate) use listener::MOST_CONNECTIONS;
pub(crate) use listener::run;
pub(crate) use peer::Peer;
pub use place::LocalSocket;
pub use place::LocalSocketError;
pub(crate) use room::Limits;
pub(crate) use room::Party;
pub(crate) use room::Place;
pub(crate) use room::Room;
pub(crate) use unmapped::Unmapped;
