//! `wasm_call_connections`, `wasm_call_connect_timeout`, `wasm_call_send_timeout`, `wasm_call_read_timeout`,
//! `wasm_call_buffer_size`, `wasm_call_ssl_verify`, `wasm_call_ssl_trusted_certificate` and
//! `wasm_call_ssl_verify_depth`: the limits of outbound calls, and whom they trust.
//!
//! nginx's own setters read them, so values and mistakes are written as everywhere in nginx.

use std::ffi::c_void;
use std::rc::Rc;
use std::time::Duration;

use ngx::ffi::{ngx_command_t, ngx_conf_t, ngx_flag_t, ngx_int_t, ngx_msec_t, ngx_str_t};

use crate::conf::limits::number;
use crate::conf::main::MainConf;
use crate::net::settings::Settings;
use crate::net::tls;
use crate::nginx::conf::{Answer, Cf, Mistake, read_directive};

/// The directives of one level, as nginx's setters leave them.
#[repr(C)]
pub struct CallDirectives {
    pub connect_timeout: ngx_msec_t,
    pub send_timeout: ngx_msec_t,
    pub read_timeout: ngx_msec_t,
    pub buffer_size: usize,
    pub ssl_verify: ngx_flag_t,
    pub ssl_verify_depth: ngx_int_t,
    pub ssl_trusted_certificate: ngx_str_t,
}

/// nginx's `NGX_CONF_UNSET`, unsigned.
const UNSET: usize = usize::MAX;

impl Default for CallDirectives {
    fn default() -> CallDirectives {
        CallDirectives {
            connect_timeout: UNSET,
            send_timeout: UNSET,
            read_timeout: UNSET,
            buffer_size: UNSET,
            ssl_verify: -1,
            ssl_verify_depth: -1,
            ssl_trusted_certificate: ngx_str_t::empty(),
        }
    }
}

impl CallDirectives {
    fn is_empty(&self) -> bool {
        self.connect_timeout == UNSET
            && self.send_timeout == UNSET
            && self.read_timeout == UNSET
            && self.buffer_size == UNSET
            && self.ssl_verify == -1
            && self.ssl_verify_depth == -1
            && self.ssl_trusted_certificate.is_empty()
    }

    /// These values over those of the level above; `None` when the certificates cannot be
    /// loaded, which has been logged.
    pub fn merge(
        &self,
        cf: Cf<'_>,
        above: Option<&Rc<Settings>>,
        main: &MainConf,
    ) -> Option<Rc<Settings>> {
        if let Some(above) = above
            && self.is_empty()
        {
            return Some(above.clone());
        }
        const DEFAULT: Duration = Duration::from_secs(60);
        let time = |own: ngx_msec_t, above: Option<Duration>| match own {
            UNSET => above.unwrap_or(DEFAULT),
            own => Duration::from_millis(own as u64),
        };
        let trust = tls::Trust {
            verify: match self.ssl_verify {
                -1 => above.is_none_or(|above| above.trust.verify),
                own => own != 0,
            },
            depth: match self.ssl_verify_depth {
                -1 => above.map_or(tls::DEFAULT_DEPTH, |above| above.trust.depth),
                own => own.try_into().unwrap_or(i32::MAX),
            },
            file: match self.ssl_trusted_certificate.as_bytes() {
                [] => above.and_then(|above| above.trust.file.clone()),
                own => Some(own.into()),
            },
        };
        let context = match above {
            Some(above) if above.trust == trust => above.tls.clone(),
            // A file is read in any case, so that its mistakes show.
            _ if trust.file.is_some() || main.calls_out() => main.tls.context(cf, &trust).ok()?,
            _ => None,
        };
        Some(Rc::new(Settings {
            connect_timeout: time(
                self.connect_timeout,
                above.map(|above| above.connect_timeout),
            ),
            send_timeout: time(self.send_timeout, above.map(|above| above.send_timeout)),
            read_timeout: time(self.read_timeout, above.map(|above| above.read_timeout)),
            buffer_size: match self.buffer_size {
                UNSET => above.map_or(1024 * 1024, |above| above.buffer_size),
                own => own,
            },
            trust,
            tls: context,
        }))
    }
}

pub unsafe extern "C" fn wasm_call_connections(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> Answer {
    // SAFETY: nginx passes both, and the table of directives gives this one to a MainConf.
    unsafe { read_directive(cf, conf, read_connections) }
}

fn read_connections(cf: Cf<'_>, conf: &mut MainConf) -> Result<(), Mistake> {
    if conf.call_connections.is_some() {
        return Err(Mistake::Duplicate);
    }
    let value = cf.arguments().first();
    let value = value.map_or(&b""[..], |value| value.as_bytes());
    let most = number(value, 1, u32::MAX).map_err(|expected| {
        let value = String::from_utf8_lossy(value);
        format!("invalid value \"{value}\", it must be {expected}")
    })?;
    conf.call_connections = Some(most as usize);
    Ok(())
}
