//! Requests to Spin applications.

use http::{HeaderName, HeaderValue};
use ngx::ffi::{
    NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_HTTP_NOT_FOUND, ngx_http_discard_request_body, ngx_int_t,
};

use crate::conf::location::LocConf;
use crate::conf::spin::{SpinAnswer, SpinConf};
use crate::handler::send::Reply;
use crate::handler::service::serve::serve_with;
use crate::message::headers::request as headers;
use crate::nginx::log::Level;
use crate::nginx::request::Request;
use crate::nginx::{OK, variable};

/// Has the application answer a request. The result is nginx's.
pub fn answer(request: Request, spin: &SpinConf) -> ngx_int_t {
    let mut target = Vec::new();
    let mut host = None;
    headers::visit(request, &mut |name, value| match name {
        b":path" => target = value.to_vec(),
        b":authority" => host = str::from_utf8(value).ok().map(str::to_owned),
        _ => {}
    });
    let Ok(target) = String::from_utf8(target) else {
        return NGX_HTTP_NOT_FOUND as ngx_int_t;
    };
    let path = target.split('?').next().unwrap_or("/");
    let Some(found) = spin.router.find(path) else {
        return NGX_HTTP_NOT_FOUND as ngx_int_t;
    };
    match spin.answers.get(found.number) {
        Some(SpinAnswer::Module(module)) => {
            let client = client(request);
            let added = spin_app::request_headers(
                &found,
                spin_app::Request {
                    scheme: if request.is_tls() { "https" } else { "http" },
                    host: host.as_deref(),
                    target: &target,
                    client: &client,
                },
            );
            let lines = added.into_iter().filter_map(|(name, value)| {
                let name = HeaderName::try_from(name).ok()?;
                Some((name, HeaderValue::try_from(value).ok()?))
            });
            serve_with(request, *module, lines.collect())
        }
        Some(SpinAnswer::Static {
            status,
            headers,
            body,
        }) => fixed(request, *status, headers, body),
        None => NGX_HTTP_NOT_FOUND as ngx_int_t,
    }
}

/// Address and port of the client.
fn client(request: Request) -> String {
    let part = |name: &str| {
        let mut value = Vec::new();
        variable::get(request, name.as_bytes(), &mut |part| {
            value.extend_from_slice(part)
        });
        String::from_utf8_lossy(&value).into_owned()
    };
    let (address, port) = (part("remote_addr"), part("remote_port"));
    match address.contains(':') {
        true => format!("[{address}]:{port}"),
        false => format!("{address}:{port}"),
    }
}

fn fixed(request: Request, status: u16, headers: &[(String, String)], body: &str) -> ngx_int_t {
    // SAFETY: the request is live, and in its content phase.
    let rc = unsafe { ngx_http_discard_request_body(request.as_ptr()) };
    if rc != OK {
        return rc;
    }
    let conf = LocConf::of(request).handler.as_ref();
    match (Reply::new(request, status, body.as_bytes()), conf) {
        (Some(mut reply), Some(conf)) => {
            reply.headers = headers.to_vec();
            reply.send(request, conf, |what| {
                // The same for each request, so it is worth a line for somebody who looks for it alone.
                let line = format_args!("[wasm] a static response of a Spin application: {what}");
                request.log().write(Level::Info, line);
            })
        }
        _ => NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t,
    }
}
