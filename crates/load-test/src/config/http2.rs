//! Whether HTTP/2 is spoken, and how many requests share a connection.

use gs_common::config::{ConfigError, Settings};
use url::Url;

use super::number;
use crate::args::ConnectionArgs;

/// What is meant.
pub(super) struct Http2 {
    /// Offer it over TLS.
    pub(super) offered: bool,
    /// Speak it over plain http without asking.
    pub(super) prior_knowledge: bool,
    /// Requests on one connection at the same time.
    pub(super) streams: usize,
    /// What deserves a look.
    pub(super) warning: Option<&'static str>,
}

pub(super) fn http2(
    set: &mut Settings<'_>,
    args: &ConnectionArgs,
    target: Option<&Url>,
    keep_alive: bool,
) -> Result<Http2, ConfigError> {
    let prior_knowledge = set.switch("http2-prior-knowledge", args.http2_prior_knowledge)?;
    let offered = set.switch("http2", args.http2)? || prior_knowledge;
    let streams = set.value("streams", args.streams.as_deref(), "1", |text| {
        number(text, 1, 1000)
    })?;
    if streams > 1 {
        let wrong = |why: &str| ConfigError::new(format!("--streams {streams}: {why}"));
        if !offered {
            return Err(
                wrong("only HTTP/2 carries several requests at the same time")
                    .hint("add --http2, or --http2-prior-knowledge for plain http"),
            );
        }
        if !prior_knowledge && target.is_some_and(|url| url.scheme() == "http") {
            return Err(wrong("over plain http nobody agrees on HTTP/2")
                .hint("add --http2-prior-knowledge if the target speaks it"));
        }
        if !keep_alive {
            return Err(wrong(
                "--no-keep-alive opens a connection for every request, so none is shared",
            )
            .hint("leave one of the two away"));
        }
    }
    // The report must not speak of a protocol that cannot be.
    let in_vain = offered && !prior_knowledge && target.is_some_and(|url| url.scheme() == "http");
    Ok(Http2 {
        offered: offered && !in_vain,
        warning: in_vain.then_some(
            "--http2 means nothing over plain http, where nobody agrees on it: --http2-prior-knowledge speaks it without asking",
        ),
        prior_knowledge,
        streams: streams as usize,
    })
}
