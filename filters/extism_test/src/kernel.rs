//! The kernel's functions at their edges.

use extism_pdk::{Error, FnResult, extism, plugin_fn};

/// An offset that was never given out.
const NONSENSE: u64 = 0x7777_7777;

/// Makes the call that its input names, up to a blank, and answers what that gave. Some end the call in real hosts.
#[plugin_fn]
pub fn kernel(input: String) -> FnResult<String> {
    let name = input.split(' ').next().unwrap_or_default();
    // SAFETY: calls of the host, which takes any number.
    let value = unsafe { call(name, input.len() as u64) };
    let value = value.ok_or_else(|| Error::msg(format!("no call {name:?}")))?;
    Ok(value.to_string())
}

/// What the call answers; 0 where it answers nothing.
unsafe fn call(name: &str, len: u64) -> Option<u64> {
    // SAFETY: the functions of the host take any number, and give numbers only.
    unsafe {
        Some(match name {
            "alloc/0" => extism::alloc(0),
            "alloc/1<<40" => extism::alloc(1 << 40),
            "alloc/max" => extism::alloc(u64::MAX),
            "length/0" => extism::length(0),
            "length/nonsense" => extism::length(NONSENSE),
            "length/max" => extism::length(u64::MAX),
            "length/block" => extism::length(extism::alloc(16)),
            "length/inner" => extism::length(extism::alloc(16) + 1),
            "length/freed" => extism::length(freed()),
            "length_unsafe/block" => extism::length_unsafe(extism::alloc(16)),
            "free/twice" => done(|| extism::free(freed())),
            "free/0" => done(|| extism::free(0)),
            "free/nonsense" => done(|| extism::free(NONSENSE)),
            "free/max" => done(|| extism::free(u64::MAX)),
            "store/block" => stored(),
            "load_u8/0" => extism::load_u8(0).into(),
            "load_u8/max" => extism::load_u8(u64::MAX).into(),
            "load_u64/max" => extism::load_u64(u64::MAX),
            "load_u64/1<<40" => extism::load_u64(1 << 40),
            "store_u8/max" => done(|| extism::store_u8(u64::MAX, 1)),
            "store_u64/max" => done(|| extism::store_u64(u64::MAX - 3, 1)),
            "input_length" => extism::input_length(),
            "input_load_u8/0" => extism::input_load_u8(0).into(),
            "input_load_u8/len" => extism::input_load_u8(len).into(),
            "input_load_u8/max" => extism::input_load_u8(u64::MAX).into(),
            "input_load_u64/0" => extism::input_load_u64(0),
            "input_load_u64/len" => extism::input_load_u64(len),
            "input_load_u64/len-4" => extism::input_load_u64(len.wrapping_sub(4)),
            "input_load_u64/len-8" => extism::input_load_u64(len.wrapping_sub(8)),
            "config_get/0" => extism::config_get(0),
            "config_get/nonsense" => extism::config_get(NONSENSE),
            "var_get/0" => extism::var_get(0),
            "var_get/nonsense" => extism::var_get(NONSENSE),
            "var_set/0" => done(|| extism::var_set(0, 0)),
            "var_set/nonsense" => done(|| extism::var_set(NONSENSE, NONSENSE)),
            "error_set/0" => done(|| extism::error_set(0)),
            "error_set/nonsense" => done(|| extism::error_set(NONSENSE)),
            "output_set/nonsense" => done(|| extism::output_set(NONSENSE, 5)),
            "output_set/max" => done(|| extism::output_set(u64::MAX, u64::MAX)),
            "log_info/0" => done(|| extism::log_info(0)),
            "log_info/nonsense" => done(|| extism::log_info(NONSENSE)),
            "http_request/0" => extism::http_request(0, 0),
            "http_request/nonsense" => extism::http_request(NONSENSE, NONSENSE),
            _ => return None,
        })
    }
}

fn done(call: impl FnOnce()) -> u64 {
    call();
    0
}

fn freed() -> u64 {
    // SAFETY: the functions of the host take any number.
    unsafe {
        let block = extism::alloc(16);
        extism::free(block);
        block
    }
}

/// What was stored bytewise and wordwise, read the other way.
fn stored() -> u64 {
    // SAFETY: the functions of the host take any number.
    unsafe {
        let block = extism::alloc(16);
        extism::store_u64(block, 0x0807_0605_0403_0201);
        (8..16).for_each(|at| extism::store_u8(block + at, 1));
        u64::from(extism::load_u8(block + 2)) + extism::load_u64(block + 8)
    }
}

/// Sets an output of `len` bytes from `skip` on, of a block with these bytes.
fn output(bytes: &[u8; 8], skip: u64, len: u64) -> u64 {
    // SAFETY: the functions of the host take any number.
    unsafe {
        let block = extism::alloc(8);
        extism::store_u64(block, u64::from_le_bytes(*bytes));
        extism::output_set(block + skip, len);
        block
    }
}

/// Output that was freed.
#[unsafe(no_mangle)]
pub extern "C" fn output_freed() -> i32 {
    let block = output(b"freed...", 0, 5);
    // SAFETY: the function of the host takes any number.
    unsafe { extism::free(block) };
    0
}

/// A part of a block.
#[unsafe(no_mangle)]
pub extern "C" fn output_part() -> i32 {
    output(b"12345678", 2, 4);
    0
}

/// More than the block has.
#[unsafe(no_mangle)]
pub extern "C" fn output_beyond() -> i32 {
    output(b"12345678", 0, 1 << 32);
    0
}

/// A wrong output behind a right one.
#[unsafe(no_mangle)]
pub extern "C" fn output_then_wrong() -> i32 {
    output(b"12345678", 0, 8);
    // SAFETY: the function of the host takes any number.
    unsafe { extism::output_set(NONSENSE, u64::MAX) };
    0
}
