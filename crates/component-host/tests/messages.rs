//! Messages of Redis channels, for guests of both interfaces.

use std::rc::Rc;
use std::time::Duration;

use component_host::{Ended, Engine, Failure, Handler, Output, Pool, Program, Runtime, Settings};

use crate::common::{Mock, run, sample};

/// The guests of Spin's SDKs 7 and 5.
const TAKERS: [&str; 2] = ["component_messages", "component_messages_p2"];

/// Has a guest take messages, and gives what came of each, with the lines of its output.
fn take(name: &str, messages: &[&str], reuse: u32) -> Vec<(Result<(), Failure>, String)> {
    let engine = Engine::new().unwrap();
    let program = Program::compile(&engine, &sample(name)).unwrap();
    assert_eq!(program.version(), None, "{name}");
    assert!(program.takes_messages(), "{name}");
    let mut settings = Settings {
        reuse,
        ..Settings::default()
    };
    settings.limits.cpu_time = Duration::from_millis(100);
    let _ticker = engine.start_ticker(settings.limits.cpu_time).unwrap();
    let runtime = Runtime::new(&engine, &Pool::default()).unwrap();
    assert!(runtime.handler(&program, settings.clone()).is_err());
    let handler: Handler = runtime.receiver(&program, settings).unwrap();
    let mock = Mock::default();
    let mut idle = None;
    let each = messages.iter().map(|message| {
        let (message, platform) = (message.as_bytes().to_vec(), Rc::new(mock.clone()));
        let call = match idle.take() {
            None => handler.take_message(message, platform),
            Some(instance) => {
                let instance: component_host::Instance = instance;
                instance.take_message(message, platform)
            }
        };
        let Ended { outcome, instance } = run(call);
        idle = instance;
        let lines = mock.lines().into_iter();
        let said = lines.filter(|(output, _)| *output == Output::Stdout);
        (outcome, said.map(|(_, line)| line).collect())
    });
    each.collect()
}

#[test]
fn each_message_is_a_call() {
    for name in TAKERS {
        for reuse in [1, 10] {
            let came = take(name, &["say one", "say two", "say three"], reuse);
            let said: Vec<_> = came.iter().map(|(_, said)| said.as_str()).collect();
            assert_eq!(said, ["one", "two", "three"], "{name}");
            assert!(came.iter().all(|(outcome, _)| outcome.is_ok()), "{name}");
        }
    }
}

#[test]
fn what_a_guest_fails_of_is_told() {
    for name in TAKERS {
        let came = take(name, &["fail as asked", "trap", "say still"], 10);
        let told = match name {
            "component_messages" => "as asked",
            // The older interface has no text.
            _ => "error",
        };
        assert_eq!(came[0].0, Err(Failure::Message(told.to_owned())), "{name}");
        assert!(matches!(came[1].0, Err(Failure::Trapped(_))), "{name}");
        assert_eq!(came[2], (Ok(()), "still".to_owned()), "{name}");
    }
    let came = take("component_messages", &["spin"], 1);
    assert!(matches!(came[0].0, Err(Failure::OutOfTime(_))));
}
