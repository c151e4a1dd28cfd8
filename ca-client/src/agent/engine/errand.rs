//! What is done on the disk for the engine, where waiting holds up nobody? One errand at a time, with all that it needs.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::SystemTime;

use crate::agent::Output;
use crate::agent::follow::Memory;
use crate::bundle::Bundle;
use crate::files::FilesError;
use crate::instance::InstanceId;
use crate::key::PrivateKey;
use crate::svid::Svid;

/// What the files are to be.
pub(super) struct Wish {
    pub(super) svid: Arc<Svid>,
    pub(super) bundle: Option<Arc<Bundle>>,
    pub(super) instance: Option<InstanceId>,
    /// They were that when they were last looked at.
    pub(super) was_there: bool,
    pub(super) now: SystemTime,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Tended {
    pub(super) svid: Arc<Svid>,
    pub(super) bundle: Option<Arc<Bundle>>,
    pub(super) lost: Option<FilesError>,
    /// `None` where nothing had to be; an error goes with the last second of the older certificate that is there.
    pub(super) written: Option<Result<(), (FilesError, Option<SystemTime>)>>,
}

impl Wish {
    pub(super) fn fulfil(self, output: &Mutex<Output>) -> Tended {
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = match self.was_there {
            true => output.check(&self.svid).err(),
            false => None,
        };
        let is_whole = self.was_there && lost.is_none();
        let written = (!is_whole).then(|| {
            let written = output.write(&self.svid, self.bundle.as_ref(), self.now);
            if written.is_ok() {
                output.remember_instance(self.instance.as_ref());
            }
            written.map_err(|error| {
                let older_until = output.good_until(&error);
                (error, older_until)
            })
        });
        Tended {
            svid: self.svid,
            bundle: self.bundle,
            lost,
            written,
        }
    }
}

/// What an earlier run left.
pub(super) struct Left {
    pub(super) is_whole: bool,
    pub(super) requested: Option<PrivateKey>,
    pub(super) memory: Memory,
    pub(super) bundle: Result<Option<Bundle>, FilesError>,
    pub(super) stored: Result<Option<(Svid, Option<SystemTime>)>, FilesError>,
}

impl Left {
    pub(super) fn read(output: &Mutex<Output>) -> Self {
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = output.stored();
        let svid = stored.as_ref().ok().and_then(Option::as_ref);
        Self {
            is_whole: svid.is_some_and(|(svid, _)| output.is_whole(svid)),
            requested: output.requested(),
            memory: output.memory(),
            bundle: output.stored_bundle(),
            stored,
        }
    }
}
