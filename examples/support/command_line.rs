//! A command line of words and options, read whole before anything is done.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use integration_automation_patterns::{Decision, EventId};
use lexopt::Arg;

/// Reads the words, and the options beside them; nothing where help is wanted.
///
/// A flag stands alone, and an option of `values` takes the word behind it.
pub(crate) fn read(
    mut parser: lexopt::Parser,
    flags: &[&'static str],
    values: &[&'static str],
) -> Result<Option<(Vec<OsString>, Given)>, String> {
    let wrong = |error: lexopt::Error| error.to_string();
    let find = |names: &[&'static str], name: &str| {
        names.iter().copied().find(|known| *known == name)
    };
    let mut words = Vec::new();
    let mut given = Given::default();
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Arg::Value(word) => words.push(word),
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long(name) => {
                if let Some(flag) = find(flags, name) {
                    given.add(flag, String::new())?;
                } else if let Some(option) = find(values, name) {
                    let value = parser.value().map_err(wrong)?;
                    given.add(option, text(value)?)?;
                } else {
                    return Err(argument.unexpected().to_string());
                }
            }
            Arg::Short(_) => return Err(argument.unexpected().to_string()),
        }
    }
    Ok(Some((words, given)))
}

/// The options that were given and not yet asked for.
#[derive(Default)]
pub(crate) struct Given(BTreeMap<&'static str, String>);

impl Given {
    fn add(&mut self, option: &'static str, value: String) -> Result<(), String> {
        match self.0.insert(option, value) {
            None => Ok(()),
            Some(_) => Err(format!("wanted --{option} once, and found it twice")),
        }
    }

    pub(crate) fn has(&mut self, flag: &str) -> bool {
        self.0.remove(flag).is_some()
    }

    pub(crate) fn take(&mut self, option: &str) -> Option<String> {
        self.0.remove(option)
    }

    pub(crate) fn wanted(&mut self, option: &str) -> Result<String, String> {
        self.take(option).ok_or_else(|| format!("wanted --{option}"))
    }

    /// Who decides, and why.
    pub(crate) fn decision(&mut self) -> Result<Decision, String> {
        Decision::new(self.wanted("by")?, self.wanted("reason")?)
            .map_err(|error| error.to_string())
    }

    /// How much a list shows.
    pub(crate) fn limit(&mut self) -> Result<usize, String> {
        self.number("limit", 100)
    }

    pub(crate) fn number(
        &mut self,
        option: &str,
        default: usize,
    ) -> Result<usize, String> {
        let Some(text) = self.take(option) else { return Ok(default) };
        let number = text.parse::<usize>().ok().filter(|number| *number > 0);
        number.ok_or_else(|| {
            format!("wanted a whole number from 1 for --{option}, and found {text:?}")
        })
    }

    /// The end of a command: nothing is left that it does not take.
    pub(crate) fn end(
        &self,
        command: &str,
        mut words: impl Iterator<Item = OsString>,
    ) -> Result<(), String> {
        if let Some(word) = words.next() {
            return Err(format!("`{command}` takes no {word:?}"));
        }
        match self.0.keys().next() {
            Some(option) => Err(format!("`{command}` takes no --{option}")),
            None => Ok(()),
        }
    }
}

pub(crate) fn text(word: OsString) -> Result<String, String> {
    word.into_string().map_err(|word| format!("wanted UTF-8, and found {word:?}"))
}

pub(crate) fn event_id(text: &str) -> Result<EventId, String> {
    text.parse::<EventId>().map_err(|error| error.to_string())
}

/// `90s`, `15m`, `2h`, `7d`, `2w`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let read = || {
        let (number, seconds) = [
            ('s', 1),
            ('m', 60),
            ('h', 60 * 60),
            ('d', 24 * 60 * 60),
            ('w', 7 * 24 * 60 * 60),
        ]
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        number
            .parse::<u64>()
            .ok()
            .filter(|_| digits)?
            .checked_mul(seconds)
            .map(Duration::from_secs)
    };
    read().ok_or_else(|| {
        format!("wanted a duration such as 90s, 15m, 2h, 7d or 2w, and found {text:?}")
    })
}
