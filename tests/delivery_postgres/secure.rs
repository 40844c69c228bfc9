//! TLS: with a server that an authority vouches for under the name that it is called by,
//! and no word without it.

use crate::chain::Chain as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use integration_automation_patterns::outbox::postgres::{
    Outbox, connect as connect_securely, enqueue,
};
use integration_automation_patterns::outbox::{Admin, Store};
use integration_automation_patterns::tls::Tls;
use tokio_postgres::Config;

use crate::{Database, FAR, connect, event, ids, order, server, servers};

const PASSWORD: &str = "s3cr3t/p@ss:word";

fn authority(file: &str) -> Tls {
    Tls::with_authorities(&std::fs::read(servers::certificate(file)).unwrap()).unwrap()
}

/// The role that the server lets in over TLS alone, in a schema of its own.
async fn config(database: &Database) -> Config {
    database
        .sql(&format!("GRANT USAGE, CREATE ON SCHEMA {0} TO secure", database.schema))
        .await;
    database
        .sql(&format!(
            "GRANT ALL ON ALL TABLES IN SCHEMA {0} TO secure; GRANT ALL ON ALL SEQUENCES IN SCHEMA {0} TO secure",
            database.schema
        ))
        .await;
    let mut config = database.config.clone();
    config.user("secure").password(PASSWORD);
    config
}

async fn refusal(config: Config, tls: &Tls) -> String {
    let refused = Outbox::connect_tls(config.clone(), tls).await.unwrap_err().chain();
    let program = connect_securely(&config, tls).await.map(drop).unwrap_err().chain();
    for said in [&refused, &program] {
        assert!(said.contains("no connection to") && !said.contains("s3cr3t"), "{said}");
    }
    refused
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL with TLS"]
async fn an_outbox_works_over_tls() {
    let database = Database::fresh().await;
    let (config, tls) = (config(&database).await, authority("authority.pem"));
    let outbox = Outbox::connect_tls(config.clone(), &tls).await.unwrap();
    let mut crm = connect_securely(&config, &tls).await.unwrap();
    let secured = crm
        .query_one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[])
        .await
        .unwrap();
    assert!(secured.get::<_, bool>(0));
    for _ in 0..2 {
        outbox.wait(FAR).await;
        assert!(outbox.claim(&order("relay-1", 10)).await.unwrap().claims.is_empty());
    }
    let business = crm.transaction().await.unwrap();
    enqueue(&business, event("1")).await.unwrap();
    business.commit().await.unwrap();
    outbox.wait(FAR).await;
    assert_eq!(ids(&outbox.claim(&order("relay-1", 10)).await.unwrap().claims), ["1"]);
    assert_eq!(outbox.counts().await.unwrap().total(), 1);
}

/// Who is not vouched for, or not under this name, is told nothing; and each refusal says
/// which it is.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL with TLS"]
async fn who_is_not_known_is_refused() {
    let database = Database::fresh().await;
    let (config, tls) = (config(&database).await, authority("authority.pem"));
    let refused = refusal(config.clone(), &authority("stranger.pem")).await;
    assert!(
        refused.contains("invalid peer certificate") && refused.contains("Issuer"),
        "{refused}"
    );
    let text = servers::postgres().replace("host=127.0.0.1", "host=localhost");
    let mut elsewhere: Config = text.parse().unwrap();
    elsewhere.user("secure").password(PASSWORD);
    let refused = refusal(elsewhere, &tls).await;
    assert!(refused.contains("not valid for name \"localhost\""), "{refused}");
    let mut wrong = config.clone();
    wrong.password("s3cr3t");
    let refused = refusal(wrong, &tls).await;
    assert!(
        refused.contains("password authentication failed for user \"secure\""),
        "{refused}"
    );
    let mut none = server();
    none.user("secure");
    let refused = refusal(none, &tls).await;
    assert!(refused.contains("password missing"), "{refused}");

    let plain = Outbox::connect(config.clone()).await.unwrap_err().chain();
    assert!(plain.contains("as secure") && plain.contains("no encryption"), "{plain}");
    let mut required = config;
    required.ssl_mode(tokio_postgres::config::SslMode::Require);
    let refused = Outbox::connect(required).await.unwrap_err().chain();
    assert!(
        refused.contains("sslmode=require") && refused.contains("feature `tls`"),
        "{refused}"
    );
}

/// A server that has no TLS hears no word beyond the question whether it has.
#[tokio::test(flavor = "multi_thread")]
async fn no_word_is_said_in_plain_text() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let hearing = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut question = [0; 8];
        client.read_exact(&mut question).unwrap();
        client.write_all(b"N").unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).unwrap();
        rest
    });
    let config = Config::new()
        .host("127.0.0.1")
        .port(port)
        .user("secure")
        .password(PASSWORD)
        .to_owned();
    let refused =
        connect_securely(&config, &a_tls()).await.map(drop).unwrap_err().chain();
    assert!(refused.contains("server does not support TLS"), "{refused}");
    assert_eq!(hearing.join().unwrap(), b"", "nothing was said");
}

/// Any authority will do where there is nobody to vouch for.
fn a_tls() -> Tls {
    Tls::system().unwrap_or_else(|_| authority("authority.pem"))
}

/// Whoever listens to the wire reads neither the user, nor the password, nor an event.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL with TLS"]
async fn who_listens_to_the_wire_reads_nothing() {
    let database = Database::fresh().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = Arc::clone(&heard);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server =
                TcpStream::connect(("127.0.0.1", servers::postgres_port())).unwrap();
            for (from, to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server.try_clone().unwrap(), client.try_clone().unwrap()),
            ] {
                let hearing = Arc::clone(&hearing);
                std::thread::spawn(move || pass(from, to, &hearing));
            }
        }
    });
    let mut config = config(&database).await;
    config = {
        let mut through = Config::new();
        through
            .host("127.0.0.1")
            .port(port)
            .user("secure")
            .password(PASSWORD)
            .dbname("postgres");
        through.options(config.get_options().unwrap());
        through
    };
    let tls = authority("authority.pem");
    let outbox = Outbox::connect_tls(config.clone(), &tls).await.unwrap();
    let mut crm = connect_securely(&config, &tls).await.unwrap();
    let business = crm.transaction().await.unwrap();
    enqueue(&business, event("confidential")).await.unwrap();
    business.commit().await.unwrap();
    outbox.wait(Duration::from_millis(1)).await;
    assert_eq!(
        ids(&outbox.claim(&order("relay-1", 10)).await.unwrap().claims),
        ["confidential"]
    );
    // A call that is given up is cancelled over TLS too.
    let mut blocker = connect(&database.config).await;
    let locking = blocker.transaction().await.unwrap();
    locking
        .batch_execute("LOCK TABLE outbox_event IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let one = order("relay-1", 1);
    assert!(
        tokio::time::timeout(Duration::from_millis(100), outbox.claim(&one))
            .await
            .is_err()
    );
    locking.commit().await.unwrap();
    drop((outbox, crm));

    let heard = heard.lock().unwrap();
    assert!(heard.len() > 4_000, "it heard something: {}", heard.len());
    for word in [
        "secure",
        "s3cr3t",
        "SCRAM",
        "SELECT",
        "confidential",
        "outbox",
        &database.schema,
    ] {
        let found = heard.windows(word.len()).any(|part| part == word.as_bytes());
        assert!(!found, "{word:?} was on the wire");
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, heard: &Mutex<Vec<u8>>) {
    let mut room = [0; 16384];
    while let Ok(length @ 1..) = from.read(&mut room) {
        heard.lock().unwrap().extend(&room[..length]);
        if to.write_all(&room[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}
