//! Which roots stay, and for how long.

use std::fs;

use super::*;
use crate::authority::Conditions;
use crate::authority::StandingBy;
use crate::authority::bundle;
use crate::authority::test_bundle::CA;
use crate::authority::test_bundle::P256;
use crate::authority::test_bundle::TestBundle;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Two CAs, each of which is its own root, and a data directory.
struct Scene {
    made: TestBundle,
    now: SystemTime,
}

impl Scene {
    fn new() -> Self {
        let made = TestBundle::empty();
        made.root("old", P256, CA);
        made.root("new", P256, CA);
        let now = made.time_of("new");
        Self { made, now }
    }

    fn generation(&self, root: &str) -> Generation {
        self.made.istio(root, &[], root);
        bundle::load(&self.made.bundle(), self.now)
            .unwrap()
            .generation
    }

    fn root(&self, name: &str) -> Certificate {
        self.made.certificate(name)
    }

    fn last_leaf(&self, name: &str, end: SystemTime) -> HashMap<Fingerprint, SystemTime> {
        HashMap::from([(self.root(name).fingerprint(), end)])
    }

    /// Opens the stored bundle anew and merges.
    fn merge(
        &self,
        root: &str,
        last_leaf_under: &HashMap<Fingerprint, SystemTime>,
        keep_unknown_until: Option<SystemTime>,
        now: SystemTime,
    ) -> Merged {
        let evidence = Evidence {
            last_leaf_under,
            keep_unknown_until,
            let_go: &[],
            newer_than: None,
            slow_clocks: Duration::ZERO,
            now,
        };
        let domain = "cluster.local".parse().unwrap();
        let mut bundle = TrustBundle::open(self.made.workshop()).unwrap();
        bundle
            .merge(
                &domain,
                &[Wanted::of(&self.generation(root))],
                &Published::default(),
                evidence,
            )
            .unwrap()
    }
}

#[test]
fn the_sequence_starts_at_the_time_and_rises_with_changes_only() {
    let scene = Scene::new();
    let none = HashMap::new();
    let first = scene.merge("old", &none, None, scene.now);
    let seconds = scene.now.duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert_eq!((first.sequence, first.changed), (seconds, true));
    let same = scene.merge("old", &none, None, scene.now + HOUR);
    assert_eq!((same.sequence, same.changed), (seconds, false));
    let other = scene.merge("new", &none, None, scene.now);
    assert_eq!((other.sequence, other.changed), (seconds + 1, true));
    let later = scene.merge("old", &none, None, scene.now + HOUR);
    assert_eq!((later.sequence, later.changed), (seconds + 3600, true));
    let back = scene.merge("new", &none, None, scene.now - HOUR);
    assert_eq!((back.sequence, back.changed), (seconds + 3601, true));
}

#[test]
fn after_a_restore_the_number_is_above_all_that_may_be_out_there_once() {
    let scene = Scene::new();
    let first = scene
        .merge("old", &HashMap::new(), None, scene.now)
        .sequence;
    let evidence = Evidence {
        last_leaf_under: &HashMap::new(),
        keep_unknown_until: None,
        let_go: &[],
        newer_than: Some(scene.now + HOUR),
        slow_clocks: Duration::ZERO,
        now: scene.now + HOUR,
    };
    let domain = "cluster.local".parse().unwrap();
    let generation = scene.generation("old");
    let wanted = [Wanted::of(&generation)];
    let mut bundle = TrustBundle::open(scene.made.workshop()).unwrap();
    let restored = bundle
        .merge(&domain, &wanted, &Published::default(), evidence)
        .unwrap();
    assert_eq!((restored.sequence, restored.changed), (first + 3601, true));
    let again = bundle
        .merge(&domain, &wanted, &Published::default(), evidence)
        .unwrap();
    assert_eq!((again.sequence, again.changed), (first + 3601, false));
}

#[test]
fn roots_that_were_let_go_on_purpose_leave_whatever_chains_to_them() {
    let scene = Scene::new();
    let old = scene.root("old").fingerprint();
    let leaves = scene.last_leaf("old", scene.now + HOUR);
    scene.merge("old", &leaves, None, scene.now);
    let evidence = Evidence {
        last_leaf_under: &leaves,
        keep_unknown_until: None,
        let_go: &[old],
        newer_than: None,
        slow_clocks: Duration::ZERO,
        now: scene.now,
    };
    let domain = "cluster.local".parse().unwrap();
    let generation = scene.generation("new");
    let mut bundle = TrustBundle::open(scene.made.workshop()).unwrap();
    let merged = bundle
        .merge(
            &domain,
            &[Wanted::of(&generation)],
            &Published::default(),
            evidence,
        )
        .unwrap();
    assert_eq!(merged.dropped, [old]);
}

#[test]
fn a_root_remembers_the_first_bundle_of_its_unbroken_run() {
    let scene = Scene::new();
    let (none, kept) = (HashMap::new(), Some(scene.now + HOUR));
    let (old, new) = (
        scene.root("old").fingerprint(),
        scene.root("new").fingerprint(),
    );
    let since = || TrustBundle::open(scene.made.workshop()).unwrap().since();
    let first = scene.merge("old", &none, None, scene.now).sequence;
    let both = scene.merge("new", &none, kept, scene.now).sequence;
    assert_eq!(since(), HashMap::from([(old, first), (new, both)]));
    scene.merge("new", &none, None, scene.now);
    let again = scene.merge("old", &none, kept, scene.now).sequence;
    assert_eq!(since(), HashMap::from([(old, again), (new, both)]));
}

#[test]
fn a_bundle_from_before_there_were_numbers_has_held_its_roots_in_all_of_them() {
    let scene = Scene::new();
    scene.merge("old", &HashMap::new(), None, scene.now);
    let path = scene.made.workshop().join("trust-bundle.json");
    let json = fs::read_to_string(&path).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&json).unwrap();
    json["roots"][0]
        .as_object_mut()
        .unwrap()
        .remove("since")
        .unwrap();
    fs::write(&path, json.to_string()).unwrap();
    let since = TrustBundle::open(scene.made.workshop()).unwrap().since();
    assert_eq!(since, HashMap::from([(scene.root("old").fingerprint(), 0)]));
}

#[test]
fn an_old_root_stays_until_its_last_leaf_is_over() {
    let scene = Scene::new();
    let end = scene.now + HOUR;
    let leaves = scene.last_leaf("old", end);
    scene.merge("old", &leaves, None, scene.now);
    let merged = scene.merge("new", &leaves, None, end);
    assert_eq!(merged.roots, [scene.root("new"), scene.root("old")]);
    let root = scene.root("old").fingerprint();
    assert_eq!(merged.retained, [Retained { root, until: end }]);
    let later = scene.merge("new", &leaves, None, end + Duration::from_secs(1));
    assert_eq!(later.roots, [scene.root("new")]);
    assert_eq!(later.dropped, [root]);
    assert_eq!(later.sequence, merged.sequence + 1);
}

#[test]
fn a_root_that_nothing_is_known_of_is_dropped_unless_a_time_is_given() {
    let scene = Scene::new();
    let none = HashMap::new();
    scene.merge("old", &none, None, scene.now);
    let kept = scene.merge("new", &none, Some(scene.now + HOUR), scene.now);
    assert_eq!(kept.retained[0].until, scene.now + HOUR);
    let dropped = scene.merge("new", &none, None, scene.now);
    assert_eq!(dropped.roots, [scene.root("new")]);
}

#[test]
fn a_root_is_not_kept_beyond_its_own_end() {
    let scene = Scene::new();
    let end = scene.root("old").facts().not_after;
    let leaves = scene.last_leaf("old", end + HOUR);
    scene.merge("old", &leaves, None, scene.now);
    let merged = scene.merge("new", &leaves, None, scene.now);
    assert_eq!(merged.retained[0].until, end);
}

#[test]
fn a_generation_trusts_what_was_merged_with_its_own_root_first() {
    let scene = Scene::new();
    let generation = scene.generation("new");
    let others = [scene.root("old"), scene.root("new"), scene.root("old")];
    let conditions = Conditions {
        roots: others.to_vec(),
        bundle_number: 7,
        ..Conditions::default()
    };
    let trusting = generation.in_force(conditions, StandingBy::default());
    assert_eq!(trusting.roots(), [scene.root("new"), scene.root("old")]);
    assert_eq!(trusting.bundle_number(), 7);
    assert_eq!(trusting.own_roots(), [scene.root("new")]);
}

#[test]
fn a_damaged_or_later_bundle_is_refused_and_left_as_it_is() {
    let scene = Scene::new();
    scene.merge("old", &HashMap::new(), None, scene.now);
    let path = scene.made.workshop().join("trust-bundle.json");
    let good = fs::read_to_string(&path).unwrap();
    for bad in [
        String::new(),
        good.replace("\"version\": 1", "\"version\": 2"),
        good.replace("BEGIN", "BEGUN"),
        good.replace("\"fingerprint\": \"", "\"fingerprint\": \"00"),
    ] {
        fs::write(&path, &bad).unwrap();
        assert!(TrustBundle::open(scene.made.workshop()).is_err(), "{bad}");
        assert_eq!(fs::read_to_string(&path).unwrap(), bad);
    }
}

#[test]
fn the_file_says_what_is_trusted_and_where_it_came_from() {
    let scene = Scene::new();
    scene.merge("old", &HashMap::new(), None, scene.now);
    let json = scene.made.read("trust-bundle.json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["trust_domain"], "cluster.local");
    assert_eq!(json["roots"][0]["source"], "plugged-in");
    assert_eq!(json["roots"][0]["pem"], scene.root("old").to_pem());
}

#[test]
fn an_old_root_stays_until_its_last_leaf_is_over_on_slow_clocks_too() {
    let scene = Scene::new();
    let end = scene.now + HOUR;
    let leaves = scene.last_leaf("old", end);
    scene.merge("old", &leaves, None, scene.now);
    let generation = scene.generation("new");
    let wanted = [Wanted::of(&generation)];
    let bundle = TrustBundle::open(scene.made.workshop()).unwrap();
    let none = HashMap::new();
    for (since, known, lost, kept) in [
        (120, &leaves, None, 1),
        (121, &leaves, None, 0),
        (120, &none, Some(end), 1),
        (121, &none, Some(end), 0),
    ] {
        let evidence = Evidence {
            last_leaf_under: known,
            keep_unknown_until: lost,
            let_go: &[],
            newer_than: None,
            slow_clocks: Duration::from_secs(120),
            now: end + Duration::from_secs(since),
        };
        let draft = bundle.draft(&wanted, &Published::default(), evidence);
        assert_eq!(draft.unwrap().retained.len(), kept, "{since}");
    }
}

#[test]
fn the_newest_root_tells_since_when_and_a_root_that_leaves_changes_nothing() {
    let scene = Scene::new();
    let newest = || {
        let bundle = TrustBundle::open(scene.made.workshop()).unwrap();
        bundle.newest_root_since()
    };
    assert_eq!(newest(), None);
    let none = HashMap::new();
    scene.merge("old", &none, None, scene.now);
    assert_eq!(newest(), Some(scene.now));
    let keep_old = scene.last_leaf("old", scene.now + 3 * HOUR);
    scene.merge("new", &keep_old, None, scene.now + HOUR);
    assert_eq!(newest(), Some(scene.now + HOUR));
    let dropped = scene.merge("new", &keep_old, None, scene.now + 4 * HOUR);
    assert_eq!(dropped.roots.len(), 1);
    assert_eq!(newest(), Some(scene.now + HOUR));
}
