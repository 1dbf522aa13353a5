//! Reads a Spin application, and makes modules of its components.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use component_host::Program;
use proxy_wasm_host::CapabilityRules;
use spin_app::{Answer, App, Component, Files, RedisTrigger, Values};

use crate::client::redis::url::RedisUrl;
use crate::conf::cache;
use crate::conf::guest::Guest;
use crate::conf::limits::InstanceLimits;
use crate::conf::main::{MainConf, ModuleConf};
use crate::conf::policy::{HeaderStop, Isolation, OnFailure};
use crate::conf::service::{Dir, ServiceOptions};
use crate::conf::spin::{SpinAnswer, SpinConf};
use crate::conf::subscription::SubscriptionConf;
use crate::nginx::conf::{Cf, Mistake};
use crate::nginx::log::Level;

/// What `wasm_spin` says.
pub struct SpinDirective {
    /// The manifest.
    pub path: PathBuf,
    /// What stands before all routes.
    pub base: String,
    /// The operator's values of the application's variables.
    pub variables: BTreeMap<String, String>,
}

/// Reads an application, and adds its components to the modules.
pub fn load(cf: Cf<'_>, main: &mut MainConf, given: &SpinDirective) -> Result<SpinConf, Mistake> {
    let at = |error: &dyn std::fmt::Display| {
        Mistake::from(format!("\"{}\": {error}", given.path.display()))
    };
    let text = std::fs::read_to_string(&given.path)
        .map_err(|error| format!("cannot read \"{}\": {error}", given.path.display()))?;
    let app = App::parse(&text).map_err(|error| at(&error))?;
    let names = given.variables.keys().map(String::as_str);
    spin_app::check_given(&app.variables, names).map_err(|error| at(&error))?;
    let environment = |name: &str| std::env::var(spin_app::environment_name(name)).ok();
    let value = |name: &str| {
        given
            .variables
            .get(name)
            .cloned()
            .or_else(|| environment(name))
    };
    let values = app.values(value).map_err(|error| at(&error))?;
    let (router, warnings) = app.router(&given.base).map_err(|error| at(&error))?;
    for warning in app.warnings.iter().chain(&warnings) {
        cf.warn(format_args!("\"{}\": {warning}", given.path.display()));
    }
    let reader = Reader {
        app: &app,
        values: &values,
        directory: given.path.parent().unwrap_or(Path::new("/")),
    };
    let mut answers = Vec::new();
    for trigger in &app.http {
        answers.push(match &trigger.answer {
            Answer::Static {
                status,
                headers,
                body,
            } => SpinAnswer::Static {
                status: *status,
                headers: headers.clone(),
                body: body.clone(),
            },
            Answer::Component(id) => {
                let module = reader.module(cf, main, id, Work::Requests);
                SpinAnswer::Module(module.map_err(|error| at(&error))?)
            }
        });
    }
    for trigger in &app.redis {
        let subscription = reader.subscription(cf, main, trigger);
        // Each location with the application says the same.
        main.subscribe(subscription.map_err(|error| at(&error))?);
    }
    Ok(SpinConf { router, answers })
}

/// What a trigger wants of a component.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Requests,
    Messages,
}

struct Reader<'a> {
    app: &'a App,
    values: &'a Values,
    /// Where the manifest is.
    directory: &'a Path,
}

impl Reader<'_> {
    /// The module of a component: one that is there for another trigger of the application, or a new one.
    fn module(
        &self,
        cf: Cf<'_>,
        main: &mut MainConf,
        id: &str,
        work: Work,
    ) -> Result<usize, String> {
        let module = self.find_or_add(cf, main, id);
        let module = module.map_err(|error| format!("component {id}: {error}"))?;
        let handles = match (&main.modules[module].guest, work) {
            (Guest::Component(program, _), Work::Requests) => program.version().is_some(),
            (Guest::Component(program, _), Work::Messages) => program.takes_messages(),
            _ => false,
        };
        match (handles, work) {
            (true, _) => Ok(module),
            (false, Work::Requests) => Err(format!("component {id} handles no requests")),
            (false, Work::Messages) => Err(format!("component {id} takes no messages of Redis")),
        }
    }

    /// A trigger for messages. As with Spin, each message is for one of all workers.
    fn subscription(
        &self,
        cf: Cf<'_>,
        main: &mut MainConf,
        trigger: &RedisTrigger,
    ) -> Result<SubscriptionConf, String> {
        let at = |error: &dyn std::fmt::Display| format!("trigger.redis: {error}");
        let address = self.values.fill(&trigger.address).map_err(|e| at(&e))?;
        let channel = self.values.fill(&trigger.channel).map_err(|e| at(&e))?;
        let url = RedisUrl::parse(&address)
            .ok_or_else(|| at(&"address is not redis://host:port or rediss://host:port"))?;
        if channel.is_empty() {
            return Err(at(&"channel is empty"));
        }
        let module = self.module(cf, main, &trigger.component, Work::Messages)?;
        Ok(SubscriptionConf {
            server: url.server().into_bytes(),
            user: url.user,
            password: url.password,
            channels: vec![channel.into_bytes()],
            module: main.modules[module].name.clone(),
            function: None,
            once: true,
            place: cf.place(),
            receiver: None,
        })
    }

    fn find_or_add(&self, cf: Cf<'_>, main: &mut MainConf, id: &str) -> Result<usize, String> {
        let component = self.app.components.get(id).ok_or("there is none")?;
        let name = format!("{}/{id}", self.app.name);
        let options = self.options(component)?;
        let path = self.directory.join(&component.source);
        let bytes = std::fs::read(&path)
            .map_err(|error| format!("cannot read \"{}\": {error}", path.display()))?;
        cache::open_default(cf, main);
        let program = Program::compile(main.engine()?, &bytes);
        cache::tell(cf.log(), Level::Warn, main, &name);
        let program = program.map_err(|error| format!("\"{}\": {error}", path.display()))?;
        let env = component.environment.iter();
        let env: Vec<_> = env
            .map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes()))
            .collect();
        if let Some(place) = main.modules.iter().position(|module| module.name == name) {
            let known = &main.modules[place];
            let same = matches!(&known.guest, Guest::Component(other, with)
                if other.id() == program.id() && *with == options);
            return match same && known.vm.env == env {
                true => Ok(place),
                false => Err(format!("there is another wasm module \"{name}\"")),
            };
        }
        let mut module = ModuleConf {
            name,
            guest: Guest::Component(program, options),
            vm: Default::default(),
            rules: CapabilityRules::default(),
            limits: InstanceLimits::default(),
            on_failure: OnFailure::default(),
            isolation: Isolation::Request,
            header_stop: HeaderStop::All,
            place: cf.place(),
        };
        module.vm.env = env;
        // The components of an application share its stores.
        module.vm.vm_id = format!("spin/{}", self.app.name).into_bytes();
        main.modules.push(module);
        Ok(main.modules.len() - 1)
    }

    fn options(&self, component: &Component) -> Result<ServiceOptions, String> {
        let hosts = component.allowed_hosts(self.values);
        let variables = component.variables(self.values);
        Ok(ServiceOptions {
            dirs: self.directories(component)?,
            hosts: hosts.map_err(|error| error.to_string())?,
            reuse: None,
            stores: Some(component.key_value_stores.as_slice().into()),
            variables: Rc::new(variables.map_err(|error| error.to_string())?),
            application: Some(self.app.name.as_str().into()),
        })
    }

    /// The directories that `files` names. A component sees a directory whole, or not at all.
    fn directories(&self, component: &Component) -> Result<Vec<Dir>, String> {
        if !component.exclude_files.is_empty() {
            return Err(
                "exclude_files is not offered: name the directories that it may see".into(),
            );
        }
        let files = component.files.iter().map(|files| {
            let (source, name) = match files {
                Files::Placement {
                    source,
                    destination,
                } => (source.as_str(), destination.clone()),
                Files::Pattern(pattern) => {
                    let whole = pattern.strip_suffix("/**/*").or(pattern.strip_suffix("/**"));
                    let source = whole.unwrap_or(pattern);
                    (source, format!("/{}", source.trim_start_matches("./")))
                }
            };
            let path = self.directory.join(source);
            match path.is_dir() {
                true => Ok(Dir {
                    path,
                    name,
                    writable: false,
                }),
                false => Err(format!(
                    "files: \"{source}\" is no directory; what can be offered is a directory: \"dir/**/*\", or source and destination"
                )),
            }
        });
        files.collect()
    }
}
