//! Compiled code in files: what counts, and what does not.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use wasm_runtime::wasmtime::{Instance, Store};
use wasm_runtime::{CompileCounts, Engine, compile_counts};

/// What is counted is counted for the whole process.
static ONE: Mutex<()> = Mutex::new(());

/// A directory that goes with its test.
struct Directory {
    path: PathBuf,
    _one: MutexGuard<'static, ()>,
}

impl Directory {
    fn new(name: &str) -> Directory {
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cache-{name}"));
        let _ = fs::remove_dir_all(&path);
        Directory { path, _one }
    }

    /// An engine that uses it, as of a process that starts.
    fn engine(&self) -> Engine {
        let engine = Engine::new().unwrap();
        engine.use_cache(&self.path).unwrap();
        engine
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).unwrap();
        let mut names: Vec<_> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The one file that there is.
    fn entry(&self) -> PathBuf {
        let names = self.names();
        assert_eq!(names.len(), 1, "{names:?}");
        self.path.join(&names[0])
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A module whose `get` tells this number.
fn module(number: i32) -> String {
    format!(r#"(module (func (export "get") (result i32) i32.const {number}))"#)
}

#[derive(Debug, PartialEq)]
enum From {
    Cache,
    Compiler,
}

/// Compiles and runs, with an engine of its own; where the code came from, and what was told.
fn run(directory: &Directory, number: i32) -> (From, Vec<String>) {
    let engine = directory.engine();
    let before = compile_counts();
    let artifact = engine.compile(module(number).as_bytes()).unwrap();
    let after = compile_counts();
    let loaded = engine.load(&artifact).unwrap();
    let mut store = Store::new(engine.wasmtime(), ());
    // No clock runs here.
    store.set_epoch_deadline(1);
    let instance = Instance::new(&mut store, &loaded, &[]).unwrap();
    let get = instance
        .get_typed_func::<(), i32>(&mut store, "get")
        .unwrap();
    assert_eq!(get.call(&mut store, ()).unwrap(), number);
    let from = match (after.hits - before.hits, after.misses - before.misses) {
        (1, 0) => From::Cache,
        (0, 1) => From::Compiler,
        _ => panic!("{before:?} {after:?}"),
    };
    (from, engine.take_cache_warnings())
}

/// A file that was changed is compiled again, with this reason, and replaced by the right one.
fn is_replaced(directory: &Directory, number: i32, reason: &str) {
    let (from, warnings) = run(directory, number);
    let file = directory.entry();
    assert_eq!(from, From::Compiler, "{reason}");
    assert_eq!(
        warnings,
        [format!("\"{}\" {reason}: compiled again", file.display())]
    );
    assert_eq!(run(directory, number), (From::Cache, vec![]), "{reason}");
}

#[test]
fn the_next_process_does_not_compile() {
    let directory = Directory::new("next");
    assert_eq!(run(&directory, 1), (From::Compiler, vec![]));
    assert_eq!(run(&directory, 1), (From::Cache, vec![]));
    assert_eq!(run(&directory, 2), (From::Compiler, vec![]));
    assert_eq!(run(&directory, 1), (From::Cache, vec![]));
    assert_eq!(run(&directory, 2), (From::Cache, vec![]));
    assert_eq!(directory.names().len(), 2);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&directory.path), 0o700);
    for name in directory.names() {
        assert_eq!(mode(&directory.path.join(name)), 0o600);
    }
}

#[test]
fn an_artifact_that_lives_comes_before_the_cache() {
    let directory = Directory::new("live");
    let engine = directory.engine();
    let live = engine.compile(module(1).as_bytes()).unwrap();
    fs::remove_file(directory.entry()).unwrap();
    let CompileCounts { hits, misses } = compile_counts();
    engine.compile(module(1).as_bytes()).unwrap();
    assert_eq!(
        compile_counts(),
        CompileCounts {
            hits: hits + 1,
            misses
        }
    );
    drop(live);
}

#[test]
fn what_lives_stays_in_the_cache_or_comes_into_it() {
    let directory = Directory::new("keep");
    let engine = directory.engine();
    let artifact = engine.compile(module(3).as_bytes()).unwrap();
    let entry = directory.entry();
    let written = fs::read(&entry).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(86_400 * 29);
    File::open(&entry).unwrap().set_modified(long_ago).unwrap();
    // As of a reload: the artifact is there, and its file is used.
    engine.compile(module(3).as_bytes()).unwrap();
    assert!(fs::metadata(&entry).unwrap().modified().unwrap() > long_ago);
    fs::remove_file(&entry).unwrap();
    engine.compile(module(3).as_bytes()).unwrap();
    assert_eq!(fs::read(&entry).unwrap(), written);
    drop(artifact);
    assert_eq!(run(&directory, 3), (From::Cache, Vec::new()));
}

#[test]
fn what_does_not_compile_leaves_nothing() {
    let directory = Directory::new("broken");
    let engine = directory.engine();
    assert!(engine.compile(b"(module (func i32.add))").is_err());
    assert!(engine.compile(b"\0asm\x01\0\0\0\xff").is_err());
    assert!(directory.names().is_empty());
}

#[test]
fn modules_for_snapshots_are_kept_apart() {
    let directory = Directory::new("snapshots");
    let bytes = r#"(module (memory (export "memory") 1) (data (i32.const 0) "x") (global (mut i32) (i32.const 1)))"#;
    for (hits, misses) in [(0, 2), (2, 0)] {
        let before = compile_counts();
        let engine = directory.engine();
        engine.compile(bytes.as_bytes()).unwrap();
        engine.compile_for_snapshots(bytes.as_bytes()).unwrap();
        let after = compile_counts();
        assert_eq!(
            (after.hits - before.hits, after.misses - before.misses),
            (hits, misses)
        );
    }
    assert_eq!(directory.names().len(), 2);
}

#[test]
fn damage_anywhere_is_seen() {
    let directory = Directory::new("damage");
    run(&directory, 1);
    let file = directory.entry();
    let good = fs::read(&file).unwrap();
    let header = 112;
    assert!(good.len() > header + 1000);
    let damages = [
        (0, "is not of this cache"),
        (7, "is not of this cache"),
        (8, "is of another version or another processor"),
        (39, "is of another version or another processor"),
        (40, "is of another module"),
        (71, "is of another module"),
        (72, "has not the length that it says"),
        (79, "has not the length that it says"),
        (80, "is damaged"),
        (111, "is damaged"),
        (header, "is damaged"),
        (header + 500, "is damaged"),
        (good.len() - 1, "is damaged"),
    ];
    for (at, reason) in damages {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&file, &bad).unwrap();
        is_replaced(&directory, 1, reason);
        assert_eq!(fs::read(&file).unwrap(), good, "the same code again");
    }
}

#[test]
fn a_file_of_another_length_is_seen() {
    let directory = Directory::new("length");
    run(&directory, 1);
    let file = directory.entry();
    let good = fs::read(&file).unwrap();
    for (len, reason) in [
        (0, "is cut off"),
        (1, "is cut off"),
        (111, "is cut off"),
        (112, "has not the length that it says"),
        (113, "has not the length that it says"),
        (good.len() - 1, "has not the length that it says"),
    ] {
        fs::write(&file, &good[..len]).unwrap();
        is_replaced(&directory, 1, reason);
    }
    for more in [1, 4096, 1 << 20] {
        let longer = OpenOptions::new().write(true).open(&file).unwrap();
        longer.set_len((good.len() + more) as u64).unwrap();
        is_replaced(&directory, 1, "has not the length that it says");
    }
    // Two lengths that agree, and are too much: nothing is reserved for them.
    let huge = OpenOptions::new().write(true).open(&file).unwrap();
    huge.write_all_at(&(1_u64 << 40).to_le_bytes(), 72).unwrap();
    huge.set_len(112 + (1 << 40)).unwrap();
    is_replaced(&directory, 1, "has not the length that it says");
}

#[test]
fn a_file_of_another_module_is_seen() {
    let directory = Directory::new("foreign");
    run(&directory, 1);
    let file = directory.entry();
    let elsewhere = directory.path.join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    run(&directory, 2);
    let names = directory.names();
    let other = names.iter().find(|name| *name != "elsewhere").unwrap();
    fs::rename(directory.path.join(other), &file).unwrap();
    fs::remove_file(&elsewhere).unwrap();
    is_replaced(&directory, 1, "is of another module");
}

#[test]
fn only_the_owner_may_have_written_a_file() {
    let directory = Directory::new("owner");
    run(&directory, 1);
    let file = directory.entry();
    for mode in [0o620, 0o602, 0o666] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        is_replaced(&directory, 1, "can be written by others than its owner");
    }
    // A link, even to the right file.
    let elsewhere = directory.path.join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    symlink(&elsewhere, &file).unwrap();
    let (from, warnings) = run(&directory, 1);
    assert_eq!(from, From::Compiler);
    assert!(warnings[0].contains(" cannot be read ("), "{warnings:?}");
    fs::remove_file(&elsewhere).unwrap();
    assert!(fs::symlink_metadata(&file).unwrap().is_file());
    assert_eq!(run(&directory, 1), (From::Cache, vec![]));
}

#[test]
fn a_directory_in_the_place_of_a_file_costs_a_compilation_each_time() {
    let directory = Directory::new("place");
    run(&directory, 1);
    let file = directory.entry();
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    for _ in 0..2 {
        let (from, warnings) = run(&directory, 1);
        assert_eq!(from, From::Compiler);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let start = format!(
            "\"{}\" is no file: compiled again, but it cannot be replaced: ",
            file.display()
        );
        assert!(warnings[0].starts_with(&start), "{warnings:?}");
        assert_eq!(directory.names().len(), 1, "nothing is left over");
    }
}

#[test]
fn a_cache_that_goes_away_is_no_failure() {
    let directory = Directory::new("away");
    let engine = directory.engine();
    fs::remove_dir(&directory.path).unwrap();
    engine.compile(module(1).as_bytes()).unwrap();
    let warnings = engine.take_cache_warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("cannot write \""), "{warnings:?}");
    assert!(engine.take_cache_warnings().is_empty(), "told once");
}

#[test]
fn what_is_not_used_for_long_is_removed() {
    let directory = Directory::new("old");
    let days = |days: u64| SystemTime::now() - Duration::from_secs(days * 24 * 3600 + 60);
    run(&directory, 1);
    let used = directory.entry();
    run(&directory, 2);
    let unused = directory
        .names()
        .into_iter()
        .map(|name| directory.path.join(name))
        .find(|path| *path != used)
        .unwrap();
    let set = |path: &Path, time| {
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(time)
            .unwrap()
    };
    let make = |name: &str, time| {
        let path = directory.path.join(name);
        File::create(&path).unwrap();
        set(&path, time);
        path
    };
    set(&used, days(31));
    set(&unused, days(31));
    let name = used.file_name().unwrap().to_str().unwrap();
    let dead = make(&format!("{name}.1-2.tmp"), days(1));
    let kept = [
        make(&format!("{name}.1-3.tmp"), days(0)),
        make("notes.txt", days(400)),
        make("0.cwasm", days(400)),
        make(&format!("{name}.bak"), days(400)),
    ];
    // It is used today.
    assert_eq!(run(&directory, 1).0, From::Cache);
    assert!(unused.exists(), "nothing was written");
    run(&directory, 3);
    assert!(!unused.exists());
    assert!(!dead.exists());
    assert!(used.exists());
    for path in kept {
        assert!(path.exists(), "{}", path.display());
    }
}

#[test]
fn directories_that_are_refused() {
    let directory = Directory::new("refused");
    let error = |path: &Path| Engine::new().unwrap().use_cache(path).unwrap_err();
    let path = &directory.path;

    let below = path.join("below");
    assert_eq!(
        error(&below),
        format!(
            "cannot make the directory \"{}\": No such file or directory (os error 2)",
            below.display()
        )
    );
    fs::create_dir(path).unwrap();
    for (mode, reason) in [
        (0o770, "can be written by others than its owner"),
        (0o707, "can be written by others than its owner"),
        (0o1777, "can be written by others than its owner"),
    ] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(
            error(path),
            format!(
                "the directory \"{}\" {reason}, but what is in it is run: it must belong to root or to the user that starts nginx, with mode 0700 or 0755",
                path.display()
            )
        );
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    directory.engine();

    File::create(&below).unwrap();
    assert_eq!(
        error(&below),
        format!("\"{}\" is not a directory", below.display())
    );
    // Nobody can write there, not even root.
    let unwritable = Path::new("/proc/self/task");
    assert!(
        error(unwritable).starts_with("cannot write to the directory \"/proc/self/task\": "),
        "{}",
        error(unwritable)
    );
    // A directory of another user, where there is one: as root, one that is given away.
    if std::os::unix::fs::chown(path, Some(65534), None).is_ok() {
        assert!(error(path).contains(" belongs to another user, but what is in it is run"));
        std::os::unix::fs::chown(path, Some(0), None).unwrap();
    }
    assert_eq!(directory.names(), ["below"], "nothing is left over");
}

#[test]
fn several_processes_share_a_directory() {
    let directory = Directory::new("shared");
    let path = &directory.path;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                for number in 0..10 {
                    let engine = Engine::new().unwrap();
                    engine.use_cache(path).unwrap();
                    engine.compile(module(100 + number).as_bytes()).unwrap();
                    assert_eq!(engine.take_cache_warnings(), Vec::<String>::new());
                }
            });
        }
    });
    assert_eq!(directory.names().len(), 10);
    for number in 0..10 {
        assert_eq!(run(&directory, 100 + number), (From::Cache, vec![]));
    }
}

/// What a module's code does is looked at once, when it is compiled for snapshots.
#[test]
fn what_a_module_for_snapshots_does_is_known_when_it_is_found() {
    let directory = Directory::new("snapshots");
    let code = |code: &str| {
        format!(r#"(module (memory 1) (data $d "") (table $t 1 funcref) (func {code}))"#)
    };
    for (body, rewinds) in [("data.drop $d", false), ("nop", true)] {
        let before = compile_counts();
        for _ in 0..2 {
            let (first, initial) = directory
                .engine()
                .compile_for_snapshots(code(body).as_bytes())
                .unwrap();
            assert_eq!(initial.rewinds(), rewinds);
            // While there is one, there is no need of the directory.
            let again = Engine::new().unwrap();
            let (second, initial) = again.compile_for_snapshots(code(body).as_bytes()).unwrap();
            assert_eq!(initial.rewinds(), rewinds);
            assert_eq!(first.sha256(), second.sha256());
        }
        let after = compile_counts();
        assert_eq!(
            (after.hits - before.hits, after.misses - before.misses),
            (3, 1)
        );
    }

    // It is rewritten to what it is.
    let stateful = code("(table.set $t (i32.const 0) (ref.null func))");
    let engine = directory.engine();
    let _plain = engine.compile(stateful.as_bytes()).unwrap();
    let refused = engine.compile_for_snapshots(stateful.as_bytes());
    assert!(refused.is_err_and(|e| e.to_string().contains("table.set")));
}
