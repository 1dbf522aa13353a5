//! The kinds of guests that `wasm_module` loads.

use std::fmt;

use proxy_wasm_host::Callbacks;
use wasm_runtime::Outline;

use crate::conf::service::ServiceOptions;

/// What a module is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    ProxyWasm,
    Extism,
    Wapc,
    HttpWasm,
    Component,
}

impl Kind {
    /// The value of `type=`.
    pub fn parse(value: &[u8]) -> Result<Kind, &'static str> {
        match value {
            b"proxy-wasm" => Ok(Kind::ProxyWasm),
            b"extism" => Ok(Kind::Extism),
            b"wapc" => Ok(Kind::Wapc),
            b"http-wasm" => Ok(Kind::HttpWasm),
            b"component" => Ok(Kind::Component),
            _ => Err("\"proxy-wasm\", \"http-wasm\", \"extism\", \"wapc\" or \"component\""),
        }
    }

    /// What the bytes of a file look like: a manifest, or a module that imports or exports what only one kind has.
    pub fn of(bytes: &[u8]) -> Kind {
        if is_manifest(bytes) {
            return Kind::Extism;
        }
        if component_host::Program::is_component(bytes) {
            return Kind::Component;
        }
        match Outline::read(bytes) {
            Ok(outline) if extism_host::is_extism(&outline) => Kind::Extism,
            Ok(outline) if wapc_host::is_wapc(&outline) => Kind::Wapc,
            Ok(outline) if http_wasm_host::is_http_wasm(&outline) => Kind::HttpWasm,
            // Or no module at all, which its compilation says.
            _ => Kind::ProxyWasm,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::ProxyWasm => "a Proxy-Wasm filter",
            Kind::Extism => "an Extism plugin",
            Kind::Wapc => "a waPC guest",
            Kind::HttpWasm => "an http-wasm guest",
            Kind::Component => "a component",
        })
    }
}

/// Is it JSON, and not a module? Those begin with a NUL, or as text with a parenthesis or a comment.
pub fn is_manifest(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first() == Some(&b'{')
}

/// A compiled module with what its kind needs.
#[derive(Clone)]
pub enum Guest {
    ProxyWasm(proxy_wasm_host::Program),
    Extism(extism_host::Program, PluginOptions),
    Wapc(wapc_host::Program),
    HttpWasm(http_wasm_host::Program),
    Component(component_host::Program, ServiceOptions),
}

/// What the parameters of `wasm_module` say about a plugin of Extism's alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct PluginOptions {
    /// `http_headers=on`: the guest may read the header of a response.
    pub response_headers: bool,
    /// `vars=shared`: vars are shared by all workers.
    pub shared_vars: bool,
}

impl Guest {
    pub fn kind(&self) -> Kind {
        match self {
            Guest::ProxyWasm(_) => Kind::ProxyWasm,
            Guest::Extism(..) => Kind::Extism,
            Guest::Wapc(_) => Kind::Wapc,
            Guest::HttpWasm(_) => Kind::HttpWasm,
            Guest::Component(..) => Kind::Component,
        }
    }

    /// The program of a Proxy-Wasm filter.
    pub fn filter(&self) -> Option<&proxy_wasm_host::Program> {
        match self {
            Guest::ProxyWasm(program) => Some(program),
            Guest::Extism(..) | Guest::Wapc(_) | Guest::HttpWasm(_) | Guest::Component(..) => None,
        }
    }

    /// The program of an http-wasm guest.
    pub fn middleware(&self) -> Option<&http_wasm_host::Program> {
        match self {
            Guest::HttpWasm(program) => Some(program),
            _ => None,
        }
    }

    /// What it sees of requests, if it is one for `wasm_filter`.
    pub fn callbacks(&self) -> Option<Callbacks> {
        match self {
            Guest::ProxyWasm(program) => Some(program.callbacks()),
            Guest::HttpWasm(program) => {
                let imports = program.imports();
                let request = imports.reads_bodies || imports.writes_bodies;
                // A response may have to wait for it.
                let response = imports.writes_bodies || imports.enables_features;
                Some(Callbacks::of_stream(request, response))
            }
            Guest::Extism(..) | Guest::Wapc(_) | Guest::Component(..) => None,
        }
    }
}
