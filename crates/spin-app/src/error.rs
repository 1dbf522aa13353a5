//! What is wrong with a manifest, and where.

use std::ops::Range;

/// Why a manifest is none that can be served. One line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not TOML, or not in Spin's schema.
    #[error("{0}")]
    Toml(Mistake),
    #[error("a manifest of version 1: \"spin doctor\" makes one of version 2 from it")]
    Version1,
    #[error("no \"spin_manifest_version = 2\"")]
    Version,
    #[error("{place}: {problem}")]
    At { place: String, problem: String },
}

impl ManifestError {
    pub(crate) fn at(place: impl Into<String>, problem: &dyn std::error::Error) -> ManifestError {
        ManifestError::told(place, problem.to_string())
    }

    pub(crate) fn told(place: impl Into<String>, problem: impl Into<String>) -> ManifestError {
        ManifestError::At {
            place: one_line(&place.into()),
            problem: one_line(&problem.into()),
        }
    }
}

/// What is wrong with a text of TOML. Line and column begin at 1; the column counts characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Mistake {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl Mistake {
    pub(crate) fn of(text: &str, error: &toml::de::Error) -> Mistake {
        let (line, column) = position(text, error.span());
        Mistake {
            line,
            column,
            message: one_line(error.message()),
        }
    }
}

/// Line and column of a place in a text.
fn position(text: &str, span: Option<Range<usize>>) -> (usize, usize) {
    let start = span.map_or(0, |span| span.start);
    let before = text.get(..start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    (line, column)
}

/// A text with its white space, and what cannot be shown, as single spaces.
pub(crate) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
