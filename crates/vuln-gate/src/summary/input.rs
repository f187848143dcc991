//! An input of the report, with its scanner's own numbers.

use gs_common::finding::Severity;
use gs_common::members::{Member, Members};
use gs_common::report::Input;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::judge;
use crate::merge::Counts;
use crate::model::InputReport;

/// Targets that are listed of one input.
const MOST_TARGETS: usize = 20;

/// Adds a member where there is anything to say.
fn put(more: &mut Members, name: &'static str, value: Value) {
    if !value.is_null() {
        more.insert(name, value);
    }
}

pub(super) fn input_of(input: &InputReport, counts: &Counts, now: Timestamp) -> Input {
    let mut more = Members::default();
    put(
        &mut more,
        "document",
        (input.document > 1).then_some(input.document).into(),
    );
    put(&mut more, "tool", input.tool.clone().into());
    put(&mut more, "why", input.why.clone().into());
    put(&mut more, "rows", counts.rows.into());
    put(&mut more, "unique", counts.unique.into());
    let severities: Map<String, Value> = Severity::ALL
        .iter()
        .zip(counts.severities)
        .map(|(severity, count)| (severity.as_str().to_owned(), count.into()))
        .collect();
    put(&mut more, "severities", severities.into());
    more.insert("ids", Member::Texts(counts.ids.clone()));
    put(&mut more, "suppressed", counts.suppressed.into());
    if !counts.apart.is_empty() {
        let mut apart: Map<String, Value> = Map::new();
        for (class, severity, count) in &counts.apart {
            let class = apart
                .entry(class.as_str())
                .or_insert_with(|| Map::new().into());
            if let Some(class) = class.as_object_mut() {
                class.insert(severity.as_str().to_owned(), (*count).into());
            }
        }
        put(&mut more, "apart", apart.into());
    }
    put(&mut more, "bytes", input.bytes.into());
    put(
        &mut more,
        "created_at",
        input.created.map(|at| format!("{at:.3}")).into(),
    );
    put(
        &mut more,
        "database_at",
        input.database.map(|at| format!("{at:.3}")).into(),
    );
    put(
        &mut more,
        "database_age_seconds",
        judge::database_age_seconds(input, now).into(),
    );
    let targets: Vec<Value> = input
        .targets
        .iter()
        .take(MOST_TARGETS)
        .map(|target| Value::from(&**target))
        .collect();
    if !targets.is_empty() {
        put(&mut more, "targets", targets.into());
    }
    if !input.stated.is_empty() {
        let stated: Map<String, Value> = input
            .stated
            .iter()
            .map(|(name, number)| ((*name).to_owned(), (*number).into()))
            .collect();
        put(&mut more, "stated", stated.into());
    }
    if !input.notes.is_empty() {
        let gaps: Vec<Value> = input
            .notes
            .iter()
            .map(|note| json!({"gap": note.gap.as_str(), "subject": note.subject, "message": note.message}))
            .collect();
        put(&mut more, "gaps", gaps.into());
    }
    Input {
        path: input.path.clone(),
        format: input.format.as_str().to_owned(),
        outcome: input.outcome.as_str().to_owned(),
        sha256: input.sha256.clone(),
        age_seconds: judge::age_seconds(input, now).map(|age| age.max(0.0)),
        more,
    }
}
