//! Where a test runs the example: files or schemas of its own, and a broker in files.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

#[cfg(feature = "postgres")]
use crate::servers;

/// The program, with its options before those of the test.
pub(crate) struct Place {
    folder: PathBuf,
    options: Vec<String>,
    #[cfg(feature = "postgres")]
    schemas: Option<String>,
}

impl Place {
    pub(crate) fn files(name: &str) -> Self {
        let folder = folder(name);
        let options = ["--folder".to_owned(), folder.display().to_string()];
        Self {
            folder,
            options: options.to_vec(),
            #[cfg(feature = "postgres")]
            schemas: None,
        }
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn schemas(name: &str) -> Self {
        let schemas = format!("otc_{}_{}", name.replace('-', "_"), std::process::id());
        let port = servers::postgres_port();
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        let options = ["--database", &url, "--name", &schemas].map(str::to_owned);
        let folder = folder(&format!("{name}-postgres"));
        Self { folder, options: options.to_vec(), schemas: Some(schemas) }
    }

    /// Its folder, which a run makes.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the orders stand in files.
    pub(crate) fn is_files(&self) -> bool {
        self.options.iter().any(|option| option == "--folder")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(&self.options).args(arguments);
        command
    }

    /// The address of a broker in files, which outlive the processes.
    pub(crate) fn broker(&self) -> String {
        format!("file://{}/broker", self.folder.display())
    }

    /// What it prints in a run that ends well.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        printed(self.command(arguments).output().expect("the example is built"))
    }

    /// Whether the answer to what an order asks was taken; else why not.
    pub(crate) fn answer(
        &self,
        order: &str,
        answer: &str,
        by: &str,
    ) -> Result<(), String> {
        let words = ["--approve", order, answer, "--by", by, "--reason", "I looked"];
        let output = self.command(&words).output().expect("the example is built");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(errors) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let _ = std::fs::remove_dir_all(&self.folder);
        #[cfg(feature = "postgres")]
        if let Some(schemas) = &self.schemas {
            drop_schemas(schemas);
        }
    }
}

#[cfg(feature = "postgres")]
fn drop_schemas(name: &str) {
    let sql =
        format!("DROP SCHEMA {name}_orders CASCADE; DROP SCHEMA {name}_systems CASCADE");
    let work = async {
        let config = servers::postgres();
        let (client, connection) =
            tokio_postgres::connect(&config, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute(&sql).await
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    runtime.block_on(work).expect("the schemas were made");
}

/// The example, which `cargo test` builds.
pub(crate) fn program() -> Command {
    let here = std::env::current_exe().expect("a test has a path");
    let profile = here.ancestors().nth(2).expect("target, profile, deps");
    let mut command = Command::new(profile.join("examples/order_to_cash"));
    command.stdin(Stdio::null());
    command
}

/// A folder of the test's own, empty.
fn folder(name: &str) -> PathBuf {
    let name = format!("order-to-cash-{name}-{}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

/// What a program printed that ended well: its account balances, or it does not.
pub(crate) fn printed(output: Output) -> String {
    let printed = String::from_utf8(output.stdout).expect("text");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{errors}");
    printed
}

/// The lines about the orders, and the account.
pub(crate) fn ends(printed: &str) -> Vec<String> {
    let is_end = |line: &&str| line.starts_with("order ") || line.starts_with("reserved");
    printed.lines().filter(is_end).map(str::to_owned).collect()
}
