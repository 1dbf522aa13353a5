//! Spin applications: what their manifest (`spin.toml`) says, as Spin itself reads it.
//!
//! Pure: it reads text and answers questions. Which component a request is for, what its variables are, and whom it may call.
#![forbid(unsafe_code)]

mod app;
mod error;
mod headers;
mod hosts;
mod manifest;
mod names;
mod routes;
mod schema;
mod template;
mod variables;

pub use app::{Answer, App, Component, Endpoint, Files, HttpTrigger, RedisTrigger, WELL_KNOWN};
pub use error::{ManifestError, Mistake};
pub use headers::{Request, request_headers};
pub use hosts::{AllowedHosts, HostError};
pub use names::{check_kebab, check_label, check_variable};
pub use routes::{Duplicate, Match, Route, RouteError, Router};
pub use template::{Template, TemplateError};
pub use variables::{
    Values, Variable, VariableError, check_given, environment_name, parse_dotenv, parse_values,
};
