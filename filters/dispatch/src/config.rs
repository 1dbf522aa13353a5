//! The configuration: a key and its value a line.

#[derive(Default)]
pub struct Config {
    pub upstream: String,
    pub authority: String,
    pub path: String,
    pub queue: String,
}

impl Config {
    /// Parses the plugin configuration; an error is one line.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let text = str::from_utf8(text).map_err(|_| "not UTF-8")?;
        let mut config = Config::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            let field = match key {
                "upstream" => &mut config.upstream,
                "authority" => &mut config.authority,
                "path" => &mut config.path,
                "queue" => &mut config.queue,
                _ => {
                    let at = index + 1;
                    return Err(format!(
                        "line {at}: expected \"upstream|authority|path|queue VALUE\""
                    ));
                }
            };
            *field = value.trim().to_owned();
        }
        let fields = [
            ("upstream", &config.upstream),
            ("authority", &config.authority),
            ("path", &config.path),
            ("queue", &config.queue),
        ];
        match fields.iter().find(|(_, value)| value.is_empty()) {
            Some((key, _)) => Err(format!("{key} is missing")),
            None => Ok(config),
        }
    }
}
