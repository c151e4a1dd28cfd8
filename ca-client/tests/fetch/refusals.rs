//! Which answers are refused? Each lie has its own error.

use ca_client::Error;
use ca_client::Step;
use ca_client::SvidError;
use tonic::Code;
use tonic::Status;

use crate::CART;
use crate::client_of;
use crate::fake_ca::Asked;
use crate::fake_ca::FakeCa;
use crate::fake_ca::SHORT;
use crate::pki::Leaf;
use crate::pki::Pki;
use crate::pki::new_key;

type Lie = fn(&Pki, &Asked) -> Vec<String>;
type Verdict = fn(&SvidError) -> bool;

/// What the CA answers, and the error that must come of it.
const LIES: [(&str, Lie, Verdict); 13] = [
    ("another key", another_key, |e| {
        matches!(e, SvidError::AnotherKey)
    }),
    ("another name", another_name, |e| {
        matches!(e, SvidError::AnotherName { .. })
    }),
    ("no spiffe id", no_spiffe_id, |e| {
        matches!(e, SvidError::NotSpiffe { .. })
    }),
    ("expired", expired, |e| {
        matches!(e, SvidError::Expired { .. })
    }),
    ("far in the future", far_future, |e| {
        matches!(e, SvidError::NotYetValid { .. })
    }),
    ("foreign root", foreign_root, |e| {
        matches!(e, SvidError::ForeignRoot { .. })
    }),
    ("foreign leaf below our root's name", broken_chain, |e| {
        matches!(e, SvidError::Chain { .. })
    }),
    ("one element", one_element, |e| {
        matches!(e, SvidError::TooShort { found: 1 })
    }),
    (
        "no element",
        |_, _| vec![],
        |e| matches!(e, SvidError::TooShort { found: 0 }),
    ),
    ("no roots", no_roots, |e| matches!(e, SvidError::NoRoots)),
    ("a leaf among the roots", leaf_as_root, |e| {
        matches!(e, SvidError::NotARoot { .. })
    }),
    ("two in one element", two_in_one, |e| {
        matches!(
            e,
            SvidError::NotSingle {
                number: 1,
                found: 2
            }
        )
    }),
    ("garbage", garbage, |e| {
        matches!(e, SvidError::Certificate { number: 2, .. })
    }),
];

#[tokio::test]
async fn every_lie_about_the_certificate_has_its_own_error() {
    for (name, lie, is_expected) in LIES {
        let ca = FakeCa::start(move |pki, asked| Ok(lie(pki, asked))).await;
        let client = client_of(&ca).spiffe_id(CART.parse().unwrap());
        let error = client.build().unwrap().fetch().await.unwrap_err();
        assert!(!error.is_retryable(), "{name}");
        let Error::Answer { source, .. } = error else {
            panic!("{name}: {error:?}");
        };
        assert!(is_expected(&source), "{name}: {source:?}");
    }
}

fn truth(pki: &Pki, asked: &Asked) -> Vec<String> {
    pki.answer(pki.leaf(&asked.csr, &Leaf::named(CART)))
}

fn another_key(pki: &Pki, _: &Asked) -> Vec<String> {
    pki.answer(pki.leaf_for(&new_key(), &Leaf::named(CART)))
}

fn another_name(pki: &Pki, asked: &Asked) -> Vec<String> {
    let admin = Leaf::named("spiffe://cluster.local/ns/shop/sa/admin");
    pki.answer(pki.leaf(&asked.csr, &admin))
}

fn no_spiffe_id(pki: &Pki, asked: &Asked) -> Vec<String> {
    pki.answer(pki.leaf(&asked.csr, &Leaf::named("https://cluster.local/cart")))
}

fn expired(pki: &Pki, asked: &Asked) -> Vec<String> {
    let leaf = Leaf {
        until: -10,
        ..Leaf::named(CART)
    };
    pki.answer(pki.leaf(&asked.csr, &leaf))
}

fn far_future(pki: &Pki, asked: &Asked) -> Vec<String> {
    let leaf = Leaf {
        from: 900,
        ..Leaf::named(CART)
    };
    pki.answer(pki.leaf(&asked.csr, &leaf))
}

fn foreign_root(_: &Pki, asked: &Asked) -> Vec<String> {
    truth(&Pki::new("stranger"), asked)
}

fn broken_chain(pki: &Pki, asked: &Asked) -> Vec<String> {
    let impostor = Pki::new("fake");
    pki.answer(impostor.leaf(&asked.csr, &Leaf::named(CART)))
}

fn one_element(pki: &Pki, asked: &Asked) -> Vec<String> {
    truth(pki, asked).into_iter().take(1).collect()
}

fn no_roots(pki: &Pki, asked: &Asked) -> Vec<String> {
    truth(pki, asked).into_iter().take(2).collect()
}

fn leaf_as_root(pki: &Pki, asked: &Asked) -> Vec<String> {
    let mut answer = truth(pki, asked);
    answer[2] = format!("{}{}", answer[2], answer[0]);
    answer
}

fn two_in_one(pki: &Pki, asked: &Asked) -> Vec<String> {
    let answer = truth(pki, asked);
    vec![format!("{}{}", answer[0], answer[1]), answer[2].clone()]
}

fn garbage(pki: &Pki, asked: &Asked) -> Vec<String> {
    let mut answer = truth(pki, asked);
    answer[1] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
    answer
}

#[tokio::test]
async fn an_answer_of_two_mebibytes_is_not_read() {
    let ca = FakeCa::start(|_, _| Ok(vec!["x".repeat(2 * 1024 * 1024)])).await;
    let error = client_of(&ca).build().unwrap().fetch().await.unwrap_err();
    assert!(matches!(error, Error::AnswerTooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn a_ca_that_never_answers_runs_into_the_deadline() {
    let ca = FakeCa::silent().await;
    let client = client_of(&ca).answer_deadline(SHORT).build().unwrap();
    let error = tokio::time::timeout(SHORT * 20, client.fetch()).await;
    let error = error.expect("a deadline").unwrap_err();
    assert!(
        matches!(
            error,
            Error::Deadline {
                step: Step::Answer,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_refused_token_is_named_but_not_shown() {
    let ca =
        FakeCa::start(|_, _| Err(Status::unauthenticated("request authenticate failure"))).await;
    let error = client_of(&ca).build().unwrap().fetch().await.unwrap_err();
    assert!(matches!(error, Error::Unauthenticated { .. }), "{error:?}");
    let text = format!("{error} {error:?}");
    assert!(text.contains("request authenticate failure"), "{text}");
    assert!(!text.contains("a-token"), "{text}");
}

#[tokio::test]
async fn only_codes_that_pass_by_themselves_are_worth_another_attempt() {
    let table = [
        (Code::Unavailable, true),
        (Code::ResourceExhausted, true),
        (Code::Aborted, true),
        (Code::InvalidArgument, false),
        (Code::PermissionDenied, false),
        (Code::FailedPrecondition, false),
        (Code::OutOfRange, false),
        (Code::Internal, false),
    ];
    for (code, retryable) in table {
        let ca = FakeCa::start(move |_, _| Err(Status::new(code, "because"))).await;
        let error = client_of(&ca).build().unwrap().fetch().await.unwrap_err();
        assert_eq!(error.is_retryable(), retryable, "{error:?}");
        let Error::Refused {
            code: seen,
            message,
            ..
        } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!((seen, message.as_str()), (code, "because"));
    }
}
