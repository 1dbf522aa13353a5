//! Making and merging the configurations, from the `http` block down to locations.

use std::ffi::{CStr, c_void};
use std::rc::Rc;

use ngx::ffi::{ngx_conf_t, ngx_http_core_loc_conf_t};

use crate::conf::chain::{Chain, FilterId, Link};
use crate::conf::guest::Kind;
use crate::conf::location::{FilterUse, LocConf};
use crate::conf::main::{FilterConf, MainConf};
use crate::net::origin::Top;
use crate::net::settings::Settings;
use crate::nginx::conf::{Answer, Cf, Mistake, Place, read_directive};
use crate::nginx::guard::module;
use crate::nginx::{core_module, pool};

pub unsafe extern "C" fn create_loc_conf(cf: *mut ngx_conf_t) -> *mut c_void {
    // SAFETY: the pool is that of the configuration, which lives as long as its users.
    unsafe { pool::boxed((*cf).pool, LocConf::default()).cast() }
}

/// nginx merges a level into its children when the whole `http` block has been read.
pub unsafe extern "C" fn merge_loc_conf(
    cf: *mut ngx_conf_t,
    parent: *mut c_void,
    child: *mut c_void,
) -> Answer {
    let merge = |cf: Cf<'_>, child: &mut LocConf| {
        // SAFETY: nginx passes two different configurations that `create_loc_conf` made.
        let parent = unsafe { &mut *parent.cast::<LocConf>() };
        // SAFETY: nginx merges under the `http` block's context, where the module's begins with a MainConf.
        let main = unsafe { cf.main::<MainConf>() }.ok_or(Mistake::Said)?;
        match merge(main, parent, child, is_if(cf)) {
            Ok(()) => merge_call(cf, main, parent, child).ok_or(Mistake::Said),
            Err((place, message)) => {
                cf.error_at(&place, format_args!("{message}"));
                Err(Mistake::Said)
            }
        }
    };
    // SAFETY: nginx passes what `create_loc_conf` made for the child.
    unsafe { read_directive(cf, child, merge) }
}

/// Makes the chain of the `http` block's own directives, which no merge does when there is no
/// server; `None` when there is a mistake in them, which has been logged. In the postconfiguration step.
pub fn resolve_top(cf: Cf<'_>) -> Option<()> {
    // SAFETY: nginx's context is that of the `http` block, with what the functions above made; they are two structures.
    let (main, top) = unsafe { (cf.main::<MainConf>()?, cf.location::<LocConf>(module())?) };
    let call = top.resolve_call(cf, main, None)?;
    main.top = Some(Top::new(cf, call));
    main.upstream_modules = upstream_modules(cf);
    match top.resolve(main) {
        Ok(()) => Some(()),
        Err((place, message)) => {
            cf.error_at(&place, format_args!("{message}"));
            None
        }
    }
}

/// The modules of nginx's own that pass requests on.
const UPSTREAM_MODULES: [&CStr; 6] = [
    c"ngx_http_proxy_module",
    c"ngx_http_grpc_module",
    c"ngx_http_fastcgi_module",
    c"ngx_http_uwsgi_module",
    c"ngx_http_scgi_module",
    c"ngx_http_memcached_module",
];

fn upstream_modules(cf: Cf<'_>) -> Vec<usize> {
    let cf = cf.as_ptr();
    let mut found = Vec::new();
    // SAFETY: the cycle's list of modules ends with a null pointer, and every module in it has a name
    // and its number by then.
    unsafe {
        let mut next = (*(*cf).cycle).modules;
        while let Some(module) = (*next).as_ref() {
            if UPSTREAM_MODULES.contains(&CStr::from_ptr(module.name)) {
                found.push(module.ctx_index);
            }
            next = next.add(1);
        }
    }
    found
}

type Misplaced = (Place, String);

fn merge(
    main: &mut MainConf,
    parent: &mut LocConf,
    child: &mut LocConf,
    child_is_if: bool,
) -> Result<(), Misplaced> {
    parent.resolve(main)?;
    if child_is_if && child.uses.is_some() {
        parent.if_has_filters = true;
    }
    match child.uses {
        Some(_) => child.resolve(main)?,
        None => child.chain = parent.chain.clone(),
    }
    if child_is_if && child.handler.is_none() {
        // nginx goes on with the location's content handler, which looks at the block's configuration.
        child.handler = parent.handler.clone();
    }
    if let Some(handler) = &mut child.handler {
        let resolved = handler.resolve(main);
        resolved.map_err(|error| (handler.place.clone(), error))?;
    }
    child.phase = child.phase.or(parent.phase);
    child.pause_timeout = child.pause_timeout.or(parent.pause_timeout);
    child.buffer_size = child.buffer_size.or(parent.buffer_size);
    child.properties.inherit(&parent.properties);
    child.request_buffering = child.request_buffering.or(parent.request_buffering);
    Ok(())
}

/// Merges what holds for outbound calls; `None` for a mistake, which has been logged.
fn merge_call(
    cf: Cf<'_>,
    main: &MainConf,
    parent: &mut LocConf,
    child: &mut LocConf,
) -> Option<()> {
    let above = parent.resolve_call(cf, main, None)?;
    child.resolve_call(cf, main, Some(&above)).map(|_| ())
}

impl LocConf {
    /// Makes what holds for outbound calls of the level's own directives, once.
    fn resolve_call(
        &mut self,
        cf: Cf<'_>,
        main: &MainConf,
        above: Option<&Rc<Settings>>,
    ) -> Option<Rc<Settings>> {
        if self.call.is_none() {
            self.call = self.call_directives.merge(cf, above, main);
        }
        self.call.clone()
    }

    /// Makes the chain of this level's own directives, once.
    fn resolve(&mut self, main: &mut MainConf) -> Result<(), Misplaced> {
        let Some(uses) = &self.uses else {
            return Ok(());
        };
        if uses.is_empty() || self.chain.is_some() {
            return Ok(());
        }
        let filters = uses
            .iter()
            .map(|filter| {
                let id = main.filter(filter)?;
                let module = main.module_of(id);
                let (name, kind) = (&module.name, module.guest.kind());
                let wrong = |message| (filter.place.clone(), message);
                let callbacks = module.guest.callbacks().ok_or_else(|| {
                    wrong(format!(
                        "wasm module \"{name}\" is {kind}: use wasm_handler"
                    ))
                })?;
                if kind == Kind::HttpWasm && !filter.root_id.is_empty() {
                    let what = "root_id= is for Proxy-Wasm filters alone";
                    return Err(wrong(format!("wasm module \"{name}\" is {kind}: {what}")));
                }
                Ok(Link {
                    filter: id,
                    callbacks,
                    on_failure: module.on_failure,
                    header_stop: module.header_stop,
                })
            })
            .collect::<Result<Vec<_>, Misplaced>>()?;
        self.chain = Some(Chain::new(filters));
        Ok(())
    }
}

impl MainConf {
    /// The number of this module with this configuration and root id.
    fn filter(&mut self, filter: &FilterUse) -> Result<FilterId, Misplaced> {
        let module = self
            .modules
            .iter()
            .position(|module| module.name == filter.module)
            .ok_or_else(|| {
                let message = format!("unknown wasm module \"{}\"", filter.module);
                (filter.place.clone(), message)
            })?;
        let known = self.filters.iter().position(|f| {
            f.module == module
                && f.configuration == filter.configuration
                && f.root_id == filter.root_id
        });
        Ok(known.unwrap_or_else(|| {
            self.filters.push(FilterConf {
                module,
                configuration: filter.configuration.clone(),
                root_id: filter.root_id.clone(),
                place: filter.place.clone(),
            });
            self.filters.len() - 1
        }))
    }
}

/// Is the block being merged an `if` in a location?
fn is_if(cf: Cf<'_>) -> bool {
    // SAFETY: nginx's core module has its own configuration at every level; nobody else uses it now.
    let core = unsafe { cf.location::<ngx_http_core_loc_conf_t>(core_module()) };
    core.is_some_and(|core| core.noname() != 0)
}
