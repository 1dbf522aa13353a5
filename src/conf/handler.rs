//! What a location's `wasm_handler` directive says.

use std::rc::Rc;

use crate::conf::guest::Guest;
use crate::conf::main::MainConf;
use crate::conf::spin::SpinConf;
use crate::nginx::complex::Complex;
use crate::nginx::conf::Place;

/// What a plugin gets as its input, and what its output is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// The body of the request, and of the response.
    #[default]
    Body,
    /// The request, and the response, as JSON.
    Json,
}

/// Which function of a plugin is called.
#[derive(Clone, Copy)]
pub enum Callee {
    /// Fixed by the configuration.
    Fixed(extism_host::Function),
    /// Named by this text, when the request is there: by its variables; or it is an operation of a waPC guest, which alone
    /// knows what there is.
    Named(Complex),
    /// A component: all of it is for the request.
    Service,
}

/// A `wasm_handler` directive.
#[derive(Clone)]
pub struct HandlerConf {
    /// The module's name in the configuration.
    pub name: String,
    pub place: Place,
    /// `function=`
    pub function: Option<Complex>,
    /// The text of `function=`, as it is written.
    pub function_text: Vec<u8>,
    pub form: Form,
    /// `content_type=`; `None`: by nginx's types.
    pub content_type: Option<Complex>,
    /// The status of a response for a call that has failed.
    pub error_status: u16,
    /// The client is told why a call has failed.
    pub shows_errors: bool,
    /// Variables that the JSON of a request has, by their names without `$`.
    pub variables: Vec<Vec<u8>>,
    /// The names of the parameters that are there, all of which are for plugins.
    pub for_plugins: Vec<String>,
    /// Index in the configuration's modules, and what is called; there from the merge step on.
    pub resolved: Option<(usize, Callee)>,
    /// `wasm_spin`: an application instead of a module.
    pub spin: Option<Rc<SpinConf>>,
}

impl HandlerConf {
    /// That of `wasm_spin`.
    pub fn spin(place: Place, spin: Rc<SpinConf>) -> HandlerConf {
        HandlerConf {
            spin: Some(spin),
            ..HandlerConf::new(String::new(), place)
        }
    }

    /// One without parameters, of a module of this name.
    pub fn new(name: String, place: Place) -> HandlerConf {
        HandlerConf {
            name,
            place,
            function: None,
            function_text: Vec::new(),
            form: Form::default(),
            content_type: None,
            error_status: 500,
            shows_errors: false,
            variables: Vec::new(),
            for_plugins: Vec::new(),
            resolved: None,
            spin: None,
        }
    }

    /// Finds the module and the function, once. An error is the mistake in the directive.
    pub fn resolve(&mut self, main: &MainConf) -> Result<(), String> {
        if self.resolved.is_some() || self.spin.is_some() {
            return Ok(());
        }
        let name = &self.name;
        let modules = &main.modules;
        let module = modules.iter().position(|module| &module.name == name);
        let module = module.ok_or_else(|| format!("unknown wasm module \"{name}\""))?;
        let callee = match &modules[module].guest {
            Guest::Extism(program, _) => match self.function {
                Some(function) if !function.is_constant() => Callee::Named(function),
                _ => {
                    let text = self.function.is_some().then_some(&*self.function_text);
                    Callee::Fixed(export(name, program, text)?)
                }
            },
            Guest::Wapc(_) => Callee::Named(self.function.ok_or_else(|| {
                format!("wasm module \"{name}\" is a waPC guest: name its operation by function=")
            })?),
            Guest::Component(program, _) => match self.for_plugins.first() {
                None if program.version().is_none() => {
                    return Err(format!(
                        "wasm module \"{name}\" is a component that handles no requests: use wasm_redis_subscribe"
                    ));
                }
                None => Callee::Service,
                Some(parameter) => {
                    return Err(format!(
                        "wasm module \"{name}\" is a component: {parameter}= of wasm_handler is for plugins alone"
                    ));
                }
            },
            Guest::ProxyWasm(_) | Guest::HttpWasm(_) => {
                return Err(format!(
                    "wasm module \"{name}\" is {}: use wasm_filter",
                    modules[module].guest.kind()
                ));
            }
        };
        self.resolved = Some((module, callee));
        Ok(())
    }
}

/// What is called in an Extism plugin: the function of this name, or else the only one that there is.
pub fn export(
    name: &str,
    program: &extism_host::Program,
    function: Option<&[u8]>,
) -> Result<extism_host::Function, String> {
    let all = || program.functions().collect::<Vec<_>>().join(", ");
    let Some(function) = function else {
        return program.only_function().ok_or_else(|| {
            let all = all();
            format!("wasm module \"{name}\" has several functions: name one by function= ({all})")
        });
    };
    let found = program.function(&String::from_utf8_lossy(function));
    found.map_err(|error| format!("wasm module \"{name}\": {error}; it has: {}", all()))
}
