//! Texts with variables in them: `https://{{ host }}/api`.

/// A text with names of variables in double braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(String),
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("\"{}\" has a {{{{ without its }}}}", .0.escape_debug())]
    Open(String),
    #[error("there is no variable \"{}\"", .0.escape_debug())]
    Unknown(String),
}

impl Template {
    /// Reads a text. Between braces, blanks around the name do not count; a name that no variable can have is found by
    /// [`Template::fill`].
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (before, from) = rest.split_at(rest.find("{{").unwrap_or(rest.len()));
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            rest = from;
            if let Some(inside) = from.strip_prefix("{{") {
                let (name, after) = inside
                    .split_once("}}")
                    .ok_or_else(|| TemplateError::Open(text.to_owned()))?;
                parts.push(Part::Variable(name.trim().to_owned()));
                rest = after;
            }
        }
        Ok(Template(parts))
    }

    /// The names in it, in their order.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text with values in place of names; `value` answers `None` for a name that is none.
    pub fn fill<'v>(
        &self,
        value: impl Fn(&str) -> Option<&'v str>,
    ) -> Result<String, TemplateError> {
        let mut text = String::new();
        for part in &self.0 {
            text.push_str(match part {
                Part::Text(part) => part,
                Part::Variable(name) => {
                    value(name).ok_or_else(|| TemplateError::Unknown(name.clone()))?
                }
            });
        }
        Ok(text)
    }
}
