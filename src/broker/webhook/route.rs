//! `Route`: the path that a service sends its webhooks to, and how it is known there.

use std::collections::BTreeSet;
use std::fmt;

use http::Uri;

use super::delivered::{Delivered, Refusal, Verified};
use super::endpoint::EndpointConfig;
use super::scheme::Scheme;
use super::signature::Key;
use crate::broker::ConfigError;
use crate::broker::percent::decoded;

/// The path that a service sends its webhooks to, and how it is known there.
///
/// ```
/// use integration_automation_patterns::broker::webhook::{
///     EndpointConfig, Route, Scheme, endpoint,
/// };
///
/// let stripe = Route::new("/stripe", Scheme::Stripe, "whsec_new").secret("whsec_old");
/// assert_eq!(format!("{stripe:?}"), r#"Route { path: "/stripe", scheme: Stripe, .. }"#);
/// let billing = Route::new("/billing", Scheme::Standard, "whsec_tooshort");
/// let refused = endpoint([stripe, billing], EndpointConfig::default()).unwrap_err();
/// assert_eq!((refused.setting(), refused.found()), ("secret", None));
/// ```
#[derive(Clone)]
#[must_use = "a route does nothing until it is passed to `endpoint`"]
pub struct Route {
    path: String,
    scheme: Scheme,
    known_by: KnownBy,
    secrets: Vec<String>,
    source: Option<String>,
    origins: Vec<String>,
}

/// What shows that a request comes from whom it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KnownBy {
    Signature,
    Token,
    Nothing,
}

impl Route {
    /// Takes what is signed with this secret, as the service hands it out.
    pub fn new(
        path: impl Into<String>,
        scheme: Scheme,
        secret: impl Into<String>,
    ) -> Self {
        Self::known_by(path, scheme, KnownBy::Signature).secret(secret)
    }

    /// Takes CloudEvents from senders that show this token, in the header
    /// `authorization` or as the parameter `access_token` of the address, as the
    /// standard's specification for webhooks says.
    pub fn bearer(path: impl Into<String>, token: impl Into<String>) -> Self {
        Self::known_by(path, Scheme::CloudEvents, KnownBy::Token).secret(token)
    }

    /// Takes CloudEvents from any sender: only for a path that no stranger can reach.
    pub fn unsigned(path: impl Into<String>) -> Self {
        Self::known_by(path, Scheme::CloudEvents, KnownBy::Nothing)
    }

    fn known_by(path: impl Into<String>, scheme: Scheme, known_by: KnownBy) -> Self {
        Self {
            path: path.into(),
            scheme,
            known_by,
            secrets: Vec::new(),
            source: None,
            origins: Vec::new(),
        }
    }

    /// Takes this secret, or token, too, while the sender changes from one to the next.
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// The system that the events come from: by default `stripe`, `github`, `shopify` or
    /// `slack`. For [`Scheme::Standard`] and [`Scheme::Svix`] it must be stated. A
    /// CloudEvent states its own: with this, only those from this source are taken, and
    /// without, all but those from the source of another route.
    ///
    /// Each route has another source: an inbox tells events apart by source and id, and a
    /// sender who knows one secret must not take the ids of another sender's events.
    pub fn source(self, source: impl Into<String>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// Answers the handshake of CloudEvents for this origin, such as
    /// `eventgrid.azure.net`: it may send. `*` is any.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    pub(super) fn check(self) -> Result<(String, Checked), ConfigError> {
        let path = self.path.clone();
        let is_path = path.starts_with('/')
            && path.parse::<Uri>().is_ok_and(|uri| uri.path() == path);
        if !is_path {
            let wanted = "a path such as /hooks/github, without a query";
            return Err(match shown(&path) {
                Some(path) => ConfigError::new("path", wanted, path),
                None => ConfigError::hidden("path", wanted),
            });
        }
        match self.checked() {
            Ok(checked) => Ok((path, checked)),
            Err(refused) => {
                let wanted = format!("for {path}, {}", refused.expected());
                Err(match refused.found() {
                    Some(found) => ConfigError::new(refused.setting(), wanted, found),
                    None => ConfigError::hidden(refused.setting(), wanted),
                })
            }
        }
    }

    fn checked(self) -> Result<Checked, ConfigError> {
        let Self { path: _, scheme, known_by, secrets, source, origins } = self;
        if known_by == KnownBy::Nothing && !secrets.is_empty() {
            let wanted = "none, as the route is `unsigned`";
            return Err(ConfigError::hidden("secret", wanted));
        }
        let key = |secret: &String| match known_by {
            KnownBy::Token => token(secret),
            KnownBy::Signature | KnownBy::Nothing => scheme.key(secret),
        };
        let keys = secrets.iter().map(key).collect::<Result<_, _>>()?;
        let source = source_of(scheme, source)?;
        if scheme != Scheme::CloudEvents && !origins.is_empty() {
            let wanted = "none, as only CloudEvents have a handshake";
            return Err(ConfigError::new("allow_origin", wanted, origins.join(", ")));
        }
        Ok(Checked { scheme, known_by, keys, source, origins })
    }
}

/// A path as it may be shown: what does not begin as one may be a secret in its place, and
/// a query may hold a token.
fn shown(path: &str) -> Option<&str> {
    (path.starts_with('/') && !path.contains('?')).then_some(path)
}

impl fmt::Debug for Route {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("path", &shown(&self.path).unwrap_or("***"))
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

/// The system that the events of a route come from; nothing where each may state another.
fn source_of(scheme: Scheme, stated: Option<String>) -> Result<String, ConfigError> {
    if scheme == Scheme::CloudEvents && stated.is_none() {
        return Ok(String::new());
    }
    let source =
        stated.or_else(|| scheme.source().map(str::to_owned)).unwrap_or_default();
    if source.trim().is_empty() {
        let wanted = "the name of the system that the events come from";
        return Err(ConfigError::new(SOURCE, wanted, source));
    }
    Ok(source)
}

pub(super) const SOURCE: &str = "source";

/// The key of a token, which has the characters that a bearer token may have.
fn token(token: &str) -> Result<Key, ConfigError> {
    let is_one = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if !token.trim_end_matches('=').bytes().all(is_one) {
        let wanted = "letters, digits and - . _ ~ + / in ASCII, and = at the end";
        return Err(ConfigError::hidden("token", wanted));
    }
    Key::of_text(token)
}

/// The token of a header `authorization`. The name of its scheme has no case in HTTP.
fn of_bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

/// The token of a query, where `+ / =` may be percent-encoded.
fn of_query(query: &str) -> Option<String> {
    let mut pairs = query.split('&');
    let token = pairs.find_map(|pair| pair.strip_prefix("access_token="))?;
    decoded(token).ok()
}

/// A route whose settings can be kept.
pub(super) struct Checked {
    pub(super) scheme: Scheme,
    known_by: KnownBy,
    keys: Vec<Key>,
    /// Empty where each event may state another.
    pub(super) source: String,
    origins: Vec<String>,
}

impl Checked {
    /// The request, where it comes from whom it should.
    pub(super) fn verify<'r>(
        &self,
        delivered: Delivered<'r>,
        query: Option<&str>,
        config: &EndpointConfig,
    ) -> Result<Verified<'r>, Refusal> {
        match self.known_by {
            KnownBy::Signature => {
                self.scheme.verify(delivered, &self.keys, config.tolerance)
            }
            KnownBy::Nothing => Ok(delivered.without_a_signature()),
            KnownBy::Token => {
                let header = delivered.header("authorization").ok();
                let header = header.and_then(of_bearer);
                let shown = header.map(str::to_owned).or_else(|| of_query(query?));
                let Some(shown) = shown else {
                    return Err(Refusal::unauthorized("a bearer token is missing"));
                };
                if self.keys.iter().any(|key| key.is(&shown)) {
                    return Ok(delivered.without_a_signature());
                }
                Err(Refusal::unauthorized("the bearer token is another one"))
            }
        }
    }

    /// Whether a CloudEvent that states this source may come here, beside routes with
    /// these sources.
    pub(super) fn takes(&self, stated: &str, sources: &BTreeSet<String>) -> bool {
        match self.source.as_str() {
            "" => !sources.contains(stated),
            own => own == stated,
        }
    }

    /// Whether this origin may send, where it asks.
    pub(super) fn allows(&self, origin: &str) -> bool {
        let is_it =
            |allowed: &String| allowed == "*" || allowed.eq_ignore_ascii_case(origin);
        self.origins.iter().any(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(route: Route) -> String {
        route.check().err().map(|refused| refused.to_string()).unwrap_or_default()
    }

    /// Protects a secret that stands in the place of the path from the log of a start that
    /// failed.
    #[test]
    fn what_is_no_path_may_be_a_secret_and_is_not_shown() {
        for route in [
            Route::new("topsecret", Scheme::GitHub, "/github"),
            Route::bearer("topsecret", "/events"),
            Route::unsigned("/events?access_token=topsecret"),
        ] {
            let shown = format!("{route:?} {}", refused(route.clone()));
            assert!(shown.contains("the path: expected"), "{shown}");
            assert!(!shown.contains("topsecret"), "{shown}");
        }
        assert!(refused(Route::unsigned("/a b")).ends_with(r#"found "/a b""#));
    }

    #[test]
    fn a_refusal_names_the_route_that_it_is_about() {
        for (route, wanted) in [
            (
                Route::new("/github", Scheme::GitHub, ""),
                "the secret: expected for /github, one that is not empty,",
            ),
            (
                Route::new(
                    "/crm",
                    Scheme::Svix,
                    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                ),
                "the source: expected for /crm, the name of the system",
            ),
        ] {
            let shown = refused(route);
            assert!(shown.starts_with(wanted), "{shown}");
        }
    }
}
