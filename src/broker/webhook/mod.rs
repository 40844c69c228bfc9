//! Webhooks: events as signed requests over HTTP, out to a receiver ([`Webhook`]) and in
//! from a service that sends them ([`endpoint`]).
//!
//! **Out.** Each event is a `POST` in CloudEvents binary mode, with the signature of the
//! [Standard Webhooks] specification. The status of the answer decides what becomes of the
//! event:
//!
//! | the receiver answers | kind of failure |
//! |---|---|
//! | 200 to 299 | none: the event is delivered |
//! | 408, 409, 425, 500 to 599 | *transient*, not before its `retry-after` |
//! | 429 | *unavailable*: it takes nothing before its `retry-after` |
//! | nothing in time, or the connection breaks | *transient*: it may have arrived |
//! | so, or 502, 503, 504, for the fourth different event in a row | *unavailable* |
//! | 300 to 399 (no redirect is followed), 410, 413, any other | *permanent* |
//! | no connection, or no TLS | *unreachable* |
//! | its name leads to an internal address | *unavailable* |
//!
//! **In.** [`endpoint`] gives an [`Endpoint`], which any HTTP server hands its requests
//! to, and [`Hooks`], which a worker listens to. A request is answered with 2xx once the
//! inbox has committed, and not before; the signature is checked before anything is read.
//!
//! [Standard Webhooks]: https://www.standardwebhooks.com
//!
//! ```
//! use integration_automation_patterns::broker::webhook::{
//!     EndpointConfig, Route, Scheme, Webhook, WebhookConfig, endpoint,
//! };
//!
//! const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
//!
//! let out = Webhook::new("https://erp.example.com/crm", WebhookConfig::new(SECRET))?;
//! # assert_eq!(format!("{out:?}"), "Webhook(https://erp.example.com)");
//!
//! let routes = [
//!     Route::new("/crm", Scheme::CloudEvents, SECRET),
//!     Route::new("/github", Scheme::GitHub, "the secret of the repository's hook"),
//! ];
//! let (endpoint, hooks) = endpoint(routes, EndpointConfig::default())?;
//! # drop((endpoint, hooks));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod absence;
mod address;
mod answer;
mod client;
mod config;
mod delivered;
mod endpoint;
mod guard;
mod hooks;
mod route;
mod scheme;
mod sending;
mod signature;

pub use self::config::WebhookConfig;
pub use self::endpoint::{Endpoint, EndpointConfig, endpoint};
pub use self::hooks::{Acker, Hooks};
pub use self::route::Route;
pub use self::scheme::Scheme;
pub use self::sending::Webhook;
