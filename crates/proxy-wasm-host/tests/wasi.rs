//! WASI preview 1, under both of its names.

use crate::common::imports::{WASI, WASI_MODULES, import};
use crate::common::{Guest, Host, MockStream, statuses};
use proxy_wasm_host::LogLevel;

const BADF: i32 = 8;
const FAULT: i32 = 21;
const INVAL: i32 = 28;
const NOENT: i32 = 44;
const NOSYS: i32 = 52;
const NOTSUP: i32 = 58;

/// Runs `body` with the functions of both modules, and returns what it says.
fn run(body: &str) -> Vec<String> {
    let mut said = Vec::new();
    for module in WASI_MODULES {
        let guest = Guest::new().request_headers(body).wat();
        let guest = guest.replace(WASI_MODULES[0], module);
        let mut host = Host::start(&guest);
        let id = host.stream(&MockStream::default());
        host.vm.on_request_headers(id, 0, true).unwrap();
        said.push(host.logs());
    }
    if !body.contains("clock_time_get") {
        assert_eq!(said[0], said[1]);
    }
    said.swap_remove(0)
}

/// The errno of a call.
fn errno(call: &str) -> i32 {
    let said = run(&format!(
        "(call $say_number (i64.extend_i32_u (call ${call})))"
    ));
    said.last().unwrap().parse().unwrap()
}

#[test]
fn what_is_not_there_answers_with_an_errno() {
    let expected = |name: &str| match name {
        "args_get" | "fd_advise" | "fd_close" | "sched_yield" => 0,
        "fd_read" | "fd_fdstat_set_flags" => NOSYS,
        "path_open" => NOENT,
        name if name.starts_with("path_") || name.starts_with("sock_") => NOTSUP,
        _ => BADF,
    };
    let real = [
        "args_sizes_get",
        "environ_get",
        "environ_sizes_get",
        "clock_res_get",
        "clock_time_get",
        "fd_fdstat_get",
        "fd_seek",
        "fd_write",
        "poll_oneoff",
        "proc_exit",
        "random_get",
    ];
    let mut tested = 0;
    for (name, params, _) in WASI.iter().filter(|(name, ..)| !real.contains(name)) {
        let arguments: String = params
            .chars()
            .map(|c| if c == 'L' { "(i64.const 3)" } else { "#3" })
            .collect();
        assert_eq!(
            errno(&format!("{name} {arguments}")),
            expected(name),
            "{name}"
        );
        tested += 1;
    }
    assert_eq!(tested + real.len(), WASI.len());
    assert_eq!(WASI.len(), 46);
}

/// `iovec`s at 64: the texts.
fn iovecs(texts: &[&str]) -> String {
    let mut body = String::new();
    for (i, text) in texts.iter().enumerate() {
        body += &format!("(call $iovec #{} {text})", 64 + 8 * i);
    }
    body
}

fn write(fd: i32, texts: &[&str]) -> (Vec<u32>, Vec<(bool, LogLevel, String)>) {
    let guest = Guest::new()
        .with(
            "(func $iovec (param $at i32) (param $ptr i32) (param $len i32)
                (i32.store (local.get $at) (local.get $ptr))
                (i32.store (i32.add (local.get $at) #4) (local.get $len)))",
        )
        .request_headers(&format!(
            "{} (i32.store #24 #-1)
             (call $say_number (i64.extend_i32_u (call $fd_write #{fd} #64 #{} #24)))
             (call $say_number_at #24)",
            iovecs(texts),
            texts.len()
        ));
    let mut host = Host::start(&guest.wat());
    let id = host.stream(&MockStream::default());
    host.vm.on_request_headers(id, 0, true).unwrap();
    // A line without an end comes behind the numbers.
    let all = host.proxy.take_entries();
    let is_number = |entry: &(bool, LogLevel, String)| entry.2.parse::<u32>().is_ok();
    let (numbers, entries): (Vec<_>, _) = all.into_iter().partition(is_number);
    let numbers = numbers.iter().map(|e| e.2.parse().unwrap()).collect();
    (numbers, entries)
}

#[test]
fn output_becomes_log_lines() {
    let line = |level, text: &str| vec![(true, level, text.to_owned())];
    assert_eq!(
        write(1, &["{hello\\n}"]),
        (vec![0, 6], line(LogLevel::Info, "hello"))
    );
    assert_eq!(
        write(2, &["{a }", "#0 #0", "{line}", "{\\n}"]),
        (vec![0, 7], line(LogLevel::Error, "a line"))
    );
    let two = ["two", "lines"].map(|text| (true, LogLevel::Info, text.to_owned()));
    assert_eq!(
        write(1, &["{two\\n}", "{lines}"]),
        (vec![0, 9], two.clone().into())
    );
    assert_eq!(
        write(1, &["{\\n}", "{t}", "{wo\\n\\n}", "{lines\\n}"]),
        (vec![0, 12], two.into())
    );
    assert_eq!(write(1, &[]), (vec![0, 0], vec![]));
    assert_eq!(write(1, &["#0 #0"]), (vec![0, 0], vec![]));
}

#[test]
fn output_elsewhere_or_out_of_bounds() {
    let untouched = u32::MAX;
    let of = |errno: i32| (vec![errno as u32, untouched], vec![]);
    assert_eq!(write(0, &["{x}"]), of(BADF));
    assert_eq!(write(3, &["{x}"]), of(BADF));
    assert_eq!(write(-1, &["{x}"]), of(BADF));
    assert_eq!(write(1, &["#65536 #1"]), of(FAULT));
    assert_eq!(write(1, &["{x}", "#1 #-1"]), of(FAULT));
    assert_eq!(errno("fd_write #1 #65533 #1 #24"), FAULT);
    assert_eq!(errno("fd_write #1 #64 #-1 #24"), INVAL);
    assert_eq!(errno("fd_write #1 #64 #1025 #24"), INVAL);
    assert_eq!(errno("fd_write #1 #64 #0 #65533"), FAULT);
}

#[test]
fn a_long_output_is_written_in_part() {
    let (numbers, entries) = write(1, &["#0 #65000", "#0 #65000", "#0 #65000"]);
    assert_eq!(numbers, [0, 65536]);
    assert_eq!(entries.len(), 1);
}

#[test]
fn output_below_the_level_is_only_counted() {
    let guest = Guest::new().request_headers(
        "(i32.store #64 #1000) (i32.store #68 #5)
         (call $note (call $fd_write #1 #64 #1 #24))
         (i32.store #16 #24) (call $note (i32.load #24))",
    );
    let mut host = Host::start(&guest.wat());
    host.proxy.set_level(LogLevel::Warn);
    let id = host.stream(&MockStream::default());
    host.vm.on_request_headers(id, 0, true).unwrap();
    assert_eq!(statuses(host.logs()), (vec![0, 5], vec![]));
}

#[test]
fn the_environment_is_the_configured_one() {
    let said = run("(call $note (call $environ_sizes_get #64 #68))
         (call $say_number_at #64) (call $say_number_at #68)
         (call $note (call $environ_get #72 #200))
         (drop (call $proxy_log #2 #200 #18))
         (drop (call $proxy_log #2 (i32.load #72) #10))
         (drop (call $proxy_log #2 (i32.load #76) #6))
         (call $note (call $args_sizes_get #64 #68))
         (call $say_number (i64.load #64))");
    let (statuses, said) = statuses(said);
    assert_eq!(statuses, [0, 0, 0]);
    assert_eq!(
        said,
        [
            "2",
            "18",
            "NAME=value\0EMPTY=\0",
            "NAME=value",
            "EMPTY=",
            "0"
        ]
    );
    assert_eq!(errno("environ_sizes_get #65533 #64"), FAULT);
    assert_eq!(errno("environ_sizes_get #64 #65533"), FAULT);
    assert_eq!(errno("environ_get #65533 #64"), FAULT);
    assert_eq!(errno("environ_get #65532 #64"), FAULT);
    assert_eq!(errno("environ_get #64 #65530"), FAULT);
    assert_eq!(errno("environ_get #-4 #-1"), FAULT);
    assert_eq!(errno("args_sizes_get #65533 #0"), FAULT);
    assert_eq!(errno("args_sizes_get #0 #65533"), FAULT);
}

#[test]
fn clocks() {
    let said = run("(call $note (call $clock_time_get #0 (i64.const 1) #64))
         (call $note (call $proxy_get_current_time_nanoseconds #72))
         (call $say_number (i64.load #64)) (call $say_number (i64.load #72))
         (call $note (call $clock_time_get #1 (i64.const 1) #64))
         (call $note (call $clock_time_get #1 (i64.const 1) #72))
         (call $say_number (i64.load #64)) (call $say_number (i64.load #72))
         (call $note (call $clock_res_get #0 #64)) (call $say_number (i64.load #64))
         (call $note (call $clock_res_get #1 #64)) (call $say_number (i64.load #64))");
    let (statuses, said) = statuses(said);
    assert_eq!(statuses, [0; 6]);
    let times: Vec<u64> = said.iter().map(|time| time.parse().unwrap()).collect();
    assert!(times[0] <= times[1] && times[1] - times[0] < 1_000_000_000);
    assert!(0 < times[2] && times[2] <= times[3] && times[3] < 60_000_000_000);
    assert_eq!(times[4..], [1, 1]);

    for clock in ["#2", "#3", "#4", "#-1"] {
        assert_eq!(
            errno(&format!("clock_time_get {clock} (i64.const 0) #64")),
            NOTSUP
        );
        assert_eq!(errno(&format!("clock_res_get {clock} #64")), NOTSUP);
    }
    assert_eq!(errno("clock_time_get #0 (i64.const 0) #65529"), FAULT);
    assert_eq!(errno("clock_res_get #1 #65529"), FAULT);
}

#[test]
fn random_bytes() {
    let body = "(call $note (call $random_get #2048 #8))
         (call $note (call $random_get #2056 #8))
         (call $note (call $random_get #2064 #0))
         (call $say_number (i64.load #2048))
         (call $say_number (i64.load #2056))
         (call $say_number (i64.load #2064))";
    let guest = Guest::new().request_headers(body);
    let mut host = Host::start(&guest.wat());
    let id = host.stream(&MockStream::default());
    host.vm.on_request_headers(id, 0, true).unwrap();
    let (statuses, said) = statuses(host.logs());
    assert_eq!(statuses, [0; 3]);
    assert_ne!(said[0], said[1]);
    assert_ne!(said[0], "0");
    assert_eq!(said[2], "0", "nothing was written past the end");

    // All of memory is 64 KiB.
    assert_eq!(errno("random_get #0 #65537"), INVAL);
    assert_eq!(errno("random_get #0 #-1"), INVAL);
    assert_eq!(errno("random_get #1 #65536"), FAULT);
    assert_eq!(errno("random_get #65536 #1"), FAULT);
}

#[test]
fn descriptors() {
    let said = run("(memory.fill #64 #255 #32)
         (call $note (call $fd_fdstat_get #1 #64))
         (call $note (call $fd_fdstat_get #2 #64))
         (call $say_number (i64.load #64)) (call $say_number (i64.load #72))
         (call $say_number (i64.load #80)) (call $say_number (i64.load #88))
         (call $note (call $fd_seek #1 (i64.const 5) #0 #88))
         (call $say_number (i64.load #88))");
    let (statuses, said) = statuses(said);
    assert_eq!(statuses, [0; 3]);
    // The rights: fd_write.
    assert_eq!(said, ["0", "64", "0", "18446744073709551615", "0"]);
    assert_eq!(errno("fd_fdstat_get #0 #64"), BADF);
    assert_eq!(errno("fd_fdstat_get #3 #64"), BADF);
    assert_eq!(errno("fd_fdstat_get #1 #65513"), FAULT);
    assert_eq!(errno("fd_seek #1 (i64.const 0) #0 #65529"), FAULT);
}

#[test]
fn a_poll_has_no_events() {
    let said = run(
        "(i32.store #64 #-1) (call $note (call $poll_oneoff #0 #0 #1 #64))
         (call $say_number_at #64)",
    );
    assert_eq!(said, ["=0", "0"]);
    assert_eq!(errno("poll_oneoff #0 #0 #1 #65533"), FAULT);
}

#[test]
fn proc_exit_traps() {
    for module in WASI_MODULES {
        let guest = Guest::new().request_headers("(call $proc_exit #-1)").wat();
        let guest = guest.replace(WASI_MODULES[0], module);
        let mut host = Host::start(&guest);
        let id = host.stream(&MockStream::default());
        let error = host.vm.on_request_headers(id, 0, true).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("proc_exit(-1)"), "{error}");
        assert!(host.vm.poisoned());
    }
}

#[test]
fn both_names_are_the_same_functions() {
    // Also mixed in one module, as old and new objects linked together are.
    let imports: String = WASI_MODULES
        .iter()
        .map(|module| import(module, &WASI[26], &format!("from_{module}")))
        .collect();
    assert_eq!(WASI[26].0, "fd_write");
    let wat = format!(
        r#"(module {imports} (memory (export "memory") 1)
            (func (export "proxy_abi_version_0_2_0")))"#
    );
    Host::start(&wat);
}
