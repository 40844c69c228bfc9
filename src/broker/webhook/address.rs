//! Where a receiver is: a URL, with nothing in it that is not kept, and nothing secret of
//! it shown.

use std::fmt;

use http::Uri;

use super::config::WebhookConfig;
use super::guard::{is_public, literal};
use crate::broker::ConfigError;

const ADDRESS: &str = "address of the receiver";

/// The URL that events are posted to. Shown, it is the scheme and the host: path and query
/// may hold a token.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) uri: Uri,
    shown: String,
}

impl Address {
    pub(super) fn read(url: &str, config: &WebhookConfig) -> Result<Self, ConfigError> {
        let form = if config.allow_http {
            "https://host/path or http://host/path"
        } else {
            "https://host/path"
        };
        let unreadable = || ConfigError::hidden(ADDRESS, form);
        let uri: Uri = url.parse().map_err(|_| unreadable())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(unreadable());
        };
        if authority.as_str().contains('@') {
            let wanted = "one without user and password: a receiver knows its sender by \
                          the signature, or by a `bearer_token`";
            return Err(ConfigError::hidden(ADDRESS, wanted));
        }
        if url.contains('#') {
            let wanted = "one without a fragment, which is not sent";
            return Err(ConfigError::hidden(ADDRESS, wanted));
        }
        let host = authority.host();
        if !matches!(scheme, "https" | "http") || host.is_empty() {
            return Err(unreadable());
        }
        if authority.port().is_none() && authority.as_str() != host {
            // Read as none, it would lead to the port of the scheme.
            let wanted = "one whose port is a number up to 65535";
            return Err(ConfigError::new(ADDRESS, wanted, authority.as_str()));
        }
        let is_inside = literal(host).is_some_and(|address| !is_public(address));
        if is_inside && !config.allow_private {
            let wanted = "a public address; for a receiver inside your own network, set \
                          `allow_private`";
            return Err(ConfigError::new(ADDRESS, wanted, host));
        }
        if scheme == "http" && !config.allow_http {
            let wanted = "https://host/path; for http://, set `allow_http`";
            return Err(ConfigError::new(ADDRESS, wanted, "http://"));
        }
        let shown = format!("{scheme}://{authority}");
        Ok(Self { uri, shown })
    }

    pub(super) fn shown(&self) -> &str {
        &self.shown
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str, config: WebhookConfig) -> Result<String, String> {
        let read = Address::read(url, &config);
        read.map(|address| format!("{address:?}")).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_shown_of_an_address_is_never_a_token() {
        let config = WebhookConfig::unsigned;
        assert_eq!(
            read("https://hooks.example.com:8443/T01/secret?token=secret", config()),
            Ok("https://hooks.example.com:8443".to_owned())
        );
        for url in [
            "https://user:secret@example.com/",
            "https://secret@example.com/",
            "https://example.com/#secret",
            "https:///secret",
            "ftp://example.com/secret",
            "/secret",
            "secret",
            "https://exa mple.com/secret",
            "http://example.com/secret",
            "",
        ] {
            let refused = read(url, config()).err().unwrap_or_default();
            assert!(refused.contains("expected"), "{url}: {refused:?}");
            assert!(!refused.contains("secret"), "{url}: {refused}");
        }
        assert!(read("http://example.com/", config().allow_http()).is_ok());
    }

    /// Protects against events that go to the scheme's own port, where another was meant.
    #[test]
    fn a_port_that_is_none_is_refused() {
        for host in ["example.com", "8.8.8.8", "[2606:4700::1111]"] {
            for port in ["", ":1", ":443", ":65535"] {
                let url = format!("https://{host}{port}");
                assert_eq!(read(&url, WebhookConfig::unsigned()), Ok(url.clone()));
            }
            for port in [":", ":65536", ":99999", ":x", ":-1", ":443x"] {
                let url = format!("https://{host}{port}/secret");
                let refused = read(&url, WebhookConfig::unsigned()).err();
                let refused = refused.unwrap_or_default();
                assert!(refused.contains("up to 65535"), "{url}: {refused:?}");
                assert!(!refused.contains("secret"), "{url}: {refused}");
            }
        }
    }

    #[test]
    fn an_address_inside_is_refused_where_it_is_stated() {
        for host in ["127.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "169.254.169.254"] {
            let url = format!("https://{host}/");
            // That it is inside matters more than that it has no TLS.
            for url in [url.clone(), url.replace("https", "http")] {
                let refused = read(&url, WebhookConfig::unsigned()).err();
                assert!(
                    refused.is_some_and(|refused| refused.contains("`allow_private`")),
                    "{url}"
                );
            }
            assert!(read(&url, WebhookConfig::unsigned().allow_private()).is_ok());
        }
    }
}
