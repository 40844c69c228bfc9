//! A message of which the client library would make none: properties as the bytes that
//! another client may write.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind][..], &channel.to_be_bytes(), &length, payload, &[0xCE]].concat()
}

fn method(channel: u16, class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
    frame(
        METHOD,
        channel,
        &[&class.to_be_bytes(), &method.to_be_bytes(), arguments].concat(),
    )
}

pub(super) fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()][..], text].concat()
}

pub(super) fn long(text: &[u8]) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap().to_be_bytes()[..], text].concat()
}

/// Publishes to a queue, and returns when the server has it.
pub(super) async fn publish(
    server: SocketAddr,
    queue: &str,
    flags: u16,
    properties: &[u8],
    body: &[u8],
) {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let start =
        [&long(b"")[..], &short(b"PLAIN"), &long(b"\0guest\0guest"), &short(b"en_US")]
            .concat();
    let tune = [7, 255, 0, 2, 0, 0, 0, 0];
    let open = [&short(b"/")[..], &short(b""), &[0]].concat();
    for (sent, answers) in [
        (b"AMQP\x00\x00\x09\x01".to_vec(), 1),
        (method(0, 10, 11, &start), 1),
        ([method(0, 10, 31, &tune), method(0, 10, 40, &open)].concat(), 1),
        (method(1, 20, 10, &short(b"")), 1),
        (
            method(
                1,
                60,
                40,
                &[&[0, 0][..], &short(b""), &short(queue.as_bytes()), &[0]].concat(),
            ),
            0,
        ),
    ] {
        stream.write_all(&sent).await.unwrap();
        for _ in 0..answers {
            read_frame(&mut stream).await;
        }
    }
    let length = u64::try_from(body.len()).unwrap().to_be_bytes();
    let header =
        [&60_u16.to_be_bytes()[..], &[0, 0], &length, &flags.to_be_bytes(), properties]
            .concat();
    stream
        .write_all(&[frame(HEADER, 1, &header), frame(BODY, 1, body)].concat())
        .await
        .unwrap();
    stream
        .write_all(&method(
            1,
            20,
            40,
            &[&200_u16.to_be_bytes()[..], &short(b""), &[0; 4]].concat(),
        ))
        .await
        .unwrap();
    assert_eq!(
        read_frame(&mut stream).await[..4],
        [0, 20, 0, 41],
        "the channel is closed in peace"
    );
}

async fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 7];
    stream.read_exact(&mut head).await.unwrap();
    let length = u32::from_be_bytes(head[3..7].try_into().unwrap());
    let mut payload = vec![0; usize::try_from(length).unwrap() + 1];
    stream.read_exact(&mut payload).await.unwrap();
    payload
}
