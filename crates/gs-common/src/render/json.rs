//! The promise to machines.

use std::io::{self, Write};

use crate::redact::Redacted;
use crate::report::Report;

pub(super) fn render(report: &Redacted, out: &mut dyn Write) -> io::Result<()> {
    // A large report is written in tens of millions of pieces, few of them longer than a word.
    let mut out = io::BufWriter::with_capacity(64 * 1024, out);
    serde_json::to_writer_pretty(&mut out, &**report)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// The JSON Schema of the report, generated from its types.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Report).to_value();
    if let Some(members) = schema.as_object_mut() {
        members.insert(
            "title".to_owned(),
            "GoldenSignals CI/CD report, gs.report/v1".into(),
        );
    }
    schema
}

/// The same as the text of the committed file.
#[must_use]
pub fn schema_text() -> String {
    format!("{:#}\n", schema())
}
