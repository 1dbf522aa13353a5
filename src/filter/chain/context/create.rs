//! The beginning of a request's contexts.

use std::rc::Rc;

use crate::conf::chain::Chain;
use crate::conf::location::LocConf;
use crate::filter::chain::chains::Chains;
use crate::filter::chain::context::Context;
use crate::filter::chain::context::store::{attach, find};
use crate::filter::chain::ended;
use crate::filter::chain::filter::FilterList;
use crate::filter::chain::stage::{RequestStage, ResponseStage};
use crate::nginx::guard::module;
use crate::nginx::request::Request;

/// Makes a context in every filter's instance. `None` when one without which the request must
/// not go on cannot be had or fails; the log says why.
///
/// `headers_follow`: the request's header callbacks are made next, and a guest can be told of its context together with them.
pub fn create(request: Request, chain: &Rc<Chain>, headers_follow: bool) -> Option<Rc<Context>> {
    let chains = Chains::of(request)?;
    let context = Context::new(request, chain, chains.handlers, None);
    attach(request, &context)?;
    if !request.is_main() {
        ended::watch(request)?;
    }
    let filters = match chains.guests() {
        Some(guests) => guests.contexts(&context, request, headers_follow),
        None => FilterList::new(),
    };
    let complete = filters.len() == chain.filters.len();
    context.set_filters(filters);
    if !complete {
        context.end();
        return None;
    }
    Some(context)
}

/// The context of a subrequest that has come past the phases of the request's callbacks;
/// `Ok(None)` when its location has no filters, or it had a context that has ended.
pub fn create_for_clone(request: Request) -> Result<Option<Rc<Context>>, ()> {
    if !request.module_ctx::<Context>(module()).is_null() {
        return Ok(None);
    }
    // The client has got a filter's own response: nothing may follow.
    if find(request.main()).is_some_and(|main| main.response.stage() == ResponseStage::Discarding) {
        return Err(());
    }
    let Some(chain) = LocConf::of(request).chain() else {
        return Ok(None);
    };
    let context = create(request, chain, false).ok_or(())?;
    request.range_as_main();
    context.incoming.stage.set(RequestStage::Done);
    context.incoming.reached.set(context.filters().len());
    Ok(Some(context))
}
