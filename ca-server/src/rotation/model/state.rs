//! What is the world at one moment? Small values that compare and hash fast.

use super::worlds::Kind;
use super::worlds::World;

/// A trust bundle: number, set of roots, and the issuers that its CRLs cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Bundle {
    pub(super) number: u8,
    pub(super) roots: Set,
    pub(super) crl: Option<Set>,
}

/// A set of signers or roots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Set(pub(super) u8);

impl Set {
    pub(super) fn has(self, member: u8) -> bool {
        self.0 & (1 << member) != 0
    }

    pub(super) fn with(self, member: u8) -> Self {
        Self(self.0 | (1 << member))
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn members(self) -> impl Iterator<Item = u8> {
        (0..3).filter(move |member| self.has(*member))
    }
}

/// A leaf: who signed it, which one of its holder's, and in how many ticks it is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Leaf {
    pub(super) issuer: u8,
    pub(super) serial: u8,
    pub(super) left: i8,
}

/// A call for a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Request {
    None,
    /// Pinned to the generation it started with.
    Started {
        issuer: u8,
        bundle: Bundle,
    },
    /// Signed, and on its way.
    Answered {
        leaf: Leaf,
        bundle: Bundle,
    },
}

/// One row of the ledger: the longest-lived leaf of one issuer with one bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) issuer: u8,
    pub(super) bundle: u8,
    pub(super) left: i8,
}

/// A client, and what the ledger knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Client {
    pub(super) written: Bundle,
    pub(super) written_leaf: Option<Leaf>,
    pub(super) served: Bundle,
    pub(super) served_leaf: Option<Leaf>,
    pub(super) request: Request,
    /// Number of the bundle and the serial that it acknowledged last.
    pub(super) said: Option<(u8, Option<u8>)>,
    /// Serial and issuer of the leaf that was recorded last.
    pub(super) newest: Option<(u8, u8)>,
    pub(super) rows: [Option<Row>; ROWS],
}

/// The server's live generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Generation {
    pub(super) issuer: u8,
    pub(super) bundle: Bundle,
}

/// What may still happen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Budget {
    pub(super) drops: u8,
    pub(super) taints: u8,
    pub(super) hastes: u8,
    pub(super) kills: u8,
    pub(super) trims: u8,
    pub(super) crl_changes: u8,
}

/// The world at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// The record that the server goes by, and the one on disk.
    pub(super) record: u16,
    pub(super) disk: u16,
    /// The trust bundle's file.
    pub(super) bundle: Bundle,
    pub(super) since: [u8; 3],
    pub(super) crl_since: [u8; 3],
    pub(super) crl_free_since: u8,
    /// The CRLs that the operator gives.
    pub(super) crl_file: Option<Set>,
    /// Whether a CRL was ever in use.
    pub(super) crl_used: bool,
    /// What the ledger takes intents for.
    pub(super) terms: Option<(u8, u8)>,
    pub(super) serving: Option<Generation>,
    pub(super) pushed: Option<Bundle>,
    pub(super) clients: [Client; 2],
    /// What the poller has, and whether it polled in this tick.
    pub(super) poller: Set,
    pub(super) has_polled: bool,
    /// Ticks until pollers know the bundle, until lost leaves are dead, until B is over.
    pub(super) hint_left: i8,
    pub(super) unknown_left: i8,
    pub(super) b_left: i8,
    /// How many ticks ago each signer became valid, two for long ago.
    pub(super) ages: [i8; 3],
    /// Whether the operator lists A's root.
    pub(super) listed: bool,
    pub(super) budget: Budget,
}

pub(super) const ROWS: usize = 6;

impl Client {
    /// Forgets what is dead on every clock.
    pub(super) fn bury(&mut self, slow: i8) {
        let is_alive = |left: i8| left > -slow;
        self.written_leaf = self.written_leaf.filter(|leaf| is_alive(leaf.left));
        self.served_leaf = self.served_leaf.filter(|leaf| is_alive(leaf.left));
        if let Request::Answered { leaf, .. } = self.request
            && !is_alive(leaf.left)
        {
            self.request = Request::None;
        }
        for row in &mut self.rows {
            *row = row.filter(|row| is_alive(row.left));
        }
        self.sort_rows();
    }

    /// Notes a leaf in the ledger: the later moment counts.
    pub(super) fn record(&mut self, row: Row) {
        let same = |known: &&mut Option<Row>| {
            known.is_some_and(|known| (known.issuer, known.bundle) == (row.issuer, row.bundle))
        };
        if let Some(known) = self.rows.iter_mut().find(same) {
            *known = Some(row).max(*known);
            return;
        }
        let free = self.rows.iter_mut().find(|row| row.is_none());
        *free.expect("the ledger of the model is too small") = Some(row);
        self.sort_rows();
    }

    fn sort_rows(&mut self) {
        self.rows.sort_by(|one, other| other.cmp(one));
    }

    fn leaves(&mut self) -> impl Iterator<Item = &mut Leaf> {
        let answered = match &mut self.request {
            Request::Answered { leaf, .. } => Some(leaf),
            _ => None,
        };
        let kept = self.written_leaf.as_mut().into_iter();
        kept.chain(self.served_leaf.as_mut()).chain(answered)
    }

    pub(super) fn grow_older(&mut self) {
        self.leaves().for_each(|leaf| leaf.left -= 1);
        for row in self.rows.iter_mut().flatten() {
            row.left -= 1;
        }
    }

    /// Of a serial it only matters whether it is the one that was recorded last, and only where agents replace leaves.
    fn reduce_serials(&mut self, matter: bool) {
        let newest = self.newest.map(|newest| newest.0);
        let reduced = |serial: u8| u8::from(matter && Some(serial) == newest);
        self.leaves()
            .for_each(|leaf| leaf.serial = reduced(leaf.serial));
        self.said = self
            .said
            .map(|(bundle, serial)| (bundle, serial.map(reduced)));
        self.newest = self
            .newest
            .filter(|_| matter)
            .map(|(_, issuer)| (1, issuer));
    }

    fn bundle_numbers(&mut self, mut visit: impl FnMut(&mut u8)) {
        visit(&mut self.written.number);
        visit(&mut self.served.number);
        match &mut self.request {
            Request::None => {}
            Request::Started { bundle, .. } | Request::Answered { bundle, .. } => {
                visit(&mut bundle.number);
            }
        }
        if let Some((bundle, _)) = &mut self.said {
            visit(bundle);
        }
        self.rows
            .iter_mut()
            .flatten()
            .for_each(|row| visit(&mut row.bundle));
    }
}

impl State {
    /// The one of all states that behave alike which is kept.
    pub(super) fn canonical(mut self, world: &World) -> Self {
        for (client, kind) in self.clients.iter_mut().zip(world.clients) {
            client.bury(world.slow);
            client.reduce_serials(kind != Kind::Plain && world.has_replacements());
        }
        let mut seen = [false; 16];
        self.bundle_numbers(|number| seen[usize::from(*number)] = true);
        let rank = ranks(&seen);
        self.bundle_numbers(|number| *number = rank(*number));
        for client in &mut self.clients {
            client.sort_rows();
        }
        self
    }

    fn bundle_numbers(&mut self, mut visit: impl FnMut(&mut u8)) {
        visit(&mut self.bundle.number);
        self.since.iter_mut().for_each(&mut visit);
        self.crl_since.iter_mut().for_each(&mut visit);
        visit(&mut self.crl_free_since);
        if let Some((_, number)) = &mut self.terms {
            visit(number);
        }
        if let Some(generation) = &mut self.serving {
            visit(&mut generation.bundle.number);
        }
        if let Some(bundle) = &mut self.pushed {
            visit(&mut bundle.number);
        }
        for client in &mut self.clients {
            client.bundle_numbers(&mut visit);
        }
    }
}

/// Zero stays zero, which means never.
fn ranks(seen: &[bool; 16]) -> impl Fn(u8) -> u8 + use<> {
    let mut ranks = [0; 16];
    let mut next = 1;
    for (value, seen) in seen.iter().enumerate().skip(1) {
        if *seen {
            ranks[value] = next;
            next += 1;
        }
    }
    move |value| ranks[usize::from(value)]
}
