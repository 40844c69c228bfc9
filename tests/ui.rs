//! Illegal programs do not compile, and say why in our words; their legal twins, one
//! token away, do.
//!
//! Each program in `tests/ui` opens with the bug in words, then:
//!
//! - `//@ code:` the error code, or the lint;
//! - `//@ error:`, `//@ label:`, `//@ note:` the lines of the error that are ours, whole;
//! - `//@ twin: a => b` the one token that makes it legal, on the line that ends in
//!   `//@ here`; of a declaration, a clause; `//@ twin: + clause` adds one to the line, and
//!   `//@ twin: -` leaves the line out.
//!
//! Two more are for what cannot be had better: `//@ also:` an error of rustc's own that
//! comes with ours, `//@ away:` why the error stands at another line.
//!
//! Where no label or note is given, the words of the error are rustc's own; with
//! `UI_OURS_ONLY` in the environment, as for another compiler than the one these were
//! written down with, only its code is compared then.
//!
//! A mistake (`illegal_*`) is one error; an attempt to get around the rules from another
//! crate (`forge_*`) may be more.
//!
//! All are checked by one `cargo check` of a package made for it: each program as a crate,
//! so that no error hides one of another program, and the twins together as the modules of
//! one, since they have none.
//! Whole compiler outputs are not compared: they change with every compiler, and most of
//! their lines are not ours.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

struct Program {
    name: String,
    bug: String,
    expected: BTreeMap<&'static str, String>,
    is_checked: bool,
    source: String,
    line: String,
    twin_line: String,
}

const HERE: &str = " //@ here";

/// A folder of programs that are checked where a feature is on.
struct Folder {
    name: &'static str,
    feature: &'static str,
    is_on: bool,
    driver: &'static str,
}

const FOLDERS: [Folder; 3] = [
    Folder {
        name: "delivery",
        feature: "sqlite",
        is_on: cfg!(feature = "sqlite"),
        driver: "rusqlite = { version = \"*\", default-features = false }\n",
    },
    Folder {
        name: "postgres",
        feature: "postgres",
        is_on: cfg!(feature = "postgres"),
        driver: "tokio-postgres = { version = \"*\", default-features = false }\n",
    },
    Folder {
        name: "workflow",
        feature: "workflow",
        is_on: cfg!(feature = "workflow"),
        driver: "",
    },
];

impl Program {
    fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let source = fs::read_to_string(path).unwrap();
        let header = |key: &str| {
            let line = source
                .lines()
                .find_map(|line| line.strip_prefix(&format!("//@ {key}: ")));
            line.map(str::to_owned)
        };
        let bug = source.lines().next().and_then(|line| line.strip_prefix("//! "));
        let bug = bug
            .unwrap_or_else(|| panic!("{name}: the first line names the bug"))
            .to_owned();
        let expected = ["code", "error", "label", "note", "also", "away"];
        let expected = expected
            .into_iter()
            .filter_map(|key| Some((key, header(key)?)))
            .collect::<BTreeMap<_, _>>();
        for key in ["code", "error"] {
            assert!(expected.contains_key(key), "{name}: no `//@ {key}:`");
        }

        let twin = header("twin").unwrap_or_else(|| panic!("{name}: no `//@ twin:`"));
        let mut marked = source.lines().filter_map(|line| line.strip_suffix(HERE));
        let line =
            marked.next().unwrap_or_else(|| panic!("{name}: no `{HERE}`")).to_owned();
        assert_eq!(marked.next(), None, "{name}: more than one `{HERE}`");
        let twin_line = twin_line(&name, &line, &twin);
        let is_checked = path.parent().is_none_or(|parent| {
            FOLDERS.iter().all(|folder| folder.is_on || !parent.ends_with(folder.name))
        });
        Self { name, bug, expected, is_checked, source, line, twin_line }
    }

    fn twin_source(&self) -> String {
        self.source.replace(&format!("{}{HERE}", self.line), &self.twin_line)
    }

    /// Whether its twin changes what can only be said of a whole crate.
    fn is_alone(&self) -> bool {
        self.source.lines().any(|line| line.starts_with("#![recursion_limit"))
    }

    /// Its row in the guide's table.
    fn row(&self) -> String {
        let shown = |line: &str| {
            let line = line.trim().trim_end_matches([';', '{']).trim_end();
            let line = line.strip_prefix("let _ = ").unwrap_or(line);
            if line.is_empty() {
                "(without it)".to_owned()
            } else {
                line.replace('|', r"\|")
            }
        };
        let error = self.expected["error"].replace('|', r"\|");
        let code = &self.expected["code"];
        let lint =
            if code.starts_with("unused") { " (a warning, unless denied)" } else { "" };
        format!(
            "| {} | `{}` | {error}{lint} | `{}` |",
            self.bug,
            shown(&self.line),
            shown(&self.twin_line)
        )
    }
}

/// The marked line, as the twin has it.
fn twin_line(name: &str, line: &str, twin: &str) -> String {
    if twin == "-" {
        return String::new();
    }
    if let Some(clause) = twin.strip_prefix("+ ") {
        return format!("{line} {clause}");
    }
    let (wrong, right) =
        twin.split_once(" => ").unwrap_or_else(|| panic!("{name}: twin is `a => b`"));
    assert!(
        is_one_token(wrong) && is_one_token(right),
        "{name}: `{twin}` changes more than one token"
    );
    replace_token(line, wrong, right)
        .unwrap_or_else(|| panic!("{name}: no one `{wrong}` in {line}"))
}

/// An identifier, a string literal, or the end of a declaration, with or without an
/// authority, a party or a field.
fn is_one_token(text: &str) -> bool {
    let text = text
        .trim_start_matches("=> ")
        .trim_start_matches("and ")
        .trim_end_matches(',')
        .trim_end_matches(" {");
    if ["", "{", "{}", "{ email: String => Crm }"].contains(&text) {
        return true;
    }
    if text.starts_with("asks ") || text == "commands()" {
        return true;
    }
    let is_word =
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let literal = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    is_word || literal.is_some_and(|text| !text.contains('"'))
}

/// The line with one token in place of another that stands in it exactly once.
fn replace_token(line: &str, wrong: &str, right: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_word = wrong.starts_with(is_part);
    let whole = |at: usize| {
        !line[..at].ends_with(is_part) && !line[at + wrong.len()..].starts_with(is_part)
    };
    let places = line.match_indices(wrong).filter(|(at, _)| !is_word || whole(*at));
    match places.collect::<Vec<_>>()[..] {
        [(at, _)] => Some(format!(
            "{}{}{right}{}",
            &line[..at],
            if wrong == "," { " " } else { "" },
            &line[at + wrong.len()..]
        )),
        _ => None,
    }
}

fn programs() -> Vec<Program> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let read = |folder: PathBuf| {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())
    };
    let mut paths = read(folder.clone())
        .chain(FOLDERS.iter().flat_map(|one| read(folder.join(one.name))))
        .collect::<Vec<PathBuf>>();
    paths.retain(|path| path.is_file());
    let is_forgery = |path: &Path| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"forge"))
    };
    paths.sort_by_key(|path| (is_forgery(path), path.components().count(), path.clone()));
    paths.iter().map(|path| Program::read(path)).collect()
}

/// Whether a message is an error at a place; the last one of a failed program only counts
/// the others.
fn is_error(message: &Value) -> bool {
    message["level"] == "error"
        && message["spans"].as_array().is_some_and(|spans| !spans.is_empty())
}

/// The crate of the twins.
const TWINS: &str = "twins";

/// The program, or the twin, in whose file an error stands.
fn file(error: &Value) -> String {
    let path = outermost(primary(error))["file_name"].as_str().unwrap();
    Path::new(path).file_stem().unwrap().to_str().unwrap().to_owned()
}

/// The errors of every program and twin, by name.
fn check(programs: &[Program]) -> BTreeMap<String, Vec<Value>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui");
    let sources = package.join("src");
    let _ = fs::remove_dir_all(&sources);
    fs::create_dir_all(&sources).unwrap();
    let on = || FOLDERS.iter().filter(|folder| folder.is_on);
    let drivers = on().map(|folder| folder.driver).collect::<String>();
    let others = cfg!(feature = "serde").then_some("serde");
    let features = on().map(|folder| folder.feature).chain(others).collect::<Vec<_>>();
    let mut manifest = format!(
        "[package]\nname = \"ui\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n[workspace]\n\n\
         [dependencies]\nchrono = {{ version = \"0.4\", default-features = false }}\n\
         {drivers}\n[dependencies.integration-automation-patterns]\npath = {root:?}\nfeatures = {features:?}\n\n\
         [lib]\npath = \"src/lib.rs\"\n"
    );
    let mut library = fs::read_to_string(root.join("tests/ui/lib/systems.rs")).unwrap();
    if cfg!(feature = "workflow") {
        library += "\npub mod orders;\n";
        let support = |name: &str| {
            fs::read_to_string(root.join("examples/support").join(name)).unwrap()
        };
        // The library has the events and the people, and each program its own workflow: a
        // compile error names a type of another crate by a longer path.
        let orders = support("orders.rs").replace("include!(\"order_to_cash.rs\");", "");
        fs::write(sources.join("orders.rs"), orders).unwrap();
        let table = support("order_to_cash.rs");
        let uses = "use integration_automation_patterns::workflow;\n\
                    use integration_automation_patterns::workflow::Cleared;\n\
                    use ui::orders::{BillingDesk, Controller, CreateOrder, CreditDesk, CreditRefused, CreditReleased, \
                    CreditReserved, ErpDesk, FreeStock, HeadOfFinance, HoldStock, InvoiceIssued, IssueInvoice, Order, \
                    OrderCreated, OrderRefused, Quote, ReleaseCredit, ReserveCredit, Sales, StockFreed, StockHeld, StockRefused};\n";
        fs::write(sources.join("table.rs"), format!("{uses}{table}")).unwrap();
    }
    fs::write(sources.join("lib.rs"), library).unwrap();
    let mut write = |name: &str, source: &str| {
        fs::write(sources.join(format!("{name}.rs")), source).unwrap();
        manifest += &format!(
            "\n[[example]]\nname = \"{name}\"\npath = \"src/{name}.rs\"\ncrate-type = [\"lib\"]\n"
        );
    };
    let mut twins = String::new();
    if cfg!(feature = "workflow") {
        twins += "mod table;\n";
    }
    for program in programs {
        write(&program.name, &program.source);
        if program.is_alone() {
            write(&twin(program), &program.twin_source());
        } else {
            let source = program.twin_source().replace("mod table;", "use crate::table;");
            fs::write(sources.join(format!("{}.rs", twin(program))), source).unwrap();
            twins += &format!("pub mod {};\n", twin(program));
        }
    }
    write(TWINS, &twins);
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();

    let output = Command::new(env!("CARGO"))
        .args([
            "check",
            "--offline",
            "--keep-going",
            "--examples",
            "--message-format=json",
        ])
        .current_dir(&package)
        .env("CARGO_TARGET_DIR", package.join("target"))
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    let mut errors = BTreeMap::<_, Vec<Value>>::new();
    let mut are_checked = false;
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        let name = message["target"]["name"].as_str().unwrap_or_default().to_owned();
        match message["reason"].as_str() {
            Some("compiler-message") if is_error(&message["message"]) => {
                are_checked |= name == TWINS;
                let name = if name == TWINS { file(&message["message"]) } else { name };
                errors.entry(name).or_default().push(message["message"].clone());
            }
            Some("compiler-artifact") => are_checked |= name == TWINS,
            _ => {}
        }
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(are_checked, "the twins were not checked:\n{stderr}");
    for (name, errors) in &errors {
        let is_known =
            |program: &Program| *name == program.name || *name == twin(program);
        assert!(programs.iter().any(is_known), "{name}:\n{}", rendered(errors));
    }
    errors
}

fn twin(program: &Program) -> String {
    format!("{}_twin", program.name)
}

fn rendered(errors: &[Value]) -> String {
    errors.iter().map(|error| error["rendered"].as_str().unwrap().to_owned()).collect()
}

fn primary(error: &Value) -> &Value {
    let mut spans = error["spans"].as_array().unwrap().iter();
    spans.find(|span| span["is_primary"] == true).unwrap()
}

/// Where the program's own words have an error, which a macro may have made of them; of a
/// macro of its own, where that is called.
fn place<'e>(program: &Program, mut span: &'e Value) -> &'e Value {
    let is_own = |span: &Value| {
        let path = Path::new(span["file_name"].as_str().unwrap());
        path.file_stem().unwrap() == program.name.as_str()
    };
    loop {
        let by = &span["expansion"];
        if by.is_null() || is_own(span) && !is_own(&by["def_site_span"]) {
            return span;
        }
        span = &by["span"];
    }
}

/// The place in the program of what a macro has made.
fn outermost(mut span: &Value) -> &Value {
    while !span["expansion"].is_null() {
        span = &span["expansion"]["span"];
    }
    span
}

/// What a program expects of an error and does not find in it.
fn differences(program: &Program, error: &Value) -> String {
    let primary = primary(error);
    let notes = error["children"].as_array().unwrap();
    let no_code = Value::from("none");
    let found = |key: &str| match key {
        "code" if error["code"].is_null() => vec![&no_code],
        "code" => vec![&error["code"]["code"]],
        "error" => vec![&error["message"]],
        "label" => vec![&primary["label"]],
        _ => notes.iter().map(|note| &note["message"]).collect(),
    };
    let is_ours =
        program.expected.contains_key("label") || program.expected.contains_key("note");
    let compared = |key: &str| !["also", "away"].contains(&key);
    let compared = |key: &str| {
        compared(key)
            && (key == "code" || is_ours || std::env::var_os("UI_OURS_ONLY").is_none())
    };
    let expected = program.expected.iter().filter(|(key, _)| compared(key));
    let missing =
        expected.filter(|(key, wanted)| !found(key).iter().any(|found| found == wanted));
    let mut differences =
        missing.map(|(key, wanted)| format!("the {key} {wanted:?}")).collect::<Vec<_>>();
    let here = program
        .source
        .lines()
        .position(|line| line.ends_with(HERE))
        .map(|index| index as u64 + 1);
    let place = place(program, primary);
    let span = place["line_start"].as_u64()..=place["line_end"].as_u64();
    if !span.contains(&here) && !program.expected.contains_key("away") {
        differences.push(format!("an error that points at {:?}", program.line));
    }
    differences.join(" and ")
}

#[test]
fn illegal_programs_are_refused_in_our_words_and_their_twins_compile() {
    let mut programs = programs();
    programs.retain(|program| program.is_checked);
    let errors = check(&programs);
    let mut failures = Vec::new();
    for program in &programs {
        let found = errors.get(&program.name).map(Vec::as_slice).unwrap_or_default();
        let ours = found.iter().find(|error| differences(program, error).is_empty());
        let may_be_more = program.name.starts_with("forge_");
        let also = program.expected.get("also");
        let others = found
            .iter()
            .filter(|error| also.is_none_or(|also| error["message"] != also.as_str()))
            .count();
        match (ours, found) {
            (Some(_), _) if others == 1 || may_be_more => {}
            (None, [error]) => {
                let (name, wanted, error) =
                    (&program.name, differences(program, error), rendered(found));
                failures.push(format!("{name}: wanted {wanted}, and found\n{error}"));
            }
            (_, found) => {
                let (name, count, errors) = (&program.name, found.len(), rendered(found));
                failures.push(format!("{name}: wanted one error for one mistake, and found {count}\n{errors}"));
            }
        }
        if let Some(found) = errors.get(&twin(program)) {
            failures.push(format!(
                "{}: the legal twin does not compile\n{}",
                program.name,
                rendered(found)
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures\n\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn the_guide_lists_every_illegal_program_with_its_error_and_its_twin() {
    let chapter = include_str!("../src/guide/bugs_that_do_not_compile.md");
    let rows = programs().iter().map(Program::row).collect::<Vec<_>>();
    let listed = chapter
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| bug |"));
    let listed = listed.map(str::to_owned).collect::<BTreeSet<_>>();
    let programs = rows.iter().cloned().collect::<BTreeSet<_>>();
    let differences =
        listed.symmetric_difference(&programs).map(String::as_str).collect::<Vec<_>>();
    assert!(
        differences.is_empty(),
        "rows on one side only:\n{}\nall rows:\n{}",
        differences.join("\n"),
        rows.join("\n")
    );
}

#[test]
fn the_first_error_that_people_read_is_the_one_they_get() {
    let programs = programs();
    let program = programs
        .iter()
        .find(|program| program.name == "illegal_dispatch_finished")
        .unwrap();
    let shown = [
        format!("error[E0277]: {}", program.expected["error"]),
        program.expected["label"].clone(),
    ];
    for (page, text) in [
        ("README.md", include_str!("../README.md")),
        ("src/envelope/state.rs", include_str!("../src/envelope/state.rs")),
    ] {
        for line in &shown {
            assert!(text.contains(line), "{page} does not show {line:?}");
        }
    }
    let foreign = programs
        .iter()
        .find(|program| program.name == "illegal_write_foreign_field")
        .unwrap();
    let line = format!("error[E0277]: {}", foreign.expected["error"]);
    let chapter = include_str!("../src/guide/fields.md");
    assert!(chapter.contains(&line), "src/guide/fields.md does not show {line:?}");
}
