//! Requests that nginx answers as soon as it has found their location: a body that is too large, a redirect to a
//! folder's name with a slash (`ngx_http_core_find_config_phase`).

use std::rc::Rc;

use crate::conf::location::LocConf;
use crate::filter::chain::context::Context;
use crate::filter::chain::context::create::create;
use crate::filter::chain::phases;
use crate::filter::chain::stage::RequestStage;
use crate::nginx::request::Request;

/// The contexts of such a request, whose filters have seen its headers. As in Envoy, they see the response and make
/// their last callbacks. What they pause goes on: nginx has decided. What they answer takes the place of nginx's
/// answer.
pub fn contexts(request: Request) -> Option<Rc<Context>> {
    let chain = LocConf::of(request).chain()?;
    let context = create(request, chain, true)?;
    // What filters ask for is seen to when the response comes to them.
    let _ = phases::run_headers(&context, request, 0);
    context.incoming.stage.set(RequestStage::Done);
    context.wake.unlimit();
    Some(context)
}
