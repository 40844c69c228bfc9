//! The CloudEvents project's own crate reads what we write, and we read what it writes,
//! in both modes.
//!
//! Its binding for HTTP does not percent-encode, so what is told in headers here is
//! printable ASCII without blanks.

use cloudevents::binding::http::{Builder, Serializer, to_event};
use cloudevents::message::{BinaryDeserializer, Result};
use cloudevents::{AttributesReader, Event};
use http::{HeaderMap, HeaderName, HeaderValue};
use integration_automation_patterns::cloudevents::{Binding, CloudEvent};
use integration_automation_patterns::{Envelope, RawEvent};

/// The headers and the body of a message, as the peer writes them.
#[derive(Default)]
struct Message {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Builder<Message> for Message {
    fn header(&mut self, key: &str, value: HeaderValue) {
        self.headers.push((key.to_owned(), value.to_str().unwrap().to_owned()));
    }

    fn body(&mut self, body: Vec<u8>) -> Result<Message> {
        Ok(Message { headers: std::mem::take(&mut self.headers), body })
    }

    fn finish(&mut self) -> Result<Message> {
        self.body(Vec::new())
    }
}

/// Events with a text that is told in headers or in JSON.
fn events(text: &str) -> impl Iterator<Item = CloudEvent> {
    let event = |id: &str, data: &[u8]| {
        let payload = RawEvent::new("crm.lead.created", data).with_schema_version("2.1");
        Envelope::builder("crm", payload).id(id.parse().unwrap()).correlation_id(text.to_owned())
    };
    let builders = [
        event("evt-001", br#"{"lead":7}"#).ordering_key("lead-7").tag("region_of", text),
        event("2", "Hello, 🌎!".as_bytes()).tag("datacontenttype", "text/plain").tag("subject", "lead/7"),
        event("3", b"\0\x01\xff").tag("datacontenttype", "image/png").tag("dataschema", "https://example.com/png"),
    ];
    let builders = builders.map(|builder| builder.tag("region", text));
    let at = "2026-01-05T08:00:00.120Z".parse().unwrap();
    builders.into_iter().map(move |builder| CloudEvent::of(&builder.build_at(at).unwrap().dispatch()))
}

fn assert_reads(theirs: &Event, ours: &CloudEvent) {
    assert_eq!((theirs.id(), theirs.source().as_str(), theirs.ty()), (ours.id(), ours.source(), ours.event_type()));
    assert_eq!((theirs.time().copied(), theirs.datacontenttype()), (ours.time(), ours.content_type()));
    assert_eq!(theirs.subject(), ours.attribute("subject"));
    for name in ["correlationid", "partitionkey", "schemaversion", "othertags", "deliveryattempt"] {
        let value = theirs.extension(name).map(ToString::to_string);
        assert_eq!(value.as_deref(), ours.attribute(name), "{name}");
    }
}

/// The same event: a time may be spelt otherwise.
fn assert_same(back: &CloudEvent, ours: &CloudEvent) {
    let attributes = |event: &CloudEvent| {
        let attributes = event.attributes().filter(|(name, _)| *name != "time");
        attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
    };
    assert_eq!((attributes(back), back.time(), back.data()), (attributes(ours), ours.time(), ours.data()));
}

#[test]
fn binary_mode_goes_both_ways() {
    for ours in events("import-7") {
        let headers = ours
            .headers(Binding::Http)
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()));
        let headers = headers.collect::<HeaderMap>();
        let theirs = to_event(&headers, ours.data().to_vec()).unwrap();
        assert_reads(&theirs, &ours);
        let Message { headers, body } = theirs.deserialize_binary(Serializer::new(Message::default())).unwrap();
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        assert_same(&CloudEvent::from_headers(Binding::Http, headers, body).unwrap(), &ours);
    }
}

#[test]
fn structured_mode_goes_both_ways() {
    for ours in events("import 7 \"50%\" é😀") {
        let theirs = serde_json::from_str::<Event>(&ours.to_json()).unwrap();
        assert_reads(&theirs, &ours);
        assert_same(&CloudEvent::from_json(&serde_json::to_vec(&theirs).unwrap()).unwrap(), &ours);
    }
}
