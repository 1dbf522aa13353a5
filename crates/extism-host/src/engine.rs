//! The runtime of one process, with the kernel.

use std::sync::{Arc, OnceLock};

use wasm_runtime::{Artifact, Outline};

use crate::error::LoadError;
use crate::kernel::layout;

/// The runtime of one process; it starts no thread. A process that is forked while no guest runs, and no
/// [`Ticker`](wasm_runtime::Ticker), goes on with what is loaded here. Clone = refcount.
#[derive(Clone)]
pub struct Engine {
    pub(crate) runtime: wasm_runtime::Engine,
    kernel: Arc<OnceLock<Kernel>>,
}

/// The kernel, compiled.
#[derive(Clone)]
pub(crate) struct Kernel {
    pub artifact: Artifact,
    pub outline: Arc<Outline>,
}

impl Engine {
    /// Of the runtime that the process has for guests of all kinds.
    pub fn new(runtime: &wasm_runtime::Engine) -> Engine {
        Engine {
            runtime: runtime.clone(),
            kernel: Arc::default(),
        }
    }

    /// The kernel; compiled at the first call.
    pub(crate) fn kernel(&self) -> Result<Kernel, LoadError> {
        if let Some(kernel) = self.kernel.get() {
            return Ok(kernel.clone());
        }
        let outline = |outline: &Outline| Ok::<_, LoadError>(Arc::new(outline.clone()));
        let module = layout::MODULE.as_bytes();
        let (artifact, outline) = self.runtime.compile_if(module, outline)?;
        let kernel = Kernel { artifact, outline };
        Ok(self.kernel.get_or_init(|| kernel).clone())
    }
}
