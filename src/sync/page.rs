//! A contract in words: the page that the people who own the systems read and sign, and
//! the words that a change of contract shares with it.

use std::fmt;

use super::contract::{Authority, Contract};
use super::reconcile::NonOwnerEdits;
use crate::text::must_be_escaped;

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}\n", Cell(&self.record_type))?;
        writeln!(f, "Between {}.\n", Cell(&self.systems.join(", ")))?;
        if let Some(rules) = &self.records {
            writeln!(f, "{}\n", Cell(&rules.words(&self.systems)))?;
        }
        writeln!(
            f,
            "| field | who decides | the others may | when the systems differ |"
        )?;
        writeln!(f, "|---|---|---|---|")?;
        for (name, authority) in &self.fields {
            let others = self.non_owner_edits_for(name);
            let (who, outcome) = (authority.to_string(), outcome(authority, others));
            writeln!(
                f,
                "| {} | {} | {} | {} |",
                Cell(name),
                Cell(&who),
                others_may(authority, others),
                Cell(&outcome)
            )?;
        }
        for name in &self.excluded {
            writeln!(
                f,
                "| {} | excluded | - | it is not exchanged: every system keeps its own |",
                Cell(name)
            )?;
        }
        Ok(())
    }
}

/// What the systems that do not decide may do, in words.
pub(super) fn others_may(
    authority: &Authority,
    others: Option<NonOwnerEdits>,
) -> &'static str {
    match (authority, others.unwrap_or_default()) {
        (Authority::System(_), NonOwnerEdits::Reject) => "do nothing: an edit is refused",
        (Authority::System(_), NonOwnerEdits::Queue) => "propose: a person decides",
        (Authority::System(_), NonOwnerEdits::Overwrite) => {
            "change it until the next synchronisation"
        }
        (Authority::Shared, _) => "change it",
        (Authority::Manual, _) => "do nothing",
    }
}

/// What follows from an authority, in words.
pub(super) fn outcome(authority: &Authority, others: Option<NonOwnerEdits>) -> String {
    match authority {
        Authority::System(owner) if others == Some(NonOwnerEdits::Queue) => {
            format!(
                "{owner}'s value replaces the others, unless one of them has changed it"
            )
        }
        Authority::System(owner) => format!("{owner}'s value replaces the others"),
        Authority::Shared => "the one that changed is taken over; two different changes \
                              are put to a person"
            .to_owned(),
        Authority::Manual => "nothing is written before a person has decided".to_owned(),
    }
}

/// A text that cannot break a Markdown table, or hide in it.
struct Cell<'a>(&'a str);

impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '|' | '\\' | '`' | '*' | '_' | '<' | '[' | '#' => write!(f, "\\{c}")?,
                c if must_be_escaped(c) => f.write_str(" ")?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}
