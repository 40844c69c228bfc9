//! The streaming pull, in the hands of a task: it keeps what arrives, looks now and then
//! whether the server is there, and opens the stream anew where it is not.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use google_cloud_gax::error::rpc::Code;
use google_cloud_pubsub::client::SubscriptionAdmin;
use google_cloud_pubsub::subscriber::{MessageStream, ShutdownBehavior};
use tokio::time::{sleep, timeout};

use super::hold::Hold;
use super::server::Server;
use super::verdict;
use crate::broker::BrokerError;
use crate::reason::reason;

/// How long nothing may arrive until the server is asked whether it is there: the client
/// says of no lost connection that it is one, and may wait a minute to make another.
const QUIET: Duration = Duration::from_secs(5);

/// How long it rests after a failure, so that a loop around `next` does not spin.
const AFTER_A_FAILURE: Duration = Duration::from_secs(1);

/// How long nothing must arrive, once a listener has ended, until its stream is closed:
/// what was on its way then goes back at once, and not when its deadline is over.
const TO_ARRIVE: Duration = Duration::from_millis(100);

/// How a listener reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reads {
    pub(super) max_outstanding: u16,
    pub(super) ack_deadline: Duration,
    pub(super) max_lease: Duration,
}

/// Why a stream has ended.
enum Ended {
    Closed,
    Failed(BrokerError),
}

/// Pulls until the listener is dropped.
pub(super) async fn pull(hold: Arc<Hold>, server: Arc<Server>, reads: Reads) {
    let mut closed = pin!(hold.closed.notified());
    loop {
        let began = tokio::select! {
            biased;
            () = &mut closed => return hold.give_back(),
            began = begin(&hold, &server, reads) => began,
        };
        let failed = match began {
            Err(failed) => failed,
            Ok((mut stream, admin)) => {
                let ended = tokio::select! {
                    biased;
                    () = &mut closed => Ended::Closed,
                    failed = deliver(&hold, &mut stream, &admin, server.within) => {
                        Ended::Failed(failed)
                    }
                };
                match ended {
                    Ended::Closed => return end(&hold, stream).await,
                    Ended::Failed(failed) => failed,
                }
            }
        };
        hold.fail(failed);
        tokio::select! {
            biased;
            () = &mut closed => return hold.give_back(),
            () = sleep(AFTER_A_FAILURE) => {}
        }
    }
}

/// A stream on a connection of its own, once the server has said that there is something
/// to read.
async fn begin(
    hold: &Hold,
    server: &Server,
    reads: Reads,
) -> Result<(MessageStream, SubscriptionAdmin), BrokerError> {
    let unbuilt = |error| BrokerError::unreachable(reason(&error));
    let clients = async { (server.subscriptions().await, server.subscriber().await) };
    let (admin, subscriber) = match timeout(server.within, clients).await {
        Ok((admin, subscriber)) => {
            (admin.map_err(unbuilt)?, subscriber.map_err(unbuilt)?)
        }
        Err(_) => return Err(silence(hold, server.within)),
    };
    look(hold, &admin, server.within).await?;
    let stream = subscriber
        .subscribe(&*hold.subscription)
        .set_max_outstanding_messages(reads.max_outstanding)
        .set_max_lease_extension(reads.ack_deadline)
        .set_max_lease(reads.max_lease)
        // What is in hand stays so while a stream is made anew.
        .set_shutdown_behavior(ShutdownBehavior::WaitForProcessing)
        .build();
    Ok((stream, admin))
}

/// Keeps what arrives until the stream fails.
async fn deliver(
    hold: &Hold,
    stream: &mut MessageStream,
    admin: &SubscriptionAdmin,
    within: Duration,
) -> BrokerError {
    loop {
        // Given up while it opens, the stream would open from the start.
        let mut next = pin!(stream.next());
        let next = loop {
            tokio::select! {
                biased;
                next = &mut next => break next,
                () = sleep(QUIET) => {
                    if let Err(failed) = look(hold, admin, within).await {
                        return failed;
                    }
                }
            }
        };
        match next {
            Some(Ok((message, handler))) => hold.keep(message, handler),
            Some(Err(error)) => return verdict::of(&about(hold), &error),
            None => {
                let why = format!("{}: the stream has ended", about(hold));
                return BrokerError::unreachable(why);
            }
        }
    }
}

/// Whether the server is there, and has the subscription. Who may only read it is not
/// told, and needs not know.
async fn look(
    hold: &Hold,
    admin: &SubscriptionAdmin,
    within: Duration,
) -> Result<(), BrokerError> {
    let ask = || admin.get_subscription().set_subscription(&*hold.subscription).send();
    let asked = async {
        match ask().await {
            // The server may close a connection that waits just when it is used again.
            Err(error) if error.is_io() || error.is_transport() => ask().await,
            asked => asked,
        }
    };
    let error = match timeout(within, asked).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => error,
        Err(_) => return Err(silence(hold, within)),
    };
    if error.status().is_some_and(|status| status.code == Code::PermissionDenied) {
        return Ok(());
    }
    if verdict::is_silence(&error) {
        return Err(silence(hold, within));
    }
    Err(verdict::of(&about(hold), &error))
}

/// Gives back what the stream has brought, once it brings no more: what went back before
/// would come to this stream again.
async fn end(hold: &Hold, mut stream: MessageStream) {
    while let Ok(Some(Ok((message, handler)))) = timeout(TO_ARRIVE, stream.next()).await {
        hold.keep(message, handler);
    }
    drop(stream);
    hold.give_back();
}

fn silence(hold: &Hold, within: Duration) -> BrokerError {
    BrokerError::unreachable(format!("{}: no answer within {within:?}", about(hold)))
}

fn about(hold: &Hold) -> String {
    format!("the subscription {}", hold.subscription)
}
