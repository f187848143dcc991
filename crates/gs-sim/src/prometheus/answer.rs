//! Right answers of the query API, computed from a history of scrapes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::selector::{Query, Selector, duration};
use crate::rollout::{History, Scrape};

/// An instant looks so far back for a sample: Prometheus' default.
const LOOKBACK_SECONDS: f64 = 300.0;

/// Prometheus' own bound of a range query, per series.
const MOST_POINTS: f64 = 11_000.0;

/// What is asked, decoded.
pub(super) type Params = [(String, String)];

/// Why there is no answer: a type of error as the API has it, and a sentence.
pub(super) struct Wrong(pub &'static str, pub String);

fn bad(why: impl Into<String>) -> Wrong {
    Wrong("bad_data", why.into())
}

/// Series by their labels: moments and values.
type Found = BTreeMap<Vec<(String, String)>, Vec<(f64, f64)>>;

/// The history, as seen by a server whose clock is so many seconds ahead of ours.
pub(super) struct Store<'a> {
    pub history: &'a History,
    pub ahead_seconds: f64,
}

impl Store<'_> {
    fn now(&self) -> f64 {
        Timestamp::now().as_millisecond() as f64 / 1e3 + self.ahead_seconds
    }

    /// The `data` of `/api/v1/query`.
    pub(super) fn instant(&self, params: &Params) -> Result<Value, Wrong> {
        let at = moment(params, "time")?.unwrap_or_else(|| self.now());
        match Query::parse(get(params, "query")?).map_err(bad)? {
            Query::Number(number) => Ok(json!({
                "resultType": "scalar",
                "result": point(at, number.unwrap_or(at)),
            })),
            Query::Series(selector) => {
                let at_offset = at - selector.offset_seconds;
                if let Some(range) = selector.range_seconds {
                    return Ok(matrix(self.range(&selector, at_offset - range, at_offset)));
                }
                let found = self.instant_of(&selector, at_offset);
                let result = found.into_iter().map(|(labels, samples)| {
                    let value = samples.last().map_or(f64::NAN, |(_, value)| *value);
                    json!({"metric": metric(labels), "value": point(at, value)})
                });
                Ok(json!({"resultType": "vector", "result": result.collect::<Vec<_>>()}))
            }
        }
    }

    /// The `data` of `/api/v1/query_range`.
    pub(super) fn over_time(&self, params: &Params) -> Result<Value, Wrong> {
        let needed = |name: &'static str| {
            moment(params, name)?
                .ok_or_else(|| bad(format!("invalid parameter \"{name}\": it is missing")))
        };
        let (start, end) = (needed("start")?, needed("end")?);
        let step = get(params, "step")?;
        let step = step
            .parse()
            .ok()
            .or_else(|| duration(step))
            .filter(|step| *step > 0.0);
        let step: f64 = step.ok_or_else(|| bad("invalid parameter \"step\""))?;
        if end < start {
            return Err(bad("invalid parameter \"end\": it is before \"start\""));
        }
        if (end - start) / step > MOST_POINTS {
            return Err(bad(
                "exceeded maximum resolution of 11,000 points per timeseries",
            ));
        }
        let Query::Series(selector) = Query::parse(get(params, "query")?).map_err(bad)? else {
            return Err(bad("this listener answers numbers at /api/v1/query only"));
        };
        if selector.range_seconds.is_some() {
            return Err(bad(
                "invalid expression type \"range vector\" for range query",
            ));
        }
        let mut found = Found::new();
        for index in 0..=((end - start) / step).floor() as u64 {
            let at = start + index as f64 * step;
            for (labels, samples) in self.instant_of(&selector, at - selector.offset_seconds) {
                let values = samples.last().map(|(_, value)| (at, *value));
                found.entry(labels).or_default().extend(values);
            }
        }
        Ok(matrix(found))
    }

    /// The `data` of `/api/v1/series`.
    pub(super) fn series(&self, params: &Params) -> Result<Value, Wrong> {
        let end = moment(params, "end")?.unwrap_or_else(|| self.now());
        let start = moment(params, "start")?.unwrap_or(f64::MIN);
        let mut all = Found::new();
        for (_, text) in params.iter().filter(|(name, _)| name == "match[]") {
            let Query::Series(selector) = Query::parse(text).map_err(bad)? else {
                return Err(bad("a number is no selector"));
            };
            all.extend(self.range(&selector, start, end));
        }
        Ok(all.into_keys().map(metric).collect())
    }

    /// The `data` of `/api/v1/label/NAME/values`.
    pub(super) fn values_of(&self, label: &str) -> Value {
        let mut values = std::collections::BTreeSet::new();
        for scrape in self.history.between(f64::MIN, f64::MAX) {
            scrape.samples(&mut |name, labels, _| {
                let own = labels
                    .iter()
                    .find(|(other, _)| *other == label)
                    .map(|(_, value)| *value);
                let found = if label == "__name__" { Some(name) } else { own };
                if let Some(value) = found.filter(|value| !values.contains(*value)) {
                    values.insert(value.to_owned());
                }
            });
        }
        values.into_iter().collect()
    }

    /// Raw samples after one moment and up to another. (The left end is open since Prometheus 3.)
    fn range(&self, selector: &Selector, after: f64, until: f64) -> Found {
        let mut found = Found::new();
        let (after, until) = (after - self.ahead_seconds, until - self.ahead_seconds);
        for scrape in self.history.between(after, until) {
            self.collect(&scrape, selector, &mut found);
        }
        found
    }

    /// The newest sample of each series. One that the newest scrape has not is stale.
    fn instant_of(&self, selector: &Selector, at: f64) -> Found {
        let mut found = Found::new();
        let at = at - self.ahead_seconds;
        if let Some(scrape) = self.history.between(at - LOOKBACK_SECONDS, at).last() {
            self.collect(scrape, selector, &mut found);
        }
        found
    }

    fn collect(&self, scrape: &Scrape, selector: &Selector, found: &mut Found) {
        let at = scrape.at_unix_seconds + self.ahead_seconds;
        scrape.samples(&mut |name, labels, value| {
            if selector.matches(name, labels) {
                let name = ("__name__".to_owned(), name.to_owned());
                let own = labels
                    .iter()
                    .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()));
                let labels = std::iter::once(name).chain(own).collect();
                found.entry(labels).or_default().push((at, value));
            }
        });
    }
}

fn get<'a>(params: &'a Params, name: &str) -> Result<&'a str, Wrong> {
    let found = params.iter().find(|(other, _)| other == name);
    found
        .map(|(_, value)| value.as_str())
        .ok_or_else(|| bad(format!("invalid parameter \"{name}\": it is missing")))
}

/// A moment as Unix seconds or in RFC 3339.
fn moment(params: &Params, name: &str) -> Result<Option<f64>, Wrong> {
    let Ok(text) = get(params, name) else {
        return Ok(None);
    };
    let number = text
        .parse::<f64>()
        .ok()
        .filter(|seconds| seconds.is_finite());
    let read = || {
        let stamp: Timestamp = text.parse().ok()?;
        Some(stamp.as_millisecond() as f64 / 1e3)
    };
    match number.or_else(read) {
        Some(seconds) => Ok(Some(seconds)),
        None => Err(bad(format!(
            "invalid parameter \"{name}\": cannot parse \"{text}\" to a valid timestamp"
        ))),
    }
}

fn metric(labels: Vec<(String, String)>) -> Value {
    labels
        .into_iter()
        .map(|(label, value)| (label, Value::from(value)))
        .collect::<Map<_, _>>()
        .into()
}

fn matrix(found: Found) -> Value {
    let series = found.into_iter().map(|(labels, samples)| {
        let values: Vec<Value> = samples
            .into_iter()
            .map(|(at, value)| point(at, value))
            .collect();
        json!({"metric": metric(labels), "values": values})
    });
    json!({"resultType": "matrix", "result": series.collect::<Vec<_>>()})
}

fn point(at: f64, value: f64) -> Value {
    json!([(at * 1e3).round() / 1e3, value.to_string()])
}

/// Replaces each value of an answer.
pub(super) fn replace_values(data: &mut Value, with: &str) {
    let put = |point: &mut Value| {
        if let Some(value) = point.get_mut(1) {
            *value = with.into();
        }
    };
    if data["resultType"] == "scalar" {
        put(&mut data["result"]);
        return;
    }
    for series in data["result"].as_array_mut().into_iter().flatten() {
        if let Some(value) = series.get_mut("value") {
            put(value);
        }
        let values = series.get_mut("values").and_then(Value::as_array_mut);
        values.into_iter().flatten().for_each(put);
    }
}
