//! How many deliveries a server may send ahead: never more than may be unacked at once,
//! and asked for seldom.

/// The credit of one link.
#[derive(Debug)]
pub(super) struct Credit {
    most: u32,
    unacked: u32,
    /// What the server may still send.
    left: u32,
}

impl Credit {
    pub(super) const fn new(most: u32) -> Self {
        Self { most, unacked: 0, left: 0 }
    }

    pub(super) const fn delivered(&mut self) {
        self.left = self.left.saturating_sub(1);
        self.unacked = self.unacked.saturating_add(1);
    }

    pub(super) const fn settled(&mut self) {
        self.unacked = self.unacked.saturating_sub(1);
    }

    /// The credit that the server is given now, where it has none left, or half of what
    /// it could have.
    pub(super) const fn give(&mut self) -> Option<u32> {
        let wanted = self.most.saturating_sub(self.unacked);
        let is_much = wanted.saturating_sub(self.left) > self.most / 2;
        if wanted > self.left && (self.left == 0 || is_much) {
            self.left = wanted;
            return Some(wanted);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Else a listener with `prefetch(1)` changes an order, or stands still.
        #[test]
        fn no_more_is_unacked_than_may_be_and_the_server_may_always_send_what_fits(
            most in 1_u32..20,
            delivers: Vec<bool>,
        ) {
            let mut credit = Credit::new(most);
            let mut may_send = credit.give().unwrap_or_default();
            prop_assert_eq!(may_send, most);
            let mut unacked = 0_u32;
            for delivers in delivers {
                if delivers && may_send > 0 {
                    may_send = may_send.saturating_sub(1);
                    unacked = unacked.saturating_add(1);
                    credit.delivered();
                } else if !delivers && unacked > 0 {
                    unacked = unacked.saturating_sub(1);
                    credit.settled();
                }
                if let Some(given) = credit.give() {
                    may_send = given;
                }
                prop_assert!(unacked.saturating_add(may_send) <= most);
                prop_assert!(may_send > 0 || unacked == most, "it stands still");
            }
        }
    }
}
