//! Lines of yarn, each a document.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vuln_gate::formats::cursor::Cursor;
use vuln_gate::formats::yarn::Lines;
use vuln_gate::formats::sink::Sink;
use vuln_gate::formats::source::Source;

fuzz_target!(|data: &[u8]| {
    let Ok(mut source) = Source::open(std::io::Cursor::new(data.to_vec())) else {
        return;
    };
    let mut sink = Sink::default();
    let mut lines = Lines::default();
    let mut cursor = Cursor::new(&mut source);
    while matches!(cursor.peek(), Ok(Some(_))) {
        if lines.read(&mut cursor, &mut sink).is_err() {
            return;
        }
    }
    lines.finish(&mut sink);
});
