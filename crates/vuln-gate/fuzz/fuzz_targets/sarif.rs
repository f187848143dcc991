//! The reader of this format on any text, past the guess of which format it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vuln_gate::formats::cursor::Cursor;
use vuln_gate::formats::sink::Sink;
use vuln_gate::formats::source::Source;
use vuln_gate::formats::sarif;

fuzz_target!(|data: &[u8]| {
    let Ok(mut source) = Source::open(std::io::Cursor::new(data.to_vec())) else {
        return;
    };
    let mut sink = Sink::default();
    let mut cursor = Cursor::new(&mut source);
    let _ = sarif::read(&mut cursor, &mut sink);
});
