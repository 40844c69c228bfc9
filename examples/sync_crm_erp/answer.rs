//! What people decide about the questions of the queue: shown, answered with a name and a
//! reason, and carried out in the transaction that stores the answer.

use integration_automation_patterns::state::Pending;
use integration_automation_patterns::sync::{
    Answer, Choice, Contract, Existence, Review,
};
use integration_automation_patterns::{Decision, Envelope, Event, RawEvent};

use crate::Outcome;
use crate::contract::{Change, RecordChanged, RecordCreated, RecordDeleted};
use crate::database::{Database, Order, RECORD, WholeRecord, field_of};
use crate::reason::chain;
use crate::step::POLICY;
use crate::view::{SYSTEMS, View};

/// What a person answers, to one question or to all about a field.
pub(crate) struct Wanted {
    /// The record; `None` for every record that is asked about.
    pub(crate) record: Option<String>,
    pub(crate) field: String,
    pub(crate) choice: Chosen,
    pub(crate) decision: Decision,
}

/// What is chosen, about a field or about a whole record.
#[derive(Clone)]
pub(crate) enum Chosen {
    Field(Choice<String>),
    Record(Existence),
}

/// What came of the answers.
pub(crate) struct Answered {
    pub(crate) carried_out: usize,
    /// The questions that had changed meanwhile, and how.
    pub(crate) not: Vec<String>,
}

/// Answers every question that is meant; each stands or falls by itself.
pub(crate) async fn answer<D: Database>(
    crm: &mut D,
    erp: &mut D,
    contract: &Contract,
    wanted: &Wanted,
) -> Outcome<Answered> {
    let is_meant = |row: &Review<String>| {
        field_of(row) == wanted.field
            && wanted.record.as_ref().is_none_or(|record| *record == row.record_id)
    };
    let questions = crm.questions().await?.into_iter().filter(is_meant);
    let questions = questions.collect::<Vec<_>>();
    if questions.is_empty() {
        let record = wanted.record.as_deref().unwrap_or("any record");
        let field = &wanted.field;
        return Err(format!("nothing is asked about {field} of {record}").into());
    }
    let view = View::of(crm, erp).await?;
    let mut answered = Answered { carried_out: 0, not: Vec::new() };
    for row in questions {
        let name = format!("{} {}", row.record_id, field_of(&row));
        let order = match &wanted.choice {
            Chosen::Field(choice) => about_field(&view, contract, &row, choice, wanted)?,
            Chosen::Record(chosen) => about_record(&view, &row, *chosen, wanted)?,
        };
        let why = match order {
            Ok(order) => match crm.answer(order).await? {
                true => None,
                false => Some("it has changed meanwhile".to_owned()),
            },
            Err(why) => Some(why),
        };
        match why {
            None => answered.carried_out += 1,
            Some(why) => answered.not.push(format!("{name}: {why}")),
        }
    }
    Ok(answered)
}

/// What follows from an answer about a field; or why it does not fit any more.
fn about_field(
    view: &View,
    contract: &Contract,
    row: &Review<String>,
    choice: &Choice<String>,
    wanted: &Wanted,
) -> Outcome<Result<Order, String>> {
    let (record, field) = (row.record_id.as_str(), field_of(row));
    let answer = Answer::to(row, choice.clone(), wanted.decision.clone());
    let kept = serde_json::to_string(&answer)?;
    let planned = view.field(record, field).plan(contract, field, |plan| {
        let settled = plan.settle(record, field, answer).map_err(|no| chain(&no))?;
        let of = |place: usize| {
            let all = settled.checks().chain(settled.writes());
            let here = all.filter(move |write| write.to() == place);
            here.map(|write| Change::of(field, &write)).collect::<Vec<_>>()
        };
        Ok::<_, String>((of(0), of(1), settled.next_without(&[1])))
    });
    let (in_crm, mut in_erp, bases) = match planned? {
        Ok(planned) => planned,
        Err(why) => return Ok(Err(why)),
    };
    in_erp.retain(|change| change.value != change.expects);
    let decision = Some(wanted.decision.clone());
    let changed = RecordChanged { record: record.to_owned(), changes: in_erp, decision };
    let event = match changed.changes.is_empty() {
        true => None,
        false => Some(event(record, changed)?),
    };
    Ok(Ok(Order {
        lasts: *choice == Choice::Leave,
        bases: Some(bases),
        ..order(row, kept, wanted, in_crm, event)
    }))
}

/// What follows from an answer about a record that one system has deleted.
fn about_record(
    view: &View,
    row: &Review<String>,
    chosen: Existence,
    wanted: &Wanted,
) -> Outcome<Result<Order, String>> {
    let record = row.record_id.as_str();
    let plans = view.records()?;
    let Some(plan) = plans.get(record) else {
        return Ok(Err("no system has it any more".to_owned()));
    };
    let settled = match plan.settle(record, row, chosen, wanted.decision.clone()) {
        Ok(settled) => settled,
        Err(refused) => return Ok(Err(chain(&refused))),
    };
    let here = usize::from(!plan.presence()[0].is_there());
    let row_here = view.systems[here].get(record);
    let fields = row_here.map(|row| row.fields.clone()).unwrap_or_default();
    let listed = || fields.clone().into_iter().collect();
    let name = record.to_owned();
    let (in_crm, event) = match (settled.outcome(), here) {
        (Existence::Create, 0) => {
            let created = RecordCreated { record: name, fields: listed() };
            (None, Some(event(record, created)?))
        }
        (Existence::Delete, 1) => {
            let decision = wanted.decision.clone();
            let deleted = RecordDeleted { record: name, expects: listed(), decision };
            (None, Some(event(record, deleted)?))
        }
        (Existence::Create, _) => (Some(WholeRecord::Insert(fields.clone())), None),
        (Existence::Delete, _) => (Some(WholeRecord::Delete), None),
        _ => (None, None),
    };
    let expects = |(field, value): (String, Option<String>)| Change {
        field,
        expects: value.clone(),
        value,
    };
    let checks =
        if here == 0 { fields.into_iter().map(expects).collect() } else { vec![] };
    let kept = serde_json::json!({
        "choice": format!("{chosen:?}").to_lowercase(),
        "decision": wanted.decision,
        "seen": row,
    });
    let order = order(row, kept.to_string(), wanted, checks, event);
    let lasts = settled.outcome() == Existence::Detach;
    Ok(Ok(Order { lasts, record: in_crm, ..order }))
}

fn order(
    row: &Review<String>,
    answer: String,
    wanted: &Wanted,
    in_crm: Vec<Change>,
    event: Option<Envelope<Pending, RawEvent>>,
) -> Order {
    let (seen, decision) = (row.clone(), wanted.decision.clone());
    let (lasts, bases, record) = (false, None, None);
    Order { seen, answer, decision, lasts, in_crm, bases, record, event }
}

/// What the ERP is to do, as the CRM tells it.
fn event<P: Event + serde::Serialize + Send + Sync + 'static>(
    record: &str,
    payload: P,
) -> Outcome<Envelope<Pending, RawEvent>> {
    let event = Envelope::builder(SYSTEMS[0], payload)
        .ordering_key(record)
        .retry_policy(POLICY)
        .build()?;
    Ok(event.encode(|payload| serde_json::to_vec(payload))?)
}

/// Reads what is chosen, for the field that is asked about.
pub(crate) fn chosen(field: &str, text: &str) -> Result<Chosen, String> {
    let of_field = match text {
        "crm" => Some(Choice::Side(0)),
        "erp" => Some(Choice::Side(1)),
        "leave" => Some(Choice::Leave),
        _ => text.strip_prefix('=').map(|text| {
            Choice::Other(Some(text.to_owned()).filter(|text| !text.is_empty()))
        }),
    };
    let of_record = match text {
        "restore" => Some(Existence::Create),
        "delete" => Some(Existence::Delete),
        "detach" => Some(Existence::Detach),
        _ => None,
    };
    match (field == RECORD, of_field, of_record) {
        (false, Some(choice), _) => Ok(Chosen::Field(choice)),
        (true, _, Some(existence)) => Ok(Chosen::Record(existence)),
        (false, None, _) => Err(format!(
            "a field is answered by crm, erp, =TEXT or leave, found {text:?}"
        )),
        (true, _, None) => Err(format!(
            "a record is answered by restore, delete or detach, found {text:?}"
        )),
    }
}
