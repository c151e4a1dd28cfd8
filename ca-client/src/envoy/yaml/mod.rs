//! What does a YAML file say, and on which line? A tree that remembers where everything stands.
//!
//! Stricter than YAML: no key twice, no anchors, no tags, because what one reader takes from those another does not.

mod build;
#[cfg(test)]
mod tests;

/// One value and the line it begins on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) content: Content,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Nothing: empty, `~` or `null`.
    Null,
    /// Text, a number or a boolean, as it is spelled.
    Scalar(String),
    /// Values in order.
    List(Vec<Node>),
    /// Named values in order.
    Map(Vec<Entry>),
}

/// One named value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// The line of the key.
    pub(crate) line: usize,
    pub(crate) value: Node,
}

impl Node {
    /// What a person calls this kind of value.
    pub(crate) fn kind(&self) -> &'static str {
        match self.content {
            Content::Null => "nothing",
            Content::Scalar(_) => "a scalar",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }
}

/// Why a file is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct YamlError {
    /// Counted from 1.
    pub(crate) line: usize,
    /// What is wrong there.
    pub(crate) reason: String,
}

/// The documents of `text`, without empty ones.
///
/// # Errors
/// The first line that cannot be read.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, YamlError> {
    build::documents(text)
}
