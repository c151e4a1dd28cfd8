//! How do many targets stand together, in a namespace and in the mesh? Counts, one lock, and the share of mTLS.

use super::Lock;
use super::Mode;

/// How many targets are behind which lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub targets: usize,
    /// Those that let nobody in without a certificate.
    pub closed: usize,
    /// Those where mTLS works, beside something else.
    pub half: usize,
    /// Those that let everybody in.
    pub open: usize,
    /// Those whose mTLS does not work.
    pub broken: usize,
    /// Those that could not be judged.
    pub none: usize,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, mode: Mode) {
        self.targets += 1;
        let lock = match mode.lock() {
            Lock::Closed => &mut self.closed,
            Lock::Half => &mut self.half,
            Lock::Open => &mut self.open,
            Lock::Broken => &mut self.broken,
            Lock::None => &mut self.none,
        };
        *lock += 1;
    }

    /// Closed only if every target is; the lock that all share which could be judged; half for a mixture.
    #[must_use]
    pub fn lock(&self) -> Lock {
        let all = |count: usize| count == self.targets;
        match () {
            () if all(self.none) => Lock::None,
            () if all(self.closed) => Lock::Closed,
            () if all(self.broken + self.none) => Lock::Broken,
            () if self.closed + self.half == 0 => Lock::Open,
            () => Lock::Half,
        }
    }

    /// How many targets could be judged.
    #[must_use]
    pub fn judged(&self) -> usize {
        self.targets - self.none
    }

    /// Of those judged, how many insist on mTLS, in whole percent, never rounded up.
    #[must_use]
    pub fn insist_percent(&self) -> Option<usize> {
        (100 * self.closed).checked_div(self.judged())
    }

    /// Of those judged, where mTLS works, in whole percent, never rounded up.
    #[must_use]
    pub fn take_percent(&self) -> Option<usize> {
        (100 * (self.closed + self.half)).checked_div(self.judged())
    }
}

impl FromIterator<Mode> for Tally {
    fn from_iter<T: IntoIterator<Item = Mode>>(modes: T) -> Self {
        let mut tally = Self::default();
        for mode in modes {
            tally.add(mode);
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_closed_only_if_every_target_is() {
        let cases = [
            (vec![], Lock::None),
            (vec![Mode::Strict, Mode::Strict], Lock::Closed),
            (vec![Mode::Strict, Mode::Unreachable], Lock::Half),
            (vec![Mode::Strict, Mode::Disabled], Lock::Half),
            (vec![Mode::Permissive, Mode::Permissive], Lock::Half),
            (vec![Mode::Strict, Mode::Broken], Lock::Half),
            (vec![Mode::Disabled, Mode::Tls], Lock::Open),
            (vec![Mode::Disabled, Mode::Broken], Lock::Open),
            (vec![Mode::Disabled, Mode::Unknown], Lock::Open),
            (vec![Mode::Broken], Lock::Broken),
            (vec![Mode::Broken, Mode::Undecided], Lock::Broken),
            (vec![Mode::Strict, Mode::Undecided], Lock::Half),
            (vec![Mode::Undecided], Lock::None),
            (vec![Mode::Unknown, Mode::Unreachable], Lock::None),
        ];
        for (modes, lock) in cases {
            let tally: Tally = modes.iter().copied().collect();
            assert_eq!(tally.lock(), lock, "{modes:?}");
        }
    }

    #[test]
    fn a_share_is_of_what_was_judged_and_never_rounded_up() {
        let mut tally: Tally = vec![Mode::Strict; 199].into_iter().collect();
        tally.add(Mode::Permissive);
        tally.add(Mode::Unreachable);
        let shares = (tally.insist_percent(), tally.take_percent());
        assert_eq!(shares, (Some(99), Some(100)));
        assert_eq!(Tally::default().insist_percent(), None);
    }
}
