//! A server of the test's own that answers with AWS's codes, which no stand-in has.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::local;

/// What it says: the status, a header, and the body.
pub(super) struct Says {
    pub(super) status: u16,
    pub(super) header: Option<(&'static str, String)>,
    pub(super) body: String,
}

impl Says {
    pub(super) fn ok(body: &Value) -> Self {
        Self { status: 200, header: None, body: body.to_string() }
    }

    /// An error, as AWS writes it: the type in the body, and the older code in a header.
    pub(super) fn error(status: u16, of_type: &str, query: Option<&str>) -> Self {
        let header = query.map(|query| ("x-amzn-query-error", query.to_owned()));
        let body = json!({ "__type": of_type, "message": "why" }).to_string();
        Self { status, header, body }
    }
}

/// What was asked: the name of the operation, and its input.
pub(super) type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// Answers every request on the address, and notes it.
pub(super) async fn start(
    answer: impl Fn(&str, &Value) -> Says + Send + Sync + 'static,
) -> (SocketAddr, Asked) {
    let listener = TcpListener::bind(local(0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, answer) = (Asked::default(), Arc::new(answer));
    let noted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&noted), Arc::clone(&answer)));
        }
    });
    (address, asked)
}

async fn serve(
    mut stream: TcpStream,
    noted: Asked,
    answer: Arc<impl Fn(&str, &Value) -> Says>,
) -> Option<()> {
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            (stream.read_buf(&mut read).await.ok()? > 0).then_some(())?;
        };
        let head = String::from_utf8(read[..end].to_vec()).unwrap();
        let header = |name: &str| {
            let of = |line: &str| {
                let (found, value) = line.split_once(": ")?;
                found.eq_ignore_ascii_case(name).then(|| value.to_owned())
            };
            head.lines().find_map(of).unwrap_or_default()
        };
        let length: usize = header("content-length").parse().unwrap();
        while read.len() < end + length {
            (stream.read_buf(&mut read).await.ok()? > 0).then_some(())?;
        }
        let input = serde_json::from_slice(&read[end..end + length]).unwrap();
        read.drain(..end + length);
        let operation = header("x-amz-target").replace("AmazonSQS.", "");
        let Says { status, header, body } = answer(&operation, &input);
        noted.lock().unwrap().push((operation, input));
        let header =
            header.map_or(String::new(), |(name, value)| format!("{name}: {value}\r\n"));
        let length = body.len();
        let said = format!(
            "HTTP/1.1 {status} said\r\n{header}content-type: application/x-amz-json-1.0\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(said.as_bytes()).await.ok()?;
    }
}
