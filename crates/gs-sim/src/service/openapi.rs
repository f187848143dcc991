//! The OpenAPI document. Its paths stand in the order of declaration, as FastAPI writes them.

use serde_json::{Map, Value, json};

use super::routes::{UNDOCUMENTED, declared};

/// The document of a version.
pub(super) fn document(version: &str, shadowed: bool) -> Value {
    let mut paths = Map::new();
    for (method, path) in declared(shadowed) {
        if UNDOCUMENTED.contains(&path) {
            continue;
        }
        let item = paths.entry(path.to_owned()).or_insert_with(|| json!({}));
        item[method.to_lowercase()] = operation(method, path);
    }
    json!({"openapi": "3.1.0", "info": {"title": "GoldenSignalsAI", "version": version}, "paths": paths})
}

fn operation(method: &str, path: &str) -> Value {
    let mut parameters: Vec<Value> = path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| parameter(name, "path", true))
        .collect();
    let queries: &[&str] = match path {
        "/api/v1/market-data/{symbol}/historical" => &["period", "interval"],
        "/api/v1/signals/latest" => &["limit"],
        "/api/v1/signals/precise-options" => &["symbol"],
        _ => &[],
    };
    parameters.extend(queries.iter().map(|name| parameter(name, "query", false)));
    let media = if path == "/metrics" {
        "text/plain"
    } else {
        "application/json"
    };
    let mut operation = json!({
        "parameters": parameters,
        "responses": {"200": {"description": "Successful Response", "content": {media: {"schema": {}}}}},
    });
    if method == "POST" {
        operation["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": {"type": "object"}}}});
    }
    operation
}

fn parameter(name: &str, place: &str, required: bool) -> Value {
    json!({"name": name, "in": place, "required": required, "schema": {"type": "string"}})
}
