//! An example as a program that somebody runs: its words, its JSON, its exit codes.

#![allow(dead_code, reason = "each test needs some of it")]

use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

/// An example, built once.
pub(crate) struct Program {
    example: &'static str,
    features: &'static str,
    built: OnceLock<String>,
}

impl Program {
    pub(crate) const fn new(example: &'static str, features: &'static str) -> Self {
        Self { example, features, built: OnceLock::new() }
    }

    pub(crate) fn path(&self) -> &str {
        self.built.get_or_init(|| {
            let output = Command::new(env!("CARGO"))
                .args(["build", "--quiet", "--offline", "--example", self.example])
                .args(["--features", self.features, "--message-format", "json"])
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .output()
                .expect("cargo runs");
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{errors}");
            let told = String::from_utf8(output.stdout).expect("text");
            let told =
                told.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let example =
                told.filter(|message| message["target"]["name"] == self.example);
            example
                .filter_map(|message| message["executable"].as_str().map(str::to_owned))
                .next_back()
                .expect("an executable")
        })
    }

    pub(crate) fn run(&self, folder: &Path, arguments: &[&str]) -> Output {
        Command::new(self.path())
            .args(arguments)
            .current_dir(folder)
            .output()
            .expect("the example runs")
    }

    /// What a command prints, with the exit code that is expected.
    pub(crate) fn text(&self, folder: &Path, arguments: &[&str], wanted: i32) -> String {
        let output = self.run(folder, arguments);
        assert_eq!(code(&output), wanted, "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    /// The same with `--json`, each line read back.
    pub(crate) fn json(
        &self,
        folder: &Path,
        arguments: &[&str],
        wanted: i32,
    ) -> Vec<Value> {
        let lines = self.text(folder, &[arguments, &["--json"]].concat(), wanted);
        lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("a JSON document on each line"))
            .collect()
    }
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().expect("no signal and no panic ended it")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

pub(crate) fn keys(document: &Value) -> Vec<&str> {
    document.as_object().expect("an object").keys().map(String::as_str).collect()
}

pub(crate) fn ids(documents: &[Value]) -> Vec<&str> {
    documents.iter().map(|document| document["id"].as_str().expect("an id")).collect()
}
