//! The page that shows the metrics.

use ngx::ffi::{
    NGX_HTTP_GET, NGX_HTTP_HEAD, NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_HTTP_NOT_ALLOWED, NGX_HTTP_OK,
    ngx_buf_t, ngx_chain_t, ngx_http_discard_request_body, ngx_http_output_filter,
    ngx_http_send_header, ngx_int_t, ngx_str_t,
};

use crate::conf::zones::Zones;
use crate::metrics::accept::Format;
use crate::metrics::families::{Families, Value};
use crate::metrics::host::Host;
use crate::metrics::host_families::{
    DATA_EVICTIONS, DATA_KEYS, QUEUE_MESSAGES, QUEUES, ZONE_SIZE, ZONE_USED,
};
use crate::metrics::names::push_label;
use crate::metrics::{accept, text};
use crate::nginx::request::Request;
use crate::nginx::{ERROR, OK, pool, table};
use crate::shm::Shared;
use crate::shm::metrics::store::Kind;
use crate::shm::zone::Usage;

/// What a page shows beside the metrics themselves.
pub struct Sources<'a> {
    /// This process's part in the metrics; `None`: they cannot be kept.
    pub host: Option<&'a Host>,
    pub zones: &'a Zones,
    /// What the instances of this process share; `None`: there are no modules.
    pub shared: Option<&'a Shared>,
}

/// Answers a request with the metrics, in the format that its client prefers.
pub fn respond(request: Request, sources: &Sources<'_>) -> ngx_int_t {
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
    let format = accept::choose(accepted(request));
    let page = render(sources, format);
    if !set_headers(request, format, page.len()) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
    }
    // SAFETY: the request is live, and in its content phase; the page is dropped with the request's pool, behind
    // what reads it.
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
fn render(sources: &Sources<'_>, format: Format) -> Vec<u8> {
    let mut families = Families::new();
    if let Some(host) = sources.host {
        let living = host.living();
        families.collect(host.metrics(), |slot| {
            living.get(slot as usize).copied().unwrap_or(false)
        });
    }
    add_zones(&mut families, sources);
    text::write(&families.into_vec(), format).into_bytes()
}

/// Adds the configuration's zones, and what is in them.
fn add_zones(families: &mut Families, sources: &Sources<'_>) {
    let mut add = |kind: Kind, family: &str, zone: &str, number: u64| {
        let mut labels = String::new();
        push_label(&mut labels, "zone", zone);
        let value = match kind {
            Kind::Counter => Value::Counter(number),
            _ => Value::Gauge(number as i64),
        };
        families.add(kind, family, labels, value);
    };
    let mut add_usage = |zone: &str, usage: Usage| {
        add(Kind::Gauge, ZONE_SIZE, zone, usage.size as u64);
        add(Kind::Gauge, ZONE_USED, zone, usage.used as u64);
    };
    let (zones, shared) = (sources.zones, sources.shared);
    let data = zones.data.as_ref().zip(shared);
    let data = data.map(|(data, shared)| (data.zone.name(), shared.data.usage()));
    let queues = zones.queues.as_ref().zip(shared);
    let queues = queues.map(|(zone, shared)| (zone.name(), shared.queues.usage()));
    if let Some((zone, usage)) = data {
        add_usage(zone, usage.zone);
    }
    if let Some((zone, usage)) = queues {
        add_usage(zone, usage.zone);
    }
    if let (Some(zone), Some(host)) = (&zones.metrics, sources.host) {
        // What no metric can have of the zone counts as used.
        let (size, free) = (zone.size(), host.metrics().free_bytes());
        let used = size.saturating_sub(free);
        add_usage(zone.name(), Usage { size, used });
    }
    if let Some((zone, usage)) = data {
        add(Kind::Gauge, DATA_KEYS, zone, usage.keys);
        add(Kind::Counter, DATA_EVICTIONS, zone, usage.evictions);
    }
    if let Some((zone, usage)) = queues {
        add(Kind::Gauge, QUEUES, zone, usage.queues);
        add(Kind::Gauge, QUEUE_MESSAGES, zone, usage.messages);
    }
}
