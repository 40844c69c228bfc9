//! `HighWaterMark`: which observation of each system was processed last, so that an
//! older one no longer changes anything.

/// The newest observation of each system that was processed, by its [`Version`].
///
/// Messages arrive again and out of order. What a system said before its last processed
/// observation is history: taken for news, it would undo the edits made since. Keep this
/// with the record and what is known of it in common.
///
/// Looking and marking are two steps: a message that fails in between comes again, and
/// is news again. Mark in the transaction that stores what followed.
///
/// ```
/// use integration_automation_patterns::sync::{HighWaterMark, News};
///
/// let mut latest = HighWaterMark::default();
/// assert_eq!(latest.look("crm", 7), News::Newer);
/// // The processing fails here; the message is delivered again.
/// assert_eq!(latest.look("crm", 7), News::Newer);
/// latest.processed("crm", 7);
///
/// assert_eq!(latest.look("crm", 7), News::Processed, "delivered again");
/// assert_eq!(latest.look("crm", 6), News::Processed, "overtaken");
/// assert_eq!(latest.look("erp", 1), News::Newer);
/// ```
#[doc(alias("version vector", "watermark"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HighWaterMark<V> {
    versions: Vec<(String, Version<V>)>,
}

/// The version of an observation: a row version, a sequence number, a log position;
/// whatever the system itself counts up with each change.
///
/// A system that is restored from a backup counts on from an older number, and its news
/// would look like history. So a count belongs to an epoch: a number that the system's
/// connector raises with each restore. A plain number is one of epoch 0.
///
/// ```
/// use integration_automation_patterns::sync::{HighWaterMark, News, Version};
///
/// let mut latest = HighWaterMark::default();
/// latest.processed("crm", 900);
/// let restored = Version { epoch: 1, number: 850 };
/// assert_eq!(latest.look("crm", restored), News::Restarted);
/// latest.processed("crm", restored);
/// assert_eq!(latest.look("crm", 901), News::Processed, "from before the restore");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version<V> {
    /// Which count this is; it only ever grows.
    pub epoch: u64,
    /// The number in that count.
    pub number: V,
}

impl<V> From<V> for Version<V> {
    /// A number of the first count.
    fn from(number: V) -> Self {
        Self { epoch: 0, number }
    }
}

/// What an observation is, next to those that were processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum News {
    /// It is newer than every processed one of its system.
    Newer,
    /// Its system counts anew, from where it was restored to. What it says is the newest,
    /// and may be older than what is known: plan it, and
    /// [ask before going back](super::FieldPlan::ask_before_going_back).
    Restarted,
    /// It was processed, or a newer one was. Nothing follows from it: drop it, or take
    /// its fields for unread.
    Processed,
}

impl<V> Default for HighWaterMark<V> {
    fn default() -> Self {
        Self { versions: Vec::new() }
    }
}

impl<V: Ord> HighWaterMark<V> {
    /// What an observation is, next to those of its system that were processed. It
    /// marks nothing.
    pub fn look(&self, system: &str, version: impl Into<Version<V>>) -> News {
        let version = version.into();
        match self.versions.iter().find(|(name, _)| name == system) {
            Some((_, newest)) if version.epoch > newest.epoch => News::Restarted,
            Some((_, newest)) if *newest >= version => News::Processed,
            _ => News::Newer,
        }
    }

    /// Marks an observation as processed. The mark never goes back.
    pub fn processed(&mut self, system: &str, version: impl Into<Version<V>>) {
        let version = version.into();
        match self.versions.iter_mut().find(|(name, _)| name == system) {
            Some((_, newest)) if *newest < version => *newest = version,
            Some(_) => {}
            None => self.versions.push((system.to_owned(), version)),
        }
    }

    /// The newest version of each system, to be stored.
    pub fn versions(&self) -> impl Iterator<Item = (&str, &Version<V>)> {
        self.versions.iter().map(|(system, version)| (system.as_str(), version))
    }
}

impl<S: Into<String>, V> FromIterator<(S, Version<V>)> for HighWaterMark<V> {
    /// From what was stored.
    fn from_iter<I: IntoIterator<Item = (S, Version<V>)>>(versions: I) -> Self {
        let stored = |(system, version): (S, Version<V>)| (system.into(), version);
        Self { versions: versions.into_iter().map(stored).collect() }
    }
}
