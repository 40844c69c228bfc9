//! What is refused where it is stated, before anything is sent.

use aws_credential_types::provider::{ProvideCredentials, future};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use integration_automation_patterns::broker::{Broker as _, Consumer as _};
use integration_automation_patterns::broker::{DeliveryOrder, RetryWait};

use super::*;

const ORDERS: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders";

#[test]
fn a_configuration_that_reaches_nobody_is_refused() {
    let whole = || aws(local(1)).into_builder();
    let refused = |aws: SdkConfig| {
        Sqs::new(ORDERS, &aws, SqsConfig::default()).unwrap_err().setting().to_owned()
    };
    assert_eq!(refused(SdkConfig::builder().build()), "region");
    let mut no_credentials = whole();
    no_credentials.set_credentials_provider(None);
    assert_eq!(refused(no_credentials.build()), "credentials_provider");
    let mut no_client = whole();
    no_client.set_http_client(None);
    assert_eq!(refused(no_client.build()), "http_client");
    assert!(Sqs::new(ORDERS, &whole().build(), SqsConfig::default()).is_ok());
}

/// The client of AWS would send to the queue of this name in the other region.
#[test]
fn a_queue_of_another_region_is_refused() {
    let mut here = aws(local(1)).into_builder();
    here.set_endpoint_url(None);
    let here = here.build();
    assert!(Sqs::new(ORDERS, &here, SqsConfig::default()).is_ok());
    let there = "https://sqs.us-west-1.amazonaws.com/123456789012/orders";
    let refused = Sqs::new(there, &here, SqsConfig::default()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the queue_url: expected a queue in eu-central-1, the region of the configuration, \
         found \"https://sqs.us-west-1.amazonaws.com/123456789012/orders\""
    );
    // With an endpoint of its own, the host of the URL is nobody's.
    assert!(Sqs::new(there, &aws(local(1)), SqsConfig::default()).is_ok());
}

/// The client of AWS would send to AWS, whatever host the URL has.
#[test]
fn a_queue_that_is_not_at_aws_needs_an_endpoint() {
    let mut aws_alone = aws(local(1)).into_builder();
    aws_alone.set_endpoint_url(None);
    let aws_alone = aws_alone.build();
    let new = |url: &str, aws: &SdkConfig| Sqs::new(url, aws, SqsConfig::default());
    for host in ["127.0.0.1:9324", "sqs.eu-central-1.amazonaws.com.example.com"] {
        let url = format!("http://{host}/000000000000/orders");
        let refused = new(&url, &aws_alone).unwrap_err();
        assert_eq!(refused.setting(), "queue_url");
        assert!(refused.to_string().contains("an endpoint_url"), "{refused}");
        assert!(new(&url, &aws(local(1))).is_ok());
        let of_sqs = aws_alone.to_builder().service_config(AtHome).build();
        assert!(new(&url, &of_sqs).is_ok(), "the endpoint of SQS alone is one too");
    }
    let private = "https://vpce-1a-2b.sqs.eu-central-1.vpce.amazonaws.com/1/orders";
    assert!(new(private, &aws_alone).is_ok());
}

/// An endpoint as the environment or a profile states it for one service.
#[derive(Debug)]
struct AtHome;

impl LoadServiceConfig for AtHome {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        (key.service_id() == "SQS").then(|| format!("http://{}", local(1)))
    }
}

/// Credentials that end whatever task asks for them.
#[derive(Debug)]
struct Panics;

impl ProvideCredentials for Panics {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        panic!("a provider that is broken")
    }
}

/// Else a loop around `next` takes a core for itself.
#[tokio::test(start_paused = true)]
async fn a_task_that_ends_at_each_start_is_started_once_in_a_second() {
    let aws = aws(local(1)).into_builder();
    let aws = aws.credentials_provider(SharedCredentialsProvider::new(Panics)).build();
    let mut listener = Sqs::new(ORDERS, &aws, SqsConfig::default()).unwrap().listen();
    let began = tokio::time::Instant::now();
    for _ in 0..4 {
        let ended = listener.next().await.unwrap_err();
        assert!(ended.reason().contains("the task that fetches has ended"), "{ended}");
    }
    assert!(began.elapsed() >= Duration::from_secs(3), "it spins");
}

#[test]
fn a_setting_that_cannot_be_kept_is_refused() {
    let new = |config| Sqs::new(ORDERS, &aws(local(1)), config);
    for (config, setting) in [
        (SqsConfig::default().max_message_size(1 << 21), "max_message_size"),
        (SqsConfig::default().max_message_size(0), "max_message_size"),
        (SqsConfig::default().connect_timeout(Duration::ZERO), "connect_timeout"),
        (SqsConfig::default().request_timeout(Duration::from_secs(2)), "connect_timeout"),
        (SqsConfig::default().request_timeout(Duration::MAX), "request_timeout"),
    ] {
        assert_eq!(new(config).unwrap_err().setting(), setting);
    }
    let listen = || new(SqsConfig::default()).unwrap().listen();
    for time in [Duration::from_secs(1), Duration::from_secs(13 * 60 * 60)] {
        let refused = listen().visibility_timeout(time).unwrap_err();
        assert_eq!(refused.setting(), "visibility_timeout");
    }
    for time in [Duration::ZERO, Duration::from_secs(21)] {
        assert_eq!(listen().wait_time(time).unwrap_err().setting(), "wait_time");
    }
    for url in [
        "orders",
        "https://user:secret@host/1/orders",
        "https://host/1/orders?X-Amz-Signature=secret",
    ] {
        let refused = Sqs::new(url, &aws(local(1)), SqsConfig::default()).unwrap_err();
        assert!(!refused.to_string().contains("secret"), "{refused}");
    }
}

/// What a queue can do is known by its name.
#[test]
fn a_fifo_queue_says_that_it_keeps_the_order_and_drops_duplicates() {
    let of = |url: &str| {
        Sqs::new(url, &aws(local(1)), SqsConfig::default()).unwrap().capabilities()
    };
    let (standard, fifo) = (of(ORDERS), of(&format!("{ORDERS}.fifo")));
    assert_eq!(standard.order, Some(DeliveryOrder::Unordered));
    assert_eq!(fifo.order, Some(DeliveryOrder::ByKey));
    assert_eq!(standard.duplicate_window, Some(Duration::ZERO));
    assert_eq!(fifo.duplicate_window, Some(Duration::from_secs(300)));
    assert_eq!(fifo.retry_waits_at, Some(RetryWait::Broker));
}
