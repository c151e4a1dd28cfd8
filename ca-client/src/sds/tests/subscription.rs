//! What one stream is owed, step by step.

use super::*;
use crate::sds::subscription::Answer;
use crate::sds::subscription::Form;
use crate::sds::subscription::Heard;
use crate::sds::subscription::Request;
use crate::sds::subscription::Subscription;
use crate::sds::subscription::Wanted;

/// A stream, and the catalogues before and after a change of everything.
struct Case {
    stream: Subscription,
    grants: Grants,
    now: Catalogue,
    next: Catalogue,
}

impl Case {
    fn new(form: Form) -> Self {
        let (a, b) = (Root::new(), Root::new());
        Self {
            stream: Subscription::new(form, "p".to_owned()),
            grants: the_only_one(),
            now: catalogue(&a.svid(&[&a])),
            next: catalogue(&b.svid(&[&b, &a])),
        }
    }

    fn whole(&mut self, names: &[&str], nonce: &str, refusal: Option<&str>) -> Heard {
        let request = Request {
            wanted: Wanted::Exactly(owned(names)),
            nonce: nonce.to_owned(),
            refusal: refusal.map(str::to_owned),
        };
        self.stream.hear(request, self.now.seen_by(&self.grants))
    }

    fn delta(&mut self, more: &[&str], fewer: &[&str], nonce: &str) -> Heard {
        self.delta_with(more, fewer, nonce, &[])
    }

    fn delta_with(
        &mut self,
        more: &[&str],
        fewer: &[&str],
        nonce: &str,
        have: &[(&str, &str)],
    ) -> Heard {
        let have = have.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
        let request = Request {
            wanted: Wanted::Change {
                more: owned(more),
                fewer: owned(fewer),
                have: have.collect(),
            },
            nonce: nonce.to_owned(),
            refusal: None,
        };
        self.stream.hear(request, self.now.seen_by(&self.grants))
    }

    /// The names in the next answer, and its nonce.
    fn told(&mut self) -> Option<(String, String)> {
        let answer: Answer = self.stream.next(self.now.seen_by(&self.grants))?;
        let names: Vec<&str> = answer.secrets.iter().map(|(name, _)| &**name).collect();
        Some((names.join(" "), answer.nonce))
    }

    fn names(&mut self) -> String {
        self.told().map_or_else(String::new, |it| it.0)
    }

    /// Everything becomes something else.
    fn turn(&mut self) {
        std::mem::swap(&mut self.now, &mut self.next);
    }

    /// Of roots and certificate, whether the present version is confirmed; nothing where it is not wanted.
    fn has(&self) -> [Option<bool>; 2] {
        let view = self.now.seen_by(&self.grants);
        [Kind::Roots, Kind::Leaf].map(|kind| {
            let confirmed = self.stream.confirmed().into_iter();
            let confirmed = confirmed.filter_map(|(name, version)| {
                let resource = view.get(&name).filter(|it| it.kind == kind)?;
                Some(version.as_ref() == Some(&resource.version))
            });
            confirmed.reduce(|one, other| one && other)
        })
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

const BOTH: &[&str] = &["default", "ROOTCA"];

#[test]
fn what_is_asked_for_is_told_once_roots_first() {
    let mut case = Case::new(Form::Whole);
    assert_eq!(case.names(), "", "nothing is asked for");
    assert_eq!(case.whole(BOTH, "", None), Heard::Asked);
    assert_eq!(case.names(), "ROOTCA default");
    assert_eq!(case.names(), "");
    case.turn();
    assert_eq!(case.names(), "ROOTCA default");
}

#[test]
fn an_acknowledgement_is_of_the_answer_that_it_names() {
    let mut case = Case::new(Form::Whole);
    case.whole(BOTH, "", None);
    let (_, first) = case.told().unwrap();
    assert_eq!(case.has(), [Some(false); 2]);
    assert_eq!(case.whole(BOTH, &first, None), Heard::Acknowledged);
    assert_eq!(case.has(), [Some(true); 2]);
    case.turn();
    assert_eq!(case.has(), [Some(false); 2], "there is something newer");
    let (_, second) = case.told().unwrap();
    assert_eq!(case.whole(BOTH, &first, None), Heard::Stale);
    assert_eq!(case.has(), [Some(false); 2]);
    assert_eq!(case.whole(BOTH, &second, None), Heard::Acknowledged);
    assert_eq!(case.has(), [Some(true); 2]);
}

#[test]
fn what_is_refused_is_not_sent_again_until_it_is_something_else() {
    let mut case = Case::new(Form::Whole);
    case.whole(&["default"], "", None);
    let (_, nonce) = case.told().unwrap();
    let heard = case.whole(&["default"], &nonce, Some("no"));
    let names = owned(&["default"]);
    let why = "no".to_owned();
    assert_eq!(heard, Heard::Refused { names, why });
    assert_eq!(case.names(), "");
    assert_eq!(case.has(), [None, Some(false)]);
    case.turn();
    assert_eq!(case.names(), "default");
}

#[test]
fn names_that_nothing_is_called_are_waited_for() {
    for form in [Form::Whole, Form::Delta] {
        let mut case = Case::new(form);
        let unknown: &[&str] = &["file-root:system", "spiffe://other/x"];
        match form {
            Form::Whole => case.whole(unknown, "", None),
            Form::Delta => case.delta(unknown, &[], ""),
        };
        assert_eq!(case.names(), "", "{form:?}");
        assert_eq!(case.has(), [None; 2], "{form:?}");
    }
}

#[test]
fn whoever_unsubscribes_is_told_nothing_and_whoever_returns_is_told_again() {
    let mut case = Case::new(Form::Whole);
    case.whole(BOTH, "", None);
    let (_, nonce) = case.told().unwrap();
    case.whole(&["ROOTCA"], &nonce, None);
    assert_eq!(case.names(), "");
    assert_eq!(case.has(), [Some(true), None]);
    case.whole(&[], &nonce, None);
    case.turn();
    assert_eq!(case.names(), "");
    assert_eq!(case.whole(&["default"], &nonce, None), Heard::Asked);
    assert_eq!(case.names(), "default");
}

#[test]
fn names_beside_an_old_nonce_do_not_count() {
    let mut case = Case::new(Form::Whole);
    case.whole(BOTH, "", None);
    let (_, old) = case.told().unwrap();
    case.turn();
    let _newer = case.told().unwrap();
    case.whole(&[], &old, None);
    case.turn();
    assert_eq!(case.names(), "ROOTCA default");
}

#[test]
fn a_new_stream_answers_whatever_nonce_it_begins_with() {
    for (form, nonce) in [
        (Form::Whole, "p-1"),
        (Form::Whole, "x"),
        (Form::Delta, "p-1"),
    ] {
        let mut case = Case::new(form);
        let heard = match form {
            Form::Whole => case.whole(BOTH, nonce, None),
            Form::Delta => case.delta(BOTH, &[], nonce),
        };
        assert_eq!(heard, Heard::Asked);
        assert_eq!(case.names(), "ROOTCA default");
        assert_eq!(case.has(), [Some(false); 2]);
    }
}

#[test]
fn a_delta_stream_is_told_what_changed() {
    let mut case = Case::new(Form::Delta);
    case.delta(&["default"], &[], "");
    let (names, first) = case.told().unwrap();
    assert_eq!(names, "default");
    assert_eq!(case.delta(&["ROOTCA"], &[], &first), Heard::Acknowledged);
    let (names, second) = case.told().unwrap();
    assert_eq!(names, "ROOTCA");
    assert_eq!(case.has(), [Some(false), Some(true)]);
    assert_eq!(case.delta(&[], &["default"], &second), Heard::Acknowledged);
    case.turn();
    assert_eq!(case.names(), "ROOTCA");
}

#[test]
fn a_delta_stream_is_not_told_what_it_has_from_before() {
    let mut case = Case::new(Form::Delta);
    let roots = version(&case.now, Kind::Roots).to_string();
    let have = [("ROOTCA", roots.as_str()), ("default", "old"), ("x", "y")];
    case.delta_with(BOTH, &[], "", &have);
    assert_eq!(case.has(), [Some(true), Some(false)]);
    assert_eq!(case.names(), "default");
}

#[test]
fn two_names_of_one_secret_are_acknowledged_when_both_are() {
    let mut case = Case::new(Form::Delta);
    case.delta(&["default"], &[], "");
    let (_, nonce) = case.told().unwrap();
    case.delta(&[CART], &[], &nonce);
    assert_eq!(case.has(), [None, Some(false)]);
    let (_, nonce) = case.told().unwrap();
    case.delta(&[], &[], &nonce);
    assert_eq!(case.has(), [None, Some(true)]);
}

#[test]
fn a_thousand_names_are_not_remembered_but_ours_are() {
    let mut case = Case::new(Form::Whole);
    let mut names: Vec<String> = (0..1000)
        .map(|number| format!("name-{number:0>300}"))
        .collect();
    names.extend((0..1000).map(|number| format!("name-{number}")));
    names.extend(owned(BOTH));
    let request = Request {
        wanted: Wanted::Exactly(names),
        ..Request::default()
    };
    case.stream.hear(request, case.now.seen_by(&case.grants));
    assert_eq!(case.names(), "ROOTCA default");
    let size = format!("{:?}", case.stream).len();
    assert!(size < 5000, "{size}");
}

#[test]
fn whoever_never_acknowledges_costs_no_more_and_more() {
    let mut case = Case::new(Form::Whole);
    case.whole(BOTH, "", None);
    let mut sizes = Vec::new();
    for _ in 0..100 {
        assert_eq!(case.names(), "ROOTCA default");
        case.turn();
        sizes.push(format!("{:?}", case.stream).len());
    }
    assert!(sizes[99] < sizes[10] + 100, "{sizes:?}");
}
