//! Laws of both drawings, and that no JSON breaks them.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::spread;

fn drawn(details: &Value) -> String {
    spread(details.as_object().unwrap()).into_string()
}

fn endpoint(name: &str, requests: u64, times: &Value) -> Value {
    json!({"name": name, "requests": requests, "response_ms": times})
}

fn curves(times: &Value) -> String {
    drawn(&json!({"curves": [endpoint("a", 10, times)]}))
}

fn heatmap(edges: &Value, columns: &Value) -> String {
    drawn(&json!({"heatmap": {"edges_ms": edges, "columns": columns}}))
}

/// The points of all lines and of the leaders to their maxima, in the order of the page.
fn places(page: &str) -> Vec<(f64, f64)> {
    page.split("<path class=")
        .skip(1)
        .filter_map(|path| path.split('"').nth(3))
        .flat_map(|path| path.split(['M', 'L']).skip(1))
        .map(|point| {
            let (x, y) = point.trim_end_matches("h0").split_once(' ').unwrap();
            (x.parse().unwrap(), y.parse().unwrap())
        })
        .collect()
}

#[test]
fn each_nine_is_as_far_as_the_last_and_the_maximum_is_at_the_right_edge() {
    let page = curves(&json!([
        [0.0, 1.0],
        [0.9, 2.0],
        [0.99, 3.0],
        [0.999, 4.0],
        [0.9999, 5.0],
        [1.0, 6.0]
    ]));
    let points = places(&page);
    let width = points[1].0 - points[0].0;
    for pair in points[..5].windows(2) {
        assert!((pair[1].0 - pair[0].0 - width).abs() < 0.2, "{points:?}");
    }
    let leader = &points[5..];
    assert_eq!(leader[0], points[4], "{points:?}");
    assert_eq!(leader[1].0, 472.0, "{points:?}");
    for label in ["0%", "90%", "99%", "99.9%", "99.99%", "max"] {
        assert!(
            page.contains(&format!(">{label}</text>")),
            "{label}: {page}"
        );
    }
    assert!(!page.contains("99.999%"));
    assert!(
        page.contains("a: 10 requests, p99 3.0 ms, max 6.0 ms"),
        "said in words: {page}"
    );
}

#[test]
fn the_upright_axis_is_logarithmic_where_times_spread_over_fifty_times() {
    let narrow = curves(&json!([[0.0, 2.0], [0.9, 50.0], [1.0, 100.0]]));
    assert!(!narrow.contains("logarithmic"), "{narrow}");
    let wide = curves(&json!([[0.0, 1.0], [0.9, 10.0], [1.0, 100.0]]));
    assert!(wide.contains("logarithmic"), "{wide}");
    let points = places(&wide);
    let (first, second) = (points[0].1 - points[1].1, points[1].1 - points[3].1);
    assert!(
        (first - second).abs() < 0.2,
        "a power of ten is a power of ten: {points:?}"
    );
    assert_eq!(points[0].1, 160.0, "1 ms lies on the bottom");
    let zero = curves(&json!([[0.0, 0.0], [0.5, 1.0], [1.0, 100.0]]));
    assert_eq!(
        places(&zero)[0].1,
        160.0,
        "so does 0, which has no logarithm"
    );
}

#[test]
fn the_eight_endpoints_with_most_requests_are_drawn_and_the_others_counted() {
    let times = json!([[0.0, 1.0], [1.0, 2.0]]);
    let mut all: Vec<Value> = (0..11)
        .map(|index| endpoint(&format!("/e{index}"), index * 10, &times))
        .collect();
    all.push(endpoint("/silent", 5_000, &json!([])));
    let page = drawn(&json!({"curves": all}));
    assert_eq!(page.matches("class=\"key").count(), 8);
    assert_eq!(
        places(&page).len(),
        8 * 3,
        "a dot, and a leader of two points"
    );
    assert!(page.contains("3 more in the JSON report"), "{page}");
    assert!(page.contains("1 without a response time"), "{page}");
    assert!(page.find("/e10<") < page.find("/e9<"));
    assert!(!page.contains("/e2<") && !page.contains("/silent"));
    let few = drawn(&json!({"curves": all[..8]}));
    assert!(!few.contains("more in the JSON report"));
}

#[test]
fn a_cell_is_as_strong_as_its_share_of_its_column() {
    let page = heatmap(
        &json!([1, 2, 4]),
        &json!([
            {"at_seconds": 0, "seconds": 1, "counts": [100_000, 1, 0, 0]},
            {"at_seconds": 1, "seconds": 1, "counts": [0, 7, 0, 0]},
        ]),
    );
    let cells = |strength: &str| {
        page.split("<path")
            .find(|path| path.contains(&format!("fill-opacity=\"{strength}\"")))
            .map_or(0, |path| path.matches('z').count())
    };
    assert_eq!(cells("1.00"), 2, "the most frequent cell of each: {page}");
    assert_eq!(cells("0.21"), 1, "one request is seen: {page}");
    assert_eq!(page.matches("<path").count(), 2);
    assert!(
        page.contains("0 s to 1 s: 100001 requests, most up to 1 ms, slowest 1 to 2 ms"),
        "{page}"
    );
    assert!(
        page.contains("from up to 1 ms to 1 to 2 ms"),
        "rows without a request are cut off: {page}"
    );
}

#[test]
fn every_request_is_in_the_words_of_a_column_however_many_columns_there_are() {
    let columns: Vec<Value> = (0..1000)
        .map(|at| json!({"at_seconds": at, "seconds": 1, "counts": [1, 0, 2]}))
        .collect();
    let page = heatmap(&json!([1, 2]), &json!(columns));
    let told = page.split("class=\"column\"").skip(1);
    let counts: Vec<u64> = told
        .map(|column| {
            let words = column.split_once(": ").unwrap().1;
            words.split_once(' ').unwrap().0.parse().unwrap()
        })
        .collect();
    assert!(counts.len() <= 120);
    assert_eq!(counts.iter().sum::<u64>(), 3000);
    assert!(page.contains("over 2 ms") && page.contains("3000 requests"));
}

#[test]
fn a_drawing_names_its_axes() {
    let both = json!({
        "curves": [endpoint("a", 2, &json!([[0.0, 1.0], [1.0, 2.0]]))],
        "heatmap": {"edges_ms": [1], "columns": [{"at_seconds": 0, "seconds": 1, "counts": [1, 1]}]},
    });
    let page = drawn(&both);
    assert_eq!(page.matches("<svg").count(), 2);
    assert_eq!(
        page.matches("role=\"img\" aria-label=\"Across: ").count(),
        2
    );
    for axis in [
        "Response time in milliseconds<",
        "Quantile: ",
        "Response time in milliseconds: ",
        "Time since ",
    ] {
        assert!(page.contains(&format!("<g><title>{axis}")), "{axis}");
    }
    assert!(!page.contains("<script") && !page.contains("style="));
}

#[test]
fn what_is_absent_or_malformed_is_not_drawn() {
    let sound = endpoint("b", 1, &json!([[0.0, 1.0], [1.0, 1.0]]));
    for bad in [
        json!({"name": 1, "requests": 1, "response_ms": []}),
        json!({"name": "a", "requests": -1, "response_ms": []}),
        json!({"name": "a", "response_ms": []}),
        json!({"name": "a", "requests": 1}),
        endpoint("a", 1, &json!([[0.5]])),
        endpoint("a", 1, &json!([[0.5, 1.0, 2.0]])),
        endpoint("a", 1, &json!([[1.5, 1.0]])),
        endpoint("a", 1, &json!([[-0.1, 1.0]])),
        endpoint("a", 1, &json!([[0.5, -1.0]])),
        endpoint("a", 1, &json!([[0.5, 1e300]])),
        endpoint("a", 1, &json!([[0.5, null]])),
        endpoint("a", 1, &json!([[0.5, 2.0], [0.9, 1.0]])),
        endpoint("a", 1, &json!([[0.9, 1.0], [0.5, 2.0]])),
    ] {
        assert_eq!(drawn(&json!({"curves": [sound, bad]})), "", "{bad}");
    }
    let column = json!([{"at_seconds": 0, "seconds": 1, "counts": [1, 1]}]);
    for (edges, columns) in [
        (json!([1]), json!([])),
        (
            json!([1]),
            json!([{"at_seconds": 0, "seconds": 1, "counts": [0, 0]}]),
        ),
        (
            json!([1]),
            json!([{"at_seconds": 0, "seconds": 1, "counts": [1]}]),
        ),
        (
            json!([1]),
            json!([{"at_seconds": 0, "seconds": 1, "counts": [1, -1]}]),
        ),
        (
            json!([1]),
            json!([{"at_seconds": 0, "seconds": 1, "counts": [1, 0.5]}]),
        ),
        (
            json!([1]),
            json!([{"at_seconds": 0, "seconds": -1, "counts": [1, 1]}]),
        ),
        (
            json!([1]),
            json!([{"at_seconds": 1e300, "seconds": 1, "counts": [1, 1]}]),
        ),
        (json!([1]), json!([{"seconds": 1, "counts": [1, 1]}])),
        (
            json!([1]),
            json!([column[0], {"at_seconds": 0, "seconds": 1, "counts": [1]}]),
        ),
        (json!([2, 1]), column.clone()),
        (json!([1, 1]), column.clone()),
        (json!([0]), column.clone()),
        (json!(["1"]), column.clone()),
        (json!(null), column.clone()),
    ] {
        assert_eq!(heatmap(&edges, &columns), "", "{edges} {columns}");
    }
    assert_ne!(heatmap(&json!([1]), &column), "");
    for details in [
        json!({}),
        json!({"curves": null, "heatmap": null}),
        json!({"curves": [], "heatmap": {}}),
        json!({"curves": {"a": 1}, "heatmap": [1]}),
        json!({"curves": [endpoint("a", 0, &json!([]))]}),
    ] {
        assert_eq!(drawn(&details), "", "{details}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0.0..1.0).prop_map(Value::from),
        "(?s).{0,6}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        "[a-z]{0,3}",
        prop::sample::select(vec![
            "name",
            "requests",
            "response_ms",
            "edges_ms",
            "columns",
            "at_seconds",
            "seconds",
            "counts",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<String, Value>>())),
        ]
    })
}

/// Numbers at the ends of what a time or a quantile can be.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        0.0..1.0,
        0.0..1e5,
        0.0..1e12,
        prop::sample::select(vec![0.0, 1.0, 5e-324, 1e-300, 1.0 - f64::EPSILON, 9.9e11]),
    ]
}

/// Sorted, so that most of them have the form that is drawn.
fn rising(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(number(), length).prop_map(|mut values| {
        values.sort_by(f64::total_cmp);
        values
    })
}

fn nearly_sound() -> impl Strategy<Value = Value> {
    let times = (rising(0..300), rising(300..301)).prop_map(|(quantiles, times)| {
        let highest = quantiles.last().copied().unwrap_or(1.0).max(1.0);
        quantiles
            .iter()
            .zip(times)
            .map(|(quantile, ms)| json!([quantile / highest, ms]))
            .collect::<Value>()
    });
    let curves =
        prop::collection::vec(("(?s).{0,8}", any::<u64>(), times), 0..12).prop_map(|all| {
            all.iter()
                .map(|(name, count, times)| endpoint(name, *count, times))
                .collect::<Value>()
        });
    let map =
        (rising(0..70), rising(0..300), number()).prop_flat_map(|(edges, starts, seconds)| {
            let rows = edges.len() + 1;
            let counts = prop::collection::vec(prop_oneof![Just(0), 0..9_u64, any::<u64>()], rows);
            counts.prop_map(move |counts| {
                let columns: Vec<Value> = starts
                    .iter()
                    .map(|at| json!({"at_seconds": at, "seconds": seconds, "counts": counts}))
                    .collect();
                json!({"edges_ms": edges, "columns": columns})
            })
        });
    (curves, map).prop_map(|(curves, heatmap)| json!({"curves": curves, "heatmap": heatmap}))
}

/// No coordinate is without a number, and all lie in the view box.
fn assert_drawable(page: &str) {
    for tag in page.split('<').filter(|tag| {
        ["path", "line", "rect", "text", "svg"]
            .iter()
            .any(|name| tag.starts_with(name))
    }) {
        let shape = tag
            .split(" aria-label")
            .next()
            .unwrap()
            .split('>')
            .next()
            .unwrap();
        assert!(!shape.contains("NaN") && !shape.contains("inf"), "{shape}");
    }
    for (x, y) in places(page) {
        assert!(
            (46.0..=472.0).contains(&x) && (7.9..=160.1).contains(&y),
            "{x} {y}"
        );
    }
}

proptest! {
    // A page of a hundred columns takes its time in a debug build.
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_json_breaks_the_drawings(curves in any_json(), heatmap in any_json()) {
        assert_drawable(&drawn(&json!({"curves": curves, "heatmap": heatmap})));
    }

    #[test]
    fn no_numbers_break_the_drawings(details in nearly_sound()) {
        let page = drawn(&details);
        assert_drawable(&page);
        prop_assert!(page.len() < 500_000, "{}", page.len());
    }
}
