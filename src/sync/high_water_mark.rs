//! `HighWaterMark`: which observation of each system was processed last, so that an older
//! one changes nothing any more.

/// The newest observation of each system that was processed, by its version: a row
/// version, a sequence number, a log position; whatever the system itself counts up with
/// each change.
///
/// Messages arrive again and out of order. What a system said before its last processed
/// observation is history: taken for news, it would undo the edits made since. Keep this
/// with the record and its common state.
///
/// ```
/// use integration_automation_patterns::sync::HighWaterMark;
///
/// let mut latest = HighWaterMark::default();
/// assert!(latest.admit("crm", 7));
/// assert!(!latest.admit("crm", 7), "delivered again");
/// assert!(!latest.admit("crm", 6), "overtaken");
/// assert!(latest.admit("erp", 1) && latest.admit("crm", 9));
/// ```
#[doc(alias("version vector", "watermark"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HighWaterMark<V> {
    versions: Vec<(String, V)>,
}

impl<V> Default for HighWaterMark<V> {
    fn default() -> Self {
        Self { versions: Vec::new() }
    }
}

impl<V: Ord> HighWaterMark<V> {
    /// Whether an observation is newer than all that were processed of its system; it is
    /// the newest from then on.
    ///
    /// Where it is not, nothing follows from it: drop it, or take its fields for unread.
    pub fn admit(&mut self, system: &str, version: V) -> bool {
        match self.versions.iter_mut().find(|(name, _)| name == system) {
            Some((_, newest)) if *newest >= version => false,
            Some((_, newest)) => {
                *newest = version;
                true
            }
            None => {
                self.versions.push((system.to_owned(), version));
                true
            }
        }
    }

    /// The newest version of each system, to be stored.
    pub fn versions(&self) -> impl Iterator<Item = (&str, &V)> {
        self.versions.iter().map(|(system, version)| (system.as_str(), version))
    }
}

impl<S: Into<String>, V> FromIterator<(S, V)> for HighWaterMark<V> {
    /// As it was stored.
    fn from_iter<I: IntoIterator<Item = (S, V)>>(versions: I) -> Self {
        Self {
            versions: versions
                .into_iter()
                .map(|(system, version)| (system.into(), version))
                .collect(),
        }
    }
}
