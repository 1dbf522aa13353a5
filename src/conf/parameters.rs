//! The parameters of `wasm_module`.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;
use std::time::Duration;

use proxy_wasm_host::{Capability, CapabilityRules, VmConfig};

use crate::conf::guest::{Kind, PluginOptions};
use crate::conf::limits::{InstanceLimits, largest_stack, number, size, time};
use crate::conf::policy::{HeaderStop, Isolation, OnFailure};
use crate::conf::service::ServiceParameters;
use crate::nginx::conf::Mistake;

/// The parameters of a `wasm_module` directive.
#[derive(Default)]
pub struct Parameters {
    pub sha256: Option<Vec<u8>>,
    pub vm: VmConfig,
    pub limits: InstanceLimits,
    pub on_failure: OnFailure,
    /// `None`: as the kind of guest has it.
    pub isolation: Option<Isolation>,
    /// `None`: as the guest's ABI has it.
    pub header_stop: Option<HeaderStop>,
    pub rules: CapabilityRules,
    /// `None`: as the file looks.
    pub kind: Option<Kind>,
    pub plugin: PluginParameters,
    pub service: ServiceParameters,
    /// Names of those that have been there.
    seen: Vec<Vec<u8>>,
}

impl Parameters {
    /// Takes one, `name=value`. `text` gives a text, or the bytes of a file as `@path`.
    pub fn take(
        &mut self,
        bytes: &[u8],
        text: impl Fn(&[u8]) -> Result<Arc<[u8]>, Mistake>,
    ) -> Result<(), String> {
        let (name, value) = match bytes.iter().position(|&b| b == b'=') {
            Some(at) => (&bytes[..at], &bytes[at + 1..]),
            None => (bytes, &b""[..]),
        };
        let shown = String::from_utf8_lossy(name);
        let several = matches!(
            name,
            b"env"
                | b"allow"
                | b"deny"
                | b"config"
                | b"allowed_hosts"
                | b"dir"
                | b"allowed_outbound_hosts"
        );
        if !several && self.seen.iter().any(|seen| seen == name) {
            return Err(format!("duplicate parameter {shown}="));
        }
        self.seen.push(name.to_vec());
        let invalid = |expected: String| {
            let value = String::from_utf8_lossy(value);
            format!("invalid value \"{value}\" of {shown}=, it must be {expected}")
        };

        let limits = &mut self.vm.limits;
        match name {
            b"sha256" => self.sha256 = Some(value.to_vec()),
            b"vm_config" => {
                let configuration = text(value);
                self.vm.configuration =
                    configuration.map_err(|error| format!("vm_config=: {error}"))?;
            }
            b"vm_id" if value.is_empty() => return Err("empty vm_id=".into()),
            b"vm_id" => self.vm.vm_id = value.to_vec(),
            b"env" => add_env(&mut self.vm.env, value)?,
            b"memory" => limits.memory = size(value, 64 << 10, 4 << 30).map_err(invalid)?,
            b"cpu_time" => {
                limits.cpu_time = time(value, MILLISECOND, HOUR).map_err(invalid)?;
            }
            b"start_time" => {
                limits.start_time = time(value, MILLISECOND, HOUR).map_err(invalid)?;
            }
            b"stack" => limits.stack = size(value, 64 << 10, largest_stack()).map_err(invalid)?,
            b"table" => limits.table = number(value, 0, u32::MAX).map_err(invalid)? as usize,
            b"instances" => {
                self.limits.instances = number(value, 1, 100_000).map_err(invalid)?;
            }
            b"log_rate" if value == b"off" => self.limits.log_rate = None,
            b"log_rate" => {
                let rate = number(value, 1, u32::MAX).map_err(|e| invalid(e + " or \"off\""))?;
                self.limits.log_rate = Some(rate);
            }
            b"turn_time" => {
                self.limits.turn_time = time(value, MILLISECOND, SECOND).map_err(invalid)?;
            }
            b"on_failure" => {
                self.on_failure = OnFailure::parse(value).map_err(|e| invalid(e.into()))?;
            }
            b"isolation" => {
                let isolation = Isolation::parse(value).map_err(|e| invalid(e.into()))?;
                self.isolation = Some(isolation);
            }
            b"header_stop" => {
                let stop = HeaderStop::parse(value).map_err(|e| invalid(e.into()))?;
                self.header_stop = Some(stop);
            }
            b"type" => self.kind = Some(Kind::parse(value).map_err(|e| invalid(e.into()))?),
            b"queue" => self.limits.queue = number(value, 0, 1_000_000).map_err(invalid)?,
            b"config" => self.plugin.add_config(value)?,
            b"allowed_hosts" => self.plugin.add_hosts(value)?,
            b"dir" => self.service.add_dir(value)?,
            b"allowed_outbound_hosts" => self.service.add_hosts(value)?,
            b"reuse" => {
                let reuse = number(value, 1, u32::MAX).map_err(invalid)?;
                self.service.reuse = Some(reuse);
            }
            b"vars" => {
                self.plugin.options.shared_vars =
                    on_off(value, b"shared", b"instance").map_err(invalid)?;
            }
            b"http_headers" => {
                self.plugin.options.response_headers =
                    on_off(value, b"on", b"off").map_err(invalid)?;
            }
            b"allow" => self
                .rules
                .allow(value)
                .map_err(|e| format!("allow=: {e}"))?,
            b"deny" => self.rules.deny(value).map_err(|e| format!("deny=: {e}"))?,
            _ => {
                let parameter = String::from_utf8_lossy(bytes);
                return Err(format!("unknown parameter \"{parameter}\""));
            }
        }
        Ok(())
    }

    /// Is there a parameter that guests of this kind have not? An error says which, the first one.
    pub fn check(&self, kind: Kind) -> Result<(), String> {
        let mut seen = self.seen.iter();
        seen.try_for_each(|name| check_kind(kind, name))
    }

    /// Who shares an instance of such a guest.
    pub fn isolation_of(&self, kind: Kind) -> Isolation {
        self.isolation.unwrap_or(match kind {
            Kind::Component => Isolation::Request,
            _ => Isolation::Worker,
        })
    }

    /// What follows from several of them together; to be called when all have been taken.
    pub fn finish(&mut self) -> Result<(), String> {
        // Which names of upstreams there are is known only when all of the configuration is.
        self.vm.capabilities = self.rules.capabilities_with(|_, _| true)?;
        add_environment(&mut self.vm);
        Ok(())
    }
}

/// Have guests of this kind this parameter?
fn check_kind(kind: Kind, name: &[u8]) -> Result<(), String> {
    let shown = String::from_utf8_lossy(name);
    let is_one = |names: &[&[u8]]| names.contains(&name);
    match kind {
        Kind::Component if is_one(NOT_OF_COMPONENTS) || is_one(OF_EXTISM) => {
            Err(format!("{shown}= is not for components"))
        }
        Kind::Component => Ok(()),
        _ if is_one(OF_COMPONENTS) => Err(format!("{shown}= is for components alone")),
        Kind::Extism | Kind::Wapc | Kind::HttpWasm if name == b"header_stop" => {
            Err("header_stop= is for Proxy-Wasm filters alone".into())
        }
        Kind::Extism | Kind::Wapc if name == b"on_failure" => {
            Err("on_failure= is not for plugins: use error_status= of wasm_handler".into())
        }
        Kind::ProxyWasm if name == b"queue" => Err("queue= is not for Proxy-Wasm filters".into()),
        Kind::Extism if name == b"vm_config" => {
            Err("vm_config= is for Proxy-Wasm filters alone: use config=".into())
        }
        Kind::Wapc if name == b"vm_config" => {
            Err("vm_config= is for Proxy-Wasm filters alone".into())
        }
        Kind::HttpWasm if name == b"vm_config" => Err(
            "vm_config= is for Proxy-Wasm filters alone: use the configuration of wasm_filter"
                .into(),
        ),
        Kind::ProxyWasm | Kind::Wapc | Kind::HttpWasm if is_one(OF_EXTISM) => {
            Err(format!("{shown}= is for Extism plugins alone"))
        }
        _ => Ok(()),
    }
}

/// What says nothing to a component.
const NOT_OF_COMPONENTS: &[&[u8]] = &[
    b"vm_id",
    b"vm_config",
    b"on_failure",
    b"header_stop",
    b"start_time",
    b"allow",
    b"deny",
];

/// What only components have, and only Extism plugins.
const OF_COMPONENTS: &[&[u8]] = &[b"dir", b"allowed_outbound_hosts", b"reuse"];
const OF_EXTISM: &[&[u8]] = &[b"config", b"allowed_hosts", b"vars", b"http_headers"];

/// Which of two words it is: the first one?
fn on_off(value: &[u8], first: &[u8], second: &[u8]) -> Result<bool, String> {
    match value {
        value if value == first => Ok(true),
        value if value == second => Ok(false),
        _ => Err(format!(
            "\"{}\" or \"{}\"",
            String::from_utf8_lossy(first),
            String::from_utf8_lossy(second)
        )),
    }
}

/// Parameters of Extism's plugins alone.
#[derive(Default)]
pub struct PluginParameters {
    pub config: Vec<(String, String)>,
    pub allowed_hosts: Vec<String>,
    pub options: PluginOptions,
}

impl PluginParameters {
    /// `key:value`
    fn add_config(&mut self, value: &[u8]) -> Result<(), String> {
        let text = str::from_utf8(value).map_err(|_| "config= must be UTF-8")?;
        let (key, value) = text
            .split_once(':')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| format!("config={text} must be key:value"))?;
        self.config.retain(|(known, _)| known != key);
        self.config.push((key.to_owned(), value.to_owned()));
        Ok(())
    }

    /// Patterns, with commas between them.
    fn add_hosts(&mut self, value: &[u8]) -> Result<(), String> {
        let text = str::from_utf8(value).map_err(|_| "allowed_hosts= must be UTF-8")?;
        if text.split(',').any(str::is_empty) {
            return Err(format!("an empty host in allowed_hosts={text}"));
        }
        self.allowed_hosts
            .extend(text.split(',').map(str::to_owned));
        Ok(())
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// `NAME=value`, or `NAME` with the value that nginx itself has; one that it has not is left out.
fn add_env(env: &mut Vec<(Vec<u8>, Vec<u8>)>, variable: &[u8]) -> Result<(), String> {
    let (name, value) = match variable.iter().position(|&b| b == b'=') {
        Some(at) => (&variable[..at], Some(variable[at + 1..].to_vec())),
        None => {
            let value = std::env::var_os(OsStr::from_bytes(variable));
            (variable, value.map(OsStringExt::into_vec))
        }
    };
    if name.is_empty() {
        return Err("env= needs the name of a variable".into());
    }
    env.retain(|(earlier, _)| earlier != name);
    if let Some(value) = value {
        env.push((name.to_vec(), value));
    }
    Ok(())
}

/// With the family `env`, a guest sees nginx's environment beside what `env=` names.
fn add_environment(vm: &mut VmConfig) {
    if !vm.capabilities.allows(Capability::Env) {
        return;
    }
    let mut all: Vec<_> = std::env::vars_os()
        .map(|(name, value)| (name.into_vec(), value.into_vec()))
        .filter(|(name, _)| vm.env.iter().all(|(named, _)| named != name))
        .collect();
    vm.env.append(&mut all);
}
