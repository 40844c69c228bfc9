//! An error with all its causes, as people read it.

use std::error::Error;

pub(crate) trait Chain {
    /// The whole chain in one line, as `{:#}` of an `anyhow::Error` prints it. No level
    /// may say what the next one says.
    fn chain(&self) -> String;
}

impl<E: Error + 'static> Chain for E {
    fn chain(&self) -> String {
        let mut above: &(dyn Error + 'static) = self;
        let mut line = above.to_string();
        while let Some(cause) = above.source() {
            let (said, more) = (above.to_string(), cause.to_string());
            assert!(!said.ends_with(&more), "`{more}` is said twice: {self:?}");
            line.push_str(": ");
            line.push_str(&more);
            above = cause;
        }
        line
    }
}
