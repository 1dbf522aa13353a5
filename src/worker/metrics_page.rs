//! `wasm_metrics;`: a location whose content is the metrics.

use std::ffi::c_void;
use std::rc::Rc;

use ngx::ffi::{
    NGX_HTTP_INTERNAL_SERVER_ERROR, ngx_command_t, ngx_conf_t, ngx_http_core_loc_conf_t,
    ngx_http_request_t, ngx_int_t,
};

use crate::conf::main::MainConf;
use crate::metrics::page::{self, Sources};
use crate::nginx::conf::{Answer, Cf, Mistake, read_directive};
use crate::nginx::core_module;
use crate::nginx::guard::on_request;
use crate::nginx::request::Request;
use crate::worker::process::Main;

pub unsafe extern "C" fn wasm_metrics(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> Answer {
    // SAFETY: nginx passes both, and the table of directives gives this one to a MainConf.
    unsafe { read_directive(cf, conf, read) }
}

/// Makes the location's content that of the metrics.
fn read(cf: Cf<'_>, conf: &mut MainConf) -> Result<(), Mistake> {
    // SAFETY: nginx's core module has its own configuration in every location; nobody else uses it now.
    let core = unsafe { cf.location::<ngx_http_core_loc_conf_t>(core_module()) };
    core.ok_or(Mistake::Said)?.handler = Some(show);
    conf.shows_metrics = true;
    Ok(())
}

unsafe extern "C" fn show(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls a content handler with a live request.
    unsafe { on_request(r, respond) }
}

fn respond(request: Request) -> ngx_int_t {
    let Some(main) = Main::of(request) else {
        return NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
    };
    let shared = main.process.shared();
    let sources = Sources {
        host: main.metrics().map(Rc::as_ref),
        zones: &main.conf.zones,
        shared: shared.as_deref(),
    };
    page::respond(request, &sources)
}
