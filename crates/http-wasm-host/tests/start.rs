//! The start of an instance.

use http_wasm_host::{StartError, VmConfig};

use crate::common::{Host, Mock, guest_with, next, try_start};

#[test]
fn start_runs_before_initialize() {
    let starts = r#"
        (func (export "_initialize") (call $short (i32.const 2)))
        (func (export "_start") (call $short (i32.const 1)))"#;
    let mut host = Host::start(&next(starts, "(call $short (i32.const 3))", ""));
    assert_eq!(host.mock.told(), ["#1", "#2"]);
    assert_eq!(host.request(), ["#3"]);
}

#[test]
fn a_start_may_exit_in_good_order() {
    let exits = |code| format!(r#"(func (export "_start") (call $proc_exit (i32.const {code})))"#);
    let mut host = Host::start(&next(&exits(0), "(call $short (i32.const 3))", ""));
    assert_eq!(host.request(), ["#3"]);
    let error = try_start(
        &next(&exits(2), "", ""),
        &Mock::default(),
        VmConfig::default(),
    );
    let error = error.err().unwrap().to_string();
    assert!(error.starts_with("_start trapped: proc_exit(2)"), "{error}");
}

#[test]
fn a_start_section_runs_too() {
    let wat = guest_with(
        "(func $begin (call $short (i32.const 7))) (start $begin)",
        "(i64.const 1)",
        "",
    );
    assert_eq!(Host::start(&wat).mock.told(), ["#7"]);
    let wat = guest_with(
        "(func $begin (unreachable)) (start $begin)",
        "(i64.const 1)",
        "",
    );
    let error = try_start(&wat, &Mock::default(), VmConfig::default()).err();
    assert!(
        matches!(error, Some(StartError::Instantiate(_))),
        "{error:?}"
    );
}

#[test]
fn the_environment_is_the_configuration_s() {
    let sizes = "(drop (call $environ_sizes_get (i32.const 0) (i32.const 4)))
        (call $short (i32.load (i32.const 0))) (call $short (i32.load (i32.const 4)))";
    let start = format!(r#"(func (export "_start") {sizes})"#);
    let config = VmConfig {
        env: vec![(b"NAME".to_vec(), b"value".to_vec())],
        ..VmConfig::default()
    };
    assert_eq!(
        Host::with(&next(&start, "", ""), config).mock.told(),
        ["#1", "#11"]
    );
}
