//! The values of an application's variables.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Mistake, one_line};
use crate::names::check_variable;
use crate::template::{Template, TemplateError};

/// A variable of the application (`[variables]`).
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its value if nobody gives another one; `None`: somebody must.
    pub default: Option<String>,
    /// Its value is not to be shown.
    pub secret: bool,
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = if self.secret {
            None
        } else {
            self.default.as_ref()
        };
        let mut debug = f.debug_struct("Variable");
        debug.field("default", &shown).field("secret", &self.secret);
        debug.finish()
    }
}

/// What all variables of an application stand for.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<String, String>);

/// Why variables have no values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    #[error("the variable \"{0}\" is required, and has no value: give it one, or set {env} in the environment", env = environment_name(.0))]
    Required(String),
    #[error("the application has no variable \"{}\"", .0.escape_debug())]
    Unknown(String),
    #[error("the name of the variable \"{name}\" {1}", name = .0.escape_debug())]
    Name(String, &'static str),
    /// In a file of values.
    #[error("{0}")]
    Toml(Mistake),
    #[error("the value of \"{}\" is no string", .0.escape_debug())]
    NoString(String),
    #[error(".env: {0}")]
    Dotenv(String),
}

impl Values {
    /// The value of each variable: what `given` answers for its name, or its default. Whoever has several sources, as Spin
    /// has, asks them in their order: what the operator says, the environment, a `.env` file.
    pub fn resolve(
        variables: &BTreeMap<String, Variable>,
        given: impl Fn(&str) -> Option<String>,
    ) -> Result<Values, VariableError> {
        let value = |(name, variable): (&String, &Variable)| {
            let value = given(name).or_else(|| variable.default.clone());
            let value = value.ok_or_else(|| VariableError::Required(name.clone()))?;
            Ok((name.clone(), value))
        };
        variables
            .iter()
            .map(value)
            .collect::<Result<_, _>>()
            .map(Values)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A text with the values in place of names.
    pub fn fill(&self, template: &Template) -> Result<String, TemplateError> {
        template.fill(|name| self.get(name))
    }
}

impl fmt::Debug for Values {
    /// Some of them are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The variable of the environment that gives a value to one of the application's.
pub fn environment_name(variable: &str) -> String {
    format!("SPIN_VARIABLE_{}", variable.to_ascii_uppercase())
}

/// Are all of these names variables of the application?
pub fn check_given<'n>(
    variables: &BTreeMap<String, Variable>,
    names: impl IntoIterator<Item = &'n str>,
) -> Result<(), VariableError> {
    for name in names {
        check_variable(name).map_err(|wrong| VariableError::Name(name.to_owned(), wrong))?;
        if !variables.contains_key(name) {
            return Err(VariableError::Unknown(name.to_owned()));
        }
    }
    Ok(())
}

/// Reads a file of values: TOML with strings alone.
pub fn parse_values(text: &str) -> Result<BTreeMap<String, String>, VariableError> {
    let table: toml::Table =
        toml::from_str(text).map_err(|error| VariableError::Toml(Mistake::of(text, &error)))?;
    let value = |(name, value)| match value {
        toml::Value::String(value) => Ok((name, value)),
        _ => Err(VariableError::NoString(name)),
    };
    table.into_iter().map(value).collect()
}

/// Reads a `.env` file: names of the environment, and their values.
pub fn parse_dotenv(text: &str) -> Result<BTreeMap<String, String>, VariableError> {
    let lines = dotenvy::from_read_iter(text.as_bytes());
    let values = lines.collect::<Result<_, _>>();
    values.map_err(|error| VariableError::Dotenv(one_line(&error.to_string())))
}
