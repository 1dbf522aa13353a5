//! The kernel's functions at their edges: no call of them traps, and each line of the output is what one answered.

use std::fmt::Write;

use extism_pdk::{FnResult, extism, plugin_fn};

const NONSENSE: u64 = 0x7777_7777;

#[plugin_fn]
pub fn kernel(input: Vec<u8>) -> FnResult<String> {
    let mut out = String::new();
    let mut line = |name: &str, value: u64| {
        let _ = writeln!(out, "{name} = {value}");
    };
    let len = input.len() as u64;
    // SAFETY: calls of the host, which takes any number.
    unsafe {
        line("alloc(0)", extism::alloc(0));
        line("alloc(1 << 40)", extism::alloc(1 << 40));
        line("alloc(u64::MAX)", extism::alloc(u64::MAX));
        line("length(0)", extism::length(0));
        line("length(nonsense)", extism::length(NONSENSE));
        line("length(u64::MAX)", extism::length(u64::MAX));
        let block = extism::alloc(16);
        line("length(block)", extism::length(block));
        line("length_unsafe(block)", extism::length_unsafe(block));
        line("length(block + 1)", extism::length(block + 1));
        extism::store_u64(block, 0x0807_0605_0403_0201);
        line("load_u8(block + 2)", extism::load_u8(block + 2).into());
        line("load_u64(block)", extism::load_u64(block));
        extism::store_u8(block + 15, 9);
        line("load_u8(block + 15)", extism::load_u8(block + 15).into());
        extism::free(block);
        line("length(freed)", extism::length(block));
        extism::free(block);
        extism::free(0);
        extism::free(NONSENSE);
        line("load_u8(u64::MAX)", extism::load_u8(u64::MAX).into());
        line("load_u64(u64::MAX)", extism::load_u64(u64::MAX));
        line("load_u64(1 << 40)", extism::load_u64(1 << 40));
        extism::store_u8(u64::MAX, 1);
        extism::store_u64(u64::MAX - 3, 1);
        line("input_length()", extism::input_length());
        line("input_load_u8(len)", extism::input_load_u8(len).into());
        line("input_load_u64(len)", extism::input_load_u64(len));
        line(
            "input_load_u64(len - 4)",
            extism::input_load_u64(len.wrapping_sub(4)),
        );
        line(
            "input_load_u8(u64::MAX)",
            extism::input_load_u8(u64::MAX).into(),
        );
        line("config_get(0)", extism::config_get(0));
        line("config_get(nonsense)", extism::config_get(NONSENSE));
        line("var_get(0)", extism::var_get(0));
        line("var_get(nonsense)", extism::var_get(NONSENSE));
        extism::error_set(NONSENSE);
        extism::error_set(0);
        extism::output_set(u64::MAX, 5);
        extism::output_set(NONSENSE, u64::MAX);
    }
    Ok(out)
}

/// Output that was freed, and output of a part of a block.
#[unsafe(no_mangle)]
pub extern "C" fn output_freed() -> i32 {
    // SAFETY: calls of the host, which takes any number.
    unsafe {
        let block = extism::alloc(8);
        extism::store_u64(block, u64::from_le_bytes(*b"freed..."));
        extism::output_set(block, 5);
        extism::free(block);
    }
    0
}

#[unsafe(no_mangle)]
pub extern "C" fn output_part() -> i32 {
    // SAFETY: as in `output_freed`: the host takes any number.
    unsafe {
        let block = extism::alloc(8);
        extism::store_u64(block, u64::from_le_bytes(*b"12345678"));
        extism::output_set(block + 2, 4);
    }
    0
}

/// More than the block has.
#[unsafe(no_mangle)]
pub extern "C" fn output_beyond() -> i32 {
    // SAFETY: as in `output_freed`: the host takes any number.
    unsafe {
        let block = extism::alloc(8);
        extism::store_u64(block, u64::from_le_bytes(*b"12345678"));
        extism::output_set(block, 1 << 32);
    }
    0
}
