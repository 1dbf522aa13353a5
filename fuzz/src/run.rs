//! Runs a script in a guest on the mock proxy, and looks whether the host kept its promises.

use std::sync::LazyLock;

use proxy_wasm_host::{
    BufferType, CallError, CallId, CallResponse, Capabilities, CapabilityRules, ContextId, Engine,
    GrpcEvent, Limits, MapType, OwnedPairs, PluginConfig, Program, StartError, Vm, VmConfig,
    fuzzing,
};

use crate::common::{MockProxy, MockStream, plugin_config};
use crate::guest::{self, NEXT, RECORDS};
use crate::script::{Event, Script, Step};
use crate::texts::Texts;

struct Fixture {
    engine: Engine,
    programs: Vec<Program>,
    texts: Texts,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let engine = Engine::new().expect("an engine");
    let compile = |abi| {
        let program = Program::compile(&engine, guest::wat(abi).as_bytes());
        program.unwrap_or_else(|error| panic!("{error}"))
    };
    Fixture {
        programs: ["0_1_0", "0_2_0", "0_2_1"].map(compile).into(),
        texts: Texts::new(),
        engine: engine.clone(),
    }
});

/// A guest, and what the host knows of it.
struct Session {
    vm: Vm<MockProxy>,
    proxy: MockProxy,
    streams: Vec<MockStream>,
    contexts: Vec<ContextId>,
    calls: Vec<u32>,
    fickle: bool,
}

/// Runs any bytes as a script.
pub fn run(bytes: &[u8]) {
    let fixture = &*FIXTURE;
    let Some(script) = Script::read(bytes, &fixture.texts) else {
        return;
    };
    let proxy = MockProxy::default();
    proxy.set_detach(script.detach);
    let mut env = vec![];
    let initial = &script.steps[0].records;
    if !initial.is_empty() {
        let letters = initial.iter().flat_map(|b| [b >> 4 | 0x40, b & 15 | 0x40]);
        env.push((b"S".to_vec(), letters.collect()));
    }
    let config = VmConfig {
        vm_id: b"the vm".to_vec(),
        configuration: b"vm configuration\n"[..].into(),
        env,
        capabilities: capabilities(script.restricted),
        limits: Limits {
            memory: 6 << 16,
            ..Limits::default()
        },
    };
    let program = &fixture.programs[script.abi];
    let vm = match Vm::start(&fixture.engine, program, proxy.clone(), config) {
        Ok(vm) => vm,
        Err(error) => return started(Err(error)),
    };
    let mut session = Session {
        vm,
        proxy,
        streams: Vec::new(),
        contexts: Vec::new(),
        calls: Vec::new(),
        fickle: script.fickle,
    };
    for (number, step) in script.steps.iter().enumerate() {
        session.write(Texts::AT, &fixture.texts.bytes);
        session.step(number, step);
    }
    session.end();
}

impl Session {
    fn write(&mut self, at: u32, bytes: &[u8]) {
        let memory = fuzzing::memory(&mut self.vm);
        let place = memory.get_mut(at as usize..).unwrap_or_default();
        let len = bytes.len().min(place.len());
        place[..len].copy_from_slice(&bytes[..len]);
    }

    fn step(&mut self, number: usize, step: &Step) {
        for (at, bytes) in &step.pokes {
            self.write(*at, bytes);
        }
        if number > 0 {
            self.write(NEXT, &[0; 4]);
            self.write(RECORDS, &step.records);
            // What is left of the last step's is not run again.
            let end = RECORDS + step.records.len() as u32;
            self.write(end, &u64::from(guest::END).to_le_bytes());
        }
        self.event(step.event);
        let events = self.proxy.take_events();
        for event in &events {
            let mut words = event.split(' ');
            if let (Some("http" | "grpc"), Some(Ok(id))) =
                (words.next(), words.next().map(str::parse))
            {
                self.calls.push(id);
            }
        }
        for line in self.proxy.take_logs() {
            assert!(line.len() < 8 << 20);
        }
    }

    fn context(&self, which: u8) -> ContextId {
        match self.contexts.len() {
            0 => ContextId::new(which.into()),
            len => self.contexts[usize::from(which) % len],
        }
    }

    fn call(&self, which: u8) -> CallId {
        match self.calls.len() {
            0 => CallId::new(which.into()),
            len => CallId::new(self.calls[usize::from(which) % len]),
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Initialize => {}
            Event::Root => {
                let plugin = match self.contexts.len() {
                    0 => plugin_config(),
                    _ => PluginConfig::default(),
                };
                if let Some(id) = keep(self.vm.create_root(plugin).map_err(started_error)) {
                    self.contexts.push(id);
                }
            }
            Event::Stream(which) => {
                let stream = stream(which, self.fickle);
                let root = self.context(which >> 2);
                // The guest is told of it now, or with its first callback.
                let made = match which & 0x80 {
                    0 => self.vm.create_stream(root, stream.clone()),
                    _ => self.vm.announce_stream(root, stream.clone()),
                };
                if let Some(id) = keep(made) {
                    self.contexts.push(id);
                }
                self.streams.push(stream);
            }
            Event::RequestHeaders(which, end) => {
                let id = self.context(which);
                keep(self.vm.on_request_headers(id, 3, end));
            }
            Event::RequestBody(which, end) => {
                let id = self.context(which);
                keep(self.vm.on_request_body(id, 11, end));
            }
            Event::RequestTrailers(which) => {
                let id = self.context(which);
                keep(self.vm.on_request_trailers(id, 1));
            }
            Event::ResponseHeaders(which, end) => {
                let id = self.context(which);
                keep(self.vm.on_response_headers(id, 2, end));
            }
            Event::ResponseBody(which, end) => {
                let id = self.context(which);
                keep(self.vm.on_response_body(id, 4, end));
            }
            Event::ResponseTrailers(which) => {
                let id = self.context(which);
                keep(self.vm.on_response_trailers(id, 1));
            }
            Event::Tick(which) => {
                let id = self.context(which);
                keep(self.vm.on_tick(id));
            }
            Event::Queue(which, queue) => {
                let id = self.context(which);
                keep(self.vm.on_queue_ready(id, queue.into()));
            }
            Event::HttpResponse(which, what) => {
                let id = self.call(which);
                keep(self.vm.on_http_call_response(id, response(what)));
            }
            Event::Grpc(which, what) => {
                let id = self.call(which);
                keep(self.vm.on_grpc(id, grpc(what)));
            }
            Event::Foreign(which, what) => {
                let id = self.context(which);
                let arguments = vec![what; usize::from(what)];
                keep(self.vm.on_foreign_function(id, what.into(), &arguments));
            }
            Event::Finish(which, log) => {
                let id = self.context(which);
                keep(self.vm.finish(id, log));
            }
            Event::Shutdown => self.vm.shutdown(),
        }
    }

    /// Ends everything: no handle of a stream may stay behind.
    fn end(mut self) {
        for id in self.contexts.clone() {
            keep(self.vm.finish(id, true));
        }
        self.vm.shutdown();
        assert!(self.vm.context_count() <= self.streams.len());
        drop(self.vm);
        for stream in &self.streams {
            assert_eq!(stream.handles(), 1, "a handle of a stream is left");
        }
    }
}

/// All, or only some.
fn capabilities(restricted: bool) -> Capabilities {
    let mut rules = CapabilityRules::default();
    if restricted {
        rules.deny(b"all").expect("a rule");
        let allowed = b"http_call(service.of.it),metrics,clock";
        rules.allow(allowed).expect("a rule");
    }
    rules.capabilities().expect("rules")
}

fn stream(which: u8, fickle: bool) -> MockStream {
    let mut stream = MockStream::default().named("stream");
    if which & 1 == 0 {
        stream = stream
            .map(
                MapType::RequestHeaders,
                &[(":method", "GET"), (":path", "/"), ("x-name", "value")],
            )
            .map(
                MapType::ResponseHeaders,
                &[(":status", "200"), ("x-name", "")],
            )
            .map(MapType::RequestTrailers, &[("t", "1")])
            .map(MapType::ResponseTrailers, &[])
            .buffer(BufferType::RequestBody, b"the request")
            .buffer(BufferType::ResponseBody, b"body")
            .with_property("request.path", b"/");
    }
    match fickle {
        true => stream.fickle(),
        false => stream,
    }
}

fn pairs(count: u8) -> OwnedPairs {
    (0..count)
        .map(|i| (format!("name-{i}").into_bytes(), vec![i; i.into()]))
        .collect()
}

fn response(what: u8) -> CallResponse {
    match what {
        0 => CallResponse {
            error: "refused".into(),
            ..CallResponse::default()
        },
        _ => CallResponse {
            headers: pairs(what % 8),
            body: vec![what; what.into()],
            trailers: pairs(what >> 5),
            error: String::new(),
        },
    }
}

fn grpc(what: u8) -> GrpcEvent {
    match what % 4 {
        0 => GrpcEvent::InitialMetadata(pairs(what >> 5)),
        1 => GrpcEvent::Message(vec![what; what.into()]),
        2 => GrpcEvent::TrailingMetadata(pairs(what >> 5)),
        _ => GrpcEvent::Close {
            status: u32::from(what >> 2),
            message: vec![what; usize::from(what >> 4)],
        },
    }
}

/// The result; that of a failed call is looked at.
fn keep<T>(result: Result<T, CallError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            check(&error);
            None
        }
    }
}

/// Only what the guest does by itself may end it: no host call traps, whatever its arguments.
fn check(error: &CallError) {
    if let CallError::Trap { reason, .. } = error {
        let own = ["unreachable", "proc_exit", "abort"];
        assert!(own.iter().any(|own| reason.contains(own)), "{error}");
    }
    one_line(&error.to_string());
}

fn started(result: Result<(), StartError>) {
    if let Err(error) = result {
        check(&started_error(error));
    }
}

fn started_error(error: StartError) -> CallError {
    match error {
        StartError::Call(error) => error,
        error => {
            one_line(&error.to_string());
            CallError::UnknownContext
        }
    }
}

/// Errors become one line of nginx's log.
pub fn one_line(message: &str) {
    assert!(!message.contains(['\n', '\r', '\0']), "{message:?}");
}
