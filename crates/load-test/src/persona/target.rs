//! Where a step goes: path and query.

use http::uri::{InvalidUri, PathAndQuery};

use super::template::{Draw, Missing, Template};

/// A path and query, read once where nothing in it is drawn.
#[derive(Clone, Debug)]
pub struct Target {
    template: Template,
    fixed: Option<PathAndQuery>,
}

/// Why a target cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NoTarget {
    /// A saved value is not there.
    #[error("an earlier step did not give a value")]
    Missing(Missing),
    /// What was drawn makes no path and query (RFC 9112, section 3.2.1).
    #[error("`{text}` is no request target: {why}")]
    Unfit {
        /// The filled text.
        text: String,
        /// What is wrong with it.
        why: InvalidUri,
    },
}

impl Target {
    /// A target from its template.
    ///
    /// # Errors
    /// Nothing in it is drawn, and it is no path and query.
    pub fn new(template: Template) -> Result<Self, NoTarget> {
        let fixed = template.fixed().map(parsed).transpose()?;
        Ok(Self { template, fixed })
    }

    /// The text if nothing in it is drawn.
    #[must_use]
    pub fn fixed(&self) -> Option<&str> {
        self.template.fixed()
    }

    /// The slots that it needs.
    pub fn slots(&self) -> impl Iterator<Item = usize> + '_ {
        self.template.slots()
    }

    /// Fills it.
    ///
    /// # Errors
    /// A saved value is not there, or what was drawn makes no path and query.
    pub fn fill(&self, draw: &mut Draw<'_>) -> Result<PathAndQuery, NoTarget> {
        if let Some(fixed) = &self.fixed {
            return Ok(fixed.clone());
        }
        let mut text = String::new();
        self.template
            .fill(draw, &mut text)
            .map_err(NoTarget::Missing)?;
        parsed(&text)
    }
}

fn parsed(text: &str) -> Result<PathAndQuery, NoTarget> {
    PathAndQuery::try_from(text).map_err(|why| NoTarget::Unfit {
        text: text.to_owned(),
        why,
    })
}
