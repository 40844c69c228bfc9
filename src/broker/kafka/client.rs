//! What a client of the library says of itself: its last words, and that it can go on no
//! more.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::ProducerContext;
use tokio::sync::watch;

#[cfg(feature = "tls")]
use super::sasl::Bearer;

/// How long a client's words stand beside what happens next.
const RECENT: Duration = Duration::from_secs(30);

/// How long a client that has failed may take to say why.
const SOON: Duration = Duration::from_millis(300);

/// Learns what is wrong with a client.
pub(super) struct Watch {
    lost: watch::Sender<bool>,
    words: Mutex<Option<(Instant, String)>>,
}

impl Default for Watch {
    fn default() -> Self {
        Self { lost: watch::Sender::new(false), words: Mutex::default() }
    }
}

impl Watch {
    /// No broker is there, or the client has ended itself.
    pub(super) fn lose(&self) {
        self.lost.send_replace(true);
    }

    pub(super) fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Waits until it is lost.
    pub(super) async fn loss(&self) {
        let mut lost = self.lost.subscribe();
        let _ = lost.wait_for(|lost| *lost).await;
    }

    /// Keeps what a client said. That all brokers are down is no cause: what was said
    /// before is. Nor is it one that a partition has no place yet.
    pub(super) fn heard(&self, error: &KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        if matches!(
            code,
            Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::AutoOffsetReset)
        ) {
            return;
        }
        *self.words.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), reason.to_owned()));
    }

    /// The same, where the client has just failed: its words come from another thread, a
    /// moment later. Blocks the thread.
    pub(super) fn with_words_soon(&self, what: impl fmt::Display) -> String {
        let by = Instant::now();
        while self.words.lock().unwrap_or_else(PoisonError::into_inner).is_none()
            && by.elapsed() < SOON
        {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.with_words_or_guess(what)
    }

    /// What happened, with the client's own last words.
    pub(super) fn with_words(&self, what: impl fmt::Display) -> String {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        match &*words {
            Some((at, words)) if at.elapsed() < RECENT => format!("{what}: {words}"),
            _ => what.to_string(),
        }
    }

    /// The same of a cluster that cannot be reached. A client whose connection is closed
    /// at once does not say why.
    pub(super) fn with_words_or_guess(&self, what: impl fmt::Display) -> String {
        let what = what.to_string();
        let said = self.with_words(&what);
        if said == what {
            return format!(
                "{what}: the brokers are silent, or end the connection at once, as they do where security.protocol is not that of their port"
            );
        }
        said
    }
}

/// The context of a sender, and of a client that is only tried.
pub(super) struct Context {
    pub(super) watch: Arc<Watch>,
    #[cfg(feature = "tls")]
    pub(super) bearer: Option<Bearer>,
}

impl Context {
    pub(super) fn token(&self) -> Result<OAuthToken, Box<dyn Error>> {
        #[cfg(feature = "tls")]
        if let Some(bearer) = &self.bearer {
            return bearer.token();
        }
        Err("there is no function for tokens in the configuration".into())
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn error(&self, error: KafkaError, reason: &str) {
        self.watch.heard(&error, reason);
        if matches!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::Fatal)
        ) {
            self.watch.lose();
        }
    }

    fn generate_oauth_token(
        &self,
        _: Option<&str>,
    ) -> Result<OAuthToken, Box<dyn Error>> {
        self.token()
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &rdkafka::message::DeliveryResult<'_>, (): ()) {}
}
