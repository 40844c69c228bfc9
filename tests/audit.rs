//! The audit line, value by value: what stands bare, what is quoted and how, and where a
//! damaged line goes wrong.

use std::borrow::Cow;

use integration_automation_patterns::{AuditLine, DeliveryStatus};

fn line(source: &str, correlation: Option<&str>) -> String {
    AuditLine {
        event_id: Cow::Owned("evt-001".parse().expect("not empty")),
        event_type: "crm.lead.created".into(),
        source_system: source.into(),
        status: DeliveryStatus::Dispatched,
        attempts: 12,
        correlation_id: correlation.map(Cow::Borrowed),
        schema_version: "1.0".into(),
        created_at: "2026-01-05T08:00:00.000007Z".parse().expect("a time"),
    }
    .to_string()
}

#[test]
fn an_ordinary_line_is_these_bytes() {
    assert_eq!(
        line("crm", Some("import-7")),
        "[INTEGRATION_EVENT] event_id=evt-001 type=crm.lead.created source=crm status=dispatched attempts=12 \
         correlation=import-7 schema=1.0 created=2026-01-05T08:00:00.000007+00:00"
    );
}

#[test]
fn what_cannot_be_mistaken_stands_bare() {
    for value in [
        "crm",
        "café",
        "企業",
        "🚀-1",
        "a\\b",
        "it's",
        "`tick`",
        "a/b:c;d,e",
        "[INTEGRATION_EVENT]",
        "none",
    ] {
        assert!(
            line(value, None).contains(&format!(" source={value} status=")),
            "{value}"
        );
    }
}

#[test]
fn what_breaks_or_forges_a_line_is_quoted() {
    for (value, written) in [
        ("", r#""""#),
        (" ", r#"" ""#),
        ("a b", r#""a b""#),
        ("a=b", r#""a=b""#),
        (r#"a"b"#, r#""a\"b""#),
        (r#"\ ""#, r#""\\ \"""#),
        ("a\nb", r#""a\nb""#),
        ("a\r\tb", r#""a\r\tb""#),
        ("\0", r#""\u{0}""#),
        ("\u{1b}[31m", r#""\u{1b}[31m""#),
        ("\u{85}", r#""\u{85}""#),
        ("\u{a0}", r#""\u{a0}""#),
        ("\u{2028}", r#""\u{2028}""#),
        ("\u{202e}evil", r#""\u{202e}evil""#),
        ("\u{feff}", r#""\u{feff}""#),
        ("a\u{200b}b", r#""a\u{200b}b""#),
    ] {
        let line = line(value, None);
        assert!(
            line.contains(&format!(" source={written} status=")),
            "{value:?}: {line}"
        );
        assert_eq!(
            AuditLine::parse(&line).map(|parsed| parsed.source_system),
            Ok(value.into())
        );
    }
}

#[test]
fn what_is_shown_as_nothing_is_escaped() {
    let ranges = [
        ('\u{ad}', '\u{ad}'),
        ('\u{34f}', '\u{34f}'),
        ('\u{61c}', '\u{61c}'),
        ('\u{115f}', '\u{1160}'),
        ('\u{17b4}', '\u{17b5}'),
        ('\u{180b}', '\u{180f}'),
        ('\u{200b}', '\u{200f}'),
        ('\u{202a}', '\u{202e}'),
        ('\u{2060}', '\u{206f}'),
        ('\u{2800}', '\u{2800}'),
        ('\u{3164}', '\u{3164}'),
        ('\u{fe00}', '\u{fe0f}'),
        ('\u{feff}', '\u{feff}'),
        ('\u{ffa0}', '\u{ffa0}'),
        ('\u{fff0}', '\u{fffb}'),
        ('\u{1bca0}', '\u{1bca3}'),
        ('\u{1d173}', '\u{1d17a}'),
        ('\u{e0000}', '\u{e0fff}'),
    ];
    for c in ranges.into_iter().flat_map(|(first, last)| first..=last) {
        let line = line(&format!("crm{c}"), None);
        assert!(
            line.contains(&format!("source=\"crm\\u{{{:x}}}\" ", u32::from(c))),
            "{line}"
        );
    }
}

#[test]
fn a_value_is_quoted_only_where_it_must_be() {
    let good = line("crm", None);
    for (from, to) in [
        ("=crm ", "=\"crm\" "),
        ("=crm ", "=\"c\\u{72}m\" "),
        ("=crm ", "=\"a\\u{0a}b\" "),
        ("=crm ", "=\"a\tb\" "),
        ("evt-001", "\"evt-001\""),
        ("=12 ", "=012 "),
    ] {
        let other = good.replacen(from, to, 1);
        assert_ne!(other, good);
        let error = AuditLine::parse(&other).expect_err("not what the writer writes");
        assert!(error.to_string().contains("what the writer would write"), "{error}");
    }
}

#[test]
fn no_correlation_and_the_correlation_none_are_two_things() {
    assert!(line("crm", None).contains(" correlation=none "));
    assert!(line("crm", Some("none")).contains(r#" correlation="none" "#));
    let correlation = |line: &str| {
        AuditLine::parse(line).map(|parsed| parsed.correlation_id.map(Cow::into_owned))
    };
    assert_eq!(correlation(&line("crm", None)), Ok(None));
    assert_eq!(correlation(&line("crm", Some("none"))), Ok(Some("none".to_owned())));
}

#[test]
fn a_damaged_line_is_refused_where_it_goes_wrong() {
    let good = line("crm", None);
    let at = |from: &str, to: &str| {
        let damaged = good.replacen(from, to, 1);
        assert_ne!(damaged, good);
        let error = AuditLine::parse(&damaged).expect_err("damaged");
        (
            damaged
                .get(error.at()..)
                .unwrap_or_default()
                .chars()
                .take(6)
                .collect::<String>(),
            error.to_string(),
        )
    };
    for (from, to, place, wanted) in [
        (
            "[INTEGRATION_EVENT]",
            "[integration_event]",
            "[integ",
            "\"[INTEGRATION_EVENT]\"",
        ),
        ("evt-001", "", " type=", "a value"),
        ("evt-001", "\"\"", "\"\" typ", "an event id"),
        (" source=crm", "", " statu", "\" source=\""),
        ("dispatched", "sent", "sent a", "a delivery status"),
        ("dispatched", "\"dispatched\"", "\"dispa", "a delivery status"),
        ("=12", "=+12", "+12 co", "a number of attempts"),
        ("=12", "=4294967296", "429496", "a number of attempts"),
        ("crm ", "c\"rm ", "c\"rm s", "a value"),
        ("=crm ", "=\"crm ", "", "a closing quote"),
        ("=crm ", "=\"c\\xrm\" ", "\\xrm\" ", "an escape"),
        ("=crm ", "=\"\\u{d800}\" ", "\\u{d80", "an escape"),
        ("=crm ", "=\"\\u{+41}\" ", "\\u{+41", "an escape"),
        ("2026-01-05", "2026-13-05", "2026-1", "a time"),
        ("+00:00", "+00:00 x=1", " x=1", "the end"),
    ] {
        let (found, error) = at(from, to);
        assert_eq!(found, place, "{error}");
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn a_time_with_another_offset_is_the_same_instant() {
    let original =
        line("crm", None).replace("08:00:00.000007+00:00", "13:30:00.000007+05:30");
    let parsed = AuditLine::parse(&original).expect("as the original writes it");
    assert_eq!(parsed.to_string(), line("crm", None));
}
