//! The OpenAPI document: shadowed routes, and the sweep over what it declares.

use gs_common::report::{Broken, Evidence, Place, Quantity};
use gs_common::verdict::Verdict;

use super::{Seen, World, http};
use crate::judge::{self, reason};
use crate::suite::model::{
    Check, Expect, HeaderAssertion, HeaderDemand, HttpProbe, Probe, RequestTemplate, RoutesProbe,
    StatusSet, Template,
};

/// So many shadowed paths are asked, to show what answers there.
const SHOWN: usize = 3;

pub(super) async fn routes(world: &World, check: &Check, probe: &RoutesProbe) -> Seen {
    let (document, mut seen) = match fetch(world, check, &probe.path.0).await {
        Ok(fetched) => fetched,
        Err(seen) => return *seen,
    };
    let declared = match document.and_then(|document| judge::routes(&document)) {
        Ok(declared) => declared,
        Err(why) => {
            let message = format!(
                "no routes to read from `{}`: {why}; shadowed routes were not looked for",
                probe.path.0
            );
            seen.broken = vec![judge::broken(Verdict::Warn, reason::NO_ROUTES, message)];
            return seen;
        }
    };
    seen.evidence = vec![Evidence {
        label: "routes".to_owned(),
        text: declared.len().to_string(),
    }];
    for shadowed in judge::shadowed(&declared) {
        let message = format!(
            "{} {} is never reached: `{}` is declared earlier and takes it",
            shadowed.method, shadowed.path, shadowed.by
        );
        seen.broken.push(Broken {
            observed: Some(Quantity::bare(shadowed.by.clone())),
            expected: Some(format!(
                "`{}` declared before `{}`",
                shadowed.path, shadowed.by
            )),
            ..judge::broken(check.severity, reason::SHADOWED_ROUTE, message)
        });
        let asked = seen.evidence.len() <= SHOWN
            && shadowed.method == "GET"
            && !shadowed.path.contains('{');
        if asked
            && let Ok(Ok(body)) = fetch(world, check, &shadowed.path)
                .await
                .map(|(body, _)| body)
        {
            let text = judge::excerpt(&body, 300);
            seen.evidence.push(Evidence {
                label: format!("GET {}", shadowed.path),
                text,
            });
        }
    }
    seen
}

/// The body of a 2xx answer, or why there is none.
async fn fetch(
    world: &World,
    check: &Check,
    path: &str,
) -> Result<(Result<bytes::Bytes, String>, Seen), Box<Seen>> {
    let request = get(path);
    let request = http::build(world, check, &request, &world.scope())
        .map_err(|broken| Box::new(Seen::broken(broken)))?;
    match world.client.send(&request).await {
        Err(failure) => Err(Box::new(world.failed(&failure, check.severity))),
        Ok(response) => {
            world.lived();
            let seen = Seen {
                phases: response.phases,
                ..Seen::default()
            };
            let status = response.status;
            if status.is_success() {
                Ok((Ok(response.body), seen))
            } else {
                Ok((Err(format!("status {}", status.as_u16())), seen))
            }
        }
    }
}

fn get(path: &str) -> RequestTemplate {
    RequestTemplate {
        method: "GET".to_owned(),
        path: Template(path.to_owned()),
        query: Vec::new(),
        headers: Vec::new(),
        body: None,
    }
}

/// The checks of `--openapi`: each GET without parameters answers a documented status, never 5xx,
/// with the declared content type and no error object.
///
/// # Errors
/// There is no document to make them of.
pub async fn openapi_checks(world: &World, like: &Check, path: &str) -> Result<Vec<Check>, Broken> {
    let fetched = match fetch(world, like, path).await {
        Ok((fetched, _)) => fetched,
        Err(mut seen) => return Err(seen.broken.remove(0)),
    };
    let swept = fetched
        .and_then(|document| judge::sweep(&document))
        .map_err(|why| {
            judge::broken(
                Verdict::Inconclusive,
                reason::NO_ROUTES,
                format!("no routes to read from `{path}`: {why}"),
            )
        })?;
    Ok(swept
        .into_iter()
        .map(|route| {
            let id = route
                .path
                .trim_matches('/')
                .replace(|c: char| !c.is_ascii_alphanumeric(), "-")
                .to_lowercase();
            let id = if id.is_empty() { "root".to_owned() } else { id };
            Check {
                id: format!("openapi.{id}"),
                title: format!("{} answers as documented", route.path),
                place: Place {
                    path: format!("built-in:{path}"),
                    line: None,
                },
                tags: vec!["openapi".to_owned()],
                needs: Vec::new(),
                captures: Vec::new(),
                known_failure: None,
                probe: Probe::Http(Box::new(HttpProbe {
                    request: get(&route.path),
                    expect: Expect {
                        status: documented(&route.statuses),
                        headers: media(&route.media, like.severity),
                        ..Expect::default()
                    },
                    samples: None,
                    shadowed_by: None,
                })),
                ..like.clone()
            }
        })
        .collect())
}

/// The documented statuses but for the server's own errors; without any, everything below 500.
fn documented(statuses: &[String]) -> StatusSet {
    let ranges: Vec<_> = statuses
        .iter()
        .filter_map(|status| match status.as_bytes() {
            [class @ b'1'..=b'4', b'X' | b'x', b'X' | b'x'] => {
                let first = u16::from(class - b'0') * 100;
                Some(first..=first + 99)
            }
            _ => status
                .parse::<u16>()
                .ok()
                .filter(|code| *code < 500)
                .map(|code| code..=code),
        })
        .collect();
    if ranges.is_empty() || statuses.iter().any(|status| status == "default") {
        return StatusSet(vec![200..=499]);
    }
    StatusSet(ranges)
}

fn media(documented: &[String], severity: Verdict) -> Vec<HeaderAssertion> {
    if documented.is_empty() {
        return Vec::new();
    }
    let any: Vec<String> = documented
        .iter()
        .map(|media| regex::escape(media).replace("\\*", "[^;]*"))
        .collect();
    let Ok(regex) = regex::Regex::new(&format!("(?i)^(?:{})\\s*(;|$)", any.join("|"))) else {
        return Vec::new();
    };
    vec![HeaderAssertion {
        name: "content-type".to_owned(),
        demand: HeaderDemand::Matches(regex),
        severity,
    }]
}
