//! Reading a TOML table key by key, so that every complaint has its place and every key that
//! nobody asked for is an error.
//!
//! serde would do for the shapes, but it loses the place of a value as soon as a text or a table is
//! allowed in one spot, and files written by people (suites, exceptions) are full of such spots.
//!
//! Every method that reads a value fails with a [`ConfigError`] where the value is of another kind.
//! The last call on a table is [`Fields::finish`], which refuses keys that nobody asked for.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::Range;
use std::time::Duration;

use super::error::{ConfigError, did_you_mean, line_and_column, toml_error};
use crate::report::Place;
use crate::units;
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A file's text under the name that complaints use.
#[derive(Clone, Debug)]
pub struct File {
    /// The path as given, or another name that tells people where the text is from.
    pub name: String,
    /// The whole text.
    pub text: String,
}

impl File {
    /// A complaint about a stretch of the text.
    #[must_use]
    pub fn error(&self, span: Range<usize>, message: impl Into<String>) -> ConfigError {
        ConfigError::at(&self.name, &self.text, span, message)
    }

    /// Where a stretch of the text begins.
    #[must_use]
    pub fn place(&self, span: &Range<usize>) -> Place {
        let (line, _) = line_and_column(&self.text, span.start);
        Place {
            path: self.name.clone(),
            line: Some(line),
        }
    }
}

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    /// The file that it stands in.
    pub file: &'a File,
    /// The value with its span.
    pub value: &'a Spanned<DeValue<'a>>,
    /// What complaints call it.
    pub name: String,
}

/// A table that remembers which of its keys were asked for.
#[derive(Debug)]
pub struct Fields<'a> {
    /// The file that it stands in.
    pub file: &'a File,
    table: &'a DeTable<'a>,
    /// Where it stands.
    pub span: Range<usize>,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Fields<'a> {
    /// Starts to read a table.
    #[must_use]
    pub fn new(file: &'a File, table: &'a DeTable<'a>, span: Range<usize>) -> Self {
        Self {
            file,
            table,
            span,
            asked: RefCell::default(),
        }
    }

    /// A complaint about the whole table.
    #[must_use]
    pub fn error(&self, message: impl Into<String>) -> ConfigError {
        // The span of a table reaches over all of it; its first line is the one to show.
        self.file
            .error(self.span.start..self.span.start + 1, message)
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &'static str) -> Option<Item<'a>> {
        self.asked.borrow_mut().insert(key);
        let value = self.table.get(key)?;
        Some(Item {
            file: self.file,
            value,
            name: key.to_owned(),
        })
    }

    /// Every key with its value; the keys are names that the author chose.
    pub fn named(&self) -> impl Iterator<Item = (Spanned<String>, Item<'a>)> + use<'a> {
        let file = self.file;
        self.table.iter().map(move |(key, value)| {
            let name = key.get_ref().to_string();
            (
                Spanned::new(key.span(), name.clone()),
                Item { file, value, name },
            )
        })
    }

    /// A text.
    ///
    /// # Errors
    /// The value is of another kind.
    pub fn text(&self, key: &'static str) -> Result<Option<String>, ConfigError> {
        self.get(key).map(|item| item.text()).transpose()
    }

    /// A text or a list of texts; empty where the key is absent.
    ///
    /// # Errors
    /// The value is of another kind.
    pub fn texts(&self, key: &'static str) -> Result<Vec<String>, ConfigError> {
        self.get(key).map_or(Ok(Vec::new()), |item| item.texts())
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// The value is of another kind.
    pub fn truth(&self, key: &'static str) -> Result<Option<bool>, ConfigError> {
        self.get(key)
            .map(|item| {
                item.value
                    .get_ref()
                    .as_bool()
                    .ok_or_else(|| item.wants("`true` or `false`"))
            })
            .transpose()
    }

    /// A whole number.
    ///
    /// # Errors
    /// The value is of another kind.
    pub fn count<T: TryFrom<i64>>(&self, key: &'static str) -> Result<Option<T>, ConfigError> {
        self.get(key).map(|item| item.count()).transpose()
    }

    /// A duration with its unit.
    ///
    /// # Errors
    /// The value is of another kind.
    pub fn duration(&self, key: &'static str) -> Result<Option<Duration>, ConfigError> {
        self.get(key).map(|item| item.duration()).transpose()
    }

    /// A table in this one.
    ///
    /// # Errors
    /// The value is of another kind.
    pub fn fields(&self, key: &'static str) -> Result<Option<Fields<'a>>, ConfigError> {
        self.get(key).map(|item| item.fields()).transpose()
    }

    /// A list; empty where the key is absent.
    ///
    /// # Errors
    /// The value is of another kind.
    pub fn items(&self, key: &'static str) -> Result<Vec<Item<'a>>, ConfigError> {
        self.get(key).map_or(Ok(Vec::new()), |item| item.items())
    }

    /// The call at the end: a key that nobody asked for is a mistake.
    ///
    /// # Errors
    /// There is such a key; the error names the one that is near, or all that are known.
    pub fn finish(self) -> Result<(), ConfigError> {
        let asked = self.asked.into_inner();
        for (key, _) in self.table {
            let name = key.get_ref().as_ref();
            if !asked.contains(name) {
                let hint = match did_you_mean(name, asked.iter().copied()) {
                    Some(word) => format!("did you mean `{word}`?"),
                    None => format!(
                        "known here: {}",
                        asked.iter().copied().collect::<Vec<_>>().join(", ")
                    ),
                };
                return Err(self
                    .file
                    .error(key.span(), format!("unknown key `{name}`"))
                    .hint(hint));
            }
        }
        Ok(())
    }
}

/// Parses a file's text; the table borrows it.
///
/// # Errors
/// It is no TOML.
pub fn parse(file: &File) -> Result<Spanned<DeTable<'_>>, ConfigError> {
    DeTable::parse(&file.text).map_err(|error| toml_error(&file.name, &file.text, &error))
}

impl<'a> Item<'a> {
    /// A complaint about the value.
    #[must_use]
    pub fn error(&self, message: impl Into<String>) -> ConfigError {
        self.file.error(self.value.span(), message)
    }

    /// A complaint about the kind of the value.
    #[must_use]
    pub fn wants(&self, wanted: &str) -> ConfigError {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "a truth value",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error(format!("`{}` is {found}", self.name))
            .hint(format!("write {wanted}"))
    }

    /// The value read from its text; the complaint says why it cannot be.
    ///
    /// # Errors
    /// The value is no text, or cannot be read.
    pub fn read<T, E: Display>(
        &self,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, ConfigError> {
        let text = self.text()?;
        read(&text).map_err(|error| self.error(format!("`{}`: {error}", self.name)))
    }

    /// The value as a text.
    ///
    /// # Errors
    /// The value is of another kind.
    pub fn text(&self) -> Result<String, ConfigError> {
        self.value
            .get_ref()
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| self.wants("a text in quotes"))
    }

    /// A text or a list of texts.
    ///
    /// # Errors
    /// The value is of another kind.
    pub fn texts(&self) -> Result<Vec<String>, ConfigError> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(vec![text.to_string()]),
            DeValue::Array(_) => self.items()?.iter().map(Item::text).collect(),
            _ => Err(self.wants("a text or a list of texts")),
        }
    }

    /// The value as a duration with its unit.
    ///
    /// # Errors
    /// The value is of another kind.
    pub fn duration(&self) -> Result<Duration, ConfigError> {
        if self.value.get_ref().as_str().is_none() {
            return Err(
                self.wants("a duration with its unit in quotes, such as \"500ms\" or \"10s\"")
            );
        }
        self.read(units::duration)
    }

    /// The value as a whole number.
    ///
    /// # Errors
    /// The value is of another kind.
    pub fn count<T: TryFrom<i64>>(&self) -> Result<T, ConfigError> {
        let integer = self.value.get_ref().as_integer();
        let number =
            integer.and_then(|digits| i64::from_str_radix(digits.as_str(), digits.radix()).ok());
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| self.wants("a whole number that is not negative"))
    }

    /// The value as a number.
    ///
    /// # Errors
    /// The value is of another kind.
    pub fn number(&self) -> Result<f64, ConfigError> {
        self.json()?.as_f64().ok_or_else(|| self.wants("a number"))
    }

    /// The value as a table.
    ///
    /// # Errors
    /// The value is of another kind.
    pub fn fields(&self) -> Result<Fields<'a>, ConfigError> {
        let table = self
            .value
            .get_ref()
            .as_table()
            .ok_or_else(|| self.wants("a table"))?;
        Ok(Fields::new(self.file, table, self.value.span()))
    }

    /// The value as a list.
    ///
    /// # Errors
    /// The value is of another kind.
    pub fn items(&self) -> Result<Vec<Item<'a>>, ConfigError> {
        let list = self
            .value
            .get_ref()
            .as_array()
            .ok_or_else(|| self.wants("a list in `[...]`"))?;
        Ok(list
            .iter()
            .map(|value| Item {
                file: self.file,
                value,
                name: self.name.clone(),
            })
            .collect())
    }

    /// Whether the value is a table.
    #[must_use]
    pub fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// The value as a day, `2026-12-31`, with or without quotes.
    ///
    /// # Errors
    /// The value is no day.
    pub fn day(&self) -> Result<jiff::civil::Date, ConfigError> {
        const WANTED: &str = "a date such as 2026-12-31";
        // A parser of dates that takes a time as well would lose that time silently.
        match self.json()? {
            Value::String(text) if text.len() == 10 => text.parse().map_err(|_| self.wants(WANTED)),
            _ => Err(self.wants(WANTED)),
        }
    }

    /// The value as JSON. TOML's dates become texts, and it has no null.
    ///
    /// # Errors
    /// A number is none that JSON has.
    pub fn json(&self) -> Result<Value, ConfigError> {
        Ok(match self.value.get_ref() {
            DeValue::String(text) => Value::from(text.as_ref()),
            DeValue::Boolean(truth) => Value::from(*truth),
            DeValue::Datetime(time) => Value::from(time.to_string()),
            DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
                .map(Value::from)
                .map_err(|_| self.error(format!("`{}` is too large a number", self.name)))?,
            DeValue::Float(digits) => digits
                .as_str()
                .replace('_', "")
                .parse::<f64>()
                .ok()
                .and_then(serde_json::Number::from_f64)
                .map(Value::Number)
                .ok_or_else(|| self.error(format!("`{}` is no number that JSON has", self.name)))?,
            DeValue::Array(_) => Value::Array(
                self.items()?
                    .iter()
                    .map(Item::json)
                    .collect::<Result<_, _>>()?,
            ),
            DeValue::Table(table) => {
                let mut members = Map::new();
                for (key, value) in table {
                    let item = Item {
                        file: self.file,
                        value,
                        name: key.get_ref().to_string(),
                    };
                    members.insert(item.name.clone(), item.json()?);
                }
                Value::Object(members)
            }
        })
    }
}
