//! A PostgreSQL server of a test's own, which may be stopped and crashed: made with the
//! binaries that are installed, in a directory of its own, on a port of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) struct Cluster {
    binaries: PathBuf,
    folder: PathBuf,
    pub(crate) port: u16,
}

impl Cluster {
    /// Makes a cluster, and starts it.
    pub(crate) fn new(folder: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let cluster = Self { binaries: binaries(), folder, port };
        let _ = std::fs::remove_dir_all(&cluster.folder);
        std::fs::create_dir_all(&cluster.folder).unwrap();
        if is_root() {
            run(Command::new("chown").arg(SERVICE).arg(&cluster.folder));
        }
        cluster.run(
            "initdb",
            &["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8"],
        );
        cluster.start();
        cluster
    }

    /// Starts the server, and waits until it answers.
    pub(crate) fn start(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''",
            self.port
        );
        let log = self.folder.join("log");
        self.run(
            "pg_ctl",
            &["start", "--wait", "--log", log.to_str().unwrap(), "--options", &options],
        );
    }

    /// Stops the server: `fast` ends what is under way and its sessions, `immediate` is a
    /// crash.
    pub(crate) fn stop(&self, mode: &str) {
        self.run("pg_ctl", &["stop", "--wait", "--mode", mode]);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        run(self.command(program).args(arguments));
    }

    /// A server does not work for root.
    fn command(&self, program: &str) -> Command {
        let program = self.binaries.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid", SERVICE, "--regid", SERVICE, "--init-groups", "--"])
                .arg(program);
            command
        } else {
            Command::new(program)
        };
        command.arg("--pgdata").arg(self.folder.join("data")).current_dir(&self.folder);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = self.command("pg_ctl");
        let _ = stop
            .args(["stop", "--wait", "--mode", "immediate"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// Who runs the server where the tests are root's: the user that the packages make.
const SERVICE: &str = "postgres";

fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
}

fn run(command: &mut Command) {
    let shown = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{shown}: {error}"));
    let said = [output.stdout, output.stderr]
        .map(|said| String::from_utf8_lossy(&said).into_owned())
        .join("\n");
    assert!(output.status.success(), "{shown}: {said}");
}

/// Where `initdb` and `pg_ctl` are: where `pg_config` says, or where Debian has them, in
/// the newest version.
fn binaries() -> PathBuf {
    let told = Command::new("pg_config").arg("--bindir").output().ok();
    let told =
        told.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> =
        versions.map(|version| version.path().join("bin")).collect();
    versions.sort_by_key(|path| {
        path.parent()
            .and_then(Path::file_name)
            .and_then(|name| name.to_str()?.parse::<u32>().ok())
    });
    let mut found = told.into_iter().chain(versions.into_iter().rev());
    let whole = |path: &PathBuf| {
        ["initdb", "pg_ctl", "postgres"].iter().all(|name| path.join(name).is_file())
    };
    found
        .find(whole)
        .expect("`initdb` and `pg_ctl` are missing: install a PostgreSQL server (Debian: apt-get install postgresql)")
}
