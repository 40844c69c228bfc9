//! Which database is meant, and what is asked of one, whichever it is.

use integration_automation_patterns::workflow::{Desk, WorkflowDatabase};

use crate::arguments::{Move, Request};
#[cfg(feature = "postgres")]
use crate::line;
use crate::moves::NotMade;
use crate::place::{Place, refusal};
#[cfg(feature = "postgres")]
use crate::postgres::Schema;
use crate::report::Report;
use crate::sqlite::File;
use crate::work;

/// A database with its desk.
pub(crate) trait Database {
    fn desk(&self) -> &Desk<impl WorkflowDatabase>;

    /// Makes a move of one instance, in one transaction.
    async fn make(&self, wanted: &Move) -> Result<(), NotMade>;
}

/// Does what was asked, on the database that was named.
pub(crate) async fn run(request: &Request) -> Result<Report, String> {
    let Request { database, way, ask, .. } = request;
    match Place::of(database, way)? {
        #[cfg(feature = "postgres")]
        Place::Server { url, way } => {
            let (config, ca) =
                (line::config(&url, way.schema.as_deref())?, way.ca.as_deref());
            let name = crate::place::name(&config);
            let asked =
                async { work::run(&Schema::connect(config, ca).await?, ask).await };
            asked.await.map_err(|error| refusal(&name, &*error))
        }
        Place::File(path) => {
            let asked = async { work::run(&File::open(path, ask)?, ask).await };
            let name = path.display().to_string();
            asked.await.map_err(|error| refusal(&name, &*error))
        }
    }
}
