use std::collections::BTreeMap;

use spin_app::{
    Values, Variable, check_given, check_kebab, check_label, check_variable, environment_name,
    parse_dotenv, parse_values,
};

fn variables() -> BTreeMap<String, Variable> {
    let variable = |default: Option<&str>, secret| Variable {
        default: default.map(str::to_owned),
        secret,
    };
    BTreeMap::from([
        ("optional".to_owned(), variable(Some("default"), false)),
        ("required".to_owned(), variable(None, true)),
    ])
}

#[test]
fn values_come_from_who_gives_them_or_are_defaults() {
    let given = |name: &str| (name == "required").then(|| "given".to_owned());
    let values = Values::resolve(&variables(), given).unwrap();
    assert_eq!(values.get("optional"), Some("default"));
    assert_eq!(values.get("required"), Some("given"));
    assert_eq!(values.get("other"), None);
    let values = Values::resolve(&variables(), |name| Some(name.to_uppercase())).unwrap();
    assert_eq!(values.get("optional"), Some("OPTIONAL"));
    let missing = Values::resolve(&variables(), |_| None).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "the variable \"required\" is required, and has no value: give it one, or set SPIN_VARIABLE_REQUIRED in the environment"
    );
    assert_eq!(environment_name("a_b1"), "SPIN_VARIABLE_A_B1");
}

#[test]
fn secrets_are_not_shown() {
    let mut variables = variables();
    variables.get_mut("required").unwrap().default = Some("s3cret".into());
    let values = Values::resolve(&variables, |_| None).unwrap();
    for shown in [format!("{variables:?}"), format!("{values:?}")] {
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn what_operators_give() {
    assert_eq!(check_given(&variables(), ["optional", "required"]), Ok(()));
    for (name, told) in [
        ("other", "the application has no variable \"other\""),
        (
            "A",
            "the name of the variable \"A\" may have only lower-case letters, digits and underscores",
        ),
    ] {
        assert_eq!(
            check_given(&variables(), [name]).unwrap_err().to_string(),
            told
        );
    }
}

#[test]
fn files_of_values() {
    let values = parse_values("a = \"1\"\n\"b\" = '''two\nlines'''\n").unwrap();
    assert_eq!(
        values,
        BTreeMap::from([("a".into(), "1".into()), ("b".into(), "two\nlines".into())])
    );
    for (text, told) in [
        ("a = 1", "the value of \"a\" is no string"),
        ("[a]\nb = \"c\"", "the value of \"a\" is no string"),
        ("a = \"1\"\na = \"2\"", "line 2, column 1: duplicate key"),
    ] {
        assert_eq!(parse_values(text).unwrap_err().to_string(), told, "{text}");
    }
}

#[test]
fn dotenv_files() {
    let text =
        "# a comment\n\nSPIN_VARIABLE_A=1\nexport B = \"two words\" # here, too\nC='a$b'\nD=\n";
    let values = parse_dotenv(text).unwrap();
    let expected = [
        ("B", "two words"),
        ("C", "a$b"),
        ("D", ""),
        ("SPIN_VARIABLE_A", "1"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(values.into_iter().collect::<Vec<_>>(), expected);
    let told = parse_dotenv("A=\"open\nB=1").unwrap_err().to_string();
    assert!(told.starts_with(".env: ") && !told.contains('\n'), "{told}");
}

#[test]
fn names() {
    for good in ["a", "abc", "a1b2c3", "a_1", "a_1_b_3"] {
        assert_eq!(check_variable(good), Ok(()), "{good}");
    }
    for bad in ["", "aX", "1bc", "_x", "x.y", "x_", "a__b", "x-y", "é"] {
        assert!(check_variable(bad).is_err(), "{bad}");
    }
    for good in [
        "a",
        "cart",
        "my-component",
        "HTTP-proxy",
        "a-1",
        "a-1b",
        "a1",
    ] {
        assert_eq!(check_kebab(good), Ok(()), "{good}");
    }
    for bad in ["", "1a", "-a", "a-", "a--b", "a_b", "aB", "a b", "a.b", "é"] {
        assert!(check_kebab(bad).is_err(), "{bad}");
    }
    for good in ["default", "my-store", "my_store"] {
        assert_eq!(check_label(good), Ok(()), "{good}");
    }
    for bad in ["", "my-other_store", "my store"] {
        assert!(check_label(bad).is_err(), "{bad}");
    }
}
