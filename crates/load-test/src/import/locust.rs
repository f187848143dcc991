//! A Locust stats CSV (`--csv PREFIX` writes `PREFIX_stats.csv`) as a run.

use std::collections::BTreeMap;

use super::{Unreadable, csv};
use crate::compare::model::{Metric, Row, Run, TOTAL};

/// The row over all endpoints.
const AGGREGATED: &str = "Aggregated";

/// Whether a text looks like the stats of Locust.
#[must_use]
pub fn is_stats(text: &str) -> bool {
    let head = text.trim_start_matches('\u{feff}').replace('"', "");
    head.starts_with("Type,Name,Request Count,") || head.starts_with("Type,Name,# requests,")
}

/// Reads a stats CSV. Its quantiles are whole milliseconds with two digits, and its endpoints are
/// named by method and name, since one name may stand for two methods.
///
/// # Errors
/// It is no such file, a row is too short or holds what is no number, or it holds no request.
pub fn read(source: &str, text: &str) -> Result<Run, Unreadable> {
    let records = csv::records(text).map_err(Unreadable::new)?;
    let mut records = records.into_iter();
    let Some((_, head)) = records.next() else {
        return Err(Unreadable::new("it is empty"));
    };
    let column = |name: &str| head.iter().position(|head| head.trim() == name);
    let needed = |name: &'static str| {
        column(name).ok_or_else(|| {
            Unreadable::new(format!("it has no column `{name}`")).hint(
                "name the file that ends with _stats.csv; _stats_history.csv and _failures.csv are others",
            )
        })
    };
    let (kind, name) = (needed("Type")?, needed("Name")?);
    let requests = needed("Request Count")?;
    let failures = needed("Failure Count")?;
    let metrics = [
        (Metric::Mean, column("Average Response Time")),
        (
            Metric::P50,
            column("50%").or_else(|| column("Median Response Time")),
        ),
        (Metric::P90, column("90%")),
        (Metric::P95, column("95%")),
        (Metric::P99, column("99%")),
        (Metric::Throughput, column("Requests/s")),
    ];
    let mut rows = BTreeMap::new();
    for (line, fields) in records {
        let text = |column: usize| {
            fields.get(column).map(|field| field.trim()).ok_or_else(|| {
                Unreadable::new(format!("line {line} ends early: was the file cut?"))
            })
        };
        let number = |column: usize| -> Result<Option<f64>, Unreadable> {
            let text = text(column)?;
            if matches!(text, "" | "N/A") {
                return Ok(None);
            }
            match text.parse::<f64>() {
                Ok(number) if number.is_finite() && number >= 0.0 => Ok(Some(number)),
                _ => Err(Unreadable::new(format!(
                    "line {line}: column `{}` holds no number",
                    head[column]
                ))),
            }
        };
        let count = |column: usize| -> Result<u64, Unreadable> {
            let count = number(column)?.unwrap_or(0.0);
            if count.fract() == 0.0 && count < 1e15 {
                return Ok(count as u64);
            }
            Err(Unreadable::new(format!(
                "line {line}: column `{}` holds no count",
                head[column]
            )))
        };
        let (kind, name) = (text(kind)?, text(name)?);
        let is_total = name == AGGREGATED && matches!(kind, "" | "None");
        let endpoint = match (is_total, kind) {
            (true, _) => TOTAL.to_owned(),
            (false, "") => name.to_owned(),
            (false, kind) => format!("{kind} {name}"),
        };
        let mut row = Row {
            requests: count(requests)?,
            metrics: BTreeMap::new(),
        };
        let failures = count(failures)?;
        if failures > row.requests {
            return Err(Unreadable::new(format!(
                "line {line}: more failures than requests"
            )));
        }
        if row.requests > 0 {
            row.metrics
                .insert(Metric::Failures, failures as f64 / row.requests as f64);
        }
        for (metric, column) in metrics {
            if let Some(column) = column
                && let Some(value) = number(column)?
            {
                row.metrics.insert(metric, value);
            }
        }
        if rows.insert(endpoint.clone(), row).is_some() {
            return Err(Unreadable::new(format!(
                "line {line}: `{endpoint}` comes twice"
            )));
        }
    }
    if rows.get(TOTAL).is_none_or(|total| total.requests == 0) {
        return Err(Unreadable::new("it counts no request").hint(
            "a whole file ends with the row `Aggregated`: was the run ended before it was written?",
        ));
    }
    Ok(Run {
        source: source.to_owned(),
        identity: BTreeMap::from([("format".to_owned(), "locust-csv".to_owned())]),
        rows,
        void: None,
        started_at: None,
    })
}
