//! Instances that belong to one request (`isolation=request`): each starts with the state that the module's ordinary instance
//! had when it was configured.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use proxy_wasm_host::{Engine, Snapshot, StartError};

use super::instance::{Instance, SharedVm};
use super::proxy::{Link, NginxProxy};
use crate::nginx::log::{Level, Log};

/// What instances of a module start from.
pub(super) struct Template {
    snapshot: Snapshot<NginxProxy>,
    /// Instances that there are.
    live: Rc<Cell<u32>>,
    /// `instances=`
    most: u32,
}

/// What an instance of one request has beside that of others.
pub(super) struct Own {
    live: Rc<Cell<u32>>,
    /// The instance itself, when its request has ended and something that it has going has not.
    lingers: RefCell<Option<SharedVm>>,
}

impl Drop for Own {
    fn drop(&mut self) {
        self.live.set(self.live.get().saturating_sub(1));
    }
}

impl Template {
    pub fn new(
        vm: &mut super::WorkerVm,
        engine: &Engine,
        most: u32,
    ) -> Result<Template, StartError> {
        Ok(Template {
            snapshot: vm.snapshot(engine)?,
            live: Rc::default(),
            most,
        })
    }
}

/// The instances of one request.
#[derive(Default)]
pub struct OwnVms(Vec<(usize, SharedVm)>);

impl OwnVms {
    /// The request's instance of a module, whose ordinary instance is this one; the latter itself where requests share it. `None`:
    /// there can be no more; the log says so.
    pub(super) fn of(&mut self, index: usize, shared: SharedVm, log: Log) -> Option<SharedVm> {
        let Some(template) = &shared.0.template else {
            return Some(shared);
        };
        if let Some((_, own)) = self.0.iter().find(|(known, _)| *known == index) {
            return Some(own.clone());
        }
        let own = shared.own(template, log)?;
        self.0.push((index, own.clone()));
        Some(own)
    }
}

impl SharedVm {
    fn own(&self, template: &Template, log: Log) -> Option<SharedVm> {
        let failed = |error: std::fmt::Arguments<'_>| {
            log.write(
                Level::Error,
                format_args!("[wasm] {}: {error}", self.name()),
            );
            None
        };
        let live = template.live.get();
        if live >= template.most {
            return failed(format_args!("all of instances={live} are in use"));
        }
        let link = Link::default();
        let proxy = match self.0.vm.try_borrow() {
            Ok(vm) => vm.proxy().of_request(link.clone()),
            Err(_) => return failed(format_args!("its own call is running")),
        };
        let (ticks, metrics) = (proxy.ticks.clone(), proxy.metrics.clone());
        let vm = match template.snapshot.start(proxy) {
            Ok(vm) => vm,
            Err(error) => return failed(format_args!("{error}")),
        };
        template.live.set(live + 1);
        let own = Own {
            live: template.live.clone(),
            lingers: RefCell::default(),
        };
        if let Some(metrics) = &metrics {
            metrics.runs(vm.memory_bytes());
        }
        let instance = Rc::new(Instance {
            name: self.0.name.clone(),
            metrics,
            vm: RefCell::new(vm),
            roots: self.0.roots.clone(),
            ticks,
            waiters: RefCell::default(),
            timers: RefCell::default(),
            template: None,
            own: Some(own),
        });
        link.set(&instance);
        Some(SharedVm(instance))
    }

    /// The request that the instance may belong to has ended: it stays as long as it has calls going.
    pub fn request_ended(&self) {
        if let Some(own) = &self.0.own
            && self.has_calls()
        {
            own.lingers.replace(Some(self.clone()));
        }
    }

    /// A call has ended.
    pub(super) fn end_lingering(&self) {
        if let Some(own) = &self.0.own
            && own.lingers.borrow().is_some()
            && !self.has_calls()
        {
            let lingering = own.lingers.take();
            drop(lingering);
        }
    }

    fn has_calls(&self) -> bool {
        self.0
            .vm
            .try_borrow()
            .is_ok_and(|vm| !vm.poisoned() && (vm.has_calls() || vm.proxy().has_questions()))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if self.own.is_some() {
            self.vm.get_mut().proxy().leave_queues();
        }
    }
}
