//! How a retry policy stands in a column: `3 exponential 30s 3600s`.

use std::time::Duration;

use crate::retry::{Backoff, RetryPolicy};

/// The policy of most events, as the schema says it too.
const DEFAULT_POLICY: &str = "3 exponential 30s 3600s";

pub(super) fn write_policy(policy: &RetryPolicy) -> String {
    if *policy == RetryPolicy::DEFAULT {
        DEFAULT_POLICY.to_owned()
    } else {
        spell_policy(policy)
    }
}

/// `3 exponential 30s 3600s`, with ` jitter` and ` within 86400s` where the policy has
/// them.
fn spell_policy(policy: &RetryPolicy) -> String {
    let backoff = match policy.backoff() {
        Backoff::Fixed(wait) => format!("fixed {}", write_duration(wait)),
        Backoff::Exponential { base, max } => {
            format!("exponential {} {}", write_duration(base), write_duration(max))
        }
    };
    let mut text = format!("{} {backoff}", policy.max_attempts());
    if policy.has_full_jitter() {
        text.push_str(" jitter");
    }
    if let Some(limit) = policy.time_limit() {
        text.push_str(" within ");
        text.push_str(&write_duration(limit));
    }
    text
}

pub(super) fn read_policy(text: &str) -> Result<RetryPolicy, String> {
    if text == DEFAULT_POLICY {
        return Ok(RetryPolicy::DEFAULT);
    }
    let wrong = || {
        format!(
            "a retry policy is written as `3 exponential 30s 3600s jitter within 86400s`, and this row has {text:?}"
        )
    };
    let mut words = text.split(' ');
    let duration = |words: &mut std::str::Split<'_, char>| {
        words.next().and_then(read_duration).ok_or_else(wrong)
    };
    let max_attempts =
        words.next().and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
    let backoff = match words.next() {
        Some("fixed") => Backoff::Fixed(duration(&mut words)?),
        Some("exponential") => Backoff::Exponential {
            base: duration(&mut words)?,
            max: duration(&mut words)?,
        },
        _ => return Err(wrong()),
    };
    let mut policy =
        RetryPolicy::new(max_attempts, backoff).map_err(|error| error.to_string())?;
    let mut word = words.next();
    if word == Some("jitter") {
        policy = policy.with_full_jitter();
        word = words.next();
    }
    if word == Some("within") {
        policy = policy.give_up_after(duration(&mut words)?);
        word = words.next();
    }
    if word.is_some() { Err(wrong()) } else { Ok(policy) }
}

/// `30s` or `0.25s`, to the nanosecond.
fn write_duration(duration: Duration) -> String {
    let text = format!("{}.{:09}", duration.as_secs(), duration.subsec_nanos());
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

fn read_duration(text: &str) -> Option<Duration> {
    let text = text.strip_suffix('s')?;
    let (secs, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(secs) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    Some(Duration::new(secs.parse().ok()?, format!("{fraction:0<9}").parse().ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::store) fn policies() -> impl Strategy<Value = RetryPolicy> {
        let duration = || {
            (0..100_000_u64, 0..1_000_000_000_u32)
                .prop_map(|(secs, nanos)| Duration::new(secs, nanos))
        };
        let backoff = prop_oneof![
            duration().prop_map(Backoff::Fixed),
            (duration(), duration())
                .prop_map(|(base, max)| Backoff::Exponential { base, max }),
        ];
        (1_u32.., backoff, any::<bool>(), proptest::option::of(duration())).prop_map(
            |(attempts, backoff, jitter, limit)| {
                let policy = RetryPolicy::new(attempts, backoff).unwrap();
                let policy = if jitter { policy.with_full_jitter() } else { policy };
                limit.map_or(policy, |limit| policy.give_up_after(limit))
            },
        )
    }

    proptest! {
        #[test]
        fn a_policy_reads_back(policy in policies()) {
            prop_assert_eq!(read_policy(&write_policy(&policy)), Ok(policy));
        }
    }

    #[test]
    fn the_default_policy_is_what_the_schema_says() {
        assert_eq!(spell_policy(&RetryPolicy::DEFAULT), DEFAULT_POLICY);
        for schema in [
            include_str!("../outbox/sqlite/migrations/0001.sql"),
            include_str!("../outbox/postgres/migrations/0001.sql"),
        ] {
            assert!(schema.contains(&format!("DEFAULT '{DEFAULT_POLICY}'")));
        }
    }

    #[test]
    fn what_is_no_policy_is_refused_in_words() {
        for text in [
            "",
            "3",
            "3 exponential 30s",
            "3 fixed 30",
            "3 fixed 30s now",
            "0 fixed 1s",
            "3 fixed 1.0000000000s",
        ] {
            assert!(read_policy(text).is_err(), "{text}");
        }
    }
}
