//! Any text as a Spin manifest, and its lines as routes, paths, allowed hosts, templates and files of values.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spin_app::{
    AllowedHosts, App, Request, Route, Router, Template, parse_dotenv, parse_values,
    request_headers,
};

fuzz::mutator!();

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    manifest(&text);
    let lines: Vec<&str> = text.lines().collect();
    routes(&lines);
    lines.iter().for_each(|line| host(line));
    lines.iter().for_each(|line| template(line));
    for error in [parse_values(&text).err(), parse_dotenv(&text).err()]
        .into_iter()
        .flatten()
    {
        is_line(&error.to_string());
    }
});

fn manifest(text: &str) {
    let app = match App::parse(text) {
        Ok(app) => app,
        Err(error) => return is_line(&error.to_string()),
    };
    app.warnings.iter().for_each(|warning| is_line(warning));
    let (_, warnings) = app.router("/").expect("routes that have been read");
    warnings.iter().for_each(|warning| is_line(warning));
    let values = app
        .values(|name| Some(name.to_owned()))
        .expect("a value for each");
    for component in app.components.values() {
        component
            .variables(&values)
            .expect("variables that are there");
        if let Err(error) = component.allowed_hosts(&values) {
            is_line(&error.to_string());
        }
    }
    for trigger in &app.redis {
        assert!(app.components.contains_key(&trigger.component));
        values
            .fill(&trigger.address)
            .expect("variables that are there");
    }
}

fn routes(lines: &[&str]) {
    let routes = lines.iter().enumerate().filter_map(|(number, line)| {
        let route = Route::parse("/", line);
        route
            .map(|route| (number, route))
            .map_err(|e| is_line(&e.to_string()))
            .ok()
    });
    let routes: Vec<_> = routes.collect();
    let (router, duplicates) = Router::new(routes.iter().cloned());
    for duplicate in duplicates {
        assert_eq!(lines[duplicate.replaced], lines[duplicate.used]);
    }
    for path in lines {
        let found = router.find(path);
        let alone = |number: usize| {
            let one = routes.iter().filter(|(other, _)| *other == number).cloned();
            Router::new(one).0.find(path).is_some()
        };
        let any = routes.iter().any(|(number, _)| alone(*number));
        assert_eq!(found.is_some(), any, "{path}");
        let Some(found) = found else { continue };
        assert!(alone(found.number) && lines[found.number] == found.raw_route);
        for (name, value) in &found.parameters {
            assert!(!name.is_empty() && !value.contains('/') && path.contains(value));
        }
        let rest = found.path_info.trim_matches('/');
        assert!(
            path.trim_end_matches('/').ends_with(rest),
            "{path}: {}",
            found.path_info
        );
        let request = Request {
            scheme: "http",
            host: None,
            target: path,
            client: "[::1]:1",
        };
        for (name, _) in request_headers(&found, request) {
            assert!(
                name.bytes()
                    .all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase())
            );
        }
    }
}

fn host(entry: &str) {
    let hosts = match AllowedHosts::parse([entry]) {
        Ok(hosts) => hosts,
        Err(error) => return is_line(&error.to_string()),
    };
    let again = AllowedHosts::parse([hosts.to_string()]);
    assert_eq!(again.as_ref(), Ok(&hosts));
    // Whoever may be called by any scheme at any port may be called by one of them.
    let name = entry.split("://").nth(1).unwrap_or_default();
    for port in [None, Some(80), Some(0), Some(u16::MAX)] {
        if hosts.allows("http", name, port) {
            assert!(hosts.allows_any_of(&["http"]) && hosts.allows("HTTP", name, port));
        }
    }
}

fn template(text: &str) {
    match Template::parse(text) {
        Ok(template) => {
            let count = template.variables().count();
            assert_eq!(count == 0, !text.contains("{{"));
            let filled = template.fill(|_| Some("")).expect("a value for each");
            assert!(filled.len() + 4 * count <= text.len());
        }
        Err(error) => is_line(&error.to_string()),
    }
}

fn is_line(text: &str) {
    assert!(!text.is_empty() && !text.contains(['\n', '\r']), "{text:?}");
}
