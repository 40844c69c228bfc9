//! The server of the examples, in which the other tests mount their endpoints too.

use std::io::{self, ErrorKind};

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use integration_automation_patterns::broker::webhook::{EndpointConfig, endpoint};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::serve::{connections, serve};
use super::signed::routes;

/// Protects the consumer behind an endpoint from one connection too many: it would wait
/// for webhooks that nobody can send any more.
#[tokio::test]
async fn a_connection_that_cannot_be_accepted_ends_no_server() -> io::Result<()> {
    let (endpoint, _hooks) = endpoint(routes(), EndpointConfig::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let too_many = io::Error::new(ErrorKind::Other, "too many open files");
    let accepted = iter([Err(too_many)]).chain(connections(listener));
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        let head =
            "GET /nowhere HTTP/1.1\r\nhost: erp.example\r\nconnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    tokio::select! {
        () = serve(accepted, endpoint) => unreachable!("connections have no end"),
        answer = ask => assert!(answer?.starts_with("HTTP/1.1 404"), "no such route"),
    }
    Ok(())
}
