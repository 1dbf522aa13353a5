//! Foreign functions that need nginx. One more is a function of the type [`Function`] and its line
//! in [`named`].

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use proxy_wasm_host::{ContextId, Status};

use crate::filter::proxy_wasm::proxy::NginxProxy;
use crate::filter::proxy_wasm::stream::Stream;
use crate::net::executor::{Task, spawn};
use crate::net::resolve::addresses;
use crate::net::target::is_host_name;
use crate::nginx::log::Level;

/// Who calls a function.
pub struct Caller<'a> {
    pub proxy: &'a NginxProxy,
    pub root: ContextId,
    pub stream: Option<&'a Stream>,
}

/// Takes the guest's arguments and appends the result to the last parameter, which is empty.
pub type Function = fn(&Caller<'_>, &[u8], &mut Vec<u8>) -> Result<(), Status>;

/// The function of this name.
pub fn named(name: &[u8]) -> Option<Function> {
    match name {
        b"resolve" => Some(resolve),
        _ => None,
    }
}

/// The number by which `proxy_on_foreign_function` names an answer of `resolve`.
const RESOLVE: u32 = 1;

/// Questions that an instance may have open.
const MAX_QUESTIONS: usize = 1000;

/// What an instance has asked and not been told yet. Dropping this withdraws it.
#[derive(Default)]
pub struct Questions {
    last: Cell<u32>,
    open: Rc<RefCell<HashMap<u32, Task>>>,
}

impl Questions {
    pub fn is_empty(&self) -> bool {
        self.open.borrow().is_empty()
    }

    /// The instance is not called any more.
    pub fn clear(&self) {
        let open = self.open.take();
        drop(open);
    }
}

/// Asks nginx's resolver for the addresses of a host, of the location whose request it is, else of
/// the `http` block. The result is a number of four bytes, little-endian. The root context's
/// `proxy_on_foreign_function` is called with the function 1 when there is an answer: that number,
/// then the addresses as text, one a line; none when the name could not be resolved.
///
/// `BadArgument`: no name of a host; `InternalFailure`: 1000 questions are open.
fn resolve(caller: &Caller<'_>, arguments: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    let name = std::str::from_utf8(arguments).map_err(|_| Status::BadArgument)?;
    if !is_host_name(name) {
        return Err(Status::BadArgument);
    }
    let Some(outbound) = caller.proxy.outbound() else {
        // The check of the configuration gets no answers.
        out.extend_from_slice(&0u32.to_le_bytes());
        return Ok(());
    };
    let questions = &outbound.questions;
    if questions.open.borrow().len() >= MAX_QUESTIONS {
        return Err(Status::InternalFailure);
    }
    let mut number = questions.last.get();
    loop {
        number = number.wrapping_add(1);
        if number != 0 && !questions.open.borrow().contains_key(&number) {
            break;
        }
    }
    questions.last.set(number);
    out.extend_from_slice(&number.to_le_bytes());

    // The question may outlive the request.
    let origin = outbound.origin(caller.stream)?.detached();
    let open = Rc::downgrade(&questions.open);
    let link = caller.proxy.link.clone();
    let (module, root, name) = (caller.proxy.name.clone(), caller.root, name.to_owned());
    let turn = caller.proxy.turn().clone();
    let answer = async move {
        let result = addresses(&origin, &name).await;
        turn.wait().await;
        // Dropping a task that runs is put off until it returns.
        let task = open
            .upgrade()
            .and_then(|open| open.borrow_mut().remove(&number));
        if task.is_none() {
            return;
        }
        let mut answer = number.to_le_bytes().to_vec();
        match result {
            Ok(addresses) => {
                let lines: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                answer.extend_from_slice(lines.join("\n").as_bytes());
            }
            Err(error) => {
                origin.write_line(Level::Error, format_args!("[wasm] {module}: {error}"));
            }
        }
        if let Some(instance) = link.instance() {
            instance.call_logged(|vm| vm.on_foreign_function(root, RESOLVE, &answer));
        }
    };
    let turn = caller.proxy.turn().clone();
    let task = spawn(async move { turn.meter(answer).await });
    questions.open.borrow_mut().insert(number, task);
    Ok(())
}
