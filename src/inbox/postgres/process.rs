//! A delivery from its receipt to its end in one call, in PostgreSQL.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use tokio_postgres::{Client, Error, Transaction};

use super::counting::{begin_attempt, take_back};
use super::receive::take_in;
use super::rows::{begin_row, find, now, write};
use crate::Envelope;
use crate::broker::Delivery;
use crate::inbox::counting::Tally;
use crate::inbox::failing::{Ended, Meanwhile, STORING, Unkept};
use crate::inbox::handler_error::panicked;
use crate::inbox::intake::RECEIVING;
use crate::inbox::{Handled, HandlerError, InboxConfig};
use crate::state::Acknowledged;
use crate::store::StoreError;
use crate::store::error::Doing;

/// Receives a delivery, runs its handler, and commits: the common case in one call.
///
/// If the handler fails, this rolls back what it wrote and stores its failure. An error
/// that it returns by `?`, and a panic, are transient failures;
/// [`HandlerError::permanent`] says that no attempt can succeed. The handler also fails
/// if the database refuses its writes at the commit (a deferred constraint or trigger, a
/// failed statement that it ignored), or if it ends the transaction by SQL, which only
/// the inbox may do.
///
/// For a [redelivery](Delivery::is_redelivered), this counts and commits the attempt
/// before the handler runs, so that a handler that ends its process, or is dropped, [does
/// not come back forever](super::super#a-handler-that-ends-its-process).
///
/// # Errors
///
/// An error of the database that is not the event's fault: a deadlock, a serialization
/// failure, a full disk, a lost connection. Then nothing is stored, no attempt is spent,
/// and the event comes again. If the answer to the commit was lost, it comes again as a
/// duplicate or as fresh, depending on how that commit ended. A handler that commits by
/// SQL is an error too: the event counts as processed, and what the handler wrote stays.
///
/// ```no_run
/// use integration_automation_patterns::broker::Consumer;
/// use integration_automation_patterns::inbox::{InboxConfig, postgres};
/// use std::time::Duration;
/// use tokio_postgres::{Client, NoTls};
///
/// # async fn consume(mut listener: impl Consumer, config: InboxConfig) {
/// let connect = async || {
///     let (erp, connection) =
///         tokio_postgres::connect("host=127.0.0.1 user=erp", NoTls).await?;
///     tokio::spawn(connection);
///     Ok::<_, tokio_postgres::Error>(erp)
/// };
/// let mut erp = None;
/// loop {
///     let client = match erp.take().filter(|client: &Client| !client.is_closed()) {
///         Some(client) => Ok(client),
///         None => connect().await,
///     };
///     let mut client = match client {
///         Ok(client) => client,
///         Err(error) => {
///             eprintln!("{error}");
///             tokio::time::sleep(Duration::from_secs(1)).await;
///             continue;
///         }
///     };
///     let delivery = match listener.next().await {
///         Ok(Some(delivery)) => delivery,
///         Ok(None) => return,
///         Err(error) => {
///             eprintln!("{error}"); // the next call connects anew
///             continue;
///         }
///     };
///     let handled = postgres::process(
///         &mut client,
///         delivery,
///         &config,
///         async |erp, event| {
///             let lead = event.payload().bytes();
///             erp.execute("INSERT INTO customer VALUES ($1)", &[&lead]).await?;
///             Ok(())
///         },
///     );
///     let settled = match handled.await {
///         Ok(handled) => handled.settle().await.map_err(|error| error.to_string()),
///         Err(error) => Err(format!("{error:#}")),
///     };
///     if let Err(error) = settled {
///         // The event comes again: as a duplicate, where its effect is stored.
///         eprintln!("{error}");
///     }
///     erp = Some(client);
/// }
/// # }
/// ```
pub async fn process<A>(
    client: &mut Client,
    delivery: Delivery<A>,
    config: &InboxConfig,
    handler: impl AsyncFnOnce(
        &Transaction<'_>,
        &Envelope<Acknowledged>,
    ) -> Result<(), HandlerError>,
) -> Result<Handled<A>, StoreError> {
    let mut tally = Tally::new(&delivery, config);
    let handled = attempt(client, delivery, config, &mut tally, handler).await;
    let is_stored = match (&handled, tally.to_take_back()) {
        (Ok(_), _) => true,
        (Err(_), Some(begun)) => take_back(client, [begun]).await.is_ok(),
        (Err(_), None) => false,
    };
    tally.end(is_stored);
    handled
}

async fn attempt<A>(
    client: &mut Client,
    delivery: Delivery<A>,
    config: &InboxConfig,
    tally: &mut Tally<'_>,
    handler: impl AsyncFnOnce(
        &Transaction<'_>,
        &Envelope<Acknowledged>,
    ) -> Result<(), HandlerError>,
) -> Result<Handled<A>, StoreError> {
    if delivery.is_redelivered() {
        begin_attempt(client, &delivery, config, tally).await?;
    }
    let transaction = client.transaction().await.doing(RECEIVING)?;
    let receipt = take_in(transaction, delivery, config, tally.counted()).await?;
    let fresh = match receipt.fresh() {
        ControlFlow::Continue(fresh) => fresh,
        ControlFlow::Break(handled) => return Ok(handled),
    };
    tally.handler_begins();
    let handled = caught(handler(fresh.transaction(), &fresh.event));
    let handled = fresh.instrument(handled).await;
    tally.handler_ended(&handled);
    let stored = match handled {
        Ok(()) => fresh.keep().await.map(Handled::Processed),
        Err(error) => fresh.record(error).await,
    };
    match stored {
        Ok(handled) => Ok(handled),
        Err(Unkept::Untouched(error)) => Err(error),
        Err(Unkept::Ended(ended)) => store(client, *ended).await,
    }
}

/// Stores a failure in a transaction of its own, as far as the row still waits for it.
pub(super) async fn store<A>(
    client: &mut Client,
    ended: Ended<A>,
) -> Result<Handled<A>, StoreError> {
    let (failing, late) = ended.into_parts();
    let stored = async {
        let transaction = client.transaction().await?;
        let outcome = failing.at(now(&transaction).await?);
        // A row of its own, or the lock of that which is there.
        let is_new = begin_row(&transaction, outcome.event()).await?;
        let found =
            if is_new { None } else { find(&transaction, outcome.event()).await? };
        let meanwhile = Meanwhile::of(found.as_ref(), &outcome);
        if meanwhile == Meanwhile::Nothing {
            write(&transaction, outcome.entry()).await?;
        }
        transaction.commit().await?;
        Ok((outcome, meanwhile))
    };
    let stored: Result<_, Error> = stored.await;
    let (outcome, meanwhile) = stored.doing(STORING)?;
    late.report(outcome, meanwhile)
}

/// The handler, whose panic is a failure too: one poison event must not end the consumer
/// again and again.
pub(super) async fn caught(
    handler: impl Future<Output = Result<(), HandlerError>>,
) -> Result<(), HandlerError> {
    let mut handler = pin!(handler);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(context)));
        polled.unwrap_or_else(|panic| Poll::Ready(Err(panicked(&*panic))))
    })
    .await
}
