//! `wasm_request_buffering on | off;`, and which of nginx's content handlers pass request bodies on as
//! they come.

use std::ffi::{CStr, c_void};

use ngx::ffi::{
    NGX_HTTP_VERSION_11, ngx_array_t, ngx_command_t, ngx_conf_t, ngx_flag_t, ngx_http_conf_ctx_t,
    ngx_http_core_loc_conf_t, ngx_http_handler_pt, ngx_http_module_t, ngx_module_t, ngx_str_t,
    ngx_uint_t,
};

use crate::conf::location::LocConf;
use crate::nginx::conf::{Answer, Cf, Mistake, read_directive};
use crate::nginx::request::Request;
use crate::nginx::{borrowed_str, core_module};

pub unsafe extern "C" fn wasm_request_buffering(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> Answer {
    // SAFETY: nginx passes both, and the table of directives gives this one to a LocConf.
    unsafe { read_directive(cf, conf, read) }
}

fn read(cf: Cf<'_>, conf: &mut LocConf) -> Result<(), Mistake> {
    let value = cf.arguments().first().copied();
    let on = match value.as_ref().map_or(&[][..], |value| value.as_bytes()) {
        value if value.eq_ignore_ascii_case(b"on") => true,
        value if value.eq_ignore_ascii_case(b"off") => false,
        value => {
            return Err(format!(
                "invalid value \"{}\" in \"wasm_request_buffering\" directive, it must be \"on\" \
                 or \"off\"",
                String::from_utf8_lossy(value)
            )
            .into());
        }
    };
    match conf.request_buffering.replace(on) {
        None => Ok(()),
        Some(_) => Err("\"wasm_request_buffering\" directive is duplicate".into()),
    }
}

/// What the upstream's protocol can do with a body whose length is not known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// HTTP: from version 1.1 on.
    Http,
    /// The length is part of what goes before the body.
    Length,
    /// Each piece has its own frame.
    Frames,
}

/// Names of a module that proxies: the module's own, and those of its directives.
struct Names {
    module: &'static CStr,
    pass: &'static [u8],
    buffering: &'static [u8],
    pass_body: &'static [u8],
    framing: Framing,
}

const MODULES: [Names; 5] = [
    Names {
        module: c"ngx_http_proxy_module",
        pass: b"proxy_pass",
        buffering: b"proxy_request_buffering",
        pass_body: b"proxy_pass_request_body",
        framing: Framing::Http,
    },
    // It never waits for the whole body.
    Names {
        module: c"ngx_http_grpc_module",
        pass: b"grpc_pass",
        buffering: b"",
        pass_body: b"",
        framing: Framing::Frames,
    },
    Names {
        module: c"ngx_http_fastcgi_module",
        pass: b"fastcgi_pass",
        buffering: b"fastcgi_request_buffering",
        pass_body: b"fastcgi_pass_request_body",
        framing: Framing::Frames,
    },
    Names {
        module: c"ngx_http_uwsgi_module",
        pass: b"uwsgi_pass",
        buffering: b"uwsgi_request_buffering",
        pass_body: b"uwsgi_pass_request_body",
        framing: Framing::Length,
    },
    Names {
        module: c"ngx_http_scgi_module",
        pass: b"scgi_pass",
        buffering: b"scgi_request_buffering",
        pass_body: b"scgi_pass_request_body",
        framing: Framing::Length,
    },
];

/// A module that proxies. Its location's configuration is opaque; where a directive's value is in it
/// is told by the module's table of directives.
pub struct Proxy {
    handler: ngx_http_handler_pt,
    index: usize,
    framing: Framing,
    buffering: Option<usize>,
    pass_body: Option<usize>,
    set_body: Option<usize>,
    version: Option<usize>,
}

impl Proxy {
    /// The modules that proxy, among those of this nginx.
    pub fn find_all(cf: Cf<'_>) -> Vec<Proxy> {
        let cf = cf.as_ptr();
        // SAFETY: the cycle's modules end with a null pointer, and are there as long as nginx; `cf` is one of nginx's
        // calls into the module.
        unsafe {
            let mut all = Vec::new();
            let mut next = (*(*cf).cycle).modules;
            while let Some(module) = (*next).as_ref() {
                let name = CStr::from_ptr(module.name.cast_const());
                if let Some(names) = MODULES.iter().find(|names| names.module == name) {
                    all.extend(Proxy::find(cf, module, names));
                }
                next = next.add(1);
            }
            all
        }
    }

    /// # Safety
    /// `cf` is the configuration in the postconfiguration step, and `module` an HTTP module of nginx's.
    unsafe fn find(cf: *mut ngx_conf_t, module: &ngx_module_t, names: &Names) -> Option<Proxy> {
        // SAFETY: the module's table of directives is there as long as nginx.
        unsafe {
            let offset = |name: &[u8]| Some((*command(module, name)?).offset);
            Some(Proxy {
                handler: Some(content_handler(cf, module, command(module, names.pass)?)?),
                index: module.ctx_index,
                framing: names.framing,
                buffering: offset(names.buffering),
                pass_body: offset(names.pass_body),
                set_body: match names.framing {
                    Framing::Http => offset(b"proxy_set_body"),
                    _ => None,
                },
                version: match names.framing {
                    Framing::Http => offset(b"proxy_http_version"),
                    _ => None,
                },
            })
        }
    }

    /// Is it the request's content handler?
    pub fn handles(&self, request: Request) -> bool {
        // SAFETY: the request is live.
        match (self.handler, unsafe { (*request.as_ptr()).content_handler }) {
            (Some(own), Some(of_request)) => std::ptr::fn_addr_eq(own, of_request),
            _ => false,
        }
    }

    /// May the upstream answer before any of the body has come, and both go on?
    pub fn is_duplex(&self) -> bool {
        // gRPC's, which has no directive for it.
        self.buffering.is_none()
    }

    /// Will nginx pass this request's body on as it comes? `open`: without a length that is known
    /// beforehand.
    pub fn is_unbuffered(&self, request: Request, open: bool) -> bool {
        let buffers = self.flag(request, self.buffering).unwrap_or(false);
        let passes = self.flag(request, self.pass_body).unwrap_or(true);
        let set: Option<ngx_str_t> = self.value(request, self.set_body);
        let replaced = set.is_some_and(|body| !body.data.is_null());
        !buffers && passes && !replaced && (!open || self.takes_open(request))
    }

    /// May the body that it sends be of a length that is not known beforehand?
    fn takes_open(&self, request: Request) -> bool {
        match self.framing {
            Framing::Frames => true,
            Framing::Length => false,
            Framing::Http => {
                let version: Option<ngx_uint_t> = self.value(request, self.version);
                version.is_some_and(|version| version >= NGX_HTTP_VERSION_11 as ngx_uint_t)
            }
        }
    }

    fn flag(&self, request: Request, offset: Option<usize>) -> Option<bool> {
        let value: Option<ngx_flag_t> = self.value(request, offset);
        value.map(|value| value != 0)
    }

    /// The value of one of the module's directives in the request's location.
    fn value<T: Copy>(&self, request: Request, offset: Option<usize>) -> Option<T> {
        // SAFETY: `offset` is that of a directive, whose setter writes a `T`: a flag, a string or a
        // number (`ngx_conf_set_flag_slot`, `ngx_conf_set_str_slot`, `ngx_conf_set_enum_slot`).
        unsafe {
            let conf = *(*request.as_ptr()).loc_conf.add(self.index);
            Some(conf.byte_add(offset?).cast::<T>().read())
        }
    }
}

/// The directive of this name.
///
/// # Safety
/// `module` is one of nginx's.
unsafe fn command(module: &ngx_module_t, name: &[u8]) -> Option<*mut ngx_command_t> {
    // SAFETY: a module's commands end with one without a name.
    unsafe {
        let mut next = module.commands;
        while let Some(command) = next.as_ref().filter(|command| command.name.len > 0) {
            if command.name.as_bytes() == name {
                return Some(next);
            }
            next = next.add(1);
        }
        None
    }
}

/// The content handler that a directive like `proxy_pass` sets, which has no name outside its module:
/// the directive is read once more, for a location that nobody gets.
///
/// # Safety
/// As for [`Proxy::find`]; the directive takes one argument.
unsafe fn content_handler(
    cf: *mut ngx_conf_t,
    module: &ngx_module_t,
    pass: *mut ngx_command_t,
) -> Option<unsafe extern "C" fn(*mut ngx::ffi::ngx_http_request_t) -> isize> {
    // SAFETY: in that step nginx's context has all modules' configurations. The copies of the context and of the configuration are used during the
    // call alone; what they point to lives in the configuration's pool.
    unsafe {
        let context = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let count = ngx::ffi::ngx_http_max_module;
        let mut locations: Vec<*mut c_void> =
            std::slice::from_raw_parts((*context).loc_conf, count).to_vec();
        for module in [core_module(), module] {
            let http = module.ctx.cast::<ngx_http_module_t>();
            let made = ((*http).create_loc_conf?)(cf);
            if made.is_null() {
                return None;
            }
            locations[module.ctx_index] = made;
        }
        let core = locations[core_module().ctx_index].cast::<ngx_http_core_loc_conf_t>();
        let own = locations[module.ctx_index];
        let mut context = ngx_http_conf_ctx_t {
            loc_conf: locations.as_mut_ptr(),
            ..*context
        };
        // With a variable nothing is looked up.
        let mut words = [(*pass).name, borrowed_str(b"$uri")];
        let mut arguments = ngx_array_t {
            elts: words.as_mut_ptr().cast(),
            nelts: words.len(),
            size: size_of::<ngx_str_t>(),
            nalloc: words.len(),
            pool: (*cf).pool,
        };
        let mut conf = *cf;
        conf.ctx = (&raw mut context).cast();
        conf.args = &mut arguments;
        let rc = ((*pass).set?)(&mut conf, pass, own);
        match rc.is_null() {
            true => (*core).handler,
            false => None,
        }
    }
}
