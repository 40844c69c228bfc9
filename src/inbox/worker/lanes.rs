//! Work that goes on side by side within one task: a worker's futures need not be `Send`
//! by name, and end with the worker.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// A few futures, polled together.
pub(super) struct Lanes<F>(Vec<Pin<Box<F>>>);

impl<F: Future> Lanes<F> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn begin(&mut self, work: F) {
        self.0.push(Box::pin(work));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the next of them to end gives. Of none, it waits forever.
    pub(super) async fn next(&mut self) -> F::Output {
        poll_fn(|context| {
            for lane in 0..self.0.len() {
                let Some(work) = self.0.get_mut(lane) else { break };
                if let Poll::Ready(output) = work.as_mut().poll(context) {
                    drop(self.0.swap_remove(lane));
                    return Poll::Ready(output);
                }
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(ready: tokio::sync::oneshot::Receiver<u8>) -> u8 {
        ready.await.unwrap_or_default()
    }

    #[tokio::test]
    async fn the_first_to_end_is_the_first_to_answer_and_none_is_lost() {
        let mut lanes = Lanes::new();
        let (first, ready) = tokio::sync::oneshot::channel();
        lanes.begin(answer(ready));
        let (second, ready) = tokio::sync::oneshot::channel();
        lanes.begin(answer(ready));
        assert_eq!(second.send(2), Ok(()));
        assert_eq!((lanes.next().await, lanes.len()), (2, 1));
        assert_eq!(first.send(1), Ok(()));
        assert_eq!(lanes.next().await, 1);
        assert!(lanes.is_empty());
    }
}
