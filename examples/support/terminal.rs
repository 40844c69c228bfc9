//! What a program says: its output, its complaints, and text of others that a terminal
//! shows and does not obey.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// A program, by the name that its complaints begin with.
pub(crate) struct Program(pub(crate) &'static str);

/// What a command has to say.
pub(crate) struct Said {
    /// The output.
    pub(crate) text: String,
    /// What is to be said beside it.
    pub(crate) note: Option<String>,
    /// Whether something is left that the program cannot settle.
    pub(crate) needs_a_person: bool,
}

impl Program {
    /// Does what was asked for, and gives the exit code: 0, it is done; 1, something waits
    /// for a person; 2, the command line is wrong, or the work ended in an error.
    pub(crate) fn run<R>(
        &self,
        help: &str,
        request: Result<Option<R>, String>,
        work: impl AsyncFnOnce(R) -> Result<Said, String>,
    ) -> ExitCode {
        let request = match request {
            Ok(Some(request)) => request,
            Ok(None) => return self.print(help, ExitCode::SUCCESS),
            Err(error) => {
                let more = format!("(`{} --help` lists what there is)", self.0);
                return self.complain(&format!("{error}\n{more}"));
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let said = match runtime {
            Ok(runtime) => runtime.block_on(work(request)),
            Err(error) => Err(error.to_string()),
        };
        match said {
            Ok(Said { text, note, needs_a_person }) => {
                if let Some(note) = note {
                    self.tell(&note);
                }
                self.print(&text, ExitCode::from(u8::from(needs_a_person)))
            }
            Err(error) => self.complain(&error),
        }
    }

    /// Prints, and gives the exit code; a reader who has gone away is no error.
    fn print(&self, text: &str, code: ExitCode) -> ExitCode {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                self.complain(&format!("the output: {error}"))
            }
            _ => code,
        }
    }

    fn complain(&self, error: &str) -> ExitCode {
        self.tell(error);
        ExitCode::from(2)
    }

    /// Says something beside the output; where nobody can hear it, nothing can be done
    /// about that.
    fn tell(&self, text: &str) {
        let lines = text.lines().map(printable).collect::<Vec<_>>().join("\n");
        let _ = writeln!(io::stderr(), "{}: {lines}", self.0);
    }
}

/// Text of another system as one line that a terminal shows and does not obey: what is
/// hidden is escaped as Rust escapes it, and so is the backslash.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\\' || is_hidden(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Whether a character moves the cursor, reorders text or is shown as nothing.
pub(crate) fn is_hidden(c: char) -> bool {
    // `escape_debug` knows which are not printable; the rest of what it escapes is
    // visible.
    let not_printable = !matches!(c, '"' | '\'' | '\\') && c.escape_debug().count() > 1;
    c.is_control()
        || (not_printable && !is_mark(c))
        || matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}')
}

/// Accents that stand behind their letter, which `escape_debug` escapes where they stand
/// alone.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{34e}' | '\u{350}'..='\u{36f}' | '\u{900}'..='\u{dff}' | '\u{20d0}'..='\u{20ff}')
}
