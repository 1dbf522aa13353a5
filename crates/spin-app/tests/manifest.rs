use spin_app::{Answer, App, Endpoint, Files};

/// What each application begins with.
const HEAD: &str = "spin_manifest_version = 2\n[application]\nname = \"app\"\n";

fn app(rest: &str) -> App {
    App::parse(&format!("{HEAD}{rest}")).unwrap()
}

fn error(rest: &str) -> String {
    App::parse(&format!("{HEAD}{rest}"))
        .unwrap_err()
        .to_string()
}

#[test]
fn everything_at_once() {
    let app = app(r#"
version = "1.2.3"
description = "All of it"
authors = ["a@example.com"]
targets = ["spin-up:3.3"]

[application.trigger.redis]
address = "redis://{{ redis_host }}:6379"

[application.trigger.other]
anything = true

[application.tool.lint]
level = 3

[variables]
redis_host = { default = "localhost", description = "where" }
token = { required = true, secret = true }

[[trigger.http]]
id = "front"
route = "/..."
component = "site"
executor = { type = "http" }

[[trigger.http]]
route = { private = true }
component = "site"

[[trigger.http]]
route = "/inline/:id"
component = { source = "inline.wasm", environment = { A = "b" } }

[[trigger.http]]
route = "/teapot"
static_response = { status_code = 418, headers = { x-tea = "yes" }, body = "short" }

[[trigger.redis]]
channel = "news-{{ redis_host }}"
component = "site"

[[trigger.redis]]
channel = "other"
address = "redis://other"
component = "site"

[component.site]
source = "target/site.wasm"
description = "The site"
variables = { auth = "Bearer {{ token }}", plain = "x" }
environment = { LANG = "C" }
files = ["assets/**/*.png", { source = "static", destination = "/" }]
exclude_files = ["**/secret"]
allowed_outbound_hosts = ["https://*.example.com", "redis://{{ redis_host }}:6379"]
key_value_stores = ["default", "my-store", "my_other"]
sqlite_databases = ["default"]
ai_models = ["llama2-chat"]
targets = ["spin-up:3.3"]
dependencies_inherit_configuration = true

[component.site.build]
command = ["make", "make install"]
workdir = "site"
watch = ["src/**/*.rs"]

[component.site.tool.clean]
command = "make clean"

[component.site.profile.debug]
source = "debug.wasm"

[component.unused]
source = "unused.wasm"
"#);
    assert_eq!(
        (&*app.name, &*app.version, &*app.description),
        ("app", "1.2.3", "All of it")
    );
    assert_eq!(app.warnings, Vec::<String>::new());
    assert_eq!(
        app.variables.keys().collect::<Vec<_>>(),
        ["redis_host", "token"]
    );
    assert!(app.variables["token"].secret && !app.variables["redis_host"].secret);

    let triggers: Vec<_> = app
        .http
        .iter()
        .map(|t| (&*t.id, &t.route, &t.answer))
        .collect();
    let component = |id: &str| Answer::Component(id.into());
    let route = |route: &str| Endpoint::Route(route.into());
    assert_eq!(
        triggers,
        [
            ("front", &route("/..."), &component("site")),
            ("site-http-trigger", &Endpoint::Private, &component("site")),
            (
                "http-trigger1",
                &route("/inline/:id"),
                &component("http-trigger1-component")
            ),
            (
                "http-trigger2",
                &route("/teapot"),
                &Answer::Static {
                    status: 418,
                    headers: vec![("x-tea".into(), "yes".into())],
                    body: "short".into()
                }
            ),
        ]
    );
    assert_eq!(
        app.components.keys().collect::<Vec<_>>(),
        ["http-trigger1-component", "site", "unused"]
    );
    assert_eq!(
        app.components["http-trigger1-component"].source,
        "inline.wasm"
    );

    let values = app
        .values(|name| (name == "token").then(|| "t0k3n".into()))
        .unwrap();
    let redis: Vec<_> = app
        .redis
        .iter()
        .map(|t| {
            (
                &*t.id,
                values.fill(&t.address).unwrap(),
                values.fill(&t.channel).unwrap(),
                &*t.component,
            )
        })
        .collect();
    assert_eq!(
        redis,
        [
            (
                "site-redis-trigger",
                "redis://localhost:6379".into(),
                "news-localhost".into(),
                "site"
            ),
            (
                "redis-trigger1",
                "redis://other".into(),
                "other".into(),
                "site"
            ),
        ]
    );

    let site = &app.components["site"];
    assert_eq!(
        (&*site.source, &*site.description),
        ("target/site.wasm", "The site")
    );
    let variables = site.variables(&values).unwrap();
    assert_eq!(
        (&*variables["auth"], &*variables["plain"]),
        ("Bearer t0k3n", "x")
    );
    assert_eq!(site.environment["LANG"], "C");
    let placement = Files::Placement {
        source: "static".into(),
        destination: "/".into(),
    };
    assert_eq!(
        site.files,
        [Files::Pattern("assets/**/*.png".into()), placement]
    );
    assert_eq!(site.exclude_files, ["**/secret"]);
    let hosts = site.allowed_hosts(&values).unwrap();
    assert_eq!(
        hosts.to_string(),
        "https://*.example.com redis://localhost:6379"
    );
    assert_eq!(site.key_value_stores, ["default", "my-store", "my_other"]);
    assert_eq!(site.sqlite_databases, ["default"]);
    assert_eq!(site.ai_models, ["llama2-chat"]);

    let (router, warnings) = app.router("/").unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    let number = |path: &str| router.find(path).map(|found| found.number);
    assert_eq!(number("/inline/7"), Some(2));
    assert_eq!(number("/teapot"), Some(3));
    assert_eq!(number("/elsewhere"), Some(0));
}

#[test]
fn identifiers_that_spin_makes_up() {
    let app = app(r#"
[[trigger.http]]
route = "/a"
component = "c"
[[trigger.http]]
route = "/b"
component = "c"
[[trigger.http]]
id = "http-trigger2"
route = "/c"
component = { source = "1.wasm" }
[[trigger.http]]
id = "under_score"
route = "/d"
component = { source = "2.wasm" }
[[trigger.http]]
route = "/e"
component = { source = "3.wasm" }
[component.c]
source = "c.wasm"
[component.inline-component1]
source = "i.wasm"
"#);
    let ids: Vec<_> = app
        .http
        .iter()
        .map(|trigger| match &trigger.answer {
            Answer::Component(component) => (&*trigger.id, &**component),
            Answer::Static { .. } => panic!(),
        })
        .collect();
    assert_eq!(
        ids,
        [
            ("c-http-trigger", "c"),
            ("http-trigger1", "c"),
            ("http-trigger2", "http-trigger2-component"),
            ("under_score", "inline-component2"),
            ("http-trigger3", "http-trigger3-component"),
        ]
    );
}

#[test]
fn what_is_told_and_served_nevertheless() {
    let app = app(r#"
[[trigger.cron]]
schedule = "* * * * *"
component = "a"
[[trigger.http]]
route = "/x"
component = "a"
[[trigger.http]]
route = "/x"
component = "b"
[[trigger.http]]
route = "/.well-known/spin/..."
component = "a"
[[trigger.http]]
route = "/.well-known/spindle"
component = "a"
[component.a]
source = "a.wasm"
allowed_http_hosts = ["insecure:allow-all", "self", "http://one", "two:8080"]
[component.b]
source = "b.wasm"
"#);
    assert_eq!(
        app.warnings,
        [
            "component.a.allowed_http_hosts is deprecated: use allowed_outbound_hosts",
            "trigger.cron is not served",
        ]
    );
    let hosts = app.components["a"]
        .allowed_hosts(&app.values(|_| None).unwrap())
        .unwrap();
    assert_eq!(
        hosts.to_string(),
        "http://*:* https://*:* http://self https://self http://one http://two:8080 https://two:8080"
    );
    let (router, warnings) = app.router("/").unwrap();
    assert_eq!(
        warnings,
        [
            "trigger.http, route \"/.well-known/spin/...\": Spin itself answers below /.well-known/spin/",
            "trigger.http, route \"/x\" is there twice: component b is used, component a is not",
        ]
    );
    assert_eq!(router.find("/x").unwrap().number, 1);
}

#[test]
fn versions() {
    for (text, told) in [
        ("", "no \"spin_manifest_version = 2\""),
        (
            "spin_manifest_version = 3",
            "no \"spin_manifest_version = 2\"",
        ),
        (
            "spin_manifest_version = \"2\"",
            "no \"spin_manifest_version = 2\"",
        ),
        (
            "spin_manifest_version = \"1\"\nname = \"a\"",
            "a manifest of version 1: \"spin doctor\" makes one of version 2 from it",
        ),
        (
            "spin_version = \"1\"\nname = \"a\"",
            "a manifest of version 1: \"spin doctor\" makes one of version 2 from it",
        ),
        (
            "spin_manifest_version = 2",
            "line 1, column 1: missing field `application`",
        ),
    ] {
        assert_eq!(App::parse(text).unwrap_err().to_string(), told, "{text}");
    }
}

#[test]
fn mistakes() {
    const C: &str = "[component.c]\nsource = \"c.wasm\"\n";
    let http = |rest: &str| error(&format!("[[trigger.http]]\n{rest}\n{C}"));
    let redis = |rest: &str| error(&format!("[[trigger.redis]]\n{rest}\n{C}"));
    let component = |rest: &str| error(&format!("{C}{rest}"));
    for (told, expected) in [
        (error("name = \"again\""), "line 4, column 1: duplicate key"),
        (
            error("nme = 1"),
            "line 4, column 1: unknown field `nme`, expected one of `name`, `version`, `description`, `authors`, `targets`, `trigger`, `tool`",
        ),
        (
            error("[variables]\na = { defalt = \"x\" }"),
            "line 5, column 7: unknown field `defalt`, expected one of `description`, `required`, `default`, `secret`",
        ),
        (
            error("[variables]\na = {}"),
            "variables.a: needs a default, or required = true",
        ),
        (
            error("[variables]\na = { required = true, default = \"x\" }"),
            "variables.a: either required, or a default",
        ),
        (
            error("[variables]\na-b = { default = \"x\" }"),
            "variables.a-b: the name may have only lower-case letters, digits and underscores",
        ),
        (
            http("component = \"c\""),
            "line 4, column 1: missing field `route`",
        ),
        (
            http("route = 1\ncomponent = \"c\""),
            "line 5, column 9: invalid type: integer `1`, expected a string or a table",
        ),
        (
            http("route = { private = false }\ncomponent = \"c\""),
            "trigger.http: a route is a string, or { private = true }",
        ),
        (
            http("route = \"/a\""),
            "trigger.http, route \"/a\": either component or static_response is needed",
        ),
        (
            http("route = \"/a\"\ncomponent = \"c\"\nstatic_response = {}"),
            "trigger.http, route \"/a\": either component or static_response is needed",
        ),
        (
            http("route = \"/a\"\ncomponent = \"d\""),
            "trigger.http, route \"/a\": there is no component \"d\"",
        ),
        (
            http("route = \"/a\"\ncomponent = \"c\"\nexecutor = { type = \"wagi\" }"),
            "trigger.http, route \"/a\": the executor \"wagi\" is not available",
        ),
        (
            http("route = \"/a\"\ncomponent = \"c\"\ncomponents = { m = \"c\" }"),
            "trigger.http, route \"/a\": several components in one trigger are not available",
        ),
        (
            http("route = \"/a/:\"\ncomponent = \"c\""),
            "trigger.http, route \"/a/:\": a parameter needs a name behind its colon",
        ),
        (
            redis("channel = \"x\"\ncomponent = \"c\""),
            "trigger.redis, channel \"x\": no address, and no [application.trigger.redis]",
        ),
        (
            redis("channel = \"{{ x }}\"\ncomponent = \"c\"\naddress = \"a\""),
            "trigger.redis, channel \"{{ x }}\": the application has no variable \"x\"",
        ),
        (
            component("sauce = 1"),
            "line 6, column 1: unknown field `sauce`, expected one of `source`, `description`, `variables`, `environment`, `files`, `exclude_files`, `allowed_http_hosts`, `allowed_outbound_hosts`, `key_value_stores`, `sqlite_databases`, `ai_models`, `dependencies`, `dependencies_inherit_configuration`, `targets`, `build`, `tool`, `profile`",
        ),
        (
            error("[component.c]"),
            "line 4, column 1: missing field `source`",
        ),
        (
            error("[component.c]\nsource = \"\""),
            "component.c.source: is empty",
        ),
        (
            error("[component.c]\nsource = { url = \"https://a/b.wasm\", digest = \"sha256:0\" }"),
            "component.c.source: a URL: code is not fetched while nginx starts; put the file here, and name its path",
        ),
        (
            error("[component.c]\nsource = { package = \"a:b\", version = \"1.0.0\" }"),
            "component.c.source: a registry: code is not fetched while nginx starts; put the file here, and name its path",
        ),
        (
            error("[component.c_d]\nsource = \"c.wasm\""),
            "component.c_d: the identifier must have hyphens between its words, not underscores",
        ),
        (
            component("allowed_outbound_hosts = [\"example.com\"]"),
            "component.c.allowed_outbound_hosts: \"example.com\" has no scheme: write http://…, https://… or *://…",
        ),
        (
            component("allowed_outbound_hosts = [\"http://{{ x }}\"]"),
            "component.c.allowed_outbound_hosts: the application has no variable \"x\"",
        ),
        (
            component("variables = { a = \"{{ x\" }"),
            "component.c.variables.a: \"{{ x\" has a {{ without its }}",
        ),
        (
            component("variables = { A = \"x\" }"),
            "component.c.variables.A: the name may have only lower-case letters, digits and underscores",
        ),
        (
            component("key_value_stores = [\"a b\"]"),
            "component.c.key_value_stores: \"a b\" may have only letters and digits in its words",
        ),
        (
            component("sqlite_databases = [\"\"]"),
            "component.c.sqlite_databases: \"\" is empty",
        ),
        (
            component("dependencies = { \"a:b\" = \"1.0\" }"),
            "component.c.dependencies: other components as dependencies are not available: compose them into one file",
        ),
        (
            component("files = [\"..\"]"),
            "component.c.files: the pattern \"..\" ends in a directory's dots: name source and destination, or end it in **/*",
        ),
        (
            component("files = [\"a/.\"]"),
            "component.c.files: the pattern \"a/.\" ends in a directory's dots: name source and destination, or end it in **/*",
        ),
        (
            component("files = [{ source = \"a\", destination = \"/b/../..\" }]"),
            "component.c.files: the destination \"/b/../..\" leads out of the root",
        ),
        (
            component("files = [{ source = \"a\" }]"),
            "line 6, column 10: missing field `destination`",
        ),
    ] {
        assert_eq!(told, expected);
    }
}
