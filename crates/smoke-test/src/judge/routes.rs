//! What an OpenAPI document says of the routes: which literal path is taken by an earlier template,
//! and which paths can be asked without knowing anything.
//!
//! FastAPI, like most routers, takes the first declared route that matches, and its OpenAPI document
//! keeps that order.

use serde_json::Value;

/// A path that never gets an answer of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadowed {
    /// Method in capitals.
    pub method: String,
    /// The literal path.
    pub path: String,
    /// The earlier template that takes it.
    pub by: String,
}

/// A path that can be asked without parameters, with what the document promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// The path.
    pub path: String,
    /// Documented statuses: `200`, `4XX`, `default`.
    pub statuses: Vec<String>,
    /// Documented media types of success.
    pub media: Vec<String>,
}

const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// The routes in order of declaration: method, path.
///
/// # Errors
/// The text is no OpenAPI document, or declares no path.
pub fn routes(text: &[u8]) -> Result<Vec<(String, String)>, String> {
    let document: Value =
        serde_json::from_slice(text).map_err(|error| format!("it is no JSON: {error}"))?;
    let paths = document
        .get("paths")
        .and_then(Value::as_object)
        .ok_or("it has no `paths`")?;
    let declared: Vec<(String, String)> = paths
        .iter()
        .flat_map(|(path, operations)| {
            METHODS
                .iter()
                .filter(|method| operations.get(**method).is_some())
                .map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    if declared.is_empty() {
        return Err("it declares no route".to_owned());
    }
    Ok(declared)
}

/// The routes that an earlier one of the same method takes whole.
#[must_use]
pub fn shadowed(routes: &[(String, String)]) -> Vec<Shadowed> {
    let mut found = Vec::new();
    for (index, (method, path)) in routes.iter().enumerate() {
        let by = routes[..index]
            .iter()
            .find(|(other, template)| other == method && covers(template, path));
        if let Some((_, by)) = by {
            found.push(Shadowed {
                method: method.clone(),
                path: path.clone(),
                by: by.clone(),
            });
        }
    }
    found
}

/// Whether every path that matches `path` also matches the earlier `template`: segment by segment, a
/// parameter covers anything but a parameter that may hold slashes.
fn covers(template: &str, path: &str) -> bool {
    let mut earlier = template.split('/');
    let mut later = path.split('/');
    loop {
        match (earlier.next(), later.next()) {
            (None, None) => return template != path && template.contains('{'),
            // `{rest:path}` takes all that follows.
            (Some(segment), Some(_)) if segment.starts_with('{') && segment.ends_with(":path}") => {
                return true;
            }
            (Some(segment), Some(other)) if covers_segment(segment, other) => {}
            _ => return false,
        }
    }
}

fn covers_segment(segment: &str, other: &str) -> bool {
    if segment == other {
        return true;
    }
    let Some((prefix, rest)) = segment.split_once('{') else {
        return false;
    };
    let Some((_, suffix)) = rest.split_once('}') else {
        return false;
    };
    // More than one parameter in a segment is too clever to judge: not covered.
    if suffix.contains('{') || other.is_empty() {
        return false;
    }
    let whole = prefix.is_empty() && suffix.is_empty();
    whole
        || (!other.contains('{')
            && other.len() > prefix.len() + suffix.len()
            && other.starts_with(prefix)
            && other.ends_with(suffix))
}

/// The GET routes without parameters, for `--openapi`.
///
/// # Errors
/// The text is no OpenAPI document, or declares no path.
pub fn sweep(text: &[u8]) -> Result<Vec<Sweep>, String> {
    let declared = routes(text)?;
    let document: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let required = |owner: Option<&Value>| {
        owner
            .and_then(|owner| owner.get("parameters"))
            .and_then(Value::as_array)
            .is_some_and(|parameters| {
                parameters
                    .iter()
                    .any(|parameter| parameter.get("required") == Some(&Value::Bool(true)))
            })
    };
    Ok(declared
        .into_iter()
        .filter(|(method, path)| method == "GET" && !path.contains('{'))
        .filter_map(|(_, path)| {
            let item = document.get("paths")?.get(&path)?;
            let operation = item.get("get")?;
            if required(Some(item)) || required(Some(operation)) {
                return None;
            }
            let responses = operation.get("responses").and_then(Value::as_object);
            let statuses = responses
                .map(|all| all.keys().cloned().collect())
                .unwrap_or_default();
            let success =
                responses.and_then(|all| all.iter().find(|(status, _)| status.starts_with('2')));
            let media = success
                .and_then(|(_, response)| response.get("content"))
                .and_then(Value::as_object)
                .map(|content| content.keys().cloned().collect())
                .unwrap_or_default();
            Some(Sweep {
                path,
                statuses,
                media,
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(paths: &[&str], expected: &[(&str, &str)]) {
        let declared: Vec<_> = paths
            .iter()
            .map(|path| ("GET".to_owned(), (*path).to_owned()))
            .collect();
        let found = shadowed(&declared);
        let found: Vec<_> = found
            .iter()
            .map(|s| (s.path.as_str(), s.by.as_str()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_literal_behind_a_template_is_shadowed() {
        check(&["/s/{x}", "/s/report"], &[("/s/report", "/s/{x}")]);
        check(&["/s/report", "/s/{x}"], &[]);
        check(&["/s/{x}", "/s/{x}/insights"], &[]);
        check(&["/{a}/{b}", "/s/{x}"], &[("/s/{x}", "/{a}/{b}")]);
        check(
            &["/s/{x}.json", "/s/a.json", "/s/a.xml"],
            &[("/s/a.json", "/s/{x}.json")],
        );
        check(
            &["/{rest:path}", "/s/report"],
            &[("/s/report", "/{rest:path}")],
        );
        check(&["/s/{x}", "/s/"], &[]);
        check(&["/s/a", "/s/b"], &[]);
    }

    #[test]
    fn another_method_does_not_shadow() {
        let declared =
            routes(br#"{"paths": {"/s/{x}": {"post": {}}, "/s/report": {"get": {}}}}"#).unwrap();
        assert!(shadowed(&declared).is_empty());
    }

    #[test]
    fn what_is_no_document_is_said() {
        assert!(routes(b"<html>").is_err());
        assert!(routes(b"{}").is_err());
        assert!(routes(br#"{"paths": {}}"#).is_err());
    }

    #[test]
    fn a_sweep_asks_what_needs_no_parameters() {
        let text = br#"{"paths": {
            "/a": {"get": {"responses": {"200": {"content": {"application/json": {}}}}}},
            "/b": {"get": {"parameters": [{"name": "q", "required": true}]}},
            "/c/{x}": {"get": {}}, "/d": {"post": {}}}}"#;
        let found = sweep(text).unwrap();
        assert_eq!(
            found,
            [Sweep {
                path: "/a".into(),
                statuses: vec!["200".into()],
                media: vec!["application/json".into()]
            }]
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = sweep(&bytes).is_ok();
        }

        #[test]
        fn a_path_never_shadows_itself(path in "(/[a-z{}]{0,4}){1,4}") {
            prop_assert!(!covers(&path, &path));
        }
    }
}
