//! The example `sync_crm_erp`, killed or stopped in the middle again and again: it ends
//! the same as if nobody had.
#![cfg(all(feature = "serde", feature = "signal", feature = "sqlite", unix))]

#[cfg(feature = "postgres")]
#[path = "support/servers.rs"]
mod servers;

#[cfg(all(feature = "postgres", feature = "tls"))]
use std::io::BufRead;
#[cfg(target_os = "linux")]
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use integration_automation_patterns::outbox::{Admin, sqlite};
use program::{command, folder, run};
use rusqlite::Connection;

#[path = "support/sync_crm_erp.rs"]
mod program;

/// All that a person would see in the two databases, but for how often each record was
/// written.
fn state(folder: &Path) -> Vec<Vec<String>> {
    let mut lines = Vec::new();
    for (name, tables) in
        [("crm", ["record", "agreed", "review"]), ("erp", ["record", "agreed", "review"])]
    {
        let connection = Connection::open(folder.join(format!("{name}.db"))).unwrap();
        for table in tables {
            let mut statement = connection
                .prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2"))
                .unwrap();
            let columns: Vec<String> =
                statement.column_names().map(str::to_owned).collect();
            let rows = statement.query_map([], |row| {
                let value = |(place, column): (usize, &String)| match column.as_str() {
                    "revision" => Ok(String::new()),
                    _ => Ok(format!("{:?}", row.get::<_, Option<String>>(place)?)),
                };
                columns
                    .iter()
                    .enumerate()
                    .map(value)
                    .collect::<rusqlite::Result<Vec<String>>>()
            });
            lines.extend(rows.unwrap().map(|row| {
                [vec![name.to_owned(), table.to_owned()], row.unwrap()].concat()
            }));
        }
    }
    lines.sort();
    lines
}

#[test]
fn killed_in_the_middle_it_ends_the_same() {
    let undisturbed = folder("undisturbed");
    let report = run(&undisturbed);
    assert!(report.contains("0 are to be written yet"), "{report}");
    let wanted = state(&undisturbed);

    let again = run(&undisturbed);
    assert!(
        again.contains("356 records, 0 fields to write"),
        "run again, it has nothing to do: {again}"
    );
    assert_eq!(state(&undisturbed), wanted);

    let killed = folder("killed");
    for pause in [30, 60, 90, 120, 150, 200, 250, 300, 400, 500] {
        let mut process = command(&killed)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the example is built");
        std::thread::sleep(Duration::from_millis(pause));
        process.kill().unwrap();
        process.wait().unwrap();
    }
    run(&killed);
    assert_eq!(state(&killed), wanted, "as if nobody had killed it");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for name in ["crm", "erp"] {
        let outbox = sqlite::Outbox::open(killed.join(format!("{name}.db"))).unwrap();
        assert_eq!(runtime.block_on(outbox.verify()).unwrap(), [], "the books of {name}");
    }
    for folder in [undisturbed, killed] {
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// By signed webhooks from one system to the other, the end is the same.
#[cfg(feature = "webhook")]
#[test]
fn over_webhooks_it_ends_the_same() {
    let (within, over) = (folder("within"), folder("over-webhooks"));
    run(&within);
    let mut command = command(&over);
    let report = command.args(["--broker", "webhook://127.0.0.1"]).output().unwrap();
    let report = program::printed(report);
    assert!(report.contains("0 are to be written yet"), "{report}");
    assert_eq!(state(&over), state(&within));
    for folder in [within, over] {
        let _ = std::fs::remove_dir_all(folder);
    }
}

#[test]
fn told_to_stop_it_gives_back_and_ends_the_same() {
    let (undisturbed, stopped) = (folder("not-stopped"), folder("stopped"));
    run(&undisturbed);
    for (pause, signal) in [(100, "TERM"), (200, "INT"), (300, "TERM"), (400, "TERM")] {
        let process = command(&stopped)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        let _ = Command::new("kill")
            .args([&format!("-{signal}"), &process.id().to_string()])
            .status()
            .unwrap();
        let output = process.wait_with_output().unwrap();
        // One that was told before it could listen is ended by the signal.
        assert!(
            matches!(output.status.code(), Some(0) | None),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let report = run(&stopped);
    assert!(!report.contains("stopped: "), "{report}");
    assert_eq!(state(&stopped), state(&undisturbed), "as if nobody had stopped it");
    for name in ["crm", "erp"] {
        let outbox = sqlite::Outbox::open(stopped.join(format!("{name}.db"))).unwrap();
        assert_eq!(runtime.block_on(outbox.verify()).unwrap(), [], "the books of {name}");
    }
    for folder in [undisturbed, stopped] {
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// Waits until the program has asked for the signals, and no longer ends with the first.
#[cfg(target_os = "linux")]
fn until_it_listens(process: u32) {
    const SIGTERM: u64 = 1 << 14;
    loop {
        let status =
            std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))
            .map(str::trim)
            .expect("a mask");
        if u64::from_str_radix(caught, 16).unwrap() & SIGTERM != 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn tell(process: &std::process::Child) {
    let _ = Command::new("kill").arg(process.id().to_string()).status().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn before_anything_is_delivered_it_is_stopped_at_once() {
    let folder = folder("locked");
    run(&folder);
    let crm = Connection::open(folder.join("crm.db")).unwrap();
    crm.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let process =
        command(&folder).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until_it_listens(process.id());
    tell(&process);
    // It would wait for the lock far longer than this test may take.
    let output = process.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "stopped: what is left is for the next run\n"
    );
    crm.execute_batch("COMMIT").unwrap();
    run(&folder);
    let _ = std::fs::remove_dir_all(folder);
}

#[cfg(target_os = "linux")]
#[test]
fn told_again_it_ends_at_once() {
    const ROOM_IN_A_PIPE: usize = 65536;
    let folder = folder("told-again");
    // Full, so that it stands still with the first line that it prints, whatever that is.
    let (_reader, mut out) = std::io::pipe().unwrap();
    out.write_all(&vec![b'.'; ROOM_IN_A_PIPE]).unwrap();
    let mut process = command(&folder).stdout(out).stderr(Stdio::null()).spawn().unwrap();
    until_it_listens(process.id());
    let ended = (0..500).find_map(|_| {
        tell(&process);
        std::thread::sleep(Duration::from_millis(20));
        process.try_wait().unwrap()
    });
    let _ = process.kill();
    assert_eq!(ended.and_then(|ended| ended.code()), Some(130));
    let _ = std::fs::remove_dir_all(folder);
}

#[cfg(all(feature = "postgres", target_os = "linux"))]
#[test]
fn a_server_that_says_nothing_keeps_it_from_no_stop() {
    let folder = folder("silent");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://crm@{}/crm", silent.local_addr().unwrap());
    let mut command = command(&folder);
    let process = command
        .args(["--database", &url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _client = silent.accept().unwrap();
    tell(&process);
    let output = process.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "stopped: what is left is for the next run\n"
    );
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn what_is_wrong_on_the_command_line_is_refused_before_anything_is_done() {
    let folder = folder("refused");
    let ask = |arguments: &[&str]| command(&folder).args(arguments).output().unwrap();
    for arguments in [
        ["--broker", "carrier-pigeon://user:secret@coop"],
        ["--database", "access://user:secret@desk"],
        ["--broker", "nats"],
        ["--colour", "red"],
    ] {
        let refused = ask(&arguments);
        let message = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{message}");
        assert!(!message.contains("secret"), "{message}");
        assert!(!folder.exists(), "nothing was made");
    }
    let help = ask(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(
        ["--folder", "--database", "--broker"].iter().all(|option| help.contains(option)),
        "{help}"
    );
}

#[cfg(feature = "postgres")]
#[test]
fn a_server_that_is_not_there_is_named_with_the_reason() {
    let folder = folder("no-server");
    let output = command(&folder)
        .args(["--database", "postgres://crm:secret@127.0.0.1:1/crm"])
        .output()
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("127.0.0.1, port 1") && message.contains("refused"),
        "{message}"
    );
    assert!(!message.contains("secret"), "{message}");
    let _ = std::fs::remove_dir_all(folder);
}

#[cfg(feature = "postgres")]
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn two_copies_at_once_make_one_schema() {
    let (client, connection) =
        tokio_postgres::connect(&servers::postgres(), tokio_postgres::NoTls)
            .await
            .expect("PostgreSQL runs");
    tokio::spawn(connection);
    let name = format!("sync_copies_{}", std::process::id());
    client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    let url =
        format!("postgres://postgres@127.0.0.1:{}/{name}", servers::postgres_port());
    let folder = folder("copies");
    let copies: Vec<_> = (0..3)
        .map(|copy| {
            let mut command = command(&folder.join(copy.to_string()));
            command
                .args(["--database", &url])
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for copy in copies {
        let output = copy.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
    let _ = std::fs::remove_dir_all(folder);
}

#[cfg(all(feature = "postgres", feature = "tls"))]
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn over_tls_it_asks_who_the_server_is() {
    let (client, connection) =
        tokio_postgres::connect(&servers::postgres(), tokio_postgres::NoTls)
            .await
            .expect("PostgreSQL runs");
    tokio::spawn(connection);
    let name = format!("sync_tls_{}", std::process::id());
    client.batch_execute(&format!("CREATE DATABASE {name} OWNER secure")).await.unwrap();
    let port = servers::postgres_port();
    // A server that takes this user over TLS alone.
    let url = format!(
        "postgres://secure:s3cr3t%2Fp%40ss%3Aword@127.0.0.1:{port}/{name}?sslmode=require"
    );
    let folder = folder("tls");
    let trusting = |authority: &str| {
        let mut command = command(&folder);
        command
            .env("SSL_CERT_FILE", servers::certificate(authority))
            .args(["--database", &url]);
        command
    };
    let refused = trusting("stranger.pem").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("certificate") && !message.contains("s3cr3t"), "{message}");

    let mut process = trusting("authority.pem").stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    std::io::BufReader::new(process.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.starts_with("plan "), "it has written and read by then: {said}");
    process.kill().unwrap();
    process.wait().unwrap();
    client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
    let _ = std::fs::remove_dir_all(folder);
}
