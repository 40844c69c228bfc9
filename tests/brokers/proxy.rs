//! A TCP proxy in front of a server, by which a test loses connections and answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    passed: Arc<AtomicU64>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Proxy {
    pub(crate) async fn start(server: SocketAddr) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), server).await
    }

    /// On this very address, for a server that tells its clients where it is.
    pub(crate) async fn start_at(address: SocketAddr, server: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, modes) = watch::channel(Mode::Open);
        let passed = Arc::<AtomicU64>::default();
        let counter = Arc::clone(&passed);
        let accepting = tokio::spawn(async move {
            for number in 0.. {
                let Ok((client, _)) = listener.accept().await else { return };
                if *modes.borrow() != Mode::Cut {
                    tokio::spawn(pass(
                        client,
                        server,
                        modes.clone(),
                        8 + number * 7 % 13,
                        Arc::clone(&counter),
                    ));
                }
            }
        });
        Self { address, mode, passed, accepting }
    }

    /// How many bytes of the server's have come to its clients.
    #[cfg_attr(not(feature = "kafka"), allow(dead_code, reason = "asked of Kafka alone"))]
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn pass(
    client: TcpStream,
    server: SocketAddr,
    mut modes: watch::Receiver<Mode>,
    lasts: usize,
    passed: Arc<AtomicU64>,
) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let heard = modes.clone();
    let there = async move {
        tokio::io::copy(&mut from_client, &mut to_server).await.map(|_| ())
    };
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
                passed.fetch_add(length as u64, Ordering::SeqCst);
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
