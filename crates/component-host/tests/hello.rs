//! The smallest guests.

use crate::common::{Host, sample};

#[test]
fn hello_of_0_2() {
    let host = Host::new(&sample("component_hello"));
    let came = host.post("/", "John Doe");
    assert_eq!(came.status(), 200);
    assert_eq!(came.whole(), r#"{"message":"Hello John Doe"}"#);
    let head = came.head.unwrap();
    assert_eq!(head.headers()["content-type"], "application/json");
}

#[test]
fn hello_of_0_3() {
    let host = Host::new(&sample("component_hello_p3"));
    let came = host.post("/", "John Doe");
    assert_eq!(came.status(), 200);
    assert_eq!(came.whole(), r#"{"message":"Hello John Doe"}"#);
}
