//! Where is the rotation record kept? `<data-dir>/rotation.json`, replaced as a whole.

use std::path::Path;

use crate::authority::state::StateError;
use crate::authority::state::read_versioned;
use crate::authority::state::write_versioned;
use crate::rotation::Record;
use crate::rotation::VERSION;

/// The record of `data_dir`; `None` where there never was one.
///
/// # Errors
/// When the file cannot be read, is damaged, contradicts itself or is of a later version. It is left as it is.
pub(super) fn read(data_dir: &Path) -> Result<Option<Record>, StateError> {
    let path = data_dir.join(FILE);
    let record: Option<Record> = read_versioned(&path, VERSION)?;
    match record.as_ref().and_then(Record::contradiction) {
        None => Ok(record),
        Some(found) => Err(StateError::Contradictory {
            path,
            found,
            otherwise: WITHOUT_A_RECORD,
        }),
    }
}

/// Makes `record` the one that a restart begins with.
///
/// # Errors
/// The earlier one is in force then, unless [`holds`] says otherwise.
pub(super) fn write(data_dir: &Path, record: &Record) -> Result<(), StateError> {
    write_versioned(&data_dir.join(FILE), record)
}

/// Whether a restart would begin with `record`: so it may be also after [`write`] failed, when only the last flush did.
pub(super) fn holds(data_dir: &Path, record: &Record) -> bool {
    read(data_dir).is_ok_and(|found| found.as_ref() == Some(record))
}

const FILE: &str = "rotation.json";
const WITHOUT_A_RECORD: &str = "move it away: the CA in --root-ca-dir, or else the self-signed one, then signs at once, and rotation, tainted keys and journal are forgotten";

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proto::certificate::Fingerprint;

    use super::*;
    use crate::rotation::Origin;
    use crate::rotation::Signer;

    fn record() -> Record {
        let issuer = Fingerprint::of(b"issuer");
        let signer = Signer {
            issuer,
            key: issuer,
            root: issuer,
            roots: vec![issuer],
            also_accepted_by: Vec::new(),
            origin: Origin::SelfSigned,
            not_before: UNIX_EPOCH,
            not_after: UNIX_EPOCH,
            issuer_not_before: UNIX_EPOCH,
            first_loaded: UNIX_EPOCH,
            published: true,
            has_signed: true,
            auto_retire: false,
            last_resort: false,
            tainted: None,
            deadline: None,
        };
        Record::new(signer, UNIX_EPOCH)
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_none_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        write(dir.path(), &record()).unwrap();
        assert_eq!(read(dir.path()).unwrap(), Some(record()));
    }

    #[test]
    fn a_record_that_contradicts_itself_is_refused_by_file_and_left_as_it_is() {
        let other = Fingerprint::of(b"other");
        let (good, dir) = (record(), tempfile::tempdir().unwrap());
        let mut twice = good.clone();
        twice.signers.extend(good.signers.clone());
        let of = |active, next| Record {
            active,
            next,
            ..good.clone()
        };
        for (bad, told) in [
            (twice, "listed twice"),
            (of(other, None), "signs and is not among"),
            (
                of(good.active, Some(good.active)),
                "signs and is to sign next",
            ),
            (
                of(good.active, Some(other)),
                "is to sign next and is not among",
            ),
        ] {
            write(dir.path(), &bad).unwrap();
            let refusal = read(dir.path()).unwrap_err().to_string();
            let parts = ["rotation.json", told, "backup", "move it away"];
            let all = parts.iter().all(|part| refusal.contains(part));
            assert!(all, "{refusal}");
            assert!(dir.path().join(FILE).exists());
        }
    }
}
