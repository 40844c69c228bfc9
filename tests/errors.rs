//! Errors as an API: each says one level of what happened, and gives its cause for the
//! next, so that a report of the whole chain says nothing twice.

use std::error::Error;

use integration_automation_patterns::audit::AuditLine;
use integration_automation_patterns::event::{BuildError, DecodeError};
use integration_automation_patterns::retry::Backoff;
use integration_automation_patterns::state::{Failed, Pending};
use integration_automation_patterns::sync::convert::{Convert, check};
use integration_automation_patterns::sync::{
    Answer, ApplyError, Authority, Base, Choice, Contract, Deletions, Existed, Existence,
    FieldPlan, Named, Presence, RecordBase, RecordRules, Rule, Slot,
};
use integration_automation_patterns::{
    AnyEnvelope, Decision, DeliveryStatus, Envelope, Event, EventId, RawEvent, Record,
    RetryPolicy,
};

/// The name of an error's type, and a value of it.
type Example = (&'static str, Box<dyn Error>);

fn named<E: Error + 'static>(error: E) -> Example {
    let name = std::any::type_name::<E>();
    let name = name.split('<').next().unwrap_or(name);
    (name.rsplit("::").next().unwrap_or(name), Box::new(error))
}

/// What an error and each of its causes say.
fn chain(error: &dyn Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    texts
}

/// A text of the chain that a level above it says already.
fn said_twice(error: &dyn Error) -> Option<String> {
    let texts = chain(error);
    let twice = texts.iter().enumerate().find(|(level, text)| {
        texts.iter().take(*level).any(|above| above.contains(text.as_str()))
    });
    twice.map(|(_, text)| text.clone())
}

fn event() -> Envelope<Pending> {
    let payload = RawEvent::new("crm.lead.created", b"{}");
    Envelope::builder("crm", payload).build().expect("well formed")
}

fn decision() -> Decision {
    Decision::new("on-call", "the mapping is fixed").expect("not blank")
}

#[derive(Debug)]
struct LeadCreated;

impl Event for LeadCreated {
    const TYPE: &'static str = "crm.lead.created";
    const SCHEMA_VERSION: &'static str = "2.0";
}

fn poison() -> std::num::ParseIntError {
    "seven".parse::<u32>().expect_err("no number")
}

fn of_envelopes() -> Vec<Example> {
    let unnamed = || Envelope::builder("", RawEvent::new("crm.lead.created", b"{}"));
    let pending = Record { attempts: 1, ..Record::from(event()) };
    let empty = Record { source_system: String::new().into(), ..Record::from(event()) };
    let other = Envelope::builder("crm", RawEvent::new("crm.lead.lost", b"{}"));
    let other = other.build().expect("well formed");
    let wrong = event().decode(|_| Ok::<_, BuildError>(LeadCreated));
    let wrong = wrong.expect_err("another version").into_cause();
    let DecodeError::WrongEvent(wrong_event) = wrong.clone() else {
        unreachable!("{wrong}")
    };
    let state = Envelope::<Failed>::try_from(AnyEnvelope::from(other));
    vec![
        named(unnamed().build().expect_err("no source").into_cause()),
        named(unnamed().build().expect_err("no source")),
        named(wrong),
        named(wrong_event),
        named(DecodeError::Payload(poison())),
        named(DecodeError::<BuildError>::Build(BuildError::EmptyEventType)),
        named(pending.rehydrate().expect_err("no attempt").into_cause()),
        named(empty.rehydrate().expect_err("no source").into_cause()),
        named(
            event_of("2.0")
                .read(|_| Err::<LeadCreated, _>(poison()))
                .expect_err("poison"),
        ),
        named(state.expect_err("pending").into_cause()),
        named(EventId::derived("", "1").expect_err("empty")),
        named(Decision::new("", "why").expect_err("blank")),
        named("lost".parse::<DeliveryStatus>().expect_err("no status")),
        named(RetryPolicy::new(0, Backoff::Fixed(Default::default())).expect_err("zero")),
        named(AuditLine::parse("no line").expect_err("no audit line")),
    ]
}

struct Lossy;

impl Convert<u8> for Lossy {
    type Local = u8;
    type Error = std::convert::Infallible;

    fn encode(&self, value: Option<&u8>) -> Option<u8> {
        value.map(|value| value / 2)
    }

    fn decode(&self, local: Option<&u8>) -> Result<Option<u8>, Self::Error> {
        Ok(local.copied())
    }

    fn normalize(&self, value: Option<&u8>) -> Option<u8> {
        value.copied()
    }
}

fn of_synchronisation() -> Vec<Example> {
    let (crm, slots_base) = (Slot::Value(1), Base::Known(Some(1)));
    let slots = [&crm, &crm];
    let plan = || FieldPlan::new(Rule::Shared, &slots, &slots_base);
    let nothing_asked = || {
        let (other, manual) = (Slot::Value(2), Base::Known(Some(1)));
        let asked = FieldPlan::new(Rule::Manual, &[&crm, &other], &manual)
            .review("C-1", "email", ["crm", "erp"])
            .expect("they differ");
        let answer = Answer::to(&asked, Choice::Side(0), decision());
        let Err(refused) = plan().settle("C-1", "email", answer) else {
            unreachable!("nothing is asked")
        };
        refused
    };
    let contract = Contract::builder("contact").system("crm").system("erp");
    let contract = contract.field("nickname", Authority::Shared).build();
    let contract = contract.expect("two systems");
    let rules = RecordRules::new(Deletions::Ask, 1);
    let plans = |gone: usize| {
        let mut run = rules.run();
        for record in 0..2 {
            let says =
                vec![Presence::There(()), Presence::of((record >= gone).then_some(()))];
            let base = RecordBase::common(Existed::There, 2);
            run.plan(record, says, &base, false).expect("one for each");
        }
        run.finish()
    };
    let about_record = || {
        let plan = plans(1).expect("one may be gone").remove(0).1;
        plan.review("1", ["crm", "erp"]).expect("it is asked")
    };
    vec![
        named(nothing_asked().into_cause()),
        named(nothing_asked()),
        named(ApplyError::Answer { field: "email", cause: nothing_asked().into_cause() }),
        named(ApplyError::NoParty { parties: &["crm", "erp"], found: "ERP".to_owned() }),
        named(ApplyError::Store { system: "crm", cause: Box::new(poison()) }),
        named(
            plans(0)
                .map(|mut plans| plans.remove(0).1)
                .expect("nothing is gone")
                .settle("1", &about_record(), Existence::Delete, decision())
                .expect_err("nothing is asked"),
        ),
        named(
            plans(1)
                .map(|mut plans| plans.remove(0).1)
                .expect("one may be gone")
                .settle("1", &about_record(), Existence::Ask, decision())
                .expect_err("nothing to do")
                .into_cause(),
        ),
        named(plans(2).expect_err("two are gone").into_cause()),
        named(contract.check_fingerprint("another's").expect_err("another contract")),
        named(
            Named::of(RecordBase::never(1), ["crm"])
                .by_place(["erp"])
                .expect_err("the CRM is no party")
                .into_cause(),
        ),
        named(
            rules
                .run()
                .plan((), vec![Presence::<()>::Absent], &RecordBase::never(2), false)
                .expect_err("one is forgotten")
                .into_cause(),
        ),
        named(contract.check_sender("lab", "email", None).expect_err("no party")),
        named(contract.plan("email", &slots, &slots_base).expect_err("not exchanged")),
        named(Contract::builder("contact").build().expect_err("no system").into_cause()),
        named(check(&Lossy, [7]).expect_err("a broken law")),
    ]
}

#[cfg(feature = "delivery")]
fn of_delivery() -> Vec<Example> {
    use integration_automation_patterns::ConfigError;
    use integration_automation_patterns::broker::{BrokerError, Capabilities};

    let small = Capabilities { max_message_size: Some(1), ..Capabilities::UNKNOWN };
    let refused = small.check_size(event()).expect_err("it is too large");
    vec![
        named(refused.into_cause()),
        named(ConfigError::new("port", "between 1 and 65535", "0")),
        named(ConfigError::hidden("address", "nats://host:4222")),
        named(BrokerError::unreachable("connection refused")),
    ]
}

#[cfg(feature = "sqlite")]
fn of_outboxes() -> Vec<Example> {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use integration_automation_patterns::ConfigError;
    use integration_automation_patterns::inbox::worker::WorkerError;
    use integration_automation_patterns::outbox::{
        Admin, ClaimOrder, Filter, Redrive, RedriveOutcome, Store, sqlite,
    };

    static FOLDERS: AtomicU32 = AtomicU32::new(0);
    let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
    let folder = format!("errors-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("outbox.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let found = runtime.expect("a runtime").block_on(async {
        let outbox = sqlite::Outbox::open(&path).expect("a file");
        let mut connection = rusqlite::Connection::open(&path).expect("the file");
        let transaction = connection.transaction().expect("a transaction");
        sqlite::enqueue(&transaction, event()).expect("it is new");
        transaction.commit().expect("committed");

        let claim = async |lease| {
            let order = ClaimOrder::new("relay-1", 1, lease);
            outbox.claim(&order).await.expect("claimed").claims.pop()
        };
        let minute = Duration::from_secs(60);
        let failed = claim(minute).await.expect("it is due").reject("no such account");
        let settled = outbox.settle(&[failed]).await.expect("stored");
        assert_eq!(settled, []);
        let late = Redrive::new(decision(), Duration::ZERO);
        let redriven = outbox.redrive(&Filter::default(), &late).await;
        let Some((_, RedriveOutcome::Refused(forgotten))) =
            redriven.expect("answered").pop()
        else {
            unreachable!("its consumers have forgotten it")
        };

        let in_time = Redrive::new(decision(), minute).force();
        outbox.redrive(&Filter::default(), &in_time).await.expect("redriven");
        let claimed = claim(minute).await.expect("it is due again");
        let released = claimed.lease();
        let settled = outbox.settle(&[claimed.acknowledge()]).await.expect("stored");
        assert_eq!(settled, []);
        let lost = outbox.renew(&[released], minute).await.expect("answered").pop();
        let no_file = || sqlite::Outbox::open(&folder).expect_err("it is a folder");
        vec![
            named(forgotten),
            named(lost.expect("it is settled")),
            named(no_file()),
            named(WorkerError::from(no_file())),
            named(WorkerError::from(ConfigError::new("lanes", "1 or more", "0"))),
        ]
    });
    std::fs::remove_dir_all(&folder).expect("removed");
    found
}

#[cfg(feature = "sqlite")]
fn of_rows() -> Vec<Example> {
    use integration_automation_patterns::sync::sqlite::{RowError, TableRow};

    let db = rusqlite::Connection::open_in_memory().expect("in memory");
    let row = TableRow::new(&db, "contact", ("id", &"C-1"));
    let other = row.check_record(Some("C-2")).expect_err("another record");
    let none = row.about("C-1").check_record(None).expect_err("no record");
    let no_table = row.read(|_| ()).expect_err("there is no such table");
    vec![named(other), named(none), named(RowError::from(no_table))]
}

#[cfg(all(feature = "workflow", feature = "sqlite"))]
fn of_stored_workflows() -> Vec<Example> {
    use integration_automation_patterns::outbox::sqlite::Outbox;
    use integration_automation_patterns::workflow::{
        LoadError, NotStoredError, RecordError, StepError,
    };

    let no_file = || Outbox::open(std::env::temp_dir()).expect_err("it is a folder");
    let overtaken = NotStoredError::Overtaken { wanted: 3, found: 4 };
    vec![
        named(StepError::from(overtaken)),
        named(StepError::from(no_file())),
        named(LoadError::Row(RecordError::NeverStored)),
        named(LoadError::from(no_file())),
    ]
}

#[cfg(feature = "cloudevents")]
fn of_cloud_events() -> Vec<Example> {
    use integration_automation_patterns::cloudevents::{Binding, CloudEvent};

    let no_headers = std::iter::empty::<(&str, &str)>();
    let headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", "1"),
        ("ce_source", "/crm"),
        ("ce_type", "ping"),
        ("ce_othertags", "no pair"),
    ];
    let read = CloudEvent::from_headers(Binding::Kafka, headers, Vec::new());
    let read = read.expect("a CloudEvent");
    let none = CloudEvent::from_headers(Binding::Kafka, no_headers, Vec::new());
    vec![
        named(none.expect_err("no CloudEvent").into_cause()),
        named(read.into_envelope().expect_err("no pair").into_cause()),
    ]
}

#[cfg(all(feature = "delivery", feature = "tracing"))]
fn of_traces() -> Vec<Example> {
    use integration_automation_patterns::trace::{FreshIds, TraceParent, install};

    let _ = install(FreshIds);
    let Err(again) = install(FreshIds) else { unreachable!("once for each program") };
    vec![
        named("00".parse::<TraceParent>().expect_err("no traceparent")),
        named(again.into_cause()),
    ]
}

#[cfg(feature = "delivery")]
fn of_services() -> Vec<Example> {
    use integration_automation_patterns::service::Service;

    let service = Service::new().part("import", async |_| Err::<(), _>(poison()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let run = service.run(std::future::pending::<()>());
    let failed = runtime.expect("a runtime").block_on(run);
    vec![named(failed.expect_err("the import failed"))]
}

#[cfg(feature = "tls")]
fn of_tls() -> Vec<Example> {
    use integration_automation_patterns::tls::Tls;

    vec![named(Tls::with_authorities(b"no PEM").expect_err("no certificate"))]
}

#[cfg(feature = "testing")]
fn of_tests() -> Vec<Example> {
    use integration_automation_patterns::testing::{CrashTest, UnbalancedError};

    let failed = CrashTest::new(7).kills(0).run(|| Err(Box::new(poison())));
    vec![named(UnbalancedError::default()), named(failed.expect_err("it failed"))]
}

#[cfg(feature = "workflow")]
fn of_workflows() -> Vec<Example> {
    use integration_automation_patterns::event::BuildError;
    use integration_automation_patterns::workflow::{
        AdvanceError, Correlation, NotDecidedError, NotStoredError, Person, ReceiveError,
        RecordError, ReplyError, Status, WireError,
    };

    let wire = || WireError::new(poison());
    let correlation = || "import-7".parse::<Correlation>().expect_err("no correlation");
    let advance = || AdvanceError::Command { step: "hold_stock", cause: wire() };
    let stage =
        RecordError::NoSuchStage { status: Status::Parked, step: "hold_stock".into() };
    vec![
        named(wire()),
        named(correlation()),
        named(Person::new("").expect_err("blank")),
        named(advance()),
        named(AdvanceError::Event(BuildError::EmptyEventType)),
        named(NotStoredError::Unwritable(advance())),
        named(ReplyError::Unreadable(wire())),
        named(NotDecidedError::Reply(ReplyError::Unreadable(wire()))),
        named(stage),
        named(RecordError::Data(wire())),
        named(ReceiveError::Correlation(correlation())),
        named(ReceiveError::Row(RecordError::Data(wire()))),
        named(ReceiveError::Reply(ReplyError::Unreadable(wire()))),
        named(ReceiveError::NotStored(NotStoredError::Unwritable(advance()))),
        #[cfg(any(feature = "postgres", feature = "sqlite"))]
        named(integration_automation_patterns::workflow::DeskError::Row(
            RecordError::Data(wire()),
        )),
    ]
}

/// Protects a customer's data from the logs and rows into which errors go.
#[cfg(feature = "workflow")]
#[test]
fn an_error_of_a_workflow_quotes_no_data() {
    let quote = poison().to_string();
    for (name, error) in of_workflows() {
        let said = format!("{:?} {error:?}", chain(&*error));
        assert!(!said.contains(&quote), "{name}: {said}");
    }
}

fn all() -> Vec<Example> {
    let mut all = of_envelopes();
    #[cfg(feature = "workflow")]
    all.extend(of_workflows());
    all.extend(of_synchronisation());
    #[cfg(feature = "delivery")]
    all.extend(of_delivery());
    #[cfg(feature = "delivery")]
    all.extend(of_services());
    #[cfg(feature = "sqlite")]
    all.extend(of_outboxes());
    #[cfg(feature = "sqlite")]
    all.extend(of_rows());
    #[cfg(all(feature = "workflow", feature = "sqlite"))]
    all.extend(of_stored_workflows());
    #[cfg(feature = "cloudevents")]
    all.extend(of_cloud_events());
    #[cfg(all(feature = "delivery", feature = "tracing"))]
    all.extend(of_traces());
    #[cfg(feature = "tls")]
    all.extend(of_tls());
    #[cfg(feature = "testing")]
    all.extend(of_tests());
    all
}

/// Protects reports of whole chains (anyhow's, eyre's, this crate's own) from saying a
/// cause twice.
#[test]
fn no_chain_of_causes_says_a_thing_twice() {
    for (name, error) in all() {
        assert_eq!(said_twice(&*error), None, "{name}: {:?}", chain(&*error));
        assert!(!error.to_string().is_empty(), "{name}");
    }
}

#[derive(Debug)]
struct TellsItsCause(std::num::ParseIntError);

impl std::fmt::Display for TellsItsCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "reading the amount: {}", self.0)
    }
}

impl Error for TellsItsCause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// The test above can fail.
#[test]
fn an_error_that_tells_its_cause_and_gives_it_is_found() {
    let error = TellsItsCause(poison());
    assert_eq!(said_twice(&error), Some(poison().to_string()));
}

/// An error of a program's own types stays within reach behind a refusal, and behind
/// what a decoder or a store answered.
#[test]
fn the_first_cause_is_within_reach() {
    let of_decoder = || event_of("2.0").decode(|_| Err::<LeadCreated, _>(poison()));
    let Err(refused) = of_decoder() else { unreachable!("poison") };
    let error: Box<dyn Error> = Box::new(refused);
    assert_eq!(
        chain(&*error),
        ["the payload cannot be decoded".to_owned(), poison().to_string()]
    );
    assert!(error.source().is_some_and(|cause| cause.is::<std::num::ParseIntError>()));

    let Err(refused) = of_decoder() else { unreachable!("poison") };
    assert_eq!(refused.into_cause(), DecodeError::Payload(poison()));

    let failed = ApplyError::Store { system: "crm", cause: Box::new(poison()) };
    assert!(failed.source().is_some_and(|cause| cause.is::<std::num::ParseIntError>()));
}

fn event_of(version: &'static str) -> Envelope<Pending> {
    let payload =
        RawEvent::new("crm.lead.created", b"seven").with_schema_version(version);
    Envelope::builder("crm", payload).build().expect("well formed")
}

/// An error type that nobody has added to the lists above is not tested at all.
#[cfg(all(
    feature = "cloudevents",
    feature = "sqlite",
    feature = "testing",
    feature = "tls",
    feature = "tracing"
))]
#[test]
fn every_public_error_type_is_among_them() {
    use std::collections::BTreeSet;

    /// Not here: it is made of any error, and so is none itself.
    const ELSEWHERE: [&str; 1] = ["HandlerError"];

    fn collect(folder: &std::path::Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, found);
                continue;
            }
            for line in std::fs::read_to_string(&path).expect("text").lines() {
                let rest =
                    line.strip_prefix("pub struct ").or(line.strip_prefix("pub enum "));
                let name = rest.and_then(|rest| {
                    rest.split(|c: char| !c.is_alphanumeric()).next().map(str::to_owned)
                });
                found.extend(name.filter(|name| name.ends_with("Error")));
            }
        }
    }
    let mut declared = BTreeSet::new();
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    collect(&sources, &mut declared);
    assert!(declared.contains("BuildError"), "the sources were read");
    let tested: BTreeSet<String> = all()
        .into_iter()
        .map(|(name, _)| name.to_owned())
        .filter(|name| name != "Refused")
        .chain(ELSEWHERE.map(str::to_owned))
        .collect();
    assert_eq!(declared, tested);
}
