//! Tables of a load: `details.endpoints`, `details.errors` and `details.slowest` of a report.
//!
//! Any tool may put them there. A list in which an entry lacks what its table shows is not drawn: half a
//! table would mislead. A number that was not measured is a dash.

use maud::{Markup, html};
use serde_json::{Map, Value};

use super::text::{counted, visible};

/// The percentiles of the table of endpoints.
const TIMES: [&str; 5] = ["mean", "p50", "p95", "p99", "max"];

/// What stands where nothing was measured.
const NOTHING: &str = "–";

/// All three, as far as the report has them.
pub(super) fn tables(details: &Map<String, Value>) -> Markup {
    let list = |name: &str| details.get(name).and_then(Value::as_array);
    html! {
        @if let Some(rows) = list("endpoints").and_then(|all| read(all, endpoint)) { (endpoints(&rows)) }
        @if let Some(rows) = list("errors").and_then(|all| read(all, error)) { (errors(&rows)) }
        @if let Some(rows) = list("slowest").and_then(|all| read(all, slow)) { (slowest(&rows)) }
    }
}

/// All entries, or nothing where one has another form.
fn read<'a, T>(list: &'a [Value], one: impl Fn(&'a Value) -> Option<T>) -> Option<Vec<T>> {
    list.iter().map(one).collect()
}

/// Text cells first, then numbers.
struct Row<'a> {
    name: &'a str,
    numbers: Vec<String>,
    bad: bool,
}

fn endpoint(value: &Value) -> Option<Row<'_>> {
    let count = |name: &str| value.get(name)?.as_u64();
    let failures = count("failures")?;
    let times = value.get("response_ms")?;
    let mut numbers = vec![
        count("requests")?.to_string(),
        failures.to_string(),
        number(value.get("requests_per_second")),
    ];
    numbers.extend(TIMES.iter().map(|name| number(times.get(name))));
    Some(Row {
        name: value.get("name")?.as_str()?,
        numbers,
        bad: failures > 0,
    })
}

fn endpoints(rows: &[Row<'_>]) -> Markup {
    html! {
        @if !rows.is_empty() {
            section {
                h2 { (counted(rows.len(), "endpoint")) }
                div.wide {
                    table.numbers {
                        thead { tr {
                            th { "endpoint" } th { "requests" } th { "failed" } th { "per s" }
                            @for name in TIMES { th { (name) " (ms)" } }
                        } }
                        tbody {
                            @for row in rows {
                                tr class=[row.bad.then_some("bad")] {
                                    th scope="row" { (visible(row.name)) }
                                    @for number in &row.numbers { td { (number) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

struct ErrorRow<'a> {
    kind: &'a str,
    name: &'a str,
    count: u64,
    message: &'a str,
    request: &'a str,
    trace: &'a str,
}

fn error(value: &Value) -> Option<ErrorRow<'_>> {
    let first = value.get("first")?;
    let text = |name: &str| first.get(name).and_then(Value::as_str).unwrap_or_default();
    Some(ErrorRow {
        kind: value.get("kind")?.as_str()?,
        name: value.get("name")?.as_str()?,
        count: value.get("count")?.as_u64()?,
        message: text("message"),
        request: text("request"),
        trace: text("trace_id"),
    })
}

fn errors(rows: &[ErrorRow<'_>]) -> Markup {
    html! {
        @if !rows.is_empty() {
            section {
                h2 { "Failed requests" }
                div.wide {
                    table {
                        thead { tr { th { "kind" } th { "endpoint" } th { "count" } th { "the first" } th { "trace" } } }
                        tbody {
                            @for row in rows {
                                tr {
                                    td { code { (visible(row.kind)) } } td { (visible(row.name)) } td { (row.count) }
                                    td { (visible(row.message)) @if !row.request.is_empty() { " " code { (visible(row.request)) } } }
                                    td { code { (visible(row.trace)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

struct Slow<'a> {
    name: &'a str,
    persona: &'a str,
    due: String,
    response: String,
    service: String,
    outcome: &'a str,
    trace: &'a str,
}

fn slow(value: &Value) -> Option<Slow<'_>> {
    let text = |name: &str| value.get(name)?.as_str();
    value.get("response_ms")?.as_f64()?;
    Some(Slow {
        name: text("name")?,
        persona: text("persona").unwrap_or_default(),
        due: number(value.get("due_seconds")),
        response: number(value.get("response_ms")),
        service: number(value.get("service_ms")),
        outcome: text("outcome").unwrap_or_default(),
        trace: text("trace_id").unwrap_or_default(),
    })
}

fn slowest(rows: &[Slow<'_>]) -> Markup {
    html! {
        @if !rows.is_empty() {
            section {
                h2 { "Slowest " (counted(rows.len(), "request")) }
                div.wide {
                    table.numbers {
                        thead { tr {
                            th { "endpoint" } th { "response (ms)" } th { "service (ms)" } th { "due at (s)" }
                            th { "outcome" } th { "persona" } th { "trace" }
                        } }
                        tbody {
                            @for row in rows {
                                tr {
                                    th scope="row" { (visible(row.name)) }
                                    td { (row.response) } td { (row.service) } td { (row.due) }
                                    td { (visible(row.outcome)) } td { (visible(row.persona)) } td { code { (visible(row.trace)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// One digit behind the point: what comes after it is noise.
fn number(value: Option<&Value>) -> String {
    value
        .and_then(Value::as_f64)
        .map_or_else(|| NOTHING.to_owned(), |number| format!("{number:.1}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn drawn(details: &Value) -> String {
        tables(details.as_object().unwrap()).into_string()
    }

    fn whole() -> Value {
        json!({
            "endpoints": [
                {"name": "/a", "requests": 12, "failures": 0, "requests_per_second": 1.25,
                 "response_ms": {"mean": 3.04, "p50": 2.0, "p95": 9.96, "p99": null, "max": 12.0}},
                {"name": "/b<b>", "requests": 1, "failures": 1, "requests_per_second": null, "response_ms": null},
            ],
            "errors": [{"kind": "status", "name": "/b<b>", "count": 1,
                "first": {"message": "status 500", "request": "GET /b", "trace_id": "t1"}}],
            "slowest": [{"name": "/a", "persona": "p", "due_seconds": 2.5, "response_ms": 12.0,
                "service_ms": null, "outcome": "200", "trace_id": "t2"}],
        })
    }

    #[test]
    fn every_number_stands_in_its_row_and_what_was_not_measured_is_a_dash() {
        let page = drawn(&whole());
        let cells = "<td>12</td><td>0</td><td>1.2</td><td>3.0</td><td>2.0</td><td>10.0</td><td>–</td><td>12.0</td>";
        assert!(page.contains(cells), "{page}");
        assert!(page.contains(
            "<tr class=\"bad\"><th scope=\"row\">/b&lt;b&gt;</th><td>1</td><td>1</td><td>–</td>"
        ));
        assert!(page.contains("status 500 <code>GET /b</code>") && page.contains("t1"));
        assert!(page.contains("Slowest 1 request") && page.contains("<td>12.0</td><td>–</td>"));
        assert!(!page.contains("<b>"));
    }

    #[test]
    fn what_is_absent_or_has_another_form_is_not_drawn() {
        assert_eq!(drawn(&json!({})), "");
        let empty = json!({"endpoints": [], "errors": [], "slowest": []});
        assert_eq!(drawn(&empty), "");
        for (list, member) in [
            ("endpoints", "failures"),
            ("endpoints", "response_ms"),
            ("errors", "count"),
            ("slowest", "response_ms"),
        ] {
            let mut half = whole();
            half[list][0].as_object_mut().unwrap().remove(member);
            let others = drawn(&whole()).matches("<section>").count() - 1;
            assert_eq!(drawn(&half).matches("<section>").count(), others, "{list}");
        }
    }
}
