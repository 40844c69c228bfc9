//! Who a program is to the server. What is secret of it is in no `Debug`, no error and no
//! log.

use std::fmt;
use std::sync::Arc;

use async_nats::{Auth, AuthError};
use nkeys::{KeyPair, KeyPairType};

use crate::broker::ConfigError;

#[derive(Clone)]
pub(super) enum Credentials {
    None,
    User { name: String, password: String },
    Token(String),
    Nkey(Arc<KeyPair>),
    Jwt { jwt: String, key: Arc<KeyPair> },
}

impl Credentials {
    pub(super) fn of_seed(seed: &str) -> Result<Self, ConfigError> {
        Ok(Self::Nkey(Arc::new(
            user_key(seed).ok_or_else(|| ConfigError::hidden("nkey", SEED))?,
        )))
    }

    pub(super) fn of_creds(creds: &str) -> Result<Self, ConfigError> {
        let unusable = || ConfigError::hidden("credentials", CREDS);
        let jwt = block(creds, "NATS USER JWT").ok_or_else(unusable)?;
        let key =
            block(creds, "USER NKEY SEED").and_then(user_key).ok_or_else(unusable)?;
        Ok(Self::Jwt { jwt: jwt.to_owned(), key: Arc::new(key) })
    }

    /// What is shown to a server that asks for a signature of `nonce`.
    pub(super) fn answer(&self, nonce: &[u8]) -> Result<Auth, AuthError> {
        let mut auth = Auth::new();
        match self {
            Self::None => {}
            Self::User { name, password } => {
                (auth.username, auth.password) =
                    (Some(name.clone()), Some(password.clone()));
            }
            Self::Token(token) => auth.token = Some(token.clone()),
            Self::Nkey(key) => {
                (auth.nkey, auth.signature) = (
                    Some(key.public_key()),
                    Some(key.sign(nonce).map_err(AuthError::new)?),
                );
            }
            Self::Jwt { jwt, key } => {
                (auth.jwt, auth.signature) =
                    (Some(jwt.clone()), Some(key.sign(nonce).map_err(AuthError::new)?));
            }
        }
        Ok(auth)
    }

    pub(super) const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// As whom, without what is secret.
impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("without credentials"),
            Self::User { name, .. } => write!(f, "as the user {name:?} with a password"),
            Self::Token(_) => f.write_str("with a token"),
            Self::Nkey(key) => write!(f, "with the nkey {}", key.public_key()),
            Self::Jwt { key, .. } => write!(f, "with the JWT of {}", key.public_key()),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const SEED: &str = "the seed of a user, SU...";
const CREDS: &str = "that of a .creds file, with a JWT and the seed of its user";

fn user_key(seed: &str) -> Option<KeyPair> {
    KeyPair::from_seed(seed.trim())
        .ok()
        .filter(|key| key.key_pair_type() == KeyPairType::User)
}

/// The line between `-----BEGIN {title}-----` and the line of dashes that ends it.
fn block<'c>(creds: &'c str, title: &str) -> Option<&'c str> {
    let begin = format!("BEGIN {title}-");
    let mut lines = creds
        .lines()
        .map(str::trim)
        .skip_while(|line| !(line.starts_with("---") && line.contains(&begin)));
    lines.nth(1).filter(|line| !line.is_empty() && !line.starts_with("---"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_shown() {
        let seed = KeyPair::new_user().seed().unwrap_or_default();
        let creds = format!(
            "-----BEGIN NATS USER JWT-----\r\nheader.claims.signature\r\n------END NATS USER JWT------\r\n\r\n\
             -----BEGIN USER NKEY SEED-----\r\n{seed}\r\n------END USER NKEY SEED------\r\n"
        );
        let user =
            Credentials::User { name: "app".to_owned(), password: "s3cr3t".to_owned() };
        let token = Credentials::Token("s3cr3t".to_owned());
        let both = [Credentials::of_seed(&seed), Credentials::of_creds(&creds)]
            .map(|read| format!("{read:?}"));
        for shown in
            [format!("{user:?} {user}"), format!("{token:?} {token}"), both.concat()]
        {
            for secret in ["s3cr3t", &seed, "claims"] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
        assert!(both.iter().all(|shown| shown.starts_with("Ok(with the")), "{both:?}");
        let account = KeyPair::new_account().seed().unwrap_or_default();
        assert!(Credentials::of_seed(&account).is_err(), "an account is no user");
    }
}
