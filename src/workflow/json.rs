//! `WireJson`: the data, the commands and the replies of a workflow as JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wire::{Wire, WireError};

/// What is stored and sent as JSON, in the form that [`serde`] gives it: whatever has this
/// has [`Wire`].
///
/// A type says so by itself, so that one that is `Serialize` may still be written in
/// another form, as one that is encrypted is. What `serde_json` says of bytes that it
/// cannot read is the [`cause`](WireError::cause) of the error.
///
/// ```
/// use integration_automation_patterns::workflow::{Wire, WireJson};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Quote {
///     cents: u64,
/// }
///
/// impl WireJson for Quote {}
///
/// let bytes = Quote { cents: 995 }.write()?;
/// assert_eq!(bytes, br#"{"cents":995}"#);
/// assert_eq!(Quote::read(&bytes)?.cents, 995);
/// let error = Quote::read(b"{}").err().ok_or("it has no cents")?;
/// assert!(error.cause().to_string().starts_with("missing field `cents`"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not written as JSON by a workflow",
    label = "needs `impl WireJson for {Self} {{}}`, beside serde's two traits"
)]
pub trait WireJson: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: WireJson> Wire for T {
    fn write(&self) -> Result<Vec<u8>, WireError> {
        serde_json::to_vec(self).map_err(WireError::new)
    }

    fn read(bytes: &[u8]) -> Result<Self, WireError> {
        serde_json::from_slice(bytes).map_err(WireError::new)
    }
}
