//! Contracts, plans, and what people are asked and answer.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Format, as_form};
use crate::Decision;
use crate::sync::{
    Answer, Audited, Authority, Base, Choice, Contract, Deletions, Existed,
    NonOwnerEdits, Question, RecordRules, Review, Rule, Shown, Side, Slot, Stamp,
    SyncConflict, Verdict, Write, WriteStreak,
};

as_form! {
    [] Authority, AuthorityForm;
    [] Rule, RuleForm;
    [] NonOwnerEdits, OthersForm;
    [] Verdict, VerdictForm;
    [] Question, QuestionForm;
    [] Stamp, StampForm;
    [] Deletions, DeletionsForm;
    [] Existed, ExistedForm;
    [T] Slot<T>, SlotForm<T>;
    [T] Base<T>, BaseForm<T>;
    [T] Choice<T>, ChoiceForm<T>;
    [T] Answer<T>, AnswerForm<T>;
    [T] WriteStreak<T>, WriteStreakForm<T>;
    [T] Shown<T>, ShownForm<T>;
    [T] Review<T>, ReviewForm<T>;
    [T] Audited<T>, AuditedForm<T>;
    [T] Side<T>, SideForm<T>;
    [T] SyncConflict<T>, SyncConflictForm<T>;
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Authority", rename_all = "snake_case")]
enum AuthorityForm {
    System(String),
    Shared,
    Manual,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Rule", rename_all = "snake_case")]
enum RuleForm {
    Owner(usize, NonOwnerEdits),
    Shared,
    Manual,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "NonOwnerEdits", rename_all = "snake_case")]
enum OthersForm {
    Reject,
    Queue,
    Overwrite,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Verdict", rename_all = "snake_case")]
enum VerdictForm {
    Unread,
    Agreed(usize),
    Write(usize),
    Merge,
    Behind,
    Ask(Question),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Question", rename_all = "snake_case")]
enum QuestionForm {
    Conflict,
    FirstDiffers,
    Manual,
    BlankOwner,
    Proposal,
    Refused,
    Poorer,
    GoesBack,
    Stuck,
    Deletion,
    Merged,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Stamp", rename_all = "snake_case")]
enum StampForm {
    Unknown,
    OfRecord(DateTime<Utc>),
    OfField(DateTime<Utc>),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Slot", rename_all = "snake_case")]
enum SlotForm<T> {
    #[serde(rename = "not_kept")]
    Unsupported,
    Unread,
    Empty,
    Value(T),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Base", rename_all = "snake_case")]
enum BaseForm<T> {
    Never,
    Known(Option<T>),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Deletions", rename_all = "snake_case")]
enum DeletionsForm {
    Ask,
    Restore,
    Detach,
    Propagate,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Existed", rename_all = "snake_case")]
enum ExistedForm {
    Never,
    There,
    Gone,
    Missing,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Choice", rename_all = "snake_case")]
enum ChoiceForm<T> {
    Side(usize),
    Other(Option<T>),
    Leave,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Answer", deny_unknown_fields)]
struct AnswerForm<T> {
    #[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
    choice: Choice<T>,
    decision: Decision,
    /// What the person was shown: without it, an answer to an old question would pass for
    /// one to the present one.
    #[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
    seen: Review<T>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "WriteStreak", deny_unknown_fields)]
struct WriteStreakForm<T> {
    #[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
    value: Option<T>,
    #[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
    in_place_of: Option<T>,
    times: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Shown", deny_unknown_fields)]
struct ShownForm<V> {
    place: usize,
    system: String,
    #[serde(bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
    value: Option<V>,
    refused: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Review", deny_unknown_fields)]
struct ReviewForm<V> {
    record_id: String,
    field: Option<String>,
    question: Question,
    #[serde(bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
    base: Base<V>,
    #[serde(bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
    sides: Vec<Shown<V>>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Audited", deny_unknown_fields)]
struct AuditedForm<V> {
    record_id: String,
    field: String,
    system: String,
    #[serde(bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
    old: Option<V>,
    #[serde(bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
    new: Option<V>,
    decision: Decision,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Side", deny_unknown_fields)]
struct SideForm<V> {
    system: String,
    #[serde(bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
    slot: Slot<V>,
    modified: Stamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SyncConflict", deny_unknown_fields)]
struct SyncConflictForm<V> {
    record_id: String,
    field: String,
    #[serde(bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
    base: Base<V>,
    #[serde(bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
    sides: Vec<Side<V>>,
}

/// The row of a plan that says what is written where; it holds references, and so is only
/// written.
impl<T: Serialize> Serialize for Write<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a, T> {
            to: usize,
            value: Option<&'a T>,
            expects: Option<&'a T>,
            overrides_edit: bool,
        }

        Form {
            to: self.to(),
            value: self.value(),
            expects: self.expects(),
            overrides_edit: self.lost().is_some(),
        }
        .serialize(serializer)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContractForm<'a> {
    format: Format,
    record_type: Cow<'a, str>,
    systems: Vec<Cow<'a, str>>,
    fields: Vec<FieldForm<'a>>,
    #[serde(default)]
    excluded: Vec<Cow<'a, str>>,
    #[serde(default)]
    records: Option<RecordRulesForm<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordRulesForm<'a> {
    deletions: Deletions,
    most_gone: usize,
    /// The systems that create records for the others; without it, each does.
    #[serde(default)]
    created_by: Option<Vec<Cow<'a, str>>>,
    /// The systems that delete records for the others; without it, each does.
    #[serde(default)]
    deleted_by: Option<Vec<Cow<'a, str>>>,
}

impl<'a> RecordRulesForm<'a> {
    fn of(rules: &RecordRules, contract: &'a Contract) -> Self {
        let names = |places: &[usize]| {
            let names = places.iter().filter_map(|place| contract.systems().nth(*place));
            names.map(Cow::Borrowed).collect()
        };
        Self {
            deletions: rules.deletions(),
            most_gone: rules.most_gone(),
            created_by: rules.creators().map(names),
            deleted_by: rules.deleters().map(names),
        }
    }

    /// The rules, by the places of these systems.
    fn rules<E: Error>(self, systems: &[Cow<'_, str>]) -> Result<RecordRules, E> {
        let place = |name: &Cow<'_, str>| {
            let place = systems.iter().position(|system| system == name);
            place.ok_or_else(|| {
                let parties = systems.join(", ");
                E::custom(format_args!(
                    "records are created and deleted by parties to the contract \
                     ({parties}), and {name:?} is none"
                ))
            })
        };
        let places = |names: Option<Vec<Cow<'_, str>>>| {
            let places =
                |names: Vec<_>| names.iter().map(place).collect::<Result<Vec<_>, E>>();
            names.map(places).transpose()
        };
        let (creators, deleters) = (places(self.created_by)?, places(self.deleted_by)?);
        let rules = RecordRules::new(self.deletions, self.most_gone);
        let rules = match creators {
            Some(places) => rules.created_by(places),
            None => rules,
        };
        Ok(match deleters {
            Some(places) => rules.deleted_by(places),
            None => rules,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldForm<'a> {
    name: Cow<'a, str>,
    authority: Cow<'a, Authority>,
    /// What systems may do with it that do not own it; `None` if no system owns it.
    others: Option<NonOwnerEdits>,
    /// The name that it had before it was renamed, where it was.
    #[serde(default)]
    renamed_from: Option<Cow<'a, str>>,
}

impl Serialize for Contract {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let field = |name| Some((name, self.authority_for(name)?));
        let form = ContractForm {
            format: Format,
            record_type: self.record_type().into(),
            systems: self.systems().map(Cow::Borrowed).collect(),
            fields: (self.synced_fields().filter_map(field))
                .map(|(name, authority)| FieldForm {
                    name: name.into(),
                    authority: Cow::Borrowed(authority),
                    others: self.non_owner_edits_for(name),
                    renamed_from: self.former_name(name).map(Cow::Borrowed),
                })
                .collect(),
            excluded: self.excluded_fields().map(Cow::Borrowed).collect(),
            records: self.records().map(|rules| RecordRulesForm::of(rules, self)),
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Contract {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = ContractForm::deserialize(deserializer)?;
        let ContractForm { format: Format, record_type, systems, fields, .. } = form;
        let (excluded, records) = (form.excluded, form.records);
        let rules = records.map(|records| records.rules(&systems)).transpose()?;
        let builder = systems
            .into_iter()
            .fold(Self::builder(record_type), |builder, name| builder.system(name));
        let builder = fields.into_iter().fold(builder, |builder, field| {
            let builder = builder.field(field.name.clone(), field.authority.into_owned());
            let former = field.renamed_from.into_iter();
            let builder = former
                .fold(builder, |builder, name| builder.renamed(field.name.clone(), name));
            field.others.into_iter().fold(builder, |builder, others| {
                builder.non_owner_edits_for(field.name.clone(), others)
            })
        });
        let builder =
            excluded.into_iter().fold(builder, |builder, name| builder.excluded(name));
        let builder =
            rules.into_iter().fold(builder, |builder, rules| builder.records(rules));
        builder.build().map_err(D::Error::custom)
    }
}
