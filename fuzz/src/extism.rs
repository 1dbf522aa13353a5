//! Any calls of Extism's kernel and host functions, with a book of our own of the blocks that there should be.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::sync::LazyLock;

use extism_host::{
    Engine, Function, HttpRequest, HttpResult, Limits, Linked, LogLevel, Manifest, Plugin,
    PluginConfig, Program, Services,
};

/// Runs its input as a script: records of five bytes, an operation and two arguments, each a register's value and what is added
/// to it. The results go into the last 16 registers, one after the other, and all of them to the output.
const GUEST: &str = include_str!("extism.wat");

/// The first registers.
const CONSTANTS: [u64; 16] = [
    0,
    1,
    8,
    64,
    100,
    1000,
    4096,
    1 << 16,
    1 << 20,
    6 << 20,
    u32::MAX as u64,
    1 << 32,
    1 << 40,
    u64::MAX,
    1 << 63,
    72,
];

/// An embedder that offers nothing.
struct Nothing;

impl guest_host::Services for Nothing {
    fn log_enabled(&self, _level: LogLevel) -> bool {
        true
    }

    fn log(&self, _level: LogLevel, _message: &[u8]) {}

    fn log_level(&self) -> LogLevel {
        LogLevel::Info
    }
}

impl Services for Nothing {
    fn http_request(&self, _request: HttpRequest) -> impl Future<Output = HttpResult> + 'static {
        pending()
    }
}

struct Fixture {
    linked: Linked<Nothing>,
    run: Function,
    look: Function,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let engine = Engine::new().expect("an engine");
    let mut manifest = Manifest::of_module(GUEST.into());
    manifest.config.insert(String::new(), "value".into());
    manifest.max_var_bytes = 1000;
    let program = Program::compile(&engine, &manifest, false, |path| std::fs::read(path));
    let program = program.unwrap_or_else(|error| panic!("{error}"));
    let config = PluginConfig {
        limits: Limits {
            memory: 16 << 20,
            ..Limits::default()
        },
        ..PluginConfig::default()
    };
    let find = |name| program.function(name).expect("a function");
    Fixture {
        linked: Linked::new(&engine, &program, &config).expect("a linked program"),
        run: find("run"),
        look: find("look"),
    }
});

/// Runs any bytes as a script, then looks whether the next call sees anything of it.
pub fn run(bytes: &[u8]) {
    let fixture = &*FIXTURE;
    let mut plugin = fixture.linked.plugin(Nothing);
    let script = &bytes[..bytes.len().min(4096) / 5 * 5];
    let mut outcome = plugin.call_now(fixture.run, script);
    let ended = outcome.code() == 0;
    let results: Vec<u64> = outcome
        .output()
        .chunks_exact(8)
        .map(|number| u64::from_le_bytes(number.try_into().unwrap_or_default()))
        .collect();
    drop(outcome);
    if ended {
        check(script, &results);
        look(&mut plugin, fixture.look);
    } else {
        assert!(plugin.poisoned());
    }
}

fn look(plugin: &mut Plugin<Nothing>, look: Function) {
    let outcome = plugin.call_now(look, &b""[..]);
    assert_eq!(outcome.code(), 0, "{:?}", outcome.failure());
}

/// The blocks that there should be: length by offset.
#[derive(Default)]
struct Book(BTreeMap<u64, u64>);

impl Book {
    fn add(&mut self, offset: u64, length: u64) {
        if offset == 0 {
            return;
        }
        let before = self.0.range(..offset).next_back();
        assert!(before.is_none_or(|(at, length)| at + length <= offset));
        let after = self.0.range(offset..).next();
        assert!(after.is_none_or(|(at, _)| offset + length <= *at));
        self.0.insert(offset, length);
    }
}

/// Follows a script by its results. There are none where there was no memory for them.
fn check(script: &[u8], results: &[u64]) {
    let mut results = results.iter().copied();
    let Some(input) = results.next() else {
        return;
    };
    let mut registers = [CONSTANTS, [0; 16]].concat();
    let mut book = Book::default();
    book.add(input, script.len() as u64);
    for (step, record) in script.chunks_exact(5).enumerate() {
        let value = |register: u8, add: u8| {
            let value = registers[usize::from(register & 31)];
            value.wrapping_add(i64::from(add as i8) as u64)
        };
        let (a, b) = (value(record[1], record[2]), value(record[3], record[4]));
        let Some(result) = results.next() else {
            panic!("no result of step {step}");
        };
        match record[0] % 20 {
            0 => {
                assert!(result == 0 || a != 0 && a < 1 << 32);
                book.add(result, a);
            }
            1 | 16 => drop(book.0.remove(&a)),
            2 => assert_eq!(result, book.0.get(&a).copied().unwrap_or(0)),
            12 => book = Book::default(),
            13 | 14 => {
                book.0.remove(&a);
                // How long a var is, nobody knows here.
                book.add(result, if record[0] % 20 == 13 { 5 } else { 1 });
                if record[0] % 20 == 14 && result != 0 {
                    return;
                }
            }
            15 => {
                book.0.remove(&a);
                book.0.remove(&b);
            }
            _ => {}
        }
        registers[16 + step % 16] = result;
    }
}
