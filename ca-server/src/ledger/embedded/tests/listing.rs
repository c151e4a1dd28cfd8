//! Queries and pages, compared with a filter over everything.

use super::*;
use crate::ledger::Cursor;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::Query;

/// 600 intents over ten days: five SPIFFE IDs, lifetimes from one to 50 hours, and some that name no workload.
fn history() -> Vec<Intent> {
    (0..600)
        .map(|number| {
            let seconds = NOON + number * (10 * DAY / 600);
            let name = match number % 6 {
                5 => LeafName::Serving {
                    dns_names: vec!["ca".to_owned()],
                    ip_addresses: vec![],
                },
                other => LeafName::Workload(workload(other)),
            };
            let hours = 1 + (number * 7) % 50;
            let validity = Validity::new(at(seconds), at(seconds + hours * HOUR)).unwrap();
            Intent {
                name,
                validity,
                ..intent(seconds, number)
            }
        })
        .collect()
}

fn workload(number: u64) -> SpiffeId {
    id(&format!("spiffe://td/w{number}"))
}

async fn filled(dir: &Path) -> SledLedger {
    let ledger = shared(open(dir));
    let history = history();
    at_once(0..600, |number| {
        let ledger = Arc::clone(&ledger);
        let intent = history[usize::try_from(number).unwrap()].clone();
        async move { ledger.reserve(intent).await.unwrap() }
    })
    .await;
    Arc::into_inner(ledger).unwrap()
}

/// What the query must answer, newest first.
fn expected(query: &Query) -> Vec<Serial> {
    let wanted = |intent: &&Intent| {
        let last = intent.validity.not_after();
        query
            .spiffe_id
            .as_ref()
            .is_none_or(|id| intent.name == LeafName::Workload(id.clone()))
            && query.expires_before.is_none_or(|before| last < before)
            && query.expires_after.is_none_or(|after| last >= after)
    };
    let mut serials: Vec<_> = history()
        .iter()
        .filter(wanted)
        .map(|intent| intent.serial)
        .collect();
    serials.reverse();
    serials
}

async fn all_pages(ledger: &SledLedger, mut query: Query) -> Vec<Serial> {
    let mut serials = Vec::new();
    loop {
        let page = ledger.list(query.clone()).await.unwrap();
        assert!(
            page.entries.len() <= query.limit && !(page.entries.is_empty() && page.next.is_some())
        );
        serials.extend(page.entries.iter().map(|entry| entry.intent.serial));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return serials,
        }
    }
}

#[tokio::test]
async fn pages_of_every_query_cover_everything_once_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path()).await;
    let bounds = [None, Some(at(NOON + 3 * DAY + 5)), Some(at(NOON + 5 * DAY))];
    let mut sizes = Vec::new();
    for spiffe_id in [None, Some(workload(2)), Some(workload(9))] {
        for expires_after in bounds {
            for expires_before in bounds {
                let spiffe_id = spiffe_id.clone();
                let query = Query {
                    spiffe_id,
                    expires_before,
                    expires_after,
                    limit: 17,
                    after: None,
                };
                let expected = expected(&query);
                sizes.push(expected.len());
                assert_eq!(
                    all_pages(&ledger, query.clone()).await,
                    expected,
                    "{query:?}"
                );
            }
        }
    }
    assert!(
        sizes.contains(&600) && sizes.contains(&100) && sizes.contains(&0),
        "{sizes:?}"
    );
}

#[tokio::test]
async fn a_bound_on_expiry_is_exact_to_the_second() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.reserve(intent(NOON, 1)).await.unwrap();
    let last = NOON + DAY;
    for (after, before, found) in [
        (last, last + 1, 1),
        (last + 1, last + 9, 0),
        (last - 9, last, 0),
    ] {
        let (expires_after, expires_before) = (Some(at(after)), Some(at(before)));
        let query = Query {
            expires_after,
            expires_before,
            limit: 5,
            ..Query::default()
        };
        assert_eq!(
            ledger.list(query).await.unwrap().entries.len(),
            found,
            "{after} {before}"
        );
    }
}

#[tokio::test]
async fn finding_one_spiffe_id_reads_its_own_rows_and_one_for_each_day() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = shared(open(dir.path()));
    at_once(0..5000, |number| {
        let ledger = Arc::clone(&ledger);
        let name = LeafName::Workload(workload(number % 1000));
        let intent = Intent {
            name,
            ..intent(NOON + number * 100, number)
        };
        async move { ledger.reserve(intent).await.unwrap() }
    })
    .await;
    let before = ledger.figures().rows_read;
    let query = Query {
        spiffe_id: Some(workload(77)),
        limit: 100,
        ..Query::default()
    };
    assert_eq!(ledger.list(query).await.unwrap().entries.len(), 5);
    let read = ledger.figures().rows_read - before;
    assert!(
        read <= 5 * 3 + 7 * 2 + 2,
        "{read} rows were read for 5 entries over 6 days"
    );
}

#[tokio::test]
async fn a_page_of_what_expires_soon_reads_little_of_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path()).await;
    let before = ledger.figures().rows_read;
    let (after, end) = (at(NOON + 3 * DAY), at(NOON + 3 * DAY + HOUR));
    let query = Query {
        expires_after: Some(after),
        expires_before: Some(end),
        limit: 50,
        ..Query::default()
    };
    let found = u64::try_from(ledger.list(query).await.unwrap().entries.len()).unwrap();
    let read = ledger.figures().rows_read - before;
    assert!(found > 0 && read < 30, "{found} entries, {read} rows");
}

#[tokio::test]
async fn a_cursor_that_the_ledger_did_not_make_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    for bytes in [vec![], vec![1], vec![2; 17], vec![1; 16], vec![1; 18]] {
        let len = bytes.len();
        let query = Query {
            after: Some(Cursor(bytes)),
            limit: 1,
            ..Query::default()
        };
        assert_eq!(
            ledger.list(query).await,
            Err(LedgerError::BadCursor { len })
        );
    }
}

#[tokio::test]
async fn a_limit_of_zero_still_answers_one_entry() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.reserve(intent(NOON, 1)).await.unwrap();
    assert_eq!(
        ledger.list(Query::default()).await.unwrap().entries.len(),
        1
    );
}
