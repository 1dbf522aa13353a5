//! Instances that belong to one request (`isolation=request`): each starts with the state that the module's ordinary instance
//! had when it was configured.
//!
//! When its request has ended, an instance is taken back to that state and kept for another one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use proxy_wasm_host::{Engine, Snapshot, StartError};

use crate::filter::proxy_wasm::instance::{Instance, WorkerVm};
use crate::filter::proxy_wasm::proxy::NginxProxy;
use crate::nginx::log::{Level, Log};

/// Instances that wait for a request, of each module.
const MAX_IDLE: usize = 64;

/// What instances of a module start from.
pub struct Template {
    pool: Rc<Pool>,
    /// `instances=`
    most: u32,
}

/// The instances of a module that are requests' own.
struct Pool {
    snapshot: Snapshot<NginxProxy>,
    /// Those that requests have.
    live: Cell<u32>,
    /// Those that wait for one, the last used last: as new, but for the pages of their memory, which are there already.
    idle: RefCell<Vec<Rc<RefCell<WorkerVm>>>>,
}

impl Pool {
    /// The request that had it has ended.
    fn take_back(&self, shared: &Rc<RefCell<WorkerVm>>) {
        let Ok(mut vm) = shared.try_borrow_mut() else {
            return;
        };
        vm.proxy().leave_queues();
        if self.idle.borrow().len() < MAX_IDLE && !vm.poisoned() {
            let proxy = vm.proxy().of_request();
            if self.snapshot.rewind(&mut vm, proxy) {
                self.idle.borrow_mut().push(shared.clone());
            }
        }
    }

    /// An instance that is as new.
    fn start(&self, shared: &Instance) -> Result<Rc<RefCell<WorkerVm>>, String> {
        if let Some(vm) = self.idle.borrow_mut().pop() {
            return Ok(vm);
        }
        let proxy = match shared.vm.try_borrow() {
            Ok(vm) => vm.proxy().of_request(),
            Err(_) => return Err("its own call is running".to_owned()),
        };
        let vm = self.snapshot.start(proxy).map_err(|e| e.to_string())?;
        Ok(Rc::new(RefCell::new(vm)))
    }
}

/// What an instance of one request has beside that of others.
pub struct PerRequest {
    pool: Rc<Pool>,
    /// The instance itself, when its request has ended and something that it has going has not.
    lingers: RefCell<Option<Rc<Instance>>>,
}

impl Drop for PerRequest {
    fn drop(&mut self) {
        let live = &self.pool.live;
        live.set(live.get().saturating_sub(1));
    }
}

impl Template {
    pub fn new(vm: &mut WorkerVm, engine: &Engine, most: u32) -> Result<Template, StartError> {
        Ok(Template {
            pool: Rc::new(Pool {
                snapshot: vm.snapshot(engine)?,
                live: Cell::default(),
                idle: RefCell::default(),
            }),
            most,
        })
    }
}

/// The instances of one request.
#[derive(Default)]
pub struct RequestInstances(Vec<(usize, Rc<Instance>)>);

impl RequestInstances {
    /// The request's instance of a module, whose ordinary instance is this one; the latter itself where requests share it. `None`:
    /// there can be no more; the log says so.
    pub fn of(&mut self, index: usize, shared: Rc<Instance>, log: Log) -> Option<Rc<Instance>> {
        let Some(template) = &shared.template else {
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

impl Instance {
    fn own(&self, template: &Template, log: Log) -> Option<Rc<Instance>> {
        let failed = |error: &str| {
            let line = format_args!("[wasm] {}: {error}", self.name);
            log.write(Level::Error, line);
            None
        };
        let pool = &template.pool;
        let live = pool.live.get();
        if live >= template.most {
            return failed(&format!("all of instances={live} are in use"));
        }
        let vm = match pool.start(self) {
            Ok(vm) => vm,
            Err(error) => return failed(&error),
        };
        pool.live.set(live + 1);
        let own = PerRequest {
            pool: pool.clone(),
            lingers: RefCell::default(),
        };
        let (link, ticks, metrics, bytes) = {
            let vm = vm.borrow();
            let proxy = vm.proxy();
            let (link, ticks, metrics) = (&proxy.link, &proxy.ticks, &proxy.metrics);
            (
                link.clone(),
                ticks.clone(),
                metrics.clone(),
                vm.memory_bytes(),
            )
        };
        if let Some(metrics) = &metrics {
            metrics.runs(bytes);
        }
        let instance = Rc::new_cyclic(|this| Instance {
            this: this.clone(),
            name: self.name.clone(),
            turn: self.turn.clone(),
            metrics,
            vm,
            roots: self.roots.clone(),
            ticks,
            waiters: RefCell::default(),
            timers: RefCell::default(),
            template: None,
            own: Some(own),
        });
        link.set(&instance);
        Some(instance)
    }

    /// The request that the instance may belong to has ended: it stays as long as it has calls going.
    pub fn linger(&self) {
        if let Some(own) = &self.own
            && self.has_calls()
        {
            own.lingers.replace(self.this.upgrade());
        }
    }

    /// A call has ended.
    pub fn end_lingering(&self) {
        if let Some(own) = &self.own
            && own.lingers.borrow().is_some()
            && !self.has_calls()
        {
            let lingering = own.lingers.take();
            drop(lingering);
        }
    }

    fn has_calls(&self) -> bool {
        self.vm
            .try_borrow()
            .is_ok_and(|vm| !vm.poisoned() && (vm.has_calls() || vm.proxy().has_questions()))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(own) = &self.own {
            own.pool.take_back(&self.vm);
        }
    }
}
