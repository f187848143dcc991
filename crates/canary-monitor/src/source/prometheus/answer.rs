//! Answers of the query API, read strictly: what is not understood is no data.
//!
//! The form is that of "HTTP API" in Prometheus' documentation: `status`, `data`, `errorType`, `error`,
//! `warnings`, `infos`; samples are pairs of a Unix time and a text, which may be `NaN` or `+Inf`.

use serde::Deserialize;

use crate::source::exposition::{Labels, number};

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What was found.
    pub data: Data,
    /// Part of the data is missing, the server says.
    pub warnings: Vec<String>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// One number at a moment.
    Scalar(f64, f64),
    /// Series with their samples in the order of time.
    Matrix(Vec<Series>),
}

/// One series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The metric's name; empty where a query took it away.
    pub name: String,
    /// Its labels without the name.
    pub labels: Labels,
    /// Unix seconds and value.
    pub samples: Vec<(f64, f64)>,
    /// It is a native histogram, which has no samples of this kind.
    pub native: bool,
}

/// Why an answer is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// It is not the JSON of this API.
    #[error("{0}")]
    NotOurs(String),
    /// The server says that it could not.
    #[error("{kind}: {error}")]
    Failed {
        /// Its `errorType`.
        kind: String,
        /// Its `error`.
        error: String,
    },
}

#[derive(Deserialize)]
struct Envelope {
    status: String,
    data: Option<RawData>,
    #[serde(default, rename = "errorType")]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum RawData {
    Scalar((f64, String)),
    Vector(Vec<RawSeries>),
    Matrix(Vec<RawSeries>),
    String(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct RawSeries {
    metric: Labels,
    #[serde(default)]
    values: Vec<(f64, String)>,
    value: Option<(f64, String)>,
    #[serde(default)]
    histograms: Vec<serde::de::IgnoredAny>,
    histogram: Option<serde::de::IgnoredAny>,
}

/// Reads an answer to a query.
///
/// # Errors
/// It is no such answer, or the server says that it failed.
pub fn read(body: &[u8]) -> Result<Answer, NoAnswer> {
    let envelope: Envelope =
        serde_json::from_slice(body).map_err(|error| NoAnswer::NotOurs(error.to_string()))?;
    if envelope.status != "success" {
        return Err(NoAnswer::Failed {
            kind: envelope.error_type,
            error: envelope.error,
        });
    }
    let ours = |what: &str| NoAnswer::NotOurs(what.to_owned());
    let data = match envelope.data.ok_or_else(|| ours("it has no data"))? {
        RawData::Scalar(point) => {
            let (at, value) = sample(point)?;
            Data::Scalar(at, value)
        }
        RawData::Vector(series) | RawData::Matrix(series) => {
            Data::Matrix(series.into_iter().map(one).collect::<Result<_, _>>()?)
        }
        RawData::String(_) => return Err(ours("its result is a text")),
    };
    Ok(Answer {
        data,
        warnings: envelope.warnings.unwrap_or_default(),
    })
}

/// Reads an answer that is a list of texts: the values of a label.
///
/// # Errors
/// It is no such answer, or the server says that it failed.
pub fn read_texts(body: &[u8]) -> Result<Vec<String>, NoAnswer> {
    #[derive(Deserialize)]
    struct Texts {
        status: String,
        #[serde(default)]
        data: Vec<String>,
        #[serde(default, rename = "errorType")]
        error_type: String,
        #[serde(default)]
        error: String,
    }
    let texts: Texts =
        serde_json::from_slice(body).map_err(|error| NoAnswer::NotOurs(error.to_string()))?;
    if texts.status != "success" {
        return Err(NoAnswer::Failed {
            kind: texts.error_type,
            error: texts.error,
        });
    }
    Ok(texts.data)
}

fn one(raw: RawSeries) -> Result<Series, NoAnswer> {
    let mut labels = raw.metric;
    let name = labels.remove("__name__").unwrap_or_default();
    labels.retain(|_, value| !value.is_empty());
    let samples = raw.values.into_iter().chain(raw.value).map(sample);
    let samples: Vec<(f64, f64)> = samples.collect::<Result<_, _>>()?;
    if samples.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err(NoAnswer::NotOurs(
            "the samples of a series are not in the order of time".to_owned(),
        ));
    }
    Ok(Series {
        name,
        labels,
        native: raw.histogram.is_some() || !raw.histograms.is_empty(),
        samples,
    })
}

fn sample((at, value): (f64, String)) -> Result<(f64, f64), NoAnswer> {
    let value = number(&value)
        .ok_or_else(|| NoAnswer::NotOurs("the value of a sample is no number".to_owned()))?;
    Ok((at, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As Prometheus 2.53 answers `http_requests_total[30s]`, with the envelope's rarer members.
    const MATRIX: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[
        {"metric":{"__name__":"http_requests_total","endpoint":"/signals/{symbol}","pod":"a","x":""},
         "values":[[1700000000.123,"41"],[1700000015.123,"NaN"],[1700000030,"+Inf"]]}]},
        "warnings":["one store did not answer"],"infos":["PromQL info"],"analysis":{}}"#;

    #[test]
    fn samples_have_their_own_times() {
        let read = read(MATRIX.as_bytes()).unwrap();
        assert_eq!(read.warnings, ["one store did not answer"]);
        let Data::Matrix(series) = read.data else {
            panic!("no matrix");
        };
        assert_eq!(series[0].name, "http_requests_total");
        assert_eq!(series[0].labels.len(), 2);
        assert_eq!(series[0].samples[0], (1_700_000_000.123, 41.0));
        assert!(series[0].samples[1].1.is_nan() && series[0].samples[2].1.is_infinite());
    }

    #[test]
    fn other_results_are_read() {
        let scalar = br#"{"status":"success","data":{"resultType":"scalar","result":[5.5,"7"]}}"#;
        assert_eq!(read(scalar).unwrap().data, Data::Scalar(5.5, 7.0));
        let native = br#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"h"},
            "histograms":[[1,{"count":"3","sum":"1","buckets":[[0,"0.1","0.2","3"]]}]]}]}}"#;
        let Data::Matrix(series) = read(native).unwrap().data else {
            panic!("no matrix");
        };
        assert!(series[0].native && series[0].samples.is_empty());
        let values = br#"{"status":"success","data":["canary","stable"]}"#;
        assert_eq!(read_texts(values).unwrap(), ["canary", "stable"]);
    }

    #[track_caller]
    fn refuses(body: &str, said: &str) {
        let error = read(body.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }

    #[test]
    fn what_is_no_answer_is_no_data() {
        refuses("", "EOF");
        refuses("<html>", "expected value");
        refuses("{}", "status");
        refuses(r#"{"status":"success"}"#, "no data");
        refuses(r#"{"status":"success","data":[1]}"#, "invalid");
        refuses(
            r#"{"status":"success","data":{"resultType":"tensor","result":[]}}"#,
            "tensor",
        );
        refuses(
            r#"{"status":"error","errorType":"timeout","error":"too slow"}"#,
            "timeout: too slow",
        );
        refuses(
            r#"{"status":"success","data":{"resultType":"scalar","result":[1,"seven"]}}"#,
            "no number",
        );
        refuses(
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[2,"1"],[1,"1"]]}]}}"#,
            "order of time",
        );
        refuses(&MATRIX.replace("\"41\"", "41"), "invalid type");
    }

    proptest! {
        #[test]
        fn no_cut_of_an_answer_is_an_answer(at in 0_usize..400) {
            if let Some(cut) = MATRIX.get(..at).filter(|cut| cut.len() < MATRIX.len()) {
                prop_assert!(read(cut.as_bytes()).is_err());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes).is_ok();
            let _ = read_texts(&bytes).is_ok();
        }

        #[test]
        fn no_result_makes_it_panic(result in "[\\[\\]{}\",:0-9a-zN]{0,60}") {
            let body = format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":{result}}}}}"#);
            let _ = read(body.as_bytes()).is_ok();
        }
    }
}
