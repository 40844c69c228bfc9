//! The stream that the client reads the server's frames from, and the runtime that it
//! wants with it.

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_util::Stream;
use futures_util::io::{AsyncRead, AsyncWrite};
use lapin::tcp::AsyncTcpStream;

use super::repair::Frames;

/// How much is read at once.
const ROOM: usize = 64 * 1024;

/// As it comes from the network, or out of TLS.
pub(super) type Incoming = AsyncTcpStream<<Tokio as Reactor>::TcpStream>;

/// A stream whose frames the client can read.
pub(super) struct Readable {
    incoming: Incoming,
    frames: Frames,
    room: Vec<u8>,
    ready: Vec<u8>,
    /// How much of that has been read.
    read: usize,
}

impl Readable {
    pub(super) fn new(incoming: Incoming) -> Self {
        Self {
            incoming,
            frames: Frames::default(),
            room: vec![0; ROOM],
            ready: Vec::new(),
            read: 0,
        }
    }
}

impl AsyncRead for Readable {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            let mut ready = this.ready.get(this.read..).unwrap_or_default();
            if !ready.is_empty() || into.is_empty() {
                let length = ready.read(into)?;
                this.read = this.read.saturating_add(length);
                return Poll::Ready(Ok(length));
            }
            let length =
                ready!(Pin::new(&mut this.incoming).poll_read(context, &mut this.room))?;
            if length == 0 {
                return Poll::Ready(Ok(0));
            }
            this.ready.clear();
            this.read = 0;
            this.frames
                .pass(this.room.get(..length).unwrap_or_default(), &mut this.ready);
        }
    }
}

impl AsyncWrite for Readable {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().incoming).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().incoming).poll_write_vectored(context, bytes)
    }

    fn poll_flush(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().incoming).poll_flush(context)
    }

    fn poll_close(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().incoming).poll_close(context)
    }
}

/// The runtime of tokio, with such streams.
pub(super) fn runtime() -> Runtime<RuntimeParts<Tokio, Streams>> {
    Runtime::new(RuntimeParts::new(Tokio::current(), Streams(Tokio::current())))
}

#[derive(Debug, Clone)]
pub(super) struct Streams(Tokio);

impl Reactor for Streams {
    type TcpStream = Readable;
    type Sleep = <Tokio as Reactor>::Sleep;

    #[allow(refining_impl_trait, reason = "it makes none, and so of no type")]
    fn register<H: Read + Write + Send + 'static>(
        &self,
        _socket: H,
    ) -> io::Result<Readable> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, time: Duration) -> Self::Sleep {
        self.0.sleep(time)
    }

    fn interval(&self, time: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(time)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Readable>> + Send + 'static {
        let connect = self.0.tcp_connect_addr(address);
        async move { Ok(Readable::new(AsyncTcpStream::Plain(connect.await?))) }
    }
}
