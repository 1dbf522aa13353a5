//! What a request's route is called: Envoy's `route_name` and `cluster_name`, by default the names of
//! the location and of the upstream.

use std::ptr;

use ngx::ffi::{NGX_HTTP_UPSTREAM_CREATE, ngx_http_upstream_conf_t, ngx_http_upstream_srv_conf_t};
use proxy_wasm_host::Status;

use crate::conf::location::LocConf;
use crate::conf::main::MainConf;
use crate::filter::chain::context::Context;
use crate::nginx::request::Request;

/// What `wasm_property` sets; an error when the request's filters have read too much.
pub fn configured<'a>(
    context: &Context,
    index: usize,
    request: Request,
    path: &[&[u8]],
) -> Result<Option<&'a [u8]>, Status> {
    let Some(property) = LocConf::of(request).properties().get(path) else {
        return Ok(None);
    };
    let value = match property.is_constant() {
        true => property.value(request),
        false => context.read(index, request, |request| property.value(request))?,
    };
    value.map(Some).ok_or(Status::InternalFailure)
}

/// The name of the location, as it is configured; none outside of locations.
pub fn location<'a>(request: Request) -> &'a [u8] {
    // SAFETY: the configuration and its strings outlive the request.
    unsafe { (*request.core_loc_conf()).name.as_bytes() }
}

/// The name of the upstream that answers the request or will: of an `upstream` block, or else the
/// server as it is configured, with the port if there is one. `None`: there is no upstream, or a
/// variable has it that is not evaluated yet.
pub fn upstream(request: Request) -> Option<Vec<u8>> {
    let conf = upstream_block(request)?;
    // SAFETY: configurations of upstreams live as long as the configuration, or, where a variable
    // has named a server, as long as the request.
    let conf = unsafe { conf.as_ref()? };
    let mut name = conf.host.as_bytes().to_vec();
    let is_block = conf.flags & NGX_HTTP_UPSTREAM_CREATE as usize != 0;
    if !is_block && conf.port != 0 && conf.no_port == 0 {
        name.extend_from_slice(format!(":{}", conf.port).as_bytes());
    }
    Some(name)
}

/// The configuration of that upstream.
pub fn upstream_block(request: Request) -> Option<*mut ngx_http_upstream_srv_conf_t> {
    // SAFETY: the request is live, and its upstream with it.
    let running = unsafe {
        let upstream = (*request.as_ptr()).upstream.as_ref();
        upstream.map(|upstream| upstream.upstream)
    };
    let conf = running.filter(|conf| !conf.is_null());
    conf.or_else(|| configured_upstream(request))
}

/// What `proxy_pass` and its like name in the location.
fn configured_upstream(request: Request) -> Option<*mut ngx_http_upstream_srv_conf_t> {
    let modules = &MainConf::of(request)?.upstream_modules;
    modules.iter().find_map(|module| {
        // SAFETY: the request's location has a configuration of every HTTP module, and those of
        // these modules begin with this structure, as the module's own code says in nginx.
        let upstream = unsafe {
            let conf = *(*request.as_ptr()).loc_conf.add(*module);
            conf.cast::<ngx_http_upstream_conf_t>().as_ref()?.upstream
        };
        // nginx's NGX_CONF_UNSET_PTR, where a module sets it.
        let unset = ptr::without_provenance_mut(usize::MAX);
        (!upstream.is_null() && upstream != unset).then_some(upstream)
    })
}
