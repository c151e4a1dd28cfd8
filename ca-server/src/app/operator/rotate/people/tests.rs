//! What people read of a rotation.

use super::*;

fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

fn behind(name: &str) -> Obstacle {
    Obstacle {
        kind: "behind".to_owned(),
        sentence: format!("{name} got trust bundle 6"),
        needs: 7,
        ..Obstacle::default()
    }
}

/// Distribution that waits for 41 of 1200.
fn waiting_status() -> RotationStatus {
    RotationStatus {
        phase: "distribute".to_owned(),
        since: at(1_000),
        now: at(1_090),
        auto: true,
        bundle_number: 7,
        holders: 1200,
        steps: vec![RotationStep {
            step: "activate".to_owned(),
            issuer: "b0b0".to_owned(),
            obstacles: vec![behind("spiffe://a/cart"), behind("spiffe://a/till")],
            obstacle_count: 41,
            awaited: 41,
            opens_at: at(4_690),
            ..RotationStep::default()
        }],
        ..RotationStatus::default()
    }
}

#[test]
fn status_says_since_when_what_it_waits_for_and_who() {
    let text = status_lines(&waiting_status(), true).join("\n");
    for part in [
        "phase         distribute, since 1970-01-01T00:16:40Z (1m 30s ago), each step by itself",
        "activate b0b0: not yet, at the latest at 1970-01-01T01:18:10Z (in 1h)",
        "41 of 1200 who hold leaves are not yet on trust bundle 7",
        "- spiffe://a/cart got trust bundle 6",
        "- and 39 more",
        "activating it now would break 41 of 1200 who hold leaves",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains("no server runs"), "{text}");
}

#[test]
fn status_of_files_says_that_no_server_runs() {
    let lines = status_lines(&waiting_status(), false);
    assert!(lines[0].starts_with("no server runs"), "{lines:?}");
}

#[test]
fn a_gate_without_a_date_says_that_somebody_has_to_act() {
    let mut status = waiting_status();
    status.steps[0].opens_at = None;
    let text = status_lines(&status, true).join("\n");
    assert!(
        text.contains("somebody has to do something first"),
        "{text}"
    );
}

#[test]
fn an_open_gate_says_how_to_go_through_it_by_hand() {
    let mut status = waiting_status();
    status.auto = false;
    status.steps[0] = RotationStep {
        step: "activate".to_owned(),
        issuer: "b0b0".to_owned(),
        open: true,
        because: "nothing stands against it".to_owned(),
        ..RotationStep::default()
    };
    let text = status_lines(&status, true).join("\n");
    assert!(
        text.contains("do it with `ca-server rotate activate`"),
        "{text}"
    );
    assert!(text.contains("would break nobody"), "{text}");
}

#[test]
fn a_tainted_signer_is_told_with_those_who_still_hold_its_leaves() {
    let mut status = waiting_status();
    status.signers = vec![RotationSigner {
        issuer: "a0a0".to_owned(),
        role: "draining".to_owned(),
        tainted: at(1_000),
        deadline: at(2_000),
        held_by_count: 1,
        held_by: vec![behind("spiffe://a/cart")],
        ..RotationSigner::default()
    }];
    let text = status_lines(&status, true).join("\n");
    for part in [
        "draining, tainted",
        "dropped at 1970-01-01T00:33:20Z",
        "held by 1:",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn a_plan_tells_its_dates_and_warns() {
    let mut status = waiting_status();
    status.plan = Some(RotationPlan {
        activate_at: at(4_690),
        retire_at: at(91_090),
        warnings: vec!["the active signer ends first".to_owned()],
        ..RotationPlan::default()
    });
    let text = plan_lines(&status).join("\n");
    for part in [
        "activate    at the latest 1970-01-01T01:18:10Z (in 1h)",
        "retire      at the latest 1970-01-02T01:18:10Z (in 1day 1h)",
        "warning: the active signer ends first",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn forcing_names_first_who_may_break() {
    let status = waiting_status();
    let text = breaks_by_step(status.steps.first()).join("\n");
    assert!(text.contains("41 who hold leaves may break"), "{text}");
    assert!(text.contains("spiffe://a/till"), "{text}");
    assert!(breaks_by_deadline(None, UNIX_EPOCH).is_empty());
}
