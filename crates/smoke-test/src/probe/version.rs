//! The version gate: the same question over fresh connections, all at once.

use std::sync::Arc;

use gs_common::http::Request;
use gs_common::report::Evidence;
use gs_common::verdict::Verdict;
use tokio::task::JoinSet;

use super::{Seen, World, http};
use crate::judge::{self, Spread, reason};
use crate::suite::model::{Check, RequestTemplate, Template, VersionProbe};

/// So many connections are open at once.
const AT_ONCE: usize = 8;

pub(super) async fn version(world: &World, check: &Check, probe: &VersionProbe) -> Seen {
    let scope = world.scope();
    let expected = match world.fill(&probe.expect, &scope) {
        Ok(expected) => expected,
        Err(broken) => return Seen::broken(broken),
    };
    let request = match build(world, check, &probe.path.0) {
        Ok(request) => request,
        Err(broken) => return Seen::broken(*broken),
    };
    let request = Arc::new(Request {
        fresh: true,
        ..request
    });
    let mut spread = Spread::default();
    let mut open = JoinSet::new();
    let mut sent = 0;
    let mut last_failure = None;
    let mut last_response = None;
    loop {
        while sent < probe.matches && open.len() < AT_ONCE {
            let (client, request) = (world.client.clone(), Arc::clone(&request));
            open.spawn(async move { client.send(&request).await });
            sent += 1;
        }
        match open.join_next().await {
            None => break,
            Some(Ok(Ok(response))) => {
                world.lived();
                spread.count(judge::seen_version(&probe.source, &response));
                last_response = Some(response);
            }
            Some(Ok(Err(failure))) => {
                last_failure = Some(failure);
                // A service that does not answer is told as such, not asked for the rest.
                if spread.answers() == 0 {
                    break;
                }
                spread.count(Err("no answer".to_owned()));
            }
            Some(Err(_)) => {}
        }
    }
    if let (0, Some(failure)) = (spread.answers(), &last_failure) {
        return world.failed(failure, check.severity);
    }
    let judged = judge::version(&spread, &expected, probe.matches, check.severity);
    let mut seen = Seen {
        phases: last_response
            .as_ref()
            .map(|response| response.phases)
            .unwrap_or_default(),
        evidence: vec![Evidence {
            label: "versions seen".to_owned(),
            text: spread.to_string(),
        }],
        worth_a_retry: false,
        ..Seen::default()
    };
    seen.facts
        .insert("versions".to_owned(), spread.to_string().into());
    if judged.is_none() {
        seen.evidence.push(Evidence {
            label: "certainty".to_owned(),
            text: judge::certainty(probe.matches),
        });
    } else if let Some(response) = &last_response {
        seen.evidence.push(Evidence {
            label: "body".to_owned(),
            text: judge::excerpt(&response.body, http::EXCERPT),
        });
    }
    seen.broken.extend(judged);
    if let Some(wanted) = &probe.max_uptime {
        match build(world, check, &wanted.path) {
            Err(broken) => seen.broken.push(*broken),
            Ok(request) => match world.client.send(&request).await {
                Ok(response) => {
                    seen.broken
                        .extend(judge::uptime(wanted, &response, check.severity))
                }
                Err(failure) => seen.broken.push(judge::failure(&failure)),
            },
        }
    }
    seen
}

fn build(
    world: &World,
    check: &Check,
    path: &str,
) -> Result<Request, Box<gs_common::report::Broken>> {
    let template = RequestTemplate {
        method: "GET".to_owned(),
        path: Template(path.to_owned()),
        query: Vec::new(),
        headers: Vec::new(),
        body: None,
    };
    let scope = world.scope();
    http::build(world, check, &template, &scope).map_err(|broken| {
        let verdict = broken.verdict.max(Verdict::Inconclusive);
        Box::new(judge::broken(verdict, reason::NOT_RUN, broken.message))
    })
}
