//! Environment, output, files, clocks.

use component_host::{Directory, Output};

use crate::common::{Host, LABS};

#[test]
fn the_environment_is_what_is_set() {
    for lab in LABS {
        let host = Host::with_lab(lab, |settings| {
            settings.env = vec![("NAME".into(), "value".into()), ("EMPTY".into(), "".into())];
        });
        assert_eq!(host.get("/env").whole(), "NAME=value\nEMPTY=\n", "{lab}");
        assert_eq!(host.get("/args").whole(), "", "{lab}");
        assert_eq!(host.get("/stdin").whole(), "0", "{lab}");
    }
}

#[test]
fn output_goes_line_by_line() {
    for lab in LABS {
        let host = Host::lab(lab);
        assert_eq!(host.get("/print").whole(), "done", "{lab}");
        let line = |output, text: &str| (output, text.to_owned());
        let expected = [
            line(Output::Stdout, "first"),
            line(Output::Stdout, "second"),
            line(Output::Stderr, "to standard error"),
            line(Output::Stdout, "without an end"),
        ];
        assert_eq!(host.mock.lines(), expected, "{lab}");
        // What a trap leaves.
        host.get("/trap-early");
        let lines = host.mock.lines();
        let told = lines
            .iter()
            .any(|(output, line)| *output == Output::Stderr && line.contains("as asked"));
        assert!(told, "{lab}: {lines:?}");
    }
}

#[test]
fn random_numbers_differ() {
    for lab in LABS {
        let host = Host::lab(lab);
        let numbers: std::collections::HashSet<_> =
            (0..20).map(|_| host.get("/random").whole()).collect();
        assert_eq!(numbers.len(), 20, "{lab}");
    }
}

#[test]
fn clocks_are_real() {
    for lab in LABS {
        let text = Host::lab(lab).get("/clock").whole();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let told: u64 = text.split(' ').next().unwrap().parse().unwrap();
        assert!(told.abs_diff(now) < 60, "{lab}: {text}");
    }
}

#[test]
fn there_are_no_files_but_those_given() {
    let root = std::env::temp_dir().join(format!("component-host-{}", std::process::id()));
    std::fs::create_dir_all(&root).unwrap();
    std::fs::write(root.join("file"), "its text").unwrap();
    let large = "line\n".repeat(100_000);
    std::fs::write(root.join("large"), &large).unwrap();
    for lab in LABS {
        let host = Host::lab(lab);
        let none = host.get("/read?/etc/passwd").whole();
        assert!(none.starts_with("error"), "{lab}: {none}");

        for writable in [false, true] {
            let host = Host::with_lab(lab, |settings| {
                settings.directories.push(Directory {
                    path: root.clone(),
                    name: "/data".into(),
                    writable,
                });
            });
            assert_eq!(host.get("/read?/data/file").whole(), "its text", "{lab}");
            assert_eq!(host.get("/read?/data/large").whole(), large, "{lab}");
            assert_eq!(host.get("/list?/data").whole(), "file\nlarge", "{lab}");
            let outside = host.get("/read?/data/../../etc/passwd").whole();
            assert!(outside.starts_with("error"), "{lab}: {outside}");
            let wrote = host.get("/write?/data/new").whole();
            assert_eq!(wrote == "done", writable, "{lab}: {wrote}");
            let written = std::fs::read_to_string(root.join("new")).ok();
            assert_eq!(written.as_deref(), writable.then_some("written"), "{lab}");
            let _ = std::fs::remove_file(root.join("new"));
        }
    }
    std::fs::remove_dir_all(root).unwrap();
}
