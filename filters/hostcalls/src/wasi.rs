//! Checks of WASI's clocks and random numbers, called without the standard
//! library, which panics where a call fails.

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
    fn random_get(buffer: *mut u8, len: usize) -> u32;
}

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;
/// 2024-01-01, in nanoseconds since 1970: no machine's clock is before it.
const PAST: u64 = 1_704_067_200_000_000_000;

/// `time realtime ok, monotonic ok, host ok, random ok`, with the reason in
/// place of each ok that is not so.
pub fn clocks_and_random() -> String {
    let realtime = clock(REALTIME).and_then(|time| {
        if time > PAST {
            Ok(time)
        } else {
            Err(format!("is {time}"))
        }
    });
    let monotonic = clock(MONOTONIC).and_then(|first| {
        let second = clock(MONOTONIC)?;
        if second >= first {
            Ok(())
        } else {
            Err("runs backwards".into())
        }
    });
    let host = match (crate::abi::get_current_time(), &realtime) {
        (Err(status), _) => Err(format!("status {status}")),
        // A second apart at most: the two are read at nearly the same time.
        (Ok(host), Ok(wasi)) if host.abs_diff(*wasi) > 1_000_000_000 => {
            Err(format!("is {host}, WASI's {wasi}"))
        }
        (Ok(_), _) => Ok(()),
    };
    let random = random().and_then(|first| {
        if first == random()? {
            Err("repeats itself".into())
        } else {
            Ok(())
        }
    });
    format!(
        "time realtime {}, monotonic {}, host {}, random {}",
        show(realtime.map(|_| ())),
        show(monotonic),
        show(host),
        show(random)
    )
}

fn show(result: Result<(), String>) -> String {
    result.err().unwrap_or_else(|| "ok".into())
}

fn clock(id: u32) -> Result<u64, String> {
    let mut time = 0;
    // SAFETY: the host writes 8 bytes to our own variable.
    match unsafe { clock_time_get(id, 1, &mut time) } {
        0 => Ok(time),
        errno => Err(format!("errno {errno}")),
    }
}

fn random() -> Result<[u8; 16], String> {
    let mut bytes = [0; 16];
    // SAFETY: the host writes that many bytes to our own variable.
    match unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) } {
        0 => Ok(bytes),
        errno => Err(format!("errno {errno}")),
    }
}
