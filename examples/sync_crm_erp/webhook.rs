//! The two ways over HTTP: each system posts to the endpoint of the other, and this
//! process serves both, each on a free port.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use integration_automation_patterns::EventId;
use integration_automation_patterns::broker::webhook::{
    EndpointConfig, Hooks, Route, Scheme, Webhook, WebhookConfig, endpoint,
};
use tokio::net::TcpListener;

use crate::Outcome;
use crate::broker::{Way, Ways};
use crate::serve::{connections, serve};

/// Longer than the effect of an event takes on a busy database.
const PATIENCE: Duration = Duration::from_secs(9);

pub(crate) async fn ways(host: &str) -> Outcome<Ways<Webhook, Hooks>> {
    let to_erp = way("crm to erp", host).await?;
    Ok(Ways { to_erp, to_crm: way("erp to crm", host).await? })
}

async fn way(name: &'static str, host: &str) -> Outcome<Way<Webhook, Hooks>> {
    // Both ends are in this process: what they share need not outlive it.
    let secret = format!("whsec_{}", STANDARD.encode(EventId::generate().to_string()));
    let listener = TcpListener::bind((host, 0)).await;
    let listener = listener.map_err(|error| format!("{host}: {error}"))?;
    let url = format!("http://{}/events", listener.local_addr()?);

    let route = Route::new("/events", Scheme::CloudEvents, &secret);
    let config = EndpointConfig::default().answer_timeout(PATIENCE);
    let (endpoint, consumer) = endpoint([route], config)?;
    tokio::spawn(serve(connections(listener), endpoint));
    let config = WebhookConfig::new(secret).allow_http().allow_private();
    let broker = Webhook::new(&url, config.request_timeout(PATIENCE))?;
    Ok(Way { name, broker, consumer })
}
