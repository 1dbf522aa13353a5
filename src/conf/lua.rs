//! Parameters of the plugins that Lua's code loads.

use std::sync::Arc;
use std::time::Duration;

use crate::conf::guest::Kind;
use crate::conf::limits::check_stack;
use crate::conf::parameters::Parameters;
use crate::nginx::conf::Mistake;

/// What the configuration says of plugins that Lua's code loads.
#[derive(Default)]
pub struct LuaConf {
    /// This nginx has a Lua module, whose code may load plugins.
    pub present: bool,
    /// Parameters of each plugin, `name=value`, which its own come before.
    pub defaults: Option<Vec<Vec<u8>>>,
    /// The shorter one of the times that they say.
    pub shortest: Option<Duration>,
}

/// Those of a module of a directive's that are not for a plugin of Lua's: it shares one instance with all requests.
const NOT_OF_PLUGINS: [&[u8]; 4] = [b"isolation", b"instances", b"type", b"queue"];

/// Those that say something of one plugin alone.
pub const OF_ONE_PLUGIN: [&[u8]; 3] = [b"sha256", b"vm_id", b"vm_config"];

/// The name of a parameter.
pub fn name(parameter: &[u8]) -> &[u8] {
    parameter.split(|&b| b == b'=').next().unwrap_or_default()
}

/// A plugin's own parameters, and the defaults of those that it has not.
pub fn parse(own: &[Vec<u8>], defaults: &[Vec<u8>]) -> Result<Parameters, String> {
    let mut parameters = Parameters::default();
    let is_own = |default: &[u8]| own.iter().any(|own| name(own) == name(default));
    let defaults = defaults.iter().filter(|default| !is_own(default));
    for parameter in defaults.chain(own) {
        if NOT_OF_PLUGINS.contains(&name(parameter)) {
            let name = String::from_utf8_lossy(name(parameter)).into_owned();
            return Err(format!("{name}= is not for plugins of Lua's"));
        }
        parameters.take(parameter, text_or_file)?;
    }
    check_stack(parameters.vm.limits.stack)?;
    parameters.finish()?;
    parameters.check(Kind::ProxyWasm)?;
    Ok(parameters)
}

/// As in a directive; paths are relative to the directory that nginx runs in, as those of Lua's own functions.
fn text_or_file(text: &[u8]) -> Result<Arc<[u8]>, Mistake> {
    let [b'@', path @ ..] = text else {
        return Ok(Arc::from(text));
    };
    let path = String::from_utf8_lossy(path);
    let cannot = |error| format!("cannot read \"{path}\": {error}");
    Ok(std::fs::read(&*path).map_err(cannot)?.into())
}
