//! Characters that a line or a page for people must not show as they are, and those that
//! no name has.

/// Whether a character breaks a line or hides what it says: control characters, every
/// blank but the plain one, and what is shown as nothing (the code points that Unicode
/// calls `Default_Ignorable_Code_Point`, the interlinear annotation marks, and the blank
/// braille pattern), such as what reorders text.
pub(crate) fn must_be_escaped(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
        || matches!(c, '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}')
        || matches!(c, '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The first control character of a text that people have written, but for those that
/// break its lines, where it may. PostgreSQL holds no text with a NUL, and a terminal obeys
/// the others.
pub(crate) fn control_character(text: &str, breaks_lines: bool) -> Option<char> {
    let breaks = |c: &char| breaks_lines && matches!(c, '\n' | '\r' | '\t');
    text.chars().find(|c| c.is_control() && !breaks(c))
}
