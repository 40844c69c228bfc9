//! The guide's chapter on operating: the commands that it shows, each with what it prints,
//! and whether the program prints the same.

use std::path::Path;

use crate::program::{Program, code, stderr};

const CHAPTER: &str = include_str!("../../src/guide/operating.md");

/// Runs the commands that the chapter shows of a program, in turn, and says how many there
/// are.
pub(crate) fn shows_what_it_prints(
    program: &Program,
    name: &str,
    folder: &Path,
) -> usize {
    let shown = shown(name);
    for (line, wanted) in &shown {
        let (command, code_is_asked) = match line.strip_suffix("; echo $?") {
            Some(command) => (command, true),
            None => (*line, false),
        };
        let output = program.run(folder, &words(command)[1..]);
        assert_eq!(stderr(&output), "", "{line}");
        let mut printed = String::from_utf8(output.stdout.clone()).unwrap();
        if code_is_asked {
            printed.push_str(&format!("{}\n", code(&output)));
        } else {
            assert_eq!(
                code(&output),
                0,
                "{line}: where it is not 0, the chapter asks for it"
            );
        }
        assert_eq!(masked(wanted), masked(&printed), "{line}");
    }
    shown.len()
}

/// The commands of one program, each with what it prints.
fn shown(name: &str) -> Vec<(&'static str, String)> {
    let blocks = CHAPTER.split("```").filter_map(|block| block.strip_prefix("text\n$ "));
    blocks
        .map(|block| block.split_once('\n').expect("a command and its output"))
        .filter(|(command, _)| words(command).first() == Some(&name))
        .map(|(command, output)| (command, output.to_owned()))
        .collect()
}

/// The words of a command line; what stands between quotes is one word.
fn words(line: &str) -> Vec<&str> {
    let parts = line.split('"').enumerate();
    parts
        .flat_map(|(at, part)| {
            if at % 2 == 1 { vec![part] } else { part.split_whitespace().collect() }
        })
        .collect()
}

/// The text with every time at its digits' zero, since they are those of the run.
fn masked(text: &str) -> String {
    const TIME: &[u8] = b"0000-00-00?00:00:00";
    let mut bytes = text.as_bytes().to_vec();
    for at in 0..bytes.len() {
        let Some(window) = bytes.get_mut(at..at + TIME.len()) else { break };
        let fits = |(byte, pattern): (&u8, &u8)| match pattern {
            b'0' => byte.is_ascii_digit(),
            b'?' => matches!(byte, b'T' | b' '),
            _ => byte == pattern,
        };
        if window.iter().zip(TIME).all(fits) {
            window
                .iter_mut()
                .filter(|byte| byte.is_ascii_digit())
                .for_each(|byte| *byte = b'0');
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn only_times_are_masked() {
    assert_eq!(
        masked("at 2026-01-05T08:30:00Z, 2026-01-05 08:30:00 UTC"),
        "at 0000-00-00T00:00:00Z, 0000-00-00 00:00:00 UTC"
    );
    assert_eq!(masked("3 of 17, 2026-01-05"), "3 of 17, 2026-01-05");
}
