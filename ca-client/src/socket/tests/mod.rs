//! Sockets, and the frames that come over them.

mod frames;
mod place;
