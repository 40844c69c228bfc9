//! The tables: in which schema they are, and which version of them is there.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, GenericClient};

use crate::store::StoreError;
use crate::store::schema::{INSTALLING, Part};

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
        let ((quoted, name), path, encoding, database) =
            read.await.map_err(|error| StoreError::new(INSTALLING, error))?;
        if !matches!(encoding.as_str(), "UTF8" | "SQL_ASCII") {
            let what = format!(
                "the database {database} holds texts in {encoding}, and events and the reasons of their failures are UTF-8: \
                 use a database that was created with ENCODING 'UTF8'"
            );
            return Err(StoreError::new(INSTALLING, what));
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
                Err(StoreError::new(INSTALLING, what))
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
    let fault = |error: Error| StoreError::new(INSTALLING, error);
    let place = Place::of(client).await?;
    // A user who may not create tables can work with those that are there.
    if part.missing(version(client, &place, part).await.map_err(fault)?)?.is_empty() {
        return Ok(());
    }
    let transaction = client.transaction().await.map_err(fault)?;
    transaction
        .batch_execute(&format!(
            "{}; SET LOCAL lock_timeout = '60s'; \
             SELECT pg_advisory_xact_lock(hashtextextended('integration_schema', 0)); \
             CREATE TABLE IF NOT EXISTS integration_schema (part text PRIMARY KEY, version bigint NOT NULL)",
            place.set_local()
        ))
        .await
        .map_err(fault)?;
    for step in part.missing(version(&transaction, &place, part).await.map_err(fault)?)? {
        transaction.batch_execute(step).await.map_err(fault)?;
    }
    let known = i64::try_from(part.versions.len()).unwrap_or(i64::MAX);
    transaction
        .execute_typed(
            "INSERT INTO integration_schema VALUES ($1, $2) ON CONFLICT (part) DO UPDATE SET version = $2",
            &[(&part.name, Type::TEXT), (&known, Type::INT8)],
        )
        .await
        .map_err(fault)?;
    transaction.commit().await.map_err(fault)
}

/// The version of a part that the schema has; 0 where it has none.
async fn version(
    client: &impl GenericClient,
    place: &Place,
    part: &Part,
) -> Result<usize, Error> {
    let table = place.name("integration_schema");
    let there = client
        .query_typed(
            "SELECT 1 WHERE to_regclass($1) IS NOT NULL",
            &[(&table, Type::TEXT)],
        )
        .await?;
    if there.is_empty() {
        return Ok(0);
    }
    let sql = format!("SELECT version FROM {table} WHERE part = $1");
    let found = client.query_typed(&sql, &[(&part.name, Type::TEXT)]).await?;
    let Some(row) = found.first() else { return Ok(0) };
    Ok(usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0))
}

#[cfg(test)]
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
}
