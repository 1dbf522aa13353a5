//! nginx's variables by name.

use ngx::ffi::{
    NGX_HTTP_VAR_CHANGEABLE, NGX_HTTP_VAR_INDEXED, NGX_HTTP_VAR_NOCACHEABLE, NGX_HTTP_VAR_PREFIX,
    ngx_hash_find, ngx_http_add_variable, ngx_http_get_flushed_variable,
    ngx_http_get_variable_index, ngx_http_request_t, ngx_http_variable_t,
    ngx_http_variable_value_t, ngx_int_t,
};

use crate::nginx::conf::Cf;
use crate::nginx::request::Request;
use crate::nginx::{OK, borrowed_str, pool, table};

/// Passes the value of a variable on; `false` when it has none or does not exist. As `ngx_http_get_variable`, which
/// takes memory of the request for each look. What the variable itself takes stays in the request's pool.
pub fn get(request: Request, name: &[u8], found: &mut dyn FnMut(&[u8])) -> bool {
    let lower = name.to_ascii_lowercase();
    // SAFETY: the hash is built at configuration; its values are variables. A prefix variable (`http_`, `arg_` …)
    // reads its name during the call only.
    unsafe {
        let r = request.as_ptr();
        let main = request.core_main_conf();
        let hash = &raw mut (*main).variables_hash;
        let at = ngx_hash_find(hash, key(&lower), lower.as_ptr().cast_mut(), lower.len());
        let mut own: ngx_http_variable_value_t = std::mem::zeroed();
        let value = match at.cast::<ngx_http_variable_t>().as_ref() {
            Some(variable) if variable.flags & NGX_HTTP_VAR_INDEXED as usize != 0 => {
                ngx_http_get_flushed_variable(r, variable.index)
            }
            Some(variable) => evaluate(r, variable, &mut own, variable.data),
            None => {
                let prefixes: &[ngx_http_variable_t] = (*main).prefix_variables.as_slice();
                let matches = prefixes
                    .iter()
                    .filter(|p| lower.starts_with(p.name.as_bytes()));
                let name = borrowed_str(&lower);
                match matches.max_by_key(|prefix| prefix.name.len) {
                    Some(prefix) => evaluate(r, prefix, &mut own, (&raw const name).addr()),
                    None => return false,
                }
            }
        };
        let Some(value) = value.as_ref() else {
            return false;
        };
        if value.not_found() != 0 || value.valid() == 0 {
            return false;
        }
        found(match value.len() {
            0 => &[],
            len => std::slice::from_raw_parts(value.data, len as usize),
        });
        true
    }
}

/// Has a variable fill in a value; null when it fails.
///
/// # Safety
/// `r` is live; `data` is what this variable's function takes.
unsafe fn evaluate(
    r: *mut ngx_http_request_t,
    variable: &ngx_http_variable_t,
    value: &mut ngx_http_variable_value_t,
    data: usize,
) -> *mut ngx_http_variable_value_t {
    match variable.get_handler {
        // SAFETY: `r` is live; `data` is what this variable's function takes.
        Some(get) if unsafe { get(r, value, data) } == OK => value,
        _ => std::ptr::null_mut(),
    }
}

/// Reads a variable of this module's; with the number that stands in its definition, or, for a prefix
/// variable, a pointer to its name.
pub type Getter = unsafe extern "C" fn(
    *mut ngx_http_request_t,
    *mut ngx_http_variable_value_t,
    usize,
) -> ngx_int_t;

/// Adds all variables whose names begin so, as nginx's `http_`; their values are not kept.
/// In the preconfiguration step alone.
pub fn add_prefix(cf: Cf<'_>, prefix: &'static [u8], get: Getter) -> Option<()> {
    let mut name = borrowed_str(prefix);
    let flags = NGX_HTTP_VAR_PREFIX | NGX_HTTP_VAR_NOCACHEABLE;
    // SAFETY: nginx is reading the configuration; it copies the name.
    unsafe {
        let variable = ngx_http_add_variable(cf.as_ptr(), &mut name, flags as usize).as_mut()?;
        variable.get_handler = Some(get);
    }
    Some(())
}

/// Has each request keep the value of a variable of nginx's once it was read; otherwise only that is kept
/// which nginx.conf reads.
/// In the preconfiguration step alone.
pub fn keep(cf: Cf<'_>, name: &'static [u8]) -> Option<()> {
    let mut name = borrowed_str(name);
    // SAFETY: nginx is reading the configuration; it copies the name.
    let index = unsafe { ngx_http_get_variable_index(cf.as_ptr(), &mut name) };
    (index >= 0).then_some(())
}

/// Why a variable was not set.
pub enum SetError {
    Unknown,
    ReadOnly,
    NoMemory,
}

/// Sets a variable that the directive `set` could set, too.
pub fn set(request: Request, name: &[u8], value: &[u8]) -> Result<(), SetError> {
    let lower = name.to_ascii_lowercase();
    // SAFETY: the hash is built at configuration; its values are variables. The value is copied
    // into the request's pool, where nginx expects it.
    unsafe {
        let main = request.core_main_conf();
        let variable: *mut ngx_http_variable_t = ngx_hash_find(
            &raw mut (*main).variables_hash,
            key(&lower),
            lower.as_ptr().cast_mut(),
            lower.len(),
        )
        .cast();
        let variable = variable.as_ref().ok_or(SetError::Unknown)?;
        if variable.flags & NGX_HTTP_VAR_CHANGEABLE as usize == 0 {
            return Err(SetError::ReadOnly);
        }
        let text = pool::copy(request.pool(), value).ok_or(SetError::NoMemory)?;
        let mut new: ngx_http_variable_value_t = std::mem::zeroed();
        new.set_len(text.len as _);
        new.set_valid(1);
        new.data = text.data;

        if let Some(handler) = variable.set_handler {
            handler(request.as_ptr(), &mut new, variable.data);
            return Ok(());
        }
        if variable.flags & NGX_HTTP_VAR_INDEXED as usize == 0 {
            return Err(SetError::ReadOnly);
        }
        *(*request.as_ptr()).variables.add(variable.index) = new;
        Ok(())
    }
}

/// The variables whose values nginx keeps and that follow from a request's line and headers: by their
/// index in a main configuration that has been read.
pub fn of_requests(request: Request) -> Vec<usize> {
    // SAFETY: the request's main configuration is live.
    let all = unsafe {
        let variables: &[ngx_http_variable_t] = (*request.core_main_conf()).variables.as_slice();
        variables.iter().enumerate()
    };
    let follows = |name: &[u8]| {
        matches!(
            name,
            b"host"
                | b"request_uri"
                | b"request_method"
                | b"content_length"
                | b"content_type"
                | b"remote_user"
        ) || [&b"http_"[..], b"cookie_", b"arg_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    all.filter(|(_, definition)| follows(definition.name.as_bytes()))
        .map(|(index, _)| index)
        .collect()
}

/// Forgets the kept values of variables that [`of_requests`] has found.
pub fn forget(request: Request, indexes: &[usize]) {
    for index in indexes {
        // SAFETY: `variables` of a request has one value for each of the main configuration's
        // indexed variables.
        unsafe {
            let value = &mut *(*request.as_ptr()).variables.add(*index);
            value.set_valid(0);
            value.set_not_found(0);
        }
    }
}

/// nginx's hash of a name; the empty name's is 0, unlike a header line's.
fn key(lower: &[u8]) -> usize {
    if lower.is_empty() {
        0
    } else {
        table::hash(lower)
    }
}
