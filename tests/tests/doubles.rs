//! The invariants of issuance, proved in the process: with a ledger that fails, a clock that is set, dice that repeat.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use ca_server::api::status;
use ca_server::attest::Attestor;
use ca_server::attest::Caller;
use ca_server::attest::Presented;
use ca_server::attest::enrolment;
use ca_server::authority::Authority;
use ca_server::authority::self_signed;
use ca_server::authority::self_signed::NewRoot;
use ca_server::authority::state::State;
use ca_server::authority::state::TrustDomainChange;
use ca_server::clock::Clock as _;
use ca_server::issuance::Issuance;
use ca_server::issuance::IssueError;
use ca_server::issuance::Issued;
use ca_server::issuance::Request;
use ca_server::issuance::policy::Policy;
use ca_server::issuance::policy::PolicyError;
use ca_server::issuance::profile::Profile;
use ca_server::issuance::profile::ProfileError;
use ca_server::ledger::Ledger;
use ca_server::ledger::LedgerError;
use ca_server::x509::Entropy;
use ca_server::x509::SystemEntropy;
use proto::certificate::Certificate;
use proto::spiffe::TrustDomain;
use tests::CART;
use tests::agent::key_and_csr;
use tests::doubles::Call;
use tests::doubles::FailingLedger;
use tests::doubles::RepeatingEntropy;
use tests::doubles::TestClock;
use tonic::Code;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The whole way to a leaf, without the wire.
struct House {
    issuance: Issuance,
    ledger: Arc<FailingLedger>,
    clock: TestClock,
    csr: String,
    _dir: tempfile::TempDir,
}

impl House {
    fn new(entropy: Arc<dyn Entropy>) -> Self {
        let (dir, clock) = (
            tempfile::tempdir().unwrap(),
            TestClock::at(UNIX_EPOCH + 20_000 * DAY),
        );
        let mut state = State::open(dir.path(), &domain(), TrustDomainChange::Refuse).unwrap();
        let (path, now) = (dir.path(), clock.now());
        let opened =
            self_signed::open_or_create(path, &mut state, NewRoot::Refuse, now, &SystemEntropy)
                .unwrap();
        let ledger = Arc::new(FailingLedger::open(&dir.path().join("ledger")));
        let issuance = Issuance {
            authority: Arc::new(Authority::new(opened.generation)),
            ledger: Arc::<FailingLedger>::clone(&ledger),
            policy: Policy::new(domain()),
            profile: Profile::new(DAY, 90 * DAY, Duration::from_secs(60)).unwrap(),
            entropy,
        };
        Self {
            issuance,
            ledger,
            clock,
            csr: key_and_csr(CART).1,
            _dir: dir,
        }
    }

    /// Somebody who brought an enrolment token for `spiffe_id`.
    async fn caller(&self, spiffe_id: &str) -> Caller {
        let now = self.clock.now();
        let (secret, token) =
            enrolment::mint(spiffe_id.parse().unwrap(), HOUR, now, &SystemEntropy).unwrap();
        self.ledger.create_token(token).await.unwrap();
        let attestor = Attestor::new(
            domain(),
            Vec::new(),
            Arc::<FailingLedger>::clone(&self.ledger),
        );
        let presented = Presented {
            bearer_tokens: &[&secret],
            ..Presented::default()
        };
        attestor.attest(presented, &[], now).await.unwrap()
    }

    async fn issue(&self, caller: &Caller, ttl_seconds: i64) -> Result<Issued, IssueError> {
        let request = Request {
            csr_pem: &self.csr,
            ttl_seconds,
            impersonated: None,
            request_id: "1",
            instance: None,
        };
        self.issuance.issue(caller, request, self.clock.now()).await
    }

    /// Moves the clock to `before` the end of the issuing certificate, and answers that end.
    fn go_near_the_issuers_end(&self, before: Duration) -> SystemTime {
        let end = self.issuance.authority.current().issuer().facts().not_after;
        self.clock.set(end - before);
        end
    }
}

fn domain() -> TrustDomain {
    "cluster.local".parse().unwrap()
}

fn house() -> House {
    House::new(Arc::new(SystemEntropy))
}

#[tokio::test]
async fn nothing_is_signed_that_was_not_reserved() {
    let house = house();
    let caller = house.caller(CART).await;
    house.ledger.fail(Some(Call::Reserve));
    let error = house.issue(&caller, 0).await.unwrap_err();
    assert!(
        matches!(error, IssueError::Ledger(LedgerError::Unavailable { .. })),
        "{error}"
    );
    assert_eq!(status::not_issued(&error).code(), Code::Unavailable);
    assert_eq!(
        house.ledger.calls(),
        [Call::Reserve],
        "nothing follows a refused reservation"
    );
    assert_eq!(house.ledger.entries().await, []);
    house.ledger.fail(None);
    house.issue(&caller, 0).await.unwrap();
    assert_eq!(
        house.ledger.calls(),
        [Call::Reserve, Call::Reserve, Call::Record]
    );
}

#[tokio::test]
async fn nothing_is_answered_that_was_not_recorded() {
    let house = house();
    let caller = house.caller(CART).await;
    house.ledger.fail(Some(Call::Record));
    let error = house.issue(&caller, 0).await.unwrap_err();
    assert!(
        matches!(error, IssueError::Ledger(LedgerError::Unavailable { .. })),
        "{error}"
    );
    assert_eq!(status::not_issued(&error).code(), Code::Unavailable);
    let entries = house.ledger.entries().await;
    let leaves: Vec<_> = entries
        .iter()
        .map(|entry| entry.leaf_der.as_deref())
        .collect();
    assert_eq!(leaves, [None], "it stays listed as one that may exist");
}

#[tokio::test]
async fn what_is_answered_is_what_was_recorded_and_what_was_reserved() {
    let house = house();
    let issued = house.issue(&house.caller(CART).await, 0).await.unwrap();
    let entries = house.ledger.entries().await;
    let [entry] = entries.as_slice() else {
        panic!("{entries:?}")
    };
    assert_eq!(entry.leaf_der.as_deref(), Some(issued.leaf.der()));
    assert_eq!(entry.intent, issued.intent);
    let leaf = Certificate::from_der(issued.leaf.der()).unwrap();
    assert_eq!(leaf.facts().not_after, entry.intent.validity.not_after());
}

#[tokio::test]
async fn two_leaves_never_share_a_serial() {
    let house = House::new(Arc::new(RepeatingEntropy(0x5a)));
    house.issue(&house.caller(CART).await, 0).await.unwrap();
    let error = house
        .issue(
            &house.caller("spiffe://cluster.local/ns/shop/sa/till").await,
            0,
        )
        .await
        .unwrap_err();
    assert!(
        matches!(error, IssueError::Ledger(LedgerError::SerialTaken { .. })),
        "{error}"
    );
    assert_eq!(status::not_issued(&error).code(), Code::Aborted);
    assert_eq!(house.ledger.entries().await.len(), 1);
}

#[tokio::test]
async fn a_leaf_never_outlives_its_issuer() {
    let house = house();
    let end = house.go_near_the_issuers_end(HOUR);
    for (id, ttl_seconds) in [("a", 0), ("b", 30 * 24 * 3600), ("c", 3601)] {
        let caller = house.caller(&format!("{CART}-{id}")).await;
        let issued = house.issue(&caller, ttl_seconds).await.unwrap();
        let leaf = Certificate::from_der(issued.leaf.der()).unwrap();
        assert_eq!(leaf.facts().not_after, end, "asked for {ttl_seconds}");
    }
}

#[tokio::test]
async fn an_issuer_that_is_over_signs_nothing() {
    let house = house();
    let caller = house.caller(CART).await;
    let end = house.go_near_the_issuers_end(Duration::ZERO);
    house.clock.set(end + Duration::from_secs(1));
    let error = house.issue(&caller, 0).await.unwrap_err();
    assert!(
        matches!(
            error,
            IssueError::Profile(ProfileError::IssuerExpired { .. })
        ),
        "{error}"
    );
    assert_eq!(status::not_issued(&error).code(), Code::FailedPrecondition);
    assert_eq!(house.ledger.calls(), []);
}

#[tokio::test]
async fn a_caller_of_another_trust_domain_gets_nothing() {
    let house = house();
    for foreign in [
        "spiffe://other.example/ns/shop/sa/cart",
        "spiffe://cluster.local.evil/ns/shop/sa/cart",
    ] {
        let caller = house.caller(foreign).await;
        let error = house.issue(&caller, 0).await.unwrap_err();
        assert!(
            matches!(
                error,
                IssueError::Policy(PolicyError::ForeignTrustDomain { .. })
            ),
            "{error}"
        );
        let status = status::not_issued(&error);
        assert_eq!(status.code(), Code::PermissionDenied);
        assert!(!status.message().contains("cluster.local"), "{status}");
    }
    assert_eq!(house.ledger.calls(), []);
}
