//! What is one stream owed? Remembers what was asked for, sent and acknowledged, and says what to send next. No I/O.
//!
//! A state-of-the-world stream names all that it wants in each request, and each answer has all of that; a delta
//! stream tells and is told differences.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;

use super::catalogue::View;
use super::secrets::Resource;
use super::secrets::Version;

/// How a stream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Whole,
    Delta,
}

/// What a reader says.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) wanted: Wanted,
    /// Of the answer that it is about; empty in the first request.
    pub(super) nonce: String,
    /// Why that answer is not used.
    pub(super) refusal: Option<String>,
}

/// Which names are wanted from now on.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    Exactly(Vec<String>),
    Change {
        more: Vec<String>,
        fewer: Vec<String>,
        /// Names and versions that the reader has of an earlier stream.
        have: Vec<(String, String)>,
    },
}

impl Default for Wanted {
    fn default() -> Self {
        Self::Exactly(Vec::new())
    }
}

/// What a request meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing about an answer.
    Asked,
    Acknowledged,
    Refused {
        names: Vec<String>,
        why: String,
    },
    /// It is about an answer of another stream, or an old one.
    Stale,
}

/// What to send.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) nonce: String,
    /// Names and secrets, roots first.
    pub(super) secrets: Vec<(Arc<str>, Arc<Resource>)>,
}

/// Names, and what they meant.
type Versions = Vec<(Arc<str>, Version)>;

/// For each name that a stream wants, the version that it acknowledged.
pub(super) type Confirmed = BTreeMap<Arc<str>, Option<Version>>;

/// The state of one stream.
#[derive(Debug)]
pub(super) struct Subscription {
    form: Form,
    /// Tells nonces of this stream from those of others.
    prefix: String,
    answers: u64,
    has_asked: bool,
    wanted: BTreeSet<Arc<str>>,
    sent: BTreeMap<Arc<str>, Version>,
    confirmed: BTreeMap<Arc<str>, Version>,
    /// Answers that nothing was said of yet, the latest last.
    open: VecDeque<(String, Versions)>,
}

impl Subscription {
    pub(super) fn new(form: Form, prefix: String) -> Self {
        Self {
            form,
            prefix,
            answers: 0,
            has_asked: false,
            wanted: BTreeSet::new(),
            sent: BTreeMap::new(),
            confirmed: BTreeMap::new(),
            open: VecDeque::new(),
        }
    }

    /// Takes in what the reader says.
    pub(super) fn hear(&mut self, request: Request, view: View<'_>) -> Heard {
        let is_first = !std::mem::replace(&mut self.has_asked, true);
        let is_about_the_last = self.last_nonce() == request.nonce;
        let is_fresh = is_first || request.nonce.is_empty();
        let heard = match is_fresh {
            true => Heard::Asked,
            false => self.judge(&request),
        };
        match request.wanted {
            // Names beside an old nonce are of a reader that has not seen the latest answer; it says them again.
            Wanted::Exactly(_) if !is_fresh && !is_about_the_last => {}
            Wanted::Exactly(names) => {
                if is_fresh {
                    self.sent.clear();
                }
                self.want_exactly(names, view);
            }
            Wanted::Change { more, fewer, have } => {
                self.forget(&fewer);
                for name in more {
                    // Who asks again gets it again.
                    self.sent.remove(name.as_str());
                    self.want(name, view);
                }
                if is_first {
                    self.take_up(have, view);
                }
            }
        }
        heard
    }

    /// About how many octets there are to send, if there are any.
    pub(super) fn owed(&self, view: View<'_>) -> Option<usize> {
        let secrets = self.due(view);
        let octets = |(name, resource): &(Arc<str>, Arc<Resource>)| name.len() + resource.octets();
        (!secrets.is_empty()).then(|| ENVELOPE + secrets.iter().map(octets).sum::<usize>())
    }

    /// What to send, as from now on sent.
    pub(super) fn next(&mut self, view: View<'_>) -> Option<Answer> {
        let secrets = self.due(view);
        if secrets.is_empty() {
            return None;
        }
        let versions: Versions = secrets
            .iter()
            .map(|(name, resource)| (Arc::clone(name), Arc::clone(&resource.version)))
            .collect();
        self.sent.extend(versions.iter().cloned());
        self.answers += 1;
        let nonce = self.last_nonce();
        self.open.push_back((nonce.clone(), versions));
        if self.open.len() > OPEN {
            self.open.pop_front();
        }
        Some(Answer { nonce, secrets })
    }

    /// What the reader has, by its own word.
    pub(super) fn confirmed(&self) -> Confirmed {
        let version = |name: &Arc<str>| (Arc::clone(name), self.confirmed.get(name).cloned());
        self.wanted.iter().map(version).collect()
    }

    /// Names and secrets, roots first; none where there is no news.
    fn due(&self, view: View<'_>) -> Vec<(Arc<str>, Arc<Resource>)> {
        let is_news = |name: &Arc<str>| self.is_news(name, view).is_some();
        if !self.wanted.iter().any(is_news) {
            return Vec::new();
        }
        let found = self.wanted.iter().filter_map(|name| match self.form {
            Form::Whole => Some((Arc::clone(name), Arc::clone(view.get(name)?))),
            Form::Delta => Some((Arc::clone(name), Arc::clone(self.is_news(name, view)?))),
        });
        let mut secrets: Vec<(Arc<str>, Arc<Resource>)> = found.collect();
        secrets.sort_by_key(|(_, resource)| resource.kind);
        secrets
    }

    fn last_nonce(&self) -> String {
        format!("{}-{}", self.prefix, self.answers)
    }

    /// What a request says of an answer.
    fn judge(&mut self, request: &Request) -> Heard {
        let Some(index) = self.open.iter().position(|it| it.0 == request.nonce) else {
            // A reader may change its mind on names long after it acknowledged the last answer.
            let is_the_last = self.last_nonce() == request.nonce;
            return if is_the_last {
                Heard::Asked
            } else {
                Heard::Stale
            };
        };
        let versions = self.open.remove(index).map_or_else(Vec::new, |it| it.1);
        match &request.refusal {
            Some(why) => Heard::Refused {
                names: versions.iter().map(|(name, _)| name.to_string()).collect(),
                why: why.clone(),
            },
            None => {
                self.confirmed.extend(versions);
                Heard::Acknowledged
            }
        }
    }

    fn is_news<'a>(&self, name: &str, view: View<'a>) -> Option<&'a Arc<Resource>> {
        let resource = view.get(name)?;
        (self.sent.get(name) != Some(&resource.version)).then_some(resource)
    }

    fn want_exactly(&mut self, names: Vec<String>, view: View<'_>) {
        let before = std::mem::take(&mut self.wanted);
        for name in names {
            self.want(name, view);
        }
        let gone: Vec<Arc<str>> = before.difference(&self.wanted).cloned().collect();
        self.forget(&gone);
    }

    /// Names that nothing is called are remembered up to a limit, so that nobody fills our memory with them.
    fn want(&mut self, name: String, view: View<'_>) {
        let unknown = self.wanted.iter().filter(|name| view.get(name).is_none());
        let (count, octets) = unknown.fold((0, 0), |(count, octets), name| {
            (count + 1, octets + name.len())
        });
        let has_room = count < MOST_NAMES && octets + name.len() <= NAMES;
        if view.get(&name).is_some() || has_room {
            self.wanted.insert(name.into());
        }
    }

    fn forget(&mut self, names: &[impl AsRef<str>]) {
        for name in names.iter().map(AsRef::as_ref) {
            self.wanted.remove(name);
            self.sent.remove(name);
            self.confirmed.remove(name);
        }
    }

    fn take_up(&mut self, have: Vec<(String, String)>, view: View<'_>) {
        for (name, version) in have {
            let current = view.get(&name).map(|resource| &resource.version);
            if let Some(current) = current.filter(|it| ***it == *version)
                && let Some(name) = self.wanted.get(name.as_str())
            {
                self.sent.insert(Arc::clone(name), Arc::clone(current));
                self.confirmed.insert(Arc::clone(name), Arc::clone(current));
            }
        }
    }
}

/// Names that nothing is called, kept for one stream.
const MOST_NAMES: usize = 100;
/// Octets of such names.
const NAMES: usize = 4096;
/// Octets of an answer around its secrets.
const ENVELOPE: usize = 256;
/// Answers of one stream that something may still be said of.
const OPEN: usize = 8;
