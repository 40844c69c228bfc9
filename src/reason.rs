//! An error as one line: what it says, and what each of its causes says, down to the
//! first.

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
