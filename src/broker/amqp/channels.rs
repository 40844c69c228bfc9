//! The channels that events are sent on: one for each event on its way, so many at the
//! most, and half as many for one type.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use lapin::Channel;
use lapin::options::ConfirmSelectOptions;
use lapin::types::ShortString;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::connection::Line;
use super::refusal::Unanswered;
use crate::broker::BrokerError;
use crate::reason::reason;

/// The most channels, and so the most sends on their way at once. The others wait for one
/// of them: with more, neither the client nor the server is any faster.
const MOST_CHANNELS: u16 = 200;

const WAIT: &str = "wait for the server's confirmation";

/// Channels on which nothing is on its way, and how many more there may be.
pub(super) struct Channels {
    idle: Mutex<Vec<Channel>>,
    limit: u16,
    room: Arc<Semaphore>,
    of_type: Mutex<HashMap<ShortString, Weak<Semaphore>>>,
}

/// A channel for one event.
pub(super) struct Lane {
    channel: Channel,
    /// One among all, and one among those of its type.
    _places: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Lane {
    pub(super) const fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Tells the server to forget it, whatever was sent on it. Its place is free once
    /// that is answered, or has had its time.
    pub(super) async fn close(&self, line: &Line) {
        let _ = line.answer(self.channel.close(200, "no confirmation came".into())).await;
    }
}

impl Channels {
    /// As many as the server lets a connection have.
    pub(super) fn new(limit: u16) -> Self {
        let limit = limit.clamp(1, MOST_CHANNELS);
        Self {
            idle: Mutex::default(),
            limit,
            room: Arc::new(Semaphore::new(limit.into())),
            of_type: Mutex::default(),
        }
    }

    /// A channel for an event of this type. Where none is free in time, nothing was sent:
    /// the server takes no more of this type, or of any.
    pub(super) async fn take(
        &self,
        line: &Line,
        event_type: &ShortString,
    ) -> Result<Lane, BrokerError> {
        let mut of_any = false;
        let places = async {
            let of_type = self.of_type(event_type).acquire_owned().await?;
            of_any = true;
            Ok::<_, AcquireError>((
                Arc::clone(&self.room).acquire_owned().await?,
                of_type,
            ))
        };
        let places = match timeout(line.within(), places).await {
            Ok(places) => {
                places.map_err(|closed| BrokerError::transient(reason(&closed)))?
            }
            Err(_) if of_any => {
                return Err(BrokerError::unavailable(format!(
                    "{} sends {WAIT}",
                    self.limit
                )));
            }
            Err(_) => {
                let limit = self.most_of_type();
                return Err(BrokerError::unroutable(format!(
                    "{limit} sends of {event_type} {WAIT}"
                )));
            }
        };
        let idle = self.idle().pop();
        let channel = match idle.filter(|channel| channel.status().connected()) {
            Some(channel) => channel,
            None => open(line).await.map_err(|error| nothing_sent(line, &error))?,
        };
        Ok(Lane { channel, _places: places })
    }

    pub(super) fn release(&self, lane: Lane) {
        self.idle().push(lane.channel);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Channel>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One type that gets no confirmation leaves room for the others.
    fn most_of_type(&self) -> u16 {
        self.limit.div_ceil(2)
    }

    fn of_type(&self, event_type: &ShortString) -> Arc<Semaphore> {
        let mut of_type = self.of_type.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = of_type.get(event_type).and_then(Weak::upgrade) {
            return room;
        }
        of_type.retain(|_, room| room.strong_count() > 0);
        let room = Arc::new(Semaphore::new(self.most_of_type().into()));
        of_type.insert(event_type.clone(), Arc::downgrade(&room));
        room
    }
}

async fn open(line: &Line) -> Result<Channel, Unanswered> {
    let channel = line.channel().await?;
    line.answer(channel.confirm_select(ConfirmSelectOptions::default())).await?;
    Ok(channel)
}

/// Before anything was written, a failure is the connection's, or the place's.
fn nothing_sent(line: &Line, error: &Unanswered) -> BrokerError {
    match line.is_alive() {
        true => BrokerError::unavailable(format!("no channel to send on: {error}")),
        false => BrokerError::unreachable(error.to_string()),
    }
}
