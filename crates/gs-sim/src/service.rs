//! The right answers. A body depends on the request, the seed and, for times, the clock.

use serde_json::{Value, json};

use crate::plan::Kind;

/// The symbols that exist.
pub const SYMBOLS: [&str; 10] = [
    "AAPL", "GOOGL", "MSFT", "TSLA", "SPY", "QQQ", "META", "NVDA", "AMD", "AMZN",
];

/// The GET routes in the order in which they are declared, and the POST ones.
pub const ROUTES: [(&str, &str); 24] = [
    ("GET", "/"),
    ("GET", "/health"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/debug/echo"),
    ("GET", "/api/v1/health"),
    ("GET", "/api/v1/performance"),
    ("GET", "/api/v1/market/opportunities"),
    ("GET", "/api/v1/market-data/{symbol}"),
    ("GET", "/api/v1/market-data/{symbol}/historical"),
    ("GET", "/api/v1/signals"),
    ("GET", "/api/v1/signals/latest"),
    ("GET", "/api/v1/signals/quality-report"),
    ("GET", "/api/v1/signals/precise-options"),
    ("GET", "/api/v1/signals/{symbol}"),
    ("GET", "/api/v1/signals/{symbol}/insights"),
    ("GET", "/api/v1/monitoring/performance"),
    ("GET", "/api/v1/monitoring/active-signals"),
    ("GET", "/api/v1/monitoring/recommendations"),
    ("GET", "/api/v1/pipeline/stats"),
    ("POST", "/api/v1/signals/batch"),
    ("POST", "/api/v1/monitoring/track-entry"),
    ("GET", "/health/ready"),
    ("GET", "/health/live"),
];

/// A request to the service.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The method.
    pub method: &'a str,
    /// The path without query.
    pub path: &'a str,
    /// The query, empty for none.
    pub query: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// Seed of what is drawn.
    pub seed: u64,
    /// Seconds that the pod has been up.
    pub uptime: f64,
    /// The pod's version.
    pub version: &'a str,
    /// The clock.
    pub now: jiff::Timestamp,
    /// Requests served so far.
    pub served: u64,
}

/// A right answer, before any fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Value,
    /// The route that answered, as metrics name it.
    pub endpoint: String,
}

/// Finds the route of a path. `shadowed` puts `/signals/{symbol}` before the literal ones.
fn route<'a>(method: &str, path: &str, shadowed: bool) -> Option<&'a str> {
    let found = |wanted: &str| {
        ROUTES
            .iter()
            .find(|(other, template)| *other == wanted && matches(template, path))
            .map(|(_, template)| *template)
    };
    if shadowed && method == "GET" && matches("/api/v1/signals/{symbol}", path) {
        return Some("/api/v1/signals/{symbol}");
    }
    // A literal route wins because it is declared first.
    found(method)
}

fn matches(template: &str, path: &str) -> bool {
    let mut wanted = template.split('/');
    let mut given = path.split('/');
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(segment), Some(other))
                if segment == other || (segment.starts_with('{') && !other.is_empty()) => {}
            _ => return false,
        }
    }
}

/// Answers a request. Faults of the data (not of the transport) are taken into account.
#[must_use]
pub fn answer(ask: Ask<'_>, faults: &[Kind]) -> Reply {
    let has = |wanted: &dyn Fn(&Kind) -> bool| faults.iter().any(wanted);
    let shadowed = has(&|kind| matches!(kind, Kind::ShadowedRoute));
    let Some(template) = route(ask.method, ask.path, shadowed) else {
        return unknown(ask);
    };
    let segment = |index: usize| ask.path.split('/').nth(index).unwrap_or_default();
    let mut status = 200;
    let mut body = match (ask.method, template) {
        (_, "/") => {
            json!({"name": "GoldenSignalsAI", "status": "operational", "version": ask.version, "timestamp": ask.now.to_string()})
        }
        (_, "/health" | "/health/ready" | "/health/live") => {
            json!({"status": "healthy", "version": ask.version})
        }
        (_, "/api/v1/health") => json!({
            "status": "healthy", "version": ask.version,
            "services": {"database": "operational", "redis": "operational", "market_data": "operational"}
        }),
        (_, "/api/v1/performance") => json!({
            "endpoints": {"/api/v1/signals": {"count": ask.served}}, "requests_total": ask.served,
            "cache": {"hits": ask.served / 2, "misses": ask.served - ask.served / 2}, "uptime": ask.uptime
        }),
        (_, "/api/v1/market/opportunities") => {
            json!({"opportunities": [{"symbol": "NVDA", "score": 0.82}], "timestamp": ask.now.to_string()})
        }
        (_, "/api/v1/market-data/{symbol}") => {
            let symbol = segment(4);
            let invented = has(&|kind| matches!(kind, Kind::Invented));
            if symbol.len() > 10 {
                status = 400;
                json!({"detail": "a symbol has at most 10 characters"})
            } else if !SYMBOLS.contains(&symbol) && !invented {
                status = 404;
                json!({"detail": format!("no quote for {symbol}")})
            } else {
                quote(symbol, ask.seed, ask.now)
            }
        }
        (_, "/api/v1/market-data/{symbol}/historical") => historical(segment(4), ask.seed),
        (_, "/api/v1/signals") => Value::Array(
            SYMBOLS
                .iter()
                .take(8)
                .map(|symbol| signal(symbol, ask.seed))
                .collect(),
        ),
        (_, "/api/v1/signals/latest") => {
            match parameter(ask.query, "limit").map(str::parse::<usize>) {
                None => Value::Array(vec![signal("SPY", ask.seed)]),
                Some(Ok(limit @ 1..=100)) => Value::Array(
                    SYMBOLS
                        .iter()
                        .take(limit)
                        .map(|symbol| signal(symbol, ask.seed))
                        .collect(),
                ),
                Some(_) => {
                    status = 422;
                    json!({"detail": [{"loc": ["query", "limit"], "msg": "a number from 1 to 100", "type": "value_error"}]})
                }
            }
        }
        (_, "/api/v1/signals/quality-report") => {
            json!({"total_signals_generated": 1284, "quality_metrics": {"precision": 0.61}})
        }
        (_, "/api/v1/signals/precise-options") => {
            json!({"symbol": parameter(ask.query, "symbol").unwrap_or("SPY"), "options": []})
        }
        (_, "/api/v1/signals/{symbol}") => {
            if SYMBOLS.contains(&segment(4)) {
                Value::Array(vec![signal(segment(4), ask.seed)])
            } else {
                json!([])
            }
        }
        (_, "/api/v1/signals/{symbol}/insights") => {
            json!({"symbol": segment(4), "recommendation": "BUY", "confidence": 0.7})
        }
        (_, "/api/v1/monitoring/performance") => {
            json!({"overall": {"win_rate": 0.57, "signals": 120}})
        }
        (_, "/api/v1/monitoring/active-signals") => {
            json!({"active_signals": [signal("AAPL", ask.seed)], "count": 1})
        }
        (_, "/api/v1/monitoring/recommendations") => {
            json!({"recommendations": ["hold the course"]})
        }
        (_, "/api/v1/pipeline/stats") => json!({"filter_stats": {"passed": 120, "rejected": 31}}),
        (_, "/api/v1/signals/batch") => match serde_json::from_slice::<Value>(ask.body)
            .ok()
            .and_then(|body| body.get("symbols")?.as_array().cloned())
        {
            Some(symbols) => {
                json!({"signals": symbols.iter().filter_map(Value::as_str).map(|symbol| signal(symbol, ask.seed)).collect::<Vec<_>>()})
            }
            None => {
                status = 422;
                json!({"detail": [{"loc": ["body", "symbols"], "msg": "field required", "type": "value_error.missing"}]})
            }
        },
        (_, "/api/v1/monitoring/track-entry") => json!({"status": "tracked"}),
        (_, "/openapi.json") => openapi(ask.version, shadowed),
        // Their bodies are no JSON of ours: the server writes them.
        (_, "/metrics" | "/debug/echo") => Value::Null,
        _ => return unknown(ask),
    };
    if status == 200 {
        faults.iter().for_each(|kind| spoil(kind, &mut body));
    }
    Reply {
        status,
        body,
        endpoint: template.to_owned(),
    }
}

fn unknown(ask: Ask<'_>) -> Reply {
    let other = ROUTES
        .iter()
        .any(|(_, template)| matches(template, ask.path));
    let (status, detail) = if other {
        (405, "Method Not Allowed")
    } else {
        (404, "Not Found")
    };
    Reply {
        status,
        body: json!({"detail": detail}),
        endpoint: "unmatched".to_owned(),
    }
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
        Kind::Version { version } if body.get("version").is_some() => {
            body["version"] = json!(version)
        }
        Kind::Incoherent if body.get("low").is_some() => {
            let price = body["price"].as_f64().unwrap_or(1.0);
            body["low"] = json!(price + 5.0);
            body["bid"] = json!(price + 9.0);
        }
        _ => {}
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

/// A stream of numbers that belongs to a symbol.
fn drawn(symbol: &str, seed: u64) -> fastrand::Rng {
    let hash = symbol.bytes().fold(seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    fastrand::Rng::with_seed(hash)
}

fn cents(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// A coherent quote.
fn quote(symbol: &str, seed: u64, now: jiff::Timestamp) -> Value {
    let mut random = drawn(symbol, seed);
    let price = cents(50.0 + 400.0 * random.f64());
    let previous = cents(price * (0.98 + 0.04 * random.f64()));
    let change = cents(price - previous);
    json!({
        "symbol": symbol, "price": price, "bid": cents(price - 0.01), "ask": cents(price + 0.01),
        "low": cents(price * 0.99), "high": cents(price * 1.01), "change": change,
        // The sign is that of the change, also where rounding would lose it.
        "change_percent": change / previous * 100.0, "volume": random.u32(1000..9_000_000), "timestamp": now.to_string()
    })
}

fn historical(symbol: &str, seed: u64) -> Value {
    let mut random = drawn(symbol, seed);
    let mut price = 50.0 + 400.0 * random.f64();
    let data: Vec<Value> = (1..=20)
        .map(|day| {
            price *= 0.98 + 0.04 * random.f64();
            json!({"day": day, "open": cents(price), "close": cents(price * 1.001), "volume": random.u32(1000..9_000_000)})
        })
        .collect();
    json!({"symbol": symbol, "data": data})
}

/// A signal whose stop and target lie on the right sides of its entry.
fn signal(symbol: &str, seed: u64) -> Value {
    let mut random = drawn(symbol, seed);
    let entry = cents(50.0 + 400.0 * random.f64());
    let buy = random.bool();
    let (stop, target) = if buy {
        (entry * 0.97, entry * 1.05)
    } else {
        (entry * 1.03, entry * 0.95)
    };
    json!({
        "symbol": symbol, "action": if buy { "BUY" } else { "SELL" }, "confidence": cents(0.5 + 0.5 * random.f64()),
        "entry": entry, "stop_loss": cents(stop), "target": cents(target)
    })
}

/// The document in the order of declaration, which decides what shadows what.
fn openapi(version: &str, shadowed: bool) -> Value {
    let mut order: Vec<(&str, &str)> = ROUTES.to_vec();
    if shadowed {
        let template = ("GET", "/api/v1/signals/{symbol}");
        order.retain(|route| *route != template);
        let first = order
            .iter()
            .position(|route| route.1 == "/api/v1/signals/latest")
            .unwrap_or(0);
        order.insert(first, template);
    }
    let mut paths = serde_json::Map::new();
    for (method, path) in order {
        if path == "/debug/echo" {
            continue;
        }
        let parameters: Vec<Value> = path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
            .collect();
        let media = if path == "/metrics" {
            "text/plain"
        } else {
            "application/json"
        };
        let operation = json!({"parameters": parameters, "responses": {"200": {"description": "ok", "content": {media: {}}}}});
        let item = paths.entry(path.to_owned()).or_insert_with(|| json!({}));
        item[method.to_lowercase()] = operation;
    }
    json!({"openapi": "3.1.0", "info": {"title": "GoldenSignalsAI", "version": version}, "paths": paths})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask<'a>(method: &'a str, path: &'a str, query: &'a str) -> Ask<'a> {
        let now = jiff::Timestamp::UNIX_EPOCH;
        Ask {
            method,
            path,
            query,
            body: b"{}",
            seed: 1,
            uptime: 5.0,
            version: "2.0.0",
            now,
            served: 9,
        }
    }

    #[track_caller]
    fn check(method: &str, path: &str, status: u16) {
        assert_eq!(
            answer(ask(method, path, ""), &[]).status,
            status,
            "{method} {path}"
        );
    }

    #[test]
    fn paths_answer_as_the_real_service_should() {
        for (method, path) in ROUTES.iter().filter(|(method, path)| {
            *method == "GET" && !matches!(*path, "/metrics" | "/debug/echo")
        }) {
            check(method, &path.replace("{symbol}", "SPY"), 200);
        }
        check("GET", "/api/v1/market-data/INVALID123", 404);
        check("GET", "/api/v1/market-data/WAYTOOLONGSYMBOL", 400);
        check("GET", "/api/v1/nonexistent", 404);
        check("HEAD", "/", 405);
        check("POST", "/api/v1/signals/batch", 422);
        assert_eq!(
            answer(ask("GET", "/api/v1/signals/latest", "limit=0"), &[]).status,
            422
        );
    }

    #[test]
    fn quotes_and_signals_are_coherent() {
        for symbol in SYMBOLS {
            for seed in 0..50 {
                let quote = quote(symbol, seed, jiff::Timestamp::UNIX_EPOCH);
                let number = |name: &str| quote[name].as_f64().unwrap();
                assert!(
                    number("low") <= number("price") && number("price") <= number("high"),
                    "{quote}"
                );
                assert!(number("bid") <= number("ask"), "{quote}");
                assert_eq!(
                    number("change").total_cmp(&0.0),
                    number("change_percent").total_cmp(&0.0),
                    "{quote}"
                );
            }
        }
    }

    #[test]
    fn faults_of_the_data_spoil_it() {
        let body = |path: &str, kind: Kind| answer(ask("GET", path, ""), &[kind]).body;
        assert!(
            body(
                "/api/v1/pipeline/stats",
                Kind::ErrorBody {
                    message: "x".into()
                }
            )
            .get("error")
            .is_some()
        );
        assert_eq!(body("/api/v1/signals", Kind::EmptyList), json!([]));
        assert_eq!(
            body("/api/v1/market-data/SPY/historical", Kind::EmptyList)["data"],
            json!([])
        );
        assert_eq!(
            body("/api/v1/signals/quality-report", Kind::ShadowedRoute),
            json!([])
        );
        assert_eq!(
            body(
                "/",
                Kind::Version {
                    version: "1.9.9".into()
                }
            )["version"],
            "1.9.9"
        );
        assert_eq!(
            body("/api/v1/market-data/INVALID123", Kind::Invented)["symbol"],
            "INVALID123"
        );
    }
}
