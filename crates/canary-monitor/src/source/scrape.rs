//! Being built.

use gs_common::report::Check;
use jiff::Timestamp;

use super::{Look, Plan, Prepared, Source, SourceError};

#[derive(Debug)]
pub(super) struct ScrapeSource {}

fn not_yet() -> SourceError {
    SourceError {
        what: "this source is not part of this version".to_owned(),
        hint: None,
    }
}

impl Source for ScrapeSource {
    async fn prepare(&mut self, _: &Plan) -> Result<Prepared, SourceError> {
        Err(not_yet())
    }
    async fn look(&mut self, _: &Plan, _: Timestamp) -> Result<Look, SourceError> {
        Err(not_yet())
    }
    async fn past(
        &mut self,
        _: &Plan,
        _: Timestamp,
        _: Timestamp,
    ) -> Result<Option<Vec<Look>>, SourceError> {
        Err(not_yet())
    }
    async fn doctor(&mut self, _: &Plan, _: Timestamp) -> Vec<Check> {
        Vec::new()
    }
}
