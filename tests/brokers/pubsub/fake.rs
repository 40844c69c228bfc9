//! A server of the test's own that says what no emulator says: `fake.py`.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::local;
use crate::servers;

/// Ends with it, since it reads from a pipe that closes then.
pub(super) struct Fake {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    process: Child,
}

impl Fake {
    pub(super) fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/brokers/pubsub");
        let mut process = Command::new(servers::pubsub_python())
            .arg(script.join("fake.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.next().expect("a port").unwrap().parse().unwrap();
        let asked = Arc::<Mutex<Vec<(String, Value)>>>::default();
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                noted.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { address: local(port), asked, process }
    }

    /// What was asked for by this verb, once it was so often.
    pub(super) async fn asked(&self, verb: &str, count: usize) -> Vec<Value> {
        loop {
            let asked = self.asked.lock().unwrap().clone();
            let of = asked.into_iter().filter(|(asked, _)| asked == verb);
            let asked: Vec<Value> = of.map(|(_, what)| what).collect();
            if asked.len() >= count {
                return asked;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Until these have been given back: their deadlines set to nothing.
    pub(super) async fn given_back(&self, ids: &[&str]) {
        let is_back = |asked: &[Value], id: &str| {
            let mut of = asked.iter().filter(|of| of[0] == 0);
            of.any(|of| of[1].as_array().unwrap().iter().any(|back| back == id))
        };
        loop {
            let asked = self.asked("modify", 1).await;
            if ids.iter().all(|id| is_back(&asked, id)) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
