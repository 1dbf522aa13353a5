//! Calls an operation of a guest, and tells what a call takes.
//!
//!     cargo run --release --example wapc_call -- FILE OPERATION MESSAGE [COUNT]

use std::rc::Rc;
use std::time::{Duration, Instant};

use wapc_host::{Engine, LogLevel, Plugin, PluginConfig, Program, Services};

/// A proxy that has nothing but a log.
struct Terminal;

impl Services for Terminal {
    fn log_enabled(&self, level: LogLevel) -> bool {
        level >= self.log_level()
    }

    fn log(&self, level: LogLevel, message: &[u8]) {
        eprintln!("{level:?}: {}", String::from_utf8_lossy(message));
    }

    fn log_level(&self) -> LogLevel {
        LogLevel::Info
    }
}

/// Prints the time of one of so many.
fn measure<R>(what: &str, count: u32, mut run: impl FnMut() -> R) -> Option<R> {
    let started = Instant::now();
    let mut last = None;
    for _ in 0..count {
        last = Some(run());
    }
    let each = started.elapsed() / count.max(1);
    println!("{what}: {:.2} µs", each.as_nanos() as f64 / 1000.0);
    last
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, operation, message, rest @ ..] = &*arguments else {
        return Err("FILE OPERATION MESSAGE [COUNT]".into());
    };
    let count = rest.first().map_or(Ok(1), |count| count.parse())?;
    let engine = Engine::new()?;
    let _ticker = engine.start_ticker(Duration::from_secs(1))?;
    let program = Program::compile_for_snapshots(&engine, &std::fs::read(file)?)?;
    let config = Rc::new(PluginConfig::default());
    let mut plugin = Plugin::start(&engine, &program, Terminal, config)?;
    let snapshot = plugin.snapshot(&engine)?;

    let call = |plugin: &mut Plugin<Terminal>| {
        let response = plugin.call(operation.as_bytes(), message.clone().into_bytes());
        response.map(<[u8]>::len)
    };
    println!(
        "{:?}",
        plugin
            .call(operation.as_bytes(), message.clone().into_bytes())
            .map(String::from_utf8_lossy)
    );
    measure("a call", count, || call(&mut plugin)).transpose()?;
    let mut fresh = snapshot.plugin(Terminal)?;
    measure("a call from the state after the start", count, || {
        let answer = call(&mut fresh);
        if !snapshot.rewind(&mut fresh, Terminal) {
            fresh = snapshot.plugin(Terminal)?;
        }
        answer.map_err(Box::<dyn std::error::Error>::from)
    })
    .transpose()?;
    measure("an instance and a call", count.min(1000), || {
        call(&mut snapshot.plugin(Terminal)?).map_err(Box::<dyn std::error::Error>::from)
    })
    .transpose()?;
    Ok(())
}
