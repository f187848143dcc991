//! A curl command line as a suite of one check.

use gs_common::config::{ConfigError, did_you_mean};
use gs_common::units::show_duration;
use std::time::Duration;
use url::Url;

use super::draft::Draft;
use super::shell::words;
use super::toml_text::quoted;
use super::{
    Body, Found, Learnt, Part, basic_authorization, credentials, header_part, query_parts,
};

/// What an option of curl is to a suite.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Effect {
    /// It makes the request what it is, and is followed by a value.
    Request,
    /// The same, without a value.
    Switch,
    /// It changes what curl prints and nothing that is sent.
    Prints,
    /// The same, with a value.
    PrintsTo,
    /// It is of the connection, and so of the run: this option of `smoke-test` does the same.
    Run(&'static str),
    /// The same, with a value.
    RunWith(&'static str),
}

use Effect::{Prints, PrintsTo, Request, Run, RunWith, Switch};

const OPTIONS: [(Option<char>, &str, Effect); 51] = [
    (Some('X'), "request", Request),
    (Some('H'), "header", Request),
    (Some('d'), "data", Request),
    (None, "data-ascii", Request),
    (None, "data-raw", Request),
    (None, "data-binary", Request),
    (None, "data-urlencode", Request),
    (None, "json", Request),
    (Some('u'), "user", Request),
    (Some('A'), "user-agent", Request),
    (Some('e'), "referer", Request),
    (Some('b'), "cookie", Request),
    (None, "oauth2-bearer", Request),
    (None, "url", Request),
    (Some('m'), "max-time", Request),
    (None, "retry", Request),
    (Some('G'), "get", Switch),
    (Some('I'), "head", Switch),
    (Some('L'), "location", Switch),
    (Some('g'), "globoff", Switch),
    (None, "basic", Prints),
    (Some('f'), "fail", Prints),
    (None, "fail-with-body", Prints),
    (Some('s'), "silent", Prints),
    (Some('S'), "show-error", Prints),
    (Some('i'), "include", Prints),
    (None, "show-headers", Prints),
    (Some('v'), "verbose", Prints),
    (Some('#'), "progress-bar", Prints),
    (None, "no-progress-meter", Prints),
    (Some('N'), "no-buffer", Prints),
    (Some('O'), "remote-name", Prints),
    (None, "compressed", Prints),
    (Some('q'), "disable", Prints),
    (Some('o'), "output", PrintsTo),
    (Some('D'), "dump-header", PrintsTo),
    (Some('w'), "write-out", PrintsTo),
    (None, "stderr", PrintsTo),
    (None, "trace-ascii", PrintsTo),
    (Some('k'), "insecure", Run("--insecure")),
    (None, "http1.1", Run("--http1")),
    (None, "http2", Run("HTTP/2, the default")),
    (None, "cacert", RunWith("--cacert")),
    (Some('E'), "cert", RunWith("--cert")),
    (None, "key", RunWith("--key")),
    (None, "resolve", RunWith("--resolve")),
    (None, "connect-to", RunWith("--connect-to")),
    (Some('x'), "proxy", RunWith("--proxy")),
    (None, "noproxy", RunWith("--no-proxy")),
    (None, "connect-timeout", RunWith("--timeout")),
    (None, "retry-max-time", RunWith("--deadline")),
];

/// Makes a suite of a curl command line.
///
/// # Errors
/// It is no curl command line, or has an option that is not understood: nothing is left out silently.
pub fn curl(line: &str) -> Result<String, ConfigError> {
    let words = words(line).map_err(error)?;
    let mut words = words.into_iter().skip_while(|word| word == "$");
    if words.next().is_none_or(|word| word != "curl") {
        return Err(
            error("the line does not start with `curl`").hint("put the whole command in quotes")
        );
    }
    let mut command = Command::default();
    command.read(&mut words)?;
    command.finish()
}

// What was typed may hold secrets, and is not repeated but for the names of options.
fn error(message: impl AsRef<str>) -> ConfigError {
    ConfigError::new(format!("--curl: {}", message.as_ref()))
}

#[derive(Default)]
struct Command {
    draft: Draft,
    url: Option<String>,
    method: Option<String>,
    headers: Vec<(String, Part)>,
    data: Vec<String>,
    file: Option<String>,
    json: bool,
    get: bool,
    head: bool,
    globs_are_text: bool,
    more: Vec<String>,
}

impl Command {
    fn read(&mut self, words: &mut dyn Iterator<Item = String>) -> Result<(), ConfigError> {
        while let Some(word) = words.next() {
            if let Some(name) = word.strip_prefix("--") {
                let (_, name, effect) = long(name)?;
                let value = value_of(name, effect, None, words)?;
                self.option(name, effect, value)?;
            } else if let Some(mut letters) =
                word.strip_prefix('-').filter(|letters| !letters.is_empty())
            {
                while let Some(letter) = letters.chars().next() {
                    letters = &letters[letter.len_utf8()..];
                    let (_, name, effect) = short(letter)?;
                    let attached = if takes_value(effect) {
                        std::mem::take(&mut letters)
                    } else {
                        ""
                    };
                    let value = value_of(
                        name,
                        effect,
                        Some(attached).filter(|text| !text.is_empty()),
                        words,
                    )?;
                    self.option(name, effect, value)?;
                }
            } else {
                self.url(word)?;
            }
        }
        Ok(())
    }

    fn url(&mut self, word: String) -> Result<(), ConfigError> {
        match self.url.replace(word) {
            Some(_) => {
                Err(error("there is more than one URL in the line").hint("import them one by one"))
            }
            None => Ok(()),
        }
    }

    fn option(
        &mut self,
        name: &'static str,
        effect: Effect,
        value: String,
    ) -> Result<(), ConfigError> {
        match (name, effect) {
            (_, Prints | PrintsTo) => {}
            (_, Run(ours) | RunWith(ours)) => self.draft.note(format!("`--{name}` belongs to the run, not to the suite (smoke-test: {ours})")),
            ("get", _) => self.get = true,
            ("head", _) => self.head = true,
            ("globoff", _) => self.globs_are_text = true,
            ("location", _) => self.draft.note("redirects (`--location`) are not followed: where one comes, write its status into `expect`"),
            ("request", _) => self.method = Some(value.to_ascii_uppercase()),
            ("url", _) => self.url(value)?,
            ("header", _) => self.header(&value)?,
            ("user-agent", _) => self.set("user-agent", &value),
            ("referer", _) => self.set("referer", &value),
            ("cookie", _) if !value.contains('=') => {
                return Err(error("`--cookie FILE` reads a file").hint("write the cookie itself: `--cookie NAME=VALUE`"));
            }
            ("cookie", _) => self.set("cookie", &value),
            ("oauth2-bearer", _) => self.set("authorization", &format!("Bearer {value}")),
            ("user", _) => {
                let (user, password) = value
                    .split_once(':')
                    .ok_or_else(|| error("`--user` has no password, and curl would ask for it").hint("write `--user NAME:PASSWORD`; it is left out of the suite"))?;
                self.headers.push(basic_authorization(user, password));
            }
            ("max-time", _) => {
                let time = value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                let time = time.filter(|time| *time >= Duration::from_millis(1) && time.as_secs() < 86_400);
                let time = time.ok_or_else(|| error("`--max-time` wants a number of seconds"))?;
                let shown = show_duration(Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)));
                self.more.push(format!("timeout = {}", quoted(&shown)));
            }
            ("retry", _) => {
                let retries = value.parse::<u8>().ok().filter(|retries| *retries <= 100);
                let retries = retries.ok_or_else(|| error("`--retry` wants a number of at most 100"))?;
                self.more.push(format!("retry = {{ retries = {retries} }}"));
            }
            (_, Request | Switch) => self.data(name, value)?,
        }
        Ok(())
    }

    fn header(&mut self, text: &str) -> Result<(), ConfigError> {
        if text.starts_with('@') {
            return Err(error("`--header @FILE` reads a file").hint("write the headers themselves"));
        }
        if let Some(name) = text.strip_suffix(';').filter(|name| !name.contains(':')) {
            self.headers
                .push((name_of(name)?, Part::Plain(String::new())));
            return Ok(());
        }
        let (name, value) = text
            .split_once(':')
            .ok_or_else(|| error("a header has no `:`"))?;
        let (name, value) = (name_of(name)?, value.trim());
        match name.as_str() {
            // curl takes this for "send no such header", and no such header is what we send.
            _ if value.is_empty() => {}
            "content-length" | "connection" | "accept-encoding" | "transfer-encoding" => {
                self.draft.note(format!(
                    "the header `{name}` is the connection's own business, and was left out"
                ));
            }
            "host" => self.draft.note(
                "the header `host` belongs to the run, not to the suite (smoke-test: --host)",
            ),
            name if name.starts_with("sec-") || name == "priority" => {
                self.draft.note("the headers by which browsers speak of themselves (`sec-*`, `priority`) were left out");
            }
            name => self.set(name, value),
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(other, _)| other != name);
        self.headers
            .push((name.to_owned(), header_part(name, value)));
    }

    fn data(&mut self, name: &str, value: String) -> Result<(), ConfigError> {
        self.json |= name == "json";
        if let Some(file) = value.strip_prefix('@').filter(|_| name != "data-raw") {
            if name == "data-urlencode"
                || file == "-"
                || !self.data.is_empty()
                || self.file.is_some()
            {
                return Err(error(format!("`--{name} @FILE` is not understood here"))
                    .hint("name one file for the body, or write the body itself"));
            }
            self.draft.note("the body stands in a file, relative to the suite; curl's `--data` would drop its line ends");
            self.file = Some(file.to_owned());
            return Ok(());
        }
        if self.file.is_some() {
            return Err(error("the body is a file and a text").hint("keep one of them"));
        }
        self.data.push(match (name, value.split_once('=')) {
            ("data-urlencode", Some((name, text))) => {
                let separator = if name.is_empty() { "" } else { "=" };
                format!("{name}{separator}{}", crate::suite::template::encoded(text))
            }
            ("data-urlencode", None) if value.contains('@') => {
                return Err(error("`--data-urlencode NAME@FILE` is not understood here")
                    .hint("write the value itself"));
            }
            ("data-urlencode", None) => crate::suite::template::encoded(&value),
            _ => value,
        });
        Ok(())
    }

    fn finish(mut self) -> Result<String, ConfigError> {
        let url = self
            .url
            .take()
            .ok_or_else(|| error("there is no URL in the line"))?;
        let url = if url.contains("://") {
            url
        } else {
            format!("http://{url}")
        };
        let after_host = url.splitn(4, '/').nth(3).unwrap_or_default();
        if !self.globs_are_text && after_host.contains(['{', '[']) {
            return Err(error("curl makes several URLs of `{a,b}` and `[1-3]`")
                .hint("import them one by one, or add `--globoff`"));
        }
        let url = Url::parse(&url).map_err(|why| error(format!("the URL is none: {why}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(error(format!("`{}` is no scheme of the web", url.scheme()))
                .hint("http and https are spoken here"));
        }
        if self.headers.iter().all(|(name, _)| name != "authorization") {
            self.headers.extend(credentials(&url));
        }
        let mut query = query_parts(url.query().unwrap_or_default());
        let mut body = match self.file.take() {
            Some(file) => Some(Body::File(file)),
            None if self.data.is_empty() => None,
            None => Some(self.text_body()),
        };
        if self.get
            && let Some(Body::Text { text, .. }) =
                body.take_if(|body| matches!(body, Body::Text { .. }))
        {
            query.extend(query_parts(&text));
        }
        let method = self.method.take().unwrap_or_else(|| {
            let word = if self.head {
                "HEAD"
            } else if body.is_some() {
                "POST"
            } else {
                "GET"
            };
            word.to_owned()
        });
        if http::Method::from_bytes(method.as_bytes()).is_err() {
            return Err(error("`--request` names no method"));
        }
        let wants_json = self.json
            || self.headers.iter().any(|(name, value)| {
                name == "accept" && matches!(value, Part::Plain(text) if text.contains("json"))
            });
        let expect = Learnt {
            status: if matches!(method.as_str(), "GET" | "HEAD") {
                "200"
            } else {
                "\"2xx\""
            }
            .to_owned(),
            kinds: if wants_json && method != "HEAD" {
                vec!["object", "array"]
            } else {
                Vec::new()
            },
            ..Learnt::default()
        };
        let found = Found {
            method,
            path: url.path().to_owned(),
            query,
            headers: self.headers,
            body,
            expect,
            more: self.more,
        };
        self.draft.add(found);
        self.draft.finish(
            "a curl command line",
            Some(&url.origin().ascii_serialization()),
        )
    }

    /// The data as curl joins it, with the media type that curl would say.
    fn text_body(&mut self) -> Body {
        let text = self.data.join(if self.json { "" } else { "&" });
        let own = self.headers.iter().find_map(|(name, value)| match value {
            Part::Plain(media) if name == "content-type" => Some(media.to_ascii_lowercase()),
            _ => None,
        });
        let media = own.clone().unwrap_or_else(|| {
            if self.json {
                "application/json"
            } else {
                "application/x-www-form-urlencoded"
            }
            .to_owned()
        });
        if own.is_none() && !self.get {
            self.set("content-type", &media);
        }
        if self.json && self.headers.iter().all(|(name, _)| name != "accept") {
            self.set("accept", "application/json");
        }
        Body::Text { media, text }
    }
}

fn name_of(name: &str) -> Result<String, ConfigError> {
    let name = name.trim().to_ascii_lowercase();
    match http::HeaderName::from_bytes(name.as_bytes()) {
        Ok(_) => Ok(name),
        Err(_) => Err(error(
            "a header's name has characters that no header can have",
        )),
    }
}

fn takes_value(effect: Effect) -> bool {
    matches!(effect, Request | PrintsTo | RunWith(_))
}

fn value_of(
    name: &str,
    effect: Effect,
    attached: Option<&str>,
    words: &mut dyn Iterator<Item = String>,
) -> Result<String, ConfigError> {
    if !takes_value(effect) {
        return Ok(String::new());
    }
    let value = attached.map(str::to_owned).or_else(|| words.next());
    value.ok_or_else(|| error(format!("`--{name}` has no value")))
}

fn long(name: &str) -> Result<(Option<char>, &'static str, Effect), ConfigError> {
    OPTIONS
        .into_iter()
        .find(|(_, long, _)| *long == name)
        .ok_or_else(|| {
            // After a `=` may stand a secret.
            let name = name.split('=').next().unwrap_or_default();
            let complaint = error(format!("the option `--{name}` is not understood"));
            match did_you_mean(name, OPTIONS.iter().map(|(_, long, _)| *long)) {
                Some(word) if word == name => {
                    complaint.hint("part the option and its value by a blank, as curl wants it")
                }
                Some(word) => complaint.hint(format!(
                    "did you mean `--{word}`? Otherwise take it out, or write the check by hand"
                )),
                None => complaint.hint("take it out, or write the check by hand"),
            }
        })
}

fn short(letter: char) -> Result<(Option<char>, &'static str, Effect), ConfigError> {
    OPTIONS
        .into_iter()
        .find(|(short, _, _)| *short == Some(letter))
        .ok_or_else(|| {
            error(format!(
                "the option `-{}` is not understood",
                letter.escape_default()
            ))
            .hint("take it out, or write the check by hand")
        })
}
