//! Parameters of `wasm_module` that are for components alone: `dir=`, `allowed_outbound_hosts=` and `reuse=`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::rc::Rc;

use spin_app::AllowedHosts;

/// A directory that a component sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dir {
    pub path: PathBuf,
    /// By what name it sees it.
    pub name: String,
    pub writable: bool,
}

/// What a component is offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceParameters {
    pub dirs: Vec<Dir>,
    /// As Spin writes them: `https://*.example.com:443`.
    pub allowed_outbound_hosts: Vec<String>,
    /// How many requests an instance answers, with `isolation=worker`; `None`: as many as come.
    pub reuse: Option<u32>,
}

/// What they come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceOptions {
    pub dirs: Vec<Dir>,
    pub hosts: AllowedHosts,
    pub reuse: Option<u32>,
    /// The key-value stores that it may open; `None`: all that there are.
    pub stores: Option<Rc<[String]>>,
    /// The values of the variables that it may ask for.
    pub variables: Rc<BTreeMap<String, String>>,
    /// The Spin application that it belongs to.
    pub application: Option<Rc<str>>,
}

impl ServiceParameters {
    /// An error is the mistake in one of them.
    pub fn options(&self) -> Result<ServiceOptions, String> {
        let hosts = AllowedHosts::parse(&self.allowed_outbound_hosts);
        Ok(ServiceOptions {
            dirs: self.dirs.clone(),
            hosts: hosts.map_err(|error| format!("allowed_outbound_hosts=: {error}"))?,
            reuse: self.reuse,
            stores: None,
            variables: Rc::default(),
            application: None,
        })
    }

    /// `path`, `path::name`, either with `:rw` behind it.
    pub fn add_dir(&mut self, value: &[u8]) -> Result<(), String> {
        let (value, writable) = match value.strip_suffix(b":rw") {
            Some(value) => (value, true),
            None => (value, false),
        };
        let at = value.windows(2).position(|two| two == b"::");
        let (path, name) = match at {
            Some(at) => (&value[..at], &value[at + 2..]),
            None => (value, value),
        };
        let name = str::from_utf8(name).map_err(|_| "the name in dir= must be UTF-8")?;
        if path.first() != Some(&b'/') || name.is_empty() {
            return Err(
                "dir= needs an absolute path: dir=/path, dir=/path::/name, dir=/path:rw".into(),
            );
        }
        self.dirs.push(Dir {
            path: PathBuf::from(OsStr::from_bytes(path)),
            name: name.to_owned(),
            writable,
        });
        Ok(())
    }

    /// Patterns, with commas or blanks between them.
    pub fn add_hosts(&mut self, value: &[u8]) -> Result<(), String> {
        let text = str::from_utf8(value).map_err(|_| "allowed_outbound_hosts= must be UTF-8")?;
        let all = text.split([',', ' ']).filter(|host| !host.is_empty());
        self.allowed_outbound_hosts.extend(all.map(str::to_owned));
        Ok(())
    }
}
