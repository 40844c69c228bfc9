//! What people read before the code: the README, the guide, its map and the recipes say
//! what is there, and fit on a page.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const README: &str = include_str!("../README.md");
const BUGS: &str = include_str!("../src/guide/bugs_that_do_not_compile.md");
const FIGURES: &str = include_str!("../src/guide/figures.md");
const CONTRIBUTING: &str = include_str!("../.github/CONTRIBUTING.md");
const ARCHITECTURE: &str = include_str!("../src/guide/architecture.md");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of the folder and of every folder in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The cells of a table's rows, without its head.
fn rows(text: &'static str, head: &str) -> Vec<Vec<&'static str>> {
    let table = text.lines().skip_while(|line| !line.starts_with(head)).skip(2);
    let cells =
        |row: &'static str| row.trim_matches('|').split(" | ").map(str::trim).collect();
    table.take_while(|line| line.starts_with('|')).map(cells).collect()
}

/// The pages of the guide.
fn pages() -> impl Iterator<Item = PathBuf> {
    files(&root().join("src/guide"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|name| name == "md"))
}

/// The chapters of the guide, by name.
fn chapters() -> BTreeSet<String> {
    pages().map(|page| page.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn the_front_page_fits_on_a_few_screens() {
    let lines = README.lines().count();
    assert!(
        lines <= 220,
        "the README has {lines} lines: what is too much for it belongs into a chapter of the guide"
    );
}

/// Fails where a line of code in these documents, as they are numbered in the file, is
/// wider than a reader's screen.
fn is_narrow<'a>(
    file: &Path,
    document: impl Iterator<Item = (usize, &'a str)>,
    is_code: impl Fn(&str) -> bool,
) {
    let (mut is_open, mut in_code) = (false, false);
    for (number, line) in document {
        if let Some(language) = line.strip_prefix("```") {
            is_open = !is_open;
            in_code = is_open && is_code(language);
        }
        let width = line.chars().count();
        assert!(
            !in_code || width <= 90,
            "{}:{}: {width} columns of code",
            file.display(),
            number + 1
        );
    }
}

#[test]
fn no_code_scrolls_sideways() {
    for page in pages().chain([root().join("README.md")]) {
        let text = fs::read_to_string(&page).unwrap();
        is_narrow(&page, text.lines().enumerate(), |language| {
            language.starts_with("rust") || language.starts_with("sql")
        });
    }
}

#[test]
fn no_example_in_the_source_scrolls_sideways() {
    let sources = files(&root().join("src")).into_iter();
    for file in sources.filter(|path| path.extension().is_some_and(|name| name == "rs")) {
        let text = fs::read_to_string(&file).unwrap();
        let documentation = text.lines().enumerate().filter_map(|(number, line)| {
            let line = line.trim_start();
            let line = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))?;
            Some((number, line.strip_prefix(' ').unwrap_or(line)))
        });
        is_narrow(&file, documentation, |language| language != "text");
    }
}

#[test]
fn the_readme_shows_ten_bugs_of_the_guides() {
    let rows = BUGS
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| bug |"));
    let all = rows.collect::<BTreeSet<_>>();
    let shown = README.lines().skip_while(|line| !line.starts_with("| bug |")).skip(2);
    let shown = shown.take_while(|line| line.starts_with('|')).collect::<BTreeSet<_>>();
    assert_eq!(shown.len(), 10);
    assert_eq!(
        shown.difference(&all).collect::<Vec<_>>(),
        Vec::<&&str>::new(),
        "rows that the guide does not have"
    );
    let count = format!("lists all {}.", all.len());
    assert!(README.contains(&count), "the README does not say {count:?}");
}

#[test]
fn the_readme_shows_five_figures_of_the_guides_with_their_commands() {
    let shown = rows(README, "| figure |");
    assert_eq!(shown.len(), 5);
    for row in shown {
        let [figure, measured, command] = row[..] else { panic!("{row:?}") };
        let of_guide = format!("| {figure} | {measured} |");
        assert!(
            FIGURES.lines().any(|line| line == of_guide),
            "the guide does not have {of_guide}"
        );
        let command = command.trim_matches('`');
        assert!(
            FIGURES.contains(&format!("`{command}")),
            "the guide does not give the command {command}"
        );
    }
}

/// A program that people copy is one that compiles and runs.
#[test]
fn the_readmes_second_program_is_the_heart_of_its_example() {
    let (_, heart) = README.split_once("```rust,ignore\n").expect("a second program");
    let (heart, _) = heart.split_once("```").expect("it ends");
    let indented = |line: &str| {
        if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") }
    };
    let heart = heart.lines().map(indented).collect::<String>();
    assert!(
        include_str!("../examples/tickets.rs").contains(&heart),
        "examples/tickets.rs does not have\n{heart}"
    );
}

#[test]
fn every_chapter_is_in_the_documentation_and_on_the_front_page() {
    let modules = include_str!("../src/guide/mod.rs");
    let listed = rows(README, "| chapter |");
    let listed = listed
        .iter()
        .flat_map(|row| row[0].split(", "))
        .map(|name| name.trim_matches('`').to_owned());
    assert_eq!(listed.collect::<BTreeSet<_>>(), chapters());
    for chapter in chapters() {
        let included =
            format!("#[doc = include_str!(\"{chapter}.md\")]\npub mod {chapter} {{}}");
        assert!(modules.contains(&included), "src/guide/mod.rs does not have {included}");
    }
}

/// The words of the architecture's map that name files or folders.
fn mapped() -> BTreeSet<&'static str> {
    let (_, map) =
        ARCHITECTURE.split_once("```text\nsrc/\n").expect("the chapter has a map");
    let (map, _) = map.split_once("```").expect("the map ends");
    let first_column = map.lines().filter_map(|line| line.get(..21.min(line.len())));
    let words = first_column
        .flat_map(|line| line.split([' ', ',']))
        .filter(|word| !word.is_empty());
    words.filter(|word| word.ends_with('/') || word.ends_with(".rs")).collect()
}

#[test]
fn the_map_names_every_room() {
    let rooms = fs::read_dir(root().join("src")).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() { format!("{name}/") } else { name }
    });
    for room in rooms {
        assert!(
            mapped().contains(room.as_str()),
            "the map in src/guide/architecture.md does not name {room}"
        );
    }
    let there = files(&root().join("src"));
    for word in mapped() {
        let is_there = |path: &PathBuf| {
            path.ends_with(word)
                || path.parent().is_some_and(|folder| folder.ends_with(word))
        };
        assert!(there.iter().any(is_there), "the map names {word}, which is not there");
    }
}

/// The upper half never depends on the lower one: no file of it names a module of the
/// durable half.
#[test]
fn the_pure_half_imports_nothing_of_the_durable_half() {
    const PURE: &str = "audit cloudevents envelope external reason.rs refused.rs \
                        retry.rs sync text.rs workflow";
    // The durable half of a room of the pure one, in a folder that says so.
    const APART: &str = "workflow/durable";
    const DURABLE: &str = "broker config_error crash_point inbox outbox relay service store testing tls trace";
    for room in PURE.split(' ') {
        let path = root().join("src").join(room);
        let sources = if path.is_dir() { files(&path) } else { vec![path] };
        let apart = root().join("src").join(APART);
        for source in sources.iter().filter(|source| !source.starts_with(&apart)) {
            let text = fs::read_to_string(source).unwrap();
            // Documentation may point downwards; code may not.
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect::<Vec<_>>()
                .join("\n");
            for module in DURABLE.split(' ') {
                let path = format!("crate::{module}");
                assert!(!code.contains(&path), "{} uses {path}", source.display());
            }
            // The one name of the durable half that stands at the root.
            let uses_it = code.contains("ConfigError");
            assert!(!uses_it, "{} uses ConfigError", source.display());
        }
    }
}

/// The type that a form of `serde_support` stands for, where it is one.
fn type_of_form(line: &str, remote: Option<&'static str>) -> Option<&'static str> {
    let words = line.trim_start();
    let name = words.strip_prefix("struct ").or_else(|| words.strip_prefix("enum "))?;
    let name = name.split(['<', ' ']).next()?.strip_suffix("Form")?;
    Some(remote.unwrap_or_else(|| match name {
        "" => "Write",
        "Audit" => "AuditRecord",
        "Decision" => "Decision",
        // A row of the contract's `fields`.
        "Contract" | "Field" => "Contract",
        "Record" => "Record",
        "RecordRules" => "RecordRules",
        "RetryPolicy" => "RetryPolicy",
        other => panic!("which type has the form {other}Form?"),
    }))
}

/// The name under which a line of a form is written: a field's, or a variant's in snake
/// case.
fn written_name(line: &str) -> Option<String> {
    let line = line.trim_start();
    let word = line.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    let is_field = line[word.len()..].starts_with(": ");
    let is_variant = word.starts_with(char::is_uppercase);
    let snake = |name: String, c: char| match c {
        'A'..='Z' if name.is_empty() => c.to_ascii_lowercase().to_string(),
        'A'..='Z' => format!("{name}_{}", c.to_ascii_lowercase()),
        _ => format!("{name}{c}"),
    };
    (is_field || is_variant).then(|| word.chars().fold(String::new(), snake))
}

#[test]
fn the_table_of_forms_names_all_that_is_written() {
    const TABLE: &str = include_str!("../src/guide/as_data.md");
    const FORMS: [&str; 3] = [
        include_str!("../src/external/serde_support/audit.rs"),
        include_str!("../src/external/serde_support/envelope.rs"),
        include_str!("../src/external/serde_support/sync.rs"),
    ];
    let quoted =
        |line: &'static str, key: &str| Some(line.split_once(key)?.1.split_once('"')?.0);
    for forms in FORMS {
        let (mut remote, mut renamed, mut row) = (None, None, None);
        for line in forms.lines() {
            remote = quoted(line, "serde(remote = \"").or(remote);
            renamed = quoted(line, "serde(rename = \"").or(renamed);
            if let Some(of) = type_of_form(line, remote) {
                let head = format!("| [`{of}`]");
                let found = TABLE.lines().find(|row| row.contains(&head));
                row =
                    Some(found.unwrap_or_else(|| panic!("no row has the form of {of}")));
                remote = None;
            } else if line.trim() == "}" {
                row = None;
            } else if let (Some(row), Some(name)) = (row, written_name(line)) {
                let name = renamed.take().map_or(name, str::to_owned);
                let mut words = row.split(|c: char| !c.is_alphanumeric() && c != '_');
                assert!(words.any(|word| word == name), "{name} is missing in {row}");
            }
        }
    }
}

/// Each situation of the chapter names its test, by file and name, and the test is there.
#[test]
fn every_situation_between_two_systems_has_its_test() {
    const CHAPTER: &str = include_str!("../src/guide/two_systems.md");
    let lines = CHAPTER.lines().skip_while(|line| !line.starts_with("| what happens |"));
    let mut situations = 0;
    for line in lines.take_while(|line| !line.starts_with("## The rules")) {
        if !line.starts_with("| ") || line.starts_with("| what happens |") {
            continue;
        }
        let names = line.split('`').skip(1).step_by(2).collect::<Vec<_>>();
        let [.., file, name] = names.as_slice() else { panic!("no test in {line}") };
        let test = root().join("tests").join(file);
        let test = [test.with_extension("rs"), test.join("main.rs")]
            .into_iter()
            .find_map(|path| std::fs::read_to_string(path).ok());
        let test = test.unwrap_or_else(|| panic!("tests/{file} is not there"));
        assert!(test.contains(&format!("fn {name}(")), "{name} is not in tests/{file}");
        situations += 1;
    }
    assert!(situations > 10);
}

/// The paths of this repository that stand between backticks.
fn paths_in(text: &'static str) -> impl Iterator<Item = &'static str> {
    let code = text.split('`').skip(1).step_by(2);
    code.filter(|code| {
        ["src/", "tests/", "benches/", ".ci/"]
            .iter()
            .any(|folder| code.starts_with(folder))
    })
    .map(|code| code.split(' ').next().unwrap_or(code))
}

#[test]
fn the_recipes_name_files_that_are_there() {
    for path in paths_in(CONTRIBUTING)
        .filter(|path| !path.contains("NAME") && !path.contains('*'))
    {
        assert!(
            root().join(path).exists(),
            ".github/CONTRIBUTING.md names {path}, which is not there"
        );
    }
}

#[test]
fn the_recipe_for_a_column_names_every_file_that_a_column_touches() {
    let (_, recipe) = CONTRIBUTING.split_once("### A column").expect("there is a recipe");
    let (recipe, _) = recipe.split_once("###").expect("it ends");
    let named = paths_in(recipe)
        .map(|path| path.split('*').next().unwrap_or(path))
        .collect::<Vec<_>>();
    let touched = files(&root().join("src")).into_iter().filter(|file| {
        let is_code = file.extension().is_some_and(|name| name == "rs" || name == "sql");
        is_code && fs::read_to_string(file).unwrap().contains("redriven_by")
    });
    for file in touched {
        let path =
            file.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        assert!(
            named.iter().any(|name| path.starts_with(name)),
            "the recipe does not name {path}"
        );
    }
}
