//! Over TLS: a receiver whose certificate is of a trusted authority and for its host, and
//! none else.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use integration_automation_patterns::broker::webhook::{Webhook, WebhookConfig};
use integration_automation_patterns::broker::{Broker, BrokerErrorKind};
use integration_automation_patterns::tls::Tls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{SECRET, event};
use crate::servers::certificate;
use crate::suite::{in_time, refusal};

/// A receiver that answers every request 204.
async fn receiver() -> SocketAddr {
    let chain = CertificateDer::pem_file_iter(certificate("server.pem")).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(certificate("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = Vec::new();
            while !request.ends_with(br#"{"lead":7}"#) {
                if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

#[tokio::test]
#[ignore = "needs certificates"]
async fn a_receiver_is_known_by_its_authority_and_its_name() {
    in_time(async {
        let port = receiver().await.port();
        for (authority, host, wanted) in [
            ("authority.pem", "127.0.0.1", None),
            ("stranger.pem", "127.0.0.1", Some(BrokerErrorKind::Unreachable)),
            ("authority.pem", "localhost", Some(BrokerErrorKind::Unreachable)),
        ] {
            let tls = fs::read(certificate(authority)).unwrap();
            let tls = Tls::with_authorities(&tls).unwrap();
            let config = WebhookConfig::new(SECRET).allow_private().tls(tls);
            let webhook =
                Webhook::new(&format!("https://{host}:{port}/"), config).unwrap();
            let sent = webhook.send(&event("1")).await;
            assert_eq!(refusal(&sent), wanted, "{authority} {host}: {sent:?}");
            let certificate =
                sent.is_err_and(|error| error.reason().contains("certificate"));
            assert_eq!(certificate, wanted.is_some(), "the reason says what is wrong");
        }
    })
    .await;
}
