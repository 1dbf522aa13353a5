//! Timers, by the platform's own; wasmtime-wasi has Tokio's.

use std::rc::Rc;
use std::time::{Duration, Instant};

use send_wrapper::SendWrapper;
use wasmtime::component::{Accessor, Linker, Resource};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::clocks::WasiClocksView;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::Host as _;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};

use crate::platform::{Platform, Sent};
use crate::state::State;

const P2: &str = "wasi:clocks/monotonic-clock@0.2.12";
const P3: &str = "wasi:clocks/monotonic-clock@0.3.0";

/// Longest time that is asked for at once: a platform's timers may count milliseconds in 32 bits.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

type Store<'a> = StoreContextMut<'a, State>;

/// Defines it, over what wasmtime-wasi has defined.
pub(crate) fn define(linker: &mut Linker<State>) -> Result<()> {
    let mut clock = linker.instance(P2)?;
    clock.func_wrap("subscribe-duration", |store: Store<'_>, (time,): (u64,)| {
        subscribe_to(store, time)
    })?;
    clock.func_wrap(
        "subscribe-instant",
        |mut store: Store<'_>, (when,): (u64,)| {
            let time = until(store.data_mut(), when)?;
            subscribe_to(store, time)
        },
    )?;
    let mut clock = linker.instance(P3)?;
    clock.func_wrap_concurrent("wait-for", |accessor, (time,): (u64,)| {
        Box::pin(wait(accessor, move |_| Ok(time)))
    })?;
    clock.func_wrap_concurrent("wait-until", |accessor, (when,): (u64,)| {
        Box::pin(wait(accessor, move |state| until(state, when)))
    })
}

/// Nanoseconds to go until the guest's clock shows this.
fn until(state: &mut State, when: u64) -> Result<u64> {
    Ok(when.saturating_sub(state.clocks().now()?))
}

fn subscribe_to(mut store: Store<'_>, nanoseconds: u64) -> Result<(Resource<DynPollable>,)> {
    let state = store.data_mut();
    let timer = Timer::new(state, nanoseconds);
    let timer = state.table.push(timer)?;
    Ok((subscribe(&mut state.table, timer)?,))
}

async fn wait(
    accessor: &Accessor<State>,
    time: impl FnOnce(&mut State) -> Result<u64> + Send,
) -> Result<()> {
    let mut timer = accessor.with(|mut store| {
        let state = store.data_mut();
        let nanoseconds = time(state)?;
        wasmtime::error::Ok(Timer::new(state, nanoseconds))
    })?;
    timer.ready().await;
    Ok(())
}

/// A moment that is waited for.
struct Timer {
    platform: SendWrapper<Rc<dyn Platform>>,
    /// `None`: never.
    end: Option<Instant>,
    sleep: Option<Sent<()>>,
    over: bool,
}

impl Timer {
    fn new(state: &State, nanoseconds: u64) -> Timer {
        Timer {
            platform: SendWrapper::new(state.platform().clone()),
            end: Instant::now().checked_add(Duration::from_nanos(nanoseconds)),
            sleep: None,
            over: false,
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Timer {
    /// Whoever stops waiting and begins again goes on with the platform's timer that there is.
    async fn ready(&mut self) {
        while !self.over {
            let sleep = match &mut self.sleep {
                Some(sleep) => sleep,
                none => {
                    let left = self
                        .end
                        .map_or(LONGEST, |end| end.saturating_duration_since(Instant::now()));
                    let sleep = self.platform.sleep(left.min(LONGEST));
                    none.insert(Sent::new(sleep))
                }
            };
            sleep.await;
            self.sleep = None;
            self.over = self.end.is_some_and(|end| Instant::now() >= end);
        }
    }
}
