//! A nats-server of a test's own: what it demands, refuses or suffers harms no other
//! test.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use integration_automation_patterns::broker::nats::{Nats, NatsConfig};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

pub(super) struct Own {
    port: u16,
    folder: PathBuf,
    server: Option<Child>,
}

impl Own {
    /// Runs with this configuration, and with a folder for JetStream where it names
    /// `$FOLDER`.
    pub(super) async fn start(configuration: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("nats-{}", Uuid::now_v7().simple()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut own = Self { port, folder, server: None };
        own.run(configuration).await;
        own
    }

    /// The plain one, with JetStream.
    pub(super) async fn plain() -> Self {
        Self::start(JETSTREAM).await
    }

    /// Runs again with another configuration, on the same port.
    pub(super) async fn restart(&mut self, configuration: &str) {
        self.stop();
        self.run(configuration).await;
    }

    async fn run(&mut self, configuration: &str) {
        self.write(configuration);
        let command = Command::new("nats-server")
            .arg("-c")
            .arg(self.folder.join("conf"))
            .arg("-l")
            .arg(self.folder.join("log"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.server = Some(command.expect("nats-server can be run"));
        for _ in 0..1000 {
            if TcpStream::connect(self.address()).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!(
            "nats-server does not listen: {}",
            std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
        );
    }

    fn write(&self, configuration: &str) {
        let folder = self.folder.display().to_string();
        let configuration = format!("listen: 127.0.0.1:{}\n{configuration}\n", self.port)
            .replace("$FOLDER", &folder);
        std::fs::write(self.folder.join("conf"), configuration).unwrap();
    }

    /// Takes another configuration up while it runs.
    pub(super) fn reload(&self, configuration: &str) {
        self.write(configuration);
        self.signal("HUP");
    }

    pub(super) fn signal(&self, signal: &str) {
        let server = self.server.as_ref().unwrap().id().to_string();
        assert!(
            Command::new("kill")
                .args([&format!("-{signal}"), &server])
                .status()
                .unwrap()
                .success()
        );
    }

    pub(super) fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    #[cfg(feature = "tls")]
    pub(super) fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    pub(super) fn broker(&self, config: NatsConfig) -> Nats {
        Nats::new(&self.address().to_string(), config).unwrap()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(super) const JETSTREAM: &str = "jetstream { store_dir: \"$FOLDER/js\" }";

/// Waits a second for an answer, so that a test of what never comes is soon over.
pub(super) fn impatient(stream: &str) -> NatsConfig {
    let second = Duration::from_secs(1);
    NatsConfig::new(stream).connect_timeout(second).request_timeout(second)
}
