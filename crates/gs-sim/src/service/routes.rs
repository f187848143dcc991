//! The routes, in the order in which they are declared. The order is part of the simulation: in the real
//! service a template declared before a literal path takes its requests.

/// What metrics call the requests that no route takes.
pub(crate) const UNMATCHED: &str = "unmatched";

/// The template that shadows others.
const TEMPLATE: (&str, &str) = ("GET", "/api/v1/signals/{symbol}");

/// The literal paths that it takes when it is declared before them.
const SHADOWED: [&str; 2] = [
    "/api/v1/signals/quality-report",
    "/api/v1/signals/precise-options",
];

/// Paths that are there, but not in the OpenAPI document.
pub(super) const UNDOCUMENTED: [&str; 2] = ["/debug/echo", "/openapi.json"];

const ROUTES: [(&str, &str); 24] = [
    ("GET", "/"),
    ("GET", "/health"),
    ("GET", "/health/ready"),
    ("GET", "/health/live"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/debug/echo"),
    ("GET", "/api/v1/health"),
    ("GET", "/api/v1/performance"),
    ("GET", "/api/v1/market/opportunities"),
    ("GET", "/api/v1/market-data/{symbol}"),
    ("GET", "/api/v1/market-data/{symbol}/historical"),
    ("GET", "/api/v1/signals"),
    ("GET", "/api/v1/signals/latest"),
    ("GET", SHADOWED[0]),
    ("GET", SHADOWED[1]),
    TEMPLATE,
    ("GET", "/api/v1/signals/{symbol}/insights"),
    ("POST", "/api/v1/signals/batch"),
    ("GET", "/api/v1/monitoring/performance"),
    ("GET", "/api/v1/monitoring/active-signals"),
    ("GET", "/api/v1/monitoring/recommendations"),
    ("POST", "/api/v1/monitoring/track-entry"),
    ("GET", "/api/v1/pipeline/stats"),
];

/// Method and template of all routes, as declared.
pub(super) fn declared(shadowed: bool) -> Vec<(&'static str, &'static str)> {
    let mut routes = ROUTES.to_vec();
    if shadowed {
        routes.retain(|route| *route != TEMPLATE);
        let first = routes
            .iter()
            .position(|(_, path)| SHADOWED.contains(path))
            .unwrap_or_default();
        routes.insert(first, TEMPLATE);
    }
    routes
}

/// The template that takes a request.
pub(crate) fn find(method: &str, path: &str, shadowed: bool) -> Option<&'static str> {
    if shadowed && method == TEMPLATE.0 && SHADOWED.contains(&path) {
        return Some(TEMPLATE.1);
    }
    ROUTES
        .iter()
        .find(|(other, template)| *other == method && fits(template, path))
        .map(|(_, template)| *template)
}

/// The methods that a path has.
pub(super) fn methods(path: &str) -> Vec<&'static str> {
    let mut methods: Vec<&str> = ROUTES
        .iter()
        .filter(|(_, template)| fits(template, path))
        .map(|(method, _)| *method)
        .collect();
    methods.dedup();
    methods
}

/// The WebSocket channel of a path.
pub(crate) fn channel(path: &str) -> Option<&'static str> {
    ["/ws", "/ws/signals"]
        .into_iter()
        .find(|channel| *channel == path)
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(segment), Some(other))
                if segment == other || (segment.starts_with('{') && !other.is_empty()) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_declared_route_takes_a_request() {
        for shadowed in [false, true] {
            for (method, template) in ROUTES {
                let path = template.replace("{symbol}", "SPY");
                let first = declared(shadowed)
                    .into_iter()
                    .find(|(other, template)| *other == method && fits(template, &path));
                assert_eq!(
                    find(method, &path, shadowed),
                    first.map(|(_, template)| template),
                    "{path}, shadowed: {shadowed}"
                );
            }
        }
    }

    #[test]
    fn a_segment_is_not_empty_and_not_two() {
        assert_eq!(find("GET", "/api/v1/market-data/", false), None);
        assert_eq!(find("GET", "/api/v1/market-data/A/B", false), None);
        assert_eq!(find("GET", "//", false), None);
    }
}
