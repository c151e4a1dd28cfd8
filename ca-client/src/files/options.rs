//! Which files are wanted, and who may do what with each?

use std::fs;
use std::path::Path;

use super::Access;
use super::FileNames;
use super::FilesError;
use super::Owner;
use super::Part;
use super::StorePassword;
use super::pkcs12;

/// How the files are made.
#[derive(Clone, Debug)]
pub struct OutputOptions {
    /// Permission bits of `key.pem` and `keystore.p12`.
    pub key_mode: u32,
    /// Permission bits of the other files.
    pub cert_mode: u32,
    /// Whom the files with the private key belong to.
    pub key_owner: Owner,
    /// Whom the other files belong to.
    pub cert_owner: Owner,
    /// Files that have something else than that.
    pub exceptions: Vec<FileAccess>,
    /// How the files are called.
    pub names: FileNames,
    /// Whether there is `chain-without-root.pem` too.
    pub chain_without_root: bool,
    /// The password of `keystore.p12` and `truststore.p12`; without one there are none.
    pub stores: Option<StorePassword>,
    /// What happens to files that somebody else put there under our names.
    pub existing: Existing,
}

/// Permissions or owner of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileAccess {
    /// The file's name, such as `key.pem`.
    pub name: String,
    /// Its permission bits, if not those of its kind.
    pub mode: Option<u32>,
    /// Whom it belongs to, if not to whom its kind does.
    pub owner: Option<Owner>,
}

/// What happens to files that somebody else put there under our names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// They are left alone, and nothing is written.
    Refuse,
    /// They are replaced, one after the other: only this first time a reader may see old beside new.
    Replace,
}

impl OutputOptions {
    /// The files that hold the private key and that everybody on the machine could read.
    pub fn exposed(&self) -> impl Iterator<Item = &'static str> {
        let private = self.parts().filter(|part| part.is_private());
        private
            .filter(|part| self.access(*part).mode & 0o007 != 0)
            .map(|part| part.name(self.names))
    }

    /// The names of all files that are wanted.
    pub fn wanted(&self) -> impl Iterator<Item = &'static str> {
        self.parts().map(|part| part.name(self.names))
    }

    /// The names that files could have which are not wanted.
    pub(super) fn unwanted(&self) -> impl Iterator<Item = &'static str> {
        let all = [FileNames::Istio, FileNames::Kubernetes]
            .into_iter()
            .flat_map(|names| Part::ALL.map(|part| part.name(names)));
        all.filter(|name| !self.wanted().any(|wanted| wanted == *name))
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = Part> {
        let wanted = |part: &Part| match part {
            Part::Chain | Part::Key | Part::Roots => true,
            Part::ChainWithoutRoot => self.chain_without_root,
            Part::KeyStore | Part::TrustStore => self.stores.is_some(),
        };
        Part::ALL.into_iter().filter(wanted)
    }

    /// Later exceptions count more than earlier ones.
    pub(super) fn access(&self, part: Part) -> Access {
        let of_kind = match part.is_private() {
            true => self.of_key(),
            false => self.of_certificates(),
        };
        let name = part.name(self.names);
        let exceptions = self.exceptions.iter().filter(|it| it.name == name);
        exceptions.fold(of_kind, |access, exception| Access {
            mode: exception.mode.unwrap_or(access.mode),
            owner: exception.owner.unwrap_or(access.owner),
        })
    }

    pub(super) fn of_certificates(&self) -> Access {
        Access {
            mode: self.cert_mode,
            owner: self.cert_owner,
        }
    }

    fn of_key(&self) -> Access {
        Access {
            mode: self.key_mode,
            owner: self.key_owner,
        }
    }

    /// Refuses exceptions for what is no file that is wanted: they would never count.
    pub(super) fn refuse_unknown(&self) -> Result<(), FilesError> {
        let is_unknown = |it: &&FileAccess| !self.wanted().any(|name| name == it.name);
        match self.exceptions.iter().find(is_unknown) {
            None => Ok(()),
            Some(exception) => Err(FilesError::Unknown {
                name: exception.name.clone(),
                known: self.wanted().collect(),
            }),
        }
    }

    /// Whether all that is wanted is in `dir`, and opens with the password.
    pub(crate) fn are_in(&self, dir: &Path) -> bool {
        self.parts().all(|part| {
            let path = dir.join(part.name(self.names));
            match self.stores.as_ref().filter(|_| part.is_store()) {
                None => path.is_file(),
                Some(password) => fs::read(&path).is_ok_and(|file| pkcs12::opens(&file, password)),
            }
        })
    }
}

impl Default for OutputOptions {
    fn default() -> Self {
        Self {
            key_mode: 0o600,
            cert_mode: 0o644,
            key_owner: Owner::default(),
            cert_owner: Owner::default(),
            exceptions: Vec::new(),
            names: FileNames::Istio,
            chain_without_root: false,
            stores: None,
            existing: Existing::Refuse,
        }
    }
}
