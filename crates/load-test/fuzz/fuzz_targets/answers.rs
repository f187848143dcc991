//! No body of an answer makes the checks panic, and what a plain path finds on the way is what the whole value has
//! there, where both read the body.
#![no_main]

use std::sync::LazyLock;

use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use load_test::persona::expect::{Demand, Expect, From, JsonDemand};
use load_test::persona::path::Path;

static PATHS: LazyLock<Vec<Path>> = LazyLock::new(|| {
    ["$", "$.a", "$.a.b", "$.error", "$..b", "$.a[0]"]
        .into_iter()
        .filter_map(|text| Path::parse(text).ok())
        .collect()
});

static EXPECT: LazyLock<Vec<Expect>> = LazyLock::new(|| {
    let demands = [
        Demand::Exists,
        Demand::Absent,
        Demand::Equals(1.into()),
        Demand::MinLength(2),
    ];
    let mut all = vec![Expect {
        api: true,
        ..Expect::default()
    }];
    for path in PATHS.iter() {
        all.extend(demands.iter().map(|demand| Expect {
            json: vec![JsonDemand {
                path: path.clone(),
                demand: demand.clone(),
            }],
            ..Expect::default()
        }));
    }
    all
});

fuzz_target!(|body: &[u8]| {
    let headers = HeaderMap::new();
    for expect in EXPECT.iter() {
        let _ = expect.body(&headers, body);
    }
    let Ok(text) = str::from_utf8(body) else {
        return;
    };
    for path in PATHS.iter() {
        let _ = From::Json(path.clone()).find(&headers, body);
        if let (Ok(found), Ok(value)) = (path.find(text), serde_json::from_str(text)) {
            assert_eq!(found.as_ref(), path.of(&value));
        }
    }
});
