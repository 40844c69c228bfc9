//! TLS: who is trusted, what is refused, and that nothing goes in clear.

use std::fs::read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use integration_automation_patterns::broker::nats::{Nats, NatsConfig};
use integration_automation_patterns::broker::{Broker, BrokerErrorKind};
use integration_automation_patterns::tls::Tls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::servers::certificate;
use super::super::suite::in_time;
use super::event;
use super::own::{JETSTREAM, Own};

const USERS: &str = r#"authorization { users = [ { user: app, password: s3cr3t } ] }"#;

fn over_tls(more: &str) -> String {
    let (certificate, key) = (certificate("server.pem"), certificate("server.key"));
    format!(
        "{JETSTREAM}\n{USERS}\ntls {{ cert_file: {:?}, key_file: {:?}, {more} }}",
        certificate.display().to_string(),
        key.display().to_string()
    )
}

fn trusting(authority: &str) -> NatsConfig {
    let tls = Tls::with_authorities(&read(certificate(authority)).unwrap()).unwrap();
    NatsConfig::new("crm").user("app", "s3cr3t").tls(tls)
}

async fn refusal(address: &str, config: NatsConfig) -> String {
    let refused = Nats::new(address, config)
        .unwrap()
        .send(&event("crm.lead.created"))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), BrokerErrorKind::Unreachable, "{refused}");
    refused.reason().to_owned()
}

#[tokio::test]
#[ignore = "needs nats-server and TEST_TLS"]
async fn only_a_server_of_the_right_authority_and_name_is_spoken_to() {
    in_time(async {
        let own = Own::start(&over_tls("")).await;
        let (address, port) = (own.address(), own.address().port());
        for scheme in ["tls", "nats"] {
            let broker =
                Nats::new(&format!("{scheme}://{address}"), trusting("authority.pem"))
                    .unwrap();
            broker.create_stream(Duration::from_secs(60)).await.unwrap();
            broker.send(&event("crm.lead.created")).await.unwrap();
        }
        for (address, config, wanted) in [
            (
                format!("tls://{address}"),
                trusting("stranger.pem"),
                "invalid peer certificate",
            ),
            (
                format!("tls://{address}"),
                NatsConfig::new("crm").user("app", "s3cr3t"),
                "invalid peer certificate",
            ),
            (
                format!("nats://{address}"),
                NatsConfig::new("crm").user("app", "s3cr3t"),
                "invalid peer certificate",
            ),
            (
                format!("tls://localhost:{port}"),
                trusting("authority.pem"),
                "not valid for name",
            ),
            (
                format!("tls://{address}"),
                trusting("authority.pem").user("app", "wr0ng"),
                "authorization violation",
            ),
        ] {
            let reason = refusal(&address, config).await;
            assert!(
                reason.contains(wanted) && reason.contains(&port.to_string()),
                "{reason}"
            );
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs nats-server and TEST_TLS"]
async fn a_server_that_offers_no_tls_is_told_nothing() {
    in_time(async {
        let own = Own::start(&format!("{JETSTREAM}\n{USERS}")).await;
        for (scheme, told) in [("nats", "tls"), ("tls", "tls")] {
            let (sniffed, address) = sniffer(own.address()).await;
            let reason =
                refusal(&format!("{scheme}://{address}"), trusting("authority.pem"))
                    .await;
            assert!(reason.starts_with(&format!("{told}://{address}")), "{reason}");
            assert!(reason.contains("the server speaks no TLS there"), "{reason}");
            says_nothing_in_clear(&sniffed);
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs nats-server and TEST_TLS"]
async fn who_listens_on_the_way_reads_no_word() {
    in_time(async {
        let own = Own::start(&over_tls("")).await;
        let (sniffed, address) = sniffer(own.address()).await;
        let broker =
            Nats::new(&format!("tls://{address}"), trusting("authority.pem")).unwrap();
        broker.create_stream(Duration::from_secs(60)).await.unwrap();
        broker.send(&event("crm.lead.created")).await.unwrap();
        assert!(sniffed.lock().unwrap().len() > 500, "something was said");
        says_nothing_in_clear(&sniffed);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs nats-server and TEST_TLS"]
async fn a_client_shows_its_certificate_where_the_server_wants_one() {
    in_time(async {
        let authority = certificate("authority.pem");
        let own = Own::start(&over_tls(&format!(
            "ca_file: {:?}, verify: true",
            authority.display().to_string()
        )))
        .await;
        let address = format!("tls://{}", own.address());
        let reason = refusal(&address, trusting("authority.pem")).await;
        assert!(reason.contains(&own.address().to_string()), "{reason}");
        let tls = Tls::with_authorities(&read(authority).unwrap()).unwrap();
        let (chain, key) = client_certificate(own.folder());
        let config =
            trusting("authority.pem").tls(tls.client_certificate(&chain, &key).unwrap());
        Nats::new(&address, config)
            .unwrap()
            .create_stream(Duration::from_secs(60))
            .await
            .unwrap();
    })
    .await;
}

/// A certificate of the authority, for a client.
fn client_certificate(folder: &Path) -> (Vec<u8>, Vec<u8>) {
    let file = |name: &str| folder.join(name).display().to_string();
    let openssl = |arguments: &[&str]| {
        let done =
            Command::new("openssl").args(arguments).output().expect("openssl can be run");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let (key, request, chain, authority) = (
        file("client.key"),
        file("client.csr"),
        file("client.pem"),
        certificate("authority.pem"),
    );
    std::fs::write(file("client.ext"), "extendedKeyUsage = clientAuth\n").unwrap();
    openssl(&[
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-subj",
        "/CN=client",
        "-keyout",
        &key,
        "-out",
        &request,
    ]);
    let (authority, signing) = (
        authority.display().to_string(),
        certificate("authority.key").display().to_string(),
    );
    openssl(&[
        "x509",
        "-req",
        "-in",
        &request,
        "-CA",
        &authority,
        "-CAkey",
        &signing,
        "-set_serial",
        "7",
        "-days",
        "30",
        "-extfile",
        &file("client.ext"),
        "-out",
        &chain,
    ]);
    (read(chain).unwrap(), read(key).unwrap())
}

fn says_nothing_in_clear(sniffed: &Mutex<Vec<u8>>) {
    let sniffed = sniffed.lock().unwrap();
    let text = String::from_utf8_lossy(&sniffed);
    for word in ["CONNECT", "app", "s3cr3t", "PUB", "lead.created", "STREAM"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
}

/// Passes everything on, and keeps what the client says.
async fn sniffer(server: SocketAddr) -> (Arc<Mutex<Vec<u8>>>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, sniffed) =
        (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let heard = Arc::clone(&sniffed);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) =
                TcpStream::connect(server).await.unwrap().into_split();
            tokio::spawn(async move {
                tokio::io::copy(&mut from_server, &mut to_client).await
            });
            let heard = Arc::clone(&heard);
            tokio::spawn(async move {
                let mut room = vec![0; 65536];
                while let Ok(length @ 1..) = from_client.read(&mut room).await {
                    heard.lock().unwrap().extend_from_slice(&room[..length]);
                    to_server.write_all(&room[..length]).await?;
                }
                Ok::<_, std::io::Error>(())
            });
        }
    });
    (sniffed, address)
}

#[tokio::test]
#[ignore = "needs nats-server and TEST_TLS"]
async fn why_the_system_trusts_nobody_is_said() {
    const AGAIN: &str = "nats::tls::why_the_system_trusts_nobody_is_said";
    let empty = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-authorities.pem");
    if std::env::var_os("SSL_CERT_FILE").is_none_or(|file| *file != *empty) {
        std::fs::write(&empty, "").unwrap();
        let mut again = Command::new(std::env::current_exe().unwrap());
        again
            .args(["--exact", AGAIN, "--include-ignored"])
            .env("SSL_CERT_FILE", &empty)
            .env_remove("SSL_CERT_DIR");
        let said = again.output().unwrap();
        let (status, said) =
            (said.status, String::from_utf8_lossy(&said.stdout).into_owned());
        assert!(status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    in_time(async {
        let own = Own::start(&over_tls("")).await;
        let reason = refusal(
            &format!("nats://{}", own.address()),
            NatsConfig::new("crm").user("app", "s3cr3t"),
        )
        .await;
        assert!(reason.contains("invalid peer certificate"), "{reason}");
        assert!(reason.contains("expected those of the system: found none"), "{reason}");
        let refused =
            Nats::new("tls://127.0.0.1", NatsConfig::new("crm")).unwrap_err().to_string();
        assert!(refused.starts_with("the tls: expected usable, found"), "{refused}");
    })
    .await;
}
