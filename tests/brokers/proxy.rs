//! A TCP proxy in front of a server, by which a test loses connections and answers.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Everything goes through.
    Open,
    /// What the server says is lost; what it is told arrives.
    Deaf,
    /// Each connection is cut after a while, and what the server said last is lost.
    Flaky,
    /// Every connection is cut, and no new one is taken.
    Cut,
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    mode: watch::Sender<Mode>,
}

impl Proxy {
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, modes) = watch::channel(Mode::Open);
        tokio::spawn(async move {
            for number in 0.. {
                let Ok((client, _)) = listener.accept().await else { return };
                if *modes.borrow() != Mode::Cut {
                    tokio::spawn(pass(client, server, modes.clone(), 8 + number * 7 % 13));
                }
            }
        });
        Self { address, mode }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn pass(client: TcpStream, server: SocketAddr, mut modes: watch::Receiver<Mode>, lasts: usize) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let heard = modes.clone();
    let there = async move { tokio::io::copy(&mut from_client, &mut to_server).await.map(|_| ()) };
    let back = async move {
        let mut room = vec![0; 65536];
        for answer in 0.. {
            let length = from_server.read(&mut room).await?;
            let mode = *heard.borrow();
            if length == 0 || (mode == Mode::Flaky && answer >= lasts) {
                break;
            }
            if !matches!(mode, Mode::Deaf | Mode::Cut) {
                to_client.write_all(&room[..length]).await?;
            }
        }
        Ok::<_, std::io::Error>(())
    };
    tokio::select! {
        _ = there => {}
        _ = back => {}
        _ = modes.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}
