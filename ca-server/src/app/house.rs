//! Builds the house and opens its doors: the only file that names every concrete part.

use std::sync::Arc;
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::announce;
use super::background;
use super::ca::Ca;
use super::conductor::Conductor;
use super::conductor::Order;
use super::control::Control;
use super::doors;
use super::error::ServeError;
use super::federation::Federation;
use super::readiness::Checker;
use super::readiness::SharedReadiness;
use super::report::Reporter;
use super::serving::Serving;
use super::watcher;
use super::watcher::Watched;
use crate::api;
use crate::api::admin::Admin;
use crate::api::bundle::BundleEndpoint;
use crate::api::certificates::Certificates;
use crate::api::http::Http;
use crate::api::http_port::HttpPort;
use crate::api::listener::Server;
use crate::api::tls::TlsSettings;
use crate::api::trust::Bulletin;
use crate::api::trust::Crowd;
use crate::api::trust::Streams;
use crate::api::trust::Trust;
use crate::api::verification::Verification;
use crate::attest::Attestor;
use crate::attest::jwt::Issuer;
use crate::backup;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::issuance::Issuance;
use crate::issuance::policy::Policy;
use crate::ledger::Ledger;
use crate::telemetry::metrics::Metrics;
use crate::x509::Entropy;
use crate::x509::SystemEntropy;

/// Everything that was built, before the doors open.
pub(super) struct House {
    config: Config,
    locked: DataDir,
    ca: Ca,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    issuers: Vec<Issuer>,
    issuance: Arc<Issuance>,
    metrics: Metrics,
    stop: CancellationToken,
}

impl House {
    /// Opens what is on disk and puts the rooms together.
    pub(super) async fn build(
        config: Config,
        stop: CancellationToken,
    ) -> Result<(Self, Conductor), ServeError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let locked = DataDir::lock(&config.data_dir)?;
        let issuers = background::open_issuers(&config)?;
        let (ca, conductor) = Ca::open(&config, clock.now()).await?;
        let ledger: Arc<dyn Ledger> = ca.ledger();
        let issuance = Arc::new(Issuance {
            authority: ca.authority(),
            ledger,
            policy: Policy::new(config.trust_domain.clone()),
            profile: config.profile,
            entropy: Arc::clone(&entropy),
        });
        let metrics = Metrics::new()?;
        let longest = config.profile.max_ttl().as_secs();
        let longest = i64::try_from(longest).unwrap_or(i64::MAX);
        metrics.max_leaf_lifetime.set(longest);
        let house = Self {
            config,
            locked,
            ca,
            clock,
            entropy,
            issuers,
            issuance,
            metrics,
            stop,
        };
        Ok((house, conductor))
    }

    /// Serves until `stop`, drains, and lets go of everything in order.
    pub(super) async fn serve(self, conductor: Conductor) -> Result<(), ServeError> {
        let grpc = doors::bind(self.config.grpc_addr).await?;
        let http = doors::bind(self.config.http_addr).await?;
        let (grpc_addr, http_addr) = (grpc.local_addr()?, http.local_addr()?);
        let admin_socket = doors::bind_admin(self.locked.path())?;

        let serving = self.start_serving().await?;
        let federation = self.open_federation().await?;
        let listeners = [&serving.held].into_iter();
        let listeners = listeners.chain(federation.as_ref().map(Federation::held));
        let readiness = self.start_readiness();
        let reporter = Arc::new(Reporter {
            authority: self.ca.authority(),
            others: conductor.others(),
            serving: listeners.map(Arc::clone).collect(),
            readiness: Arc::new(readiness.clone()),
            grpc_addr: grpc_addr.to_string(),
            http_addr: http_addr.to_string(),
        });
        let mut tasks = self.start_timers(&serving, &reporter);
        let (orders, conductor) = self.start_conductor(conductor, &mut tasks)?;

        let tls = TlsSettings::new(Arc::clone(&serving.certificate));
        let (agents, health_task) = self.agent_server(readiness.clone())?;
        tasks.push(health_task);
        let operators = self.server(api::admin_routes(self.admin(reporter, orders)));
        let http_port = HttpPort {
            routes: self.http_routes(readiness),
            headers: self.config.limits.handshake,
            tls: None,
            stop: self.stop.clone(),
        };
        announce::listening(
            &self.config,
            &self.ca.authority().current(),
            grpc_addr,
            http_addr,
        );

        tokio::join!(
            agents.serve_tls(grpc, tls),
            operators.serve_unix(admin_socket),
            http_port.serve(http),
            Federation::serve(federation)
        );
        tasks.iter().for_each(JoinHandle::abort);
        // A step that was begun is finished: the ledger is open as long as it takes.
        let _ended = conductor.await;
        doors::remove_admin(self.locked.path());
        self.ca.close().await;
        info!("stopped");
        Ok(())
    }

    /// Starts whoever changes what is in force, and those who ask for it.
    fn start_conductor(
        &self,
        conductor: Conductor,
        tasks: &mut Vec<JoinHandle<()>>,
    ) -> Result<(mpsc::Sender<Order>, oneshot::Receiver<()>), ServeError> {
        let (orders, taken) = mpsc::channel(ORDERS);
        let watched = Watched {
            dir: self.config.root_ca_dir.clone(),
            interval: self.config.reload_interval,
            asks_the_system: self.config.watches,
        };
        tasks.push(tokio::spawn(watcher::watch(watched, orders.clone())));
        tasks.push(doors::look_on_hangup(orders.clone())?);
        let works = conductor.run(
            taken,
            Arc::clone(&self.clock),
            self.metrics.clone(),
            self.stop.clone(),
        );
        // It syncs files and signs trial leaves: on a thread of its own nobody waits for that.
        let runtime = Handle::current();
        let (working, ended) = oneshot::channel();
        thread::Builder::new()
            .name("conductor".to_owned())
            .spawn(move || {
                runtime.block_on(works);
                drop(working);
            })?;
        Ok((orders, ended))
    }

    async fn start_serving(&self) -> Result<Arc<Serving>, ServeError> {
        let name = self.config.serving_name.clone();
        let (issuance, clock) = (Arc::clone(&self.issuance), Arc::clone(&self.clock));
        Ok(Serving::start("serving", name, issuance, clock).await?)
    }

    async fn open_federation(&self) -> Result<Option<Federation>, ServeError> {
        let (issuance, stop) = (Arc::clone(&self.issuance), self.stop.clone());
        let endpoint = self.bundle_endpoint();
        Federation::open(&self.config, issuance, endpoint, self.ca.changes(), stop).await
    }

    fn bundle_endpoint(&self) -> BundleEndpoint {
        BundleEndpoint {
            authority: self.ca.authority(),
            polls: self.ca.polls(),
            clock: Arc::clone(&self.clock),
        }
    }

    fn start_readiness(&self) -> SharedReadiness {
        SharedReadiness::start(Checker {
            authority: self.ca.authority(),
            ledger: self.ca.ledger(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            metrics: self.metrics.clone(),
        })
    }

    fn start_timers(
        &self,
        serving: &Arc<Serving>,
        reporter: &Arc<Reporter>,
    ) -> Vec<JoinHandle<()>> {
        let (metrics, clock) = (self.metrics.clone(), Arc::clone(&self.clock));
        vec![
            tokio::spawn(Arc::clone(serving).keep_fresh(self.ca.changes())),
            tokio::spawn(background::refresh_jwks(
                self.issuers.clone(),
                metrics.clone(),
            )),
            tokio::spawn(background::note_expiries(
                Arc::clone(reporter),
                metrics,
                clock,
            )),
        ]
    }

    fn agent_server(
        &self,
        readiness: SharedReadiness,
    ) -> Result<(Server, JoinHandle<()>), ServeError> {
        let attestor = Attestor::new(
            self.config.trust_domain.clone(),
            self.issuers.clone(),
            self.ca.ledger(),
        );
        let attestor = Arc::new(attestor);
        let trust = Trust {
            attestor: Arc::clone(&attestor),
            longest_leaf: self.config.profile.max_ttl(),
            authority: self.ca.authority(),
            ledger: self.ca.ledger(),
            clock: Arc::clone(&self.clock),
            changes: self.ca.changes(),
            bulletin: Bulletin::default(),
            streams: Streams::default(),
            crowd: Crowd::default(),
            metrics: self.metrics.clone(),
            stop: self.stop.clone(),
        };
        let certificates = Certificates {
            attestor,
            issuance: Arc::clone(&self.issuance),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            metrics: self.metrics.clone(),
        };
        let verification = Verification::new(
            self.config.trust_domain.clone(),
            self.ca.authority(),
            self.ca.ledger(),
            Arc::clone(&self.clock),
            self.metrics.clone(),
        );
        let (health, service) = tonic_health::server::health_reporter();
        let stop = self.stop.clone();
        let task = tokio::spawn(background::report_health(health, readiness, stop));
        let routes = api::agent_routes(certificates, verification, trust, service)?;
        Ok((self.server(routes), task))
    }

    fn server(&self, routes: tonic::service::Routes) -> Server {
        Server {
            routes,
            limits: self.config.limits,
            metrics: self.metrics.clone(),
            stop: self.stop.clone(),
        }
    }

    fn admin(&self, reporter: Arc<Reporter>, orders: mpsc::Sender<Order>) -> Admin {
        Admin {
            policy: Policy::new(self.config.trust_domain.clone()),
            ledger: self.ca.ledger(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            report: reporter,
            rotation: Arc::new(Control { orders }),
            backup: backup::Source::new(self.locked.path(), self.ca.store()),
        }
    }

    fn http_routes(&self, readiness: SharedReadiness) -> axum::Router {
        api::http::routes(Http {
            authority: self.ca.authority(),
            metrics: self.metrics.clone(),
            readiness: Arc::new(readiness),
        })
        .merge(api::bundle::routes(self.bundle_endpoint()))
    }
}

/// Orders that may wait for the one before.
const ORDERS: usize = 16;
