//! Which database is meant, and what is asked of one, whichever it is.

use integration_automation_patterns::workflow::{Desk, WorkflowDatabase};

use crate::arguments::{Move, Request};
use crate::moves::NotMade;
use crate::place::Place;
#[cfg(feature = "postgres")]
use crate::postgres;
use crate::reason::chain;
use crate::report::Report;
use crate::sqlite;
use crate::work;

/// The table without which there are no workflows: none is made where somebody mistyped a
/// name.
pub(crate) const TABLE: &str = "workflow_instance";

/// A database with its desk.
pub(crate) trait Database {
    fn desk(&self) -> &Desk<impl WorkflowDatabase>;

    /// Makes a move of one instance, in one transaction.
    async fn make(&self, wanted: &Move) -> Result<(), NotMade>;
}

/// Does what was asked, on the database that was named.
pub(crate) async fn run(request: &Request) -> Result<Report, String> {
    let place = Place::of(&request.database, request.ca.as_deref())?;
    let name = match place {
        #[cfg(feature = "postgres")]
        Place::Server { .. } => "postgres".to_owned(),
        Place::File(path) => path.display().to_string(),
    };
    let asked = async {
        match place {
            #[cfg(feature = "postgres")]
            Place::Server { url, ca } => {
                work::run(&postgres::Schema::connect(url, ca).await?, &request.ask).await
            }
            Place::File(path) => {
                work::run(&sqlite::File::open(path, &request.ask)?, &request.ask).await
            }
        }
    };
    asked.await.map_err(|error| format!("{name}: {}", chain(&*error)))
}

pub(crate) fn no_table() -> String {
    format!("wanted a database with a table {TABLE}, and this one has none")
}
