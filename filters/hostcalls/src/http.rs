//! Operations on header maps, buffers and properties.

use crate::abi::{self, Status};
use crate::bytes::{pairs_of, serialized};
use crate::op::{BUFFERS, MAPS, Op, Path};
use crate::pairs;
use crate::run::{Callback, check, info, name};
use crate::text::Escaped;

pub fn run(op: &Op, callback: &Callback) {
    match op {
        Op::AddHeader(map, key, value) => {
            let key = key.of(callback);
            check(
                abi::add_map_value(*map, &key, &value.of(callback)),
                format_args!("add_header {} {}", name(&MAPS, *map), Escaped(&key)),
            );
        }
        Op::SetHeader(map, key, value) => {
            set_header(*map, &key.of(callback), &value.of(callback));
        }
        Op::RemoveHeader(map, key) => {
            let key = key.of(callback);
            check(
                abi::remove_map_value(*map, &key),
                format_args!("remove_header {} {}", name(&MAPS, *map), Escaped(&key)),
            );
        }
        Op::SetHeaders(map, pairs) => check(
            abi::set_map(*map, &pairs::serialize(&pairs_of(pairs, callback))),
            format_args!("set_headers {}", name(&MAPS, *map)),
        ),
        Op::LogHeader(map, key) => {
            let key = key.of(callback);
            let (map_name, key_shown) = (name(&MAPS, *map), Escaped(&key));
            match abi::get_map_value(*map, &key) {
                Ok(value) => info(format_args!("{map_name} {key_shown}={}", Escaped(&value))),
                Err(status) => info(format_args!("{map_name} {key_shown}: status {status}")),
            }
        }
        Op::LogHeaders(map) => {
            let shown = name(&MAPS, *map);
            log_pairs(&shown, abi::get_map(*map), &shown);
        }
        Op::LogHeadersSize(map) => {
            let map_name = name(&MAPS, *map);
            match abi::get_map_size(*map) {
                Ok(size) => info(format_args!("{map_name} size {size}")),
                Err(status) => info(format_args!("{map_name} size: status {status}")),
            }
        }
        Op::CopyHeader(from, key, to, new_key) => {
            let key = key.of(callback);
            match abi::get_map_value(*from, &key) {
                Ok(value) => set_header(*to, &new_key.of(callback), &value),
                Err(status) => check(
                    status,
                    format_args!("copy_header {} {}", name(&MAPS, *from), Escaped(&key)),
                ),
            }
        }
        Op::PropertyToHeader(path, map, key) => match abi::get_property(&path.joined) {
            Ok(value) => set_header(*map, &key.of(callback), &value),
            Err(status) => check(status, format_args!("property {}", path.shown)),
        },
        Op::BodyToHeader(buffer, map, key) => match abi::get_buffer(*buffer, 0, u32::MAX) {
            Ok(value) => set_header(*map, &key.of(callback), &value),
            Err(status) => check(status, format_args!("body {}", name(&BUFFERS, *buffer))),
        },
        Op::LocalResponse(code, headers, body, grpc_status) => check(
            abi::send_local_response(
                *code,
                &serialized(headers, callback),
                &body.of(callback),
                *grpc_status,
            ),
            format_args!("local_response {code}"),
        ),
        Op::SetBody(buffer, start, len, data) => check(
            abi::set_buffer(*buffer, *start, *len, &data.of(callback)),
            format_args!("set_body {} {start} {len}", name(&BUFFERS, *buffer)),
        ),
        Op::RepeatBody(buffer, data, times) => check(
            abi::set_buffer(
                *buffer,
                0,
                u32::MAX,
                &data.of(callback).repeat(*times as usize),
            ),
            format_args!("repeat_body {}", name(&BUFFERS, *buffer)),
        ),
        Op::LogBody(buffer, start, len) => {
            let shown = name(&BUFFERS, *buffer);
            match abi::get_buffer(*buffer, *start, *len) {
                Ok(data) => info(format_args!(
                    "body {shown} {start} {len} = {}",
                    Escaped(&data)
                )),
                Err(status) => info(format_args!("body {shown} {start} {len}: status {status}")),
            }
        }
        Op::LogBodyLength(buffer, start, len) => {
            let shown = name(&BUFFERS, *buffer);
            match abi::get_buffer(*buffer, *start, *len) {
                Ok(data) => info(format_args!(
                    "body {shown} {start} {len}: {} bytes",
                    data.len()
                )),
                Err(status) => info(format_args!("body {shown} {start} {len}: status {status}")),
            }
        }
        Op::LogBodyStatus(buffer) => {
            let shown = name(&BUFFERS, *buffer);
            match abi::get_buffer_status(*buffer) {
                Ok((len, flags)) => {
                    info(format_args!(
                        "body_status {shown}: {len} bytes, flags {flags}"
                    ));
                }
                Err(status) => info(format_args!("body_status {shown}: status {status}")),
            }
        }
        Op::GetProperty(path) => property(path, |value| Escaped(value).to_string()),
        Op::GetPropertyU64(path) => property(path, |value| match value.try_into() {
            Ok(bytes) => u64::from_le_bytes(bytes).to_string(),
            Err(_) => format!("{} bytes, not 8", value.len()),
        }),
        Op::GetPropertyMap(path) => {
            let shown = format!("property {}", path.shown);
            log_pairs(&shown, abi::get_property(&path.joined), &shown);
        }
        Op::SetProperty(path, value) => check(
            abi::set_property(&path.joined, &value.of(callback)),
            format_args!("set_property {}", path.shown),
        ),
        _ => unreachable!("an operation that `run` does"),
    }
}

fn set_header(map: u32, key: &[u8], value: &[u8]) {
    check(
        abi::replace_map_value(map, key, value),
        format_args!("set_header {} {}", name(&MAPS, map), Escaped(key)),
    );
}

fn property(path: &Path, show: impl FnOnce(&[u8]) -> String) {
    match abi::get_property(&path.joined) {
        Ok(value) => info(format_args!("property {} = {}", path.shown, show(&value))),
        Err(status) => info(format_args!("property {}: status {status}", path.shown)),
    }
}

fn log_pairs(shown: &str, serialized: Result<Vec<u8>, Status>, prefix: &str) {
    match serialized.map(|bytes| pairs::deserialize(&bytes)) {
        Ok(Some(pairs)) => {
            info(format_args!("{shown} has {} pairs", pairs.len()));
            for (key, value) in pairs {
                info(format_args!(
                    "{prefix} {}={}",
                    Escaped(&key),
                    Escaped(&value)
                ));
            }
        }
        Ok(None) => info(format_args!("{shown}: malformed map")),
        Err(status) => info(format_args!("{shown}: status {status}")),
    }
}
