//! The durable consumer at the server: created where it is missing, left as it is where
//! it is there.

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, Config, Info};
use async_nats::jetstream::response::Response;
use serde_json::json;

use super::connection::Connection;
use super::stream::{not_understood, refused};
use crate::broker::{BrokerError, Lag};

/// What a listener says of its consumer. What it does not say is as its operator has made
/// it, or else by default.
#[derive(Debug, Clone)]
pub(super) struct Durable {
    pub(super) stream: String,
    pub(super) name: String,
    pub(super) prefix: String,
    /// The pattern behind the prefix.
    pub(super) only: Option<String>,
    pub(super) ack_wait: Option<Duration>,
    pub(super) max_ack_pending: Option<u16>,
}

pub(super) const DEFAULT_ACK_WAIT: Duration = Duration::from_secs(30);
const DEFAULT_MAX_ACK_PENDING: u16 = 100;

impl Durable {
    /// The consumer as it is at the server, created now where there is none.
    pub(super) async fn open(
        &self,
        connection: &Connection,
    ) -> Result<Info, BrokerError> {
        let found = match self.look_up(connection).await? {
            Some(found) => found,
            None => self.create(connection).await?,
        };
        self.check(&found.config).map_err(BrokerError::permanent)?;
        Ok(found)
    }

    /// How far it is behind at the server.
    pub(super) async fn lag(&self, connection: &Connection) -> Result<Lag, BrokerError> {
        let found = self.look_up(connection).await?;
        let missing = || {
            format!(
                "the consumer {} is not there yet: a listener's first `next` makes it",
                self.both()
            )
        };
        found
            .map(|found| self.behind(&found))
            .ok_or_else(|| BrokerError::unavailable(missing()))
    }

    fn behind(&self, found: &Info) -> Lag {
        let unacked = u64::try_from(found.num_ack_pending).unwrap_or(u64::MAX);
        let limit =
            u64::try_from(found.config.max_ack_pending).ok().filter(|limit| *limit > 0);
        let held_back = if limit.is_some_and(|limit| unacked >= limit) {
            found.num_pending
        } else {
            0
        };
        // Servers of 2.9 count a message twice, as pending and as unacked, that came while
        // the last listener left: nothing is unacked beyond what was delivered.
        let delivered = found
            .delivered
            .stream_sequence
            .saturating_sub(found.ack_floor.stream_sequence);
        Lag::new(
            format!("consumer {}", self.both()),
            found.num_pending.saturating_add(unacked.min(delivered)),
        )
        .held_back(
            held_back,
            "max_ack_pending: as many deliveries as it allows are unacked",
        )
    }

    pub(super) fn filter(&self) -> String {
        format!("{}.{}", self.prefix, self.only.as_deref().unwrap_or(">"))
    }

    fn wanted(&self) -> Config {
        Config {
            durable_name: Some(self.name.clone()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.ack_wait.unwrap_or(DEFAULT_ACK_WAIT),
            max_ack_pending: i64::from(
                self.max_ack_pending.unwrap_or(DEFAULT_MAX_ACK_PENDING),
            ),
            filter_subject: self.filter(),
            ..Config::default()
        }
    }

    pub(super) async fn look_up(
        &self,
        connection: &Connection,
    ) -> Result<Option<Info>, BrokerError> {
        let answer = connection
            .api(&format!("CONSUMER.INFO.{}.{}", self.stream, self.name), Vec::new())
            .await;
        match serde_json::from_slice::<Response<Info>>(
            &answer.map_err(|error| self.about(&error))?,
        ) {
            Ok(Response::Ok(info)) => Ok(Some(info)),
            Ok(Response::Err { error })
                if error.error_code() == ErrorCode::CONSUMER_NOT_FOUND =>
            {
                Ok(None)
            }
            Ok(Response::Err { error }) => Err(refused("consumer", &self.both(), &error)),
            Err(error) => Err(not_understood("consumer", &self.both(), &error)),
        }
    }

    async fn create(&self, connection: &Connection) -> Result<Info, BrokerError> {
        // From server 2.10 on, `create` changes none that another listener has created
        // meanwhile.
        let wanted = json!({ "stream_name": self.stream, "config": self.wanted(), "action": "create" });
        let verb =
            format!("CONSUMER.CREATE.{}.{}.{}", self.stream, self.name, self.filter());
        let answer = connection.api(&verb, wanted.to_string().into_bytes()).await;
        match serde_json::from_slice::<Response<Info>>(
            &answer.map_err(|error| self.about(&error))?,
        ) {
            Ok(Response::Ok(info)) => Ok(info),
            Ok(Response::Err { error }) => Err(refused("consumer", &self.both(), &error)),
            Err(error) => Err(not_understood("consumer", &self.both(), &error)),
        }
    }

    /// What matters of a consumer that somebody else may have made.
    fn check(&self, found: &Config) -> Result<(), String> {
        let filters = match found.filter_subject.as_str() {
            "" => found.filter_subjects.join(", "),
            one => one.to_owned(),
        };
        let filter = self.only.as_ref().map(|_| self.filter());
        let pending = self.max_ack_pending.map(i64::from);
        let differences = [
            (found.deliver_subject.is_some()).then(|| {
                ("to be a pull consumer".to_owned(), "is a push consumer".to_owned(), "")
            }),
            (found.ack_policy != AckPolicy::Explicit).then(|| {
                (
                    "to have the ack policy Explicit".to_owned(),
                    format!("has {:?}", found.ack_policy),
                    "",
                )
            }),
            found.headers_only.then(|| {
                (
                    "to hand out whole messages".to_owned(),
                    "hands out their headers only".to_owned(),
                    "",
                )
            }),
            filter.filter(|wanted| *wanted != filters).map(|wanted| {
                (
                    format!("to have the filter {wanted}"),
                    format!("has {}", or_none(&filters)),
                    ", or what filter_subject says",
                )
            }),
            self.ack_wait.filter(|wanted| *wanted != waits(found)).map(|wanted| {
                let backs_off = !found.backoff.is_empty();
                let by = if backs_off { " at the least, by its back-off" } else { "" };
                (
                    format!("to have ack_wait {wanted:?}"),
                    format!("has {:?}{by}", waits(found)),
                    ", or what ack_wait says",
                )
            }),
            pending.filter(|wanted| *wanted != found.max_ack_pending).map(|wanted| {
                (
                    format!("to have max_ack_pending {wanted}"),
                    format!("has {}", found.max_ack_pending),
                    ", or what max_ack_pending says",
                )
            }),
        ];
        let Some((wanted, found, or_say)) = differences.into_iter().flatten().next()
        else {
            return Ok(());
        };
        Err(format!(
            "the consumer {} was {wanted}, and {found}: change it at the server{or_say}",
            self.both()
        ))
    }

    fn both(&self) -> String {
        format!("{} of the stream {}", self.name, self.stream)
    }

    /// A refusal, and what was asked for.
    fn about(&self, error: &BrokerError) -> BrokerError {
        BrokerError::new(
            error.kind(),
            format!("the consumer {}: {}", self.both(), error.reason()),
        )
    }
}

/// How long the server waits for an ack, at the least.
pub(super) fn waits(consumer: &Config) -> Duration {
    consumer.backoff.iter().min().copied().unwrap_or(consumer.ack_wait)
}

fn or_none(filters: &str) -> &str {
    if filters.is_empty() { "none" } else { filters }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn durable() -> Durable {
        let (stream, name, prefix) =
            ("crm".to_owned(), "erp".to_owned(), "crm".to_owned());
        Durable {
            stream,
            name,
            prefix,
            only: None,
            ack_wait: None,
            max_ack_pending: None,
        }
    }

    #[test]
    fn what_is_not_said_is_the_operators() {
        let operators = Config {
            ack_wait: Duration::from_secs(60),
            max_ack_pending: 7,
            max_deliver: 3,
            filter_subject: "crm.lead.>".to_owned(),
            description: Some("made by the operator".to_owned()),
            ..Config::default()
        };
        assert_eq!(durable().check(&operators), Ok(()));
    }

    #[test]
    fn a_message_is_not_counted_as_pending_and_as_unacked() {
        let behind = |delivered: u64| {
            let info = json!({
                "stream_name": "crm", "name": "erp", "created": "2026-01-05T08:00:00Z",
                "config": { "deliver_policy": "all", "ack_policy": "explicit", "replay_policy": "instant" },
                "delivered": { "consumer_seq": 2, "stream_seq": delivered },
                "ack_floor": { "consumer_seq": 1, "stream_seq": 1 },
                "num_ack_pending": 1, "num_redelivered": 0, "num_waiting": 0, "num_pending": 3,
            });
            serde_json::from_value::<Info>(info)
                .map(|found| durable().behind(&found).behind)
                .map_err(|error| error.to_string())
        };
        assert_eq!(behind(1), Ok(3), "the one that is unacked was never delivered");
        assert_eq!(behind(2), Ok(4));
    }

    #[test]
    fn what_is_said_and_differs_is_refused_with_both() {
        let only = |only: &str| Durable { only: Some(only.to_owned()), ..durable() };
        let filtered =
            Config { filter_subject: "crm.lead.>".to_owned(), ..Config::default() };
        assert_eq!(only("lead.>").check(&filtered), Ok(()));
        let minute = Duration::from_secs(60);
        let patient = Config {
            ack_wait: minute * 5,
            backoff: vec![minute, minute * 5],
            ..filtered.clone()
        };
        assert_eq!(
            Durable { ack_wait: Some(minute), ..durable() }.check(&patient),
            Ok(())
        );
        for (listener, found, wanted) in [
            (
                only("invoice.>"),
                filtered.clone(),
                "was to have the filter crm.invoice.>, and has crm.lead.>: change it at the server, or what filter_subject says",
            ),
            (
                durable(),
                Config { deliver_subject: Some("x".to_owned()), ..filtered.clone() },
                "was to be a pull consumer, and is a push consumer: change it at the server",
            ),
            (
                durable(),
                Config { ack_policy: AckPolicy::All, ..filtered.clone() },
                "was to have the ack policy Explicit, and has All: change it at the server",
            ),
            (
                Durable { max_ack_pending: Some(1), ..durable() },
                Config { max_ack_pending: 100, ..filtered.clone() },
                "was to have max_ack_pending 1, and has 100: change it at the server, or what max_ack_pending says",
            ),
            (
                Durable { ack_wait: Some(minute), ..durable() },
                Config {
                    ack_wait: minute,
                    backoff: vec![minute, minute / 60],
                    ..filtered
                },
                "was to have ack_wait 60s, and has 1s at the least, by its back-off: \
                 change it at the server, or what ack_wait says",
            ),
        ] {
            assert_eq!(
                listener.check(&found),
                Err(format!("the consumer erp of the stream crm {wanted}"))
            );
        }
    }
}
