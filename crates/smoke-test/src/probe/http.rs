//! Requests: one, or several samples of it.

use std::time::Duration;

use gs_common::backoff::retry_after;
use gs_common::http::{Request, Response};
use gs_common::redact::is_sensitive_header;
use gs_common::report::{Broken, Evidence, millis};
use gs_common::verdict::Verdict;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;

use super::{Seen, World};
use crate::diff::shape;
use crate::judge::{self, Answer, reason};
use crate::suite::Scope;
use crate::suite::model::{CertificateProbe, Check, HttpProbe, RequestTemplate};

/// So much of a body is shown.
pub(super) const EXCERPT: usize = 2048;

/// Headers that tell whom to ask.
const TELLING: [&str; 8] = [
    "content-type",
    "x-request-id",
    "x-correlation-id",
    "x-amzn-trace-id",
    "traceparent",
    "server",
    "location",
    "retry-after",
];

pub(super) async fn request(world: &World, check: &Check, probe: &HttpProbe) -> Seen {
    let scope = world.scope();
    let request = match build(world, check, &probe.request, &scope) {
        Ok(request) => request,
        Err(broken) => return Seen::broken(broken),
    };
    let mut totals: Vec<Duration> = Vec::new();
    let mut first: Option<Response> = None;
    for _ in 0..probe.samples.map_or(1, |samples| samples.count) {
        match world.client.send(&request).await {
            Ok(response) => {
                world.lived();
                totals.push(response.phases.total);
                first.get_or_insert(response);
            }
            Err(failure) => return world.failed(&failure, check.severity),
        }
    }
    let Some(response) = first else {
        return Seen::broken(judge::broken(
            Verdict::Inconclusive,
            reason::NOT_RUN,
            "no request was sent",
        ));
    };
    let answer = Answer {
        response: &response,
        totals: &totals,
        scope: &scope,
        now: Timestamp::now(),
    };
    let broken = judge::answer(
        &probe.expect,
        probe.shadowed_by.as_ref(),
        check.severity,
        answer,
    );
    let mut seen = Seen {
        broken,
        phases: response.phases,
        evidence: evidence(&response, &totals),
        ..Seen::default()
    };
    seen.worth_a_retry = judge::status_is_worth_a_retry(response.status.as_u16());
    let header = response
        .headers
        .get(http::header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    seen.retry_after = header.and_then(|header| retry_after(header, answer.now));
    facts(&mut seen, &response);
    if seen.verdict() < Verdict::Inconclusive {
        capture(world, check, &response, &mut seen);
    }
    seen
}

/// Builds what is sent.
pub(super) fn build(
    world: &World,
    check: &Check,
    template: &RequestTemplate,
    scope: &Scope,
) -> Result<Request, Broken> {
    let wrong = |what: String| judge::broken(Verdict::Inconclusive, reason::NOT_RUN, what);
    let mut url = world.address(&world.fill(&template.path, scope)?)?;
    for (name, value) in &template.query {
        let value = world.fill(value, scope)?;
        url.query_pairs_mut().append_pair(name, &value);
    }
    let mut headers = HeaderMap::new();
    headers.insert(
        "x-smoke-test",
        HeaderValue::try_from(&world.run_id).map_err(|error| wrong(error.to_string()))?,
    );
    for (name, value) in &template.headers {
        let value = world.fill(value, scope)?;
        set(&mut headers, name, &value).map_err(wrong)?;
    }
    for (name, value) in &world.secret_headers {
        headers.insert(name, value.clone());
    }
    let body = match &template.body {
        Some(template) => world.fill(template, scope)?,
        None => String::new(),
    };
    Ok(Request {
        method: Method::from_bytes(template.method.as_bytes())
            .map_err(|error| wrong(error.to_string()))?,
        url,
        headers,
        body: body.into(),
        limits: world.limits(check),
        fresh: false,
    })
}

/// Sets a header; the error does not repeat the value.
pub(super) fn set(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    let value = HeaderValue::from_str(value).map_err(|_| {
        format!("the value of the header `{name}` has characters that no header can have")
    })?;
    let name = HeaderName::try_from(name).map_err(|_| format!("`{name}` is no header's name"))?;
    headers.insert(name, value);
    Ok(())
}

/// What the answer shows of itself.
fn evidence(response: &Response, totals: &[Duration]) -> Vec<Evidence> {
    let mut evidence = vec![Evidence {
        label: "status".to_owned(),
        text: response.status.to_string(),
    }];
    evidence.extend(telling_headers(&response.headers));
    if let Some(remote) = response.connection.remote {
        let reused = if response.connection.reused {
            ", reused connection"
        } else {
            ""
        };
        evidence.push(Evidence {
            label: "remote".to_owned(),
            text: format!("{remote}{reused}"),
        });
    }
    if totals.len() > 1 {
        let shown: Vec<String> = totals
            .iter()
            .map(|total| format!("{:.1}", millis(*total)))
            .collect();
        evidence.push(Evidence {
            label: "samples".to_owned(),
            text: format!("{} ms", shown.join(", ")),
        });
    }
    if !response.body.is_empty() {
        evidence.push(Evidence {
            label: "body".to_owned(),
            text: judge::excerpt(&response.body, EXCERPT),
        });
    }
    evidence
}

/// The headers that tell whom to ask, and none that holds a secret.
pub(super) fn telling_headers(headers: &HeaderMap) -> Vec<Evidence> {
    TELLING
        .iter()
        .filter(|name| !is_sensitive_header(name))
        .filter_map(|name| {
            let value = headers.get(*name)?;
            let text = judge::one_line(&String::from_utf8_lossy(value.as_bytes()));
            let label = if name.contains("request-id") {
                "request id"
            } else {
                name
            };
            Some(Evidence {
                label: label.to_owned(),
                text,
            })
        })
        .collect()
}

/// What `diff` compares of two runs.
fn facts(seen: &mut Seen, response: &Response) {
    seen.facts
        .insert("status".to_owned(), response.status.as_u16().into());
    let media = response
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    seen.facts.insert("content_type".to_owned(), media.into());
    seen.facts
        .insert("total_ms".to_owned(), millis(response.phases.total).into());
    if let Ok(document) = serde_json::from_slice(&response.body) {
        seen.facts
            .insert("shape".to_owned(), shape(&document).into());
    }
}

fn capture(world: &World, check: &Check, response: &Response, seen: &mut Seen) {
    for wanted in &check.captures {
        match judge::capture(wanted, response) {
            Ok(value) => keep(world, seen, &wanted.name, value, wanted.secret),
            Err(broken) => seen.broken.push(broken),
        }
    }
    seen.broken = judge::ranked(std::mem::take(&mut seen.broken));
}

/// Keeps a captured value. A secret is hidden before anything can show it.
pub(super) fn keep(world: &World, seen: &mut Seen, name: &str, value: String, secret: bool) {
    if secret && let Err(error) = world.redactor.add(name, &value) {
        seen.broken.push(judge::broken(
            Verdict::Fail,
            reason::CAPTURE,
            error.to_string(),
        ));
        // What cannot be hidden is not shown either.
        seen.evidence.retain(|evidence| evidence.label != "body");
        return;
    }
    seen.captured.push((name.to_owned(), value, secret));
}

pub(super) async fn certificate(world: &World, check: &Check, probe: &CertificateProbe) -> Seen {
    match world.client.open(&world.url, world.limits(check)).await {
        Err(failure) => world.failed(&failure, check.severity),
        Ok((_, connection, phases)) => {
            world.lived();
            let Some(tls) = &connection.tls else {
                return Seen::broken(judge::broken(
                    Verdict::Inconclusive,
                    reason::CERTIFICATE,
                    "the target speaks no TLS",
                ));
            };
            let broken = judge::certificate(probe, tls, check.severity, Timestamp::now());
            let mut evidence = vec![Evidence {
                label: "TLS".to_owned(),
                text: tls.version.clone(),
            }];
            if let Some(shown) = &tls.certificate {
                let text = format!(
                    "for {}, by {}, until {}",
                    shown.names.join(", "),
                    shown.issuer,
                    shown.not_after
                );
                evidence.push(Evidence {
                    label: "shown".to_owned(),
                    text,
                });
            }
            Seen {
                broken,
                phases,
                evidence,
                ..Seen::default()
            }
        }
    }
}
