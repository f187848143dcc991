//! One line to paste into a shell. Secrets are masked where all output is; here they are left out
//! by name where a variable holds them.

use crate::config::Config;
use crate::probe::World;
use crate::suite::Scope;
use crate::suite::model::{Check, Probe, RequestTemplate, Step, Template};

/// The line for a check; `None` where no single command asks the same.
pub(crate) fn line(config: &Config, world: &World, check: &Check) -> Option<String> {
    let scope = world.scope();
    match &check.probe {
        Probe::Http(probe) => curl(config, world, &probe.request, &scope),
        Probe::Routes(probe) => curl(config, world, &get(&probe.path), &scope),
        Probe::Version(probe) => curl(config, world, &get(&probe.path), &scope),
        Probe::Certificate(_) => {
            let host = world.url.host_str()?;
            let port = world.url.port_or_known_default()?;
            let name = config.client.sni.as_deref().unwrap_or(host);
            Some(format!(
                "openssl s_client -connect {} -servername {} </dev/null | openssl x509 -noout -dates -ext subjectAltName",
                quoted(&format!("{host}:{port}")),
                quoted(name)
            ))
        }
        Probe::WebSocket(probe) => {
            let mut url = world.url.join(&probe.path.fill(&scope).ok()?).ok()?;
            let _ = url.set_scheme(if url.scheme() == "https" { "wss" } else { "ws" });
            let sent: Vec<String> = probe
                .steps
                .iter()
                .filter_map(|step| match step {
                    Step::SendText(text) => text.fill(&scope).ok().map(|text| quoted(&text)),
                    _ => None,
                })
                .collect();
            let insecure = if config.client.tls.insecure {
                " -k"
            } else {
                ""
            };
            let headers: String = secret_headers(config)
                .chain(
                    probe
                        .headers
                        .iter()
                        .filter_map(|(name, value)| Some((name.clone(), value.fill(&scope).ok()?))),
                )
                .map(|(name, value)| format!(" -H {}", quoted(&format!("{name}: {value}"))))
                .collect();
            let input = if sent.is_empty() {
                String::new()
            } else {
                format!("printf '%s\\n' {} | ", sent.join(" "))
            };
            Some(format!(
                "{input}websocat --no-close{insecure}{headers} {}",
                quoted(url.as_str())
            ))
        }
    }
}

fn get(path: &Template) -> RequestTemplate {
    RequestTemplate {
        method: "GET".to_owned(),
        path: path.clone(),
        query: Vec::new(),
        headers: Vec::new(),
        body: None,
    }
}

fn secret_headers(config: &Config) -> impl Iterator<Item = (String, String)> {
    config
        .secret_headers
        .iter()
        .map(|(name, _)| (name.to_string(), "***".to_owned()))
}

fn curl(
    config: &Config,
    world: &World,
    request: &RequestTemplate,
    scope: &Scope,
) -> Option<String> {
    let mut url = world.url.join(&request.path.fill(scope).ok()?).ok()?;
    for (name, value) in &request.query {
        url.query_pairs_mut()
            .append_pair(name, &value.fill(scope).ok()?);
    }
    let mut line = "curl -sS -i".to_owned();
    if request.method != "GET" {
        line.push_str(&format!(" -X {}", quoted(&request.method)));
    }
    let client = &config.client;
    for rule in config
        .rows
        .iter()
        .filter(|row| matches!(row.key.as_str(), "connect-to" | "resolve") && !row.value.is_empty())
    {
        for value in rule.value.split(',') {
            line.push_str(&format!(" --{} {}", rule.key, quoted(value)));
        }
    }
    for file in &client.tls.authorities {
        line.push_str(&format!(
            " --cacert {}",
            quoted(&file.display().to_string())
        ));
    }
    if let Some((certificate, key)) = &client.tls.identity {
        let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
        line.push_str(&format!(
            " --cert {} --key {}",
            quoted(&certificate),
            quoted(&key)
        ));
    }
    if client.tls.insecure {
        line.push_str(" -k");
    }
    if let Some(host) = &client.host {
        line.push_str(&format!(" -H {}", quoted(&format!("host: {host}"))));
    }
    let own = request
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.fill(scope).ok()?)));
    for (name, value) in own.chain(secret_headers(config)) {
        line.push_str(&format!(" -H {}", quoted(&format!("{name}: {value}"))));
    }
    if let Some(body) = &request.body {
        line.push_str(&format!(" --data-raw {}", quoted(&body.fill(scope).ok()?)));
    }
    line.push_str(&format!(" {}", quoted(url.as_str())));
    Some(line)
}

/// A word for a POSIX shell, in quotes only where it needs them.
fn quoted(word: &str) -> String {
    let plain = !word.is_empty()
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c));
    if plain {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted_where_a_shell_would_obey_them() {
        assert_eq!(quoted("http://127.0.0.1:8080/a"), "http://127.0.0.1:8080/a");
        assert_eq!(quoted("/a?b=$(c)&d"), "'/a?b=$(c)&d'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
