//! A JSONPath that is looked for in every answer. One that only names members, as most do, is found while the
//! text is read, without building what stands beside it.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json_path::{JsonPath, ParseError};

/// A JSONPath (RFC 9535).
#[derive(Clone, Debug)]
pub struct Path {
    path: JsonPath,
    /// The names, where it has nothing else.
    members: Option<Vec<String>>,
}

impl Path {
    /// Reads one.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Ok(Self {
            path: JsonPath::parse(text)?,
            members: members(text),
        })
    }

    /// Whether it only names members.
    pub(crate) fn is_plain(&self) -> bool {
        self.members.is_some()
    }

    /// The first value that it finds.
    #[must_use]
    pub fn of<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.path.query(value).first()
    }

    /// The first value that it finds in a JSON text. The whole text is read, but where the path is plain, texts
    /// and numbers beside it are only held against the grammar.
    ///
    /// # Errors
    /// The text is no JSON.
    pub fn find(&self, text: &str) -> serde_json::Result<Option<Value>> {
        match &self.members {
            Some(members) => seek(members, text),
            None => serde_json::from_str(text).map(|value| self.of(&value).cloned()),
        }
    }

    /// Whether it finds anything but null.
    ///
    /// # Errors
    /// The text is no JSON.
    pub fn is_in(&self, text: &str) -> serde_json::Result<bool> {
        match &self.members {
            Some(members) => {
                seek::<Option<IgnoredAny>>(members, text).map(|found| found.flatten().is_some())
            }
            None => Ok(self.find(text)?.is_some_and(|value| !value.is_null())),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

/// The names of a path such as `$.user.id`.
fn members(text: &str) -> Option<Vec<String>> {
    let mut words = text.split('.');
    if words.next() != Some("$") {
        return None;
    }
    words
        .map(|word| {
            let plain = word.bytes().enumerate().all(|(at, byte)| {
                byte == b'_' || byte.is_ascii_alphabetic() || at > 0 && byte.is_ascii_digit()
            });
            (plain && !word.is_empty()).then(|| word.to_owned())
        })
        .collect()
}

/// What stands below these names; of members with one name the last, as in a value that is built.
fn seek<'de, T: Deserialize<'de>>(
    members: &[String],
    text: &'de str,
) -> serde_json::Result<Option<T>> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let found = Seek {
        members,
        found: PhantomData,
    }
    .deserialize(&mut reader)?;
    reader.end()?;
    Ok(found)
}

struct Seek<'a, T> {
    members: &'a [String],
    found: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Seek<'_, T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Option<T>, D::Error> {
        if self.members.is_empty() {
            T::deserialize(reader).map(Some)
        } else {
            reader.deserialize_any(self)
        }
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Seek<'_, T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<T>, A::Error> {
        let mut found = None;
        let Some((name, below)) = self.members.split_first() else {
            return Ok(None);
        };
        while let Some(is_it) = map.next_key_seed(Is(name))? {
            if is_it {
                found = map.next_value_seed(Seek {
                    members: below,
                    found: PhantomData,
                })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<T>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Option<T>, E> {
        Ok(None)
    }
}

/// Whether a key is this name.
struct Is<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_names_are_plain() {
        for plain in ["$", "$.a", "$.a_1.B"] {
            assert!(Path::parse(plain).unwrap().is_plain(), "{plain}");
        }
        for other in [
            "$[0]",
            "$.a[*]",
            "$..a",
            "$.*",
            "$['a']",
            "$.ä",
            "$.a[?@.b > 1.5]",
        ] {
            assert!(!Path::parse(other).unwrap().is_plain(), "{other}");
        }
    }

    /// JSON texts with few names, so that paths meet them, and names that come twice.
    fn text() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            any::<i64>().prop_map(|number| number.to_string()),
            any::<f32>()
                .prop_filter("finite", |number| number.is_finite())
                .prop_map(|number| serde_json::Value::from(number).to_string()),
            "[a-c\"\\\\é]{0,3}".prop_map(|text| serde_json::Value::from(text).to_string()),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let member = (
                prop::sample::select(&["a", "b", "\\u0061", "c"]),
                inner.clone(),
            )
                .prop_map(|(name, value)| format!("\"{name}\": {value}"));
            prop_oneof![
                prop::collection::vec(inner, 0..4)
                    .prop_map(|items| format!("[{}]", items.join(","))),
                prop::collection::vec(member, 0..4)
                    .prop_map(|items| format!("{{{}}}", items.join(" , "))),
            ]
        })
    }

    proptest! {
        // Reading on the way finds what building the whole and looking into it finds.
        #[test]
        fn both_ways_find_the_same(
            text in text(),
            path in "\\$(\\.[abc]){0,3}",
            cut in any::<prop::sample::Index>(),
        ) {
            let path = Path::parse(&path).unwrap();
            prop_assert!(path.is_plain());
            let value: Value = serde_json::from_str(&text).unwrap();
            let found = path.find(&text).unwrap();
            prop_assert_eq!(found.as_ref(), path.of(&value));
            prop_assert_eq!(path.is_in(&text).unwrap(), found.is_some_and(|value| !value.is_null()));
            // And a torn text is torn both ways.
            let torn: String = text.chars().take(cut.index(text.chars().count())).collect();
            let whole = serde_json::from_str::<Value>(&torn).is_ok();
            prop_assert_eq!(path.find(&torn).is_ok(), whole);
            prop_assert_eq!(path.is_in(&torn).is_ok(), whole);
        }

        #[test]
        fn no_text_breaks_it(text: String) {
            let path = Path::parse("$.a").unwrap();
            let _ = path.find(&text);
            let _ = path.is_in(&text);
        }
    }
}
