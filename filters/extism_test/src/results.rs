//! Ways to end: codes, errors, traps, endless loops; and exports of other types.

use extism_pdk::{Error, FnResult, Memory, WithReturnCode, extism, output, plugin_fn};

/// "code:text": an error.
#[plugin_fn]
pub fn fail(input: String) -> FnResult<()> {
    let (code, text) = input.split_once(':').unwrap_or(("1", &input));
    Err(WithReturnCode::new(
        Error::msg(text.to_string()),
        code.parse()?,
    ))
}

fn set_error(text: &str) {
    if let Ok(memory) = Memory::from_bytes(text) {
        // SAFETY: a call of the host; any number is a valid argument of it.
        unsafe { extism::error_set(memory.offset()) };
    }
}

/// An error, and a code that says that there is none.
#[unsafe(no_mangle)]
pub extern "C" fn error_zero() -> i32 {
    set_error("an error with code 0");
    0
}

/// A code, output, and no error.
#[unsafe(no_mangle)]
pub extern "C" fn code_seven() -> i32 {
    i32::from(output("output of code 7").is_err()) + 7
}

/// Output, and an error.
#[unsafe(no_mangle)]
pub extern "C" fn output_and_error() -> i32 {
    let failed = output("the output").is_err();
    set_error("the error");
    i32::from(failed) + 1
}

/// An error, and then a trap.
#[unsafe(no_mangle)]
pub extern "C" fn error_then_trap() -> i32 {
    set_error("the error before the trap");
    core::arch::wasm32::unreachable()
}

/// The last output counts.
#[unsafe(no_mangle)]
pub extern "C" fn output_twice() -> i32 {
    i32::from(output("first").is_err() || output("second").is_err())
}

#[unsafe(no_mangle)]
pub extern "C" fn output_none() -> i32 {
    0
}

#[plugin_fn]
pub fn panics() -> FnResult<()> {
    panic!("on purpose");
}

#[unsafe(no_mangle)]
pub extern "C" fn traps() -> i32 {
    core::arch::wasm32::unreachable()
}

#[unsafe(no_mangle)]
pub extern "C" fn loops() -> i32 {
    loop {
        core::hint::spin_loop();
    }
}

/// Calls itself until the stack is full.
#[unsafe(no_mangle)]
pub extern "C" fn recurses() -> i32 {
    #[expect(unconditional_recursion, reason = "the stack ends it")]
    fn deeper(depth: u64) -> u64 {
        let here = core::hint::black_box([depth; 64]);
        deeper(depth + 1) + here[(depth % 64) as usize]
    }
    deeper(0) as i32
}

#[unsafe(no_mangle)]
pub extern "C" fn returns_nothing() {
    let _ = output("of nothing");
}

#[unsafe(no_mangle)]
pub extern "C" fn returns_i64() -> i64 {
    let _ = output("of i64");
    1 << 32
}

#[unsafe(no_mangle)]
pub extern "C" fn takes_argument(argument: i32) -> i32 {
    argument
}
