//! `Account`: what was committed and what came of it, and whether the two agree.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What a crash test compares when it is over: every committed event has one effect,
/// nothing else has any, and the effects of one key came in the order in which its events
/// were committed.
///
/// ```
/// use integration_automation_patterns::testing::Account;
///
/// let mut account = Account::default();
/// account.committed("lead-7", "created");
/// account.committed("lead-7", "updated");
/// account.effect("lead-7", "created");
/// assert_eq!(account.check().unwrap_err().lost, ["updated"]);
///
/// account.effect("lead-7", "updated");
/// assert!(account.check().is_ok());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Account {
    committed: Vec<(String, String)>,
    effects: Vec<(String, String)>,
}

impl Account {
    /// An event whose business transaction was committed; in the order of the commits,
    /// within a key.
    pub fn committed(&mut self, key: impl Into<String>, id: impl Into<String>) {
        self.committed.push((key.into(), id.into()));
    }

    /// An effect that stands in the other system; in the order of the effects, within a
    /// key.
    pub fn effect(&mut self, key: impl Into<String>, id: impl Into<String>) {
        self.effects.push((key.into(), id.into()));
    }

    /// The number of committed events.
    pub fn len(&self) -> usize {
        self.committed.len()
    }

    /// The number of effects.
    pub fn effects(&self) -> usize {
        self.effects.len()
    }

    /// Whether nothing was committed.
    pub fn is_empty(&self) -> bool {
        self.committed.is_empty()
    }

    /// Whether the account balances.
    ///
    /// # Errors
    ///
    /// [`UnbalancedError`], with the ids that are wrong, and how.
    pub fn check(&self) -> Result<(), UnbalancedError> {
        let mut found = UnbalancedError::default();
        let committed: BTreeSet<&str> =
            self.committed.iter().map(|(_, id)| id.as_str()).collect();
        let mut effects = BTreeMap::<&str, usize>::new();
        for (_, id) in &self.effects {
            let count = effects.entry(id).or_default();
            *count = count.saturating_add(1);
        }
        let owned = |id: &&str| (*id).to_owned();
        found.lost = committed
            .iter()
            .filter(|id| !effects.contains_key(**id))
            .map(owned)
            .collect();
        found.invented =
            effects.keys().filter(|id| !committed.contains(**id)).map(owned).collect();
        found.repeated = effects
            .iter()
            .filter(|(_, count)| **count > 1)
            .map(|(id, _)| owned(id))
            .collect();
        let by_key = |list: &'_ [(String, String)]| {
            let mut keys = BTreeMap::<String, Vec<String>>::new();
            for (key, id) in list {
                keys.entry(key.clone()).or_default().push(id.clone());
            }
            keys
        };
        let wanted = by_key(&self.committed);
        for (key, ids) in by_key(&self.effects) {
            let place = |id: &String| {
                wanted
                    .get(&key)
                    .and_then(|order| order.iter().position(|other| other == id))
            };
            let places: Vec<Option<usize>> = ids.iter().map(place).collect();
            if !places.is_sorted() {
                found.overtaken.push(key);
            }
        }
        if found == UnbalancedError::default() { Ok(()) } else { Err(found) }
    }
}

/// Where an [`Account`] does not balance. Each list holds ids, except the last, which
/// holds keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnbalancedError {
    /// Committed, and without effect.
    pub lost: Vec<String>,
    /// With an effect, and never committed.
    pub invented: Vec<String>,
    /// With more than one effect.
    pub repeated: Vec<String>,
    /// Keys whose effects came in another order than their events.
    pub overtaken: Vec<String>,
}

impl fmt::Display for UnbalancedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |ids: &[String]| {
            let some =
                ids.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
            format!("{} ({some}{})", ids.len(), if ids.len() > 5 { ", ..." } else { "" })
        };
        write!(
            f,
            "lost {}, without a commit {}, more than once {}, keys out of order {}",
            list(&self.lost),
            list(&self.invented),
            list(&self.repeated),
            list(&self.overtaken)
        )
    }
}

impl std::error::Error for UnbalancedError {}
