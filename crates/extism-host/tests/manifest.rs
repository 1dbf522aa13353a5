//! Manifests: how they are read, and what becomes of them.

use std::path::Path;
use std::time::Duration;

use crate::common::compile;
use base64::Engine as _;
use extism_host::{Engine, Manifest, Program, Source};

const MODULE: &str = r#"(module (func (export "f")))"#;

fn data() -> String {
    base64::engine::general_purpose::STANDARD.encode(MODULE)
}

fn sha256(bytes: &[u8]) -> String {
    wasm_runtime::sha256(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

fn refused(json: &str) -> String {
    Manifest::parse(json.as_bytes()).unwrap_err().to_string()
}

#[test]
fn everything_is_read() {
    let hash = sha256(MODULE.as_bytes());
    let json = format!(
        r#"{{"wasm": [{{"path": "lib/a.wasm", "name": "a"}}, {{"data": "{}", "hash": "{hash}"}}],
            "memory": {{"max_pages": 4, "max_http_response_bytes": 5, "max_var_bytes": 6}},
            "config": {{"key": "value"}}, "allowed_hosts": ["*.test", "[a-c].org"],
            "allowed_paths": {{"/data": "/mnt"}}, "timeout_ms": 1500}}"#,
        data()
    );
    let manifest = Manifest::parse(json.as_bytes()).unwrap();
    let names: Vec<_> = manifest.modules().iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["a", "main"]);
    assert!(
        matches!(&manifest.modules()[0].source, Source::Path(p) if p == Path::new("lib/a.wasm"))
    );
    assert!(matches!(&manifest.modules()[1].source, Source::Data(d) if d == MODULE.as_bytes()));
    assert_eq!(manifest.max_pages, Some(4));
    assert_eq!(manifest.max_http_response_bytes, 5);
    assert_eq!(manifest.max_var_bytes, 6);
    assert_eq!(manifest.config["key"], "value");
    assert!(manifest.allowed_hosts().eq(["*.test", "[a-c].org"]));
    assert_eq!(manifest.timeout, Some(Duration::from_millis(1500)));
    assert_eq!(
        compile(&manifest).err().unwrap().to_string(),
        "\"allowed_paths\" is not supported: guests have no files"
    );
}

#[test]
fn what_is_left_out_is_as_in_the_rust_host() {
    for rest in [
        "",
        r#", "memory": {}, "config": {}, "allowed_hosts": null, "allowed_paths": null, "timeout_ms": null"#,
    ] {
        let json = format!(r#"{{"wasm": [{{"data": "{}"}}]{rest}}}"#, data());
        let manifest = Manifest::parse(json.as_bytes()).unwrap();
        assert_eq!((manifest.max_pages, manifest.timeout), (None, None));
        assert_eq!(manifest.max_http_response_bytes, 50 << 20);
        assert_eq!(manifest.max_var_bytes, 1 << 20);
        assert_eq!(manifest.allowed_hosts().count(), 0);
        assert!(compile(&manifest).is_ok());
    }
}

#[test]
fn what_is_wrong_is_told() {
    let data = data();
    for (json, error) in [
        ("", "not an Extism manifest: EOF"),
        ("7", "not an Extism manifest: invalid type: integer `7`"),
        ("{}", "the manifest names no module"),
        (
            r#"{"wasm": [], "more": 1}"#,
            "not an Extism manifest: unknown field `more`",
        ),
        (
            r#"{"wasm": [{"path": "a", "more": 1}]}"#,
            "not an Extism manifest: unknown field `more`",
        ),
        (
            r#"{"wasm": [{"path": "a"}], "memory": {"max": 1}}"#,
            "not an Extism manifest: unknown field `max`",
        ),
        (
            r#"{"wasm": [{"path": "a"}], "timeout_ms": "5"}"#,
            "not an Extism manifest: invalid type: string \"5\"",
        ),
        (
            r#"{"wasm": [{"path": "a"}], "config": {"a": 1}}"#,
            "not an Extism manifest: invalid type: integer `1`",
        ),
        (
            r#"{"wasm": [{"path": "a"}], "config": {"a": null}}"#,
            "not an Extism manifest: invalid type: null",
        ),
        (
            r#"{"wasm": [{}]}"#,
            "module 1 has neither \"path\" nor \"data\"",
        ),
        (
            r#"{"wasm": [{"path": "a"}, {"path": "b", "data": ""}]}"#,
            "module 2 has both \"path\" and \"data\"",
        ),
        (
            r#"{"wasm": [{"url": "https://a.test/x.wasm", "method": "GET", "headers": {}}]}"#,
            "module 1 has \"url\": modules are not fetched; save it to a file, and give its \"path\"",
        ),
        (
            r#"{"wasm": [{"data": "?"}]}"#,
            "\"data\" of module 1 is not base64: Invalid symbol 63",
        ),
        (
            r#"{"wasm": [{"data": {"ptr": 1, "len": 2}}]}"#,
            "not an Extism manifest: invalid type: map",
        ),
        (
            r#"{"wasm": [{"path": "a", "hash": "ABC"}]}"#,
            "\"hash\" of module 1 is not a SHA-256 in lower-case hexadecimal",
        ),
        (
            r#"{"wasm": [{"path": "a", "name": "x"}, {"path": "b", "name": "x"}, {"path": "c"}]}"#,
            "there are two modules of the name x",
        ),
        (
            r#"{"wasm": [{"path": "a"}, {"path": "b"}]}"#,
            "there are two modules of the name main",
        ),
        (
            r#"{"wasm": [{"path": "a"}], "allowed_hosts": ["a**b"]}"#,
            "\"allowed_hosts\": a**b is no pattern: recursive wildcards",
        ),
        (
            r#"{"wasm": [{"path": "a"}], "allowed_hosts": ["[a"]}"#,
            "\"allowed_hosts\": [a is no pattern: invalid range pattern",
        ),
        (
            "{\"wasm\": [{\"data\": \"",
            "not an Extism manifest: EOF while parsing a string",
        ),
    ] {
        let found = refused(json);
        assert!(found.starts_with(error), "{json}: {found}");
        assert_eq!(found.lines().count(), 1);
    }
    assert_eq!(data.len() % 4, 0);
}

#[test]
fn hashes_are_checked() {
    let json = |hash: &str| {
        format!(
            r#"{{"wasm": [{{"data": "{}", "hash": "{hash}"}}]}}"#,
            data()
        )
    };
    let manifest = Manifest::parse(json(&sha256(MODULE.as_bytes())).as_bytes()).unwrap();
    assert!(compile(&manifest).is_ok());
    let other = sha256(b"other");
    let manifest = Manifest::parse(json(&other).as_bytes()).unwrap();
    let expected = format!(
        "its SHA-256 is {}, and not {other} as the manifest says",
        sha256(MODULE.as_bytes())
    );
    assert_eq!(compile(&manifest).err().unwrap().to_string(), expected);
}

#[test]
fn files_are_read_by_the_embedder() {
    let manifest = Manifest::parse(br#"{"wasm": [{"path": "../a.wasm"}]}"#).unwrap();
    let engine = Engine::new().unwrap();
    let mut asked = Vec::new();
    let program = Program::compile(&engine, &manifest, false, |path| {
        asked.push(path.to_owned());
        Ok(MODULE.into())
    });
    assert!(program.is_ok());
    assert_eq!(asked, [Path::new("../a.wasm")]);
    let gone = |_: &Path| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    let error = Program::compile(&engine, &manifest, false, gone)
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "../a.wasm: entity not found");
}
