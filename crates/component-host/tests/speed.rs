//! What a request costs, measured: `cargo test --workspace --test components -- --ignored --nocapture cost`.

use std::time::Duration;

use crate::common::{Host, full, request, sample};

/// Processor time of this thread.
fn used() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

fn cost(name: &str, reuse: u32) {
    const REQUESTS: u32 = 5000;
    let host = Host::with(
        &sample(name),
        component_host::Settings {
            reuse,
            ..Default::default()
        },
    );
    let mut instance = None;
    let mut since = used();
    for i in 0..REQUESTS + 500 {
        if i == 500 {
            since = used();
        }
        let (came, next) = host.send_to(instance, request("POST", "/", full("John Doe")));
        instance = next;
        assert_eq!(came.body.len(), 28);
    }
    let each: Duration = (used() - since) / REQUESTS;
    println!("{name}, {reuse} requests an instance: {each:?} of processor time each");
}

#[test]
#[ignore = "a measurement"]
fn cost_of_a_request() {
    for name in ["component_hello", "component_hello_p3"] {
        for reuse in [1, 1_000_000] {
            cost(name, reuse);
        }
    }
}
