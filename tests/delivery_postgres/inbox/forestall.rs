//! An event is forestalled while another transaction is about to process it.

use chrono::Utc;
use integration_automation_patterns::inbox::Forestalled;
use integration_automation_patterns::inbox::postgres::{forestall, receive};

use super::*;

/// Protects from "it never will be" about an event whose effect is about to be committed;
/// and from "it was done" about one that is rolled back.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn what_is_under_way_is_waited_for() {
    let database = with_inbox().await;
    for (id, commits, expected) in
        [("a", true, Forestalled::WasDone), ("b", false, Forestalled::NeverWill)]
    {
        let mut consumer = database.session().await;
        let transaction = consumer.transaction().await.unwrap();
        let receipt = receive(transaction, delivery(id), &inbox_config()).await.unwrap();
        let Receipt::New(fresh) = receipt else { panic!("{receipt:?}") };

        let mut undo = database.session().await;
        let was = tokio::spawn(async move {
            let transaction = undo.transaction().await.unwrap();
            let (known, config) = (event(id).id().clone(), inbox_config());
            let was = forestall(&transaction, "crm", &known, Utc::now(), &config).await;
            transaction.commit().await.unwrap();
            was.unwrap()
        });
        database.until_waiting(1).await;
        if commits {
            fresh.commit().await.unwrap().ack().await.unwrap();
        } else {
            drop(fresh);
        }
        assert_eq!(was.await.unwrap(), expected, "{id}");
        let mut later = database.session().await;
        let again = have_effect(&mut later, id, &inbox_config(), Ok(())).await;
        match (&again, commits) {
            (Handled::Duplicate(_), true) | (Handled::Forestalled(_), false) => {}
            _ => panic!("{id}: {again:?}"),
        }
    }
}
