//! What guests can import, defined.

use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Result};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView};
use wasmtime_wasi_http::{WasiHttp, WasiHttpView};

use crate::handler::Linked;
use crate::interfaces::HANDLER_P2;
use crate::program::{Entry, Version};
use crate::state::{Io, State};
use crate::{denied, messages, p2, p3, spin, wasi};

/// All that is offered.
pub(crate) fn new(engine: &Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    // What is ours comes after what it stands in for.
    linker.allow_shadowing(true);
    let l = &mut linker;
    io(l)?;
    preview2(l)?;
    preview3(l)?;
    wasi::define_clocks(l)?;
    wasi::define_files(l)?;
    p2::define_types(l)?;
    p2::define_outgoing(l)?;
    p3::define_types(l)?;
    spin::add_to_linker(l)?;
    Ok(linker)
}

fn io(l: &mut Linker<State>) -> Result<()> {
    use wasmtime_wasi_io::bindings::wasi::io::{error, poll, streams};

    error::add_to_linker::<_, Io>(l, State::table)?;
    poll::add_to_linker::<_, Io>(l, State::table)?;
    streams::add_to_linker::<_, Io>(l, State::table)
}

fn preview2(l: &mut Linker<State>) -> Result<()> {
    use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random};
    use wasmtime_wasi_http::p2::bindings::{LinkOptions, http};

    clocks::wall_clock::add_to_linker::<_, WasiClocks>(l, State::clocks)?;
    clocks::monotonic_clock::add_to_linker::<_, WasiClocks>(l, State::clocks)?;
    random::random::add_to_linker::<_, WasiRandom>(l, State::random)?;
    random::insecure::add_to_linker::<_, WasiRandom>(l, State::random)?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(l, State::random)?;
    cli::exit::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::environment::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::stdout::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::stderr::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, State::cli)?;
    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(l, State::filesystem)?;
    filesystem::types::add_to_linker::<_, WasiFilesystem>(l, State::filesystem)?;
    http::outgoing_handler::add_to_linker::<_, WasiHttp>(l, State::http)?;
    let options = LinkOptions::default();
    http::types::add_to_linker::<_, WasiHttp>(l, &(&options).into(), State::http)
}

fn preview3(l: &mut Linker<State>) -> Result<()> {
    wasmtime_wasi::p3::cli::add_to_linker(l)?;
    wasmtime_wasi::p3::clocks::add_to_linker(l)?;
    wasmtime_wasi::p3::random::add_to_linker(l)?;
    wasmtime_wasi::p3::filesystem::add_to_linker(l)?;
    wasmtime_wasi_http::p3::add_to_linker(l)
}

/// Resolves a component's imports.
pub(crate) fn link(linker: &Linker<State>, component: &Component, entry: Entry) -> Result<Linked> {
    let mut linker = linker.clone();
    denied::define(&mut linker, component)?;
    let pre = linker.instantiate_pre(component)?;
    match entry {
        Entry::Requests(Version::P2) => {
            let missing = || wasmtime::format_err!("no export {HANDLER_P2}");
            let handler = component.get_export_index(None, HANDLER_P2);
            let handle = component.get_export_index(Some(&handler.ok_or_else(missing)?), "handle");
            Ok(Linked::P2 {
                pre,
                handle: handle.ok_or_else(missing)?,
            })
        }
        Entry::Requests(Version::P3) => Ok(Linked::P3(p3::Linked::new(pre)?)),
        Entry::Messages(calls) => {
            let linked = messages::Linked::new(pre, component, calls)?;
            Ok(Linked::Messages(linked))
        }
    }
}
