//! What is of no use any more goes, in steps, and nothing that is.

use super::*;
use crate::ledger::Ledger;

fn until(intent: Intent, last_second: u64) -> Intent {
    let validity = Validity::new(at(1), at(last_second)).unwrap();
    Intent { validity, ..intent }
}

/// Rows but for entries, leaves, tokens and denials.
async fn rows(ledger: &SledLedger, entries: u64) -> u64 {
    ledger.export(Vec::new()).await.unwrap().1 - entries
}

/// Prunes until there is nothing left, and answers how much each step took.
async fn prune(ledger: &SledLedger, now: SystemTime) -> Vec<usize> {
    let mut steps = Vec::new();
    loop {
        match ledger.prune_marks(now).await.unwrap() {
            0 => return steps,
            pruned => steps.push(pruned),
        }
    }
}

#[tokio::test]
async fn a_mark_goes_when_its_leaves_were_over_for_a_day_and_takes_what_was_said_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.reserve(until(held(1, 7, 1), NOON)).await.unwrap();
    ledger
        .reserve(until(held(2, 7, 2), NOON + 1))
        .await
        .unwrap();
    for instance in [1, 2] {
        ledger.acknowledge(said(instance, 7, None)).await.unwrap();
    }
    assert_eq!(prune(&ledger, at(NOON + DAY)).await, [0_usize; 0]);
    assert_eq!(rows(&ledger, 2).await, 6);
    // First the mark, then what nobody needs without it.
    assert_eq!(prune(&ledger, at(NOON + DAY + 1)).await, [1, 2]);
    let left = ledger.holdings(at(NOON)).await.unwrap();
    assert_eq!(left.len(), 1);
    assert!(left[0].holder.as_ref().unwrap().acknowledged.is_some());
    assert!(ledger.find(serial(NOON, 1)).await.unwrap().is_some());
    assert_eq!(rows(&ledger, 2).await, 3);
}

#[tokio::test]
async fn many_dead_marks_go_in_bounded_steps() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let ledger = shared(ledger);
    let reserving = |number| {
        let ledger = Arc::clone(&ledger);
        async move {
            let intent = until(held(number, number, 1), NOON);
            ledger.reserve(intent).await.unwrap();
        }
    };
    at_once(0..5000, reserving).await;
    ledger.reserve(held(5000, 5000, 1)).await.unwrap();
    let commands = ledger.figures().commands;
    let steps = prune(&ledger, at(NOON + DAY + 1)).await;
    assert_eq!(steps, [4096, 904]);
    // None of them keeps reservations waiting for more than 256 rows.
    assert_eq!(ledger.figures().commands - commands, 16 + 4);
    assert_eq!(ledger.holdings(at(NOON)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_an_agent_without_leaves_said_lately_stays_for_a_day() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.acknowledge(said(1, 7, None)).await.unwrap();
    assert_eq!(prune(&ledger, at(NOON + DAY)).await, [0_usize; 0]);
    assert_eq!(prune(&ledger, at(NOON + DAY + 1)).await, [1]);
    assert_eq!(rows(&ledger, 0).await, 0);
}

#[tokio::test]
async fn what_is_needed_again_between_looking_and_pruning_stays() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let now = at(NOON + DAY + 1);
    ledger.reserve(until(held(1, 7, 1), NOON)).await.unwrap();
    ledger.acknowledge(said(1, 7, None)).await.unwrap();
    // The first has lost its mark already, the second is about to.
    assert_eq!(ledger.prune_marks(now).await, Ok(1));
    ledger.reserve(until(held(2, 7, 2), NOON)).await.unwrap();
    ledger.acknowledge(said(2, 7, None)).await.unwrap();
    let both = ledger
        .read(move |reader| reader.useless(now))
        .await
        .unwrap();
    for instance in [1, 2] {
        let number = 10 + u64::from(instance);
        ledger
            .reserve(until(held(number, 7, instance), NOON + 9 * DAY))
            .await
            .unwrap();
    }
    assert_eq!(ledger.forget(both).await, Ok(0));
    let holdings = ledger.holdings(now).await.unwrap();
    assert_eq!(holdings.len(), 2);
    for held in holdings {
        let holder = held.holder.unwrap();
        assert!(holder.acknowledged.is_some() && holder.newest.is_some());
    }
}

#[tokio::test]
async fn a_live_mark_is_never_lost_to_pruning_however_busy_the_ledger_is() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = shared(open(dir.path()));
    let now = NOON + DAY + 1;
    let busy = at_once(0..16, |task| {
        let ledger = Arc::clone(&ledger);
        async move {
            let instance = u8::try_from(task).unwrap();
            for number in 0..40 {
                let number = task * 1000 + number * 2;
                ledger
                    .reserve(until(held(number, 7, instance), NOON))
                    .await
                    .unwrap();
                let live = held(number + 1, number, instance);
                ledger.reserve(until(live, now + number)).await.unwrap();
            }
        }
    });
    let pruning = async {
        for _ in 0..200 {
            ledger.prune_marks(at(now)).await.unwrap();
        }
    };
    within_a_minute(async { tokio::join!(busy, pruning) }).await;
    prune(&ledger, at(now)).await;
    let holdings = ledger.holdings(at(now)).await.unwrap();
    assert_eq!(holdings.len(), 16 * 40);
    let newest = |held: &crate::ledger::Holding| held.holder.as_ref().unwrap().newest;
    assert!(holdings.iter().all(|held| newest(held).is_some()));
}
