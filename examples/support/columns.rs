//! Aligned tables without colours, and nothing in them that a terminal would obey.

use std::fmt::Write;

use chrono::{DateTime, Utc};

use crate::terminal::printable;

#[derive(Clone, Copy)]
pub(crate) enum Align {
    Left,
    Right,
}
pub(crate) use Align::{Left, Right};

/// A header and its rows; nothing where there are none.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    align: [Align; N],
    body: Vec<[String; N]>,
) -> String {
    if body.is_empty() {
        return String::new();
    }
    rows(align, [header.map(str::to_owned)].into_iter().chain(body).collect())
}

/// Rows whose columns begin at the same place. What is empty is shown as `-`.
pub(crate) fn rows<const N: usize>(align: [Align; N], body: Vec<[String; N]>) -> String {
    let cell =
        |text: String| if text.is_empty() { "-".to_owned() } else { printable(&text) };
    let body: Vec<[String; N]> = body.into_iter().map(|row| row.map(cell)).collect();
    let mut widths = [0; N];
    for row in &body {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &body {
        let cells =
            row.iter().zip(align).zip(widths).map(|((cell, align), width)| match align {
                Left => format!("{cell:<width$}"),
                Right => format!("{cell:>width$}"),
            });
        push(&mut text, cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

pub(crate) fn push(text: &mut String, line: &str) {
    // Writing to a string succeeds.
    let _ = writeln!(text, "{line}");
}

/// To the second, in UTC.
pub(crate) fn time(moment: DateTime<Utc>) -> String {
    moment.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
