//! What is said of bytes that are no component that can handle requests.

use component_host::{Engine, LoadError, Program, Version};

use crate::common::{handler, sample};

fn error(bytes: &[u8]) -> LoadError {
    let engine = Engine::new().unwrap();
    let Err(error) = Program::compile(&engine, bytes) else {
        panic!("it loads");
    };
    error
}

#[test]
fn samples_tell_what_they_are() {
    let engine = Engine::new().unwrap();
    let p2 = Program::compile(&engine, &sample("component_hello")).unwrap();
    assert_eq!(p2.version(), Some(Version::P2));
    assert!(
        p2.imports()
            .iter()
            .any(|import| import.starts_with("wasi:http/types@0.2."))
    );
    let p3 = Program::compile(&engine, &sample("component_hello_p3")).unwrap();
    assert_eq!(p3.version(), Some(Version::P3));
    assert!(
        p3.exports()
            .iter()
            .any(|export| export.starts_with("wasi:http/handler@0.3."))
    );
    assert!(Program::is_component(b"(component)"));
    assert!(!Program::is_component(b"(module)"));
    assert!(!Program::is_component(b"nonsense"));
}

#[test]
fn what_is_no_component() {
    assert_eq!(error(b"nonsense").to_string(), "not a WebAssembly module");
    assert_eq!(
        error(b"(module)").to_string(),
        "a WebAssembly module, not a component"
    );
    let old = br#"(module (@custom "component-type:bindings" "x"))"#;
    let old = wat::parse_bytes(old).unwrap();
    let text = error(&old).to_string();
    assert!(text.contains("wasm-tools component new"), "{text}");
}

#[test]
fn what_handles_no_requests() {
    let text = error(b"(component)").to_string();
    assert!(text.contains("wasi:http/incoming-handler@0.2"), "{text}");
    let text = error(br#"(component (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#);
    assert!(
        text.to_string().contains("it exports wasi:cli/run@0.2.0"),
        "{text}"
    );
}

#[test]
fn imports_are_named_with_their_versions() {
    let import =
        |name: &str| error(handler(&format!(r#"(import "{name}" (instance))"#), "").as_bytes());
    let text = import("wasi:clocks/wall-clock@0.9.0").to_string();
    assert_eq!(
        text,
        "the component imports \"wasi:clocks/wall-clock@0.9.0\", of which there is version 0.2.12"
    );
    let text = import("wasi:cli/exit@1.0.0").to_string();
    assert!(
        text.ends_with("of which there is version 0.2.12 and 0.3.0"),
        "{text}"
    );
    let text = import("my:own/thing").to_string();
    assert!(
        text.ends_with("\"my:own/thing\", which is not offered"),
        "{text}"
    );
    let text = import("wasi:http/handler@0.3.0").to_string();
    assert!(text.contains("middleware"), "{text}");
}

#[test]
fn imports_of_other_types_do_not_fit() {
    let import = r#"(import "wasi:random/random@0.2.0" (instance
        (export "get-random-u64" (func (result u32)))))"#;
    let text = error(handler(import, "").as_bytes()).to_string();
    assert!(text.contains("do not fit"), "{text}");
    assert!(text.contains("get-random-u64"), "{text}");
}

#[test]
fn bytes_are_compiled_once() {
    let engine = Engine::new().unwrap();
    let wat = handler("", "(nop)");
    let one = Program::compile(&engine, wat.as_bytes()).unwrap();
    let other = Program::compile(&engine, wat.as_bytes()).unwrap();
    assert_eq!(one.id(), other.id());
}
