//! Which database a command line means.

use std::ffi::OsStr;
use std::path::Path;

/// Where a database is.
pub(crate) enum Place<'a> {
    File(&'a Path),
    #[cfg(feature = "postgres")]
    Server {
        /// It may hold a password, so no error repeats it.
        url: &'a str,
        /// A file of authorities that vouch for the server.
        ca: Option<&'a Path>,
    },
}

impl<'a> Place<'a> {
    pub(crate) fn of(database: &'a OsStr, ca: Option<&'a Path>) -> Result<Self, String> {
        let url = database.to_str().filter(|text| {
            text.starts_with("postgres://") || text.starts_with("postgresql://")
        });
        match url {
            #[cfg(feature = "postgres")]
            Some(url) => Ok(Self::Server { url, ca }),
            #[cfg(not(feature = "postgres"))]
            Some(_) => {
                Err("postgres: this program was built without the feature `postgres`"
                    .to_owned())
            }
            None if ca.is_some() => {
                Err("--ca is for the server of a postgres:// address, and this is a file"
                    .to_owned())
            }
            None => Ok(Self::File(Path::new(database))),
        }
    }
}
