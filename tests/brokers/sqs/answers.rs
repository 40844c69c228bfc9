//! What becomes of an event by what AWS says: by its codes, alone and in a request of
//! ten.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use integration_automation_patterns::broker::{
    Ack, Broker, BrokerError, BrokerErrorKind, Consumer,
};
use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::{Envelope, RawEvent};
use serde_json::{Value, json};

use super::fake::{Says, start};
use super::*;
use crate::suite::{Effects, in_time, refusal};

pub(super) fn event(id: &str) -> Envelope<Dispatched> {
    Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
        .id(id.parse().unwrap())
        .build()
        .unwrap()
        .dispatch()
}

fn sqs(address: SocketAddr) -> Sqs {
    Sqs::new("http://host/1/orders", &aws(address), SqsConfig::default()).unwrap()
}

/// All entries stored, but for those that are said otherwise of.
fn stored(input: &Value, otherwise: impl Fn(&str) -> Option<Value>) -> Value {
    let entries = input["Entries"].as_array().unwrap();
    let id = |entry: &Value| entry["Id"].as_str().unwrap().to_owned();
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        match otherwise(entry["MessageBody"].as_str().unwrap_or_default()) {
            None => done.push(json!({ "Id": id(entry), "MessageId": "m" })),
            Some(Value::Null) => {}
            Some(mut said) => {
                said["Id"] = id(entry).into();
                failed.push(said);
            }
        }
    }
    json!({ "Successful": done, "Failed": failed })
}

#[tokio::test]
async fn each_code_of_aws_says_whether_it_is_the_place_or_the_event() {
    use BrokerErrorKind::{Permanent, Transient, Unavailable};
    const CODES: [(u16, &str, Option<&str>, BrokerErrorKind); 14] = [
        (
            400,
            "com.amazonaws.sqs#QueueDoesNotExist",
            Some("AWS.SimpleQueueService.NonExistentQueue;Sender"),
            Unavailable,
        ),
        (400, "QueueDoesNotExist", None, Unavailable),
        (403, "com.amazon.coral.service#AccessDeniedException", None, Unavailable),
        (403, "com.amazon.coral.service#ExpiredTokenException", None, Unavailable),
        (403, "com.amazon.coral.service#UnrecognizedClientException", None, Unavailable),
        (403, "com.amazon.coral.service#InvalidSignatureException", None, Unavailable),
        (400, "com.amazon.coral.availability#ThrottlingException", None, Unavailable),
        (
            403,
            "com.amazonaws.sqs#RequestThrottled",
            Some("RequestThrottled;Sender"),
            Unavailable,
        ),
        (
            400,
            "com.amazonaws.sqs#KmsThrottled",
            Some("KMS.ThrottlingException;Sender"),
            Unavailable,
        ),
        (
            400,
            "com.amazonaws.sqs#InvalidParameterValueException",
            Some("InvalidParameterValue;Sender"),
            Permanent,
        ),
        (
            400,
            "com.amazonaws.sqs#InvalidMessageContents",
            Some("InvalidMessageContents;Sender"),
            Permanent,
        ),
        (
            500,
            "com.amazonaws.sqs#InternalFailure",
            Some("InternalFailure;Receiver"),
            Transient,
        ),
        (403, "com.amazonaws.sqs#SomethingNew", None, Transient),
        (503, "<html>", None, Unavailable),
    ];
    in_time(async {
        for (status, of_type, query, wanted) in CODES {
            let answer = move |_: &str, _: &Value| match status {
                503 => {
                    Says { status, header: None, body: "<html>gone</html>".to_owned() }
                }
                _ => Says::error(status, of_type, query),
            };
            let (address, _) = start(answer).await;
            let sent = sqs(address).send(&event("1")).await;
            assert_eq!(refusal(&sent), Some(wanted), "{of_type}: {sent:?}");
            let reason = sent.unwrap_err();
            assert!(reason.reason().starts_with("the queue orders: "), "{reason}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_queue_that_says_when_to_come_again_is_left_alone_until_then() {
    in_time(async {
        let (address, _) = start(|_, _| Says {
            header: Some(("retry-after", "30".to_owned())),
            ..Says::error(429, "com.amazonaws.sqs#TooManyRequests", None)
        })
        .await;
        let refused = sqs(address).send(&event("1")).await.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.retry_after()),
            (BrokerErrorKind::Unavailable, Some(Duration::from_secs(30)))
        );
    })
    .await;
}

/// The place is out of order for all ten, and none is judged for another.
#[tokio::test]
async fn of_events_that_are_sent_together_each_gets_its_own_answer() {
    in_time(async {
        let (address, asked) = start(|operation, input| match operation {
            "SendMessage" => Says::ok(&json!({ "MessageId": "m" })),
            _ => Says::ok(&stored(input, |body| {
                let failed = |code: &str, fault| {
                    Some(json!({ "Code": code, "SenderFault": fault }))
                };
                match body {
                    body if body.contains(r#""id":"3""#) => {
                        failed("InvalidMessageContents", true)
                    }
                    body if body.contains(r#""id":"5""#) => {
                        failed("InternalError", false)
                    }
                    body if body.contains(r#""id":"7""#) => Some(Value::Null),
                    _ => None,
                }
            })),
        })
        .await;
        let broker = sqs(address);
        let events: Vec<_> = (0..10).map(|number| event(&number.to_string())).collect();
        let sent = join_all(events.iter().map(|event| broker.send(event))).await;
        let kinds: Vec<_> = sent.iter().map(refusal).collect();
        let mut wanted = vec![None; 10];
        wanted[3] = Some(BrokerErrorKind::Permanent);
        wanted[5] = Some(BrokerErrorKind::Transient);
        wanted[7] = Some(BrokerErrorKind::Transient);
        assert_eq!(kinds, wanted, "{sent:?}");
        let operations: Vec<String> = asked
            .lock()
            .unwrap()
            .iter()
            .map(|(operation, _)| operation.clone())
            .collect();
        assert_eq!(operations, ["SendMessageBatch"], "they were sent together");
    })
    .await;
}

/// A request that is refused as a whole says nothing about nine of its ten events.
#[tokio::test]
async fn one_that_is_refused_makes_no_dead_letters_of_those_beside_it() {
    in_time(async {
        let (address, _) = start(|operation, input| {
            let is_poison = |input: &Value| input.to_string().contains(r#"\"id\":\"4\""#);
            let long = || {
                let query = "AWS.SimpleQueueService.BatchRequestTooLong;Sender";
                Says::error(400, "com.amazonaws.sqs#BatchRequestTooLong", Some(query))
            };
            match operation {
                "SendMessageBatch" => long(),
                _ if is_poison(input) => Says::error(
                    400,
                    "com.amazonaws.sqs#InvalidParameterValueException",
                    Some("InvalidParameterValue;Sender"),
                ),
                _ => Says::ok(&json!({ "MessageId": "m" })),
            }
        })
        .await;
        let broker = sqs(address);
        let events: Vec<_> = (0..10).map(|number| event(&number.to_string())).collect();
        let sent = join_all(events.iter().map(|event| broker.send(event))).await;
        let refused: Vec<_> = sent.iter().map(refusal).collect();
        let mut wanted = vec![None; 10];
        wanted[4] = Some(BrokerErrorKind::Permanent);
        assert_eq!(refused, wanted, "{sent:?}");
    })
    .await;
}

/// The credentials are the place's too: nothing was sent, and no event pays for it.
#[tokio::test]
async fn without_credentials_nothing_is_sent_and_no_event_pays_for_it() {
    use aws_credential_types::provider::error::CredentialsError;
    use aws_credential_types::provider::{ProvideCredentials, future};

    #[derive(Debug)]
    struct Down;

    impl ProvideCredentials for Down {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let down = CredentialsError::provider_error("the metadata service is down");
            future::ProvideCredentials::ready(Err(down))
        }
    }

    in_time(async {
        let (address, asked) = start(|_, _| Says::ok(&json!({}))).await;
        let provider = SharedCredentialsProvider::new(Down);
        let aws = aws(address).into_builder().credentials_provider(provider).build();
        let broker =
            Sqs::new("http://host/1/orders", &aws, SqsConfig::default()).unwrap();
        let refused = broker.send(&event("1")).await.unwrap_err();
        assert_eq!(refused.kind(), BrokerErrorKind::Unreachable, "{refused}");
        assert!(refused.reason().contains("the metadata service is down"), "{refused}");
        assert_eq!(asked.lock().unwrap().len(), 0);
    })
    .await;
}

/// A listener of a queue that is not there says so, and goes on once it is.
#[tokio::test]
async fn a_listener_goes_on_once_the_queue_is_there() {
    in_time(async {
        let polls = AtomicUsize::new(0);
        let (address, _) = start(move |operation, _| match operation {
            "ReceiveMessage" if polls.fetch_add(1, Ordering::SeqCst) == 0 => {
                Says::error(400, "com.amazonaws.sqs#QueueDoesNotExist", None)
            }
            "ReceiveMessage" => Says::ok(&json!({ "Messages": [{
                "MessageId": "m", "ReceiptHandle": "h", "Body": "hello",
            }] })),
            _ => Says::ok(&json!({ "Successful": [], "Failed": [
                { "Id": "0", "Code": "ReceiptHandleIsInvalid", "SenderFault": true },
            ] })),
        })
        .await;
        let mut listener = sqs(address).listen();
        let failed = listener.next().await.unwrap_err();
        assert_eq!(failed.kind(), BrokerErrorKind::Unavailable, "{failed}");
        let delivery = listener.next().await.unwrap().unwrap();
        assert!(delivery.is_redelivered(), "a queue that does not say counts as one");
    })
    .await;
}

/// An ack that comes too late is not one that failed, and any other failure is told.
#[tokio::test]
async fn an_ack_of_an_old_handle_is_a_success_and_a_refused_one_is_not() {
    in_time(async {
        let transient = Some(BrokerErrorKind::Transient);
        for (code, said, wanted) in [
            ("ReceiptHandleIsInvalid", "", None),
            ("AWS.SimpleQueueService.MessageNotInflight", "", None),
            (
                "InvalidParameterValue",
                "Value h for parameter ReceiptHandle is invalid. Reason: The receipt \
                 handle has expired.",
                None,
            ),
            (
                "InvalidParameterValue",
                "Value h for parameter ReceiptHandle is invalid. Reason: Message does not \
                 exist or is not available for visibility timeout change.",
                None,
            ),
            ("InvalidParameterValue", "Value h is invalid.", transient),
            ("InternalError", "", transient),
        ] {
            let (address, _) = start(move |operation, _| match operation {
                "ReceiveMessage" => Says::ok(&json!({ "Messages": [{
                    "MessageId": "m", "ReceiptHandle": "h", "Body": "hello",
                }] })),
                _ => Says::ok(&json!({ "Successful": [], "Failed": [
                    { "Id": "0", "Code": code, "Message": said, "SenderFault": true },
                ] })),
            })
            .await;
            let mut listener = sqs(address).listen();
            let delivery = listener.next().await.unwrap().unwrap();
            let answered: Result<(), BrokerError> = answer(delivery).await;
            assert_eq!(refusal(&answered), wanted, "{code} {said}: {answered:?}");
        }
    })
    .await;
}

/// A task that panics, with whatever the program has given to the client, fetches nothing
/// any more: who waits is not left waiting, and the next call begins anew.
#[tokio::test]
async fn a_listener_whose_task_has_ended_says_so_each_time() {
    use aws_credential_types::provider::{ProvideCredentials, future};

    #[derive(Debug)]
    struct Panics;

    impl ProvideCredentials for Panics {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            panic!("a provider of the program's own")
        }
    }

    in_time(async {
        let (address, _) = start(|_, _| Says::ok(&json!({}))).await;
        let provider = SharedCredentialsProvider::new(Panics);
        let aws = aws(address).into_builder().credentials_provider(provider).build();
        let sqs = Sqs::new("http://host/1/orders", &aws, SqsConfig::default()).unwrap();
        let mut listener = sqs.listen();
        for _ in 0..2 {
            let failed = listener.next().await.unwrap_err();
            assert_eq!(failed.kind(), BrokerErrorKind::Unreachable, "{failed}");
            assert!(failed.reason().contains("the task that fetches"), "{failed}");
        }
        let sent = sqs.send(&event("1")).await;
        assert_eq!(refusal(&sent), Some(BrokerErrorKind::Transient), "{sent:?}");
    })
    .await;
}

/// A role that may not renew lets slow handlers run twice: the listener says why.
#[tokio::test]
async fn a_renewal_that_is_not_permitted_is_told() {
    in_time(async {
        let polls = AtomicUsize::new(0);
        let (address, _) = start(move |operation, _| match operation {
            "ReceiveMessage" if polls.fetch_add(1, Ordering::SeqCst) == 0 => {
                Says::ok(&json!({ "Messages": [{
                    "MessageId": "m", "ReceiptHandle": "h", "Body": "hello",
                }] }))
            }
            "ReceiveMessage" => Says::ok(&json!({})),
            _ => Says::error(403, "com.amazon.coral.service#AccessDeniedException", None),
        })
        .await;
        let listener = sqs(address).listen();
        let mut listener = listener.visibility_timeout(Duration::from_secs(2)).unwrap();
        let _held = listener.next().await.unwrap().unwrap();
        let failed = listener.next().await.unwrap_err();
        assert_eq!(failed.kind(), BrokerErrorKind::Unavailable, "{failed}");
        assert!(failed.reason().contains("not renewed"), "{failed}");
        assert!(failed.reason().contains("AccessDenied"), "{failed}");
    })
    .await;
}

/// Acks a delivery as an inbox does whose effect is stored.
pub(super) async fn answer<A: Ack>(
    delivery: integration_automation_patterns::broker::Delivery<A>,
) -> Result<(), BrokerError> {
    Effects::new().process(delivery).settle().await
}
