//! How measured times are spread, as inline SVG: `details.curves` and `details.heatmap` of a report.
//!
//! Any tool may put them there. What is absent is not drawn, and what does not have the form that is
//! told at [`curves`] and [`heatmap`] is not drawn either: a drawing of half the data would mislead.

mod curves;
mod heatmap;
#[cfg(test)]
mod tests;

use maud::{Markup, html};
use serde_json::{Map, Value};

/// Times beyond that (30 years, in milliseconds) are no measurement.
const LONGEST_MS: f64 = 1e12;

/// Both drawings, as far as the report has them.
pub(super) fn spread(details: &Map<String, Value>) -> Markup {
    html! {
        @if let Some(all) = details.get("curves").and_then(curves::read) { (curves::chart(&all)) }
        @if let Some(map) = details.get("heatmap").and_then(heatmap::read) { (heatmap::chart(&map)) }
    }
}

/// `1 request`, `2 requests`.
fn requests(count: u64) -> String {
    format!("{count} request{}", if count == 1 { "" } else { "s" })
}
