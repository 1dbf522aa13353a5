use spin_app::{Request, Route, Router, request_headers};

fn headers(base: &str, route: &str, request: Request<'_>) -> Vec<String> {
    let (router, _) = Router::new([(0, Route::parse(base, route).unwrap())]);
    let path = request.target.split('?').next().unwrap();
    let found = router.find(path).unwrap();
    let lines = request_headers(&found, request).into_iter();
    lines
        .map(|(name, value)| format!("{name}: {value}"))
        .collect()
}

#[test]
fn what_spin_adds() {
    let request = Request {
        scheme: "https",
        host: Some("example.com:8443"),
        target: "/foo/42/bar?key1=value1&key2=value2",
        client: "127.0.0.1:8777",
    };
    assert_eq!(
        headers("/", "/foo/:user_ID/...", request),
        [
            "spin-path-info: /bar",
            "spin-full-url: https://example.com:8443/foo/42/bar?key1=value1&key2=value2",
            "spin-matched-route: /foo/:user_ID/...",
            "spin-base-path: /",
            "spin-raw-component-route: /foo/:user_ID/...",
            "spin-component-route: /foo/:user_ID",
            "spin-client-addr: 127.0.0.1:8777",
            "spin-path-match-user-id: 42",
        ]
    );
    let request = Request {
        scheme: "http",
        host: None,
        target: "/base/",
        client: "[::1]:1",
    };
    assert_eq!(
        headers("/base", "/", request),
        [
            "spin-path-info: ",
            "spin-full-url: http://localhost/base/",
            "spin-matched-route: /base",
            "spin-base-path: /",
            "spin-raw-component-route: /",
            "spin-component-route: /",
            "spin-client-addr: [::1]:1",
        ]
    );
}
