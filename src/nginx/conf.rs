//! The configuration that nginx is reading (`ngx_conf_t`).

use std::ffi::{CStr, OsStr, c_char, c_void};
use std::fmt;
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;

use ngx::ffi::{
    NGX_LOG_EMERG, NGX_LOG_WARN, ngx_conf_full_name, ngx_conf_log_error, ngx_conf_t, ngx_int_t,
    ngx_log_error_core, ngx_module_t, ngx_parse_size, ngx_parse_time, ngx_str_t, ngx_uint_t,
};
use ngx::http::HttpModuleConfExt;

use crate::nginx::guard::{guard, module};
use crate::nginx::log::{Log, one_line};
use crate::nginx::{ERROR, OK, pool};

/// The configuration being read, during one of nginx's calls into the module.
#[derive(Clone, Copy)]
pub struct Cf<'a>(NonNull<ngx_conf_t>, PhantomData<&'a ngx_conf_t>);

/// What a directive's handler returns to nginx: null, or a text that nginx writes behind the directive's name, or
/// (void *) -1 for an error that has been logged.
pub type Answer = *mut c_char;

pub const CONF_OK: Answer = std::ptr::null_mut();
pub const CONF_ERROR: Answer = usize::MAX as Answer;

/// What is wrong with a directive.
#[derive(Debug, thiserror::Error)]
pub enum Mistake {
    /// nginx has said it.
    #[error("")]
    Said,
    /// nginx itself adds the directive's name and place.
    #[error("is duplicate")]
    Duplicate,
    #[error("{0}")]
    Text(String),
}

impl From<String> for Mistake {
    fn from(text: String) -> Mistake {
        Mistake::Text(text)
    }
}

impl From<&str> for Mistake {
    fn from(text: &str) -> Mistake {
        Mistake::Text(text.into())
    }
}

/// Reads a directive into `conf`, of the type that its table names; nginx gets the answer.
///
/// # Safety
/// nginx has passed both to the directive's handler, and `conf` is what the module has made for that level: a `T`.
pub unsafe fn read_directive<T>(
    cf: *mut ngx_conf_t,
    conf: *mut c_void,
    read: impl FnOnce(Cf<'_>, &mut T) -> Result<(), Mistake>,
) -> Answer {
    guard(CONF_ERROR, || {
        // SAFETY: nginx reads one directive at a time, so nobody else has the level's configuration now.
        let (Some(cf), Some(conf)) = (unsafe { (Cf::new(cf), conf.cast::<T>().as_mut()) }) else {
            return CONF_ERROR;
        };
        match read(cf, conf) {
            Ok(()) => CONF_OK,
            Err(Mistake::Said) => CONF_ERROR,
            Err(Mistake::Duplicate) => c"is duplicate".as_ptr().cast_mut(),
            Err(Mistake::Text(text)) => {
                cf.error(format_args!("{text}"));
                CONF_ERROR
            }
        }
    })
}

/// A step of nginx's configuration in which a module may refuse it: `None` does, with a line in the log.
///
/// # Safety
/// nginx has passed `cf` to the module's function for that step.
pub unsafe fn step(cf: *mut ngx_conf_t, run: impl FnOnce(Cf<'_>) -> Option<()>) -> ngx_int_t {
    guard(ERROR, || {
        // SAFETY: nginx keeps its configuration until this call has returned.
        match unsafe { Cf::new(cf) }.and_then(run) {
            Some(()) => OK,
            None => ERROR,
        }
    })
}

impl<'a> Cf<'a> {
    /// `None` for null.
    ///
    /// # Safety
    /// `cf` is null, or what nginx has passed to a function of the module's that it calls while it reads the
    /// configuration, and `'a` ends with that call.
    pub unsafe fn new(cf: *mut ngx_conf_t) -> Option<Cf<'a>> {
        NonNull::new(cf).map(|cf| Cf(cf, PhantomData))
    }

    pub fn as_ptr(self) -> *mut ngx_conf_t {
        self.0.as_ptr()
    }

    /// The directive's parameters, without its name.
    pub fn arguments(self) -> &'a [ngx_str_t] {
        // SAFETY: in a directive's handler `args` holds its strings, the name first; they live as long as the call.
        let all = unsafe { (*self.as_ptr()).args.as_ref() };
        // SAFETY: nginx's arrays hold as many elements as they say.
        let all = all.map_or(&[][..], |all| unsafe { all.as_slice() });
        all.get(1..).unwrap_or_default()
    }

    /// Has the cycle a module of this name?
    pub fn has_module(self, name: &CStr) -> bool {
        // SAFETY: the cycle's list of modules ends with a null pointer, and every module in it has a name by then.
        unsafe {
            let mut next = (*(*self.as_ptr()).cycle).modules;
            while let Some(module) = (*next).as_ref() {
                if CStr::from_ptr(module.name) == name {
                    return true;
                }
                next = next.add(1);
            }
        }
        false
    }

    /// The log of the cycle that is being made.
    pub fn log(self) -> Log {
        // SAFETY: it lives as long as the cycle.
        unsafe { Log::new((*self.as_ptr()).log) }
    }

    /// The main configuration of a module, which its `create_main_conf` has made as a `T`.
    ///
    /// # Safety
    /// `T` is that type, and nobody else uses the configuration meanwhile.
    pub unsafe fn main_of<T>(self, module: &ngx_module_t) -> Option<&'a mut T> {
        // SAFETY: the context is one of the `http` block's, in which each module has its configuration.
        unsafe {
            Some(
                (*self.as_ptr())
                    .http_main_conf_unchecked::<T>(module)?
                    .as_mut(),
            )
        }
    }

    /// This module's main configuration.
    ///
    /// # Safety
    /// The module makes a `T` there, or what begins with one; nobody else uses it meanwhile; the context is that of
    /// the `http` block or below.
    pub unsafe fn main<T>(self) -> Option<&'a mut T> {
        // SAFETY: the caller names the type that the module makes.
        unsafe { self.main_of(module()) }
    }

    /// The configuration of an HTTP module in the location that is being read or merged.
    ///
    /// # Safety
    /// As for [`Cf::main`], of the module's location configuration.
    pub unsafe fn location<T>(self, of: &ngx_module_t) -> Option<&'a mut T> {
        // SAFETY: the context has the location's configuration of each module.
        unsafe {
            Some(
                (*self.as_ptr())
                    .http_location_conf_unchecked::<T>(of)?
                    .as_mut(),
            )
        }
    }

    /// A path relative to the directory of nginx's configuration, as for nginx's other directives.
    pub fn full_name(self, name: &[u8]) -> Result<PathBuf, Mistake> {
        self.absolute(name, 1)
    }

    /// A path relative to nginx's prefix, as for nginx's other directories of what it writes.
    pub fn run_time_path(self, name: &[u8]) -> Result<PathBuf, Mistake> {
        self.absolute(name, 0)
    }

    fn absolute(self, name: &[u8], of_configuration: ngx_uint_t) -> Result<PathBuf, Mistake> {
        // SAFETY: nginx wants the name with a NUL behind it, and may replace it by a new one in the same pool.
        unsafe {
            let with_nul = [name, b"\0"].concat();
            let mut full = pool::copy((*self.as_ptr()).pool, &with_nul).ok_or("out of memory")?;
            full.len -= 1;
            if ngx_conf_full_name((*self.as_ptr()).cycle, &mut full, of_configuration) != OK {
                return Err("out of memory".into());
            }
            Ok(Path::new(OsStr::from_bytes(full.as_bytes())).to_owned())
        }
    }

    /// Reads a file that a directive names.
    pub fn read_file(self, name: &[u8]) -> Result<Vec<u8>, Mistake> {
        let path = self.full_name(name)?;
        let cannot = |error| format!("cannot read \"{}\": {error}", path.display());
        Ok(std::fs::read(&path).map_err(cannot)?)
    }

    /// A text, or the bytes of a file as `@path`.
    pub fn text_or_file(self, text: &[u8]) -> Result<Arc<[u8]>, Mistake> {
        match text {
            [b'@', path @ ..] => self.read_file(path).map(Arc::from),
            _ => Ok(Arc::from(text)),
        }
    }

    /// Reports a mistake in the directive being read: one line with its file and line number.
    pub fn error(self, message: fmt::Arguments<'_>) {
        self.tell(NGX_LOG_EMERG, message);
    }

    /// The same for what is no mistake, and may not be what is meant.
    pub fn warn(self, message: fmt::Arguments<'_>) {
        self.tell(NGX_LOG_WARN, message);
    }

    fn tell(self, level: u32, message: fmt::Arguments<'_>) {
        let text = one_line(&message.to_string());
        // SAFETY: `%*s` takes a length and that many bytes.
        unsafe {
            ngx_conf_log_error(
                level as usize,
                self.as_ptr(),
                0,
                c"%*s".as_ptr(),
                text.len(),
                text.as_ptr(),
            );
        }
    }

    /// Reports a mistake in a directive read earlier.
    pub fn error_at(self, place: &Place, message: fmt::Arguments<'_>) {
        let text = one_line(&format!("{message} in {place}"));
        // SAFETY: `%*s` takes a length and that many bytes.
        unsafe {
            ngx_log_error_core(
                NGX_LOG_EMERG as usize,
                self.log().as_ptr(),
                0,
                c"%*s".as_ptr(),
                text.len(),
                text.as_ptr(),
            );
        }
    }

    /// Where the directive stands that is being read.
    pub fn place(self) -> Place {
        // SAFETY: `conf_file` is null or the file being read.
        match unsafe { (*self.as_ptr()).conf_file.as_ref() } {
            Some(conf) => Place {
                file: String::from_utf8_lossy(conf.file.name.as_bytes()).into_owned(),
                line: conf.line,
            },
            None => Place::default(),
        }
    }
}

/// Where a directive stands.
#[derive(Clone, Debug, Default)]
pub struct Place {
    file: String,
    line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Bytes, as nginx writes sizes (`ngx_parse_size`); `None`: it is none.
pub fn size(text: &[u8]) -> Option<usize> {
    // SAFETY: nginx's parser only reads the text.
    usize::try_from(unsafe { ngx_parse_size(&mut crate::nginx::borrowed_str(text)) }).ok()
}

/// Milliseconds, as nginx writes times (`ngx_parse_time`); `None`: it is none.
pub fn milliseconds(text: &[u8]) -> Option<usize> {
    // SAFETY: nginx's parser only reads the text.
    usize::try_from(unsafe { ngx_parse_time(&mut crate::nginx::borrowed_str(text), 0) }).ok()
}
