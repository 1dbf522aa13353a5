//! Making and merging the configurations, from the `http` block down to locations.

use std::ffi::{CStr, c_char, c_void};
use std::rc::Rc;

use ngx::ffi::{ngx_conf_t, ngx_http_core_loc_conf_t};
use ngx::http::HttpModuleConfExt;

use crate::conf::call::CallConf;
use crate::conf::chain::{Chain, FilterId, Link};
use crate::conf::{CONF_ERROR, CONF_OK, FilterConf, FilterUse, LocConf, MainConf};
use crate::net::origin::Top;
use crate::nginx::log::{Place, conf_error_at};
use crate::nginx::{core_module, pool};

pub unsafe extern "C" fn create_main_conf(cf: *mut ngx_conf_t) -> *mut c_void {
    // SAFETY: the pool is that of the configuration, which lives as long as its users.
    unsafe { pool::boxed((*cf).pool, MainConf::default()).cast() }
}

pub unsafe extern "C" fn create_loc_conf(cf: *mut ngx_conf_t) -> *mut c_void {
    // SAFETY: as above.
    unsafe { pool::boxed((*cf).pool, LocConf::default()).cast() }
}

/// nginx merges a level into its children when the whole `http` block has been read.
pub unsafe extern "C" fn merge_loc_conf(
    cf: *mut ngx_conf_t,
    parent: *mut c_void,
    child: *mut c_void,
) -> *mut c_char {
    crate::nginx::guard::guard(CONF_ERROR, || {
        // SAFETY: nginx passes two different configurations that `create_loc_conf` made, and
        // the configuration whose context is the child's.
        unsafe {
            let (parent, child) = (
                &mut *parent.cast::<LocConf>(),
                &mut *child.cast::<LocConf>(),
            );
            let Some(mut main) =
                (*cf).http_main_conf_unchecked::<MainConf>(crate::nginx::guard::module())
            else {
                return CONF_ERROR;
            };
            match merge(main.as_mut(), parent, child, is_if(cf)) {
                Ok(()) if merge_call(cf, main.as_ref(), parent, child) => CONF_OK,
                Ok(()) => CONF_ERROR,
                Err((place, message)) => {
                    conf_error_at(cf, &place, format_args!("{message}"));
                    CONF_ERROR
                }
            }
        }
    })
}

/// Makes the chain of the `http` block's own directives, which no merge does when there is no
/// server; `false` when there is a mistake in them, which has been logged.
///
/// # Safety
/// `cf` is the configuration in the postconfiguration step.
pub unsafe fn resolve_top(cf: *mut ngx_conf_t) -> bool {
    // SAFETY: nginx's context is that of the `http` block, with what the functions above made.
    unsafe {
        let (Some(mut main), Some(mut top)) = (
            (*cf).http_main_conf_unchecked::<MainConf>(crate::nginx::guard::module()),
            (*cf).http_location_conf_unchecked::<LocConf>(crate::nginx::guard::module()),
        ) else {
            return false;
        };
        let Some(call) = top.as_mut().resolve_call(cf, main.as_ref(), None) else {
            return false;
        };
        main.as_mut().top = Some(Top::new(cf, call));
        main.as_mut().upstream_modules = upstream_modules(cf);
        match top.as_mut().resolve(main.as_mut()) {
            Ok(()) => true,
            Err((place, message)) => {
                conf_error_at(cf, &place, format_args!("{message}"));
                false
            }
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

/// # Safety
/// `cf` is the configuration in the postconfiguration step.
unsafe fn upstream_modules(cf: *mut ngx_conf_t) -> Vec<usize> {
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

type Mistake = (Place, String);

fn merge(
    main: &mut MainConf,
    parent: &mut LocConf,
    child: &mut LocConf,
    child_is_if: bool,
) -> Result<(), Mistake> {
    parent.resolve(main)?;
    if child_is_if && child.uses.is_some() {
        parent.if_has_filters = true;
    }
    match child.uses {
        Some(_) => child.resolve(main)?,
        None => child.chain = parent.chain.clone(),
    }
    child.phase = child.phase.or(parent.phase);
    child.pause_timeout = child.pause_timeout.or(parent.pause_timeout);
    child.buffer_size = child.buffer_size.or(parent.buffer_size);
    child.properties.inherit(&parent.properties);
    child.request_buffering = child.request_buffering.or(parent.request_buffering);
    Ok(())
}

/// Merges what holds for outbound calls; `false` for a mistake, which has been logged.
///
/// # Safety
/// `cf` is the configuration in a merge step.
unsafe fn merge_call(
    cf: *mut ngx_conf_t,
    main: &MainConf,
    parent: &mut LocConf,
    child: &mut LocConf,
) -> bool {
    // SAFETY: by the contract.
    unsafe {
        parent
            .resolve_call(cf, main, None)
            .is_some_and(|above| child.resolve_call(cf, main, Some(&above)).is_some())
    }
}

impl LocConf {
    /// Makes what holds for outbound calls of the level's own directives, once.
    ///
    /// # Safety
    /// As for [`merge_call`].
    unsafe fn resolve_call(
        &mut self,
        cf: *mut ngx_conf_t,
        main: &MainConf,
        above: Option<&Rc<CallConf>>,
    ) -> Option<Rc<CallConf>> {
        if self.call.is_none() {
            // SAFETY: by the contract.
            self.call = unsafe { self.call_directives.merge(cf, above, main) };
        }
        self.call.clone()
    }

    /// Makes the chain of this level's own directives, once.
    fn resolve(&mut self, main: &mut MainConf) -> Result<(), Mistake> {
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
                Ok(Link {
                    filter: id,
                    callbacks: module.program.callbacks(),
                    on_failure: module.on_failure,
                    header_stop: module.header_stop,
                })
            })
            .collect::<Result<Vec<_>, Mistake>>()?;
        self.chain = Some(Chain::new(filters));
        Ok(())
    }
}

impl MainConf {
    /// The number of this module with this configuration and root id.
    fn filter(&mut self, filter: &FilterUse) -> Result<FilterId, Mistake> {
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
///
/// # Safety
/// `cf` is the configuration in a merge step.
unsafe fn is_if(cf: *mut ngx_conf_t) -> bool {
    // SAFETY: nginx's core module has a configuration at every level.
    unsafe {
        (*cf)
            .http_location_conf_unchecked::<ngx_http_core_loc_conf_t>(core_module())
            .is_some_and(|core| core.as_ref().noname() != 0)
    }
}
