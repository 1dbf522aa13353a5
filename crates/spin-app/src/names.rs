//! The rules for names.

/// The name of a variable: lower-case letters, digits and single underscores between them, a letter first. The error says what is
/// wrong.
pub fn check_variable(name: &str) -> Result<(), &'static str> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if name.is_empty() {
        Err("is empty")
    } else if !name.bytes().all(allowed) {
        Err("may have only lower-case letters, digits and underscores")
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        Err("must begin with a letter")
    } else if name.ends_with('_') || name.contains("__") {
        Err("may have single underscores only, and none at its end")
    } else {
        Ok(())
    }
}

/// The identifier of a component: words between hyphens, each all in lower or all in upper case, that begin with a letter, or
/// with a digit behind the first.
pub fn check_kebab(id: &str) -> Result<(), &'static str> {
    check_words(
        id,
        '-',
        '_',
        "must have hyphens between its words, not underscores",
    )
}

/// The label of a store: as the identifier of a component, or with underscores.
pub fn check_label(label: &str) -> Result<(), &'static str> {
    let snake = check_words(
        label,
        '_',
        '-',
        "must have hyphens or underscores between its words, not both",
    );
    check_kebab(label).or(snake)
}

fn check_words(
    id: &str,
    between: char,
    not: char,
    mixed: &'static str,
) -> Result<(), &'static str> {
    if id.is_empty() {
        return Err("is empty");
    }
    if id.contains(not) {
        return Err(mixed);
    }
    for (number, word) in id.split(between).enumerate() {
        let first = word.bytes().next().ok_or("has an empty word")?;
        if !(first.is_ascii_alphabetic() || number > 0 && first.is_ascii_digit()) {
            return Err("has a word that does not begin with a letter");
        }
        let upper = first.is_ascii_uppercase();
        for byte in word.bytes().skip(1) {
            if !byte.is_ascii_alphanumeric() && byte != b':' {
                return Err("may have only letters and digits in its words");
            }
            if byte.is_ascii_alphabetic() && byte.is_ascii_uppercase() != upper {
                return Err("has a word with lower-case and upper-case letters");
            }
        }
    }
    Ok(())
}
