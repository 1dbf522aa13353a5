//! A mock embedder, and guests written as the bodies of their functions.
#![allow(dead_code, unused_imports, reason = "each test uses some of it")]

pub mod guest;
pub mod mock;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use extism_host::{
    Engine, Failure, Limits, Linked, LoadError, Manifest, Plugin, PluginConfig, Program, Ticker,
};

pub use guest::guest;
pub use mock::Mock;

/// A plugin with what it stands on.
pub struct Host {
    pub plugin: Plugin<Mock>,
    pub mock: Mock,
    pub engine: Engine,
    pub linked: Linked<Mock>,
    _ticker: Ticker,
}

/// What a call came to.
#[derive(Debug, PartialEq)]
pub struct Came {
    pub code: i32,
    pub failure: Option<Failure>,
    pub output: Vec<u8>,
}

pub fn manifest(wat: &str) -> Manifest {
    Manifest::of_module(wat.as_bytes().to_vec())
}

pub fn compile(manifest: &Manifest) -> Result<Program, LoadError> {
    let engine = Engine::new().unwrap();
    Program::compile(&engine, manifest, false, |path| std::fs::read(path))
}

impl Host {
    pub fn new(wat: &str) -> Host {
        Host::of(&manifest(wat), PluginConfig::default())
    }

    pub fn of(manifest: &Manifest, config: PluginConfig) -> Host {
        Host::with(manifest, config, false)
    }

    pub fn with(manifest: &Manifest, config: PluginConfig, snapshots: bool) -> Host {
        let engine = Engine::new().unwrap();
        let Limits {
            cpu_time,
            start_time,
            ..
        } = config.limits;
        let ticker = engine.start_ticker(cpu_time.min(start_time)).unwrap();
        let program = Program::compile(&engine, manifest, snapshots, |path| std::fs::read(path));
        let program = program.unwrap_or_else(|error| panic!("{error}"));
        let linked = Linked::new(&engine, &program, &config).unwrap();
        let mock = Mock::default();
        Host {
            plugin: linked.plugin(mock.clone()),
            mock,
            engine,
            linked,
            _ticker: ticker,
        }
    }

    /// Takes a new instance in place of the one that there is.
    pub fn renew(&mut self) {
        self.plugin = self.linked.plugin(self.mock.clone());
    }

    /// A call whose response is there as soon as it is asked for.
    pub fn call(&mut self, function: &str, input: &[u8]) -> Came {
        call(&mut self.plugin, function, input)
    }

    /// The output of a call that succeeds.
    pub fn output(&mut self, function: &str, input: &[u8]) -> Vec<u8> {
        let came = self.call(function, input);
        assert_eq!(
            (came.code, &came.failure),
            (0, &None),
            "{function}: {came:?}"
        );
        came.output
    }

    /// The same as numbers of 64 bits.
    pub fn numbers(&mut self, function: &str, input: &[u8]) -> Vec<u64> {
        let output = self.output(function, input);
        let (numbers, rest) = output.as_chunks();
        assert!(rest.is_empty());
        numbers.iter().map(|n| u64::from_le_bytes(*n)).collect()
    }

    /// The code and the failure, as text, of a call.
    pub fn failure(&mut self, function: &str) -> (i32, String) {
        self.failure_of(function, b"")
    }

    pub fn failure_of(&mut self, function: &str, input: &[u8]) -> (i32, String) {
        let came = self.call(function, input);
        let failure = came.failure.map(|failure| failure.to_string());
        (came.code, failure.unwrap_or_default())
    }
}

pub fn call(plugin: &mut Plugin<Mock>, function: &str, input: &[u8]) -> Came {
    let function = match plugin.linked().program().function(function) {
        Ok(function) => function,
        Err(failure) => {
            return Came {
                code: -1,
                failure: Some(failure),
                output: Vec::new(),
            };
        }
    };
    let mut outcome = plugin.call_now(function, input);
    Came {
        code: outcome.code(),
        failure: outcome.failure().cloned(),
        output: outcome.output().to_vec(),
    }
}

/// A waker that counts.
#[derive(Default)]
pub struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// An executor of one task, polled by hand.
pub struct Task<'a, R> {
    future: Pin<Box<dyn Future<Output = R> + 'a>>,
    woken: Arc<Woken>,
}

impl<'a, R> Task<'a, R> {
    pub fn new(future: impl Future<Output = R> + 'a) -> Task<'a, R> {
        Task {
            future: Box::pin(future),
            woken: Arc::default(),
        }
    }

    pub fn poll(&mut self) -> Poll<R> {
        let waker = Waker::from(self.woken.clone());
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// How often it was woken.
    pub fn woken(&self) -> usize {
        self.woken.0.load(Ordering::Relaxed)
    }
}
