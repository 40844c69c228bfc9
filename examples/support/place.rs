//! Which database a command line means.

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use integration_automation_patterns::outbox::{StoreError, StoreErrorKind};

use crate::command_line::Given;
use crate::reason::chain;

/// Where a database is.
pub(crate) enum Place<'a> {
    File(&'a Path),
    #[cfg(feature = "postgres")]
    Server {
        /// It may hold a password, so no error repeats it.
        url: String,
        way: &'a Way,
    },
}

/// What the command line says of the way to a server.
pub(crate) struct Way {
    /// A file of authorities that vouch for the server.
    pub(crate) ca: Option<PathBuf>,
    /// The schema that holds the tables, as the database lists it.
    pub(crate) schema: Option<String>,
}

impl Way {
    pub(crate) fn given(given: &mut Given) -> Result<Self, String> {
        let schema = given.take("schema");
        if let Some(name) = schema.as_ref().filter(|name| !is_identifier(name)) {
            return Err(format!(
                "wanted a name of letters, digits and _ for --schema, and found {name:?}"
            ));
        }
        Ok(Self { ca: given.take("ca").map(PathBuf::from), schema })
    }
}

fn is_identifier(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && characters.all(|other| other.is_alphanumeric() || other == '_')
}

impl<'a> Place<'a> {
    /// What is neither a file nor an address is not repeated: it may be an address with a
    /// slip in it, and hold a password.
    pub(crate) fn of(database: &'a OsStr, way: &'a Way) -> Result<Self, String> {
        let text = database.to_string_lossy();
        if let Some((scheme, rest)) = text.split_once("://")
            && ["postgres", "postgresql"].contains(&&*scheme.to_ascii_lowercase())
        {
            return Self::server(rest, way);
        }
        let path = Path::new(database);
        let is_plain =
            !text.starts_with(char::is_whitespace) && !text.contains([':', '@', '=']);
        if !is_plain && !path.exists() {
            return Err(
                "wanted a SQLite file or postgres://user:password@host/name, and \
                        found neither (it is not repeated here, since it may hold a \
                        password)"
                    .to_owned(),
            );
        }
        if way.ca.is_some() || way.schema.is_some() {
            return Err(
                "--ca and --schema are for the server of a postgres:// address, \
                        and this is a file"
                    .to_owned(),
            );
        }
        Ok(Self::File(path))
    }

    #[cfg(feature = "postgres")]
    fn server(rest: &str, way: &'a Way) -> Result<Self, String> {
        Ok(Self::Server { url: format!("postgres://{rest}"), way })
    }

    #[cfg(not(feature = "postgres"))]
    fn server(_: &str, _: &Way) -> Result<Self, String> {
        Err("postgres: this program was built without the feature `postgres`".to_owned())
    }
}

/// The database that is meant, in front of its errors.
#[cfg(feature = "postgres")]
pub(crate) fn name(config: &tokio_postgres::Config) -> String {
    let user = config.get_user().unwrap_or("the user of this process");
    let options = config.get_options().unwrap_or_default();
    let schema = options.rsplit_once("search_path=").map(|(_, path)| {
        format!(", schema {}", path.split(' ').next().unwrap_or(path).trim_matches('"'))
    });
    let (name, schema) =
        (config.get_dbname().unwrap_or(user), schema.unwrap_or_default());
    format!("database {name}{schema}, as {user}")
}

/// Why a database did not do what was asked, with what an operator can do about its
/// tables.
pub(crate) fn refusal(database: &str, error: &(dyn Error + 'static)) -> String {
    let is_older = error
        .downcast_ref::<StoreError>()
        .is_some_and(|error| error.kind() == StoreErrorKind::OlderSchema);
    let cure = if is_older {
        " (`outbox <DATABASE> migrate` brings older tables up to date)"
    } else {
        ""
    };
    format!("{database}: {}{cure}", chain(error))
}
