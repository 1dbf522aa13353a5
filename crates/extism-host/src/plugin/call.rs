//! Calls of a plugin's functions.

use std::io;

use guest_host::wasi::Exit;
use wasm_runtime::wasmtime::{Error, Result};
use wasm_runtime::{Guard, OutOfMemory, OutOfTime};

use super::{Code, Outcome, Phase, Plugin};
use crate::error::{Failure, Refusal, StartError};
use crate::exports::{Function, Returns, START};
use crate::kernel::{begin, parts};
use crate::services::Services;
use crate::state::State;
use crate::wait::{drive, now};

/// What a call that has not come to its end answers.
const NONE: i32 = -1;
/// What a call answers that has trapped: as a process does that was aborted.
const ABORTED: i32 = 134;

/// The input of a call.
pub trait Input {
    /// Bytes of it.
    fn size(&self) -> usize;

    /// Writes all of it into the guest's memory, which has just so many bytes, of any contents.
    fn write(self, memory: &mut [u8]) -> io::Result<()>;
}

impl Input for &[u8] {
    fn size(&self) -> usize {
        self.len()
    }

    fn write(self, memory: &mut [u8]) -> io::Result<()> {
        memory.copy_from_slice(self);
        Ok(())
    }
}

/// Pieces, one after the other.
impl Input for &[&[u8]] {
    fn size(&self) -> usize {
        self.iter().map(|piece| piece.len()).sum()
    }

    fn write(self, mut memory: &mut [u8]) -> io::Result<()> {
        for piece in self {
            io::Write::write_all(&mut memory, piece)?;
        }
        Ok(())
    }
}

/// A number of bytes, and what writes them.
impl<F: FnOnce(&mut [u8]) -> io::Result<()>> Input for (usize, F) {
    fn size(&self) -> usize {
        self.0
    }

    fn write(self, memory: &mut [u8]) -> io::Result<()> {
        self.1(memory)
    }
}

impl<S: Services> Plugin<S> {
    /// Calls a function, and waits with it where it waits. The instance is started first, if it is new.
    ///
    /// Dropping the future ends the call, and the instance with it. While it waits, it is the embedder's future
    /// ([`Services::http_request`]) that is polled.
    pub async fn call(&mut self, function: Function, input: impl Input) -> Outcome<'_, S> {
        let code = match self.prepare(function, input).await {
            Ok(code) => code,
            Err(failure) => return self.not_called(failure),
        };
        let result = match self.linked.inner.waits() {
            true => {
                let waiting = self.waiting();
                let entrance = Guard::enter(&mut self.store, State::guard);
                let store = &mut self.store;
                drive(&entrance, &waiting, async {
                    match &code {
                        Code::Code(code) => code.call_async(store, ()).await,
                        Code::Nothing(code) => code.call_async(store, ()).await.map(|()| 0),
                    }
                })
                .await
            }
            false => Guard::call(&mut self.store, State::guard, |store| match &code {
                Code::Code(code) => code.call(store, ()),
                Code::Nothing(code) => code.call(store, ()).map(|()| 0),
            }),
        };
        self.conclude(function, result)
    }

    /// The same for a program that [does not wait](crate::Program::waits); a call that does nevertheless fails, and ends the
    /// instance.
    pub fn call_now(&mut self, function: Function, input: impl Input) -> Outcome<'_, S> {
        // What is borrowed for the outcome is not borrowed where there is none: so it is made again from its parts.
        let ended = now(async {
            let outcome = self.call(function, input).await;
            outcome.into_parts()
        });
        match ended {
            Some((code, failure)) => Outcome::new(self, code, failure),
            None => {
                self.phase = Phase::Poisoned;
                self.not_called(Failure::Waits)
            }
        }
    }

    /// Does all that comes before the function itself runs.
    async fn prepare(&mut self, function: Function, input: impl Input) -> Result<Code, Failure> {
        match self.phase {
            Phase::Ready => {}
            Phase::Poisoned => return Err(Failure::Poisoned),
            Phase::New => self.start().await.map_err(start_failure)?,
        }
        let size = input.size();
        begin(&mut self.store, size, |memory| input.write(memory)).map_err(|error| match error
            .downcast_ref::<io::Error>(
        ) {
            Some(error) => Failure::Input(error.to_string()),
            None => Failure::InputSize(size),
        })?;
        let code = self.code(function)?;
        // Until it has come to its end.
        self.phase = Phase::Poisoned;
        Ok(code)
    }

    /// The function in this instance; looked up once.
    fn code(&mut self, function: Function) -> Result<Code, Failure> {
        let index = function.0 as usize;
        if let Some(Some(code)) = self.functions.get(index) {
            return Ok(code.clone());
        }
        self.look_up(index)
            .ok_or_else(|| Failure::NotFound("a function of another program".into()))
    }

    #[cold]
    fn look_up(&mut self, index: usize) -> Option<Code> {
        let (export, returns) = self.linked.inner.functions.get(index)?;
        let main = self.instances.last()?;
        let found = main.get_module_export(&mut self.store, export)?;
        let found = found.into_func()?;
        let code = match returns {
            Returns::Code => Code::Code(found.typed(&self.store).ok()?),
            Returns::Nothing => Code::Nothing(found.typed(&self.store).ok()?),
        };
        *self.functions.get_mut(index)? = Some(code.clone());
        Some(code)
    }

    /// The function has returned, or trapped.
    fn conclude(&mut self, function: Function, result: Result<i32>) -> Outcome<'_, S> {
        self.end_call();
        let message = self.message();
        match result {
            Ok(code) => {
                let callable = self.linked.program().inner.exports.get(function);
                if callable.is_none_or(|callable| callable.name != START) {
                    self.phase = Phase::Ready;
                }
                let failure = message.map(|message| Failure::Message {
                    message,
                    trap: None,
                });
                Outcome::new(self, code, failure)
            }
            Err(error) => {
                let (code, failure) = self.failed(&error, message);
                Outcome::new(self, code, failure)
            }
        }
    }

    /// The error that the guest has set.
    fn message(&mut self) -> Option<String> {
        let (memory, state) = parts(&mut self.store).ok()?;
        let range = state.kernel.error(memory)?;
        let message = memory.get(range)?;
        Some(String::from_utf8_lossy(message).into_owned())
    }

    /// What a call that has not returned comes to.
    #[cold]
    fn failed(&self, error: &Error, message: Option<String>) -> (i32, Option<Failure>) {
        let exit = error.downcast_ref::<Exit>();
        if let (Some(Exit(code)), None) = (exit, &message) {
            return (*code, (*code != 0).then_some(Failure::Exited(*code)));
        }
        let reason = self.reason(error);
        if let Some(message) = message {
            let failure = Failure::Message {
                message,
                trap: Some(reason),
            };
            return (exit.map_or(NONE, |exit| exit.0), Some(failure));
        }
        let (code, failure) = if error.is::<OutOfTime>() {
            (ABORTED, Failure::Timeout(reason))
        } else if error.is::<OutOfMemory>() {
            (NONE, Failure::OutOfMemory(reason))
        } else if error.is::<Refusal>() {
            (NONE, Failure::Refused(reason))
        } else {
            (ABORTED, Failure::Trap(reason))
        };
        (code, Some(failure))
    }

    /// The outcome of a call that was not made.
    fn not_called(&mut self, failure: Failure) -> Outcome<'_, S> {
        if let Ok((memory, state)) = parts(&mut self.store) {
            // No output of an earlier call.
            state.kernel.reset(memory);
        }
        Outcome::new(self, NONE, Some(failure))
    }
}

fn start_failure(error: StartError) -> Failure {
    Failure::Start(error.to_string())
}
