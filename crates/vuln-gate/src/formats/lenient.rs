//! Values as scanners really write them: a text that may be a number, a list that may be one text, a
//! member that may be null.
//!
//! What must not be taken lightly (the lists of rows themselves) is not read with these.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A text, a number or a truth value as text; anything else is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word(Option<String>);

impl Word {
    /// The text, trimmed; an empty one is none.
    #[must_use]
    pub fn get(&self) -> Option<&str> {
        self.0
            .as_deref()
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }

    /// The number that it means.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        self.get()?
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
    }

    /// Whether it says yes.
    #[must_use]
    pub fn yes(&self) -> bool {
        self.get() == Some("true")
    }
}

struct WordVisitor;

impl<'de> Visitor<'de> for WordVisitor {
    type Value = Word;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Word, E> {
        Ok(Word(Some(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Word, E> {
        Ok(Word(Some(text)))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Word, E> {
        Ok(Word(Some(value.to_string())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Word, E> {
        Ok(Word(Some(value.to_string())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Word, E> {
        Ok(Word(Some(value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Word, E> {
        Ok(Word(Some(value.to_string())))
    }

    fn visit_unit<E>(self) -> Result<Word, E> {
        Ok(Word(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Word, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Word(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Word, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Word(None))
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(WordVisitor)
    }
}

/// The same as a [`Word`], of texts that stay in the report where no escape is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lent<'a>(Option<Cow<'a, str>>);

impl Lent<'_> {
    /// The text, trimmed; an empty one is none.
    #[must_use]
    pub fn get(&self) -> Option<&str> {
        self.0
            .as_deref()
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }
}

struct LentVisitor;

impl<'de> Visitor<'de> for LentVisitor {
    type Value = Lent<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        WordVisitor.expecting(f)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Lent<'de>, E> {
        Ok(Lent(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Lent<'de>, E> {
        WordVisitor.visit_str(text).map(Word::into)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Lent<'de>, E> {
        WordVisitor.visit_bool(value).map(Word::into)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Lent<'de>, E> {
        WordVisitor.visit_i64(value).map(Word::into)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Lent<'de>, E> {
        WordVisitor.visit_u64(value).map(Word::into)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Lent<'de>, E> {
        WordVisitor.visit_f64(value).map(Word::into)
    }

    fn visit_unit<E>(self) -> Result<Lent<'de>, E> {
        Ok(Lent(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Lent<'de>, A::Error> {
        WordVisitor.visit_seq(list).map(Word::into)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Lent<'de>, A::Error> {
        WordVisitor.visit_map(map).map(Word::into)
    }
}

impl From<Word> for Lent<'_> {
    fn from(word: Word) -> Self {
        Self(word.0.map(Cow::Owned))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Lent<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(LentVisitor)
    }
}

/// A number, or a text that is one; anything else is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Number(pub Option<f64>);

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_str<E>(self, text: &str) -> Result<Number, E> {
        let number = text.trim().parse().ok();
        Ok(Number(number.filter(|number: &f64| number.is_finite())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Number, E> {
        Ok(Number(None))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
        Ok(Number(Some(value as f64)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
        Ok(Number(Some(value as f64)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
        Ok(Number(Some(value).filter(|number| number.is_finite())))
    }

    fn visit_unit<E>(self) -> Result<Number, E> {
        Ok(Number(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Number, A::Error> {
        WordVisitor.visit_seq(list).map(|_| Number(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Number, A::Error> {
        WordVisitor.visit_map(map).map(|_| Number(None))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NumberVisitor)
    }
}

/// The members of an object in their order. A key that stands there twice is there twice: of two things that are
/// said, none is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members<'a, T>(pub Vec<(Lent<'a>, T)>);

impl<T> Default for Members<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

struct MembersVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MembersVisitor<T> {
    type Value = Members<'de, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Members<'de, T>, E> {
        Ok(Members(Vec::new()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de, T>, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Members<'a, T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(MembersVisitor(PhantomData))
    }
}

/// A list, one value that stands for a list of one, or null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Many<T>(pub Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl Many<Word> {
    /// The texts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(Word::get)
    }
}

struct ManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ManyVisitor<T> {
    type Value = Many<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Many<T>, E> {
        T::deserialize(serde::de::value::StrDeserializer::new(text)).map(|one| Many(vec![one]))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Many<T>, E> {
        T::deserialize(serde::de::value::U64Deserializer::new(value)).map(|one| Many(vec![one]))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Many<T>, E> {
        T::deserialize(serde::de::value::I64Deserializer::new(value)).map(|one| Many(vec![one]))
    }

    fn visit_unit<E>(self) -> Result<Many<T>, E> {
        Ok(Many(Vec::new()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Many<T>, E> {
        Ok(Many(Vec::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Many<T>, A::Error> {
        let mut many = Vec::new();
        while let Some(one) = list.next_element()? {
            many.push(one);
        }
        Ok(Many(many))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Many<T>, A::Error> {
        T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(|one| Many(vec![one]))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ManyVisitor(PhantomData))
    }
}

/// An object, or anything else, which counts as absent: Safety writes a text, null or an object in one
/// place, npm a truth value or an object in another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maybe<T>(pub Option<T>, pub Word);

impl<T> Default for Maybe<T> {
    fn default() -> Self {
        Self(None, Word(None))
    }
}

struct MaybeVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MaybeVisitor<T> {
    type Value = Maybe<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_str<E>(self, text: &str) -> Result<Maybe<T>, E> {
        Ok(Maybe(None, Word(Some(text.to_owned()))))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Maybe<T>, E> {
        Ok(Maybe(None, Word(Some(value.to_string()))))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Maybe<T>, E> {
        Ok(Maybe(None, Word(Some(value.to_string()))))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Maybe<T>, E> {
        Ok(Maybe(None, Word(Some(value.to_string()))))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Maybe<T>, E> {
        Ok(Maybe(None, Word(Some(value.to_string()))))
    }

    fn visit_unit<E>(self) -> Result<Maybe<T>, E> {
        Ok(Maybe(None, Word(None)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Maybe<T>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Maybe(None, Word(None)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Maybe<T>, A::Error> {
        let read = T::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        Ok(Maybe(Some(read), Word(None)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(MaybeVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_whatever_can_be_one() {
        for (text, word) in [
            (r#""  a b ""#, Some("a b")),
            ("12", Some("12")),
            ("7.5", Some("7.5")),
            ("true", Some("true")),
            ("null", None),
            (r#""""#, None),
            (r#"{"a": [1]}"#, None),
            ("[1, [2]]", None),
        ] {
            let read: Word = serde_json::from_str(text).unwrap();
            assert_eq!(read.get(), word, "{text}");
            // What is lent says the same.
            let lent: Lent<'_> = serde_json::from_str(text).unwrap();
            assert_eq!(lent.get(), word, "{text}");
            let number: Number = serde_json::from_str(text).unwrap();
            assert_eq!(number.0, read.number(), "{text}");
        }
    }

    #[test]
    fn members_are_kept_in_order_and_all_of_them() {
        let text = r#"{"nvd": "2", "a\"b": 3, "nvd": 4.0}"#;
        let read: Members<'_, Number> = serde_json::from_str(text).unwrap();
        let seen: Vec<_> = read.0.iter().map(|(key, one)| (key.get(), one.0)).collect();
        let wanted = [("nvd", 2.0), ("a\"b", 3.0), ("nvd", 4.0)];
        assert_eq!(seen, wanted.map(|(key, one)| (Some(key), Some(one))));
        let none: Members<'_, Number> = serde_json::from_str("null").unwrap();
        assert!(none.0.is_empty());
        assert!(serde_json::from_str::<Members<'_, Number>>("[1]").is_err());
    }

    #[test]
    fn many_is_a_list_one_or_none() {
        for (text, many) in [
            (r#"["a", "b"]"#, vec!["a", "b"]),
            (r#""a""#, vec!["a"]),
            ("79", vec!["79"]),
            ("null", vec![]),
        ] {
            let read: Many<Word> = serde_json::from_str(text).unwrap();
            assert_eq!(read.texts().collect::<Vec<_>>(), many, "{text}");
        }
    }

    #[test]
    fn maybe_keeps_the_object_or_the_word() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Name {
            name: Word,
        }
        let object: Maybe<Name> = serde_json::from_str(r#"{"name": "x"}"#).unwrap();
        assert_eq!(object.0.unwrap().name.get(), Some("x"));
        let text: Maybe<Name> = serde_json::from_str(r#""CVE-1""#).unwrap();
        assert_eq!(text.1.get(), Some("CVE-1"));
    }
}
