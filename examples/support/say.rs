//! A line of a program's output.

/// Prints a line. Where nobody reads any more, the work goes on.
macro_rules! say {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($line)*);
    }};
}
