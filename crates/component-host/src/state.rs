//! What the store of an instance holds.

use std::rc::Rc;
use std::sync::Arc;

use send_wrapper::SendWrapper;
use wasm_runtime::{Guard, Meter};
use wasmtime::component::{HasData, ResourceTable};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::background::Spawner;
use crate::hooks::Hooks;
use crate::p2::OutgoingBodies;
use crate::platform::{Output, Platform};
use crate::settings::Settings;
use crate::stdio::Stdio;

/// What the store of an instance holds.
pub(crate) struct State {
    pub table: ResourceTable,
    pub http: WasiHttpCtx,
    pub hooks: Hooks,
    pub guard: Guard,
    pub meter: Arc<Meter>,
    pub spawner: SendWrapper<Spawner>,
    /// The bodies that the guest of WASI 0.2 writes.
    pub bodies: OutgoingBodies,
    settings: Arc<Settings>,
    /// Made for a guest that asks for something of it; many do not.
    wasi: Option<Box<Wasi>>,
}

struct Wasi {
    ctx: WasiCtx,
    stdio: Stdio,
}

impl State {
    pub fn new(
        settings: Arc<Settings>,
        platform: Rc<dyn Platform>,
        guard: Guard,
        meter: Arc<Meter>,
        spawner: Spawner,
    ) -> State {
        let mut table = ResourceTable::with_capacity(16);
        table.set_max_capacity(settings.resources);
        State {
            table,
            http: WasiHttpCtx::new(),
            hooks: Hooks::new(platform, settings.requests),
            guard,
            meter,
            spawner: SendWrapper::new(spawner),
            bodies: OutgoingBodies::default(),
            settings,
            wasi: None,
        }
    }

    pub fn platform(&self) -> &Rc<dyn Platform> {
        &self.hooks.outgoing().platform
    }

    /// The instance serves another request.
    pub fn set_platform(&mut self, platform: Rc<dyn Platform>) {
        if let Some(wasi) = &self.wasi {
            wasi.stdio.set_platform(platform.clone());
        }
        self.hooks.set_platform(platform);
    }

    /// Most resources, streams, futures and tasks that the guest can have.
    pub fn most_resources(&self) -> usize {
        self.settings.resources
    }

    /// A request has ended.
    pub fn end(&mut self) {
        if let Some(wasi) = &self.wasi {
            wasi.stdio.end();
        }
        self.bodies.abort();
    }

    pub fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

impl Wasi {
    fn new(settings: &Settings, platform: Rc<dyn Platform>) -> Wasi {
        let stdio = Stdio::new(platform);
        let mut builder = WasiCtxBuilder::new();
        builder
            .stdout(stdio.stream(Output::Stdout))
            .stderr(stdio.stream(Output::Stderr))
            .envs(&settings.env)
            // As much as a guest asks for is made on its way, whole.
            .max_random_size(1 << 20)
            // There is no other thread.
            .allow_blocking_current_thread(true);
        for directory in &settings.directories {
            let perms = match directory.writable {
                true => FsPerms::ReadWrite,
                false => FsPerms::ReadOnly,
            };
            // It was there when the configuration was read. If it is gone, the guest finds none.
            let _ = builder.preopened_dir(&directory.path, &directory.name, perms);
        }
        Wasi {
            ctx: builder.build(),
            stdio,
        }
    }
}

impl Drop for Wasi {
    /// A guest may be ended in the middle of a line.
    fn drop(&mut self) {
        self.stdio.end();
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let State {
            wasi,
            table,
            settings,
            hooks,
            ..
        } = self;
        let platform = &hooks.outgoing().platform;
        let wasi = wasi.get_or_insert_with(|| Box::new(Wasi::new(settings, platform.clone())));
        WasiCtxView {
            ctx: &mut wasi.ctx,
            table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.hooks,
        }
    }
}

/// How bindings get at the table.
pub(crate) struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}
