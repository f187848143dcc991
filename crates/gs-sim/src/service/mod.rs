//! The right answers, and the faults of the data (those of the transport are the server's). A body
//! depends on the request, the seed and, for times, the clock.

mod data;
mod openapi;
mod routes;

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use crate::plan::Kind;
pub(crate) use routes::{UNMATCHED, channel, find};

/// A request to the service, and who answers it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub method: &'a str,
    /// The path without query.
    pub path: &'a str,
    /// The query, empty for none.
    pub query: &'a str,
    pub body: &'a [u8],
    /// Seed of what is drawn.
    pub seed: u64,
    /// Seconds that the pod has been up.
    pub uptime: f64,
    /// The pod's version.
    pub version: &'a str,
    /// The clock.
    pub now: Timestamp,
    /// Requests served so far.
    pub served: u64,
    /// `/api/v1/signals` answers an object.
    pub wrapped_signals: bool,
}

/// An answer in JSON.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    pub status: u16,
    pub body: Value,
    /// The route that answered, as metrics name it.
    pub endpoint: &'static str,
    /// The methods that the path has, where the one asked for is not among them.
    pub allow: Option<String>,
}

/// A refusal in the words of FastAPI.
struct Refusal(u16, Value);

fn refuse<T>(status: u16, detail: impl Into<Value>) -> Result<T, Refusal> {
    Err(Refusal(status, json!({"detail": detail.into()})))
}

/// One invalid member or parameter, as FastAPI tells it.
fn invalid(place: [&str; 2], message: &str) -> Value {
    json!({"loc": place, "msg": message, "type": "value_error"})
}

/// Answers a request. Faults of the data are taken into account.
pub(crate) fn answer(ask: Ask<'_>, faults: &[Kind]) -> Reply {
    let has = |kind: &Kind| faults.contains(kind);
    let Some(endpoint) = find(ask.method, ask.path, has(&Kind::ShadowedRoute)) else {
        return unmatched(ask);
    };
    let ask = if has(&Kind::Stale) {
        Ask {
            now: ask.now - 24.hours(),
            ..ask
        }
    } else {
        ask
    };
    let (status, body) = match body(ask, endpoint, faults) {
        Ok(mut body) => {
            faults.iter().for_each(|kind| spoil(kind, &mut body));
            (200, body)
        }
        Err(Refusal(status, body)) => (status, body),
    };
    Reply {
        status,
        body,
        endpoint,
        allow: None,
    }
}

fn unmatched(ask: Ask<'_>) -> Reply {
    let methods = routes::methods(ask.path);
    let (status, detail) = if methods.is_empty() {
        (404, "Not Found")
    } else {
        (405, "Method Not Allowed")
    };
    let allow = (!methods.is_empty()).then(|| methods.join(", "));
    Reply {
        status,
        body: json!({"detail": detail}),
        endpoint: UNMATCHED,
        allow,
    }
}

fn body(ask: Ask<'_>, endpoint: &str, faults: &[Kind]) -> Result<Value, Refusal> {
    let segment = |index: usize| ask.path.split('/').nth(index).unwrap_or_default();
    let signals = |symbols: &[&str]| -> Vec<Value> {
        symbols
            .iter()
            .map(|symbol| data::signal(symbol, ask.seed, ask.now))
            .collect()
    };
    let now = ask.now.to_string();
    Ok(match endpoint {
        "/" => {
            json!({"name": "GoldenSignalsAI", "status": "operational", "version": ask.version, "timestamp": now})
        }
        "/health" | "/health/ready" | "/health/live" => {
            json!({"status": "healthy", "version": ask.version, "timestamp": now})
        }
        "/api/v1/health" => json!({
            "status": "healthy", "version": ask.version, "timestamp": now,
            "services": {"database": "operational", "redis": "operational", "market_data": "operational"},
        }),
        "/api/v1/performance" => json!({
            "endpoints": {"/api/v1/signals": {"count": ask.served}}, "requests_total": ask.served,
            "cache": {"hits": ask.served / 2, "misses": ask.served - ask.served / 2}, "uptime": ask.uptime,
        }),
        "/api/v1/market/opportunities" => {
            json!({"opportunities": [{"symbol": "NVDA", "type": "momentum", "score": 0.82}], "timestamp": now})
        }
        "/api/v1/market-data/{symbol}" => {
            let symbol = segment(4);
            if !faults.contains(&Kind::Invented) {
                known(symbol)?;
            }
            data::quote(symbol, ask.seed, ask.now)
        }
        "/api/v1/market-data/{symbol}/historical" => {
            let symbol = segment(4);
            known(symbol)?;
            let period = choice(ask.query, "period", &data::PERIODS, "1mo")?;
            let interval = choice(ask.query, "interval", &data::INTERVALS, "1d")?;
            data::historical(symbol, period, interval, ask.seed, ask.now)
        }
        "/api/v1/signals" => {
            let signals = signals(&data::SYMBOLS[..8]);
            if ask.wrapped_signals {
                json!({"signals": signals, "count": 8})
            } else {
                signals.into()
            }
        }
        "/api/v1/signals/latest" => {
            let limit = match parameter(ask.query, "limit").map(str::parse::<usize>) {
                None => 1,
                Some(Ok(limit @ 1..=100)) => limit.min(data::SYMBOLS.len()),
                Some(_) => {
                    return refuse(
                        422,
                        vec![invalid(["query", "limit"], "a number from 1 to 100")],
                    );
                }
            };
            signals(&data::SYMBOLS[..limit]).into()
        }
        "/api/v1/signals/quality-report" => json!({
            "total_signals_generated": 1284, "quality_metrics": {"precision": 0.61, "recall": 0.54}, "timestamp": now,
        }),
        "/api/v1/signals/precise-options" => {
            let symbol = parameter(ask.query, "symbol").unwrap_or("SPY");
            json!({"symbol": symbol, "options": [{"type": "CALL", "strike": 500.0, "days_to_expiry": 14}]})
        }
        // A name that is no symbol gets an empty list: so does the real one, which is what makes a
        // shadowed route answer 200.
        "/api/v1/signals/{symbol}" => {
            let symbol = segment(4);
            if data::SYMBOLS.contains(&symbol) {
                signals(&[symbol]).into()
            } else {
                json!([])
            }
        }
        "/api/v1/signals/{symbol}/insights" => {
            let symbol = segment(4);
            known(symbol)?;
            let signal = data::signal(symbol, ask.seed, ask.now);
            json!({"symbol": symbol, "recommendation": signal["action"], "confidence": signal["confidence"], "timestamp": now})
        }
        "/api/v1/monitoring/performance" => {
            json!({"overall": {"win_rate": 0.57, "signals": 120}, "timestamp": now})
        }
        "/api/v1/monitoring/active-signals" => {
            json!({"active_signals": signals(&["AAPL"]), "count": 1})
        }
        "/api/v1/monitoring/recommendations" => {
            json!({"recommendations": [{"symbol": "AAPL", "text": "hold"}], "timestamp": now})
        }
        "/api/v1/pipeline/stats" => {
            json!({"filter_stats": {"passed": 120, "rejected": 31}, "timestamp": now})
        }
        "/api/v1/signals/batch" => {
            let asked = members(ask.body, &["symbols"])?;
            let Some(symbols) = asked["symbols"].as_array() else {
                return refuse(422, vec![invalid(["body", "symbols"], "a list")]);
            };
            let symbols: Vec<&str> = symbols
                .iter()
                .filter_map(Value::as_str)
                .filter(|symbol| data::SYMBOLS.contains(symbol))
                .collect();
            json!({"signals": signals(&symbols), "count": symbols.len(), "timestamp": now})
        }
        "/api/v1/monitoring/track-entry" => {
            let asked = members(
                ask.body,
                &[
                    "signal_id",
                    "symbol",
                    "entry_price",
                    "quantity",
                    "entry_time",
                ],
            )?;
            json!({"status": "tracked", "signal_id": asked["signal_id"]})
        }
        "/openapi.json" => openapi::document(ask.version, faults.contains(&Kind::ShadowedRoute)),
        _ => return refuse(404, "Not Found"),
    })
}

/// Refuses symbols that nothing can be said about.
fn known(symbol: &str) -> Result<(), Refusal> {
    if symbol.len() > 10 || !symbol.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return refuse(400, "a symbol is at most 10 letters and digits");
    }
    if !data::SYMBOLS.contains(&symbol) {
        return refuse(404, format!("no data for {symbol}"));
    }
    Ok(())
}

/// A query parameter that is one of a few words.
fn choice<'a>(
    query: &'a str,
    name: &'a str,
    known: &[(&'a str, i64)],
    default: &'a str,
) -> Result<(&'a str, i64), Refusal> {
    let word = parameter(query, name).unwrap_or(default);
    match known.iter().find(|(other, _)| *other == word) {
        Some(found) => Ok(*found),
        None => {
            let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
            refuse(
                422,
                vec![invalid(
                    ["query", name],
                    &format!("one of {}", words.join(", ")),
                )],
            )
        }
    }
}

/// The members of a JSON body, all of `required` among them.
fn members(body: &[u8], required: &[&str]) -> Result<Value, Refusal> {
    let Ok(body @ Value::Object(_)) = serde_json::from_slice::<Value>(body) else {
        return refuse(422, vec![invalid(["body", ""], "a JSON object")]);
    };
    let missing: Vec<Value> = required
        .iter()
        .filter(|name| body.get(**name).is_none())
        .map(|name| invalid(["body", name], "field required"))
        .collect();
    if missing.is_empty() {
        Ok(body)
    } else {
        refuse(422, missing)
    }
}

/// The value of a query parameter, as written.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(other, _)| *other == name)
        .map(|(_, value)| value)
}

/// What a fault of the data makes of a right body.
fn spoil(kind: &Kind, body: &mut Value) {
    match kind {
        Kind::ErrorBody { message } => *body = json!({"error": message}),
        Kind::EmptyList => match body {
            Value::Array(items) => items.clear(),
            Value::Object(members) => members.values_mut().for_each(|member| {
                if let Value::Array(items) = member {
                    items.clear();
                }
            }),
            _ => {}
        },
        Kind::NoData if body.get("recommendation").is_some() => {
            body["recommendation"] = json!("NO_DATA")
        }
        Kind::Incoherent => incoherent(body),
        _ => {}
    }
}

/// Quotes get `low > price` and `bid > ask`, signals a stop beyond their target.
fn incoherent(body: &mut Value) {
    match body {
        Value::Array(items) => items.iter_mut().for_each(incoherent),
        Value::Object(members) => {
            for (one, other) in [("low", "high"), ("bid", "ask"), ("stop_loss", "target")] {
                if let (Some(low), Some(high)) =
                    (members.get(one).cloned(), members.get(other).cloned())
                {
                    members.insert(one.to_owned(), high);
                    members.insert(other.to_owned(), low);
                }
            }
            members.values_mut().for_each(incoherent);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
