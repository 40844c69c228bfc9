//! Proof that neither a clerk nor a desk reads in SQLite what it does not ask for: the
//! plans of their statements.

use rusqlite::Connection;

use super::clerk::DUE;
use super::install;
use crate::workflow::durable::desk::{COUNTS, ENDED, OLDEST};

/// The lines of a plan.
fn plan(sql: &str) -> Vec<String> {
    let mut database = Connection::open_in_memory().unwrap();
    install(&mut database).unwrap();
    let mut explain = database.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    // Values need none.
    explain.raw_query().mapped(|row| row.get("detail")).map(Result::unwrap).collect()
}

/// Protects from a look that takes the longer the more instances wait, or are due and
/// nobody's.
#[test]
fn a_clerk_finds_the_first_of_each_workflow_in_the_index() {
    let plan = plan(DUE);
    let index = "SEARCH workflow_instance USING INDEX workflow_due \
                 (workflow=? AND turn_at<?)";
    assert!(plan.iter().any(|line| line == index), "{plan:#?}");
    // Sorted are the firsts alone, behind the list of them.
    let sorts = plan.iter().filter(|line| line.contains("TEMP B-TREE")).count();
    assert_eq!(sorts, 1, "{plan:#?}");
    assert_eq!(plan.last().unwrap(), "USE TEMP B-TREE FOR ORDER BY", "{plan:#?}");
    let scans = plan.iter().filter(|line| line.contains("SCAN")).collect::<Vec<_>>();
    assert_eq!(scans, ["SCAN name VIRTUAL TABLE INDEX 1:"], "{plan:#?}");
}

/// Protects from a list of what is stuck, or a purge, that reads and sorts all there is;
/// and from counts that read the data of every instance.
#[test]
fn a_desk_lists_and_counts_by_an_index_in_its_order() {
    for (sql, expected) in [
        (OLDEST, "SEARCH workflow_instance USING INDEX workflow_waiting"),
        (ENDED, "SEARCH workflow_instance USING INDEX workflow_ended"),
        (COUNTS, "SCAN workflow_instance USING COVERING INDEX workflow_at"),
    ] {
        let plan = plan(sql);
        assert!(plan.iter().all(|line| line.starts_with(expected)), "{plan:#?}");
    }
}
