//! Which entries does somebody want to see, and how do they come in pages?

use std::time::SystemTime;

use proto::spiffe::SpiffeId;

use super::Entry;

/// Which entries to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Only this SPIFFE ID.
    pub spiffe_id: Option<SpiffeId>,
    /// Only leaves whose last second is before this.
    pub expires_before: Option<SystemTime>,
    /// Only leaves whose last second is this or later.
    pub expires_after: Option<SystemTime>,
    /// At most this many, at least one.
    pub limit: usize,
    /// From [`Page::next`].
    pub after: Option<Cursor>,
}

/// Where the next page starts. The bytes mean something to the ledger only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub Vec<u8>);

/// One page of entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Newest first.
    pub entries: Vec<Entry>,
    /// Where the next page starts; `None` when this was the last.
    pub next: Option<Cursor>,
}
