use spin_app::{Template, TemplateError};

fn filled(text: &str) -> Result<String, TemplateError> {
    Template::parse(text)?.fill(|name| match name {
        "host" => Some("example.com"),
        "empty" => Some(""),
        "braces" => Some("{{ host }}"),
        _ => None,
    })
}

#[test]
fn texts_and_variables() {
    for (text, expected) in [
        ("", ""),
        ("plain", "plain"),
        ("{{ host }}", "example.com"),
        ("{{host}}", "example.com"),
        (
            "https://{{ host }}/a/{{  host  }}",
            "https://example.com/a/example.com",
        ),
        ("{{ empty }}{{ host }}", "example.com"),
        ("{ host }", "{ host }"),
        ("a }} b", "a }} b"),
        // A value is not read again.
        ("{{ braces }}", "{{ host }}"),
    ] {
        assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
    }
    let template = Template::parse("{{ a }}-{{ b }}-{{ a }}").unwrap();
    assert_eq!(template.variables().collect::<Vec<_>>(), ["a", "b", "a"]);
    assert_eq!(Template::parse("a").unwrap().variables().count(), 0);
}

#[test]
fn mistakes() {
    for (text, expected) in [
        ("{{ host", "\"{{ host\" has a {{ without its }}"),
        (
            "{{ host }} {{ a",
            "\"{{ host }} {{ a\" has a {{ without its }}",
        ),
        ("{{ other }}", "there is no variable \"other\""),
        ("{{}}", "there is no variable \"\""),
        ("{{ {{ host }} }}", "there is no variable \"{{ host\""),
    ] {
        assert_eq!(filled(text).unwrap_err().to_string(), expected, "{text}");
    }
}
