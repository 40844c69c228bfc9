//! What an instance is about stands in its row alone: no failure, list or report quotes it.

use std::time::Duration;

use integration_automation_patterns::workflow::Discrepancy;

use crate::desk::AtADesk;
use crate::suite::*;

/// Protects the customer from an error of the program's own format, which quotes what it
/// cannot read.
pub(crate) async fn what_cannot_be_read_is_quoted_nowhere<D: AtADesk>() {
    let database = D::fresh().await;
    let _ = database.begin("1", 31_415, true).await;
    database.spoil("s3cr3t").await;
    database.pass_time(DAY).await;
    let error = database.load("1").await.unwrap_err();
    let stuck = database.stuck(Duration::ZERO).await;
    assert_eq!(database.clerk(config()).await.failed, 1);
    let listed = "SELECT turn_failure FROM workflow_instance WHERE turn_failures = 1";
    let findings = database.verify().await;
    assert!(matches!(findings[0].what, Discrepancy::Unreadable { .. }), "{findings:?}");
    let found = database.look(&event_id("1")).await;
    let said = format!(
        "{error} {stuck:?} {} {findings:?} {} {found:?}",
        database.text(listed).await,
        findings[0]
    );
    assert!(said.contains("the data of the instance cannot be read"), "{said}");
    assert!(!said.contains("s3cr3t"), "{said}");
}
