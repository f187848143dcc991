//! The members that a tool adds to a finding or an input. There are few of each, and of a large report's findings
//! there are tens of thousands: so they are held in the least room, not as a tree of JSON.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Number, Value};

use crate::text::Text;

/// Members of a JSON object, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members(Vec<(Cow<'static, str>, Member)>);

/// The value of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Member {
    /// A word of the tool's own.
    Word(&'static str),
    /// A text.
    Text(Text),
    /// A truth value.
    Flag(bool),
    /// A number.
    Number(Number),
    /// A list of texts.
    Texts(Vec<Text>),
    /// Any other value. Findings may share it.
    Other(Arc<Value>),
}

impl Member {
    /// The same as a JSON value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Word(word) => Value::from(*word),
            Self::Text(text) => Value::from(text.as_str()),
            Self::Flag(flag) => Value::Bool(*flag),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Texts(texts) => texts
                .iter()
                .map(|text| Value::from(text.as_str()))
                .collect(),
            Self::Other(value) => Value::clone(value),
        }
    }
}

impl From<Value> for Member {
    fn from(value: Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text.into()),
            Value::Bool(flag) => Self::Flag(flag),
            Value::Number(number) => Self::Number(number),
            other => Self::Other(Arc::new(other)),
        }
    }
}

impl From<Text> for Member {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<&'static str> for Member {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

impl Serialize for Member {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Word(word) => to.serialize_str(word),
            Self::Text(text) => to.serialize_str(text),
            Self::Flag(flag) => to.serialize_bool(*flag),
            Self::Number(number) => number.serialize(to),
            Self::Texts(texts) => texts.serialize(to),
            Self::Other(value) => value.as_ref().serialize(to),
        }
    }
}

impl Members {
    /// None yet, with room for so many.
    #[must_use]
    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// Adds one, or puts another value in its place.
    pub fn insert(&mut self, name: impl Into<Cow<'static, str>>, member: impl Into<Member>) {
        let (name, member) = (name.into(), member.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, there)) => *there = member,
            None => self.0.push((name, member)),
        }
    }

    /// The value of one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value> {
        let (_, member) = self.0.iter().find(|(known, _)| known == name)?;
        Some(member.to_value())
    }

    /// Gives back room that is not needed.
    pub fn shrink_to_fit(&mut self) {
        self.0.shrink_to_fit();
    }
}

impl<N: Into<Cow<'static, str>>, M: Into<Member>> FromIterator<(N, M)> for Members {
    fn from_iter<I: IntoIterator<Item = (N, M)>>(members: I) -> Self {
        let mut all = Self::default();
        for (name, member) in members {
            all.insert(name, member);
        }
        all
    }
}

impl From<Map<String, Value>> for Members {
    fn from(map: Map<String, Value>) -> Self {
        map.into_iter().collect()
    }
}

impl From<Members> for Map<String, Value> {
    fn from(members: Members) -> Self {
        let each = members.0.into_iter();
        each.map(|(name, member)| (name.into_owned(), member.to_value()))
            .collect()
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, member)| (name, member)))
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Members::default();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            members.insert(name, value);
        }
        Ok(members)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(MembersVisitor)
    }
}

impl JsonSchema for Members {
    fn inline_schema() -> bool {
        Map::<String, Value>::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        Map::<String, Value>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Map::<String, Value>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_that_is_there_gets_another_value() {
        let mut members = Members::default();
        members.insert("state", "open");
        members.insert("rows", Value::from(2));
        members.insert("state", Text::from("accepted"));
        let text = serde_json::to_string(&members).unwrap();
        assert_eq!(text, r#"{"state":"accepted","rows":2}"#);
        assert_eq!(members.get("state"), Some("accepted".into()));
        assert_eq!(members.get("none"), None);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop::collection::vec(inner, 0..3).prop_map(Value::from)
        })
    }

    proptest! {
        #[test]
        fn they_are_written_and_read_as_a_map_is(all in prop::collection::vec(("[a-c]{1,2}", value()), 0..6)) {
            let map: Map<String, Value> = all.iter().cloned().collect();
            let members: Members = all.into_iter().collect();
            let text = serde_json::to_string(&map).unwrap();
            prop_assert_eq!(&serde_json::to_string(&members).unwrap(), &text);
            let read: Members = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(Map::from(read), serde_json::from_str::<Map<String, Value>>(&text).unwrap());
        }
    }
}
