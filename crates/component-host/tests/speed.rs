//! What a request costs, measured: `cargo test --workspace --test components -- --ignored --nocapture cost`.

use std::time::{Duration, Instant};

use crate::common::{Host, full, request, sample};

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
    let mut since = Instant::now();
    for i in 0..REQUESTS + 500 {
        if i == 500 {
            since = Instant::now();
        }
        let (came, next) = host.send_to(instance, request("POST", "/", full("John Doe")));
        instance = next;
        assert_eq!(came.body.len(), 28);
    }
    let each: Duration = since.elapsed() / REQUESTS;
    println!("{name}, {reuse} requests an instance: {each:?} each");
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
