//! Whether a pooler gives a connection another session for each transaction: then what is
//! prepared, and who listens, is somebody else's in the next.

use tokio_postgres::{Client, Error};

/// What is said of such a pooler.
pub(super) const REFUSED: &str = "a pooler gives each transaction another session (PgBouncer: pool_mode = transaction), \
     where prepared statements and LISTEN of an outbox would reach other programs: give it sessions of its own (pool_mode = \
     session), or the server's own port (enqueue, and an inbox, do with such a pooler)";

/// How often two connections are asked: once is enough where nobody else uses the pool.
const ROUNDS: usize = 4;

/// Whether two connections, asked in turn, have one session between them, or one of them
/// another than before.
pub(super) async fn shares_sessions(
    first: &Client,
    second: &Client,
) -> Result<bool, Error> {
    let known = [session(first).await?, session(second).await?];
    let mut shared = known[0] == known[1];
    for _ in 0..ROUNDS {
        if shared {
            break;
        }
        shared = [session(first).await?, session(second).await?] != known;
    }
    Ok(shared)
}

/// The session that a connection has now.
async fn session(client: &Client) -> Result<String, Error> {
    // Of two servers, each has its own processes.
    const SQL: &str = "SELECT pg_backend_pid() || ' of ' || pg_postmaster_start_time()";
    client.query_typed_one(SQL, &[]).await?.try_get(0)
}
