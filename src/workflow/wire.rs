//! `Wire`: how an instance's data, commands, replies and questions become bytes and come
//! back.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::envelope::{EnvelopeBuilder, Facts};
use crate::event::Payload;
use crate::{Event, RawEvent};

/// What can be stored and sent as bytes, and read back.
///
/// The data of a workflow, each command, each reply and whatever people are shown
/// implement it. The format is yours; where JSON will do, and the feature `serde` is on,
/// `impl WireJson for Quote {}` is all. Encrypt here what a database or a broker must not
/// hold in clear: the library writes these bytes nowhere else, and never into a log.
///
/// ```
/// use integration_automation_patterns::workflow::{Wire, WireError};
///
/// struct Quote {
///     cents: u64,
/// }
///
/// impl Wire for Quote {
///     fn write(&self) -> Result<Vec<u8>, WireError> {
///         Ok(self.cents.to_string().into_bytes())
///     }
///
///     fn read(bytes: &[u8]) -> Result<Self, WireError> {
///         let text = std::str::from_utf8(bytes).map_err(WireError::new)?;
///         Ok(Self { cents: text.parse().map_err(WireError::new)? })
///     }
/// }
///
/// assert_eq!(Quote::read(&Quote { cents: 995 }.write()?)?.cents, 995);
/// assert!(Quote::read(b"a lot").is_err());
/// # Ok::<(), WireError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored or sent by a workflow",
    label = "needs `impl Wire for {Self}`, with how it is written to bytes and read back",
    note = "with the feature `serde`, `impl WireJson for {Self} {{}}` writes it as JSON"
)]
pub trait Wire: Sized {
    /// The bytes.
    ///
    /// # Errors
    ///
    /// [`WireError`] where the format has no form for this value.
    fn write(&self) -> Result<Vec<u8>, WireError>;

    /// The value that these bytes were written from.
    ///
    /// # Errors
    ///
    /// [`WireError`] where they are none.
    fn read(bytes: &[u8]) -> Result<Self, WireError>;
}

/// Bytes that cannot be read, or a value that cannot be written.
///
/// The error of the format may quote the data, which no log and no row should hold: so
/// this one displays without it, and is the last of the chain. Whoever may see the data
/// asks for the [`cause`](Self::cause).
///
/// ```
/// use integration_automation_patterns::workflow::WireError;
///
/// let cause = "seven".parse::<u64>().unwrap_err();
/// let error = WireError::new(cause.clone());
/// assert_eq!(
///     error.to_string(),
///     "the form does not fit; the error may quote data, and is shown by `cause` alone"
/// );
/// assert_eq!(error.cause().to_string(), cause.to_string());
/// ```
#[derive(Clone)]
pub struct WireError(Arc<dyn Error + Send + Sync>);

impl WireError {
    /// The error of the format, or a text.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::from(cause.into()))
    }

    /// The error of the format, which may quote the data.
    pub fn cause(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl fmt::Debug for WireError {
    /// Without the cause, as `Display`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireError").finish_non_exhaustive()
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the form does not fit; the error may quote data, and is shown by `cause` \
             alone",
        )
    }
}

impl Error for WireError {}

/// A participant's reply to a command: an event that [follows](Facts::follow) from it,
/// with its correlation, which names the instance and the step, and with the retry policy
/// of the reply's type.
///
/// # Errors
///
/// [`WireError`] where the reply cannot be written.
///
/// ```
/// use integration_automation_patterns::retry::{Backoff, RetryPolicy};
/// use integration_automation_patterns::workflow::{self, Wire, WireError};
/// use integration_automation_patterns::{Envelope, Event, RawEvent};
/// use std::time::Duration;
///
/// struct StockHeld;
///
/// impl Event for StockHeld {
///     const TYPE: &'static str = "erp.stock.held";
///     const RETRY_POLICY: RetryPolicy =
///         RetryPolicy::retries(9, Backoff::Fixed(Duration::from_secs(1)));
/// }
///
/// impl Wire for StockHeld {
///     fn write(&self) -> Result<Vec<u8>, WireError> {
///         Ok(b"{}".to_vec())
///     }
///
///     fn read(_: &[u8]) -> Result<Self, WireError> {
///         Ok(Self)
///     }
/// }
///
/// let command = Envelope::builder("order", RawEvent::new("erp.stock.hold", b"{}"))
///     .correlation_id("order/0195/hold_stock/do")
///     .build()?;
/// let reply = workflow::answer(&command, "erp", &StockHeld)?.build()?;
/// assert_eq!(reply.event_type(), "erp.stock.held");
/// assert_eq!(reply.correlation_id(), Some("order/0195/hold_stock/do"));
/// assert_eq!(reply.retry_policy().max_attempts(), 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn answer<P: Payload, R: Event + Wire>(
    command: &Facts<P>,
    participant: &'static str,
    reply: &R,
) -> Result<EnvelopeBuilder<RawEvent>, WireError> {
    let payload =
        RawEvent::new(R::TYPE, reply.write()?).with_schema_version(R::SCHEMA_VERSION);
    Ok(command.follow(participant, R::TYPE, payload).retry_policy(R::RETRY_POLICY))
}
