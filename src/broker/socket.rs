//! The socket under a client's connection: it ends where this is dropped, and with it
//! whatever the client still waits for.

use std::io;
use std::net::Shutdown;

pub(super) struct Socket(std::net::TcpStream);

impl Socket {
    #[cfg(unix)]
    pub(super) fn of(stream: &tokio::net::TcpStream) -> io::Result<Self> {
        Ok(Self(std::os::fd::AsFd::as_fd(stream).try_clone_to_owned()?.into()))
    }

    #[cfg(windows)]
    pub(super) fn of(stream: &tokio::net::TcpStream) -> io::Result<Self> {
        Ok(Self(
            std::os::windows::io::AsSocket::as_socket(stream)
                .try_clone_to_owned()?
                .into(),
        ))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
