//! How many streams may one connection, and one name, hold open? More than anybody needs, and not all there are.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use proto::spiffe::SpiffeId;

/// Counts the open streams of all watchers.
#[derive(Clone, Debug, Default)]
pub struct Crowd {
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    by_connection: HashMap<String, usize>,
    by_name: HashMap<SpiffeId, usize>,
}

/// Whose streams are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TooMany {
    /// Of one connection.
    #[error("{MOST_OF_A_CONNECTION} streams on this connection already follow the trust bundle")]
    OfConnection,
    /// Of one SPIFFE ID.
    #[error("{MOST_OF_A_NAME} streams of this SPIFFE ID already follow the trust bundle")]
    OfName,
}

/// One stream's place, free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Crowd,
    connection: String,
    spiffe_id: SpiffeId,
}

impl Crowd {
    /// Takes a place.
    ///
    /// # Errors
    /// When there is none; nothing was taken.
    pub(super) fn enter(&self, connection: String, spiffe_id: SpiffeId) -> Result<Place, TooMany> {
        let mut open = self.lock();
        let on_it = open.by_connection.get(&connection).copied().unwrap_or(0);
        let of_it = open.by_name.get(&spiffe_id).copied().unwrap_or(0);
        if on_it >= MOST_OF_A_CONNECTION {
            return Err(TooMany::OfConnection);
        }
        if of_it >= MOST_OF_A_NAME {
            return Err(TooMany::OfName);
        }
        open.by_connection.insert(connection.clone(), on_it + 1);
        open.by_name.insert(spiffe_id.clone(), of_it + 1);
        drop(open);
        Ok(Place {
            crowd: self.clone(),
            connection,
            spiffe_id,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.crowd.lock();
        leave(&mut open.by_connection, self.connection.clone());
        leave(&mut open.by_name, self.spiffe_id.clone());
    }
}

fn leave<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) {
    if let Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

/// An agent needs one; a proxy may carry a few.
const MOST_OF_A_CONNECTION: usize = 16;
/// Replicas share a name; half of the connections that a server takes by default.
const MOST_OF_A_NAME: usize = 5_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SpiffeId {
        format!("spiffe://td/{text}").parse().unwrap()
    }

    #[test]
    fn a_connection_and_a_name_have_so_many_streams_and_get_them_back() {
        let crowd = Crowd::default();
        let enter = |connection: usize, id: &str| crowd.enter(connection.to_string(), name(id));
        let places: Vec<Place> = (0..MOST_OF_A_NAME)
            .map(|number| enter(number / MOST_OF_A_CONNECTION, "a").unwrap())
            .collect();
        assert_eq!(enter(0, "b").unwrap_err(), TooMany::OfConnection);
        assert_eq!(enter(9_999, "a").unwrap_err(), TooMany::OfName);
        drop(enter(9_999, "b").unwrap());
        drop(places);
        assert!(crowd.lock().by_connection.is_empty() && crowd.lock().by_name.is_empty());
        drop(enter(0, "a").unwrap());
    }
}
