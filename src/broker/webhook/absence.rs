//! Absence: when failures in a row say that a receiver is out of order, and no longer
//! that an event is.

use std::sync::{Mutex, PoisonError};

use super::answer::Failure;
use crate::EventId;
use crate::broker::BrokerError;

/// So many different events may fail in a row, each for a reason of its own. With the
/// next one, it is the receiver.
const ACCIDENTS: usize = 3;

/// The first events that failed since the receiver was there.
///
/// They are told apart, so that one event which the receiver cannot take, however often
/// it is sent, never pauses the others.
#[derive(Debug, Default)]
pub(super) struct Absence(Mutex<Vec<EventId>>);

impl Absence {
    /// What a send says of its event, in the light of those before it. The events of a
    /// receiver that is out of order keep their attempts; what it may have stored it gets
    /// again.
    pub(super) fn judge(
        &self,
        event: &EventId,
        sent: Result<(), Failure>,
    ) -> Result<(), BrokerError> {
        match sent {
            Ok(()) => {
                self.end();
                Ok(())
            }
            Err(Failure::Answered(error)) => {
                self.end();
                Err(error)
            }
            Err(Failure::Absent(error)) if self.is_out_of_order(event) => {
                let unavailable = BrokerError::unavailable(error.reason());
                Err(match error.retry_after() {
                    Some(wait) => unavailable.with_retry_after(wait),
                    None => unavailable,
                })
            }
            Err(Failure::Absent(error) | Failure::Unsent(error)) => Err(error),
        }
    }

    fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Notes that an event failed; whether too many have for an accident.
    fn is_out_of_order(&self, event: &EventId) -> bool {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() <= ACCIDENTS && !failed.contains(event) {
            failed.push(event.clone());
        }
        failed.len() > ACCIDENTS
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use BrokerErrorKind::{Permanent, Transient, Unavailable, Unreachable};
    use proptest::prelude::*;

    use super::*;
    use crate::broker::BrokerErrorKind;

    fn id(number: u8) -> Result<EventId, TestCaseError> {
        let id = format!("evt-{number}").parse();
        id.map_err(|_| TestCaseError::fail("no id"))
    }

    fn absent() -> Result<(), Failure> {
        let wait = Duration::from_secs(7);
        let error = BrokerError::transient("503").with_retry_after(wait);
        Err(Failure::Absent(error))
    }

    proptest! {
        /// Protects events from an outage, however long it lasts and in whatever order
        /// they are tried: once as many as may be accidents have failed, none spends
        /// another attempt.
        #[test]
        fn an_outage_spends_attempts_of_the_first_few_events_alone(
            tries in proptest::collection::vec(0_u8..20, 0..200),
        ) {
            let absence = Absence::default();
            let mut spent = HashSet::new();
            let mut is_known = false;
            for number in tries {
                let error = absence.judge(&id(number)?, absent()).err();
                let error = error.ok_or_else(|| TestCaseError::fail("no failure"))?;
                prop_assert_eq!(error.reason(), "503");
                prop_assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
                prop_assert!(!is_known || error.kind() == Unavailable);
                if error.kind() == Transient {
                    spent.insert(number);
                } else {
                    prop_assert_eq!(error.kind(), Unavailable);
                    is_known = true;
                }
            }
            prop_assert!(spent.len() <= ACCIDENTS, "{:?}", spent);
        }

        /// Protects the others from a few events that the receiver never takes: as long
        /// as it takes others in between, those alone spend attempts, and no send pauses
        /// the relay.
        #[test]
        fn a_few_poison_events_never_pause_the_relay(
            tries in proptest::collection::vec((0_u8..3, any::<bool>()), 0..200),
        ) {
            let absence = Absence::default();
            for (number, is_poison) in tries {
                let sent = if is_poison { absent() } else { Ok(()) };
                let kind = absence.judge(&id(number)?, sent).err();
                let kind = kind.map(|error| error.kind());
                prop_assert_eq!(kind, is_poison.then_some(Transient));
            }
        }
    }

    #[test]
    fn an_answer_ends_the_row_and_a_connection_that_is_refused_does_not()
    -> Result<(), TestCaseError> {
        let answered = || Failure::Answered(BrokerError::permanent("400"));
        let refused = || Failure::Unsent(BrokerError::unreachable("refused"));
        let kind =
            |judged: Result<(), BrokerError>| judged.err().map(|error| error.kind());
        for (between, said, then) in [
            (Ok(()), None, Transient),
            (Err(answered()), Some(Permanent), Transient),
            (Err(refused()), Some(Unreachable), Unavailable),
        ] {
            let absence = Absence::default();
            for number in 0..3 {
                let judged = absence.judge(&id(number)?, absent());
                assert_eq!(kind(judged), Some(Transient));
            }
            assert_eq!(kind(absence.judge(&id(3)?, between)), said);
            assert_eq!(kind(absence.judge(&id(4)?, absent())), Some(then));
        }
        Ok(())
    }
}
