//! What is in the operator's directory, compared with what is loaded? Remembers what was seen and what came of it.

use std::time::Duration;

use proto::certificate::Fingerprint;

use super::manner::Manner;
use super::manner::Wish;
use crate::rotation::DirectoryReport;
use crate::telemetry::rotation::DirectoryCounts;

/// The operator's directory, as it was seen last.
#[derive(Clone, Debug, Default)]
pub(in crate::app) struct Directory {
    /// Hash of the files that are loaded.
    pub(super) loaded: Option<Fingerprint>,
    /// Hash of the files that are there; `None` when there are none, or they cannot be read.
    pub(super) on_disk: Option<Fingerprint>,
    /// Why what is there is not loaded.
    pub(super) failure: Option<Failure>,
    /// Since when the directory is there with none of the files, on a clock that only goes forward.
    pub(super) empty_since: Option<Duration>,
    /// How an operator wants the rotation to what is there.
    pub(super) wish: Option<Wish>,
    /// How often something could not be loaded.
    pub(super) failures: u64,
    /// How often something was loaded.
    pub(super) reloads: u64,
    /// How often it was looked at.
    pub(super) looks: u64,
}

/// Why files are not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::app) struct Failure {
    /// Hash of the files; `None` when they could not even be read.
    pub(super) hash: Option<Fingerprint>,
    /// File, rule and fix, as a sentence.
    pub(in crate::app) message: String,
}

impl Directory {
    /// Notes that what is there does not work. Answers whether that is news.
    pub(super) fn note_failure(&mut self, failure: Failure) -> bool {
        let is_news = self.failure.as_ref() != Some(&failure);
        if is_news {
            self.failures += 1;
        }
        self.failure = Some(failure);
        is_news
    }

    /// Notes that what is there was loaded.
    pub(super) fn note_loaded(&mut self, hash: Option<Fingerprint>) {
        if hash.is_some() {
            self.reloads += 1;
        }
        self.loaded = hash;
        self.failure = None;
        self.wish = None;
    }

    /// How a rotation to what is there is to go on.
    pub(super) fn manner(&self) -> Manner {
        let mark = self.mark();
        let wish = self.wish.as_ref();
        let wish = wish.filter(|wish| mark.as_ref() == Some(&wish.mark));
        wish.map_or(Manner::BY_ITSELF, |wish| wish.manner)
    }

    /// Notes that what is there is not to be loaded, and that `loaded` is in force.
    pub(super) fn note_given_up(&mut self, loaded: Option<Fingerprint>) {
        self.loaded = loaded;
        self.failure = (self.on_disk != loaded).then(|| Failure {
            hash: self.on_disk,
            message: match self.on_disk {
                Some(_) => GIVEN_UP.to_owned(),
                None => REMOVAL_GIVEN_UP.to_owned(),
            },
        });
    }

    /// How the record remembers what is there: the hash of the files, or that they were taken away; `None` as long as
    /// nobody could see.
    pub(super) fn mark(&self) -> Option<String> {
        match (self.on_disk, self.empty_since) {
            (Some(hash), _) => Some(hash.to_string()),
            (None, Some(_)) => Some(EMPTY.to_owned()),
            (None, None) => None,
        }
    }

    pub(super) fn counts(&self) -> DirectoryCounts {
        DirectoryCounts {
            looks: self.looks,
            reloads: self.reloads,
            failures: self.failures,
            in_sync: self.failure.is_none() && self.on_disk == self.loaded,
        }
    }

    pub(super) fn figures(&self) -> DirectoryReport {
        let text = |hash: Option<Fingerprint>| hash.map_or_else(String::new, |it| it.to_string());
        DirectoryReport {
            loaded: text(self.loaded),
            on_disk: text(self.on_disk),
            failure: self
                .failure
                .as_ref()
                .map_or_else(String::new, |failure| failure.message.clone()),
            failures: self.failures,
            reloads: self.reloads,
            looks: self.looks,
        }
    }
}

/// What the record has instead of a hash.
pub(super) const EMPTY: &str = "empty";
const GIVEN_UP: &str = "the rotation to these files was aborted: `ca-server rotate start` begins it again, other files another one";
const REMOVAL_GIVEN_UP: &str = "the rotation away from the files that were here was aborted: `ca-server rotate start` begins it again; put them back";
