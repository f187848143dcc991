//! The XML form of Dependency-Check.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vuln_gate::formats::dependency_check_xml;
use vuln_gate::formats::sink::Sink;
use vuln_gate::formats::source::Source;

fuzz_target!(|data: &[u8]| {
    let Ok(mut source) = Source::open(std::io::Cursor::new(data.to_vec())) else {
        return;
    };
    let _ = dependency_check_xml::read(&mut source, &mut Sink::default());
});
