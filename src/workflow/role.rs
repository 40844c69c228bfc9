//! People: the roles they decide in, the seats they decide from, and who has a role.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use chrono::{DateTime, Utc};

use crate::text::control_character;
use crate::{Decision, DecisionError};

/// A role that people decide in: one marker type for each.
///
/// `Key` is a type that only the login can make, because it has a private field. Code
/// without the key has no [`Seat`], and so decides nothing.
///
/// ```
/// mod login {
///     use integration_automation_patterns::workflow::{PersonError, Role, Seat};
///
///     pub enum Controller {}
///     pub struct Key(());
///
///     impl Role for Controller {
///         const NAME: &'static str = "controller";
///         type Key = Key;
///     }
///
///     /// The login: it has checked who this is, and alone has the key.
///     pub fn seat(person: &str) -> Result<Seat<Controller>, PersonError> {
///         Seat::mint(&Key(()), person)
///     }
/// }
///
/// assert_eq!(login::seat("Carl")?.to_string(), "Carl as controller");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a role that people decide in",
    label = "needs `impl Role for {Self}` with its NAME and the Key that the login keeps"
)]
pub trait Role: 'static {
    /// The name in journals, questions and directories.
    const NAME: &'static str;
    /// What only the login can make.
    type Key;
}

/// A person, by the name that the login gives them. Names that differ in nothing but
/// case and blanks around them are one person.
///
/// ```
/// use integration_automation_patterns::workflow::Person;
///
/// assert_eq!(Person::new("anna")?, Person::new(" Anna ")?);
/// assert!(Person::new(" ").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Person(Box<str>);

impl Person {
    /// The person of this name.
    ///
    /// # Errors
    ///
    /// [`PersonError`] where the name is blank, or has a control character.
    pub fn new(name: &str) -> Result<Self, PersonError> {
        let name = name.trim();
        let found = control_character(name, false);
        match name.is_empty() || found.is_some() {
            true => Err(PersonError { found }),
            false => Ok(Self(name.into())),
        }
    }

    /// The person who took a decision, which has refused what is no name.
    pub(super) fn behind(decision: &Decision) -> Self {
        Self(decision.by().trim().into())
    }

    /// The name, as it was given.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Person {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_lowercase() == other.0.to_lowercase()
    }
}

impl Eq for Person {}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A person was wanted, and the name was none.
///
/// ```
/// use integration_automation_patterns::workflow::Person;
///
/// let error = Person::new("").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "a person has a name, and found a blank one: take the one of their login"
/// );
/// let error = Person::new("an\0na").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "wanted a person's name without control characters, and found '\\0': take it out"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonError {
    /// The control character; none where the name is blank.
    found: Option<char>,
}

impl fmt::Display for PersonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.found {
            None => f.write_str(
                "a person has a name, and found a blank one: take the one of their login",
            ),
            Some(found) => write!(
                f,
                "wanted a person's name without control characters, and found {found:?}: \
                 take it out"
            ),
        }
    }
}

impl std::error::Error for PersonError {}

/// A person who acts, and the one in whose place they do, if any. For four eyes both
/// count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Who acts.
    pub person: Person,
    /// Who is away.
    pub instead_of: Option<Person>,
}

impl Actor {
    /// Whether one person stands on both sides.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.people().any(|person| other.people().any(|other| person == other))
    }

    /// Both.
    pub fn people(&self) -> impl Iterator<Item = &Person> {
        std::iter::once(&self.person).chain(&self.instead_of)
    }
}

/// The person of an actor who is one of the others too, if any.
pub(super) fn shared<'a>(
    others: impl IntoIterator<Item = &'a Actor>,
    actor: &Actor,
) -> Option<Person> {
    let mut others = others.into_iter().flat_map(Actor::people);
    others.find(|other| actor.people().any(|person| person == *other)).cloned()
}

/// A person who is logged in under a role, for themselves or for one who is away.
///
/// Made of the role's key alone.
///
/// ```
/// # mod shop {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/orders.rs"));
/// # }
/// # use shop::{Controller, login};
/// use integration_automation_patterns::workflow::Person;
///
/// let bert = login::seat::<Controller>("bert")?.instead_of(Person::new("carl")?);
/// assert_eq!(bert.to_string(), "bert as controller in place of carl");
/// let ruling = bert.decide("a good customer")?;
/// assert_eq!(ruling.decision().reason(), "a good customer");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Seat<R> {
    actor: Actor,
    role: PhantomData<fn() -> R>,
}

// The bound stands on each function: on the block, its words are lost.
impl<R> Seat<R> {
    /// The seat of a person, for the holder of the key.
    ///
    /// # Errors
    ///
    /// [`PersonError`] where the name is blank, or has a control character.
    pub fn mint(_key: &R::Key, person: &str) -> Result<Self, PersonError>
    where
        R: Role,
    {
        let actor = Actor { person: Person::new(person)?, instead_of: None };
        Ok(Self { actor, role: PhantomData })
    }

    /// The same person, in the place of one who is away: what neither of the two may
    /// decide is not decided from this seat.
    #[must_use = "this gives the changed seat back"]
    pub fn instead_of(mut self, away: Person) -> Self {
        self.actor.instead_of = Some(away);
        self
    }

    /// Who sits here.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// A decision from this seat, taken now.
    ///
    /// The twin that takes the time is [`decide_at`](Self::decide_at).
    ///
    /// # Errors
    ///
    /// [`DecisionError`] where the reason is blank, or has a control character that breaks
    /// no line.
    pub fn decide(&self, reason: impl Into<String>) -> Result<Ruling<R>, DecisionError>
    where
        R: Role,
    {
        self.decide_at(reason, Utc::now())
    }

    /// A decision from this seat, taken at a given time.
    ///
    /// # Errors
    ///
    /// [`DecisionError`] where the reason is blank, or has a control character that breaks
    /// no line.
    pub fn decide_at(
        &self,
        reason: impl Into<String>,
        at: DateTime<Utc>,
    ) -> Result<Ruling<R>, DecisionError>
    where
        R: Role,
    {
        let actor = self.actor.clone();
        let decision = Decision::new_at(actor.person.name(), reason, at)?;
        Ok(Ruling { actor, decision, role: PhantomData })
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.instead_of {
            Some(away) => write!(f, "{} in place of {away}", self.person),
            None => self.person.fmt(f),
        }
    }
}

impl<R: Role> fmt::Display for Seat<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Actor { person, instead_of } = &self.actor;
        write!(f, "{person} as {}", R::NAME)?;
        match instead_of {
            Some(away) => write!(f, " in place of {away}"),
            None => Ok(()),
        }
    }
}

impl<R: Role> fmt::Debug for Seat<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seat({self})")
    }
}

/// A decision taken from a seat: who, in which role, in whose place, why and when.
///
/// Made by [`Seat::decide`] alone.
pub struct Ruling<R: Role> {
    actor: Actor,
    decision: Decision,
    role: PhantomData<fn() -> R>,
}

impl<R: Role> Ruling<R> {
    /// Who decides.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Why, and when.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }
}

impl<R: Role> fmt::Debug for Ruling<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ruling")
            .field("actor", &self.actor)
            .field("role", &R::NAME)
            .field("decision", &self.decision)
            .finish()
    }
}

/// A ruling whose role is known only when the program runs: what an operator's program
/// hands to [`Driven::decide`](super::Driven::decide), and what a journal keeps.
///
/// Made of a [`Ruling`] alone, and bound to its type: a role of the same name is another.
#[derive(Debug, Clone)]
pub struct AnyRuling {
    actor: Actor,
    decision: Decision,
    role: &'static str,
    of: TypeId,
}

impl AnyRuling {
    /// Who decides.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Why, and when.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// The name of the role.
    pub fn role(&self) -> &'static str {
        self.role
    }

    /// Whether it was taken in the role of this type.
    pub(super) fn is_of(&self, role: TypeId) -> bool {
        self.of == role
    }
}

impl<R: Role> From<Ruling<R>> for AnyRuling {
    fn from(ruling: Ruling<R>) -> Self {
        let Ruling { actor, decision, .. } = ruling;
        Self { actor, decision, role: R::NAME, of: TypeId::of::<R>() }
    }
}

/// Who has a role: read before the transaction, so that no lock waits for a directory
/// service.
///
/// A map is one, for tests and small companies.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use integration_automation_patterns::workflow::{Directory, Person};
///
/// let carl = Person::new("carl")?;
/// let people = BTreeMap::from([("controller".to_owned(), vec![carl.clone()])]);
/// assert_eq!(people.members("controller"), [carl]);
/// assert!(people.members("auditor").is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Directory {
    /// The people who have this role now.
    fn members(&self, role: &str) -> Vec<Person>;
}

impl Directory for BTreeMap<String, Vec<Person>> {
    fn members(&self, role: &str) -> Vec<Person> {
        self.get(role).cloned().unwrap_or_default()
    }
}
