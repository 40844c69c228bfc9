//! The tables: in which schema they are, and which version of them is there.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, GenericClient};

use crate::store::StoreError;
use crate::store::error::Doing;
use crate::store::schema::{CHECKING, INSTALLING, Installed, Part, Upkeep};

/// The schema of a connection: the first of its search path, and no other. Its name as
/// SQL takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) String);

impl Place {
    /// The place of this connection, in a database that can hold what is stored.
    ///
    /// # Errors
    ///
    /// Another encoding than UTF-8, and a search path whose first schema is not there, or
    /// not for this role: what follows it is somebody else's.
    pub(crate) async fn of(client: &impl GenericClient) -> Result<Self, StoreError> {
        const SQL: &str = "SELECT quote_ident(current_schema()), current_schema()::text, \
             current_setting('search_path'), current_setting('server_encoding'), current_database()::text";
        let read = async {
            let row = client.query_typed_one(SQL, &[]).await?;
            let place: (Option<String>, Option<String>) =
                (row.try_get(0)?, row.try_get(1)?);
            Ok::<(_, String, String, String), Error>((
                place,
                row.try_get(2)?,
                row.try_get(3)?,
                row.try_get(4)?,
            ))
        };
        let ((quoted, name), path, encoding, database) = read.await.doing(CHECKING)?;
        if !matches!(encoding.as_str(), "UTF8" | "SQL_ASCII") {
            let what = format!(
                "the database {database} holds texts in {encoding}, and events and the reasons of their failures are UTF-8: \
                 use a database that was created with ENCODING 'UTF8'"
            );
            return Err(StoreError::new(CHECKING, what));
        }
        match (quoted, name) {
            (Some(quoted), Some(name))
                if first_of(&path).is_none_or(|first| first == name) =>
            {
                Ok(Self(quoted))
            }
            _ => {
                let what = format!(
                    "the tables are in the first schema of the search path, and of \"{path}\" the first is not there, or this \
                     role has no USAGE on it"
                );
                Err(StoreError::new(CHECKING, what))
            }
        }
    }

    /// A name in this schema.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}.{name}", self.0)
    }

    /// What a transaction sets first, so that every name in it is one of this schema.
    pub(crate) fn set_local(&self) -> String {
        // Where temporary tables are not named, they come first.
        format!("SET LOCAL search_path = {}, pg_temp", self.0)
    }
}

/// The schema that a search path names first; none where that is the user's own, which
/// seldom is there.
fn first_of(path: &str) -> Option<String> {
    let path = path.trim_start();
    let first = match path.strip_prefix('"') {
        Some(quoted) => {
            let mut name = String::new();
            let mut characters = quoted.chars().peekable();
            while let Some(character) = characters.next() {
                // A quote within it is written twice.
                if character == '"' && characters.next_if_eq(&'"').is_none() {
                    break;
                }
                name.push(character);
            }
            name
        }
        None => path.split(',').next().unwrap_or_default().trim().to_lowercase(),
    };
    (first != "$user" && !first.is_empty()).then_some(first)
}

/// Creates a part of the schema, or brings it up to date. Safe from many processes at
/// once: the first to come does it.
pub(crate) async fn install(client: &mut Client, part: &Part) -> Result<(), StoreError> {
    let place = Place::of(client).await?;
    // A user who may not create tables can work with those that are there.
    let found = installed(client, &place, part).await.doing(CHECKING)?;
    if part.missing(found)?.is_empty() {
        return Ok(());
    }
    let transaction = client.transaction().await.doing(INSTALLING)?;
    transaction
        .batch_execute(&format!(
            "{}; SET LOCAL lock_timeout = '60s'; \
             SELECT pg_advisory_xact_lock(hashtextextended('integration_schema', 0)); \
             CREATE TABLE IF NOT EXISTS integration_schema (\
               part text PRIMARY KEY, version bigint NOT NULL, compatible_from bigint); \
             ALTER TABLE integration_schema ADD COLUMN IF NOT EXISTS compatible_from bigint",
            place.set_local()
        ))
        .await
        .doing(INSTALLING)?;
    // Another program may have done it meanwhile.
    let found = installed(&transaction, &place, part).await.doing(INSTALLING)?;
    let steps = part.missing(found)?;
    let install = async {
        for step in steps {
            transaction.batch_execute(step).await?;
        }
        if steps.is_empty() { Ok(()) } else { record(&transaction, part).await }
    };
    install.await.doing(INSTALLING)?;
    transaction.commit().await.doing(INSTALLING)
}

/// Finds out whether this program can use a part of the schema as it is.
pub(crate) async fn check(client: &Client, part: &Part) -> Result<(), StoreError> {
    let place = Place::of(client).await?;
    let found = installed(client, &place, part).await.doing(CHECKING)?;
    part.check(found, &format!("the schema {}", place.0))
}

/// Makes a part of the schema usable, or finds out whether it is.
pub(crate) async fn prepare(
    client: &mut Client,
    part: &Part,
    upkeep: Upkeep,
) -> Result<(), StoreError> {
    match upkeep {
        Upkeep::Install => install(client, part).await,
        Upkeep::Check => check(client, part).await,
    }
}

/// The version of a part that the schema has.
async fn installed(
    client: &impl GenericClient,
    place: &Place,
    part: &Part,
) -> Result<Installed, Error> {
    let table = place.name("integration_schema");
    let there = client
        .query_typed(
            "SELECT 1 WHERE to_regclass($1) IS NOT NULL",
            &[(&table, Type::TEXT)],
        )
        .await?;
    if there.is_empty() {
        return Ok(Installed::default());
    }
    // The table may be older than its column `compatible_from`.
    let sql = format!("SELECT * FROM {table} WHERE part = $1");
    let found = client.query_typed(&sql, &[(&part.name, Type::TEXT)]).await?;
    let Some(row) = found.first() else { return Ok(Installed::default()) };
    let has_second =
        row.columns().iter().any(|column| column.name() == "compatible_from");
    let compatible_from = if has_second { row.try_get("compatible_from")? } else { None };
    Ok(Installed::of(row.try_get("version")?, compatible_from))
}

/// Records that the schema has the latest version of a part.
async fn record(client: &impl GenericClient, part: &Part) -> Result<(), Error> {
    let Installed { version, compatible_from } = part.latest();
    let number = |version: usize| i64::try_from(version).unwrap_or(i64::MAX);
    client
        .execute_typed(
            "INSERT INTO integration_schema (part, version, compatible_from) VALUES ($1, $2, $3) \
             ON CONFLICT (part) DO UPDATE SET version = $2, compatible_from = $3",
            &[
                (&part.name, Type::TEXT),
                (&number(version), Type::INT8),
                (&number(compatible_from), Type::INT8),
            ],
        )
        .await
        .map(drop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_first_schema_of_a_path_is_told_from_the_users_own() {
        let first = |path| first_of(path);
        assert_eq!(first("Tenant_b, public").as_deref(), Some("tenant_b"));
        assert_eq!(
            first(r#" "Tenant ""b"", x" , public"#).as_deref(),
            Some(r#"Tenant "b", x"#)
        );
        assert_eq!(first(r#""$user", public"#), None);
        assert_eq!(first("$user"), None);
        assert_eq!(first(""), None);
    }

    /// A schema that was made before the table of versions had `compatible_from` keeps its
    /// rows, and older programs go on with it beside newer ones.
    #[tokio::test]
    #[ignore = "needs PostgreSQL"]
    async fn an_older_schema_is_taken_forward_with_its_rows() {
        const FIRST: &str = "CREATE TABLE test (value bigint)";
        const SECOND: &str =
            "-- compatible_from: 1\nALTER TABLE test ADD COLUMN text text DEFAULT 'none'";
        const OLD: Part = Part { name: "test", versions: &[FIRST] };
        const NEW: Part = Part { name: "test", versions: &[FIRST, SECOND] };

        let port =
            std::env::var("TEST_POSTGRES_PORT").unwrap_or_else(|_| "5432".to_owned());
        let server = format!("host=127.0.0.1 port={port} user=postgres dbname=postgres");
        let (mut client, connection) =
            tokio_postgres::connect(&server, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let schema = format!("forward_{}", std::process::id());
        client
            .batch_execute(&format!(
                "CREATE SCHEMA {schema}; SET search_path = {schema}; \
                 CREATE TABLE integration_schema (part text PRIMARY KEY, version bigint NOT NULL); \
                 INSERT INTO integration_schema VALUES ('test', 1); {FIRST}; INSERT INTO test VALUES (7)"
            ))
            .await
            .unwrap();
        let place = Place::of(&client).await.unwrap();
        let found = installed(&client, &place, &NEW).await.unwrap();
        assert_eq!(found, Installed { version: 1, compatible_from: 1 });
        for part in [&NEW, &NEW, &OLD] {
            install(&mut client, part).await.unwrap();
            let found = installed(&client, &place, &NEW).await.unwrap();
            assert_eq!(found, Installed { version: 2, compatible_from: 1 });
        }
        let row = client.query_one("SELECT value, text FROM test", &[]).await.unwrap();
        assert_eq!((row.get(0), row.get(1)), (7_i64, "none"));
        client.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
    }
}
