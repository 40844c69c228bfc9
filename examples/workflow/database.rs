//! Which database is meant, and the desk in it.

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

/// The desk of one database.
pub(crate) enum Desk {
    Sqlite(sqlite::File),
    #[cfg(feature = "postgres")]
    Postgres(Box<postgres::Schema>),
}

/// Asks the desk, whichever database it is in.
macro_rules! ask {
    ($desk:expr, $name:ident => $asks:expr) => {
        match $desk {
            $crate::database::Desk::Sqlite(file) => {
                let $name = &file.desk;
                $asks
            }
            #[cfg(feature = "postgres")]
            $crate::database::Desk::Postgres(schema) => {
                let $name = &schema.desk;
                $asks
            }
        }
    };
}
pub(crate) use ask;

impl Desk {
    /// Makes a move of one instance, in one transaction.
    pub(crate) async fn make(&self, wanted: &Move) -> Result<(), NotMade> {
        match self {
            Self::Sqlite(file) => file.make(wanted),
            #[cfg(feature = "postgres")]
            Self::Postgres(schema) => schema.make(wanted).await,
        }
    }
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
        let desk = match place {
            #[cfg(feature = "postgres")]
            Place::Server { url, ca } => {
                Desk::Postgres(Box::new(postgres::Schema::connect(url, ca).await?))
            }
            Place::File(path) => Desk::Sqlite(sqlite::File::open(path, &request.ask)?),
        };
        work::run(&desk, &request.ask).await
    };
    asked.await.map_err(|error| format!("{name}: {}", chain(&*error)))
}

pub(crate) fn no_table() -> String {
    format!("wanted a database with a table {TABLE}, and this one has none")
}
