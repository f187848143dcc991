//! The reason codes of checks and of whole runs: stable, written once, documented here.

/// Declares the codes with their doc, and the table of them.
macro_rules! reasons {
    ($($name:ident = $code:literal, $doc:literal;)*) => {
        $(#[doc = $doc] pub const $name: &str = $code;)*
        /// Every code with one sentence about it.
        pub const ALL: &[(&str, &str)] = &[$(($code, $doc)),*];
    };
}

reasons! {
    STATUS = "status", "The status is not the expected one.";
    ERROR_BODY = "error_body", "The status says success and the body is an error object.";
    NOT_JSON = "not_json", "A JSON body was wanted, and the body is none.";
    WRONG_KIND = "wrong_kind", "The body is of another kind: a list instead of an object.";
    MISSING_MEMBER = "missing_member", "A required member is missing.";
    TOO_FEW_ITEMS = "too_few_items", "A list has fewer items than wanted.";
    JSON_VALUE = "json_value", "A value in the body is not what was demanded.";
    STALE = "stale", "A time in the body is too old.";
    INVARIANT = "invariant", "Two values of the body do not agree with each other.";
    SCHEMA = "schema", "The body does not fit its JSON Schema.";
    BODY_TEXT = "body_text", "The body lacks a wanted text, or holds an unwanted one.";
    HEADER = "header", "A header is not what was demanded.";
    SIZE = "size", "The body is smaller or larger than allowed.";
    HASH = "hash", "The body's SHA-256 is another one.";
    HTTP_VERSION = "http_version", "Another version of HTTP was spoken.";
    SLOW = "slow", "A time is over its limit.";
    SHADOWED_ROUTE = "shadowed_route", "A templated route answers in the place of a literal one.";
    WRONG_VERSION = "wrong_version", "Not every answer came from the expected version.";
    TOO_OLD_PROCESS = "too_old_process", "The process has run longer than the deployment is old.";
    REDIRECTED = "redirected", "The answer points elsewhere; redirects are not followed.";
    TIMEOUT = "timeout", "No answer, or no whole one, came in time.";
    REFUSED = "refused", "The connection was refused.";
    RESET = "reset", "The connection was reset.";
    CLOSED = "closed", "The connection was closed without an answer.";
    TRUNCATED = "truncated", "The body ended before its announced end.";
    TOO_LARGE = "too_large", "The body is larger than the limit.";
    BAD_ENCODING = "bad_encoding", "The body is not encoded as it says.";
    MALFORMED = "malformed", "What came is not HTTP.";
    TLS = "tls", "TLS failed, or the certificate is not accepted.";
    CERTIFICATE = "certificate", "The certificate ends too soon, or lacks a name or version.";
    WS_REFUSED = "ws_refused", "The WebSocket handshake was answered with another status.";
    WS_SILENT = "ws_silent", "The wanted message, pong or close did not come in time.";
    WS_CLOSED = "ws_closed", "The WebSocket was closed in the middle of the conversation.";
    WS_WRONG_CLOSE = "ws_wrong_close", "The WebSocket was closed with another code.";
    WS_PROTOCOL = "ws_protocol", "What came over the WebSocket is not the WebSocket protocol.";
    CAPTURE = "capture", "A value for later checks is not in the answer.";
    NO_ROUTES = "no_routes", "There is no OpenAPI document to read the routes from.";
    KNOWN_FAILURE = "known_failure", "It fails, and this is accepted on record.";
    KNOWN_FAILURE_EXPIRED = "known_failure_expired", "It fails, and the record that accepted it has expired.";
    KNOWN_FAILURE_PASSED = "known_failure_passed", "It passes although a failure is on record: take the record out.";
    TARGET_UNREACHABLE = "target_unreachable", "The target was never reached: name, route, proxy or own socket.";
    UNMET_NEED = "unmet_need", "A check that this one needs did not pass.";
    NOT_RUN = "not_run", "It was not started: the run ended, or the target is dead.";
    FLAKY = "flaky", "It passed, but not at the first try, and `--fail-on-flaky` is given.";
    ALL_PASSED = "all_passed", "The run: every check passed.";
    WARNINGS = "warnings", "The run: nothing failed, something deserves a look.";
    CHECKS_FAILED = "checks_failed", "The run: at least one check failed.";
    DEADLINE = "deadline", "The run: the deadline came before the checks were done.";
    NEVER_READY = "never_ready", "The run: the target did not become ready in time.";
    NOTHING_MEASURED = "nothing_measured", "The run: no check was selected or could be run.";
    CHANGED = "changed", "A comparison: something differs from the saved run.";
    WORSE = "worse", "A comparison: something got worse since the saved run.";
    UNCHANGED = "unchanged", "A comparison: nothing differs from the saved run.";
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn codes_are_unique_and_snake_case() {
        let mut seen = std::collections::BTreeSet::new();
        for (code, doc) in ALL {
            assert!(seen.insert(code), "{code} twice");
            assert!(
                code.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
                "{code}"
            );
            assert!(doc.ends_with('.'), "{doc}");
        }
    }
}
