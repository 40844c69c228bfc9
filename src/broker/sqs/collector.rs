//! Requests of ten: what is asked for one at a time is put together while another request
//! is under way.

use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::sleep::{after, at};

/// The most entries of a request.
pub(super) const ENTRIES: usize = 10;

/// How long an entry waits for others, where requests are under way.
const TOGETHER: Duration = Duration::from_millis(5);

/// What a part of a request takes of its room.
pub(super) trait Part: Send + 'static {
    fn entries(&self) -> usize;
    fn bytes(&self) -> usize;
}

/// How much may be under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The bytes of a request.
    pub(super) bytes: usize,
    /// The requests at once. With 1, they arrive in their order.
    pub(super) requests: usize,
}

/// Makes requests until nobody can ask any more.
pub(super) async fn collect<P: Part, F>(
    mut asked: UnboundedReceiver<P>,
    limits: Limits,
    request: impl Fn(Vec<P>) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let (mut under_way, mut parts) = (JoinSet::new(), Vec::new());
    let mut waits_until: Option<Instant> = None;
    let mut open = true;
    while open || !parts.is_empty() || !under_way.is_empty() {
        let first = whole(&parts, limits.bytes);
        let is_full = first < parts.len() || entries(&parts) >= ENTRIES;
        let is_time = waits_until.is_some_and(|until| until <= Instant::now());
        let may = !parts.is_empty() && under_way.len() < limits.requests;
        if may && (is_full || is_time || under_way.is_empty()) {
            let rest = parts.split_off(first);
            under_way.spawn(request(std::mem::replace(&mut parts, rest)));
            waits_until = (!parts.is_empty()).then(|| after(TOGETHER));
            continue;
        }
        let room = ENTRIES.saturating_mul(limits.requests).saturating_sub(parts.len());
        tokio::select! {
            biased;
            Some(_) = under_way.join_next(), if !under_way.is_empty() => {}
            more = asked.recv_many(&mut parts, room), if open && room > 0 => {
                open = more > 0;
                waits_until.get_or_insert_with(|| after(TOGETHER));
            }
            () = at(waits_until), if may => {}
            else => tokio::task::yield_now().await,
        }
    }
}

fn entries<P: Part>(parts: &[P]) -> usize {
    parts.iter().fold(0, |sum, part| sum.saturating_add(part.entries()))
}

/// How many of the first parts fit into one request: one at least, since none is too
/// large alone.
fn whole<P: Part>(parts: &[P], most_bytes: usize) -> usize {
    let (mut entries, mut bytes) = (0_usize, 0_usize);
    let fits = parts.iter().take_while(|part| {
        entries = entries.saturating_add(part.entries());
        bytes = bytes.saturating_add(part.bytes());
        entries <= ENTRIES && bytes <= most_bytes
    });
    fits.count().max(1).min(parts.len())
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "tests")]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use proptest::prelude::*;
    use tokio::sync::mpsc;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct One {
        number: usize,
        entries: usize,
        bytes: usize,
    }

    impl Part for One {
        fn entries(&self) -> usize {
            self.entries
        }

        fn bytes(&self) -> usize {
            self.bytes
        }
    }

    const LIMITS: Limits = Limits { bytes: 100, requests: 3 };

    fn requests(parts: Vec<One>) -> Vec<Vec<One>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        let Ok(runtime) = runtime else { return Vec::new() };
        let made = Arc::new(Mutex::new(Vec::new()));
        let lock = |made: &Mutex<Vec<Vec<One>>>| {
            made.lock().unwrap_or_else(PoisonError::into_inner).clone()
        };
        runtime.block_on(async {
            let (asks, asked) = mpsc::unbounded_channel();
            for part in parts {
                let _ = asks.send(part);
            }
            drop(asks);
            collect(asked, LIMITS, |parts| {
                made.lock().unwrap_or_else(PoisonError::into_inner).push(parts);
                tokio::time::sleep(Duration::from_millis(20))
            })
            .await;
        });
        lock(&made)
    }

    proptest! {
        /// No request is too large, and each part is in one, in the order asked.
        #[test]
        fn every_part_is_in_one_request_that_is_not_too_large(
            sizes in prop::collection::vec((1..=ENTRIES, 0..=100_usize), 0..60),
        ) {
            let parts: Vec<One> = sizes
                .iter()
                .enumerate()
                .map(|(number, &(entries, bytes))| One { number, entries, bytes })
                .collect();
            let made = requests(parts.clone());
            for request in &made {
                prop_assert!(entries(request) <= ENTRIES, "{request:?}");
                let bytes: usize = request.iter().map(Part::bytes).sum();
                prop_assert!(bytes <= LIMITS.bytes, "{request:?}");
            }
            let all: Vec<One> = made.into_iter().flatten().collect();
            prop_assert_eq!(all, parts);
        }
    }

    /// Many that are asked at once need a tenth of the requests.
    #[test]
    fn what_is_asked_at_once_goes_in_tens() {
        let parts = (0..100).map(|number| One { number, entries: 1, bytes: 1 }).collect();
        let sizes: Vec<usize> = requests(parts).iter().map(Vec::len).collect();
        assert_eq!(sizes, [10; 10]);
    }
}
