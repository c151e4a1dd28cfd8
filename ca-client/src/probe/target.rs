//! What is looked at? An address, and what people call it: as an argument, and as a line of a file.

use std::fmt;
use std::str::FromStr;

use crate::address::CaAddress;
use crate::address::CaAddressError;

/// One port to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    address: CaAddress,
    namespace: Option<String>,
    name: Option<String>,
}

impl Target {
    /// Reads one line of a list: `HOST:PORT`, then, if wanted, `NAME` or `NAMESPACE/NAME`. Nothing for a line that is
    /// empty, or a remark that starts with `#`.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn of_line(line: &str) -> Result<Option<Self>, TargetError> {
        let mut words = line
            .split_whitespace()
            .take_while(|word| !word.starts_with('#'));
        let Some(address) = words.next() else {
            return Ok(None);
        };
        let target = Self::new(address, words.next())?;
        match words.next() {
            Some(word) => Err(TargetError::Words {
                seen: word.to_owned(),
            }),
            None => Ok(Some(target)),
        }
    }

    fn new(address: &str, name: Option<&str>) -> Result<Self, TargetError> {
        let address = address.parse()?;
        let (namespace, name) = match name.map(|name| (name, name.split_once('/'))) {
            None => (None, None),
            Some((_, Some((namespace, name)))) => (Some(plain(namespace)?), Some(plain(name)?)),
            Some((name, None)) => (None, Some(plain(name)?)),
        };
        Ok(Self {
            address,
            namespace,
            name,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &CaAddress {
        &self.address
    }

    /// The namespace it is said to be in.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// What people call it, without its namespace.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name),
            None => self.address.fmt(f),
        }
    }
}

/// As an argument: `HOST:PORT`, `NAME=HOST:PORT` or `NAMESPACE/NAME=HOST:PORT`.
impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, address)) => Self::new(address, Some(name)),
            None => Self::new(text, None),
        }
    }
}

fn plain(name: &str) -> Result<String, TargetError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match !name.is_empty() && name.chars().all(allowed) {
        true => Ok(name.to_owned()),
        false => Err(TargetError::Name {
            seen: name.to_owned(),
        }),
    }
}

/// Why something is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// It does not say where.
    #[error(transparent)]
    Address {
        /// What is wrong with the address.
        #[from]
        source: CaAddressError,
    },
    /// It is called by something that is no name.
    #[error("'{}' is no name; expected letters, digits, '.', '-' and '_', as in shop/cart", seen.escape_debug())]
    Name {
        /// What was given.
        seen: String,
    },
    /// There is more on a line than an address and a name.
    #[error("'{}' is too much; expected HOST:PORT and, if wanted, NAMESPACE/NAME", seen.escape_debug())]
    Words {
        /// The first word too many.
        seen: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(target: &Target) -> (String, Option<&str>, Option<&str>) {
        (
            target.address.to_string(),
            target.namespace(),
            target.name(),
        )
    }

    #[test]
    fn arguments_and_lines_say_the_same_in_their_own_forms() {
        let cases = [
            ("10.0.0.1:80", "10.0.0.1:80", None, None),
            ("cart=[::1]:80", "[::1]:80 cart", None, Some("cart")),
            (
                "shop/cart=h:80",
                " h:80\tshop/cart # x",
                Some("shop"),
                Some("cart"),
            ),
        ];
        for (argument, line, namespace, name) in cases {
            let target: Target = argument.parse().unwrap();
            let (_, found_namespace, found_name) = read(&target);
            assert_eq!((found_namespace, found_name), (namespace, name));
            assert_eq!(Target::of_line(line), Ok(Some(target)), "{line:?}");
        }
    }

    #[test]
    fn empty_lines_and_remarks_are_no_targets() {
        for line in ["", "  ", "# h:80", "\t#"] {
            assert_eq!(Target::of_line(line), Ok(None), "{line:?}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused_by_what_is_wrong_with_it() {
        let cases = [
            ("nowhere", "HOST:PORT"),
            ("h:0", "HOST:PORT"),
            ("h:80 /cart", "no name"),
            ("h:80 a/b/c", "no name"),
            ("h:80 \u{1b}[2J", "no name"),
            ("h:80 shop/cart more", "too much"),
        ];
        for (line, why) in cases {
            let error = Target::of_line(line).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains('\u{1b}'), "{error}");
        }
    }
}
