//! The contexts of a request in the plugin contexts that Lua's code calls.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::conf::policy::OnFailure;
use crate::filter::chain::context::{Context, store};
use crate::filter::chain::ended;
use crate::filter::chain::filter::{Filter, FilterList};
use crate::filter::chain::guest::Guest;
use crate::filter::proxy_wasm::stream::Stream;
use crate::lua::output::Output;
use crate::lua::plugins::PluginContext;
use crate::lua::wait::HANDLERS;
use crate::message::next;
use crate::nginx::request::Request;

/// What Lua's code has to do with a context. It is there from the first callback to the end of the request.
pub struct Driven {
    /// It stays as long as the request, whatever Lua collects.
    _plugin: Rc<PluginContext>,
    request: Request,
    /// What the filter has made of the bodies.
    pub incoming: RefCell<Output>,
    pub response: RefCell<Output>,
    /// The body of a response of the filter's own.
    pub reply: RefCell<Vec<u8>>,
    /// Such a response stands for the request's.
    pub replaced: Cell<bool>,
}

impl Driven {
    pub fn of(context: &Context) -> Option<&Driven> {
        context.driver.as_deref()?.downcast_ref()
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        if self.replaced.get() {
            next::restore_body(self.request);
        }
    }
}

/// The context of the request in this plugin context.
pub fn find(request: Request, plugin: &PluginContext) -> Option<Rc<Context>> {
    store::all(request.pool()).find(|context| {
        Rc::ptr_eq(&context.chain, &plugin.chain) && context.request() == Some(request)
    })
}

/// The same, made where there is none. `None`: there is none to be had; the log says why. `headers_follow`: the request's header
/// callback is made next, if there is one.
pub fn find_or_create(
    request: Request,
    plugin: &Rc<PluginContext>,
    headers_follow: bool,
) -> Option<Rc<Context>> {
    if let Some(context) = find(request, plugin) {
        return Some(context);
    }
    let driver = Driven {
        _plugin: plugin.clone(),
        request,
        incoming: RefCell::default(),
        response: RefCell::default(),
        reply: RefCell::default(),
        replaced: Cell::new(false),
    };
    let context = Context::new(request, &plugin.chain, &HANDLERS, Some(Rc::new(driver)));
    context.incoming.reached.set(1);
    let guest = match create_stream(request, plugin, &context, headers_follow) {
        Ok(guest) => Some(guest),
        Err(error) => {
            plugin.plugin.complain(request.log(), error);
            if plugin.chain.on_failure.contains(&OnFailure::Closed) {
                return None;
            }
            None
        }
    };
    context.set_filters(FilterList::from_buf([Filter::new(guest)]));
    store::keep(request, &context)?;
    if !request.is_main() {
        ended::watch(request)?;
    }
    Some(context)
}

type Place = (Rc<dyn Guest>, proxy_wasm_host::ContextId);

fn create_stream(
    request: Request,
    plugin: &PluginContext,
    context: &Rc<Context>,
    headers_follow: bool,
) -> Result<Place, String> {
    let (instance, root) = plugin.root(request.log())?;
    let stream = Stream::new(context.clone(), 0);
    let follow = headers_follow && context.chain.callbacks[0].request_headers();
    let id = instance.create_stream(root, stream, follow);
    let id = id.map_err(|error| error.to_string())?;
    Ok((instance as Rc<dyn Guest>, id))
}

/// Is the filter to be told of calls that it has made for this request?
pub fn has_calls(context: &Context, plugin: &PluginContext) -> bool {
    let filter = context.filters().first();
    let Some((_, id)) = filter.and_then(Filter::instance) else {
        return false;
    };
    let instance = plugin.made_in();
    instance.is_some_and(|instance| instance.has_calls_of(id))
}
