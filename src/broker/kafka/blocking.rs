//! Calls of the client library that block: each in a thread of its own, for which neither
//! the runtime nor its end waits.

use tokio::sync::oneshot;

/// Does the work apart from everything else.
pub(super) fn aside(work: impl FnOnce() + Send + 'static) {
    // Where no thread is to be had, what the work holds is dropped here.
    let _ = std::thread::Builder::new().name("kafka".to_owned()).spawn(work);
}

/// The same, and what comes of it; nothing where it has ended without.
pub(super) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    begin_apart(work).await.ok()
}

/// Begins it. It goes on where nobody waits for what comes of it.
pub(super) fn begin_apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> oneshot::Receiver<T> {
    let (tell, told) = oneshot::channel();
    aside(move || drop(tell.send(work())));
    told
}
