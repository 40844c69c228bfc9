//! The streaming pull, in the hands of a task: it keeps what arrives, looks now and then
//! whether the server is there, and opens the stream anew where it is not.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use google_cloud_gax::error::rpc::Code;
use google_cloud_pubsub::client::SubscriptionAdmin;
use google_cloud_pubsub::subscriber::{MessageStream, ShutdownBehavior, ShutdownToken};
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

/// How long nothing must arrive, once a listener has ended, until its stream is closed.
/// The client sends acks after up to 100 ms, and each may bring the next of its key. After
/// half a second it extends deadlines for the first time, which may overtake what gives a
/// message back: not then.
const TO_ARRIVE: Duration = Duration::from_millis(300);

/// How long that may take in all: on a busy topic there is no quiet.
const TO_CLOSE: Duration = Duration::from_secs(3);

/// How a listener reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reads {
    pub(super) max_outstanding: u16,
    pub(super) ack_deadline: Duration,
    pub(super) max_lease: Duration,
}

/// Pulls until the listener has ended, and gives back what it holds then.
pub(super) async fn pull(hold: Arc<Hold>, server: Arc<Server>, reads: Reads) {
    let last = tokio::select! {
        last = streams(&hold, &server, reads) => last,
        never = hold.turn() => match never {},
    };
    hold.give_back();
    if let Some(stream) = last {
        // Until the server knows it; what is in hand is not waited for any longer.
        let _ = timeout(server.within, stream.shutdown()).await;
    }
}

/// Reads one stream after another until the listener has ended: what is left of the last.
async fn streams(hold: &Hold, server: &Server, reads: Reads) -> Option<ShutdownToken> {
    loop {
        match one_stream(hold, server, reads).await {
            Ok(last) => return last,
            Err(failed) => hold.fail(failed),
        }
        tokio::select! {
            biased;
            () = hold.closed() => return None,
            () = sleep(AFTER_A_FAILURE) => {}
        }
    }
}

/// Reads a stream until it fails, or the listener has ended: then what is left of it.
async fn one_stream(
    hold: &Hold,
    server: &Server,
    reads: Reads,
) -> Result<Option<ShutdownToken>, BrokerError> {
    let began = tokio::select! {
        biased;
        () = hold.closed() => return Ok(None),
        began = begin(hold, server, reads) => began,
    };
    let (mut stream, admin) = began?;
    let mut over = pin!(over(hold, &admin, server.within));
    loop {
        let next = tokio::select! {
            biased;
            over = &mut over => return over.map(|()| Some(stream.shutdown_token())),
            next = stream.next() => next,
        };
        match next {
            Some(Ok((message, handler))) => hold.keep(message, handler),
            Some(Err(error)) => return Err(verdict::of(&about(hold), &error)),
            None => {
                let why = format!("{}: the stream has ended", about(hold));
                return Err(BrokerError::unreachable(why));
            }
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

/// Until the listener has ended and nothing more arrives, since what is on its way to a
/// stream that closes stays there until its deadline is over; or until the server is gone.
async fn over(
    hold: &Hold,
    admin: &SubscriptionAdmin,
    within: Duration,
) -> Result<(), BrokerError> {
    tokio::select! {
        biased;
        () = hold.closed() => {}
        failed = gone(hold, admin, within) => return Err(failed),
    }
    hold.hear();
    let _ = timeout(TO_CLOSE, hold.quiet(TO_ARRIVE)).await;
    Ok(())
}

/// Looks for the server whenever it is quiet, until it is gone.
async fn gone(hold: &Hold, admin: &SubscriptionAdmin, within: Duration) -> BrokerError {
    loop {
        hold.quiet(QUIET).await;
        if let Err(failed) = look(hold, admin, within).await {
            return failed;
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
    let Ok(answer) = timeout(within, asked).await else {
        return Err(silence(hold, within));
    };
    hold.hear();
    let Err(error) = answer else { return Ok(()) };
    if error.status().is_some_and(|status| status.code == Code::PermissionDenied) {
        return Ok(());
    }
    if verdict::is_silence(&error) {
        return Err(silence(hold, within));
    }
    Err(verdict::of(&about(hold), &error))
}

fn silence(hold: &Hold, within: Duration) -> BrokerError {
    BrokerError::unreachable(format!("{}: no answer within {within:?}", about(hold)))
}

fn about(hold: &Hold) -> String {
    format!("the subscription {}", hold.subscription)
}
