//! Subjects: what an event's is, what a pattern may be, and which pattern takes another
//! in.

use std::fmt::Write as _;

/// The longest subject: with it, what the server reads as one line stays within its
/// default of 4,096 bytes. Beyond that the server ends the connection, and every other
/// send with it.
pub(super) const LONGEST_SUBJECT: usize = 2048;

pub(super) const NAME: &str =
    "a name of printable ASCII without . * > / \\ %, 200 bytes at the most";
pub(super) const PATTERN: &str = "tokens of printable ASCII with dots between, * for one token, > at the end for all that \
                                  follow";

/// Streams and consumers are files of the server too.
const LONGEST_NAME: usize = 200;

pub(super) fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b".*>/\\%".contains(&byte);
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(is_plain)
}

/// Whether subjects can be asked for by this pattern.
pub(super) fn is_pattern(pattern: &str) -> bool {
    let is_token = |token: &str| match token {
        "*" => true,
        token => {
            !token.is_empty()
                && token
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && !b"*>".contains(&byte))
        }
    };
    let but_last = pattern.strip_suffix(".>").unwrap_or(pattern);
    pattern.len() <= LONGEST_SUBJECT
        && (pattern == ">" || but_last.split('.').all(is_token))
}

/// Whether every subject of the one pattern is one of the other.
pub(super) fn takes_in(wide: &str, narrow: &str) -> bool {
    let (mut wide, mut narrow) = (wide.split('.'), narrow.split('.'));
    loop {
        match (wide.next(), narrow.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

/// The subject of an event type.
pub(super) fn subject(prefix: &str, event_type: &str) -> String {
    let mut subject = format!("{prefix}.");
    let mut rest = event_type.chars().peekable();
    while let Some(c) = rest.next() {
        let is_plain = match c {
            '.' => !subject.ends_with('.') && rest.peek().is_some(),
            '*' | '>' | '%' => false,
            c => c.is_ascii_graphic(),
        };
        if is_plain {
            subject.push(c);
        } else {
            let mut room = [0; 4];
            for byte in c.encode_utf8(&mut room).bytes() {
                // A text takes whatever is written to it.
                let _ = write!(subject, "%{byte:02X}");
            }
        }
    }
    subject
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_type_has_a_subject_without_an_empty_token_or_a_wildcard() {
        for (event_type, wanted) in [
            ("crm.lead.created", "s.crm.lead.created"),
            ("lead", "s.lead"),
            (".a..b.", "s.%2Ea.%2Eb%2E"),
            (".", "s.%2E"),
            ("a*.>", "s.a%2A.%3E"),
            ("100%", "s.100%25"),
            ("Größe neu", "s.Gr%C3%B6%C3%9Fe%20neu"),
        ] {
            assert_eq!(subject("s", event_type), wanted);
        }
    }

    #[test]
    fn a_pattern_is_one_that_the_server_takes() {
        for pattern in ["a", "a.b", "*", ">", "a.>", "*.b.*", "a.*.>", "a%2A"] {
            assert!(is_pattern(pattern), "{pattern}");
        }
        for pattern in [
            "", ".", "a.", ".a", "a..b", "a.>.b", ">.a", "a*", "a b", "a\n", "ü", ">>",
            ".>",
        ] {
            assert!(!is_pattern(pattern), "{pattern:?}");
        }
    }

    #[test]
    fn a_pattern_takes_in_what_is_no_wider() {
        for (wide, narrow, wanted) in [
            ("crm.>", "crm.>", true),
            (">", "crm.>", true),
            ("*.>", "crm.>", true),
            ("crm.*", "crm.>", false),
            ("crm.lead", "crm.>", false),
            ("erp.>", "crm.>", false),
            ("crm.>", "crm", false),
            ("crm.*", "crm.lead", true),
        ] {
            assert_eq!(takes_in(wide, narrow), wanted, "{wide} {narrow}");
        }
    }
}
