//! An error as one line: what it says, and what each of its causes says, down to the
//! first; without the values that an error of JSON quotes.

use std::error::Error;

/// The whole chain of causes, with `: ` between them. An error that shows its cause
/// already does not show it twice.
pub(crate) fn reason(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !line.ends_with(&said) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&said);
        }
        cause = error.source();
    }
    without_values(line, error)
}

/// The line with what quotes no value in place of each error of JSON: a decoder repeats of
/// a payload what it finds, and a reason stands in logs and audit trails.
#[cfg(any(feature = "delivery", feature = "serde"))]
fn without_values(mut line: String, error: &(dyn Error + 'static)) -> String {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(of_json) = error.downcast_ref::<serde_json::Error>() {
            let shown = crate::json_error::JsonError::from(of_json).to_string();
            line = line.replace(&of_json.to_string(), &shown);
        }
        cause = error.source();
    }
    line
}

#[cfg(not(any(feature = "delivery", feature = "serde")))]
const fn without_values(line: String, _: &(dyn Error + 'static)) -> String {
    line
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Says(&'static str, Option<Box<Says>>);

    impl fmt::Display for Says {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Says {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            match &self.1 {
                Some(cause) => Some(&**cause),
                None => None,
            }
        }
    }

    /// What wraps an error of JSON, and may repeat it.
    #[cfg(any(feature = "delivery", feature = "serde"))]
    #[derive(Debug)]
    struct Wraps(String, serde_json::Error);

    #[cfg(any(feature = "delivery", feature = "serde"))]
    impl fmt::Display for Wraps {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0)
        }
    }

    #[cfg(any(feature = "delivery", feature = "serde"))]
    impl Error for Wraps {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.1)
        }
    }

    #[cfg(any(feature = "delivery", feature = "serde"))]
    proptest::proptest! {
        /// Protects logs and audit trails from the payload, whoever reads it and however
        /// the error is wrapped.
        #[test]
        fn no_value_of_a_payload_stands_in_a_reason(value in "[A-Z]{12}", number in 1_000_000_u64..) {
            let text = format!("\"{value}\"");
            let refusals = [
                serde_json::from_str::<u8>(&text).err(),
                serde_json::from_str::<u8>(&number.to_string()).err(),
                serde_json::from_str::<std::ops::Bound<u8>>(&text).err(),
                serde_json::from_str::<std::net::IpAddr>(&text).err(),
            ];
            for refused in refusals {
                let refused = refused.map(|refused| {
                    let said = format!("the lead of today is bad: {refused}, in short");
                    Wraps(said, refused)
                });
                let refused = refused.ok_or_else(|| {
                    proptest::test_runner::TestCaseError::fail("it is one")
                })?;
                for shown in [reason(&refused), reason(&refused.1)] {
                    proptest::prop_assert!(!shown.contains(&value), "{}", shown);
                    proptest::prop_assert!(!shown.contains(&number.to_string()));
                    proptest::prop_assert!(shown.contains(" at line 1 column "));
                }
            }
        }
    }

    #[test]
    fn each_cause_stands_once() {
        let root = || Some(Box::new(Says("connection refused", None)));
        let chain = Says("db error", Some(Box::new(Says("while connecting", root()))));
        assert_eq!(reason(&chain), "db error: while connecting: connection refused");
        assert_eq!(
            reason(&Says("while connecting: connection refused", root())),
            "while connecting: connection refused"
        );
        assert_eq!(reason(&Says("", root())), "connection refused");
    }
}
