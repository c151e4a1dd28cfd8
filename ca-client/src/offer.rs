//! What does the agent hold at one moment, for those who serve it to others?

use std::sync::Arc;

use tokio::sync::watch;

use crate::bundle::Beyond;
use crate::svid::Svid;

/// The certificate with its roots, and what the CA told beside them.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) svid: Arc<Svid>,
    pub(crate) beyond: Arc<Beyond>,
}

/// The latest of it; `None` until there is a certificate.
pub(crate) type Offers = watch::Receiver<Option<Offer>>;
