//! `wasm_metrics_zone zone=name:size;` and `wasm_metrics;`

use std::ffi::{c_char, c_void};

use ngx::ffi::{ngx_command_t, ngx_conf_t, ngx_http_core_loc_conf_t};
use ngx::http::HttpModuleConfExt;

use crate::conf::zones::{IS_DUPLICATE, add, directive, options};
use crate::conf::{CONF_ERROR, CONF_OK, MainConf};
use crate::metrics::page::show;
use crate::nginx::core_module;
use crate::shm::METRICS_TAG;

pub unsafe extern "C" fn wasm_metrics_zone(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx passes the configuration and what `create_main_conf` made.
    unsafe {
        directive(cf, conf, |zones| {
            if zones.metrics.is_some() {
                return Ok(IS_DUPLICATE);
            }
            let (name, size) = options(cf, "wasm_metrics_zone", |_, _| Ok(false))?;
            zones.metrics = Some(add(cf, &METRICS_TAG, &name, size)?);
            Ok(CONF_OK)
        })
    }
}

/// Makes the location's content that of the metrics.
pub unsafe extern "C" fn wasm_metrics(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    crate::nginx::guard::guard(CONF_ERROR, || {
        // SAFETY: as above; nginx's core module has a configuration in every location.
        unsafe {
            let core =
                (*cf).http_location_conf_unchecked::<ngx_http_core_loc_conf_t>(core_module());
            let Some(mut core) = core else {
                return CONF_ERROR;
            };
            core.as_mut().handler = Some(show);
            (*conf.cast::<MainConf>()).shows_metrics = true;
        }
        CONF_OK
    })
}
