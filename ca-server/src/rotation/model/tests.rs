//! What is searched with every test run, and what only by hand: with `SIGNET_MODEL_STATES` set to a number, every
//! world (or those whose name has `SIGNET_MODEL_WORLD` in it) is searched up to that many states, and every omission
//! is searched for.

use std::time::Instant;

use super::rules::Rules;
use super::search::Model;
use super::search::Outcome;
use super::ways::WAYS;
use super::worlds::WORLDS;
use super::worlds::World;

#[expect(
    clippy::disallowed_methods,
    reason = "what to search is said by whoever runs the tests"
)]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// How many states are looked at by hand.
fn bound_by_hand() -> Option<usize> {
    setting("SIGNET_MODEL_STATES").map(|bound| bound.parse().unwrap())
}

#[expect(
    clippy::print_stdout,
    reason = "what a search by hand found is to be read"
)]
fn search(world: World, rules: Rules, bound: usize) -> Outcome {
    let began = Instant::now();
    let outcome = Model::new(world, rules).search(bound);
    println!(
        "{}: {rules:?}: {outcome} in {:?}",
        world.name,
        began.elapsed()
    );
    outcome
}

/// The promise that is broken at the end of `way`, or the event that cannot happen.
fn walk(world: World, rules: Rules, way: &str) -> Result<Option<&'static str>, String> {
    let model = Model::new(world, rules);
    let mut state = model.start();
    let mut broken = None;
    for name in way.split(", ") {
        let mut events = model.events(&state).into_iter();
        let (event, next) = events
            .find(|(event, _)| format!("{event:?}") == name)
            .ok_or(name)?;
        state = next.canonical(&world);
        broken = model
            .broken_by(event, &state)
            .or_else(|| model.broken_promise(&state));
    }
    Ok(broken)
}

#[test]
fn every_world_keeps_its_promises() {
    let by_hand = bound_by_hand();
    let named = setting("SIGNET_MODEL_WORLD").unwrap_or_default();
    let worlds = WORLDS.iter().filter(|world| world.name.contains(&named));
    for world in worlds {
        // Of the worlds in which the server is prompt, the smallest as a whole, of the others the beginning.
        let (world, bound) = match by_hand {
            Some(bound) => (*world, bound),
            None if world.b_lives > 0 => (world.promptly(), 50_000),
            None => (world.promptly(), 8_000),
        };
        let outcome = search(world, Rules::ALL, bound);
        assert!(
            !matches!(outcome, Outcome::Broken { .. }),
            "{}: {outcome}",
            world.name
        );
    }
}

#[test]
fn every_omission_breaks_a_promise_and_the_rules_prevent_it() {
    for (omission, world, way) in WAYS {
        let broken = walk(*world, Rules::without(*omission), way);
        assert!(matches!(broken, Ok(Some(_))), "{omission:?}: {broken:?}");
        let kept = walk(*world, Rules::ALL, way);
        assert!(!matches!(kept, Ok(Some(_))), "{omission:?}: {kept:?}");
    }
}

#[test]
fn omissions_are_found_by_a_search() {
    let by_hand = bound_by_hand();
    let bound = by_hand.unwrap_or(20_000);
    let wanted = WAYS
        .iter()
        .filter(|(_, _, way)| by_hand.is_some() || way.split(", ").count() < 12);
    for (omission, world, _) in wanted {
        let outcome = search(*world, Rules::without(*omission), bound);
        assert!(
            matches!(outcome, Outcome::Broken { .. }),
            "{omission:?}: {outcome}"
        );
    }
}
