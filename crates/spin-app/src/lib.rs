//! Spin applications: what their manifest (`spin.toml`) says, as Spin itself reads it.
//!
//! Pure: it reads text and answers questions. Which component a request is for, what its variables are, and whom it may call.
#![forbid(unsafe_code)]

mod hosts;
mod routes;
mod template;

pub use hosts::{AllowedHosts, HostError};
pub use routes::{Duplicate, Match, Route, RouteError, Router};
pub use template::{Template, TemplateError};
