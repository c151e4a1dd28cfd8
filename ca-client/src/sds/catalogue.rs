//! What is there to be had, under which names? The secrets of all workloads, and of those what a reader may have: by
//! its SPIFFE ID each, as `default` the first, and as `ROOTCA` the newest roots.

use std::sync::Arc;

use super::secrets::Kind;
use super::secrets::Resource;
use super::secrets::Secrets;
use crate::offer::Board;
use crate::offer::Offer;
use crate::offer::newest;
use crate::roster::Grants;

/// The certificate, chain and key together.
const DEFAULT: &str = "default";
/// The roots.
const ROOTCA: &str = "ROOTCA";

/// Everything there is at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Catalogue(Vec<Option<Arc<Secrets>>>);

impl Catalogue {
    /// What is on `board`; what did not change since `before` is not made again.
    pub(super) fn new(board: &Board, before: &Self) -> Self {
        let places = board.places().enumerate().map(|(place, offer)| {
            let offer = offer?;
            let known = before.at(place).filter(|it| it.offer.is(offer));
            Some(known.map_or_else(|| Arc::new(Secrets::new(offer.clone())), Arc::clone))
        });
        Self(places.collect())
    }

    pub(super) fn at(&self, place: usize) -> Option<&Arc<Secrets>> {
        self.0.get(place)?.as_ref()
    }

    /// Whether nobody has anything.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Whether it has all of `offer`.
    pub(super) fn has(&self, place: usize, offer: &Offer) -> bool {
        self.at(place).is_some_and(|it| it.offer.is(offer))
    }

    pub(super) fn seen_by<'a>(&'a self, grants: &'a Grants) -> View<'a> {
        View {
            catalogue: self,
            grants,
        }
    }

    /// Whether a reader with these grants sees nothing else in `other`.
    pub(super) fn is_same_for(&self, grants: &Grants, other: &Self) -> bool {
        grants
            .places()
            .all(|place| match (self.at(place), other.at(place)) {
                (Some(one), Some(other)) => Arc::ptr_eq(one, other),
                (one, other) => one.is_none() && other.is_none(),
            })
    }

    /// This with the roots of `next`, for those places where roots and certificate are both others there, and which
    /// those are.
    pub(super) fn roots_first(&self, next: &Self) -> (Self, Vec<usize>) {
        let mut first = next.clone();
        let mut places = Vec::new();
        for (place, secrets) in first.0.iter_mut().enumerate() {
            if let (Some(newer), Some(before)) = (&*secrets, self.at(place))
                && newer.changes_both(before)
            {
                *secrets = Some(Arc::new(before.with_roots_of(newer)));
                places.push(place);
            }
        }
        (first, places)
    }

    /// Whether anybody here has the roots that `other` has at `place`.
    pub(super) fn has_roots_like(&self, other: &Self, place: usize) -> bool {
        let version = other.at(place).map(|it| &it.roots.version);
        let mut ours = self.0.iter().flatten().map(|it| &it.roots.version);
        version.is_some_and(|version| ours.any(|it| it == version))
    }
}

/// What one reader may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    catalogue: &'a Catalogue,
    grants: &'a Grants,
}

/// What is called by a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) place: usize,
    pub(super) resource: &'a Arc<Resource>,
}

impl<'a> View<'a> {
    /// What is called `name`, if anything is. A default that is not there yet is not replaced by another's.
    pub(super) fn find(&self, name: &str) -> Option<Found<'a>> {
        match name {
            DEFAULT => {
                let place = self.grants.default_place()?;
                Some(leaf((place, self.catalogue.at(place)?)))
            }
            ROOTCA => self.newest_roots(|_| true),
            id => {
                let named = self.secrets().find(|(_, secrets)| secrets.spiffe_id == id);
                named
                    .map(leaf)
                    .or_else(|| self.newest_roots(|secrets| secrets.trust_domain_id == id))
            }
        }
    }

    /// What is called `name`, without whose it is.
    pub(super) fn get(&self, name: &str) -> Option<&'a Arc<Resource>> {
        self.find(name).map(|found| found.resource)
    }

    fn newest_roots(&self, is_meant: impl Fn(&Secrets) -> bool) -> Option<Found<'a>> {
        let meant = self.secrets().filter(|(_, secrets)| is_meant(secrets));
        let offers = meant.map(|(place, secrets)| ((place, secrets), &secrets.offer));
        newest(offers).map(|((place, secrets), _)| Found {
            place,
            resource: &secrets.roots,
        })
    }

    fn secrets(&self) -> impl Iterator<Item = (usize, &'a Arc<Secrets>)> {
        let catalogue = self.catalogue;
        self.grants
            .places()
            .filter_map(move |place| Some((place, catalogue.at(place)?)))
    }
}

impl Found<'_> {
    /// Whether `place` has to wait until a reader with `grants` has this: its certificate, or roots that go with it.
    pub(super) fn concerns(&self, place: usize, grants: &Grants) -> bool {
        match self.resource.kind {
            Kind::Leaf => self.place == place,
            Kind::Roots => grants.has(place),
        }
    }
}

fn leaf<'a>((place, secrets): (usize, &'a Arc<Secrets>)) -> Found<'a> {
    Found {
        place,
        resource: &secrets.leaf,
    }
}
