//! Reading a manifest: what its schema lets pass, and is wrong nevertheless.

use std::collections::{BTreeMap, HashSet};

use crate::app::{Answer, App, Component, Endpoint, Files, HttpTrigger, RedisTrigger};
use crate::error::{ManifestError, Mistake, one_line};
use crate::hosts::AllowedHosts;
use crate::names::{check_kebab, check_label, check_variable};
use crate::routes::Route;
use crate::schema::{self, TextOr};
use crate::template::Template;
use crate::variables::Variable;

impl App {
    /// Reads a manifest (`spin.toml`).
    pub fn parse(text: &str) -> Result<App, ManifestError> {
        let toml = |error| ManifestError::Toml(Mistake::of(text, &error));
        let probe: schema::Probe = toml::from_str(text).map_err(toml)?;
        check_version(&probe)?;
        Reader::default().read(toml::from_str(text).map_err(toml)?)
    }
}

fn check_version(probe: &schema::Probe) -> Result<(), ManifestError> {
    match &probe.spin_manifest_version {
        Some(toml::Value::Integer(2)) => Ok(()),
        Some(toml::Value::String(version)) if version == "1" => Err(ManifestError::Version1),
        None if probe.spin_version.is_some() => Err(ManifestError::Version1),
        _ => Err(ManifestError::Version),
    }
}

/// An application that is being put together.
#[derive(Default)]
struct Reader {
    variables: BTreeMap<String, Variable>,
    components: BTreeMap<String, Component>,
    /// Identifiers of triggers.
    triggers: HashSet<String>,
    warnings: Vec<String>,
}

impl Reader {
    fn read(mut self, manifest: schema::Manifest) -> Result<App, ManifestError> {
        let application = manifest.application;
        for (name, variable) in manifest.variables {
            let place = || format!("variables.{name}");
            let variable =
                read_variable(&name, variable).map_err(|e| ManifestError::told(place(), e))?;
            self.variables.insert(name, variable);
        }
        for (id, component) in manifest.components {
            self.component(&id, component)?;
        }
        let triggers = manifest.triggers;
        for kind in triggers.others.keys() {
            let line = format!("trigger.{kind} is not served");
            self.warnings.push(one_line(&line));
        }
        let own = triggers.http.iter().map(|t| &t.id);
        let own = own.chain(triggers.redis.iter().map(|t| &t.id));
        self.triggers = own.filter(|id| !id.is_empty()).cloned().collect();
        let address = application.triggers.redis.map(|redis| redis.address);
        let mut http = Vec::new();
        for trigger in triggers.http {
            http.push(self.http(trigger)?);
        }
        let mut redis = Vec::new();
        for trigger in triggers.redis {
            redis.push(self.redis(trigger, address.as_deref())?);
        }
        Ok(App {
            name: application.name,
            version: application.version,
            description: application.description,
            variables: self.variables,
            http,
            redis,
            components: self.components,
            warnings: self.warnings,
        })
    }

    fn http(&mut self, trigger: schema::HttpTrigger) -> Result<HttpTrigger, ManifestError> {
        let (route, place) = match trigger.route {
            TextOr::Text(route) => {
                let place = format!("trigger.http, route \"{route}\"");
                Route::parse("/", &route).map_err(|e| ManifestError::at(&*place, &e))?;
                (Endpoint::Route(route), place)
            }
            TextOr::Table(table) if table.private => (
                Endpoint::Private,
                "trigger.http, a private route".to_owned(),
            ),
            TextOr::Table(_) => {
                let told = "a route is a string, or { private = true }";
                return Err(ManifestError::told("trigger.http", told));
            }
        };
        let told = |problem: String| ManifestError::told(&*place, problem);
        if trigger.components.is_some() || trigger.dependencies.is_some() {
            return Err(told(
                "several components in one trigger are not available".into(),
            ));
        }
        match trigger
            .executor
            .as_ref()
            .map(|executor| executor.kind.as_str())
        {
            None | Some("http" | "spin") => {}
            Some(kind) => return Err(told(format!("the executor \"{kind}\" is not available"))),
        }
        let reference = match &trigger.component {
            Some(TextOr::Text(id)) => Some(id.as_str()),
            _ => None,
        };
        let id = self.trigger_id(trigger.id, "http", reference);
        let answer = match (trigger.component, trigger.static_response) {
            (Some(component), None) => {
                Answer::Component(self.trigger_component(&id, &place, component)?)
            }
            (None, Some(response)) => Answer::Static {
                status: response.status_code.unwrap_or(200),
                headers: response.headers.into_iter().collect(),
                body: response.body,
            },
            _ => return Err(told("either component or static_response is needed".into())),
        };
        Ok(HttpTrigger { id, route, answer })
    }

    fn redis(
        &mut self,
        trigger: schema::RedisTrigger,
        address: Option<&str>,
    ) -> Result<RedisTrigger, ManifestError> {
        let place = format!("trigger.redis, channel \"{}\"", trigger.channel);
        let told = |problem: &str| ManifestError::told(&*place, problem);
        if trigger.components.is_some() || trigger.dependencies.is_some() {
            return Err(told("several components in one trigger are not available"));
        }
        let reference = match &trigger.component {
            TextOr::Text(id) => Some(id.as_str()),
            TextOr::Table(_) => None,
        };
        let id = self.trigger_id(trigger.id, "redis", reference);
        let address = trigger.address.as_deref().or(address);
        let address =
            address.ok_or_else(|| told("no address, and no [application.trigger.redis]"))?;
        Ok(RedisTrigger {
            address: self.template(&place, address)?,
            channel: self.template(&place, &trigger.channel)?,
            component: self.trigger_component(&id, &place, trigger.component)?,
            id,
        })
    }

    /// The identifier of a trigger, which Spin makes up if there is none.
    fn trigger_id(&mut self, id: String, kind: &str, component: Option<&str>) -> String {
        if !id.is_empty() {
            return id;
        }
        let natural = component.map(|component| format!("{component}-{kind}-trigger"));
        let counted = (1..).map(|number| format!("{kind}-trigger{number}"));
        let mut candidates = natural.into_iter().chain(counted);
        let id = candidates.find(|id| !self.triggers.contains(id));
        // There is always a higher number.
        let id = id.unwrap_or_default();
        self.triggers.insert(id.clone());
        id
    }

    /// The identifier of a trigger's component, which is there; one that stands within the trigger gets one as Spin makes it up.
    fn trigger_component(
        &mut self,
        trigger: &str,
        place: &str,
        component: TextOr<schema::Component>,
    ) -> Result<String, ManifestError> {
        match component {
            TextOr::Text(id) => match self.components.contains_key(&id) {
                true => Ok(id),
                false => Err(ManifestError::told(
                    place,
                    format!("there is no component \"{id}\""),
                )),
            },
            TextOr::Table(component) => {
                let natural = format!("{trigger}-component");
                let natural = check_kebab(&natural).is_ok().then_some(natural);
                let counted = (1..).map(|number| format!("inline-component{number}"));
                let mut candidates = natural.into_iter().chain(counted);
                let id = candidates.find(|id| !self.components.contains_key(id));
                let id = id.unwrap_or_default();
                self.component(&id, *component)?;
                Ok(id)
            }
        }
    }

    fn component(&mut self, id: &str, component: schema::Component) -> Result<(), ManifestError> {
        let place = |field: &str| format!("component.{id}{field}");
        check_kebab(id)
            .map_err(|wrong| ManifestError::told(place(""), format!("the identifier {wrong}")))?;
        if !component.dependencies.is_empty() {
            let told =
                "other components as dependencies are not available: compose them into one file";
            return Err(ManifestError::told(place(".dependencies"), told));
        }
        let source =
            source(component.source).map_err(|e| ManifestError::told(place(".source"), e))?;
        let mut hosts = component.allowed_outbound_hosts;
        if !component.allowed_http_hosts.is_empty() {
            let line = "is deprecated: use allowed_outbound_hosts";
            self.warnings
                .push(format!("{} {line}", place(".allowed_http_hosts")));
            hosts.extend(
                component
                    .allowed_http_hosts
                    .iter()
                    .flat_map(|host| http_host(host)),
            );
        }
        let mut variables = BTreeMap::new();
        for (name, text) in component.variables {
            let place = place(&format!(".variables.{name}"));
            check_variable(&name)
                .map_err(|wrong| ManifestError::told(&*place, format!("the name {wrong}")))?;
            variables.insert(name, self.template(&place, &text)?);
        }
        for (field, labels) in [
            (".key_value_stores", &component.key_value_stores),
            (".sqlite_databases", &component.sqlite_databases),
        ] {
            for label in labels {
                check_label(label).map_err(|wrong| {
                    ManifestError::told(place(field), format!("\"{label}\" {wrong}"))
                })?;
            }
        }
        let files = component.files.into_iter().map(files);
        let component = Component {
            source,
            description: component.description,
            variables,
            environment: component.environment,
            files: files
                .collect::<Result<_, _>>()
                .map_err(|e| ManifestError::told(place(".files"), e))?,
            exclude_files: component.exclude_files,
            allowed_outbound_hosts: self.hosts(&place(".allowed_outbound_hosts"), &hosts)?,
            key_value_stores: component.key_value_stores,
            sqlite_databases: component.sqlite_databases,
            ai_models: component.ai_models,
        };
        self.components.insert(id.to_owned(), component);
        Ok(())
    }

    /// Entries without variables are checked here.
    fn hosts(&self, place: &str, entries: &[String]) -> Result<Vec<Template>, ManifestError> {
        let mut templates = Vec::new();
        for entry in entries {
            let template = self.template(place, entry)?;
            if template.variables().next().is_none() {
                AllowedHosts::parse([entry]).map_err(|e| ManifestError::at(place, &e))?;
            }
            templates.push(template);
        }
        Ok(templates)
    }

    /// A text whose variables are all there.
    fn template(&self, place: &str, text: &str) -> Result<Template, ManifestError> {
        let template = Template::parse(text).map_err(|e| ManifestError::at(place, &e))?;
        if let Some(name) = template
            .variables()
            .find(|name| !self.variables.contains_key(*name))
        {
            let told = format!("the application has no variable \"{name}\"");
            return Err(ManifestError::told(place, told));
        }
        Ok(template)
    }
}

fn read_variable(name: &str, variable: schema::Variable) -> Result<Variable, String> {
    check_variable(name).map_err(|wrong| format!("the name {wrong}"))?;
    match (variable.required, &variable.default) {
        (true, Some(_)) => Err("either required, or a default".into()),
        (false, None) => Err("needs a default, or required = true".into()),
        _ => Ok(Variable {
            default: variable.default,
            secret: variable.secret,
        }),
    }
}

fn source(source: TextOr<BTreeMap<String, serde::de::IgnoredAny>>) -> Result<String, String> {
    match source {
        TextOr::Text(path) if path.is_empty() => Err("is empty".into()),
        TextOr::Text(path) => Ok(path),
        TextOr::Table(table) => {
            let from = match table.contains_key("url") {
                true => "a URL",
                false => "a registry",
            };
            Err(format!(
                "{from}: code is not fetched while nginx starts; put the file here, and name its path"
            ))
        }
    }
}

fn files(files: TextOr<schema::Placement>) -> Result<Files, String> {
    match files {
        TextOr::Text(pattern) => {
            let last = pattern.rsplit('/').next().unwrap_or_default();
            match last {
                "" if pattern.is_empty() => Err("an empty pattern".into()),
                "." | ".." => Err(format!(
                    "the pattern \"{pattern}\" ends in a directory's dots: name source and destination, or end it in **/*"
                )),
                _ => Ok(Files::Pattern(pattern)),
            }
        }
        TextOr::Table(placement) => {
            let schema::Placement {
                source,
                destination,
            } = *placement;
            if destination.split('/').any(|part| part == "..") {
                return Err(format!(
                    "the destination \"{destination}\" leads out of the root"
                ));
            }
            Ok(Files::Placement {
                source,
                destination,
            })
        }
    }
}

/// An entry of the deprecated `allowed_http_hosts` as entries of today.
fn http_host(host: &str) -> Vec<String> {
    match host {
        "insecure:allow-all" => vec!["http://*:*".into(), "https://*:*".into()],
        "self" => vec!["http://self".into(), "https://self".into()],
        _ if host.contains("//") => vec![host.to_owned()],
        _ => vec![format!("http://{host}"), format!("https://{host}")],
    }
}
