//! Nothing starts a thread. In a process of its own: other tests have threads.

mod common;

use crate::common::{Host, LABS, empty, full, request, sample, threads};

#[test]
fn no_thread_is_started() {
    for hello in ["component_hello", "component_hello_p3"] {
        let host = Host::new(&sample(hello));
        let before = threads();
        host.send(request("POST", "/", full("John Doe"))).whole();
        assert_eq!(threads(), before, "{hello}");
    }
    for lab in LABS {
        let host = Host::with_lab(lab, |settings| {
            settings.directories.push(component_host::Directory {
                path: std::env::temp_dir(),
                name: "/tmp".into(),
                writable: true,
            });
        });
        host.mock
            .answer(|_, _| async { Ok(http::Response::new(empty())) });
        let before = threads();
        for path in [
            "/count",
            "/env",
            "/print",
            "/stdin",
            "/random",
            "/clock",
            "/sleep?1",
            "/list?/tmp",
            "/read?/tmp/none",
            "/write?/tmp/component-lab-threads",
            "/read?/tmp/component-lab-threads",
            "/connect?127.0.0.1:1",
            "/lookup?example.com",
            "/proxy?http://backend/",
            "/fan?5",
            "/trap-late",
            "/trailers",
        ] {
            host.get(path);
            assert_eq!(threads(), before, "{lab}{path}");
        }
        let _ = std::fs::remove_file(std::env::temp_dir().join("component-lab-threads"));
    }
}
