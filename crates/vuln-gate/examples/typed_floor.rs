//! What it costs only to read the rows of a Trivy report into three members each, one after the other: the floor that
//! `benches/large_report.py` measures the gate against. Nothing is hashed, kept or judged.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::BufReader;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Rows by severity.
type Counts = BTreeMap<String, u64>;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    #[serde(rename = "VulnerabilityID")]
    vulnerability_id: String,
    pkg_name: String,
    severity: String,
}

/// One level of the report: an object whose member of this name leads on, or a list of what is below.
struct Level<'a> {
    names: &'a [&'a str],
    counts: &'a mut Counts,
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((name, names)) = self.names.split_first() else {
            return Err(A::Error::custom("an object where rows are wanted"));
        };
        while let Some(key) = map.next_key::<String>()? {
            if key == *name {
                let counts = &mut *self.counts;
                map.next_value_seed(Level { names, counts })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Level { names, counts } = self;
        if names.is_empty() {
            while let Some(row) = list.next_element::<Row>()? {
                if !row.vulnerability_id.is_empty() && !row.pkg_name.is_empty() {
                    *counts.entry(row.severity).or_default() += 1;
                }
            }
        } else {
            while list.next_element_seed(Level { names, counts })?.is_some() {
                // Each result has rows of its own.
            }
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("which file?")?;
    let file = BufReader::with_capacity(256 * 1024, File::open(path)?);
    let mut counts = Counts::new();
    let names = &["Results", "Vulnerabilities"];
    let counts_of = Level {
        names,
        counts: &mut counts,
    };
    counts_of.deserialize(&mut serde_json::Deserializer::from_reader(file))?;
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{counts:?}")?;
    Ok(())
}
