//! No answer of the query API makes the reader panic; what is read has its samples in the order of time.
#![no_main]

use canary_monitor::source::prometheus::answer::{Data, read, read_texts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(answer) = read(body)
        && let Data::Matrix(series) = answer.data
    {
        for one in series {
            assert!(one.samples.windows(2).all(|pair| !(pair[0].0 >= pair[1].0)));
        }
    }
    let _ = read_texts(body);
});
