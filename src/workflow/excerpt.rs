//! What an error shows of a text that it has found: its beginning, on one line.

/// The text in quotes, escaped, and cut where it is long.
///
/// Not for what an instance is about, nor for what an approval has shown: no error holds
/// those.
pub(super) fn excerpt(found: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = found.chars().take(LONGEST).collect();
    if shown.len() < found.len() {
        shown.push('\u{2026}');
    }
    format!("{shown:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Protects a log from a row with a whole book in the place of a name.
    #[test]
    fn a_long_text_is_cut_and_a_line_stays_one() {
        assert_eq!(excerpt("charge_card"), "\"charge_card\"");
        assert_eq!(excerpt("two\nlines"), "\"two\\nlines\"");
        assert_eq!(excerpt(&"\u{e9}".repeat(60)), format!("{:?}", "\u{e9}".repeat(60)));
        let cut = format!("{:?}", format!("{}\u{2026}", "x".repeat(60)));
        assert_eq!(excerpt(&"x".repeat(61)), cut);
    }
}
