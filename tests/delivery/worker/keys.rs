//! Ordering keys: lanes never mix up the events of one.

use super::feed::feed;
use super::{Does, Gate, How, Works, keyed_lead, lead};

pub(crate) async fn events_of_one_key_are_handled_in_their_order<D: Works>() {
    let (database, (feed, fed)) = (D::fresh().await, feed());
    let gate = Gate::closed();
    let worker = database.work(fed, gate.clone(), How::default()).await;
    // The first of the key waits; the later ones must not pass it, on whatever lane.
    feed.deliver(keyed_lead("1", "a", Does::Wait));
    feed.deliver(keyed_lead("2", "a", Does::Write));
    feed.deliver(keyed_lead("3", "a", Does::Write));
    gate.until_waiting(1).await;
    feed.deliver(lead("4", Does::Write));
    gate.open();
    feed.told(4).await;
    assert_eq!(worker.end().await.processed, 4);
    let sql = "SELECT name FROM effect WHERE name <> '4' ORDER BY place";
    assert_eq!(database.texts(sql).await, ["1", "2", "3"]);
}
