//! The laws of a table that hold or not for one word of it, each with what it says there.

use super::{Kind, Step};
use crate::workflow::definition::Level;

/// What a word of a table stands for where its law holds.
pub struct Kept;

/// Whether a law holds.
pub struct Law<const HOLDS: bool>;

/// What a word of a table stands for: [`Kept`], or nothing that a law is implemented for.
pub trait Word {
    type Is: 'static;
    const IS: &'static Self::Is;
}

impl Word for Law<true> {
    type Is = Kept;
    const IS: &'static Kept = &Kept;
}

impl Word for Law<false> {
    type Is = ();
    const IS: &'static () = &();
}

macro_rules! laws {
    ($($(#[$doc:meta])* $law:ident: $message:literal, $label:literal;)*) => { $(
        $(#[$doc])*
        #[diagnostic::on_unimplemented(message = $message, label = $label)]
        pub trait $law<What> {}

        #[diagnostic::do_not_recommend]
        impl<What> $law<What> for Kept {}
    )* };
}

laws! {
    /// Versions are counted from 1.
    Versioned:
        "a workflow has no version 0",
        "its first version is `version 1`";
    /// What is followed is an earlier version of the same workflow.
    Earlier:
        "`{What}` is no earlier version of this workflow",
        "an earlier version has the same name and a lower version";
    /// What a pivot needs is an approval.
    Approves:
        "a pivot needs an approval, and `{What}` is none",
        "`needs` names an `approval` of this table";
    /// Whoever asks does not decide.
    FourEyes:
        "the role that asks for `{What}` decides on it",
        "four eyes need two roles: ask another one than `requested by` names";
    /// A chain asks each role once.
    AskedOnce:
        "`{What}` asks one role twice",
        "`then` asks another role, and `remind after` asks the same one again";
    /// A step's replies can be told apart.
    TwoReplies:
        "nobody can tell whether `{What}` is done or refused: its replies are one event",
        "the event behind `|` is another than the one before it";
    /// An undo is a command of its own.
    OwnUndo:
        "`{What}` is undone by the command that does it",
        "an undo is a command of its own";
    /// A span is in a unit of time.
    InUnits:
        "a span is in a unit that there is not",
        "a span is in `s`, `min`, `h` or `d`, such as `15 min`";
    /// A span is some time.
    SomeTime:
        "`{What}` leaves no time: nobody answers within 0",
        "each span of the row is 1 s at least";
    /// A level asks somebody.
    SomePeople:
        "`{What}` asks 0 people",
        "a level asks `N of Role`, and N is 1 at least";
    /// People are reminded while they can answer.
    InTime:
        "`{What}` reminds people once their time has passed",
        "`remind after` a shorter span than `within`";
}

/// Whether a step is an approval.
pub const fn is_approval(step: &Step) -> bool {
    matches!(step.kind, Kind::Approval)
}

/// Whether each span of a step is some time.
pub const fn leaves_time(step: &Step) -> bool {
    is_some_time(step.within)
        && is_some_time(step.forestall_within)
        && is_some_time(step.undo_within)
        && each_leaves_time(step.asks)
        && each_leaves_time(step.undo_asks)
}

const fn each_leaves_time(mut levels: &[Level]) -> bool {
    while let [level, rest @ ..] = levels {
        if level.within.is_zero() || !is_some_time(level.remind_after) {
            return false;
        }
        levels = rest;
    }
    true
}

const fn is_some_time(span: Option<std::time::Duration>) -> bool {
    match span {
        Some(span) => !span.is_zero(),
        None => true,
    }
}

/// Whether each level of a step asks somebody.
pub const fn asks_people(step: &Step) -> bool {
    each_asks_people(step.asks) && each_asks_people(step.undo_asks)
}

const fn each_asks_people(mut levels: &[Level]) -> bool {
    while let [level, rest @ ..] = levels {
        if level.wanted == 0 {
            return false;
        }
        levels = rest;
    }
    true
}

/// Whether each reminder of a step comes before its level's end.
pub const fn reminds_in_time(step: &Step) -> bool {
    each_reminds_in_time(step.asks) && each_reminds_in_time(step.undo_asks)
}

const fn each_reminds_in_time(mut levels: &[Level]) -> bool {
    while let [level, rest @ ..] = levels {
        if let Some(span) = level.remind_after
            && span.as_millis() >= level.within.as_millis()
        {
            return false;
        }
        levels = rest;
    }
    true
}
