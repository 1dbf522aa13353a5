use spin_app::{Duplicate, Match, Route, Router};

fn router(base: &str, routes: &[&str]) -> Router {
    let routes = routes
        .iter()
        .map(|route| Route::parse(base, route).unwrap());
    Router::new(routes.enumerate()).0
}

/// The route that is chosen, as it was written.
fn found<'r>(router: &'r Router, path: &str) -> Option<&'r str> {
    router.find(path).map(|found| found.raw_route)
}

#[test]
fn which_route_a_path_has() {
    for (routes, cases) in [
        // Exact ones; a slash at the end does not count.
        (
            &["/foo", "/foo/bar"][..],
            &[
                ("/foo", "/foo"),
                ("/foo/", "/foo"),
                ("/foo/bar", "/foo/bar"),
                ("/foo/bar/", "/foo/bar"),
                ("/", ""),
                ("/fo", ""),
                ("/foobar", ""),
                ("/foo/bar/x", ""),
                ("/FOO", ""),
            ][..],
        ),
        (&["/"], &[("/", "/"), ("", "/"), ("//", "/"), ("/a", "")]),
        (&["foo"], &[("/foo", "foo")]),
        (&["/foo/"], &[("/foo", "/foo/"), ("/foo/", "/foo/")]),
        // The rest of a path, which can be nothing.
        (
            &["/..."],
            &[
                ("/", "/..."),
                ("/a", "/..."),
                ("/a/b/", "/..."),
                ("", "/..."),
            ],
        ),
        (
            &["/foo/..."],
            &[
                ("/foo", "/foo/..."),
                ("/foo/", "/foo/..."),
                ("/foo/bar", "/foo/..."),
                ("/foo/bar/x/", "/foo/..."),
                ("/foobar", ""),
                ("/", ""),
            ],
        ),
        (&["/foo/*"], &[("/foo", "/foo/*"), ("/foo/bar/x", "/foo/*")]),
        // The longest prefix, whatever the order.
        (
            &["/one/...", "/one/two/...", "/one/two/three/..."],
            &[
                ("/one/two/three/four", "/one/two/three/..."),
                ("/one/two/three", "/one/two/three/..."),
                ("/one/two/x", "/one/two/..."),
                ("/one", "/one/..."),
            ],
        ),
        (
            &["/one/two/three/...", "/one/two/...", "/one/..."],
            &[
                ("/one/two/three/four", "/one/two/three/..."),
                ("/one/two", "/one/two/..."),
                ("/one/x", "/one/..."),
            ],
        ),
        // An exact one before the rest.
        (
            &["/...", "/one"],
            &[("/one", "/one"), ("/one/", "/one"), ("/one/two", "/...")],
        ),
        (
            &["/one/...", "/one"],
            &[("/one", "/one"), ("/one/", "/one"), ("/one/x", "/one/...")],
        ),
        (&["/...", "/"], &[("/", "/"), ("/a", "/...")]),
        // Parameters are one segment.
        (
            &["/users/:id"],
            &[
                ("/users/1", "/users/:id"),
                ("/users/1/", "/users/:id"),
                ("/users", ""),
                ("/users/", ""),
                ("/users/1/x", ""),
            ],
        ),
        (
            &["/users/:id/edit"],
            &[
                ("/users/1/edit", "/users/:id/edit"),
                ("/users//edit", "/users/:id/edit"),
                ("/users/1", ""),
            ],
        ),
        (
            &["/:a", "/x", "/..."],
            &[("/x", "/x"), ("/y", "/:a"), ("/y/z", "/..."), ("/", "/...")],
        ),
        (
            &["/...", "/:a/...", "/:a/:b", "/x/:b", "/x/y"],
            &[
                ("/x/y", "/x/y"),
                ("/x/z", "/x/:b"),
                ("/q/z", "/:a/:b"),
                ("/q/z/z", "/:a/..."),
                ("/q", "/:a/..."),
                ("/", "/..."),
            ],
        ),
        // The first segment that differs decides.
        (
            &["/:a/y", "/x/..."],
            &[("/x/y", "/x/..."), ("/z/y", "/:a/y")],
        ),
        // Among equals the first.
        (&["/:a", "/:b"], &[("/x", "/:a")]),
        (&["/:b", "/:a"], &[("/x", "/:b")]),
        // A dot beside a parameter.
        (
            &["/:name", "/:name.:ext"],
            &[
                ("/a.b", "/:name.:ext"),
                ("/a", "/:name"),
                ("/a.b.c", "/:name.:ext"),
            ],
        ),
        (
            &["/f/:name.json", "/f/:name"],
            &[
                ("/f/a.json", "/f/:name.json"),
                ("/f/a.xml", "/f/:name"),
                ("/f/é.json", "/f/:name.json"),
            ],
        ),
        (&["/v1.2/:x"], &[("/v1.2/a", "/v1.2/:x"), ("/v1x2/a", "")]),
        // One at the start of a segment.
        (
            &["/...", "/.well-known/x", "/.well-known/..."],
            &[
                ("/.well-known/x", "/.well-known/x"),
                ("/.well-known/y", "/.well-known/..."),
                ("/well-known/x", "/..."),
            ],
        ),
        (&["/.env", "/:x", "/..."], &[("/.env", "/.env")]),
        (&["/a/.b"], &[("/a/.b", "/a/.b"), ("/a.b", "")]),
        // Escapes and other characters are as they come.
        (
            &["/a%20b", "/é"],
            &[
                ("/a%20b", "/a%20b"),
                ("/a b", ""),
                ("/é", "/é"),
                ("/%C3%A9", ""),
            ],
        ),
        // Slashes in the middle are not taken together, those of routes are.
        (&["/a/b"], &[("//a/b//", "/a/b"), ("/a//b", "")]),
        (&["/a//b"], &[("/a/b", "/a//b")]),
        (&[], &[("/", "")]),
    ] {
        let router = router("/", routes);
        for (path, expected) in cases {
            let expected = (!expected.is_empty()).then_some(*expected);
            assert_eq!(found(&router, path), expected, "{routes:?}: {path}");
        }
    }
}

#[test]
fn what_is_known_of_a_match() {
    for (route, path, parameters, path_info) in [
        ("/foo", "/foo", &[][..], ""),
        ("/foo", "/foo/", &[], ""),
        ("/...", "/", &[], "/"),
        ("/...", "/1/2/3", &[], "/1/2/3"),
        ("/1/...", "/1/2/3", &[], "/2/3"),
        ("/test/...", "/test", &[], ""),
        ("/test/...", "/test/", &[], "/"),
        ("/test/...", "/test/hello", &[], "/hello"),
        ("/test/...", "/test/hello/", &[], "/hello/"),
        ("/test/...", "/test//hello", &[], "//hello"),
        ("/1/:two/3", "/1/2/3", &[("two", "2")], ""),
        ("/1/:two/...", "/1/2/3", &[("two", "2")], "/3"),
        ("/:a/:b", "/%41/x y", &[("a", "%41"), ("b", "x y")], ""),
        ("/:a/:b/:a", "/1/2/3", &[("b", "2"), ("a", "3")], ""),
        (
            "/:name.:ext",
            "/a.b.c",
            &[("name", "a"), ("ext", "b.c")],
            "",
        ),
        ("/users/:id/edit", "/users//edit", &[("id", "")], ""),
    ] {
        let router = router("/", &[route]);
        let expected = Match {
            number: 0,
            route,
            raw_route: route,
            parameters: parameters.to_vec(),
            path_info: path_info.to_owned(),
        };
        assert_eq!(router.find(path), Some(expected), "{route}: {path}");
    }
}

#[test]
fn base_paths() {
    for (base, raw, based) in [
        ("/", "/", ""),
        ("/", "/foo", "/foo"),
        ("/", "/foo/", "/foo"),
        ("/", "foo", "/foo"),
        ("/", "/...", "/..."),
        ("/base", "/", "/base"),
        ("/base/", "/foo", "/base/foo"),
        ("/base", "/...", "/base/..."),
        ("", "/foo/...", "/foo/..."),
    ] {
        let router = router(base, &[raw]);
        let path = based.trim_end_matches("...");
        let found = router.find(path).unwrap();
        assert_eq!((found.raw_route, found.route), (raw, based));
    }
    let router = router("/base", &["/foo", "/..."]);
    assert_eq!(found(&router, "/base/foo"), Some("/foo"));
    assert_eq!(found(&router, "/base"), Some("/..."));
    assert_eq!(found(&router, "/foo"), None);
    assert_eq!(router.find("/base/x/y").unwrap().path_info, "/x/y");
}

#[test]
fn routes_that_are_there_twice() {
    let routes = ["/", "/foo", "/foo", "/...", "/foo", "/foo/"];
    let routes = routes.map(|route| Route::parse("/", route).unwrap());
    let (router, duplicates) = Router::new(routes.into_iter().enumerate());
    let duplicate = |replaced, used| Duplicate { replaced, used };
    assert_eq!(duplicates, [duplicate(1, 2), duplicate(2, 4)]);
    // The last one, where the first one stood.
    assert_eq!(router.find("/foo").unwrap().number, 4);
    assert_eq!(router.find("/x").unwrap().number, 3);
}

#[test]
fn what_is_no_route() {
    for (route, error) in [
        (
            "/a/*/b",
            "a * is not at the end: \"/...\" takes the rest of the path",
        ),
        (
            "/*rest",
            "the * takes the rest of the path, and has no name",
        ),
        ("/a/:", "a parameter needs a name behind its colon"),
        (
            "/:a b",
            "the parameter \":a b\" has a name that cannot be part of a header's",
        ),
        (
            "/:é",
            "the parameter \":é\" has a name that cannot be part of a header's",
        ),
    ] {
        let refused = Route::parse("/", route).unwrap_err();
        assert_eq!(refused.to_string(), error, "{route}");
    }
}
