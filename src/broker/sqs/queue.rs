//! One queue: its URL, and the client that speaks to it, checked where both are stated.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Builder};
use aws_types::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

use super::SqsConfig;
use crate::broker::ConfigError;

/// A queue, and who speaks to it.
pub(super) struct Queue {
    pub(super) url: String,
    pub(super) name: String,
    pub(super) is_fifo: bool,
    /// The only one: a client that has been told that the clock is wrong corrects it.
    pub(super) client: Client,
    connect_timeout: Duration,
}

const URL: &str = "https://sqs.REGION.amazonaws.com/ACCOUNT/QUEUE";

impl Queue {
    pub(super) fn new(
        url: &str,
        aws: &SdkConfig,
        config: &SqsConfig,
    ) -> Result<Self, ConfigError> {
        // A password or a signature may stand there.
        let no_url = || match url.contains(['@', '?', '#']) {
            true => ConfigError::hidden("queue_url", URL),
            false => ConfigError::new("queue_url", URL, url),
        };
        let (host, name) = host_and_name(url).ok_or_else(no_url)?;
        is_usable(aws)?;
        if !has_endpoint(aws) {
            is_of_its_region(url, host, aws)?;
        }
        let timeouts = timeouts(config.connect_timeout, config.request_timeout);
        let builder = Builder::from(aws)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        let builder = match aws.behavior_version() {
            Some(_) => builder,
            None => builder.behavior_version(BehaviorVersion::latest()),
        };
        Ok(Self {
            url: url.to_owned(),
            name: name.to_owned(),
            is_fifo: name.ends_with(".fifo"),
            client: Client::from_conf(builder.build()),
            connect_timeout: config.connect_timeout,
        })
    }

    /// The settings of one request that may take so long.
    pub(super) fn within(&self, time: Duration) -> Builder {
        aws_sdk_sqs::Config::builder()
            .timeout_config(timeouts(self.connect_timeout, time))
    }
}

fn timeouts(connect: Duration, request: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(connect).operation_timeout(request).build()
}

/// Whether the configuration has an endpoint, of SQS alone or of all services: then the
/// client sends there.
fn has_endpoint(aws: &SdkConfig) -> bool {
    let of_sqs = ServiceConfigKey::builder()
        .service_id("SQS")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let of_sqs = of_sqs.ok().and_then(|key| aws.service_config()?.load_config(key));
    aws.endpoint_url().is_some() || of_sqs.is_some()
}

/// Without an endpoint, the client sends to AWS in the region of the configuration,
/// whatever the URL says.
fn is_of_its_region(url: &str, host: &str, aws: &SdkConfig) -> Result<(), ConfigError> {
    if !is_of_aws(host) {
        let wanted = "a host of AWS, or an endpoint_url in the configuration of AWS: \
                      without one, requests go to AWS";
        return Err(ConfigError::new("queue_url", wanted, url));
    }
    match (region(host), aws.region()) {
        (Some(of_url), Some(region)) if of_url != region.as_ref() => {
            let wanted = format!("a queue in {region}, the region of the configuration");
            Err(ConfigError::new("queue_url", wanted, url))
        }
        _ => Ok(()),
    }
}

/// Without these each request would fail, or be sent to nobody.
fn is_usable(aws: &SdkConfig) -> Result<(), ConfigError> {
    let missing = |what, wanted: &str| {
        let wanted = format!("{wanted} in the configuration of AWS");
        Err(ConfigError::new(what, wanted, "none"))
    };
    if aws.region().is_none() {
        return missing("region", "one, as of AWS_REGION or a profile,");
    }
    if aws.credentials_provider().is_none() {
        return missing("credentials_provider", "one, as `aws_config` loads it,");
    }
    if aws.http_client().is_none() {
        return missing("http_client", "one, as `aws_smithy_http_client` builds it,");
    }
    Ok(())
}

/// The host of a queue's URL, without its port, and the queue's name.
fn host_and_name(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let (place, path) = rest.split_once('/')?;
    let (_, name) = path.rsplit_once('/')?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let stem = name.strip_suffix(".fifo").unwrap_or(name);
    let is_name = !stem.is_empty() && name.len() <= 80 && stem.chars().all(is_plain);
    let host = place.split(':').next().unwrap_or(place);
    (is_name && !host.is_empty() && !place.contains('@')).then_some((host, name))
}

/// The region of a host of AWS's own.
fn region(host: &str) -> Option<&str> {
    let of_queue = |host: &str| host.split_once(".queue.").is_some();
    let mut parts = host.split('.');
    match (parts.next()?, host) {
        ("sqs" | "sqs-fips", _) => parts.next(),
        (region, host) if of_queue(host) => Some(region),
        _ => None,
    }
    .filter(|_| is_of_aws(host))
}

fn is_of_aws(host: &str) -> bool {
    const DOMAINS: [&str; 3] = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];
    DOMAINS.iter().any(|domain| host.ends_with(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_host_and_queue_or_is_refused() {
        let of = |url| host_and_name(url);
        let orders = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders.fifo";
        assert_eq!(of(orders), Some(("sqs.eu-central-1.amazonaws.com", "orders.fifo")));
        assert_eq!(of("http://127.0.0.1:9324/000/a_b-c"), Some(("127.0.0.1", "a_b-c")));
        for url in [
            "",
            "orders",
            "https://host",
            "https://host/orders",
            "https://host/1/",
            "https://host/1/.fifo",
            "https://host/1/a b",
            "https://:1/1/orders",
            "https://user:secret@host/1/orders",
            "arn:aws:sqs:eu-central-1:123456789012:orders",
            "sqs://host/1/orders",
        ] {
            assert_eq!(of(url), None, "{url}");
        }
        assert_eq!(of(&format!("https://host/1/{}", "a".repeat(81))), None);
    }

    #[test]
    fn the_region_is_read_from_hosts_of_aws_alone() {
        for (host, wanted) in [
            ("sqs.eu-central-1.amazonaws.com", Some("eu-central-1")),
            ("sqs.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("sqs.us-east-1.api.aws", Some("us-east-1")),
            ("sqs-fips.us-east-1.amazonaws.com", Some("us-east-1")),
            ("eu-west-1.queue.amazonaws.com", Some("eu-west-1")),
            ("vpce-1a-2b.sqs.eu-west-1.vpce.amazonaws.com", None),
            ("sqs.test.example.com", None),
            ("127.0.0.1", None),
        ] {
            assert_eq!(region(host), wanted, "{host}");
        }
    }
}
