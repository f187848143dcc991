//! What is sent: the headers that all requests of a persona bear, made ready once, and what a step adds.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONNECTION, COOKIE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use http_body_util::Full;

use super::world::World;
use crate::persona::template::{Draw, Missing};
use crate::persona::{Persona, Step};

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The headers that all requests of a persona bear.
#[derive(Debug)]
pub(crate) struct Standing {
    http1: HeaderMap,
    http2: HeaderMap,
}

impl Standing {
    /// Those of a persona, from those of all requests.
    pub(crate) fn new(shared: &HeaderMap, persona: &Persona) -> Self {
        let mut http1 = shared.clone();
        // Nothing said would mean that any is welcome (RFC 9110, section 12.5.3).
        http1
            .entry(ACCEPT_ENCODING)
            .or_insert(match persona.compression {
                Some(true) => HeaderValue::from_static("gzip, deflate"),
                _ => HeaderValue::from_static("identity"),
            });
        // Its place is taken, so that no request has to make room for it.
        http1.insert(&TRACEPARENT, HeaderValue::from_static(""));
        let mut http2 = http1.clone();
        http2.remove(HOST);
        Self { http1, http2 }
    }
}

/// A step with its templates filled.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    step: &'a Step,
    target: PathAndQuery,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl<'a> Message<'a> {
    /// Fills the templates of a step; why that cannot be done.
    pub(crate) fn new(step: &'a Step, draw: &mut Draw<'_>) -> Result<Self, String> {
        let missing = |Missing(_)| "an earlier step did not give a value".to_owned();
        let target = step.target.fill(draw).map_err(|error| error.to_string())?;
        let mut headers = Vec::with_capacity(step.headers.len());
        for (name, template) in &step.headers {
            let mut value = String::new();
            template.fill(draw, &mut value).map_err(missing)?;
            let value = HeaderValue::try_from(value).map_err(|_| {
                format!("the value of `{name}` has a character that a header cannot hold")
            })?;
            headers.push((name.clone(), value));
        }
        let mut body = String::new();
        if let Some(template) = &step.body {
            template.fill(draw, &mut body).map_err(missing)?;
        }
        Ok(Self {
            step,
            target,
            headers,
            body: body.into(),
        })
    }

    /// Method and target, for people.
    pub(crate) fn shown(&self) -> String {
        format!("{} {}", self.step.method, self.target)
    }

    /// The request of a persona, by its index, with the user's cookies; why there is none.
    pub(crate) fn request(
        &self,
        world: &World,
        persona: usize,
        cookies: &[(String, String)],
        trace: u128,
        http2: bool,
    ) -> Result<http::Request<Full<Bytes>>, String> {
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.step.method.clone();
        // HTTP/2 wants whole URLs.
        let mut parts = http::uri::Parts::default();
        if http2 {
            parts.scheme = world.origin.scheme().cloned();
            parts.authority = world.origin.authority().cloned();
        }
        parts.path_and_query = Some(self.target.clone());
        *request.uri_mut() = Uri::from_parts(parts).map_err(|error| error.to_string())?;
        let standing = &world.standing[persona];
        let headers = request.headers_mut();
        headers.clone_from(if http2 {
            &standing.http2
        } else {
            &standing.http1
        });
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        if let Ok(value) = HeaderValue::from_bytes(&traceparent(trace)) {
            headers.insert(&TRACEPARENT, value);
        }
        if !cookies.is_empty() {
            let pairs: Vec<String> = cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            if let Ok(value) = HeaderValue::try_from(pairs.join("; ")) {
                headers.insert(COOKIE, value);
            }
        }
        if !world.plan.keep_alive && !http2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(request)
    }
}

/// W3C Trace Context, level 1: version, trace, span, sampled. The span has the trace's low half, which
/// counts up from 0, plus one: a span of zeros is not allowed.
fn traceparent(trace: u128) -> [u8; 55] {
    let mut text = *b"00-rrrrrrrrrrrrrrrrnnnnnnnnnnnnnnnn-ssssssssssssssss-01";
    let number = trace as u64;
    hexadecimal((trace >> 64) as u64, &mut text[3..19]);
    hexadecimal(number, &mut text[19..35]);
    hexadecimal(number.wrapping_add(1).max(1), &mut text[36..52]);
    text
}

/// Fills a text with the digits of a number.
fn hexadecimal(mut number: u64, text: &mut [u8]) {
    for place in text.iter_mut().rev() {
        *place = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_traceparent_is_well_formed(trace: u128) {
            let span = (trace as u64).wrapping_add(1).max(1);
            let text = traceparent(trace).to_vec();
            prop_assert_eq!(text, format!("00-{trace:032x}-{span:016x}-01").into_bytes());
        }
    }

    #[test]
    fn no_span_is_of_zeros() {
        let last = traceparent(u128::from(u64::MAX));
        assert_eq!(&last[36..52], b"0000000000000001");
    }
}
