//! `wasm_metrics`: the content handler that shows the metrics.

use ngx::ffi::{
    NGX_HTTP_GET, NGX_HTTP_HEAD, NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_HTTP_NOT_ALLOWED, NGX_HTTP_OK,
    ngx_buf_t, ngx_chain_t, ngx_http_discard_request_body, ngx_http_output_filter,
    ngx_http_request_t, ngx_http_send_header, ngx_int_t, ngx_str_t,
};

use super::accept::{self, Format};
use super::families::{Families, Value};
use super::host::{ZONE_SIZE, ZONE_USED};
use super::names::push_label;
use super::text;
use crate::conf::MainConf;
use crate::nginx::request::Request;
use crate::nginx::{ERROR, OK, pool, table};
use crate::shm::metrics::Kind;

/// The content handler of a location with `wasm_metrics`.
pub unsafe extern "C" fn show(r: *mut ngx_http_request_t) -> ngx_int_t {
    crate::guard(ERROR, || {
        // SAFETY: called by nginx.
        match unsafe { Request::new(r) } {
            Some(request) => respond(request),
            None => ERROR,
        }
    })
}

fn respond(request: Request) -> ngx_int_t {
    let r = request.as_ptr();
    // SAFETY: the request is live, and in its content phase.
    unsafe {
        if (*r).method & (NGX_HTTP_GET | NGX_HTTP_HEAD) as usize == 0 {
            return NGX_HTTP_NOT_ALLOWED as ngx_int_t;
        }
        let rc = ngx_http_discard_request_body(r);
        if rc != OK {
            return rc;
        }
    }
    let Some(conf) = MainConf::of(request) else {
        return NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
    };
    let format = accept::choose(accepted(request));
    let page = render(conf, format);
    if !set_headers(request, format, page.len()) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
    }
    // SAFETY: as above; the page is dropped with the request's pool, behind what reads it.
    unsafe {
        let rc = ngx_http_send_header(r);
        if rc == ERROR || rc > OK || (*r).header_only() != 0 {
            return rc;
        }
        let page = pool::boxed(request.pool(), page);
        let buf: *mut ngx_buf_t = pool::zeroed(request.pool());
        let (Some(page), Some(buf)) = (page.as_mut(), buf.as_mut()) else {
            return ERROR;
        };
        buf.start = page.as_mut_ptr();
        buf.pos = buf.start;
        buf.last = buf.start.add(page.len());
        buf.end = buf.last;
        buf.set_memory(u32::from(!page.is_empty()));
        buf.set_last_buf(u32::from(request.is_main()));
        buf.set_last_in_chain(1);
        buf.set_sync(u32::from(page.is_empty() && !request.is_main()));
        let mut chain = ngx_chain_t {
            buf,
            next: std::ptr::null_mut(),
        };
        ngx_http_output_filter(r, &mut chain)
    }
}

/// The values of Accept.
fn accepted<'a>(request: Request) -> impl Iterator<Item = &'a [u8]> {
    // SAFETY: the request's lines live as long as it, and nobody changes them meanwhile.
    unsafe {
        let lines = table::iter(&raw const (*request.as_ptr()).headers_in.headers);
        lines.filter_map(|line| {
            let named = (*line).hash != 0 && table::key(line).eq_ignore_ascii_case(b"accept");
            named.then(|| table::value(line))
        })
    }
}

/// `false`: memory is out.
fn set_headers(request: Request, format: Format, length: usize) -> bool {
    const HEADERS: [(&[u8], &[u8]); 2] = [(b"Cache-Control", b"no-store"), (b"Vary", b"Accept")];
    request.set_status(NGX_HTTP_OK as usize);
    request.set_response_length(Some(length as u64));
    // SAFETY: the request is live; nginx only reads the static text.
    unsafe {
        let headers = &raw mut (*request.as_ptr()).headers_out;
        let kind = format.content_type();
        (*headers).content_type = ngx_str_t {
            data: kind.as_ptr().cast_mut(),
            len: kind.len(),
        };
        // Up to the parameters, so that nginx adds no charset of its own.
        (*headers).content_type_len = kind.find(';').unwrap_or(kind.len());
        (*headers).content_type_lowcase = std::ptr::null_mut();
        HEADERS.iter().all(|(name, value)| {
            !table::push(&raw mut (*headers).headers, request.pool(), name, value).is_null()
        })
    }
}

/// The page, in one pass over the metrics.
fn render(conf: &MainConf, format: Format) -> Vec<u8> {
    let mut families = Families::new();
    if let Some(host) = conf.metrics() {
        let living = host.living();
        families.collect(host.metrics(), |slot| {
            living.get(slot as usize).copied().unwrap_or(false)
        });
    }
    for (name, size, used) in zones(conf) {
        let mut labels = String::new();
        push_label(&mut labels, "zone", &name);
        let value = |bytes: usize| Value::Gauge(bytes as i64);
        families.add(Kind::Gauge, ZONE_SIZE, labels.clone(), value(size));
        families.add(Kind::Gauge, ZONE_USED, labels, value(used));
    }
    text::write(&families.into_vec(), format).into_bytes()
}

/// The configuration's zones: name, size and bytes in use.
fn zones(conf: &MainConf) -> Vec<(String, usize, usize)> {
    let mut all = Vec::new();
    if let Some(zone) = conf.zones.data.as_ref().and_then(|data| data.zone.open()) {
        let usage = zone.usage();
        all.push((zone.name().to_owned(), usage.size, usage.used));
    }
    if let Some(zone) = conf.zones.queues.as_ref().and_then(|queues| queues.open()) {
        let usage = zone.usage();
        all.push((zone.name().to_owned(), usage.size, usage.used));
    }
    if let (Some(zone), Some(host)) = (&conf.zones.metrics, conf.metrics()) {
        // Of nginx's own, the part that no metric can have counts as used.
        let (free, size) = (host.metrics().free_bytes(), zone.size());
        all.push((zone.name().to_owned(), size, size - free.min(size)));
    }
    all
}
