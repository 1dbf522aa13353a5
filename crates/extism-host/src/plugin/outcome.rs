//! What a call comes to.

use std::fmt;
use std::mem::ManuallyDrop;

use super::Plugin;
use crate::error::Failure;
use crate::kernel::parts;
use crate::services::Services;

/// What a call has come to. The output lies in the guest's memory, so the instance is not to be called while this is there.
pub struct Outcome<'a, S: Services> {
    plugin: &'a mut Plugin<S>,
    code: i32,
    failure: Option<Failure>,
}

impl<'a, S: Services> Outcome<'a, S> {
    pub(super) fn new(
        plugin: &'a mut Plugin<S>,
        code: i32,
        failure: Option<Failure>,
    ) -> Outcome<'a, S> {
        Outcome {
            plugin,
            code,
            failure,
        }
    }

    /// Leaves the memory as it is.
    pub(super) fn into_parts(self) -> (i32, Option<Failure>) {
        let mut outcome = ManuallyDrop::new(self);
        (outcome.code, outcome.failure.take())
    }

    /// What the function has returned. 134: it has trapped; -1: it did not run, or was ended, or had set an error before it
    /// trapped; `proc_exit`'s code.
    pub fn code(&self) -> i32 {
        self.code
    }

    /// Why it failed. `None` with a [code](Outcome::code) other than 0: the guest did not say.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Has the call failed? By its code, or by an error that the guest has set.
    pub fn failed(&self) -> bool {
        self.code != 0 || self.failure.is_some()
    }

    /// What the guest has set as its output, which it may have done before it failed.
    pub fn output(&mut self) -> &[u8] {
        match parts(&mut self.plugin.store) {
            Ok((memory, state)) => {
                let range = state.kernel.output(memory);
                memory.get(range).unwrap_or_default()
            }
            Err(_) => &[],
        }
    }
}

impl<S: Services> fmt::Debug for Outcome<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome")
            .field("code", &self.code)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl<S: Services> Drop for Outcome<'_, S> {
    fn drop(&mut self) {
        if let Ok((memory, state)) = parts(&mut self.plugin.store) {
            state.kernel.trim(memory);
        }
    }
}
