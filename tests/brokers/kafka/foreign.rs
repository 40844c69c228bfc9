//! Java's own tools on the other side: what they send is read, and what is sent here they
//! read, in every compression.

use std::collections::BTreeMap;

use integration_automation_patterns::broker::kafka::Kafka;
use integration_automation_patterns::broker::{Broker as _, UNREADABLE};
use integration_automation_patterns::{Envelope, RawEvent};

use super::cluster::{Cluster, ack, next};
use crate::servers;
use crate::suite::{Server as _, in_time};

const COMPRESSIONS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// Runs a tool on the cluster beside the runtime, with lines for it to read; what it
/// printed.
async fn tool(
    cluster: &Cluster,
    class: &'static str,
    arguments: Vec<String>,
    input: String,
) -> String {
    let servers = cluster.servers();
    let ran = move || {
        let mut all = vec![class, "--bootstrap-server", &servers];
        all.extend(arguments.iter().map(String::as_str));
        servers::kafka_tool_reads(&all, &input)
    };
    tokio::task::spawn_blocking(ran).await.unwrap()
}

/// Headers, key and value of records, as Java's producer reads them: `NULL` is none at
/// all.
fn java_sends(compression: &str) -> String {
    let headers = |id: &str, more: &str| {
        format!(
            "ce_specversion=1.0;ce_id={compression}-{id};ce_source=java;ce_type=crm.lead.created{more}"
        )
    };
    let filling = "x".repeat(2000);
    [
        format!("{}\tlead-7\t{{\"lead\":7}}", headers("plain", "")),
        format!("{}\tNULL\t{filling}", headers("no-key", "")),
        format!("{}\tlead-7\tNULL", headers("no-value", "")),
        // A name that is no ASCII, one twice, an empty value, none, and one with every
        // separator that there is.
        format!(
            "{}\tlead-7\t{filling}",
            headers("odd", ";Größe=ä€;twice=1;twice=2;empty=;none=NULL;a:b,c=d:e,f")
        ),
        "NULL\tNULL\tNULL".to_owned(),
    ]
    .map(|line| line + "\n")
    .concat()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn what_javas_producer_sends_is_read_in_every_compression_with_odd_headers_and_without_key_or_value()
 {
    in_time(async {
        let cluster = Cluster::with(3, &[]).await;
        for compression in COMPRESSIONS {
            let mut arguments = vec![
                "--topic".to_owned(),
                cluster.topic.clone(),
                "--compression-codec".to_owned(),
            ];
            arguments.push(compression.to_owned());
            for property in [
                "parse.headers=true",
                "parse.key=true",
                "null.marker=NULL",
                "headers.separator=;",
                "headers.key.separator==",
            ] {
                arguments.extend(["--reader-property".to_owned(), property.to_owned()]);
            }
            tool(
                &cluster,
                "org.apache.kafka.tools.ConsoleProducer",
                arguments,
                java_sends(compression),
            )
            .await;
        }
        let (mut listener, mut found, mut unreadable) =
            (cluster.listener(), BTreeMap::new(), 0);
        while found.len() + unreadable < 5 * COMPRESSIONS.len() {
            let delivery = next(&mut listener).await;
            let facts = delivery.facts();
            if facts.event_type() == UNREADABLE {
                assert!(facts.payload().bytes().is_empty(), "{delivery:?}");
                unreadable += 1;
            } else {
                assert_eq!(
                    (facts.source_system(), facts.event_type()),
                    ("java", "crm.lead.created")
                );
                found.insert(facts.id().to_string(), facts.payload().bytes().to_vec());
            }
            ack(delivery).await;
        }
        let filling = vec![b'x'; 2000];
        let wanted = COMPRESSIONS.iter().flat_map(|compression| {
            [
                ("plain", b"{\"lead\":7}".to_vec()),
                ("no-key", filling.clone()),
                ("no-value", vec![]),
                ("odd", filling.clone()),
            ]
            .map(|(id, body)| (format!("{compression}-{id}"), body))
        });
        assert_eq!(found, wanted.collect());
        assert_eq!(
            unreadable,
            COMPRESSIONS.len(),
            "what has no headers is no event, and is read all the same"
        );
        cluster.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn what_is_sent_in_every_compression_javas_consumer_reads() {
    in_time(async {
        let cluster = Cluster::with(3, &[]).await;
        let filling = "x".repeat(2000);
        for compression in COMPRESSIONS {
            let config =
                cluster.config().client_property("compression.type", compression);
            let kafka = Kafka::new(&cluster.servers(), config).unwrap();
            let build = |id: &str, body: &str| {
                let builder = Envelope::builder(
                    "crm",
                    RawEvent::new("crm.lead.created", body.as_bytes()),
                );
                builder.id(format!("{compression}-{id}").parse().unwrap())
            };
            let events = [
                build("plain", &filling).ordering_key("lead-7"),
                build("no-key", &filling).tag("größe", "ä\u{20ac}"),
                build("empty", "")
                    .ordering_key("lead-7")
                    .tag("Not an extension", "a=b;c:d"),
            ];
            for event in events {
                kafka.send(&event.build().unwrap().dispatch()).await.unwrap();
            }
        }
        let count = 3 * COMPRESSIONS.len();
        let arguments = [
            "--topic",
            &cluster.topic,
            "--from-beginning",
            "--timeout-ms",
            "30000",
            "--max-messages",
        ];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).into();
        arguments.push(count.to_string());
        for property in ["print.headers=true", "print.key=true"] {
            arguments.extend(["--formatter-property".to_owned(), property.to_owned()]);
        }
        let read = tool(
            &cluster,
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            arguments,
            String::new(),
        )
        .await;
        let records: Vec<Vec<&str>> =
            read.lines().map(|line| line.split('\t').collect()).collect();
        assert_eq!(records.len(), count, "{read}");
        for compression in COMPRESSIONS {
            for (id, key, body) in [
                ("plain", "lead-7", &*filling),
                ("no-key", "", &filling),
                ("empty", "lead-7", ""),
            ] {
                let id = format!("{compression}-{id}");
                let key = if key.is_empty() { &id } else { key };
                let of_id =
                    |record: &&Vec<&str>| record[0].contains(&format!("ce_id:{id},"));
                let record =
                    records.iter().find(of_id).unwrap_or_else(|| panic!("{id}: {read}"));
                assert!(record[0].contains("ce_type:crm.lead.created"), "{record:?}");
                assert_eq!((record[1], record[2]), (key, body), "{id}");
            }
        }
        cluster.remove().await;
    })
    .await;
}
