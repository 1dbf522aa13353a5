//! How capabilities are written in a configuration.

use guest_host::{Capabilities, Capability, CapabilityRules};

fn rules(allow: &[&str], deny: &[&str]) -> Result<Capabilities, String> {
    let mut rules = CapabilityRules::default();
    for value in allow {
        rules.allow(value.as_bytes())?;
    }
    for value in deny {
        rules.deny(value.as_bytes())?;
    }
    rules.capabilities()
}

fn names(allow: &[&str], deny: &[&str]) -> String {
    let capabilities = rules(allow, deny).unwrap();
    let all = Capability::ALL.iter().filter(|c| capabilities.allows(**c));
    all.map(|c| c.name()).collect::<Vec<_>>().join(" ")
}

const DEFAULT: &str = "http_call grpc_call redis upstream_hosts shared_data shared_queue metrics properties_write clock random";

#[test]
fn a_name_counts_for_more_than_all_and_the_rest_is_as_by_default() {
    assert_eq!(names(&[], &[]), DEFAULT);
    assert_eq!(
        names(&["env"], &[]),
        "http_call grpc_call redis upstream_hosts shared_data shared_queue metrics properties_write env clock random"
    );
    assert_eq!(names(&["all"], &[]), names(&["env"], &[]));
    assert_eq!(names(&[], &["all"]), "");
    assert_eq!(names(&["metrics,clock"], &["all"]), "metrics clock");
    assert_eq!(names(&["metrics", "clock"], &["all"]), "metrics clock");
    assert_eq!(
        names(&["all"], &["env,clock"]),
        "http_call grpc_call redis upstream_hosts shared_data shared_queue metrics properties_write random"
    );
    assert_eq!(
        names(&[], &["http_call,grpc_call", "shared_queue"]),
        "redis upstream_hosts shared_data metrics properties_write clock random"
    );
    assert_eq!(names(&[], &["env"]), DEFAULT);
}

#[test]
fn upstreams_are_added_up() {
    let some = rules(
        &["http_call(auth|[::1]:80,a),clock", "http_call(unix:/a b)"],
        &["all"],
    )
    .unwrap();
    let upstreams = some.upstreams(Capability::HttpCall).unwrap();
    assert_eq!(upstreams, [&b"auth"[..], b"[::1]:80,a", b"unix:/a b"]);
    assert_eq!(some.upstreams(Capability::GrpcCall), None);
    assert!(!some.allows(Capability::GrpcCall) && some.allows(Capability::Clock));
    // Without a deny=, a list still limits what is allowed by default.
    let some = rules(&["grpc_call(auth)"], &[]).unwrap();
    assert_eq!(some.upstreams(Capability::GrpcCall).unwrap(), [b"auth"]);
    assert_eq!(some.upstreams(Capability::HttpCall), None);
    assert!(some.allows(Capability::HttpCall));
}

#[test]
fn names_with_the_sign_in_them_are_those_that_the_proxy_knows() {
    let mut rules = CapabilityRules::default();
    rules
        .allow(b"http_call(outbound|9090||svc|auth|outbound|80)")
        .unwrap();
    rules.allow(b"http_call(a),http_call(b)").unwrap();
    let known = [&b"outbound|9090||svc"[..], b"outbound|9090", b"a|b"];
    let some = rules
        .capabilities_with(|capability, name| {
            capability == Capability::HttpCall && known.contains(&name)
        })
        .unwrap();
    assert_eq!(
        some.upstreams(Capability::HttpCall).unwrap(),
        [
            &b"outbound|9090||svc"[..],
            b"auth",
            b"outbound",
            b"80",
            b"a",
            b"b"
        ]
    );
    assert_eq!(
        rules.capabilities().unwrap_err(),
        "an upstream of http_call has no name; deny=http_call allows none"
    );
}

#[test]
fn errors() {
    let error = |allow: &[&str], deny: &[&str]| rules(allow, deny).unwrap_err();
    let known = "known are http_call, grpc_call, redis, upstream_hosts, shared_data, shared_queue, metrics, properties_write, env, clock, random and all";
    assert_eq!(
        error(&["clocks"], &[]),
        format!("unknown capability \"clocks\"; {known}")
    );
    assert_eq!(
        error(&[""], &[]),
        format!("unknown capability \"\"; {known}")
    );
    assert_eq!(
        error(&[], &["metrics,"]),
        format!("unknown capability \"\"; {known}")
    );
    assert_eq!(
        error(&["http_call (a)"], &[]),
        format!("unknown capability \"http_call \"; {known}")
    );
    assert_eq!(
        error(&["all"], &["all"]),
        "allow=all and deny=all contradict each other"
    );
    assert_eq!(
        error(&["clock"], &["all,clock"]),
        "clock is in allow= and in deny="
    );
    assert_eq!(
        error(&["http_call(a)"], &["http_call"]),
        "http_call is in allow= and in deny="
    );
    assert_eq!(
        error(&["http_call,http_call(a)"], &[]),
        "http_call is there with and without a list of upstreams"
    );
    assert_eq!(
        error(&["metrics(a)"], &[]),
        "metrics has no upstreams; http_call, grpc_call and redis have"
    );
    let written = "the upstreams of http_call must be written http_call(one|another)";
    for list in [
        "http_call(a",
        "http_call(a)b",
        "http_call(a))",
        "http_call((a)",
        "http_call(",
        "http_call(a)(b)",
    ] {
        assert_eq!(error(&[list], &[]), written, "{list}");
    }
    for list in [
        "http_call()",
        "http_call(a|)",
        "http_call(|a)",
        "http_call(a||b)",
    ] {
        assert_eq!(
            error(&[list], &[]),
            "an upstream of http_call has no name; deny=http_call allows none",
            "{list}"
        );
    }
    assert_eq!(
        error(&[], &["http_call(a)"]),
        "deny= takes no upstreams: those that http_call may have are listed in allow="
    );
}
