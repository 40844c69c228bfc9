//! Signatures: HMAC-SHA256 with keys that stay secret, made, and compared in constant time.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::broker::ConfigError;

/// A key that signs. No `Debug`, error or log shows it.
#[derive(Clone)]
pub(super) struct Key(Hmac<Sha256>);

/// The shortest key that the Standard Webhooks specification allows.
const SHORTEST: usize = 24;

impl Key {
    /// The key of a secret that is a key as it stands.
    pub(super) fn of_text(secret: &str) -> Result<Self, ConfigError> {
        if secret.is_empty() {
            return Err(ConfigError::hidden("secret", "one that is not empty"));
        }
        // The line break of a file that held it would make another key of it.
        if secret.trim() != secret {
            let wanted = "a text that has no blank or line break around it";
            return Err(ConfigError::hidden("secret", wanted));
        }
        Self::new(secret.as_bytes())
    }

    /// The key of a secret as the Standard Webhooks specification writes it:
    /// `whsec_` and base64.
    pub(super) fn of_standard(secret: &str) -> Result<Self, ConfigError> {
        let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
        let key = of_base64(encoded).filter(|key| key.len() >= SHORTEST);
        Self::new(&key.ok_or_else(not_standard)?)
    }

    fn new(key: &[u8]) -> Result<Self, ConfigError> {
        Hmac::new_from_slice(key).map(Self).map_err(|_| not_standard())
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        parts.iter().fold(self.0.clone(), |mac, part| mac.chain_update(part))
    }

    /// The signature of all parts, one behind the other, in base64.
    pub(super) fn sign(&self, parts: &[&[u8]]) -> String {
        STANDARD.encode(self.mac(parts).finalize().into_bytes())
    }

    /// Whether one of these is the signature of all parts.
    pub(super) fn has_signed(&self, parts: &[&[u8]], signatures: &[Vec<u8>]) -> bool {
        let mac = self.mac(parts);
        signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
    }

    /// Whether this is the text that the key was made of.
    pub(super) fn is(&self, text: &str) -> bool {
        let other = Hmac::<Sha256>::new_from_slice(text.as_bytes());
        other.is_ok_and(|other| {
            let tag = other.finalize().into_bytes();
            self.0.clone().verify_slice(&tag).is_ok()
        })
    }
}

fn not_standard() -> ConfigError {
    ConfigError::hidden(
        "secret",
        "whsec_ and base64 of 24 bytes or more, as the Standard Webhooks specification \
         has it",
    )
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// The bytes that a text in base64 stands for.
pub(super) fn of_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// The bytes that a text of hexadecimal digits stands for.
pub(super) fn of_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| {
        char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
    };
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)?.wrapping_shl(4) | digit(low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_own_example_has_its_signature() -> Result<(), ConfigError> {
        let key = Key::of_standard("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
        let (id, at) = (b"msg_p5jXN8AQM9LWM0D4loKWxJek", b"1614265330");
        let parts: [&[u8]; 5] = [id, b".", at, b".", br#"{"test": 2432232314}"#];
        let signature = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(key.sign(&parts), signature);
        let decoded = of_base64(signature).unwrap_or_default();
        assert!(key.has_signed(&parts, &[Vec::new(), decoded.clone()]));
        assert!(!key.has_signed(&parts[1..], &[decoded]));
        Ok(())
    }

    #[test]
    fn a_secret_is_never_shown_and_one_that_is_too_short_is_refused() {
        for secret in ["", "whsec_", "whsec_c2VjcmV0", "no base64!", "whsec_%%%%"] {
            let refused = Key::of_standard(secret).map_err(|error| error.to_string());
            let refused = refused.err().unwrap_or_default();
            assert!(refused.contains("expected whsec_ and base64"), "{refused}");
            assert!(secret.len() < 7 || !refused.contains(secret), "{refused}");
        }
        let key = Key::of_text("swordfish").map(|key| format!("{key:?}"));
        assert_eq!(key.as_deref(), Ok("Key"));
        for secret in ["", " ", "swordfish\n", "\tswordfish"] {
            let refused = Key::of_text(secret).map_err(|error| error.to_string());
            assert!(refused.is_err_and(|refused| !refused.contains("swordfish")));
        }
        assert!(Key::of_text("sword fish").is_ok());
    }

    #[test]
    fn hexadecimal_is_read_in_pairs_of_digits_and_nothing_else() {
        for (text, wanted) in [
            ("", Some(vec![])),
            ("00fF", Some(vec![0, 255])),
            ("0", None),
            ("0g", None),
            ("+1", None),
            ("é", None),
        ] {
            assert_eq!(of_hex(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_token_is_the_one_that_the_key_was_made_of() -> Result<(), ConfigError> {
        let key = Key::of_text("token")?;
        assert!(key.is("token"));
        assert!(!key.is("tokens") && !key.is(""));
        Ok(())
    }
}
