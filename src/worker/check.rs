//! The dry run: every module is started, and every filter configured, before nginx takes the
//! configuration.

use std::rc::Rc;

use crate::conf::chain::FilterId;
use crate::nginx::conf::Cf;
use crate::nginx::log::{Level, Log};
use crate::worker::process::Main;
use crate::worker::upstreams;

/// Why a module was not started: the filter whose configuration it refused, if it was that, and the error.
pub type Refusal = (Option<FilterId>, String);

/// Starts each module in an instance that is thrown away: `start` gets its number. `None` when one
/// refuses or fails, which has been logged with the place of its directive. In the postconfiguration step.
pub fn check(
    cf: Cf<'_>,
    main: &mut Main,
    start: impl Fn(&Main, usize, Log) -> Result<(), Refusal>,
) -> Option<()> {
    let log = cf.log();
    if let Err((module, error)) = upstreams::name_upstreams(main, log) {
        complain(cf, main, module, &error);
        return None;
    }
    let shared = main.conf.zones.private();
    if shared.is_none() && !main.conf.modules.is_empty() {
        log.write(
            Level::Emerg,
            format_args!("not enough memory to try the wasm modules"),
        );
        return None;
    }
    main.process.set_shared(shared.map(Rc::new));
    let passed = check_modules(cf, main, start);
    main.process.set_shared(None);
    passed
}

fn check_modules(
    cf: Cf<'_>,
    main: &Main,
    start: impl Fn(&Main, usize, Log) -> Result<(), Refusal>,
) -> Option<()> {
    let Some(first) = main.conf.modules.first() else {
        return Some(());
    };
    let ticker = main.conf.engine().and_then(|engine| {
        let ticker = engine.start_ticker(main.conf.shortest_time());
        ticker.map_err(|error| error.to_string())
    });
    // The thread runs as long as guests do here: it has ended before nginx forks.
    let _ticker = match ticker {
        Ok(ticker) => ticker,
        Err(error) => {
            cf.error_at(&first.place, format_args!("{error}"));
            return None;
        }
    };
    for (index, module) in main.conf.modules.iter().enumerate() {
        if let Err(error) = upstreams::check_upstreams(main, index, cf.log()) {
            complain(cf, main, index, &error);
            return None;
        }
        if let Err((filter, error)) = start(main, index, cf.log()) {
            let place = match filter {
                Some(filter) => &main.conf.filters[filter].place,
                None => &module.place,
            };
            let name = &module.name;
            cf.error_at(place, format_args!("wasm module \"{name}\" {error}"));
            return None;
        }
    }
    Some(())
}

/// Reports a mistake in a `wasm_module` directive.
fn complain(cf: Cf<'_>, main: &Main, module: usize, error: &str) {
    let module = &main.conf.modules[module];
    let line = format_args!("wasm module \"{}\": {error}", module.name);
    cf.error_at(&module.place, line);
}
