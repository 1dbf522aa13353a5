//! An application.

use std::collections::BTreeMap;

use crate::error::{ManifestError, one_line};
use crate::hosts::AllowedHosts;
use crate::routes::{Route, Router};
use crate::template::Template;
use crate::variables::{Values, Variable};

/// What Spin itself answers, and no route sees: `health` and `info` behind it.
pub const WELL_KNOWN: &str = "/.well-known/spin/";

/// An application as its manifest has it. Paths are as they stand there: relative to the manifest's directory.
#[derive(Clone, Debug)]
pub struct App {
    pub name: String,
    /// May be empty.
    pub version: String,
    /// May be empty.
    pub description: String,
    pub variables: BTreeMap<String, Variable>,
    /// In the manifest's order.
    pub http: Vec<HttpTrigger>,
    pub redis: Vec<RedisTrigger>,
    /// By their identifiers. Those that stand within triggers have identifiers as Spin makes them up.
    pub components: BTreeMap<String, Component>,
    /// What is there and not served, or deprecated; one line each.
    pub warnings: Vec<String>,
}

/// A route with what answers there.
#[derive(Clone, Debug)]
pub struct HttpTrigger {
    pub id: String,
    pub route: Endpoint,
    pub answer: Answer,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// As it was written.
    Route(String),
    /// Only other components reach it.
    Private,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The identifier of a component, which is there.
    Component(String),
    Static {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
}

/// Messages of a channel, and the component that gets them.
#[derive(Clone, Debug)]
pub struct RedisTrigger {
    pub id: String,
    /// `redis://host:port`; of the trigger, or the application's. Once filled in, it must not be empty.
    pub address: Template,
    pub channel: Template,
    pub component: String,
}

#[derive(Clone, Debug)]
pub struct Component {
    /// The path of the file.
    pub source: String,
    pub description: String,
    /// What it reads as its variables; names in the texts are of the application's variables.
    pub variables: BTreeMap<String, Template>,
    pub environment: BTreeMap<String, String>,
    pub files: Vec<Files>,
    /// Patterns of files that it does not see, whatever `files` says; only patterns there are bound by it, and directories.
    pub exclude_files: Vec<String>,
    pub allowed_outbound_hosts: Vec<Template>,
    /// Labels of stores, databases and models.
    pub key_value_stores: Vec<String>,
    pub sqlite_databases: Vec<String>,
    pub ai_models: Vec<String>,
}

/// Files that a component can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Files {
    /// A file, a directory, or a pattern of files; each is where it is, seen from the manifest.
    Pattern(String),
    /// A file or a directory, and where the component sees it, from `/` on.
    Placement { source: String, destination: String },
}

impl App {
    /// The values of its variables; see [`Values::resolve`].
    pub fn values(&self, given: impl Fn(&str) -> Option<String>) -> Result<Values, ManifestError> {
        let values = Values::resolve(&self.variables, given);
        values.map_err(|error| ManifestError::at("variables", &error))
    }

    /// Its routes, whose numbers are places in [`App::http`], with `base` before each (`/`: nothing). And what there is to tell of
    /// them; one line each.
    pub fn router(&self, base: &str) -> Result<(Router, Vec<String>), ManifestError> {
        let mut routes = Vec::new();
        let mut warnings = Vec::new();
        for (number, trigger) in self.http.iter().enumerate() {
            let Endpoint::Route(raw) = &trigger.route else {
                continue;
            };
            let place = || format!("trigger.http, route \"{raw}\"");
            let route = Route::parse(base, raw);
            routes.push((number, route.map_err(|e| ManifestError::at(place(), &e))?));
            let absolute = raw.strip_prefix('/').unwrap_or(raw);
            if WELL_KNOWN[1..] == *absolute || absolute.starts_with(&WELL_KNOWN[1..]) {
                warnings.push(format!(
                    "{}: Spin itself answers below {WELL_KNOWN}",
                    place()
                ));
            }
        }
        let (router, duplicates) = Router::new(routes);
        let answer = |number: usize| match self.http.get(number).map(|trigger| &trigger.answer) {
            Some(Answer::Component(id)) => format!("component {id}"),
            _ => "a static response".to_owned(),
        };
        for duplicate in duplicates {
            let Some(Endpoint::Route(raw)) = self.http.get(duplicate.used).map(|t| &t.route) else {
                continue;
            };
            warnings.push(format!(
                "trigger.http, route \"{raw}\" is there twice: {} is used, {} is not",
                answer(duplicate.used),
                answer(duplicate.replaced),
            ));
        }
        let warnings = warnings.iter().map(|warning| one_line(warning));
        Ok((router, warnings.collect()))
    }
}

impl Component {
    /// Its variables' values.
    pub fn variables(&self, values: &Values) -> Result<BTreeMap<String, String>, ManifestError> {
        let filled = self.variables.iter().map(|(name, template)| {
            let value = values.fill(template);
            let value = value.map_err(|e| ManifestError::at(format!("variables.{name}"), &e))?;
            Ok((name.clone(), value))
        });
        filled.collect()
    }

    /// Whom it may call.
    pub fn allowed_hosts(&self, values: &Values) -> Result<AllowedHosts, ManifestError> {
        let at = |error: &dyn std::error::Error| ManifestError::at("allowed_outbound_hosts", error);
        let mut hosts = AllowedHosts::default();
        for template in &self.allowed_outbound_hosts {
            let entry = values.fill(template).map_err(|e| at(&e))?;
            hosts.add(&entry).map_err(|e| at(&e))?;
        }
        Ok(hosts)
    }
}
