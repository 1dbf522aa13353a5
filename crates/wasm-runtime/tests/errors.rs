//! What is told about bytes that are no module, in one line.

use wasm_runtime::{Engine, Error};

fn error(bytes: impl AsRef<[u8]>) -> Error {
    let engine = Engine::new().expect("an engine");
    match engine.compile(bytes.as_ref()) {
        Ok(_) => panic!("compiled"),
        Err(error) => {
            let line = error.to_string();
            println!("{line}");
            assert!(!line.contains('\n'), "{line}");
            error
        }
    }
}

#[test]
fn what_is_neither_format_is_no_module() {
    for bytes in [
        &b""[..],
        b"\0",
        b"\x7fELF\x02\x01\x01",
        b"hello",
        b"\xff\xfe(module)",
        b"{\"module\": 1}",
    ] {
        assert_eq!(error(bytes), Error::NotWasm, "{bytes:?}");
    }
    assert_eq!(Error::NotWasm.to_string(), "not a WebAssembly module");
}

#[test]
fn a_component_is_told_from_a_module() {
    assert_eq!(error(b"\0asm\x0d\0\x01\0"), Error::Component);
    assert_eq!(error("(component)"), Error::Component);
}

#[test]
fn mistakes_in_the_text_format_have_a_position() {
    let Error::Text(reason) = error("(module\n  (func (result i33)))") else {
        panic!("not a mistake in the text");
    };
    assert!(reason.ends_with("at 2:17"), "{reason}");
    assert!(matches!(error("(module"), Error::Text(_)));
}

#[test]
fn broken_binaries_are_invalid() {
    for bytes in [
        &b"\0asm"[..],
        b"\0asm\x01\0\0",
        b"\0asm\x02\0\0\0",
        b"\0asm\x01\0\0\0\x01",
        b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\x0f",
        b"\0asm\x01\0\0\0\x63\x01\x00",
    ] {
        assert!(matches!(error(bytes), Error::Invalid(_)), "{bytes:?}");
    }
    let unbalanced = error("(module (func i32.const 1))");
    assert!(matches!(unbalanced, Error::Invalid(_)));
}

#[test]
fn extensions_that_are_off_are_named() {
    for (module, name) in [
        ("(module (memory 1 1 shared))", "shared"),
        ("(module (memory i64 1))", "memory64"),
        ("(module (memory 1) (memory 1))", "memories"),
        ("(module (tag))", "exceptions"),
        ("(module (type (struct)))", "gc"),
        ("(module (type (array i8)))", "gc"),
        ("(module (table 1 externref))", "requires gc"),
        (
            "(module (func (param v128) (result v128)
                local.get 0 i32x4.relaxed_trunc_f32x4_s))",
            "relaxed SIMD",
        ),
        (
            "(module (memory 1) (func (result i32)
                i32.const 0 i32.atomic.load))",
            "threads",
        ),
        (
            "(module (func (param i64 i64 i64 i64) (result i64 i64)
                local.get 0 local.get 1 local.get 2 local.get 3 i64.add128))",
            "wide arithmetic",
        ),
    ] {
        let Error::Feature(reason) = error(module) else {
            panic!("{module}: not told as a feature");
        };
        assert!(reason.contains(name), "{module}: {reason}");
    }
}
