//! `ConfigError`: a setting that cannot be kept, refused where it is stated.

use std::fmt;

/// A setting that a relay, a broker's adapter or an inbox cannot keep: which one, what
/// was expected, and what was found.
///
/// ```
/// use integration_automation_patterns::ConfigError;
///
/// let error = ConfigError::new("port", "between 1 and 65535", "0");
/// assert_eq!(error.setting(), "port");
/// assert_eq!(
///     error.to_string(),
///     r#"the port: expected between 1 and 65535, found "0""#
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    setting: &'static str,
    expected: String,
    found: Option<String>,
}

impl ConfigError {
    /// Says what is wrong with a setting. The error shows what was found: where that may
    /// be a secret, use [`hidden`](Self::hidden).
    pub fn new(
        setting: &'static str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self { setting, expected: expected.into(), found: Some(found.into()) }
    }

    /// Says what is wrong with a setting that may hold a password, such as an address,
    /// and does not show it.
    ///
    /// ```
    /// use integration_automation_patterns::ConfigError;
    ///
    /// let error = ConfigError::hidden("address", "nats://host:4222");
    /// assert_eq!(error.found(), None);
    /// assert_eq!(
    ///     error.to_string(),
    ///     "the address: expected nats://host:4222, found another value (not shown: it \
    ///      may hold a password)"
    /// );
    /// ```
    pub fn hidden(setting: &'static str, expected: impl Into<String>) -> Self {
        Self { setting, expected: expected.into(), found: None }
    }

    /// The setting, by the name of its setter.
    pub const fn setting(&self) -> &'static str {
        self.setting
    }

    /// What was expected of it.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What was found; nothing where it may hold a password.
    pub fn found(&self) -> Option<&str> {
        self.found.as_deref()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {}: expected {}, found ", self.setting, self.expected)?;
        match &self.found {
            Some(found) => write!(f, "{found:?}"),
            None => f.write_str("another value (not shown: it may hold a password)"),
        }
    }
}

impl std::error::Error for ConfigError {}
