//! What the compilers of the SDKs emit by default.

use wasm_runtime::Engine;

#[test]
fn default_features_of_the_toolchains_compile() {
    let engine = Engine::new().unwrap();
    for (name, module) in [
        (
            "bulk memory",
            "(module (memory 1) (func i32.const 0 i32.const 1 i32.const 2 memory.copy))",
        ),
        (
            "sign extension",
            "(module (func (param i32) (result i32) local.get 0 i32.extend8_s))",
        ),
        (
            "mutable globals",
            r#"(module (global (export "g") (mut i32) (i32.const 0)))"#,
        ),
        (
            "multi-value",
            "(module (func (result i32 i32) i32.const 1 i32.const 2))",
        ),
        (
            "reference types",
            "(module (table 1 funcref) (table 1 funcref) (type $t (func))
                (func i32.const 0 call_indirect 1 (type $t)))",
        ),
        (
            "SIMD",
            "(module (func (param v128) (result v128) local.get 0 i8x16.popcnt))",
        ),
        (
            "saturating conversions",
            "(module (func (param f64) (result i32) local.get 0 i32.trunc_sat_f64_u))",
        ),
        (
            "extended constants",
            "(module (global i32 (i32.add (i32.const 1) (i32.const 2))))",
        ),
        ("tail calls", "(module (func $f return_call $f))"),
    ] {
        if let Err(error) = engine.compile(module.as_bytes()) {
            panic!("{name}: {error}");
        }
    }
}
