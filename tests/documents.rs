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

#[test]
fn no_code_scrolls_sideways() {
    for page in pages().chain([root().join("README.md")]) {
        let text = fs::read_to_string(&page).unwrap();
        let mut in_code = false;
        for (number, line) in text.lines().enumerate() {
            if let Some(language) = line.strip_prefix("```") {
                in_code = language.starts_with("rust") || language.starts_with("sql");
            }
            let width = line.chars().count();
            assert!(
                !in_code || width <= 90,
                "{}:{}: {width} columns of code",
                page.display(),
                number + 1
            );
        }
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
    const PURE: &str =
        "audit cloudevents envelope external reason.rs refused.rs retry.rs sync";
    const DURABLE: &str =
        "broker config_error crash_point inbox outbox relay store testing tls trace";
    for room in PURE.split(' ') {
        let path = root().join("src").join(room);
        let sources = if path.is_dir() { files(&path) } else { vec![path] };
        for source in sources {
            let text = fs::read_to_string(&source).unwrap();
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
        }
    }
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
