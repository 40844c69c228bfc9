//! Names of what runs: an instance's id, the correlation of a command and its reply, the
//! fingerprint of what people have seen.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use uuid::Uuid;

use super::stage::Workflow;
use crate::{EmptyIdError, EventId};

/// The id of an instance, derived from what the instance is about: the same business key
/// is the same instance, so that it begins once.
///
/// ```
/// # mod shop {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/orders.rs"));
/// # }
/// # use shop::order_to_cash;
/// use integration_automation_patterns::workflow::InstanceId;
///
/// let id: InstanceId<order_to_cash::This> = InstanceId::of("order 4711")?;
/// assert_eq!(id, InstanceId::of("order 4711")?);
/// assert_ne!(id, InstanceId::of("order 4712")?);
/// assert!(InstanceId::<order_to_cash::This>::of("").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct InstanceId<W> {
    id: EventId,
    of: PhantomData<fn() -> W>,
}

impl<W: Workflow> InstanceId<W> {
    /// The id of the instance that is about this business key.
    ///
    /// # Errors
    ///
    /// [`EmptyIdError`] where the key is empty.
    pub fn of(business_key: &str) -> Result<Self, EmptyIdError> {
        Ok(Self::stored(EventId::derived(W::NAME, business_key)?))
    }
}

impl<W> InstanceId<W> {
    /// An id as it stands in a record.
    pub(crate) fn stored(id: EventId) -> Self {
        Self { id, of: PhantomData }
    }

    /// The id as stores keep it.
    pub fn as_event_id(&self) -> &EventId {
        &self.id
    }

    pub(crate) fn into_event_id(self) -> EventId {
        self.id
    }
}

/// The id that a question, a [`Correlation`] or a desk names. Whether there is such an
/// instance, and of which workflow, is found when it is loaded.
///
/// ```
/// # mod shop {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/orders.rs"));
/// # }
/// # use shop::order_to_cash;
/// use integration_automation_patterns::EventId;
/// use integration_automation_patterns::workflow::InstanceId;
///
/// let id = InstanceId::<order_to_cash::This>::of("order 4711")?;
/// let asked = id.to_string().parse::<EventId>()?;
/// assert_eq!(InstanceId::from(asked), id);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl<W: Workflow> From<EventId> for InstanceId<W> {
    fn from(id: EventId) -> Self {
        Self::stored(id)
    }
}

impl<W> Clone for InstanceId<W> {
    fn clone(&self) -> Self {
        Self::stored(self.id.clone())
    }
}

impl<W> PartialEq for InstanceId<W> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<W> Eq for InstanceId<W> {}

impl<W> fmt::Debug for InstanceId<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InstanceId").field(&self.id).finish()
    }
}

impl<W> fmt::Display for InstanceId<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

/// What a command asks of its participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// To do the step.
    Do,
    /// To undo it.
    Undo,
    /// To say that it was done, or to see to it that it never will be.
    Forestall,
}

impl Part {
    const ALL: [Self; 3] = [Self::Do, Self::Undo, Self::Forestall];

    /// The word in a correlation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Do => "do",
            Self::Undo => "undo",
            Self::Forestall => "forestall",
        }
    }
}

/// Which command a reply answers: `workflow/instance/step/part`, and the round from the
/// second on.
///
/// It is the correlation id of the command, which a participant's reply carries back. It
/// is parsed and checked, and the id of the command follows from it.
///
/// ```
/// use integration_automation_patterns::workflow::{Correlation, Part};
///
/// let text = "order_to_cash/0a4ff2b8-5e0c-5d7c-9c52-7f6c1dbd2b5e/create_order/do/2";
/// let correlation: Correlation = text.parse()?;
/// assert_eq!(correlation.workflow(), "order_to_cash");
/// assert_eq!((correlation.step(), correlation.part()), ("create_order", Part::Do));
/// assert_eq!(correlation.round(), 2);
/// assert_eq!(correlation.to_string(), text);
/// assert!("order_to_cash/4711/create_order".parse::<Correlation>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Correlation {
    workflow: Box<str>,
    instance: EventId,
    step: Box<str>,
    part: Part,
    round: u32,
}

impl Correlation {
    /// The highest round that a text may name. A participant forestalls a command for each
    /// round before, so a text from outside does not say how many.
    pub const MOST_ROUNDS: u32 = 1_000;

    pub(crate) fn new(
        workflow: &str,
        instance: &EventId,
        step: &str,
        part: Part,
        round: u32,
    ) -> Self {
        let instance = instance.clone();
        Self { workflow: workflow.into(), instance, step: step.into(), part, round }
    }

    /// The name of the workflow.
    pub fn workflow(&self) -> &str {
        &self.workflow
    }

    /// The id of the instance, as stores keep it.
    pub fn instance(&self) -> &EventId {
        &self.instance
    }

    /// The name of the step.
    pub fn step(&self) -> &str {
        &self.step
    }

    /// What the command asks.
    pub fn part(&self) -> Part {
        self.part
    }

    /// How often it was asked: 1 the first time, more where a person had it asked again.
    pub fn round(&self) -> u32 {
        self.round
    }

    /// What all commands of the instance stay in order by.
    pub fn ordering_key(&self) -> String {
        format!("{}/{}", self.workflow, self.instance)
    }

    /// The id of the command: derived, so that a step taken twice is one event.
    ///
    /// ```
    /// use integration_automation_patterns::workflow::Correlation;
    ///
    /// let text = "order_to_cash/0a4ff2b8-5e0c-5d7c-9c52-7f6c1dbd2b5e/create_order/do";
    /// let first: Correlation = text.parse()?;
    /// assert_eq!(first.command_id(), text.parse::<Correlation>()?.command_id());
    /// let second: Correlation = format!("{text}/2").parse()?;
    /// assert_ne!(first.command_id(), second.command_id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn command_id(&self) -> EventId {
        let (workflow, text) = (self.workflow.as_bytes(), self.to_string());
        let (_, identifier) = text.split_at(workflow.len().saturating_add(1));
        let namespace = Uuid::new_v5(&EventId::NAMESPACE, workflow);
        Uuid::new_v5(&namespace, identifier.as_bytes()).into()
    }

    /// The ids of the commands that this one takes the place of, and which a participant
    /// forestalls before it acts: for an undo or a forestalling the command to do the
    /// step, for a command asked again the ones before it.
    ///
    /// ```
    /// use integration_automation_patterns::workflow::Correlation;
    ///
    /// let instance = "order_to_cash/0a4ff2b8-5e0c-5d7c-9c52-7f6c1dbd2b5e";
    /// let done: Correlation = format!("{instance}/hold_stock/do").parse()?;
    /// let undo: Correlation = format!("{instance}/hold_stock/undo").parse()?;
    /// assert_eq!(undo.supersedes().collect::<Vec<_>>(), [done.command_id()]);
    /// assert_eq!(done.supersedes().count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn supersedes(&self) -> impl Iterator<Item = EventId> + '_ {
        let earlier = match self.part {
            Part::Do => 1..self.round,
            Part::Undo | Part::Forestall => 1..2,
        };
        earlier.map(|round| Self { part: Part::Do, round, ..self.clone() }.command_id())
    }
}

impl fmt::Display for Correlation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workflow, instance, step, part, round } = self;
        write!(f, "{workflow}/{instance}/{step}/{}", part.as_str())?;
        if *round > 1 { write!(f, "/{round}") } else { Ok(()) }
    }
}

impl FromStr for Correlation {
    type Err = CorrelationError;

    /// Reads the text form, exactly, up to [`MOST_ROUNDS`](Self::MOST_ROUNDS).
    ///
    /// # Errors
    ///
    /// [`CorrelationError`], with the text, where it is none.
    fn from_str(text: &str) -> Result<Self, CorrelationError> {
        read(text).ok_or_else(|| CorrelationError { found: text.to_owned() })
    }
}

/// A correlation, where the text is the one that it would write.
fn read(text: &str) -> Option<Correlation> {
    let mut words = text.split('/');
    let (workflow, instance, step) = (words.next()?, words.next()?, words.next()?);
    let part = words.next()?;
    let part = Part::ALL.into_iter().find(|one| one.as_str() == part)?;
    let round = words.next().map_or(Some(1), |word| word.parse().ok())?;
    if workflow.is_empty() || step.is_empty() || round > Correlation::MOST_ROUNDS {
        return None;
    }
    let instance = instance.parse::<EventId>().ok().filter(EventId::is_uuid)?;
    let correlation = Correlation::new(workflow, &instance, step, part, round);
    (correlation.to_string() == text).then_some(correlation)
}

/// A text that does not say which command an event answers.
///
/// ```
/// use integration_automation_patterns::workflow::Correlation;
///
/// let error = "import-7".parse::<Correlation>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "a reply to a workflow has the correlation id of its command, \
///      `workflow/instance/step/do`, and found \"import-7\""
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrelationError {
    found: String,
}

impl fmt::Display for CorrelationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a reply to a workflow has the correlation id of its command, \
             `workflow/instance/step/do`, and found {:?}",
            self.found
        )
    }
}

impl std::error::Error for CorrelationError {}

/// The fingerprint of what people are shown: who approves says which version they saw.
///
/// It tells versions apart and keeps no secret.
///
/// ```
/// use integration_automation_patterns::workflow::Seen;
///
/// let quote = Seen::of(b"1200 EUR");
/// assert_ne!(quote, Seen::of(b"12000 EUR"));
/// assert_eq!(quote.to_string().parse::<Seen>()?, quote);
/// # Ok::<(), std::num::ParseIntError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seen(u64);

impl Seen {
    /// The fingerprint of these bytes.
    pub fn of(shown: &[u8]) -> Self {
        Self(shown.iter().fold(FNV_BASIS, |hash, byte| fnv(hash, *byte)))
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Seen {
    type Err = std::num::ParseIntError;

    /// Reads sixteen hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

/// Where FNV-1a begins.
pub(crate) const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// One step of FNV-1a, which needs no dependency, and runs in the compiler too.
#[allow(clippy::as_conversions, reason = "`u64::from` is no const function")]
pub(crate) const fn fnv(hash: u64, byte: u8) -> u64 {
    (hash ^ byte as u64).wrapping_mul(0x0100_0000_01b3)
}
